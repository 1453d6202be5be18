/* SPDX-License-Identifier: MIT
 * What happens to a message after it was sent: repeated sends with its key, edits and deletes, and who may do which. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/client.h"
#include "../lib/stream.h"
#include "../lib/suite.h"

START_TEST(key_repeated_sends_once)
{
	struct client *alice = user("alice"), *bob = user("bob");
	long long chat = make_group(alice, bob), other = make_group(alice, bob);
	struct stream *s = stream_from_now(bob);
	struct answer first = expect_status(say_with_key(alice, chat, "k1", "once"), 201);
	ck_assert_str_eq(json_str(first.json, "key"), "k1");
	struct answer again = expect_status(say_with_key(alice, chat, "k1", "once"), 201);
	ck_assert_int_eq(json_num(again.json, "id"), json_num(first.json, "id"));
	ck_assert_str_eq(json_str(again.json, "at"), json_str(first.json, "at"));
	expect_problem(say_with_key(alice, chat, "k1", "twice"), 409, "key_conflict");

	expect_message(s, json_num(first.json, "id"));
	expect_quiet(s);
	/* A key belongs to one sender in one chat. */
	ck_assert_int_ne(json_num(expect_status(say_with_key(bob, chat, "k1", "mine"), 201).json, "id"),
		json_num(first.json, "id"));
	ck_assert_int_ne(json_num(expect_status(say_with_key(alice, other, "k1", "elsewhere"), 201).json, "id"),
		json_num(first.json, "id"));

	expect_status(del(alice, "%s", message_path(chat, json_num(first.json, "id"))), 204);
	expect_problem(say_with_key(alice, chat, "k1", "once"), 410, "gone");
	expect_problem(say_with_key(alice, chat, "k1", "twice"), 409, "key_conflict");
}
END_TEST

START_TEST(key_in_header_sends_once)
{
	struct client *alice = user("alice"), *keyed = with_header(alice, "Idempotency-Key: h-1");
	long long chat = make_group(alice);
	long long id =
		json_num(expect_status(post_as(keyed, messages_path(chat), "text/plain", "once"), 201).json, "id");
	struct answer again = expect_status(post_as(keyed, messages_path(chat), "text/plain", "once"), 201);
	ck_assert_int_eq(json_num(again.json, "id"), id);
	ck_assert_str_eq(json_str(again.json, "key"), "h-1");
	expect_problem(post_as(keyed, messages_path(chat), "text/plain", "twice"), 409, "key_conflict");
	ck_assert_int_eq(json_num(expect_status(say_with_key(alice, chat, "h-1", "once"), 201).json, "id"), id);
	ck_assert_uint_eq(json_count(expect_status(get(alice, "%s", messages_path(chat)), 200).json, "messages"), 1);
}
END_TEST

START_TEST(key_made_by_server_sends_once)
{
	struct client *alice = user("alice");
	long long chat = make_group(alice);
	struct answer sent = expect_status(post(alice, messages_path(chat), "{'text':'hi'}"), 201);
	struct answer again = expect_status(say_with_key(alice, chat, json_str(sent.json, "key"), "hi"), 201);
	ck_assert_int_eq(json_num(again.json, "id"), json_num(sent.json, "id"));
}
END_TEST

START_TEST(key_remains_valid_after_edit)
{
	struct client *alice = user("alice");
	long long chat = make_group(alice);
	long long id = json_num(expect_status(say_with_key(alice, chat, "k", "first"), 201).json, "id");
	expect_status(patch(alice, message_path(chat, id), "{'text':'edited'}"), 200);
	struct answer again = expect_status(say_with_key(alice, chat, "k", "first"), 201);
	ck_assert_int_eq(json_num(again.json, "id"), id);
	ck_assert_str_eq(json_str(expect_status(get(alice, "%s", message_path(chat, id)), 200).json, "text"), "edited");
}
END_TEST

START_TEST(message_of_user_who_left_is_deleted_by_them)
{
	struct client *ann = new_user(), *ben = new_user(), *cat = new_user();
	long long chat = make_group(ann, ben, cat), his = say(ben, chat, "mine"), hers = say(ann, chat, "hers"),
		  kept = say(cat, chat, "kept");
	expect_status(del(ben, "%s", member_path(chat, ben)), 204);
	expect_status(del(ann, "%s", member_path(chat, cat)), 204);
	long long later = say(ann, chat, "later");
	struct stream *s = stream_from_now(ann);
	expect_problem(get(ben, "%s", message_path(chat, his)), 404, "not_found");
	expect_problem(patch(ben, message_path(chat, his), "{'text':'x'}"), 404, "not_found");
	expect_problem(del(ben, "%s", message_path(chat, hers)), 404, "not_found");
	expect_problem(del(ben, "%s", message_path(chat, later)), 404, "not_found");
	expect_problem(del(cat, "%s", message_path(chat, kept)), 404, "not_found"); /* was removed by an admin */
	expect_status(del(ben, "%s", message_path(chat, his)), 204);
	expect_status(del(ben, "%s", message_path(chat, his)), 204);
	ck_assert_int_eq(json_num(expect(s, "deleted"), "id"), his);
	expect_status(del(ann, "%s", message_path(chat, later)), 204);
	expect_problem(del(ben, "%s", message_path(chat, later)), 404, "not_found");
}
END_TEST

/* A former member can't find out whether a message was pinned or deleted, not even one of their own. */
START_TEST(key_of_former_member_is_refused)
{
	struct client *ann = new_user(), *ben = new_user();
	long long chat = make_group(ann, ben),
		  id = json_num(expect_status(say_with_key(ben, chat, "k", "once"), 201).json, "id");
	expect_status(del(ann, "%s", member_path(chat, ben)), 204);
	expect_status(put(ann, format("%s/pin", message_path(chat, id)), NULL), 200);
	struct client *who = with_header(ben, "X-Request-Id: same");
	struct answer unknown = expect_problem(say_with_key(who, chat, "other", "once"), 404, "not_found");
	ck_assert_str_eq(expect_problem(say_with_key(who, chat, "k", "once"), 404, "not_found").body, unknown.body);
	ck_assert_str_eq(expect_problem(say_with_key(who, chat, "k", "twice"), 404, "not_found").body, unknown.body);
	struct answer a = expect_status(post_as(ben, messages_path(chat), "application/x-ndjson",
						"{\"text\":\"once\",\"key\":\"k\"}\n{\"text\":\"x\",\"key\":\"l\"}\n"
						"{\"text\":\"x\",\"key\":\"m\"}\n"),
		200);
	ck_assert_msg(strstr(a.body, "once") == NULL && strncmp(a.body, "{\"status\":404", 13) == 0, "%s", a.body);
	expect_status(put(ann, member_path(chat, ben), "{}"), 200);
	ck_assert_int_eq(json_num(expect_status(say_with_key(ben, chat, "k", "once"), 201).json, "id"), id);
}
END_TEST

START_TEST(edit_requires_author_and_latest_revision)
{
	struct client *alice = user("alice"), *bob = user("bob");
	long long chat = make_group(alice, bob), id = say(bob, chat, "frist");
	struct client *fresh = with_header(bob, "If-Match: \"%lld\"", id);
	struct answer edited = expect_status(patch(fresh, message_path(chat, id), "{'text':'first'}"), 200);
	ck_assert_int_eq(json_num(edited.json, "id"), id);
	ck_assert_int_gt(json_num(edited.json, "rev"), id);
	ck_assert_str_eq(json_str(edited.json, "text"), "first");
	ck_assert(json_has(edited.json, "edited_at"));

	expect_problem(patch(fresh, message_path(chat, id), "{'text':'second'}"), 412, "stale");
	expect_problem(patch(alice, message_path(chat, id), "{'text':'mine'}"), 403, "forbidden");
	expect_problem(patch(user("mallory"), message_path(chat, id), "{'text':'mine'}"), 404, "not_found");
	ck_assert_str_eq(json_str(expect_status(get(alice, "%s", message_path(chat, id)), 200).json, "text"), "first");
	expect_status(patch(with_header(bob, "If-Match: \"%lld\"", json_num(edited.json, "rev")),
			      message_path(chat, id), "{'text':'second'}"),
		200);
	long long rev = json_num(
		expect_status(patch(bob, message_path(chat, id), "{'text':'whatever it was'}"), 200).json, "rev");
	expect_status(patch(with_header(bob, "If-Match: \"1\", W/\"%lld\"", rev), message_path(chat, id),
			      "{'text':'one of them'}"),
		200);
	expect_problem(
		patch(with_header(bob, "If-Match: \"1\", \"2\", x"), message_path(chat, id), "{'text':'none of them'}"),
		412, "stale");
}
END_TEST

/* Otherwise a user could write through edits of their older messages. */
START_TEST(edit_without_permission_to_write_is_refused)
{
	struct client *ann = new_user(), *ben = new_user();
	long long chat = make_group(ann, ben), id = say(ben, chat, "first");
	expect_status(put(ann, member_path(chat, ben), "{'role':'admin'}"), 200);
	expect_status(patch(ann, format("/v1/chats/%lld", chat), "{'posting':'admins','slow_mode':3600}"), 200);
	expect_status(patch(ben, message_path(chat, id), "{'text':'second'}"), 200);
	expect_status(put(ann, member_path(chat, ben), "{'role':'member'}"), 200);
	expect_problem(patch(ben, message_path(chat, id), "{'text':'third'}"), 403, "forbidden");
	expect_status(patch(ann, format("/v1/chats/%lld", chat), "{'posting':'members'}"), 200);
	expect_status(patch(ben, message_path(chat, id), "{'text':'third'}"),
		200); /* slow mode applies to new messages only */
	expect_status(put(ann, member_path(chat, ben), "{'muted_until':'2100-01-01T00:00:00Z'}"), 200);
	expect_problem(patch(ben, message_path(chat, id), "{'text':'fourth'}"), 403, "muted");
	expect_status(del(ben, "%s", message_path(chat, id)), 204);
}
END_TEST

START_TEST(block_refuses_edits_reactions_and_pins)
{
	struct client *ann = new_user(), *eve = new_user();
	struct answer a = expect_status(post(eve, format("/v1/chats/@%s/messages", ann->name), "{'text':'hi'}"), 201);
	long long chat = json_num(a.json, "chat"), id = json_num(a.json, "id");
	expect_status(put(eve, format("%s/reactions/%%F0%%9F%%91%%8D", message_path(chat, id)), NULL), 200);
	expect_status(put(eve, format("%s/pin", message_path(chat, id)), NULL), 200);
	expect_status(put(ann, format("/v1/blocks/%s", eve->name), NULL), 204);
	struct stream *s = stream_from_now(ann);
	expect_problem(patch(eve, message_path(chat, id), "{'text':'abuse'}"), 403, "blocked");
	expect_problem(put(eve, format("%s/reactions/%%F0%%9F%%91%%8E", message_path(chat, id)), NULL), 403, "blocked");
	expect_problem(del(eve, "%s/pin", message_path(chat, id)), 403, "blocked");
	expect_problem(put(eve, format("%s/pin", message_path(chat, id)), NULL), 403, "blocked");
	expect_problem(patch(eve, format("/v1/chats/%lld", chat), "{'message_ttl':5,'system_messages':'all'}"), 403,
		"blocked");
	expect_quiet(s);
	expect_status(del(eve, "%s/reactions/%%F0%%9F%%91%%8D", message_path(chat, id)),
		204); /* withdrawing is always possible */
	expect(s, "reaction");
	expect_status(del(eve, "%s", message_path(chat, id)), 204);
	expect(s, "deleted");
}
END_TEST

START_TEST(edit_with_invalid_body_is_refused)
{
	struct client *alice = user("alice");
	long long chat = make_group(alice), id = say(alice, chat, "fine");
	char *path = message_path(chat, id);
	expect_problem(patch(alice, path, "{'text':''}"), 422, "empty_text");
	expect_problem(patch(alice, path, "{}"), 422, "empty_text");
	expect_problem(patch(alice, path, "{'text':5}"), 422, "wrong_type");
	expect_problem(patch(alice, path, "{'text':'x','from':'bob'}"), 422, "unknown_field");
	expect_problem(patch(alice, path, "{'text':'%s'}", format("%016385d", 0)), 413, "text_too_long");
	expect_problem(patch(alice, path, "{'text':"), 400, "bad_json");
	ck_assert_int_eq(json_num(expect_status(get(alice, "%s", path), 200).json, "rev"), id);
	expect_problem(patch(alice, message_path(chat, id + 1000000), "{'text':'x'}"), 404, "not_found");
}
END_TEST

START_TEST(deleted_message_is_gone)
{
	struct client *alice = user("alice"), *bob = user("bob");
	long long chat = make_group(alice, bob), id = say(bob, chat, "oops"), kept = say(alice, chat, "kept");
	expect_status(del(bob, "%s", message_path(chat, id)), 204);
	expect_status(del(bob, "%s", message_path(chat, id)), 204);
	expect_problem(get(alice, "%s", message_path(chat, id)), 410, "gone");
	expect_problem(patch(bob, message_path(chat, id), "{'text':'back'}"), 410, "gone");
	expect_problem(post(bob, messages_path(chat), "{'text':'re','reply_to':%lld}", id), 422, "unknown_reply_to");
	expect_problem(get(user("mallory"), "%s", message_path(chat, id)), 404, "not_found");
	expect_problem(del(user("mallory"), "%s", message_path(chat, id)), 404, "not_found");
	expect_problem(del(bob, "%s", message_path(chat, kept + 1000000)), 404, "not_found");

	struct answer history = expect_status(get(alice, "%s", messages_path(chat)), 200);
	ck_assert_uint_eq(json_count(history.json, "messages"), 1);
	ck_assert_int_eq(json_num(history.json, "messages.0.id"), kept);
	ck_assert_ptr_null(strstr(history.body, "oops"));
}
END_TEST

START_TEST(delete_of_others_messages_is_limited_to_owner_and_admins)
{
	struct client *alice = user("alice"), *bob = user("bob"), *carol = user("carol");
	long long chat = make_group(alice, bob, carol), first = say(bob, chat, "1"), second = say(bob, chat, "2"),
		  owners = say(alice, chat, "3");
	expect_problem(del(carol, "%s", message_path(chat, first)), 403, "forbidden");
	expect_status(del(alice, "%s", message_path(chat, first)), 204);
	expect_status(put(alice, member_path(chat, carol), "{'role':'admin'}"), 200);
	expect_status(del(carol, "%s", message_path(chat, second)), 204);
	expect_problem(del(bob, "%s", message_path(chat, owners)), 403, "forbidden");
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		key_repeated_sends_once,
		key_in_header_sends_once,
		key_made_by_server_sends_once,
		key_remains_valid_after_edit,
		message_of_user_who_left_is_deleted_by_them,
		key_of_former_member_is_refused,
		edit_requires_author_and_latest_revision,
		edit_without_permission_to_write_is_refused,
		block_refuses_edits_reactions_and_pins,
		edit_with_invalid_body_is_refused,
		deleted_message_is_gone,
		delete_of_others_messages_is_limited_to_owner_and_admins,
		NULL,
	};
	return suite_run("edits", tests, NULL);
}
