/* SPDX-License-Identifier: MIT
 * Ways into a chat by oneself: invites and public channels, and who isn't let in. */
#include <stdio.h>
#include <string.h>

#include "../lib/client.h"
#include "../lib/database.h"
#include "../lib/stream.h"
#include "../lib/suite.h"

static char *chat_path(long long chat) { return format("/v1/chats/%lld", chat); }
static char *invites_of(long long chat) { return format("/v1/chats/%lld/invites", chat); }
static char *invite(const char *code) { return format("/v1/invites/%s", code); }
static char *channel(const char *handle) { return format("/v1/channels/%s", handle); }

static const char *invited(const struct client *who, long long chat, const char *json)
{
	return str(is(post(who, invites_of(chat), "%s", json), 201).json, "code");
}

static int members_count(const struct client *who, long long chat)
{
	return (int)num(is(get(who, "%s", chat_path(chat)), 200).json, "members_count");
}

/* ---- invites ---- */

START_TEST(an_invite_lets_in)
{
	struct client *ann = somebody(), *ben = somebody(), *eve = somebody();
	long long chat = group(ann, ben);
	struct answer made = is(post(ann, invites_of(chat), NULL), 201);
	const char *code = str(made.json, "code");
	ck_assert_msg(strlen(code) >= 22, "a code of %zu characters can be guessed", strlen(code));
	struct stream *s = live(ben), *hers = live(eve);

	struct answer seen = is(get(eve, "%s", invite(code)), 200);
	ck_assert_str_eq(str(seen.json, "title"), "garden");
	ck_assert_int_eq(num(seen.json, "members_count"), 2);
	ck_assert_str_eq(str(seen.json, "created_by"), ann->name);
	ck_assert(!has(seen.json, "chat"));
	refused(get(eve, "%s", chat_path(chat)), 404, "not_found"); /* to look isn't to join */

	struct answer a = is(post(eve, invite(code), NULL), 200);
	ck_assert_int_eq(num(a.json, "id"), chat);
	ck_assert_str_eq(str(a.json, "my_role"), "member");
	ck_assert_int_eq(num(a.json, "members_count"), 3);
	ck_assert_str_eq(str(expect(s, "member"), "name"), eve->name);
	ck_assert_int_eq(num(expect(s, "chat"), "members_count"), 3);
	ck_assert_str_eq(str(expect(hers, "member"), "state"), "joined");
	expect(hers, "chat");
	expect_message(hers, say(ben, chat, "welcome"));

	is(post(eve, invite(code), NULL), 200); /* again */
	ck_assert_int_eq(num(is(get(eve, "%s", invite(code)), 200).json, "chat"), chat);
	ck_assert_int_eq(members_count(ann, chat), 3);
	struct answer list = is(get(ann, "%s", invites_of(chat)), 200);
	ck_assert_uint_eq(count(list.json, "invites"), 1);
	ck_assert_int_eq(num(list.json, "invites.0.uses"), 1);
	ck_assert_msg(strstr(list.body, code) == NULL, "the code is shown again");
	ck_assert_str_eq(
		sql(database(house()), "select count(*) from postern.invite i where i::text like '%%%s%%'", code), "0");
}
END_TEST

START_TEST(an_invite_ends)
{
	struct client *ann = somebody(), *ben = somebody(), *cat = somebody(), *dan = somebody();
	long long chat = group(ann), gone = group(ann);
	const char *code = invited(ann, chat, "{'max_uses':1}");
	is(post(ben, invite(code), NULL), 200);
	refused(get(cat, "%s", invite(code)), 404, "not_found");
	refused(post(cat, invite(code), NULL), 404, "not_found");
	is(post(ben, invite(code), NULL), 200); /* he is in */

	code = invited(ann, chat, "{'expires_at':'2100-01-01T00:00:00Z'}");
	is(post(cat, invite(code), NULL), 200);
	sql(database(house()),
		"update postern.invite set expires_at = now() - interval '1 s' where chat_id = %lld and max_uses is "
		"null",
		chat);
	refused(get(dan, "%s", invite(code)), 404, "not_found");
	refused(post(dan, invite(code), NULL), 404, "not_found");

	struct answer made = is(post(ann, invites_of(chat), "{}"), 201);
	code = str(made.json, "code");
	is(del(ann, "%s/%lld", invites_of(chat), num(made.json, "id")), 204);
	refused(post(dan, invite(code), NULL), 404, "not_found");
	refused(del(ann, "%s/%lld", invites_of(chat), num(made.json, "id")), 404, "not_found");

	code = invited(ann, gone, "{}");
	is(del(ann, "%s", chat_path(gone)), 204);
	refused(post(dan, invite(code), NULL), 404, "not_found");
	refused(post(ann, invite(code), NULL), 404, "not_found");
	refused(post(ann, invites_of(chat), "{'expires_at':'2001-01-01T00:00:00Z'}"), 422, "out_of_range");
	refused(post(ann, invites_of(chat), "{'max_uses':0}"), 422, "out_of_range");
}
END_TEST

START_TEST(what_lets_nobody_in_looks_the_same)
{
	struct client *ann = somebody(), *ben = somebody();
	long long chat = group(ann, ben);
	const char *code = invited(ann, chat, "{}");
	is(put(ann, member(chat, ben), "{'state':'banned'}"), 200);
	const char *asked[] = { code, "8Vnxg4PZTU6qFzK0cN3mWmQ0yQ7l9kPzq5rB1s2t3u4" };
	for (int m = 0; m < 2; m++) {
		struct answer a[2];
		for (int j = 0; j < 2; j++)
			a[j] = refused(ask(with(ben, "X-Request-Id: same"), m ? "POST" : "GET", invite(asked[j]), NULL,
					       NULL, 0),
				404, "not_found");
		ck_assert_str_eq(a[0].body, a[1].body);
	}
	refused(post(ben, invite("no%20code"), NULL), 404, "not_found");
	refused(post(nobody(), invite(code), NULL), 401, "unauthorized");
	is(put(ann, member(chat, ben), "{'state':'left'}"), 200);
	is(post(ben, invite(code), NULL), 200);
}
END_TEST

START_TEST(invites_are_for_those_who_may_add)
{
	struct client *ann = somebody(), *ben = somebody(), *cat = somebody(), *eve = somebody();
	long long chat = group(ann, ben, cat);
	is(put(ann, member(chat, cat), "{'role':'admin'}"), 200);
	refused(post(ben, invites_of(chat), "{}"), 403, "forbidden");
	refused(get(ben, "%s", invites_of(chat)), 403, "forbidden");
	refused(del(ben, "%s/1", invites_of(chat)), 403, "forbidden");
	refused(post(eve, invites_of(chat), "{}"), 404, "not_found");
	const char *code = invited(cat, chat, "{}");
	long long id = num(is(get(ann, "%s", invites_of(chat)), 200).json, "invites.0.id");
	refused(del(ann, "%s/%lld", invites_of(group(ann)), id), 404, "not_found"); /* another chat's */
	is(patch(ann, chat_path(chat), "{'adding':'owner'}"), 200);
	refused(post(cat, invites_of(chat), "{}"), 403, "forbidden");
	refused(get(cat, "%s", invites_of(chat)), 403, "forbidden");
	is(post(eve, invite(code), NULL), 200);
	is(del(ann, "%s/%lld", invites_of(chat), id), 204);
	is(post(ann, to("/v1/chats/@%s/messages", ben->name), "{'text':'psst'}"), 201);
	refused(post(ann, to("/v1/chats/@%s/invites", ben->name), "{}"), 403, "forbidden");

	struct answer audit = is(get(ann, "%s/audit", chat_path(chat)), 200);
	ck_assert_str_eq(str(audit.json, "acts.0.act"), "invite_revoked");
	ck_assert_str_eq(str(audit.json, "acts.2.act"), "invite_created");
	ck_assert_msg(strstr(audit.body, code) == NULL, "the code is on record");
}
END_TEST

START_TEST(invites_are_bounded)
{
	struct client *ann = somebody(), *ben = somebody();
	long long chat = group(ann);
	for (int i = 0; i < 100; i++)
		invited(ann, chat, "{}");
	refused(post(ann, invites_of(chat), "{}"), 422, "too_many_invites");
	long long id = num(is(get(ann, "%s", invites_of(chat)), 200).json, "invites.99.id");
	is(del(ann, "%s/%lld", invites_of(chat), id), 204);
	const char *once = invited(ann, chat, "{'max_uses':1}");
	is(post(ben, to("/v1/invites/%s", once), NULL), 200);
	invited(ann, chat, "{}"); /* what is used up makes room */
	refused(post(ann, invites_of(chat), "{}"), 422, "too_many_invites");
}
END_TEST

START_TEST(of_the_last_seat_one_gets_it)
{
	struct client *ann = somebody(), *both[] = { somebody(), somebody() };
	long long chat = group(ann);
	const char *code = invited(ann, chat, "{'max_uses':1}");
	struct wire *w[2];
	for (int i = 0; i < 2; i++) {
		w[i] = dial(house());
		wire_send(w[i], "POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: 0\r\n\r\n",
			invite(code), both[i]->token);
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

START_TEST(joins_have_a_rate)
{
	const char *const flags[] = { "--rate-joins", "3", "--rate-invite", "2", NULL };
	struct server *node = server_join(house(), flags);
	struct client *ann = somebody(), *eve = via(somebody(), node);
	for (int i = 0; i < 3; i++)
		refused(get(eve, "%s", invite("a-guess")), 404, "not_found");
	struct answer a = refused(post(eve, invite("a-guess"), NULL), 429, "rate_limited");
	said(a, "Retry-After");
	refused(post(eve, channel("anything"), NULL), 429, "rate_limited");
	is(get(eve, "/v1/channels"), 200);

	const char *code = invited(ann, group(ann), "{}");
	for (int i = 0; i < 2; i++)
		is(post(via(somebody(), node), invite(code), NULL), 200);
	struct client *late = via(somebody(), node);
	refused(post(late, invite(code), NULL), 429, "rate_limited");
	is(post(late, invite(invited(ann, group(ann), "{}")), NULL), 200); /* another invite's rate is its own */
	server_stop(node);
}
END_TEST

START_TEST(a_full_chat_takes_nobody)
{
	const char *const flags[] = { "--members-max", "2", NULL };
	struct server *node = server_join(house(), flags);
	struct client *ann = somebody(), *ben = via(somebody(), node), *eve = via(somebody(), node);
	const char *code = invited(ann, group(ann), "{'max_uses':5}");
	is(post(ben, invite(code), NULL), 200);
	refused(post(eve, invite(code), NULL), 422, "too_many_members");
	server_stop(node);
}
END_TEST

START_TEST(a_muting_outlasts_leaving)
{
	struct client *ann = somebody(), *ben = somebody();
	long long chat = group(ann, ben);
	const char *code = invited(ann, chat, "{}");
	is(put(ann, member(chat, ben), "{'muted_until':'2100-01-01T00:00:00Z'}"), 200);
	is(del(ben, "%s", member(chat, ben)), 204);
	is(post(ben, invite(code), NULL), 200);
	refused(post(ben, messages(chat), "{'text':'here I am again'}"), 403, "muted");
	is(put(ann, member(chat, ben), "{'muted_until':'2000-01-01T00:00:00Z'}"), 200);
	say(ben, chat, "sorry");
}
END_TEST

/* What was removed for good, by what runs now and then. */
START_TEST(what_has_run_out_is_removed)
{
	struct client *ann = somebody();
	PGconn *pg = database(house());
	long long chat = group(ann), gone = group(ann);
	invited(ann, chat, "{}");
	invited(ann, chat, "{'expires_at':'2100-01-01T00:00:00Z'}");
	invited(ann, gone, "{}");
	sql(pg,
		"update postern.invite set expires_at = now() - interval '2 days' where chat_id = %lld and "
		"expires_at is not null",
		chat);
	is(del(ann, "%s", chat_path(gone)), 204);
	sql(pg, "select set_config('search_path', functions || ', postern', false) from postern.node limit 1");
	sql(pg, "select upkeep_groups(1000)");
	ck_assert_uint_eq(count(is(get(ann, "%s", invites_of(chat)), 200).json, "invites"), 1);
	ck_assert_uint_eq(count(is(get(ann, "%s/audit", chat_path(chat)), 200).json, "acts"), 2);
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
	long long id = num(is(post(owner, "/v1/chats", "{'kind':'channel','title':'%s'}", title), 201).json, "id");
	ck_assert_str_eq(str(is(patch(owner, chat_path(id), "{'handle':'%s'}", handle), 200).json, "handle"), handle);
	return id;
}

START_TEST(a_channel_is_found_and_joined)
{
	struct client *ann = somebody(), *eve = somebody();
	long long id = make_channel(ann, "Weather of Today", "wx.today");
	long long first = say(ann, id, "rain");
	const char *const found[] = { "wx", "WX.t", "weather", "tod" },
			  *const not_found[] = { "ather", "today.wx", "xyz", "%25", "_x" };
	for (size_t i = 0; i < sizeof(found) / sizeof(found[0]); i++) {
		struct answer a = is(get(eve, "/v1/channels?q=%s", found[i]), 200);
		ck_assert_uint_eq(count(a.json, "channels"), 1);
		ck_assert_str_eq(str(a.json, "channels.0.handle"), "wx.today");
		ck_assert(!yes(a.json, "channels.0.joined"));
	}
	for (size_t i = 0; i < sizeof(not_found) / sizeof(not_found[0]); i++)
		ck_assert_uint_eq(count(is(get(eve, "/v1/channels?q=%s", not_found[i]), 200).json, "channels"), 0);
	ck_assert_int_eq(num(is(get(eve, "%s", channel("wx.today")), 200).json, "members_count"), 1);
	refused(get(eve, "%s", messages(id)), 404, "not_found");

	struct stream *s = live(eve);
	struct answer a = is(post(eve, channel("wx.today"), NULL), 200);
	ck_assert_int_eq(num(a.json, "id"), id);
	ck_assert_int_eq(num(a.json, "last_message.id"), first);
	expect(s, "member");
	expect(s, "chat");
	expect_message(s, say(ann, id, "sun"));
	refused(post(eve, messages(id), "{'text':'hail'}"), 403, "forbidden");
	is(post(eve, channel("wx.today"), NULL), 200);
	ck_assert_int_eq(members_count(ann, id), 2);
	ck_assert(yes(is(get(eve, "%s", channel("wx.today")), 200).json, "joined"));
	is(del(eve, "%s", member(id, eve)), 204);
	is(post(eve, channel("wx.today"), NULL), 200);
}
END_TEST

START_TEST(who_is_banned_does_not_find_the_channel)
{
	struct client *ann = somebody(), *eve = somebody();
	long long id = make_channel(ann, "Quiet", "quiet-corner");
	is(post(eve, channel("quiet-corner"), NULL), 200);
	is(put(ann, member(id, eve), "{'state':'banned'}"), 200);
	ck_assert_uint_eq(count(is(get(eve, "/v1/channels?q=quiet"), 200).json, "channels"), 0);
	for (int m = 0; m < 2; m++) {
		struct answer a[2];
		for (int j = 0; j < 2; j++)
			a[j] = refused(ask(with(eve, "X-Request-Id: same"), m ? "POST" : "GET",
					       channel(j ? "quiet-corner" : "quiet-nook"), NULL, NULL, 0),
				404, "not_found");
		ck_assert_str_eq(a[0].body, a[1].body);
	}
	is(put(ann, member(id, eve), "{'state':'left'}"), 200);
	is(post(eve, channel("quiet-corner"), NULL), 200);
}
END_TEST

START_TEST(a_public_name_is_one_channels)
{
	struct client *ann = somebody(), *ben = somebody(), *cat = somebody();
	long long id = make_channel(ann, "First", "first.one"),
		  other = num(is(post(ben, "/v1/chats", "{'kind':'channel','title':'Second'}"), 201).json, "id");
	refused(patch(ben, chat_path(other), "{'handle':'first.one'}"), 409, "name_taken");
	is(patch(ann, chat_path(id), "{'handle':'first.one'}"), 200);
	refused(post(ben, "/v1/chats", "{'kind':'channel','title':'x','handle':'first.one'}"), 409, "name_taken");
	refused(post(ben, "/v1/chats", "{'kind':'channel','title':'x','handle':'_'}"), 422, "bad_name");
	refused(post(ben, "/v1/chats", "{'kind':'group','title':'x','handle':'a-group'}"), 422, "bad_chat");
	refused(post(ben, "/v1/chats", "{'kind':'direct','members':['%s'],'handle':'a-pair'}", ann->name), 422,
		"bad_chat");
	ck_assert_str_eq(str(is(post(ben, "/v1/chats", "{'kind':'channel','title':'x','handle':'made.so'}"), 201).json,
				 "handle"),
		"made.so");
	is(get(cat, "%s", channel("made.so")), 200);
	refused(patch(ann, chat_path(id), "{'handle':'No Name'}"), 422, "bad_name");
	refused(patch(ann, chat_path(id), "{'handle':'x'}"), 422, "bad_name");
	refused(patch(ann, chat_path(group(ann)), "{'handle':'a-group'}"), 422, "bad_chat");
	is(put(ann, member(id, cat), "{'role':'admin'}"), 200);
	refused(patch(cat, chat_path(id), "{'handle':'mine'}"), 403, "forbidden");
	refused(patch(ben, chat_path(id), "{'handle':'mine'}"), 404, "not_found");

	ck_assert(!has(is(patch(ann, chat_path(id), "{'handle':''}"), 200).json, "handle"));
	refused(post(ben, channel("first.one"), NULL), 404, "not_found");
	is(patch(ben, chat_path(other), "{'handle':'first.one'}"), 200);
	is(del(ben, "%s", chat_path(other)), 204);
	refused(get(cat, "%s", channel("first.one")), 404, "not_found");
	is(patch(ann, chat_path(id), "{'handle':'first.one'}"), 200);
}
END_TEST

START_TEST(channels_are_listed_in_pages)
{
	struct client *ann = somebody();
	for (int i = 0; i < 5; i++)
		make_channel(ann, "Paged", format("paged-%d", i));
	size_t seen = 0;
	for (const char *cursor = ""; cursor != NULL;) {
		struct answer a = is(get(ann, "/v1/channels?q=paged&limit=2&cursor=%s", cursor), 200);
		ck_assert_uint_le(count(a.json, "channels"), 2);
		for (size_t i = 0; i < count(a.json, "channels"); i++)
			ck_assert_str_eq(str(a.json, format("channels.%zu.handle", i)), format("paged-%zu", seen++));
		cursor = has(a.json, "next") ? str(a.json, "next") : NULL;
	}
	ck_assert_uint_eq(seen, 5);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		an_invite_lets_in,
		an_invite_ends,
		what_lets_nobody_in_looks_the_same,
		invites_are_for_those_who_may_add,
		invites_are_bounded,
		of_the_last_seat_one_gets_it,
		joins_have_a_rate,
		a_full_chat_takes_nobody,
		a_muting_outlasts_leaving,
		what_has_run_out_is_removed,
		a_channel_is_found_and_joined,
		who_is_banned_does_not_find_the_channel,
		a_public_name_is_one_channels,
		channels_are_listed_in_pages,
		NULL,
	};
	return suite_run("invites", tests, NULL);
}
