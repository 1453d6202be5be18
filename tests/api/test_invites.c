/* SPDX-License-Identifier: MIT
 * Joining a chat by invite or through a public channel, and which users can't. */
#include <stdio.h>
#include <string.h>

#include "../lib/client.h"
#include "../lib/database.h"
#include "../lib/stream.h"
#include "../lib/suite.h"

static char *chat_path(long long chat) { return format("/v1/chats/%lld", chat); }
static char *invites_of(long long chat) { return format("/v1/chats/%lld/invites", chat); }
static char *invite_path(const char *code) { return format("/v1/invites/%s", code); }
static char *channel_path(const char *handle) { return format("/v1/channels/%s", handle); }

static const char *make_invite(const struct client *who, long long chat, const char *json)
{
	return json_str(expect_status(post(who, invites_of(chat), "%s", json), 201).json, "code");
}

static int members_count(const struct client *who, long long chat)
{
	return (int)json_num(expect_status(get(who, "%s", chat_path(chat)), 200).json, "members_count");
}

/* ---- invites ---- */

START_TEST(invite_lets_user_join)
{
	struct client *ann = new_user(), *ben = new_user(), *eve = new_user();
	long long chat = make_group(ann, ben);
	struct answer made = expect_status(post(ann, invites_of(chat), NULL), 201);
	const char *code = json_str(made.json, "code");
	ck_assert_msg(strlen(code) >= 22, "a code of %zu characters can be guessed", strlen(code));
	struct stream *s = stream_from_now(ben), *eves = stream_from_now(eve);

	struct answer seen = expect_status(get(eve, "%s", invite_path(code)), 200);
	ck_assert_str_eq(json_str(seen.json, "title"), "garden");
	ck_assert_int_eq(json_num(seen.json, "members_count"), 2);
	ck_assert_str_eq(json_str(seen.json, "created_by"), ann->name);
	ck_assert(!json_has(seen.json, "chat"));
	expect_problem(get(eve, "%s", chat_path(chat)), 404, "not_found"); /* reading an invite doesn't join */

	struct answer a = expect_status(post(eve, invite_path(code), NULL), 200);
	ck_assert_int_eq(json_num(a.json, "id"), chat);
	ck_assert_str_eq(json_str(a.json, "my_role"), "member");
	ck_assert_int_eq(json_num(a.json, "members_count"), 3);
	ck_assert_str_eq(json_str(expect(s, "member"), "name"), eve->name);
	ck_assert_int_eq(json_num(expect(s, "chat"), "members_count"), 3);
	ck_assert_str_eq(json_str(expect(eves, "member"), "state"), "joined");
	expect(eves, "chat");
	expect_message(eves, say(ben, chat, "welcome"));

	expect_status(post(eve, invite_path(code), NULL), 200); /* repeated */
	ck_assert_int_eq(json_num(expect_status(get(eve, "%s", invite_path(code)), 200).json, "chat"), chat);
	ck_assert_int_eq(members_count(ann, chat), 3);
	struct answer list = expect_status(get(ann, "%s", invites_of(chat)), 200);
	ck_assert_uint_eq(json_count(list.json, "invites"), 1);
	ck_assert_int_eq(json_num(list.json, "invites.0.uses"), 1);
	ck_assert_msg(strstr(list.body, code) == NULL, "the code is shown again");
	ck_assert_str_eq(sql(database_open(test_server()),
				 "select count(*) from postern.invite i where i::text like '%%%s%%'", code),
		"0");
}
END_TEST

START_TEST(invite_used_up_expired_or_revoked_is_refused)
{
	struct client *ann = new_user(), *ben = new_user(), *cat = new_user(), *dan = new_user();
	long long chat = make_group(ann), gone = make_group(ann);
	const char *code = make_invite(ann, chat, "{'max_uses':1}");
	expect_status(post(ben, invite_path(code), NULL), 200);
	expect_problem(get(cat, "%s", invite_path(code)), 404, "not_found");
	expect_problem(post(cat, invite_path(code), NULL), 404, "not_found");
	expect_status(post(ben, invite_path(code), NULL), 200); /* ben is a member already */

	code = make_invite(ann, chat, "{'expires_at':'2100-01-01T00:00:00Z'}");
	expect_status(post(cat, invite_path(code), NULL), 200);
	sql(database_open(test_server()),
		"update postern.invite set expires_at = now() - interval '1 s' where chat_id = %lld and max_uses is "
		"null",
		chat);
	expect_problem(get(dan, "%s", invite_path(code)), 404, "not_found");
	expect_problem(post(dan, invite_path(code), NULL), 404, "not_found");

	struct answer made = expect_status(post(ann, invites_of(chat), "{}"), 201);
	code = json_str(made.json, "code");
	expect_status(del(ann, "%s/%lld", invites_of(chat), json_num(made.json, "id")), 204);
	expect_problem(post(dan, invite_path(code), NULL), 404, "not_found");
	expect_problem(del(ann, "%s/%lld", invites_of(chat), json_num(made.json, "id")), 404, "not_found");

	code = make_invite(ann, gone, "{}");
	expect_status(del(ann, "%s", chat_path(gone)), 204);
	expect_problem(post(dan, invite_path(code), NULL), 404, "not_found");
	expect_problem(post(ann, invite_path(code), NULL), 404, "not_found");
	expect_problem(post(ann, invites_of(chat), "{'expires_at':'2001-01-01T00:00:00Z'}"), 422, "out_of_range");
	expect_problem(post(ann, invites_of(chat), "{'max_uses':0}"), 422, "out_of_range");
}
END_TEST

START_TEST(invite_invalid_and_banned_answers_are_identical)
{
	struct client *ann = new_user(), *ben = new_user();
	long long chat = make_group(ann, ben);
	const char *code = make_invite(ann, chat, "{}");
	expect_status(put(ann, member_path(chat, ben), "{'state':'banned'}"), 200);
	const char *asked[] = { code, "8Vnxg4PZTU6qFzK0cN3mWmQ0yQ7l9kPzq5rB1s2t3u4" };
	for (int m = 0; m < 2; m++) {
		struct answer a[2];
		for (int j = 0; j < 2; j++)
			a[j] = expect_problem(send_request(with_header(ben, "X-Request-Id: same"), m ? "POST" : "GET",
						      invite_path(asked[j]), NULL, NULL, 0),
				404, "not_found");
		ck_assert_str_eq(a[0].body, a[1].body);
	}
	expect_problem(post(ben, invite_path("no%20code"), NULL), 404, "not_found");
	expect_problem(post(anonymous(), invite_path(code), NULL), 401, "unauthorized");
	expect_status(put(ann, member_path(chat, ben), "{'state':'left'}"), 200);
	expect_status(post(ben, invite_path(code), NULL), 200);
}
END_TEST

START_TEST(invites_are_managed_by_users_who_may_add_members)
{
	struct client *ann = new_user(), *ben = new_user(), *cat = new_user(), *eve = new_user();
	long long chat = make_group(ann, ben, cat);
	expect_status(put(ann, member_path(chat, cat), "{'role':'admin'}"), 200);
	expect_problem(post(ben, invites_of(chat), "{}"), 403, "forbidden");
	expect_problem(get(ben, "%s", invites_of(chat)), 403, "forbidden");
	expect_problem(del(ben, "%s/1", invites_of(chat)), 403, "forbidden");
	expect_problem(post(eve, invites_of(chat), "{}"), 404, "not_found");
	const char *code = make_invite(cat, chat, "{}");
	long long id = json_num(expect_status(get(ann, "%s", invites_of(chat)), 200).json, "invites.0.id");
	expect_problem(del(ann, "%s/%lld", invites_of(make_group(ann)), id), 404, "not_found"); /* of another chat */
	expect_status(patch(ann, chat_path(chat), "{'adding':'owner'}"), 200);
	expect_problem(post(cat, invites_of(chat), "{}"), 403, "forbidden");
	expect_problem(get(cat, "%s", invites_of(chat)), 403, "forbidden");
	expect_status(post(eve, invite_path(code), NULL), 200);
	expect_status(del(ann, "%s/%lld", invites_of(chat), id), 204);
	expect_status(post(ann, format("/v1/chats/@%s/messages", ben->name), "{'text':'psst'}"), 201);
	expect_problem(post(ann, format("/v1/chats/@%s/invites", ben->name), "{}"), 403, "forbidden");

	struct answer audit = expect_status(get(ann, "%s/audit", chat_path(chat)), 200);
	ck_assert_str_eq(json_str(audit.json, "acts.0.act"), "invite_revoked");
	ck_assert_str_eq(json_str(audit.json, "acts.2.act"), "invite_created");
	ck_assert_msg(strstr(audit.body, code) == NULL, "the audit trail has the code");
}
END_TEST

START_TEST(invites_per_chat_are_limited)
{
	struct client *ann = new_user(), *ben = new_user();
	long long chat = make_group(ann);
	for (int i = 0; i < 100; i++)
		make_invite(ann, chat, "{}");
	expect_problem(post(ann, invites_of(chat), "{}"), 422, "too_many_invites");
	long long id = json_num(expect_status(get(ann, "%s", invites_of(chat)), 200).json, "invites.99.id");
	expect_status(del(ann, "%s/%lld", invites_of(chat), id), 204);
	const char *once = make_invite(ann, chat, "{'max_uses':1}");
	expect_status(post(ben, format("/v1/invites/%s", once), NULL), 200);
	make_invite(ann, chat, "{}"); /* a used-up invite makes room */
	expect_problem(post(ann, invites_of(chat), "{}"), 422, "too_many_invites");
}
END_TEST

START_TEST(invite_with_one_use_left_admits_one_of_two_at_once)
{
	struct client *ann = new_user(), *both[] = { new_user(), new_user() };
	long long chat = make_group(ann);
	const char *code = make_invite(ann, chat, "{'max_uses':1}");
	struct wire *w[2];
	for (int i = 0; i < 2; i++) {
		w[i] = wire_open(test_server());
		wire_send(w[i], "POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: 0\r\n\r\n",
			invite_path(code), both[i]->token);
	}
	int in = 0, out = 0;
	for (int i = 0; i < 2; i++) {
		struct answer a = wire_answer(w[i]);
		in += a.status == 200;
		out += a.status == 404;
	}
	ck_assert_int_eq(in, 1);
	ck_assert_int_eq(out, 1);
	ck_assert_int_eq(members_count(ann, chat), 2);
}
END_TEST

START_TEST(joins_are_rate_limited)
{
	const char *const flags[] = { "--rate-joins", "3", "--rate-invite", "2", NULL };
	struct server *node = server_join(test_server(), flags);
	struct client *ann = new_user(), *eve = on_server(new_user(), node);
	for (int i = 0; i < 3; i++)
		expect_problem(get(eve, "%s", invite_path("a-guess")), 404, "not_found");
	struct answer a = expect_problem(post(eve, invite_path("a-guess"), NULL), 429, "rate_limited");
	expect_header(a, "Retry-After");
	expect_problem(post(eve, channel_path("anything"), NULL), 429, "rate_limited");
	expect_status(get(eve, "/v1/channels"), 200);

	const char *code = make_invite(ann, make_group(ann), "{}");
	for (int i = 0; i < 2; i++)
		expect_status(post(on_server(new_user(), node), invite_path(code), NULL), 200);
	struct client *late = on_server(new_user(), node);
	expect_problem(post(late, invite_path(code), NULL), 429, "rate_limited");
	expect_status(post(late, invite_path(make_invite(ann, make_group(ann), "{}")), NULL),
		200); /* another invite has its own rate */
	server_stop(node);
}
END_TEST

START_TEST(invite_to_full_chat_is_refused)
{
	const char *const flags[] = { "--members-max", "2", NULL };
	struct server *node = server_join(test_server(), flags);
	struct client *ann = new_user(), *ben = on_server(new_user(), node), *eve = on_server(new_user(), node);
	const char *code = make_invite(ann, make_group(ann), "{'max_uses':5}");
	expect_status(post(ben, invite_path(code), NULL), 200);
	expect_problem(post(eve, invite_path(code), NULL), 422, "too_many_members");
	server_stop(node);
}
END_TEST

START_TEST(mute_remains_after_leaving_and_joining)
{
	struct client *ann = new_user(), *ben = new_user();
	long long chat = make_group(ann, ben);
	const char *code = make_invite(ann, chat, "{}");
	expect_status(put(ann, member_path(chat, ben), "{'muted_until':'2100-01-01T00:00:00Z'}"), 200);
	expect_status(del(ben, "%s", member_path(chat, ben)), 204);
	expect_status(post(ben, invite_path(code), NULL), 200);
	expect_problem(post(ben, messages_path(chat), "{'text':'here I am again'}"), 403, "muted");
	expect_status(put(ann, member_path(chat, ben), "{'muted_until':'2000-01-01T00:00:00Z'}"), 200);
	say(ben, chat, "sorry");
}
END_TEST

/* Upkeep also removes the invites and the audit trail of a deleted chat. */
START_TEST(expired_invites_are_removed)
{
	struct client *ann = new_user();
	PGconn *pg = database_open(test_server());
	long long chat = make_group(ann), gone = make_group(ann);
	make_invite(ann, chat, "{}");
	make_invite(ann, chat, "{'expires_at':'2100-01-01T00:00:00Z'}");
	make_invite(ann, gone, "{}");
	sql(pg,
		"update postern.invite set expires_at = now() - interval '2 days' where chat_id = %lld and "
		"expires_at is not null",
		chat);
	expect_status(del(ann, "%s", chat_path(gone)), 204);
	sql(pg, "select set_config('search_path', functions || ', postern', false) from postern.node limit 1");
	sql(pg, "select upkeep_groups(1000)");
	ck_assert_uint_eq(json_count(expect_status(get(ann, "%s", invites_of(chat)), 200).json, "invites"), 1);
	ck_assert_uint_eq(json_count(expect_status(get(ann, "%s/audit", chat_path(chat)), 200).json, "acts"), 2);
	ck_assert_str_eq(
		sql(pg,
			"select (select count(*) from invite where chat_id = %lld) + (select count(*) from audit "
			"where chat_id = %lld)",
			gone, gone),
		"0");
}
END_TEST

/* ---- public channels ---- */

static long long make_channel(const struct client *owner, const char *title, const char *handle)
{
	long long id = json_num(
		expect_status(post(owner, "/v1/chats", "{'kind':'channel','title':'%s'}", title), 201).json, "id");
	ck_assert_str_eq(
		json_str(expect_status(patch(owner, chat_path(id), "{'handle':'%s'}", handle), 200).json, "handle"),
		handle);
	return id;
}

START_TEST(public_channel_is_found_and_joined)
{
	struct client *ann = new_user(), *eve = new_user();
	long long id = make_channel(ann, "Weather of Today", "wx.today");
	long long first = say(ann, id, "rain");
	const char *const found[] = { "wx", "WX.t", "weather", "tod" },
			  *const not_found[] = { "ather", "today.wx", "xyz", "%25", "_x" };
	for (size_t i = 0; i < sizeof(found) / sizeof(found[0]); i++) {
		struct answer a = expect_status(get(eve, "/v1/channels?q=%s", found[i]), 200);
		ck_assert_uint_eq(json_count(a.json, "channels"), 1);
		ck_assert_str_eq(json_str(a.json, "channels.0.handle"), "wx.today");
		ck_assert(!json_true(a.json, "channels.0.joined"));
	}
	for (size_t i = 0; i < sizeof(not_found) / sizeof(not_found[0]); i++)
		ck_assert_uint_eq(
			json_count(expect_status(get(eve, "/v1/channels?q=%s", not_found[i]), 200).json, "channels"),
			0);
	ck_assert_int_eq(
		json_num(expect_status(get(eve, "%s", channel_path("wx.today")), 200).json, "members_count"), 1);
	expect_problem(get(eve, "%s", messages_path(id)), 404, "not_found");

	struct stream *s = stream_from_now(eve);
	struct answer a = expect_status(post(eve, channel_path("wx.today"), NULL), 200);
	ck_assert_int_eq(json_num(a.json, "id"), id);
	ck_assert_int_eq(json_num(a.json, "last_message.id"), first);
	expect(s, "member");
	expect(s, "chat");
	expect_message(s, say(ann, id, "sun"));
	expect_problem(post(eve, messages_path(id), "{'text':'hail'}"), 403, "forbidden");
	expect_status(post(eve, channel_path("wx.today"), NULL), 200);
	ck_assert_int_eq(members_count(ann, id), 2);
	ck_assert(json_true(expect_status(get(eve, "%s", channel_path("wx.today")), 200).json, "joined"));
	expect_status(del(eve, "%s", member_path(id, eve)), 204);
	expect_status(post(eve, channel_path("wx.today"), NULL), 200);
}
END_TEST

START_TEST(public_channel_is_hidden_from_banned_user)
{
	struct client *ann = new_user(), *eve = new_user();
	long long id = make_channel(ann, "Quiet", "quiet-corner");
	expect_status(post(eve, channel_path("quiet-corner"), NULL), 200);
	expect_status(put(ann, member_path(id, eve), "{'state':'banned'}"), 200);
	ck_assert_uint_eq(json_count(expect_status(get(eve, "/v1/channels?q=quiet"), 200).json, "channels"), 0);
	for (int m = 0; m < 2; m++) {
		struct answer a[2];
		for (int j = 0; j < 2; j++)
			a[j] = expect_problem(send_request(with_header(eve, "X-Request-Id: same"), m ? "POST" : "GET",
						      channel_path(j ? "quiet-corner" : "quiet-nook"), NULL, NULL, 0),
				404, "not_found");
		ck_assert_str_eq(a[0].body, a[1].body);
	}
	expect_status(put(ann, member_path(id, eve), "{'state':'left'}"), 200);
	expect_status(post(eve, channel_path("quiet-corner"), NULL), 200);
}
END_TEST

START_TEST(channel_handle_in_use_is_refused)
{
	struct client *ann = new_user(), *ben = new_user(), *cat = new_user();
	long long id = make_channel(ann, "First", "first.one"),
		  other = json_num(
			  expect_status(post(ben, "/v1/chats", "{'kind':'channel','title':'Second'}"), 201).json, "id");
	expect_problem(patch(ben, chat_path(other), "{'handle':'first.one'}"), 409, "name_taken");
	expect_status(patch(ann, chat_path(id), "{'handle':'first.one'}"), 200);
	expect_problem(
		post(ben, "/v1/chats", "{'kind':'channel','title':'x','handle':'first.one'}"), 409, "name_taken");
	expect_problem(post(ben, "/v1/chats", "{'kind':'channel','title':'x','handle':'_'}"), 422, "bad_name");
	expect_problem(post(ben, "/v1/chats", "{'kind':'group','title':'x','handle':'a-group'}"), 422, "bad_chat");
	expect_problem(post(ben, "/v1/chats", "{'kind':'direct','members':['%s'],'handle':'a-pair'}", ann->name), 422,
		"bad_chat");
	ck_assert_str_eq(
		json_str(expect_status(post(ben, "/v1/chats", "{'kind':'channel','title':'x','handle':'made.so'}"), 201)
				 .json,
			"handle"),
		"made.so");
	expect_status(get(cat, "%s", channel_path("made.so")), 200);
	expect_problem(patch(ann, chat_path(id), "{'handle':'No Name'}"), 422, "bad_name");
	expect_problem(patch(ann, chat_path(id), "{'handle':'x'}"), 422, "bad_name");
	expect_problem(patch(ann, chat_path(make_group(ann)), "{'handle':'a-group'}"), 422, "bad_chat");
	expect_status(put(ann, member_path(id, cat), "{'role':'admin'}"), 200);
	expect_problem(patch(cat, chat_path(id), "{'handle':'mine'}"), 403, "forbidden");
	expect_problem(patch(ben, chat_path(id), "{'handle':'mine'}"), 404, "not_found");

	ck_assert(!json_has(expect_status(patch(ann, chat_path(id), "{'handle':''}"), 200).json, "handle"));
	expect_problem(post(ben, channel_path("first.one"), NULL), 404, "not_found");
	expect_status(patch(ben, chat_path(other), "{'handle':'first.one'}"), 200);
	expect_status(del(ben, "%s", chat_path(other)), 204);
	expect_problem(get(cat, "%s", channel_path("first.one")), 404, "not_found");
	expect_status(patch(ann, chat_path(id), "{'handle':'first.one'}"), 200);
}
END_TEST

START_TEST(channel_list_is_paginated)
{
	struct client *ann = new_user();
	for (int i = 0; i < 5; i++)
		make_channel(ann, "Paged", format("paged-%d", i));
	size_t seen = 0;
	for (const char *cursor = ""; cursor != NULL;) {
		struct answer a = expect_status(get(ann, "/v1/channels?q=paged&limit=2&cursor=%s", cursor), 200);
		ck_assert_uint_le(json_count(a.json, "channels"), 2);
		for (size_t i = 0; i < json_count(a.json, "channels"); i++)
			ck_assert_str_eq(
				json_str(a.json, format("channels.%zu.handle", i)), format("paged-%zu", seen++));
		cursor = json_has(a.json, "next") ? json_str(a.json, "next") : NULL;
	}
	ck_assert_uint_eq(seen, 5);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		invite_lets_user_join,
		invite_used_up_expired_or_revoked_is_refused,
		invite_invalid_and_banned_answers_are_identical,
		invites_are_managed_by_users_who_may_add_members,
		invites_per_chat_are_limited,
		invite_with_one_use_left_admits_one_of_two_at_once,
		joins_are_rate_limited,
		invite_to_full_chat_is_refused,
		mute_remains_after_leaving_and_joining,
		expired_invites_are_removed,
		public_channel_is_found_and_joined,
		public_channel_is_hidden_from_banned_user,
		channel_handle_in_use_is_refused,
		channel_list_is_paginated,
		NULL,
	};
	return suite_run("invites", tests, NULL);
}
