/* SPDX-License-Identifier: MIT
 * Chats and their members: who may do what, and what each member sees of it. */
#include <stdio.h>
#include <string.h>

#include "../lib/client.h"
#include "../lib/stream.h"
#include "../lib/suite.h"

START_TEST(group_is_created_with_its_members)
{
	struct client *alice = user("alice"), *bob = user("bob");
	struct stream *s = stream_from_now(bob);
	struct answer a = expect_status(
		post(alice, "/v1/chats", "{'kind':'group','title':'garden','members':['bob','alice','bob']}"), 201);
	ck_assert_str_eq(json_str(a.json, "kind"), "group");
	ck_assert_str_eq(json_str(a.json, "title"), "garden");
	ck_assert_str_eq(json_str(a.json, "created_by"), "alice");
	ck_assert_int_eq(json_num(a.json, "members_count"), 2);
	ck_assert_str_eq(json_str(a.json, "state"), "active");
	ck_assert_uint_eq(strlen(json_str(a.json, "created_at")), 24);
	ck_assert_str_eq(json_str(expect_status(get(bob, "/v1/chats/%lld", json_num(a.json, "id")), 200).json, "title"),
		"garden");
	struct json_object *m = expect(s, "member");
	while (strcmp(json_str(m, "name"), "bob") != 0)
		m = expect(s, "member");
	if (strcmp(stream_peek(s), "member") == 0)
		expect(s, "member");
	ck_assert_int_eq(json_num(expect(s, "chat"), "id"), json_num(a.json, "id"));
	expect_quiet(s);
}
END_TEST

START_TEST(chat_with_invalid_fields_is_refused)
{
	struct client *alice = user("alice");
	user("bob");
	expect_problem(post(alice, "/v1/chats", "{'kind':'group'}"), 422, "bad_chat");
	expect_problem(post(alice, "/v1/chats", "{'kind':'group','title':''}"), 422, "bad_chat");
	expect_problem(post(alice, "/v1/chats", "{'kind':'group','title':'x','members':['no-such-user']}"), 422,
		"unknown_user");
	expect_problem(post(alice, "/v1/chats", "{'kind':'direct','members':['no-such-user']}"), 422, "unknown_user");
	expect_problem(post(alice, "/v1/chats", "{'kind':'group','title':' \\t '}"), 422, "bad_chat");
	expect_problem(post(alice, "/v1/chats", "{'kind':'group','title':'two\\nlines'}"), 422, "bad_chat");
	expect_problem(
		post(alice, "/v1/chats", "{'kind':'direct','members':['bob'],'history':'joined'}"), 422, "bad_chat");
	expect_problem(post(alice, "/v1/chats", "{'kind':'direct','members':[]}"), 422, "bad_chat");
	expect_problem(post(alice, "/v1/chats", "{'kind':'direct','title':'x','members':['bob']}"), 422, "bad_chat");
	expect_problem(post(alice, "/v1/chats", "{'kind':'group','title':5}"), 422, "wrong_type");
	expect_problem(post(alice, "/v1/chats", "{'kind':'group','title':'x','members':'bob'}"), 422, "wrong_type");
	expect_problem(post(alice, "/v1/chats", "{'kind':'group','title':'x','members':[5]}"), 422, "wrong_type");
	expect_problem(post(alice, "/v1/chats", "{'kind':'group','title':'x','owner':'bob'}"), 422, "unknown_field");
	expect_problem(post(alice, "/v1/chats", "{'kind':'group','title':'a\\u0000b'}"), 422, "bad_text");
	expect_status(post(alice, "/v1/chats", "{'kind':'party','title':'x'}"), 422);
	expect_status(post(alice, "/v1/chats", "{'title':'x'}"), 422);
	expect_problem(post(alice, "/v1/chats", "{'kind':"), 400, "bad_json");
	expect_problem(post(anonymous(), "/v1/chats", "{'kind':'group','title':'x'}"), 401, "unauthorized");
}
END_TEST

START_TEST(direct_chat_created_twice_is_the_same_chat)
{
	struct client *ann = new_user(), *ben = new_user();
	char *to_ben = format("/v1/chats/@%s", ben->name), *to_ann = format("/v1/chats/@%s", ann->name);
	expect_problem(get(ann, "%s", to_ben), 404, "not_found");
	long long id =
		json_num(expect_status(post(ann, format("%s/messages", to_ben), "{'text':'psst'}"), 201).json, "chat");
	ck_assert_int_eq(
		json_num(expect_status(post(ben, format("%s/messages", to_ann), "{'text':'yes?'}"), 201).json, "chat"),
		id);
	ck_assert_int_eq(
		json_num(expect_status(post(ben, "/v1/chats", "{'kind':'direct','members':['%s']}", ann->name), 200)
				 .json,
			"id"),
		id);
	struct answer anns = expect_status(get(ann, "%s", to_ben), 200);
	ck_assert_int_eq(json_num(anns.json, "id"), id);
	ck_assert_str_eq(json_str(anns.json, "kind"), "direct");
	ck_assert_str_eq(json_str(anns.json, "title"), ben->name);
	ck_assert_str_eq(json_str(expect_status(get(ben, "/v1/chats/%lld", id), 200).json, "title"), ann->name);
	ck_assert_uint_eq(json_count(expect_status(get(ann, "%s/messages", to_ben), 200).json, "messages"), 2);

	expect_problem(put(ann, member_path(id, user("carol")), "{}"), 403, "forbidden");
	expect_problem(del(ann, "%s", member_path(id, ben)), 403, "forbidden");
	expect_problem(get(user("carol"), "/v1/chats/%lld", id), 404, "not_found");
	expect_problem(post(ann, "/v1/chats/@no-such-user/messages", "{'text':'x'}"), 404, "not_found");
	struct answer made = expect_status(post(ann, "/v1/chats", "{'kind':'direct','members':['carol']}"), 201);
	ck_assert_int_eq(json_num(made.json, "members_count"), 2);
}
END_TEST

START_TEST(direct_chat_created_by_both_at_once_is_one_chat)
{
	for (int i = 0; i < 5; i++) {
		struct client *both[] = { new_user(), new_user() };
		struct wire *w[] = { wire_open(test_server()), wire_open(test_server()) };
		for (int j = 0; j < 2; j++)
			wire_send(w[j],
				"POST /v1/chats/@%s/messages HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n"
				"Content-Length: 2\r\n\r\nhi",
				both[!j]->name, both[j]->token);
		long long a = json_num(expect_status(wire_answer(w[0]), 201).json, "chat"),
			  b = json_num(expect_status(wire_answer(w[1]), 201).json, "chat");
		ck_assert_int_eq(a, b);
		ck_assert_uint_eq(
			json_count(expect_status(get(both[0], "%s", messages_path(a)), 200).json, "messages"), 2);
	}
}
END_TEST

START_TEST(direct_chat_with_oneself_is_allowed)
{
	struct client *ann = new_user();
	struct stream *s = stream_from_now(ann);
	struct answer sent =
		expect_status(post(ann, format("/v1/chats/@%s/messages", ann->name), "{'text':'note'}"), 201);
	expect(s, "member");
	ck_assert_int_eq(json_num(expect(s, "chat"), "members_count"), 1);
	expect_message(s, json_num(sent.json, "id"));
}
END_TEST

/* Creates a group of alice's with carol as admin, bob and dave as members. */
static long long make_test_group(void)
{
	long long chat = make_group(user("alice"), user("bob"), user("carol"), user("dave"));
	expect_status(put(user("alice"), member_path(chat, user("carol")), "{'role':'admin'}"), 200);
	return chat;
}

START_TEST(members_are_added_by_owner_and_admins_only)
{
	struct client *alice = user("alice"), *bob = user("bob"), *carol = user("carol"), *erin = user("erin"),
		      *frank = user("frank");
	long long chat = make_test_group();
	expect_problem(put(bob, member_path(chat, erin), "{}"), 403, "forbidden");
	expect_problem(put(erin, member_path(chat, erin), "{}"), 404, "not_found");
	struct answer a = expect_status(put(carol, member_path(chat, erin), "{}"), 200);
	ck_assert_str_eq(json_str(a.json, "name"), "erin");
	ck_assert_str_eq(json_str(a.json, "role"), "member");
	ck_assert_str_eq(json_str(a.json, "state"), "joined");
	expect_status(put(alice, member_path(chat, frank), "{'role':'admin'}"), 200);
	expect_status(put(alice, member_path(chat, frank), "{'role':'admin'}"), 200); /* repeated */
	ck_assert_int_eq(json_num(expect_status(get(erin, "/v1/chats/%lld", chat), 200).json, "members_count"), 6);
	struct answer all = expect_status(get(erin, "/v1/chats/%lld/members", chat), 200);
	ck_assert_uint_eq(json_count(all.json, "members"), 6);
	ck_assert_str_eq(json_str(all.json, "members.0.name"), "alice");
	ck_assert_str_eq(json_str(all.json, "members.0.role"), "owner");
	expect_problem(put(alice, format("/v1/chats/%lld/members/no-such-user", chat), "{}"), 422, "unknown_user");
	ck_assert_str_eq(
		json_str(
			expect_problem(put(alice, member_path(chat, bob), "{'role':'king'}"), 422, "out_of_range").json,
			"detail"),
		"role must be owner, admin or member.");
	expect_problem(put(alice, member_path(chat, bob), "{'name':'joined'}"), 422, "unknown_field");
}
END_TEST

START_TEST(roles_are_changed_by_owner_only)
{
	struct client *alice = user("alice"), *bob = user("bob"), *carol = user("carol"), *dave = user("dave");
	long long chat = make_test_group();
	expect_problem(put(carol, member_path(chat, bob), "{'role':'admin'}"), 403, "forbidden");
	expect_problem(put(bob, member_path(chat, bob), "{'role':'admin'}"), 403, "forbidden");
	expect_problem(put(carol, member_path(chat, carol), "{'role':'owner'}"), 403, "forbidden");
	expect_problem(put(carol, member_path(chat, user("erin")), "{'role':'admin'}"), 403, "forbidden");
	expect_status(put(alice, member_path(chat, bob), "{'role':'admin'}"), 200);
	expect_status(put(alice, member_path(chat, carol), "{'role':'member'}"), 200);
	expect_problem(del(carol, "%s", member_path(chat, dave)), 403, "forbidden");
	expect_status(del(bob, "%s", member_path(chat, dave)), 204);

	expect_status(put(alice, member_path(chat, bob), "{'role':'owner'}"), 200);
	struct answer all = expect_status(get(bob, "/v1/chats/%lld/members", chat), 200);
	ck_assert_str_eq(json_str(all.json, "members.0.role"), "admin");
	ck_assert_str_eq(json_str(all.json, "members.1.role"), "owner");
	expect_problem(del(alice, "/v1/chats/%lld", chat), 403, "forbidden");
}
END_TEST

START_TEST(kick_by_admin_is_limited_to_members)
{
	struct client *alice = user("alice"), *bob = user("bob"), *carol = user("carol"), *dave = user("dave"),
		      *erin = user("erin");
	long long chat = make_test_group();
	expect_status(put(alice, member_path(chat, erin), "{'role':'admin'}"), 200);
	expect_problem(del(bob, "%s", member_path(chat, dave)), 403, "forbidden");
	expect_problem(del(carol, "%s", member_path(chat, alice)), 403, "forbidden");
	expect_problem(del(carol, "%s", member_path(chat, erin)), 403, "forbidden");
	expect_status(del(carol, "%s", member_path(chat, dave)), 204);
	expect_status(del(carol, "%s", member_path(chat, dave)), 204);
	expect_status(del(alice, "%s", member_path(chat, erin)), 204);
	expect_problem(get(dave, "/v1/chats/%lld", chat), 404, "not_found");
	expect_problem(post(dave, messages_path(chat), "{'text':'hey'}"), 404, "not_found");
	expect_problem(put(dave, member_path(chat, dave), "{}"), 404, "not_found");
	expect_problem(del(carol, "/v1/chats/%lld/members/no-such-user", chat), 404, "not_found");
	ck_assert_int_eq(json_num(expect_status(get(bob, "/v1/chats/%lld", chat), 200).json, "members_count"), 3);
}
END_TEST

START_TEST(member_leaves_and_loses_access)
{
	struct client *alice = user("alice"), *bob = user("bob");
	long long chat = make_test_group();
	expect_status(del(bob, "%s", member_path(chat, bob)), 204);
	expect_problem(get(bob, "/v1/chats/%lld", chat), 404, "not_found");
	expect_problem(del(bob, "%s", member_path(chat, bob)), 404, "not_found");
	expect_status(put(alice, member_path(chat, bob), "{}"), 200);
	expect_status(get(bob, "/v1/chats/%lld", chat), 200);
}
END_TEST

START_TEST(owner_leaving_hands_over_to_longest_serving_admin)
{
	struct client *alice = user("alice"), *bob = user("bob"), *carol = user("carol"), *dave = user("dave");
	long long chat = make_test_group();
	expect_status(put(alice, member_path(chat, dave), "{'role':'admin'}"), 200);
	struct stream *s = stream_from_now(dave);
	expect_status(del(alice, "%s", member_path(chat, alice)), 204);
	ck_assert_str_eq(json_str(expect(s, "member"), "state"), "left");
	struct json_object *new_owner = expect(s, "member"); /* the admin who joined first */
	ck_assert_str_eq(json_str(new_owner, "name"), "carol");
	ck_assert_str_eq(json_str(new_owner, "role"), "owner");
	expect_status(del(carol, "%s", member_path(chat, carol)), 204);
	expect_status(patch(dave, format("/v1/chats/%lld", chat), "{'title':'my garden'}"), 200);
	expect_status(del(dave, "%s", member_path(chat, dave)), 204);
	expect_status(del(bob, "/v1/chats/%lld", chat), 204); /* the last member is the owner */
}
END_TEST

START_TEST(owner_leaving_skips_disabled_members)
{
	struct client *ann = new_user(), *ben = new_user(), *cat = new_user();
	long long chat = make_group(ann, ben, cat);
	expect_status(put(ann, member_path(chat, ben), "{'role':'admin'}"), 200);
	server_command(test_server(), NULL, "user", "disable", ben->name);
	expect_problem(put(ann, member_path(chat, ben), "{'role':'owner'}"), 422, "unknown_user");
	expect_status(del(ann, "%s", member_path(chat, ann)), 204);
	ck_assert_str_eq(json_str(expect_status(get(cat, "/v1/chats/%lld", chat), 200).json, "my_role"), "owner");
}
END_TEST

/* Otherwise a user could join a chat that nobody controls. */
START_TEST(last_member_leaving_deletes_the_chat)
{
	struct client *ann = new_user(), *ben = new_user();
	const char *handle = format("last-%s", ann->name);
	long long chat = json_num(
		expect_status(
			post(ann, "/v1/chats",
				"{'kind':'channel','title':'news','handle':'%s','system_messages':'all'}", handle),
			201)
			.json,
		"id");
	const char *code =
		json_str(expect_status(post(ann, format("/v1/chats/%lld/invites", chat), NULL), 201).json, "code");
	struct stream *s = stream_from_now(ann);
	expect_status(del(ann, "%s", member_path(chat, ann)), 204);
	ck_assert_str_eq(json_str(expect(s, "member"), "state"), "left");
	expect_quiet(s);
	expect_problem(post(ben, format("/v1/invites/%s", code), NULL), 404, "not_found");
	expect_problem(post(ben, format("/v1/channels/%s", handle), NULL), 404, "not_found");
	expect_status(post(ben, "/v1/chats", "{'kind':'channel','title':'news','handle':'%s'}", handle),
		201); /* the handle is free again */
}
END_TEST

START_TEST(title_change_is_sent_to_every_member)
{
	struct client *alice = user("alice"), *bob = user("bob"), *carol = user("carol");
	long long chat = make_test_group();
	char *path = format("/v1/chats/%lld", chat);
	struct stream *s = stream_from_now(bob);
	expect_problem(patch(bob, path, "{'title':'bobs'}"), 403, "forbidden");
	expect_problem(patch(user("mallory"), path, "{'title':'mallorys'}"), 404, "not_found");
	expect_problem(patch(alice, path, "{'title':''}"), 422, "bad_chat");
	expect_problem(patch(alice, path, "{'title':'\\u0085'}"), 422, "bad_chat");
	expect_problem(patch(alice, path, "{'kind':'direct'}"), 422, "unknown_field");
	expect_status(patch(carol, path, "{'title':'orchard'}"), 200);
	struct json_object *c = expect(s, "chat");
	ck_assert_int_eq(json_num(c, "id"), chat);
	ck_assert_str_eq(json_str(c, "title"), "orchard");
	ck_assert_msg(!json_has(c, "unread") && !json_has(c, "my_role"), "an event is the same for all: %s",
		json_object_to_json_string(c));
	expect_quiet(s);
}
END_TEST

START_TEST(change_to_same_value_makes_no_event)
{
	struct client *ann = new_user(), *ben = new_user();
	long long chat = make_group(ann, ben);
	char *path = format("/v1/chats/%lld", chat);
	expect_status(patch(ann, path, "{'title':'orchard','slow_mode':5}"), 200);
	struct stream *s = stream_from_now(ben);
	expect_status(patch(ann, path, "{'title':'orchard','slow_mode':5,'message_ttl':0,'posting':'members'}"), 200);
	expect_status(patch(ann, path, "{}"), 200);
	expect_status(put(ann, member_path(chat, ben), "{}"), 200);
	expect_status(put(ann, member_path(chat, ben), "{'role':'member','muted_until':'2001-01-01T00:00:00Z'}"), 200);
	expect_quiet(s);
	ck_assert_uint_eq(json_count(expect_status(get(ann, "%s/audit", path), 200).json, "acts"), 1);
	expect_status(patch(ann, path, "{'slow_mode':0}"), 200);
	ck_assert(!json_has(expect(s, "chat"), "slow_mode"));
}
END_TEST

START_TEST(chat_deleted_is_gone_for_every_member)
{
	struct client *alice = user("alice"), *bob = user("bob"), *carol = user("carol");
	long long chat = make_test_group(), id = say(bob, chat, "hi");
	const char *cursor = json_str(expect_status(get(bob, "/v1/sync"), 200).json, "cursor");
	struct stream *s = stream_from_now(bob);
	expect_problem(del(carol, "/v1/chats/%lld", chat), 403, "forbidden");
	expect_problem(del(user("mallory"), "/v1/chats/%lld", chat), 404, "not_found");
	expect_status(del(alice, "/v1/chats/%lld", chat), 204);
	struct json_object *c = expect(s, "chat");
	ck_assert_int_eq(json_num(c, "id"), chat);
	ck_assert_str_eq(json_str(c, "state"), "deleted");
	expect_quiet(s);
	ck_assert_str_eq(json_str(expect(stream_since(bob, cursor), "chat"), "state"), "deleted");
	expect_problem(get(bob, "/v1/chats/%lld", chat), 404, "not_found");
	expect_problem(get(bob, "%s", message_path(chat, id)), 404, "not_found");
	expect_problem(post(bob, messages_path(chat), "{'text':'anybody?'}"), 404, "not_found");
	expect_problem(del(alice, "/v1/chats/%lld", chat), 404, "not_found");
	struct answer sync = expect_status(get(bob, "/v1/sync"), 200);
	for (size_t i = 0; i < json_count(sync.json, "chats"); i++)
		ck_assert_int_ne(json_num(sync.json, format("chats.%zu.id", i)), chat);
}
END_TEST

START_TEST(unread_count_follows_messages_and_read_marks)
{
	struct client *ann = new_user(), *ben = new_user();
	long long chat = make_group(ann, ben), first = say(ann, chat, "1"), second = say(ann, chat, "2"),
		  third = say(ann, chat, "3");
	char *path = format("/v1/chats/%lld", chat);
	struct answer a = expect_status(get(ben, "%s", path), 200);
	ck_assert_int_eq(json_num(a.json, "unread"), 3);
	ck_assert_int_eq(json_num(a.json, "first_unread"), first);
	ck_assert_int_eq(json_num(a.json, "last_message.id"), third);
	ck_assert_int_eq(
		json_num(expect_status(get(ann, "%s", path), 200).json, "unread"), 0); /* own messages don't count */

	expect_status(post(ben, format("%s/read", path), "{'up_to':%lld}", second), 204);
	a = expect_status(get(ben, "%s", path), 200);
	ck_assert_int_eq(json_num(a.json, "unread"), 1);
	ck_assert_int_eq(json_num(a.json, "first_unread"), third);
	expect_status(post(ben, format("%s/read", path), "{'up_to':%lld}", first), 204); /* a mark never moves back */
	ck_assert_int_eq(json_num(expect_status(get(ben, "%s", path), 200).json, "unread"), 1);
	expect_status(post(ben, format("%s/read", path), "{'up_to':%lld}", third), 204);
	ck_assert_int_eq(json_num(expect_status(get(ben, "%s", path), 200).json, "unread"), 0);
	say(ann, chat, "4");
	ck_assert_int_eq(json_num(expect_status(get(ben, "/v1/sync"), 200).json, "chats.0.unread"), 1);
	ck_assert_int_eq(json_num(expect_status(get(ben, "/v1/chats"), 200).json, "chats.0.unread"), 1);

	struct answer receipts = expect_status(get(ann, "%s/receipts", path), 200);
	ck_assert_ptr_nonnull(strstr(receipts.body, ben->name));
	expect_problem(post(ben, format("%s/read", path), "{'up_to':'x'}"), 422, "wrong_type");
	expect_problem(post(ben, format("%s/read", path), "{'up_to':-1}"), 422, "out_of_range");
	expect_status(post(ben, format("%s/read", path), "{}"), 422);
}
END_TEST

START_TEST(delivered_mark_leaves_unread_count_unchanged)
{
	struct client *ann = new_user(), *ben = new_user();
	long long chat = make_group(ann, ben), id = say(ann, chat, "1");
	expect_status(post(ben, format("/v1/chats/%lld/delivered", chat), "{'up_to':%lld}", id), 204);
	ck_assert_int_eq(json_num(expect_status(get(ben, "/v1/chats/%lld", chat), 200).json, "unread"), 1);
	struct answer receipts = expect_status(get(ann, "/v1/chats/%lld/receipts", chat), 200);
	ck_assert_int_eq(json_num(receipts.json, "receipts.0.delivered"), id);
}
END_TEST

START_TEST(chat_list_is_paginated)
{
	struct client *ann = new_user();
	long long chats[5], seen = 0;
	for (int i = 0; i < 5; i++)
		chats[i] = make_group(ann);
	struct answer a = expect_status(get(ann, "/v1/chats?limit=2"), 200);
	for (;;) {
		for (size_t i = 0; i < json_count(a.json, "chats"); i++)
			ck_assert_int_eq(json_num(a.json, format("chats.%zu.id", i)), chats[seen++]);
		if (!json_has(a.json, "next"))
			break;
		ck_assert_uint_eq(json_count(a.json, "chats"), 2);
		a = expect_status(get(ann, "/v1/chats?limit=2&cursor=%s", json_str(a.json, "next")), 200);
	}
	ck_assert_int_eq(seen, 5);
	expect_problem(get(ann, "/v1/chats?cursor=x"), 400, "bad_cursor");
}
END_TEST

START_TEST(absent_and_hidden_chat_answers_are_identical)
{
	struct client *mallory = user("mallory");
	long long hidden = make_test_group(), absent = 987654321;
	const struct {
		const char *method, *path, *body;
	} asked[] = {
		{ "GET", "", NULL },
		{ "PATCH", "", "{\"title\":\"x\"}" },
		{ "DELETE", "", NULL },
		{ "GET", "/members", NULL },
		{ "PUT", "/members/bob", "{}" },
		{ "PUT", "/members/mallory", "{}" },
		{ "DELETE", "/members/bob", NULL },
		{ "DELETE", "/members/mallory", NULL },
		{ "GET", "/messages", NULL },
		{ "POST", "/messages", "{\"text\":\"x\"}" },
		{ "POST", "/read", "{\"up_to\":1}" },
		{ "POST", "/delivered", "{\"up_to\":1}" },
		{ "GET", "/receipts", NULL },
	};
	for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
		struct answer a[2];
		for (int j = 0; j < 2; j++)
			a[j] = expect_problem(send_request(with_header(mallory, "X-Request-Id: same"), asked[i].method,
						      format("/v1/chats/%lld%s", j ? hidden : absent, asked[i].path),
						      asked[i].body ? "application/json" : NULL, asked[i].body,
						      asked[i].body ? strlen(asked[i].body) : 0),
				404, "not_found");
		ck_assert_str_eq(a[0].body, a[1].body);
	}
}
END_TEST

START_TEST(muted_member_reads_but_cannot_write)
{
	struct client *alice = user("alice"), *bob = user("bob"), *carol = user("carol");
	long long chat = make_test_group(), id = say(bob, chat, "noise");
	expect_status(put(carol, member_path(chat, bob), "{'muted_until':'2100-01-01T00:00:00Z'}"), 200);
	expect_problem(post(bob, messages_path(chat), "{'text':'more noise'}"), 403, "muted");
	expect_problem(patch(bob, message_path(chat, id), "{'text':'louder'}"), 403, "muted");
	expect_status(get(bob, "%s", messages_path(chat)), 200);
	expect_problem(put(bob, member_path(chat, bob), "{'muted_until':'2000-01-01T00:00:00Z'}"), 403, "forbidden");
	expect_problem(
		put(carol, member_path(chat, alice), "{'muted_until':'2100-01-01T00:00:00Z'}"), 403, "forbidden");
	expect_status(put(carol, member_path(chat, bob), "{'muted_until':'2000-01-01T00:00:00Z'}"), 200);
	say(bob, chat, "sorry");
	expect_status(put(carol, member_path(chat, bob), "{'muted_until':'soon'}"), 422);
}
END_TEST

START_TEST(channel_send_by_plain_member_is_refused)
{
	struct client *alice = user("alice"), *bob = user("bob");
	struct answer a =
		expect_status(post(alice, "/v1/chats", "{'kind':'channel','title':'news','members':['bob']}"), 201);
	long long chat = json_num(a.json, "id");
	struct stream *s = stream_from_now(bob);
	expect_problem(post(bob, messages_path(chat), "{'text':'first!'}"), 403, "forbidden");
	expect_message(s, say(alice, chat, "news"));
	expect_status(put(alice, member_path(chat, bob), "{'role':'admin'}"), 200);
	say(bob, chat, "thanks");
}
END_TEST

START_TEST(group_over_members_max_is_refused)
{
	const char *const flags[] = { "--members-max", "3", NULL };
	struct server *node = server_join(test_server(), flags);
	struct client *alice = on_server(user("alice"), node);
	user("bob"), user("carol"), user("dave");
	expect_problem(post(alice, "/v1/chats", "{'kind':'group','title':'x','members':['bob','carol','dave']}"), 422,
		"too_many_members");
	long long chat = json_num(
		expect_status(post(alice, "/v1/chats", "{'kind':'group','title':'x','members':['bob','carol']}"), 201)
			.json,
		"id");
	expect_problem(put(alice, member_path(chat, user("dave")), "{}"), 422, "too_many_members");
	expect_status(del(alice, "%s", member_path(chat, user("bob"))), 204);
	expect_status(put(alice, member_path(chat, user("dave")), "{}"), 200);
	server_stop(node);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		group_is_created_with_its_members,
		chat_with_invalid_fields_is_refused,
		direct_chat_created_twice_is_the_same_chat,
		direct_chat_created_by_both_at_once_is_one_chat,
		direct_chat_with_oneself_is_allowed,
		members_are_added_by_owner_and_admins_only,
		roles_are_changed_by_owner_only,
		kick_by_admin_is_limited_to_members,
		member_leaves_and_loses_access,
		owner_leaving_hands_over_to_longest_serving_admin,
		owner_leaving_skips_disabled_members,
		last_member_leaving_deletes_the_chat,
		title_change_is_sent_to_every_member,
		change_to_same_value_makes_no_event,
		chat_deleted_is_gone_for_every_member,
		unread_count_follows_messages_and_read_marks,
		delivered_mark_leaves_unread_count_unchanged,
		chat_list_is_paginated,
		absent_and_hidden_chat_answers_are_identical,
		muted_member_reads_but_cannot_write,
		channel_send_by_plain_member_is_refused,
		group_over_members_max_is_refused,
		NULL,
	};
	return suite_run("chats", tests, NULL);
}
