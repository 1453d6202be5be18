/* SPDX-License-Identifier: MIT
 * System messages: which changes of a chat are recorded among its messages. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/client.h"
#include "../lib/database.h"
#include "../lib/stream.h"
#include "../lib/suite.h"

static char *chat_path(long long chat) { return format("/v1/chats/%lld", chat); }

START_TEST(group_changes_are_system_messages)
{
	struct client *alice = user("alice"), *bob = user("bob"), *carol = user("carol"), *dave = user("dave");
	struct stream *s = stream_from_now(bob);
	long long chat = json_num(
		expect_status(
			post(alice, "/v1/chats",
				"{'kind':'group','title':'garden','members':['bob','carol'],'system_messages':'all'}"),
			201)
			.json,
		"id");
	struct json_object *m = expect_system(s, "chat_created");
	ck_assert_int_eq(json_num(m, "chat"), chat);
	ck_assert_str_eq(json_str(m, "from"), "alice");
	ck_assert_str_eq(json_str(m, "type"), "system");
	ck_assert_str_eq(json_str(m, "content.title"), "garden");
	ck_assert(!json_has(m, "text"));
	expect_status(patch(alice, chat_path(chat), "{'title':'orchard','history':'joined'}"), 200);
	ck_assert_str_eq(json_str(expect_system(s, "title_changed"), "content.title"), "orchard");
	ck_assert_str_eq(json_str(expect_system(s, "history_changed"), "content.history"), "joined");
	expect_status(patch(alice, chat_path(chat), "{'title':'orchard'}"), 200); /* unchanged: no message */
	expect_status(put(alice, member_path(chat, dave), "{}"), 200);
	ck_assert_str_eq(json_str(expect_system(s, "member_added"), "content.name"), "dave");
	expect_status(put(alice, member_path(chat, carol), "{'role':'admin'}"), 200);
	m = expect_system(s, "role_changed");
	ck_assert_str_eq(json_str(m, "content.name"), "carol");
	ck_assert_str_eq(json_str(m, "content.role"), "admin");
	expect_status(put(alice, member_path(chat, dave), "{'muted_until':'2100-01-01T00:00:00Z'}"),
		200); /* a mute makes no message */
	expect_status(del(carol, "%s", member_path(chat, dave)), 204);
	m = expect_system(s, "member_removed");
	ck_assert_str_eq(json_str(m, "from"), "carol");
	ck_assert_str_eq(json_str(m, "content.name"), "dave");
	expect_status(patch(alice, chat_path(chat), "{'message_ttl':3600}"), 200);
	m = expect_system(s, "message_ttl_changed");
	ck_assert_int_eq(json_num(m, "content.message_ttl"), 3600);
	ck_assert(!json_has(m, "expires_at"));
	long long id = say(bob, chat, "hi");
	expect_status(put(carol, format("%s/pin", message_path(chat, id)), NULL), 200);
	ck_assert_int_eq(json_num(expect_system(s, "message_pinned"), "content.id"), id);
	expect_status(del(alice, "%s", member_path(chat, alice)), 204);
	ck_assert_str_eq(json_str(expect_system(s, "member_left"), "from"), "alice");
	ck_assert_str_eq(json_str(expect_system(s, "owner_changed"), "content.name"), "carol");
	expect_status(put(carol, member_path(chat, bob), "{'role':'owner'}"), 200);
	m = expect_system(s, "owner_changed");
	ck_assert_str_eq(json_str(m, "content.name"), "bob");

	struct answer a = expect_status(get(bob, "%s", messages_path(chat)), 200);
	ck_assert_uint_eq(json_count(a.json, "messages"), 12);
	ck_assert_int_eq(json_num(expect_status(get(bob, "%s", chat_path(chat)), 200).json, "unread"), 0);
}
END_TEST

START_TEST(system_message_of_join_reaches_the_member_and_of_kick_does_not)
{
	struct client *alice = user("alice"), *bob = user("bob"), *dave = user("dave");
	long long chat = json_num(expect_status(post(alice, "/v1/chats",
							"{'kind':'group','title':'x','members':['bob'],"
							"'history':'joined','system_messages':'all'}"),
					  201)
					  .json,
		"id");
	struct stream *gone = stream_from_now(bob), *new = stream_from_now(dave);
	expect_status(del(alice, "%s", member_path(chat, bob)), 204);
	ck_assert_str_eq(json_str(expect(gone, "member"), "state"), "kicked");
	expect_status(put(alice, member_path(chat, dave), "{}"), 200);
	ck_assert_str_eq(json_str(expect(new, "member"), "state"), "joined");
	expect(new, "chat");
	ck_assert_str_eq(json_str(expect_system(new, "member_added"), "content.name"), "dave");
	struct answer a = expect_status(get(dave, "%s", messages_path(chat)), 200);
	ck_assert_uint_eq(json_count(a.json, "messages"), 1);
	ck_assert_str_eq(json_str(a.json, "messages.0.content.code"), "member_added");
	expect_status(post(bob, "/v1/chats", "{'kind':'group','title':'y','system_messages':'all'}"), 201);
	ck_assert_str_eq(json_str(expect_system(gone, "chat_created"), "content.title"),
		"y"); /* with no system message before it */
}
END_TEST

/* Removing thousands of members makes no message with thousands of names. */
START_TEST(system_message_of_large_removal_has_no_names)
{
	struct client *ann = new_user();
	long long chat = json_num(
		expect_status(post(ann, "/v1/chats", "{'kind':'group','title':'x','system_messages':'all'}"), 201).json,
		"id");
	char *names = on_teardown(free, malloc(101 * 24));
	for (size_t i = 0, len = 0; i < 101; i++)
		len += (size_t)sprintf(names + len, "%s'crowd-%zu'", i ? "," : "", i);
	sql(database_open(test_server()),
		"insert into postern.account (name, created_at, rev) select 'crowd-' || i, now(), 0 from "
		"generate_series(0, 100) i");
	ck_assert_int_eq(
		json_num(expect_status(post(ann, format("/v1/chats/%lld/members", chat), "{'add':[%s]}", names), 200)
				 .json,
			"added"),
		101);
	ck_assert_int_eq(
		json_num(expect_status(post(ann, format("/v1/chats/%lld/members", chat), "{'remove':[%s]}", names), 200)
				 .json,
			"removed"),
		101);
	struct answer a = expect_status(get(ann, "%s", messages_path(chat)), 200);
	ck_assert_uint_eq(json_count(a.json, "messages"), 1);
	ck_assert_str_eq(json_str(a.json, "messages.0.content.code"), "chat_created");
}
END_TEST

START_TEST(system_message_cannot_be_sent_or_edited)
{
	struct client *alice = user("alice"), *bob = user("bob");
	long long chat = json_num(
		expect_status(post(alice, "/v1/chats",
				      "{'kind':'group','title':'x','members':['bob'],'system_messages':'all'}"),
			201)
			.json,
		"id");
	expect_status(put(alice, member_path(chat, bob), "{'role':'admin'}"), 200);
	expect_status(patch(bob, chat_path(chat), "{'title':'y'}"), 200);
	expect_status(put(alice, member_path(chat, bob), "{'role':'member'}"), 200);
	struct answer a = expect_status(get(bob, "%s", messages_path(chat)), 200);
	ck_assert_uint_eq(json_count(a.json, "messages"), 4);
	long long bobs = json_num(a.json, "messages.2.id");
	ck_assert_str_eq(json_str(a.json, "messages.2.from"), "bob");
	expect_problem(patch(bob, message_path(chat, bobs), "{'content':{'code':'chat_created'}}"), 403, "forbidden");
	expect_problem(del(bob, "%s", message_path(chat, bobs)), 403, "forbidden");
	expect_problem(post(bob, messages_path(chat), "{'type':'system','content':{'code':'x'}}"), 422, "out_of_range");
	expect_problem(post(bob, messages_path(chat), "{'forward':{'chat':%lld,'id':%lld}}", chat, bobs), 422,
		"unknown_forward");
	expect_status(del(alice, "%s", message_path(chat, bobs)), 204);
}
END_TEST

START_TEST(bans_invites_and_batches_are_system_messages)
{
	struct client *ann = new_user(), *ben = new_user(), *cem = new_user(), *dee = new_user();
	long long chat = json_num(
		expect_status(post(ann, "/v1/chats", "{'kind':'group','title':'x','system_messages':'all'}"), 201).json,
		"id");
	struct stream *s = stream_from_now(ann);
	expect_status(
		post(ann, format("%s/members", chat_path(chat)), "{'add':['%s','%s']}", ben->name, cem->name), 200);
	ck_assert_uint_eq(json_count(expect_system(s, "members_added"), "content.names"), 2);
	expect_status(put(ann, member_path(chat, ben), "{'state':'banned'}"), 200);
	ck_assert_str_eq(json_str(expect_system(s, "member_banned"), "content.name"), ben->name);
	expect_status(post(ann, format("%s/members", chat_path(chat)), "{'remove':['%s']}", cem->name), 200);
	ck_assert_str_eq(json_str(expect_system(s, "members_removed"), "content.names.0"), cem->name);
	const char *code =
		json_str(expect_status(post(ann, format("%s/invites", chat_path(chat)), "{}"), 201).json, "code");
	expect_status(post(dee, format("/v1/invites/%s", code), NULL), 200);
	ck_assert_str_eq(json_str(expect_system(s, "member_joined"), "from"), dee->name);
}
END_TEST

START_TEST(system_messages_can_be_switched_off)
{
	struct client *alice = user("alice"), *bob = user("bob");
	long long chat = make_group(alice, bob);
	ck_assert_str_eq(json_str(expect_status(get(bob, "%s", chat_path(chat)), 200).json, "system_messages"), "none");
	expect_status(patch(alice, chat_path(chat), "{'title':'x'}"), 200);
	expect_status(del(alice, "%s", member_path(chat, bob)), 204);
	ck_assert_uint_eq(json_count(expect_status(get(alice, "%s", messages_path(chat)), 200).json, "messages"), 0);
	expect_status(patch(alice, chat_path(chat), "{'title':'y','system_messages':'all'}"), 200);
	ck_assert_uint_eq(json_count(expect_status(get(alice, "%s", messages_path(chat)), 200).json, "messages"), 1);
	expect_problem(patch(alice, chat_path(chat), "{'system_messages':'some'}"), 422, "out_of_range");
}
END_TEST

START_TEST(channels_and_direct_chats_have_no_membership_messages)
{
	struct client *alice = user("alice"), *bob = user("bob"), *ann = new_user(), *ben = new_user();
	long long chat = json_num(
		expect_status(post(alice, "/v1/chats",
				      "{'kind':'channel','title':'news','members':['bob'],'system_messages':'all'}"),
			201)
			.json,
		"id");
	expect_status(put(alice, member_path(chat, ann), "{}"), 200);
	expect_status(del(bob, "%s", member_path(chat, bob)), 204);
	struct answer a = expect_status(get(ann, "%s", messages_path(chat)), 200);
	ck_assert_uint_eq(json_count(a.json, "messages"), 1);
	ck_assert_str_eq(json_str(a.json, "messages.0.content.code"), "chat_created");
	expect_status(post(ann, format("/v1/chats/@%s/messages", ben->name), "{'text':'hi'}"), 201);
	a = expect_status(get(ben, "/v1/chats/@%s/messages", ann->name), 200);
	ck_assert_uint_eq(json_count(a.json, "messages"), 1);
	ck_assert_str_eq(json_str(a.json, "messages.0.text"), "hi");
}
END_TEST

int main(void)
{
	const TTest *const tests[] = { group_changes_are_system_messages,
		system_message_of_join_reaches_the_member_and_of_kick_does_not,
		system_message_of_large_removal_has_no_names, system_message_cannot_be_sent_or_edited,
		bans_invites_and_batches_are_system_messages, system_messages_can_be_switched_off,
		channels_and_direct_chats_have_no_membership_messages, NULL };
	return suite_run("system", tests, NULL);
}
