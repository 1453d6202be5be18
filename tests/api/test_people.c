/* SPDX-License-Identifier: MIT
 * What users let each other see and do: presence, contacts and blocks. test_receipts.c has receipts and typing. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/client.h"
#include "../lib/database.h"
#include "../lib/stream.h"
#include "../lib/suite.h"
#include "base/clock.h"

static char *chat_path(long long chat, const char *rest) { return format("/v1/chats/%lld/%s", chat, rest); }
static char *direct_path(const struct client *who, const char *rest)
{
	return format("/v1/chats/@%s/%s", who->name, rest);
}

/* Waits for the next event of that kind, which must be about this user. */
static struct json_object *expect_about(struct stream *s, const char *kind, const struct client *who)
{
	struct json_object *e = expect_ephemeral(s, kind);
	ck_assert_str_eq(json_str(e, "name"), who->name);
	return e;
}

/* ---- presence ---- */

static struct answer get_state(const struct client *who, const struct client *whose)
{
	return get(who, "/v1/presence?users=%s", whose->name);
}

static const char *state_in(struct answer a)
{
	return json_count(expect_status(a, 200).json, "presence") == 0 ? "" : json_str(a.json, "presence.0.state");
}

static const char *state_of(const struct client *who, const struct client *whose)
{
	return state_in(get_state(who, whose));
}

/* Waits until the user sees that state. */
static void await_state(const struct client *who, const struct client *whose, const char *state)
{
	unsigned long long until = clock_mono_ms() + PATIENCE;
	while (strcmp(state_of(who, whose), state) != 0)
		time_left(until, state);
}

static void expect_state(struct stream *s, const struct client *whose, const char *state)
{
	ck_assert_str_eq(json_str(expect_about(s, "presence", whose), "state"), state);
}

/* Reads presence events of the user up to that state. */
static void skip_to_state(struct stream *s, const struct client *whose, const char *state)
{
	while (strcmp(json_str(expect_about(s, "presence", whose), "state"), state) != 0)
		;
}

START_TEST(presence_is_sent_to_users_with_a_direct_chat)
{
	struct client *ann = new_user(), *ben = new_user(), *cem = new_user();
	expect_status(post(ann, direct_path(ben, "messages"), "{'text':'x'}"), 201);
	make_group(ann, cem);
	struct stream *sb = stream_from_now(ben), *sc = stream_from_now(cem);
	ck_assert_str_eq(state_of(ben, ann), "offline");
	struct stream *phone = stream_from_now(ann);
	expect_state(sb, ann, "online");
	struct stream *desk = stream_from_now(ann);
	expect_status(put(ann, "/v1/presence", "{'state':'away'}"), 200);
	expect_state(sb, ann, "away");
	expect_status(put(ann, "/v1/presence", "{'state':'online'}"), 200);
	expect_state(sb, ann, "online");
	stream_cut(phone);
	stream_cut(desk); /* the last device is disconnected now */
	struct json_object *e = expect_about(sb, "presence", ann);
	ck_assert_str_eq(json_str(e, "state"), "offline");
	ck_assert(json_has(e, "last_seen"));
	ck_assert_str_eq(state_of(cem, ann), "offline"); /* they may ask for it */
	expect_no_ephemeral(sc);                         /* users who only share a group get no event */
	expect_problem(put(ann, "/v1/presence", "{'state':'gone'}"), 422, "out_of_range");
	expect_problem(get(ann, "/v1/presence"), 422, "missing_field");
}
END_TEST

START_TEST(presence_visibility_setting_limits_who_sees_it)
{
	struct client *ann = new_user(), *ben = new_user(), *cem = new_user();
	expect_status(post(ann, direct_path(ben, "messages"), "{'text':'x'}"), 201);
	expect_status(post(ann, direct_path(cem, "messages"), "{'text':'x'}"), 201);
	struct stream *sb = stream_from_now(ben), *sc = stream_from_now(cem);
	stream_from_now(ann);
	expect_state(sb, ann, "online");
	expect_state(sc, ann, "online");
	expect_status(put(ann, format("/v1/contacts/%s", ben->name), NULL), 200);
	ck_assert_str_eq(json_str(expect_status(patch(ann, "/v1/me", "{'presence':'contacts'}"), 200).json, "presence"),
		"contacts");
	expect_state(sc, ann, "offline");
	expect_state(sb, ann, "online");
	ck_assert_str_eq(state_of(ben, ann), "online");
	ck_assert_str_eq(state_of(cem, ann), "");
	expect_status(patch(ann, "/v1/me", "{'presence':'nobody'}"), 200);
	expect_state(sb, ann, "offline");
	ck_assert_str_eq(state_of(ben, ann), "");
	ck_assert_str_eq(state_of(ann, ann), "online");
	/* A user who is added to the list or removed from it sees the change at once, unless the setting ignores the
	 * list. */
	expect_status(del(ann, "/v1/contacts/%s", ben->name), 204);
	expect_status(patch(ann, "/v1/me", "{'presence':'contacts'}"), 200);
	expect_state(sb, ann, "offline");
	expect_status(put(ann, format("/v1/contacts/%s", ben->name), NULL), 200);
	expect_state(sb, ann, "online");
	expect_status(del(ann, "/v1/contacts/%s", ben->name), 204);
	expect_state(sb, ann, "offline");
	expect_status(patch(ann, "/v1/me", "{'presence':'nobody'}"), 200);
	expect_state(sb, ann, "offline");
	expect_status(put(ann, format("/v1/contacts/%s", ben->name), NULL), 200);
	expect_no_ephemeral(sb);
	/* Hidden and absent users look the same. */
	struct answer hidden = expect_status(get(ben, "/v1/presence?users=%s", ann->name), 200),
		      absent = expect_status(get(ben, "/v1/presence?users=no-such-user"), 200);
	ck_assert_str_eq(hidden.body, absent.body);
	expect_problem(patch(ann, "/v1/me", "{'presence':'x'}"), 422, "out_of_range");
}
END_TEST

START_TEST(presence_visibility_setting_is_private)
{
	struct client *ann = new_user(), *ben = new_user();
	make_group(ann, ben);
	struct stream *sb = stream_from_now(ben);
	long long rev = json_num(expect_status(get(ann, "/v1/me"), 200).json, "rev");
	ck_assert_int_eq(json_num(expect_status(patch(ann, "/v1/me", "{'presence':'nobody'}"), 200).json, "rev"), rev);
	expect_quiet(sb);
	expect_status(patch(ann, "/v1/me", "{'display_name':'Ann','presence':'everybody'}"), 200);
	ck_assert_str_eq(json_str(expect(sb, "user"), "display_name"), "Ann");
	expect_problem(patch(ann, "/v1/me", "{'display_name':' '}"), 422, "out_of_range");
	expect_problem(patch(ann, "/v1/me", "{'display_name':'a\\nb'}"), 422, "out_of_range");
}
END_TEST

START_TEST(presence_of_disabled_user_is_offline)
{
	struct client *ann = new_user(), *ben = new_user();
	expect_status(post(ann, direct_path(ben, "messages"), "{'text':'x'}"), 201);
	struct stream *sb = stream_from_now(ben);
	stream_from_now(ann);
	expect_state(sb, ann, "online");
	server_command(test_server(), NULL, "user", "disable", ann->name);
	expect_state(sb, ann, "offline");
}
END_TEST

START_TEST(presence_during_page_reload_stays_online)
{
	struct client *ann = new_user(), *ben = new_user();
	expect_status(post(ann, direct_path(ben, "messages"), "{'text':'x'}"), 201);
	struct stream *sb = stream_from_now(ben), *s = stream_from_now(ann);
	expect_state(sb, ann, "online");
	for (int i = 0; i < 5; i++) {
		stream_cut(s);
		s = stream_from_now(ann);
	}
	expect_status(put(ann, "/v1/presence", "{'state':'away'}"), 200);
	expect_state(sb, ann, "away"); /* no event came before it */
}
END_TEST

START_TEST(presence_spans_nodes_and_ends_with_a_killed_node)
{
	struct server *other = server_join(test_server(), NULL);
	struct client *ann = new_user(), *ben = new_user();
	expect_status(post(ann, direct_path(ben, "messages"), "{'text':'x'}"), 201);
	struct stream *sb = stream_from_now(ben), *here = stream_from_now(ann),
		      *there = stream_from_now(on_server(ann, other));
	expect_state(sb, ann, "online");
	await_state(ben, ann, "online");
	stream_cut(here);
	expect_status(put(ann, "/v1/presence", "{'state':'away'}"), 200);
	expect_state(sb, ann, "away"); /* the other stream is still open */
	ck_assert_str_eq(state_of(ben, ann), "away");
	server_kill(other, SIGKILL);
	expect_end(there);
	expect_state(sb, ann, "offline");
}
END_TEST

/* The table of presence is unlogged, so a crash empties it. A worker's connections come back one by one, so a 503 may
 * follow a 200. */
START_TEST(presence_after_database_crash_is_restored)
{
	struct client *ann = new_user(), *ben = new_user();
	stream_from_now(ann);
	await_state(ben, ann, "online");
	pid_t killed = server_postmaster(test_server()), now = killed;
	ck_assert_int_eq(kill(killed, SIGKILL), 0);
	unsigned long long until = clock_mono_ms() + PATIENCE;
	while (now == killed || now == 0) {
		time_left(until, "PostgreSQL to be restarted");
		now = server_postmaster(test_server());
	}
	for (;;) {
		struct answer a = get_state(ben, ann);
		if (a.status == 503)
			expect_problem(a, 503, "database_away");
		else if (strcmp(state_in(a), "online") == 0)
			break;
		time_left(until, "the presence to be restored");
	}
}
END_TEST

START_TEST(actions_are_rate_limited)
{
	struct client *ann = new_user(), *ben = new_user();
	long long chat = make_group(ann, ben), id = say(ann, chat, "x");
	struct server *node =
		server_join(test_server(), (const char *const[]) { "--rate-actions", "6", NULL }); /* a burst of one */
	struct client *slow = on_server(ann, node);
	expect_status(patch(slow, "/v1/me", "{'about':'x'}"), 200);
	expect_problem(patch(slow, "/v1/me", "{'about':'y'}"), 429, "rate_limited");
	expect_problem(patch(slow, message_path(chat, id), "{'text':'y'}"), 429, "rate_limited");
	expect_problem(patch(slow, format("/v1/chats/%lld", chat), "{'title':'y'}"), 429, "rate_limited");
	expect_problem(put(slow, member_path(chat, ben), "{'role':'admin'}"), 429, "rate_limited");
	expect_problem(post(slow, format("/v1/chats/%lld/members", chat), "{'remove':['%s']}", ben->name), 429,
		"rate_limited");
	expect_problem(post(slow, format("/v1/chats/%lld/invites", chat), "{}"), 429, "rate_limited");
	expect_problem(post(slow, "/v1/chats", "{'kind':'group','title':'t'}"), 429, "rate_limited");
	expect_problem(post(slow, "/v1/tokens", "{}"), 429, "rate_limited");
	expect_problem(get(slow, "/v1/users?q=a"), 429, "rate_limited");
	expect_problem(get(slow, "/v1/channels?q=a"), 429, "rate_limited");
	struct answer a = expect_problem(post(slow, "/v1/stream-tickets", NULL), 429, "rate_limited");
	ck_assert_ptr_nonnull(answer_header(a, "Retry-After"));
	expect_status(get(slow, "/v1/me"), 200);
	expect_status(patch(on_server(ben, node), "/v1/me", "{'about':'x'}"), 200); /* every user has their own rate */
	server_stop(node);
}
END_TEST

/* ---- contacts and blocks ---- */

START_TEST(block_refuses_every_write_between_the_users)
{
	struct client *ann = new_user(), *ben = new_user(), *cem = new_user();
	struct answer a = expect_status(post(ben, direct_path(ann, "messages"), "{'text':'x'}"), 201);
	long long chat = json_num(a.json, "chat"), id = json_num(a.json, "id"), meeting = make_group(cem, ann, ben);
	struct stream *sa = stream_from_now(ann), *sb = stream_from_now(ben);
	expect_state(sa, ben, "online");
	await_state(ben, ann, "online"); /* it may have been published before ben's stream was open */
	expect_status(put(ann, format("/v1/blocks/%s", ben->name), NULL), 204);
	skip_to_state(sb, ann, "offline");
	expect_state(sa, ben, "offline");
	expect_problem(patch(ben, message_path(chat, id), "{'text':'y'}"), 403, "blocked");
	expect_problem(put(ben, format("%s/reactions/%%F0%%9F%%91%%8D", message_path(chat, id)), NULL), 403, "blocked");
	expect_problem(put(ben, format("%s/pin", message_path(chat, id)), NULL), 403, "blocked");
	expect_problem(patch(ben, format("/v1/chats/%lld", chat), "{'message_ttl':1}"), 403, "blocked");
	expect_problem(
		post(ben, "/v1/chats", "{'kind':'group','title':'x','members':['%s']}", ann->name), 403, "blocked");
	long long own = make_group(ben, cem);
	expect_problem(put(ben, member_path(own, ann), "{}"), 403, "blocked");
	a = expect_status(post(ben, format("/v1/chats/%lld/members", own), "{'add':['%s']}", ann->name), 200);
	ck_assert_str_eq(json_str(a.json, "skipped.0.code"), "blocked");
	expect_problem(post(ben, chat_path(meeting, "signal"), "{'type':'offer','data':{},'to':'%s'}", ann->name), 403,
		"blocked");
	expect_status(post(cem, chat_path(meeting, "signal"), "{'type':'offer','data':{},'to':'%s'}", ann->name), 204);
	ck_assert_str_eq(json_str(expect_ephemeral(sa, "signal"), "from"), cem->name);
	expect_status(del(ben, "%s", message_path(chat, id)), 204); /* a deletion is allowed */
	expect_status(del(ann, "/v1/blocks/%s", ben->name), 204);
	expect_state(sb, ann, "online");
	expect_state(sa, ben, "online");
	expect_status(del(ann, "/v1/blocks/%s", ben->name), 204);
	expect_no_ephemeral(sb);
	expect_status(put(ben, member_path(own, ann), "{}"), 200);
}
END_TEST

START_TEST(contacts_are_private_to_their_user)
{
	struct client *ann = new_user(), *ben = new_user(), *cem = new_user();
	expect_status(put(ann, format("/v1/contacts/%s", ben->name), NULL), 200);
	expect_status(put(ann, format("/v1/contacts/%s", ben->name), NULL), 200);
	expect_status(put(ann, format("/v1/contacts/%s", cem->name), NULL), 200);
	struct answer a = expect_status(get(ann, "/v1/contacts?limit=1"), 200);
	ck_assert_uint_eq(json_count(a.json, "contacts"), 1);
	struct answer b = expect_status(get(ann, "/v1/contacts?limit=1&cursor=%s", json_str(a.json, "next")), 200);
	ck_assert_str_ne(json_str(a.json, "contacts.0.name"), json_str(b.json, "contacts.0.name"));
	ck_assert(!json_has(b.json, "next"));
	expect_status(del(ann, "/v1/contacts/%s", ben->name), 204);
	expect_status(del(ann, "/v1/contacts/%s", ben->name), 204);
	ck_assert_uint_eq(json_count(expect_status(get(ann, "/v1/contacts"), 200).json, "contacts"), 1);
	ck_assert_uint_eq(json_count(expect_status(get(ben, "/v1/contacts"), 200).json, "contacts"), 0);
	expect_problem(put(ann, "/v1/contacts/no-such-user", NULL), 404, "not_found");
	expect_problem(put(ann, format("/v1/contacts/%s", ann->name), NULL), 422, "out_of_range");
}
END_TEST

START_TEST(block_closes_the_direct_chat)
{
	struct client *ann = new_user(), *ben = new_user(), *cem = new_user();
	expect_status(post(ben, direct_path(ann, "messages"), "{'text':'x'}"), 201);
	struct stream *sa = stream_from_now(ann), *sb = stream_from_now(ben);
	expect_state(sb, ann, "online");
	expect_status(put(ann, format("/v1/blocks/%s", ben->name), NULL), 204);
	expect_state(sb, ann, "offline");
	expect_problem(post(ben, direct_path(ann, "messages"), "{'text':'x'}"), 403, "blocked");
	expect_problem(post(ann, direct_path(ben, "messages"), "{'text':'x'}"), 403, "blocked");
	expect_problem(post(ben, direct_path(ann, "typing"), NULL), 403, "blocked");
	expect_problem(post(ben, direct_path(ann, "signal"), "{'type':'offer','data':{}}"), 403, "blocked");
	ck_assert_str_eq(state_of(ben, ann), "");
	ck_assert_uint_eq(json_count(expect_status(get(ann, "/v1/blocks"), 200).json, "blocks"), 1);
	ck_assert_uint_eq(json_count(expect_status(get(ben, "/v1/blocks"), 200).json, "blocks"), 0);
	long long both = make_group(cem, ann, ben); /* they can still write in a common group */
	long long id = say(ben, both, "hi");
	while (strcmp(stream_peek(sa), "message") != 0)
		expect(sa, stream_peek(sa));
	expect_message(sa, id);
	expect_status(put(ben, format("/v1/blocks/%s", ann->name), NULL), 204);
	expect_status(del(ann, "/v1/blocks/%s", ben->name), 204);
	expect_problem(
		post(ann, direct_path(ben, "messages"), "{'text':'x'}"), 403, "blocked"); /* ben's own entry remains */
	expect_status(del(ben, "/v1/blocks/%s", ann->name), 204);
	expect_status(post(ann, direct_path(ben, "messages"), "{'text':'x'}"), 201);
	/* A chat that doesn't exist isn't created. */
	expect_status(put(ann, format("/v1/blocks/%s", cem->name), NULL), 204);
	expect_problem(post(cem, direct_path(ann, "messages"), "{'text':'x'}"), 403, "blocked");
	expect_problem(post(cem, "/v1/chats", "{'kind':'direct','members':['%s']}", ann->name), 403, "blocked");
	expect_problem(put(ann, "/v1/blocks/no-such-user", NULL), 404, "not_found");
}
END_TEST

int main(void)
{
	const TTest *const tests[] = { presence_is_sent_to_users_with_a_direct_chat,
		presence_visibility_setting_limits_who_sees_it, presence_during_page_reload_stays_online,
		presence_spans_nodes_and_ends_with_a_killed_node, presence_after_database_crash_is_restored,
		contacts_are_private_to_their_user, block_closes_the_direct_chat,
		presence_visibility_setting_is_private, presence_of_disabled_user_is_offline,
		block_refuses_every_write_between_the_users, actions_are_rate_limited, NULL };
	return suite_run("people", tests, NULL);
}
