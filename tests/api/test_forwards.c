/* SPDX-License-Identifier: MIT
 * Forwards, the history of edits, and messages that expire. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/client.h"
#include "../lib/database.h"
#include "../lib/stream.h"
#include "../lib/suite.h"

/* ---- forwards ---- */

START_TEST(forward_names_the_author)
{
	struct client *alice = user("alice"), *bob = user("bob"), *carol = user("carol");
	long long from = make_group(alice, bob), dest = make_group(bob, carol), id = say(alice, from, "news");
	struct stream *s = stream_from_now(carol);
	struct answer a = expect_status(
		post(bob, messages_path(dest), "{'forward':{'chat':%lld,'id':%lld},'key':'f1'}", from, id), 201);
	ck_assert_str_eq(json_str(a.json, "text"), "news");
	ck_assert_str_eq(json_str(a.json, "from"), "bob");
	ck_assert_str_eq(json_str(a.json, "forwarded.from"), "alice");
	ck_assert_ptr_null(strstr(a.body, format("\"chat\":%lld", from)));
	ck_assert_str_eq(json_str(expect_message(s, json_num(a.json, "id")), "forwarded.from"), "alice");
	struct answer again = expect_status(
		post(bob, messages_path(dest), "{'forward':{'chat':%lld,'id':%lld}}", dest, json_num(a.json, "id")),
		201);
	ck_assert_str_eq(
		json_str(again.json, "forwarded.from"), "alice"); /* the author, not the user who forwarded it */
	ck_assert_str_eq(json_str(again.json, "forwarded.at"), json_str(a.json, "forwarded.at"));
	a = expect_status(post(alice, messages_path(from), "{'type':'vote','content':{'a':[1,2]}}"), 201);
	a = expect_status(
		post(bob, messages_path(dest), "{'forward':{'chat':%lld,'id':%lld}}", from, json_num(a.json, "id")),
		201);
	ck_assert_str_eq(json_str(a.json, "type"), "vote");
	ck_assert_uint_eq(json_count(a.json, "content.a"), 2);
	expect_problem(
		patch(bob, message_path(dest, json_num(again.json, "id")), "{'text':'never said'}"), 403, "forbidden");

	/* A key sends once, even if the forwarded message was deleted since. */
	expect_status(del(alice, "%s", message_path(from, id)), 204);
	long long first = json_num(
		expect_status(
			post(bob, messages_path(dest), "{'forward':{'chat':%lld,'id':%lld},'key':'f1'}", from, id), 201)
			.json,
		"id");
	ck_assert_str_eq(
		json_str(expect_status(get(carol, "%s", message_path(dest, first)), 200).json, "text"), "news");
	expect_problem(post(bob, messages_path(dest), "{'forward':{'chat':%lld,'id':%lld},'key':'f1'}", from, id + 1),
		409, "key_conflict");
}
END_TEST

START_TEST(forward_of_unreadable_message_is_refused)
{
	struct client *alice = user("alice"), *bob = user("bob"), *dave = user("dave");
	struct answer made = expect_status(
		post(alice, "/v1/chats", "{'kind':'group','title':'x','members':['bob'],'history':'joined'}"), 201);
	long long secret = json_num(made.json, "id"), id = say(alice, secret, "secret"),
		  gone = say(alice, secret, "gone"), mine = make_group(dave, bob);
	expect_status(del(alice, "%s", message_path(secret, gone)), 204);
	struct client *same = with_header(dave, "X-Request-Id: same");
	struct answer absent =
		expect_problem(post(same, messages_path(mine), "{'forward':{'chat':%lld,'id':%lld}}", 987654321LL, 1LL),
			422, "unknown_forward");
	ck_assert_str_eq(
		expect_problem(post(same, messages_path(mine), "{'forward':{'chat':%lld,'id':%lld}}", secret, id), 422,
			"unknown_forward")
			.body,
		absent.body);
	ck_assert_str_eq(
		expect_problem(post(same, messages_path(mine), "{'forward':{'chat':%lld,'id':%lld}}", secret, gone),
			422, "unknown_forward")
			.body,
		absent.body);
	expect_status(put(alice, member_path(secret, dave), "{}"), 200); /* joins later */
	expect_problem(post(dave, messages_path(mine), "{'forward':{'chat':%lld,'id':%lld}}", secret, id), 422,
		"unknown_forward");
	expect_status(post(bob, messages_path(mine), "{'forward':{'chat':%lld,'id':%lld}}", secret, id), 201);
	expect_status(del(alice, "%s", member_path(secret, bob)), 204);
	expect_problem(post(bob, messages_path(mine), "{'forward':{'chat':%lld,'id':%lld}}", secret, id), 422,
		"unknown_forward");
	expect_problem(post(dave, messages_path(make_group(alice)), "{'forward':{'chat':%lld,'id':%lld}}", mine, 1LL),
		404, "not_found");
	expect_problem(post(bob, messages_path(mine), "{'forward':{'chat':1}}"), 422, "missing_field");
	expect_problem(post(bob, messages_path(mine), "{'forward':7}"), 422, "wrong_type");
	expect_problem(post(bob, messages_path(mine), "{'forward':{'chat':1,'id':1,'x':1}}"), 422, "unknown_field");
	expect_problem(
		post(bob, messages_path(mine), "{'forward':{'chat':1,'id':1},'text':'x'}"), 422, "unknown_field");
}
END_TEST

/* ---- edits ---- */

START_TEST(edits_are_listed)
{
	struct client *alice = user("alice"), *bob = user("bob");
	long long chat = make_group(alice, bob), id = say(alice, chat, "frist");
	char *path = format("%s/edits", message_path(chat, id));
	ck_assert_uint_eq(json_count(expect_status(get(bob, "%s", path), 200).json, "edits"), 1);
	expect_status(patch(alice, message_path(chat, id), "{'text':'first'}"), 200);
	const char *when = json_str(
		expect_status(patch(alice, message_path(chat, id), "{'text':'First!'}"), 200).json, "edited_at");
	struct answer a = expect_status(get(bob, "%s", path), 200);
	ck_assert_uint_eq(json_count(a.json, "edits"), 3);
	ck_assert_str_eq(json_str(a.json, "edits.0.text"), "frist");
	ck_assert_str_eq(json_str(a.json, "edits.1.text"), "first");
	ck_assert_str_eq(json_str(a.json, "edits.2.text"), "First!");
	ck_assert_str_eq(json_str(a.json, "edits.2.at"), when);
	expect_problem(get(user("mallory"), "%s", path), 404, "not_found");
	expect_status(del(alice, "%s", message_path(chat, id)), 204);
	expect_problem(get(bob, "%s", path), 410, "gone");
	PGconn *pg = database_open(test_server());
	ck_assert_str_eq(sql(pg, "select count(*) from postern.message_version where id = %lld", id), "0");
}
END_TEST

START_TEST(edits_over_the_limit_drop_the_oldest)
{
	struct client *alice = user("alice");
	long long chat = make_group(alice), id = say(alice, chat, "0");
	for (int i = 1; i <= 110; i++)
		expect_status(patch(alice, message_path(chat, id), "{'text':'%d'}", i), 200);
	struct answer a = expect_status(get(alice, "%s/edits", message_path(chat, id)), 200);
	ck_assert_uint_eq(json_count(a.json, "edits"), 101);
	ck_assert_str_eq(json_str(a.json, "edits.0.text"), "0");
	ck_assert_str_eq(json_str(a.json, "edits.1.text"), "11");
	ck_assert_str_eq(json_str(a.json, "edits.100.text"), "110");
}
END_TEST

/* ---- expiring messages ---- */

START_TEST(message_ttl_deletes_expired_messages)
{
	struct client *alice = user("alice"), *bob = user("bob");
	long long chat = make_group(alice, bob), kept = say(alice, chat, "kept");
	char *path = format("/v1/chats/%lld", chat);
	expect_problem(patch(bob, path, "{'message_ttl':60}"), 403, "forbidden");
	expect_problem(patch(alice, path, "{'message_ttl':-1}"), 422, "out_of_range");
	expect_problem(patch(alice, path, "{'message_ttl':31536001}"), 422, "out_of_range");
	struct stream *s = stream_from_now(bob);
	ck_assert_int_eq(json_num(expect_status(patch(alice, path, "{'message_ttl':1}"), 200).json, "message_ttl"), 1);
	ck_assert_int_eq(json_num(expect(s, "chat"), "message_ttl"), 1);
	struct answer a =
		expect_status(post(alice, messages_path(chat), "{'text':'secret @bob','reply_to':%lld}", kept), 201);
	long long id = json_num(a.json, "id");
	ck_assert_uint_eq(strlen(json_str(a.json, "expires_at")), 24);
	expect_message(s, id);
	expect_status(put(bob, format("%s/reactions/%%F0%%9F%%91%%8D", message_path(chat, id)), NULL), 200);
	if (strcmp(stream_peek(s), "reaction") == 0)
		expect(s, "reaction");
	struct json_object *d = expect(s, "deleted");
	ck_assert_int_eq(json_num(d, "id"), id);
	ck_assert_int_eq(json_num(d, "chat"), chat);
	expect_problem(get(bob, "%s", message_path(chat, id)), 410, "gone");
	a = expect_status(get(bob, "%s", messages_path(chat)), 200);
	ck_assert_uint_eq(json_count(a.json, "messages"), 1);
	ck_assert(!json_has(a.json, "messages.0.replies"));
	PGconn *pg = database_open(test_server());
	ck_assert_str_eq(sql(pg, "select count(*) from postern.message where id = %lld", id), "0");
	ck_assert_str_eq(sql(pg, "select count(*) from postern.mention where id = %lld", id), "0");
	ck_assert_str_eq(sql(pg, "select count(*) from postern.reaction where message_id = %lld", id), "0");

	expect_status(post_as(alice, messages_path(chat), "application/x-ndjson",
			      "{\"text\":\"one\"}\n{\"text\":\"two\"}\n{\"text\":\"three\"}\n"),
		200);
	for (int i = 0; i < 3; i++)
		expect(s, "message");
	for (int i = 0; i < 3; i++)
		expect(s, "deleted");
	ck_assert(!json_has(expect_status(patch(alice, path, "{'message_ttl':0}"), 200).json, "message_ttl"));
	ck_assert(
		!json_has(expect_status(post(alice, messages_path(chat), "{'text':'stays'}"), 201).json, "expires_at"));
}
END_TEST

START_TEST(forward_expires_with_the_message_that_it_comes_from)
{
	struct client *alice = user("alice"), *bob = user("bob");
	long long from = make_group(alice, bob), lasting = make_group(bob), shorter = make_group(bob);
	expect_status(patch(alice, format("/v1/chats/%lld", from), "{'message_ttl':3600}"), 200);
	expect_status(patch(bob, format("/v1/chats/%lld", shorter), "{'message_ttl':60}"), 200);
	struct answer secret = expect_status(post(alice, messages_path(from), "{'text':'secret'}"), 201);
	const char *when = json_str(secret.json, "expires_at"),
		   *forward = format("{'forward':{'chat':%lld,'id':%lld}}", from, json_num(secret.json, "id"));
	struct answer a = expect_status(post(bob, messages_path(lasting), "%s", forward), 201);
	ck_assert_str_eq(json_str(a.json, "expires_at"), when);
	a = expect_status(post(bob, messages_path(lasting), "{'forward':{'chat':%lld,'id':%lld}}", lasting,
				  json_num(a.json, "id")),
		201);
	ck_assert_str_eq(json_str(a.json, "expires_at"), when);
	a = expect_status(get(bob, "%s", message_path(lasting, json_num(a.json, "id"))), 200);
	ck_assert_str_eq(json_str(a.json, "expires_at"), when);
	a = expect_status(post(bob, messages_path(shorter), "%s", forward), 201);
	ck_assert_int_lt(strcmp(json_str(a.json, "expires_at"), when), 0);
}
END_TEST

START_TEST(forward_mentions_nobody)
{
	struct client *ann = new_user(), *ben = new_user();
	long long from = make_group(ann, ben), dest = make_group(ann, ben);
	struct answer a = expect_status(post(ann, messages_path(from), "{'text':'ask @%s @all'}", ben->name), 201);
	ck_assert_uint_eq(json_count(a.json, "mentions"), 2);
	a = expect_status(
		post(ann, messages_path(dest), "{'forward':{'chat':%lld,'id':%lld}}", from, json_num(a.json, "id")),
		201);
	ck_assert(!json_has(a.json, "mentions"));
	ck_assert_uint_eq(json_count(expect_status(get(ben, "/v1/mentions"), 200).json, "mentions"), 1);
}
END_TEST

START_TEST(message_ttl_in_direct_chat_is_set_by_both_members)
{
	struct client *ann = new_user(), *ben = new_user();
	expect_status(post(ann, format("/v1/chats/@%s/messages", ben->name), "{'text':'hi'}"), 201);
	ck_assert_int_eq(
		json_num(
			expect_status(patch(ben, format("/v1/chats/@%s", ann->name), "{'message_ttl':3600}"), 200).json,
			"message_ttl"),
		3600);
	ck_assert_int_eq(json_num(expect_status(get(ann, "/v1/chats/@%s", ben->name), 200).json, "message_ttl"), 3600);
	expect_problem(
		patch(ben, format("/v1/chats/@%s", ann->name), "{'message_ttl':3600,'title':'x'}"), 403, "forbidden");
	expect_problem(patch(ben, format("/v1/chats/@%s", ann->name), "{}"), 403, "forbidden");
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		forward_names_the_author,
		forward_of_unreadable_message_is_refused,
		edits_are_listed,
		edits_over_the_limit_drop_the_oldest,
		message_ttl_deletes_expired_messages,
		forward_expires_with_the_message_that_it_comes_from,
		forward_mentions_nobody,
		message_ttl_in_direct_chat_is_set_by_both_members,
		NULL,
	};
	return suite_run("forwards", tests, NULL);
}
