/* SPDX-License-Identifier: MIT
 * Receipts, typing and signals: what users see of each other's reading and writing, and what they don't see. */
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

static void mark_read(const struct client *who, long long chat, long long up_to)
{
	expect_status(post(who, chat_path(chat, "read"), "{'up_to':%lld}", up_to), 204);
}

/* Waits for the next event of that kind, which must be about this user. */
static struct json_object *expect_about(struct stream *s, const char *kind, const struct client *who)
{
	struct json_object *e = expect_ephemeral(s, kind);
	ck_assert_str_eq(json_str(e, "name"), who->name);
	return e;
}

/* ---- receipts ---- */

START_TEST(receipts_in_small_group_are_sent_to_every_member)
{
	struct client *ann = new_user(), *ben = new_user(), *cem = new_user(), *out = new_user();
	long long chat = make_group(ann, ben, cem);
	struct stream *sa = stream_from_now(ann), *sb = stream_from_now(ben), *so = stream_from_now(out);
	long long id = say(ann, chat, "hi");
	expect_message(sb, id);
	expect_status(post(ben, chat_path(chat, "delivered"), "{'up_to':%lld}", id), 204);
	ck_assert_int_eq(json_num(expect_about(sa, "delivered", ben), "up_to"), id);
	mark_read(ben, chat, id);
	struct json_object *e = expect_about(sa, "read", ben);
	ck_assert_int_eq(json_num(e, "up_to"), id);
	ck_assert_int_eq(json_num(e, "chat"), chat);
	expect_about(sb, "read", ben); /* for ben's other devices */
	mark_read(ben, chat, id - 1);  /* marks only move up, and no event is sent */
	mark_read(cem, chat, id);
	expect_about(sa, "read", cem);
	expect_no_ephemeral(so);
	expect_problem(post(out, chat_path(chat, "read"), "{'up_to':%lld}", id), 404, "not_found");
	expect_problem(post(out, "/v1/chats/999999/read", "{'up_to':1}"), 404, "not_found");
	expect_problem(post(ben, chat_path(chat, "read"), "{}"), 422, "missing_field");
	expect_status(del(ann, "%s", member_path(chat, cem)), 204);
	expect_problem(post(cem, chat_path(chat, "read"), "{'up_to':%lld}", id), 404, "not_found");
	struct answer mine = expect_status(get(ann, "%s/receipts", message_path(chat, id)), 200);
	ck_assert_int_eq(json_num(mine.json, "read"), 1);
	ck_assert_str_eq(json_str(mine.json, "read_by.0"), ben->name);
	expect_problem(get(ben, "%s/receipts", message_path(chat, id)), 403, "forbidden");
	expect_problem(get(out, "%s/receipts", message_path(chat, id)), 404, "not_found");
}
END_TEST

START_TEST(receipts_are_not_sent_to_former_member)
{
	struct client *ann = new_user(), *ben = new_user(), *cem = new_user();
	long long chat = make_group(ann, ben, cem), id = say(ben, chat, "bye");
	struct stream *sb = stream_from_now(ben);
	expect_status(del(ben, "%s", member_path(chat, ben)), 204);
	expect_status(post(cem, chat_path(chat, "delivered"), "{'up_to':%lld}", id), 204);
	mark_read(cem, chat, id);
	expect_no_ephemeral(sb);
}
END_TEST

START_TEST(receipts_count_only_members_who_can_read_the_message)
{
	struct client *ann = new_user(), *ben = new_user(), *cem = new_user();
	long long chat = json_num(
			  expect_status(post(ann, "/v1/chats", "{'kind':'group','title':'t','history':'joined'}"), 201)
				  .json,
			  "id"),
		  id = say(ann, chat, "before");
	expect_status(put(ann, member_path(chat, ben), "{}"), 200);
	expect_status(put(ann, member_path(chat, cem), "{}"), 200);
	long long later_id = say(ann, chat, "after");
	mark_read(ben, chat, later_id);
	mark_read(cem, chat, later_id);
	struct answer a = expect_status(get(ann, "%s/receipts", message_path(chat, id)), 200);
	ck_assert_int_eq(json_num(a.json, "delivered"), 0);
	ck_assert_int_eq(json_num(a.json, "read"), 0);
	expect_status(del(ann, "%s", member_path(chat, cem)), 204);
	ck_assert_int_eq(
		json_num(expect_status(get(ann, "%s/receipts", message_path(chat, later_id)), 200).json, "read"), 1);
}
END_TEST

START_TEST(read_mark_past_the_head_is_limited_to_it)
{
	struct client *ann = new_user(), *ben = new_user();
	long long chat = make_group(ann, ben), id = say(ann, chat, "one");
	mark_read(ben, chat, 9000000000000000000LL);
	struct answer a = expect_status(get(ben, "/v1/chats/%lld", chat), 200);
	ck_assert_int_ge(json_num(a.json, "read"), id);
	ck_assert_int_lt(json_num(a.json, "read"), id + 1000);
	say(ann, chat, "two");
	ck_assert_int_eq(json_num(expect_status(get(ben, "/v1/chats/%lld", chat), 200).json, "unread"), 1);
}
END_TEST

START_TEST(unread_count_is_equal_on_every_device)
{
	struct client *ann = new_user(), *ben = new_user();
	long long chat = make_group(ann, ben);
	struct stream *phone = stream_from_now(ben), *desk = stream_from_now(ben);
	long long first = say(ann, chat, "1"), last = say(ann, chat, "2");
	expect_message(phone, first);
	expect_message(phone, last);
	struct answer a = expect_status(get(ben, "/v1/sync"), 200);
	ck_assert_int_eq(json_num(a.json, "chats.0.unread"), 2);
	ck_assert_int_eq(json_num(a.json, "chats.0.first_unread"), first);
	mark_read(ben, chat, last);
	ck_assert_int_eq(json_num(expect_about(desk, "read", ben), "up_to"), last);
	ck_assert_int_eq(json_num(expect_status(get(ben, "/v1/sync"), 200).json, "chats.0.unread"), 0);
}
END_TEST

static void send_many(const struct client *who, long long chat, unsigned n)
{
	static const char line[] = "{\"text\":\"x\"}\n";
	size_t len = sizeof(line) - 1;
	char *lines = on_teardown(free, malloc(n * len + 1));
	for (unsigned i = 0; i < n; i++)
		memcpy(lines + i * len, line, len + 1);
	expect_status(post_as(who, messages_path(chat), "application/x-ndjson", lines), 200);
}

START_TEST(unread_count_skips_own_messages)
{
	struct client *ann = new_user(), *ben = new_user();
	long long chat = make_group(ann, ben), other = make_group(ann, ben);
	char *path = format("/v1/chats/%lld", chat), *others = format("/v1/chats/%lld", other);
	struct stream *s = stream_from_now(ben);
	send_many(ann, chat, 1100);
	struct answer a = expect_status(get(ann, "%s", path), 200);
	long long last = json_num(a.json, "last_message.id");
	ck_assert_int_eq(json_num(a.json, "unread"), 0);
	a = expect_status(get(ann, "%s", path), 200);
	ck_assert_int_eq(json_num(a.json, "read"), last); /* the messages are not counted again */
	ck_assert_int_eq(json_num(expect_status(get(ben, "%s", path), 200).json, "unread"), 1000);
	ck_assert(!json_has(expect_status(get(ben, "%s", path), 200).json, "read"));
	long long id = say(ben, chat, "well?");
	send_many(ann, chat, 1100);
	for (int i = 0; i < 2; i++) {
		a = expect_status(get(ann, "%s", i ? "/v1/sync" : path), 200);
		struct json_object *c = i ? json_at(a.json, "chats.0") : a.json;
		ck_assert_int_eq(json_num(c, "unread"), 1); /* and messages of others are not skipped */
		ck_assert_int_eq(json_num(c, "first_unread"), id);
		ck_assert_int_lt(json_num(c, "read"), id);
	}
	expect_no_ephemeral(s);

	send_many(ann, other, 150);
	struct answer p = expect_status(get(ann, "/v1/poll?wait=0"), 200);
	expect_status(get(ann, "/v1/poll?wait=0&since=%s", json_str(p.json, "cursor")), 200);
	unsigned long long until = clock_mono_ms() + PATIENCE;
	do {
		time_left(until, "the mark to include the user's own messages");
		a = expect_status(get(ann, "%s", others), 200);
	} while (!json_has(a.json, "delivered"));
	ck_assert_int_ge(json_num(a.json, "delivered"), json_num(a.json, "last_message.id"));
	ck_assert_int_eq(json_num(a.json, "read"), 0);
}
END_TEST

START_TEST(poll_with_next_cursor_marks_delivered)
{
	struct client *ann = new_user(), *ben = new_user();
	long long chat = make_group(ann, ben);
	struct stream *s = stream_from_now(ann);
	struct answer p = expect_status(get(ben, "/v1/poll?wait=0"), 200);
	long long id = say(ann, chat, "hi");
	p = expect_status(get(ben, "/v1/poll?wait=10&since=%s", json_str(p.json, "cursor")), 200);
	ck_assert_int_eq(json_num(p.json, "events.0.data.id"), id);
	ck_assert_uint_eq(json_count(expect_status(get(ann, "/v1/chats/%lld/receipts", chat), 200).json, "receipts"),
		0); /* delivery isn't known yet */
	expect_status(get(ben, "/v1/poll?wait=0&since=%s", json_str(p.json, "cursor")), 200);
	ck_assert_int_ge(json_num(expect_about(s, "delivered", ben), "up_to"), id);
}
END_TEST

START_TEST(receipts_in_large_group_are_counts_for_the_author)
{
	enum { CROWD = 101 };
	struct client *ann = new_user(), *ben = new_user(), *cem = new_user(), *dan = new_user();
	long long chat = make_group(ann, ben, cem, dan);
	PGconn *db = database_open(test_server());
	sql(db,
		"insert into postern.member (chat_id, name, state, since, rev) select %lld, 'crowd' || i, 'joined', "
		"0, 0 from generate_series(1, %d) i",
		chat, CROWD);
	sql(db, "update postern.chat set members_count = members_count + %d where id = %lld", CROWD, chat);
	struct stream *sa = stream_from_now(ann), *sc = stream_from_now(cem);
	long long first = say(ann, chat, "first"), id = say(ann, chat, "second");
	expect_message(sc, first);
	expect_message(sc, id);
	mark_read(ben, chat, id);
	struct json_object *e = expect_ephemeral(sa, "read");
	ck_assert_int_eq(json_num(e, "id"), id);
	ck_assert_int_eq(json_num(e, "count"), 1);
	ck_assert(!json_has(e, "name"));
	mark_read(cem, chat, id);
	ck_assert_int_eq(json_num(expect_ephemeral(sa, "read"), "count"), 2);
	ck_assert_str_eq(json_str(expect_ephemeral(sc, "read"), "name"),
		cem->name); /* for their own devices; ben's isn't sent to them */
	ck_assert_uint_eq(
		json_count(expect_status(get(ben, "/v1/chats/%lld/receipts", chat), 200).json, "receipts"), 1);
	ck_assert(!json_has(expect_status(get(ann, "%s/receipts", message_path(chat, id)), 200).json, "read_by"));
	expect_status(del(cem, "%s", member_path(chat, cem)), 204);
	mark_read(dan, chat, id);
	ck_assert_int_eq(json_num(expect_ephemeral(sa, "read"), "count"), 2); /* a former member doesn't count */
	expect_status(patch(ann, format("/v1/chats/%lld", chat), "{'history':'joined'}"), 200);
	expect_status(put(ann, member_path(chat, cem), "{}"), 200);
	long long third = say(ann, chat, "third");
	sql(db, "update postern.watermark set read = 0 where chat_id = %lld and name = '%s'", chat, dan->name);
	mark_read(cem, chat, third); /* they can't see the second message and so haven't read it */
	ck_assert_int_eq(json_num(expect_ephemeral(sa, "read"), "id"), third);
	mark_read(dan, chat, id);
	e = expect_ephemeral(sa, "read");
	ck_assert_int_eq(json_num(e, "id"), id);
	ck_assert_int_eq(json_num(e, "count"), 2);
}
END_TEST

START_TEST(read_marks_in_a_burst_are_all_kept)
{
	enum { READERS = 40, EACH = 25 };
	struct client *ann = new_user();
	long long chat = make_group(ann), id = 0;
	struct wire *w[READERS];
	struct client *c[READERS];
	for (int i = 0; i < READERS; i++) {
		c[i] = new_user();
		expect_status(put(ann, member_path(chat, c[i]), NULL), 200);
		w[i] = wire_open(test_server());
	}
	for (int i = 0; i < EACH; i++)
		id = say(ann, chat, format("%d", i));
	for (int n = 0; n < EACH; n++)
		for (int i = 0; i < READERS; i++) {
			char *body = format("{\"up_to\":%lld}", id - EACH + 1 + n);
			wire_send(w[i],
				"POST /v1/chats/%lld/read HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n"
				"Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
				chat, c[i]->token, strlen(body), body);
		}
	for (int i = 0; i < READERS; i++)
		for (int n = 0; n < EACH; n++)
			expect_status(wire_answer(w[i]), 204);
	for (int i = 0; i < READERS; i++)
		ck_assert_int_eq(json_num(expect_status(get(c[i], "/v1/chats/%lld", chat), 200).json, "read"), id);
}
END_TEST

/* ---- typing and signals ---- */

START_TEST(typing_is_sent_to_other_members_and_throttled)
{
	struct client *ann = new_user(), *ben = new_user(), *out = new_user();
	long long chat = make_group(ann, ben);
	struct stream *sa = stream_from_now(ann), *sb = stream_from_now(ben), *so = stream_from_now(out);
	expect_status(post(ann, chat_path(chat, "typing"), NULL), 204);
	struct json_object *e = expect_about(sb, "typing", ann);
	ck_assert_int_eq(json_num(e, "chat"), chat);
	ck_assert_int_gt(json_num(e, "expires_in"), 0);
	expect_status(post(ann, chat_path(chat, "typing"), NULL), 204); /* throttled: the next event is ben's own */
	expect_status(post(ben, chat_path(chat, "typing"), NULL), 204);
	expect_about(sa, "typing", ben);
	expect_status(post(ben, direct_path(ann, "messages"), "{'text':'x'}"), 201);
	expect_status(post(ben, direct_path(ann, "typing"), NULL), 204);
	expect_about(sa, "typing", ben);
	expect_problem(post(out, chat_path(chat, "typing"), NULL), 404, "not_found");
	expect_problem(post(out, direct_path(ann, "typing"), NULL), 404, "not_found");
	expect_status(put(ann, member_path(chat, ben), "{'muted_until':'2999-01-01T00:00:00Z'}"), 200);
	expect_problem(post(ben, chat_path(chat, "typing"), NULL), 403, "muted");
	expect_no_ephemeral(so);
	/* Typing isn't replayed. */
	struct answer p = expect_status(get(ben, "/v1/poll?wait=0&since=%s", stream_cursor(sb)), 200);
	ck_assert_uint_gt(json_count(p.json, "events"), 0);
	for (size_t i = 0; i < json_count(p.json, "events"); i++)
		ck_assert_str_ne(json_str(p.json, format("events.%zu.event", i)), "typing");
}
END_TEST

START_TEST(signals_are_relayed_unchanged)
{
	struct client *ann = new_user(), *ben = new_user(), *cem = new_user(), *out = new_user();
	long long chat = make_group(ann, ben, cem);
	struct stream *sa = stream_from_now(ann), *sb = stream_from_now(ben), *sc = stream_from_now(cem),
		      *so = stream_from_now(out);
	char sdp[12001];
	memset(sdp, 'v', sizeof(sdp) - 1);
	sdp[sizeof(sdp) - 1] = '\0';
	expect_status(post(ann, chat_path(chat, "signal"), "{'type':'offer','data':{'sdp':'%s\xc3\xa9'}}", sdp), 204);
	struct json_object *e = expect_ephemeral(sb, "signal");
	ck_assert_str_eq(json_str(e, "from"), ann->name);
	ck_assert_str_eq(json_str(e, "type"), "offer");
	ck_assert_str_eq(json_str(e, "data.sdp"), format("%s\xc3\xa9", sdp));
	expect_ephemeral(sc, "signal");
	expect_ephemeral(sa, "signal"); /* ann's other devices */
	expect_status(post(ben, chat_path(chat, "signal"), "{'type':'answer','data':{},'to':'%s'}", ann->name), 204);
	ck_assert_str_eq(json_str(expect_ephemeral(sa, "signal"), "to"), ann->name);
	expect_ephemeral(sb, "signal");
	expect_status(post(ben, chat_path(chat, "signal"), "{'type':'bye','data':{}}"), 204);
	ck_assert_str_eq(json_str(expect_ephemeral(sc, "signal"), "type"), "bye"); /* and not the one for ann alone */
	expect_no_ephemeral(so);
	expect_problem(post(out, chat_path(chat, "signal"), "{'type':'x','data':{}}"), 404, "not_found");
	struct answer a =
		expect_problem(post(ann, chat_path(chat, "signal"), "{'type':'x','data':{},'to':'%s'}", out->name), 422,
			"unknown_user");
	ck_assert_str_eq(json_str(a.json, "detail"), "to is no member of this chat.");
	expect_problem(post(ann, chat_path(chat, "signal"), "{'type':'x','data':[]}"), 422, "wrong_type");
	expect_problem(post(ann, chat_path(chat, "signal"), "{'data':{}}"), 422, "missing_field");
	char *large = format("{'type':'x','data':{'sdp':'%s%s%s'}}", sdp, sdp, sdp);
	expect_problem(post(ann, chat_path(chat, "signal"), "%s", large), 422, "out_of_range");
}
END_TEST

START_TEST(ephemeral_events_reach_poll_and_ndjson)
{
	struct client *ann = new_user(), *ben = new_user();
	long long chat = make_group(ann, ben);
	struct stream *s = stream_open(ben, "?format=ndjson");
	expect(s, "hello");
	expect_status(post(ann, chat_path(chat, "typing"), NULL), 204);
	expect_about(s, "typing", ann);
	struct answer p = expect_status(get(ben, "/v1/poll?wait=0"), 200);
	char *since = format("%s", json_str(p.json, "cursor"));
	struct wire *w = wire_open(test_server());
	wire_send(w, "GET /v1/poll?since=%s&wait=20 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", since,
		ben->token);
	await_metric(test_server(), "postern_streams", 2);
	expect_status(post(ann, chat_path(chat, "signal"), "{'type':'x','data':{}}"), 204);
	struct answer a = expect_status(wire_answer(w), 200);
	ck_assert_str_eq(json_str(a.json, "events.0.event"), "signal");
	long long id = say(ann, chat, "after");
	a = expect_status(
		get(ben, "/v1/poll?since=%s&wait=10", json_str(a.json, "cursor")), 200); /* its cursor is valid */
	ck_assert_int_eq(json_num(a.json, "events.0.data.id"), id);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		receipts_in_small_group_are_sent_to_every_member,
		receipts_are_not_sent_to_former_member,
		receipts_count_only_members_who_can_read_the_message,
		read_mark_past_the_head_is_limited_to_it,
		unread_count_is_equal_on_every_device,
		unread_count_skips_own_messages,
		poll_with_next_cursor_marks_delivered,
		receipts_in_large_group_are_counts_for_the_author,
		read_marks_in_a_burst_are_all_kept,
		typing_is_sent_to_other_members_and_throttled,
		signals_are_relayed_unchanged,
		ephemeral_events_reach_poll_and_ndjson,
		NULL,
	};
	return suite_run("receipts", tests, NULL);
}
