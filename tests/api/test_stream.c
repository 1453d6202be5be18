/* SPDX-License-Identifier: MIT
 * What is received: by whom, in which order, from where on; and what a cut, a kick, a restart or a slow reader may and
 * may not do. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/client.h"
#include "../lib/stream.h"
#include "../lib/suite.h"

/* A second node, with next to no memory of what was. */
static struct server *second(void)
{
	static struct server *node;
	static const char *const flags[] = { "--ring-bytes", "4K", "--rate-sends", "0", "--rate-actions", "0",
		"--streams-per-user", "0", NULL };
	if (node == NULL)
		node = server_join(house(), flags);
	return node;
}

/* The cursor of now. */
static const char *now_of(const struct client *who) { return str(is(get(who, "/v1/sync"), 200).json, "cursor"); }

static void send_request(struct wire *w, const struct client *who, const char *target)
{
	wire_send(w, "GET %s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n\r\n", target, who->token);
}

START_TEST(hello_comes_first)
{
	struct stream *s = stream_open(user("bob"), NULL);
	struct json_object *hello = expect(s, "hello");
	ck_assert_str_eq(str(hello, "cursor"), stream_cursor(s));
	ck_assert_str_ne(str(hello, "node"), "");
	ck_assert_int_eq(num(hello, "heartbeat"), 15);
	ck_assert_int_ge(stream_retry(s), 0);
	ck_assert_str_eq(stream_header(s, "Cache-Control"), "no-cache, no-transform");
	ck_assert_str_eq(stream_header(s, "X-Accel-Buffering"), "no");
	ck_assert_int_eq(strncmp(said(stream_head(s), "Content-Type"), "text/event-stream", 17), 0);
	ck_assert_ptr_nonnull(stream_header(s, "X-Request-Id"));
	ck_assert_ptr_null(stream_header(s, "Transfer-Encoding"));
}
END_TEST

START_TEST(a_message_reaches_every_stream_of_the_chat)
{
	struct client *alice = user("alice"), *bob = user("bob"), *mallory = user("mallory");
	long long chat = group(alice, bob);
	struct stream *hers = live(alice), *his = live(bob), *his_phone = live(bob), *others = live(mallory);
	long long id = say(alice, chat, "hi");
	expect_message(hers, id);
	expect_message(his_phone, id);
	struct json_object *m = expect_message(his, id);
	struct json_object *read = is(get(bob, "%s", message(chat, id)), 200).json;
	ck_assert_msg(json_object_equal(m, read), "%s is not %s", json_object_to_json_string(m),
		json_object_to_json_string(read));
	expect_quiet(others);
}
END_TEST

START_TEST(a_cut_stream_resumes_where_it_was)
{
	struct client *alice = user("alice"), *bob = user("bob");
	long long chat = group(alice, bob);
	struct stream *s = live(bob);
	expect_message(s, say(alice, chat, "1"));
	stream_cut(s);
	long long second_id = say(alice, chat, "2"), third = say(alice, chat, "3");

	struct stream *by_header = stream_open(with(bob, "Last-Event-ID: %s", stream_cursor(s)), NULL);
	struct stream *by_query = stream_open(bob, "?since=%s", stream_cursor(s));
	long long fourth = say(alice, chat, "4");
	for (int i = 0; i < 2; i++) {
		struct stream *resumed = i ? by_query : by_header;
		expect(resumed, "hello");
		expect_message(resumed, second_id);
		expect_message(resumed, third);
		expect_message(resumed, fourth);
	}
	expect_quiet(by_query);
}
END_TEST

START_TEST(what_the_browser_saw_last_beats_the_address)
{
	/* A browser's EventSource reconnects to the same address, old cursor included, and adds the header. */
	struct client *alice = user("alice"), *bob = user("bob");
	long long chat = group(alice, bob);
	const char *old = now_of(bob);
	struct stream *s = live(bob);
	expect_message(s, say(alice, chat, "seen"));
	long long id = say(alice, chat, "missed");
	struct stream *resumed = stream_open(with(bob, "Last-Event-ID: %s", stream_cursor(s)), "?since=%s", old);
	expect(resumed, "hello");
	expect_message(resumed, id);
}
END_TEST

START_TEST(a_cut_right_after_hello_misses_nothing)
{
	struct client *alice = user("alice"), *bob = user("bob");
	long long chat = group(alice, bob);
	struct stream *s = live(bob);
	stream_cut(s);
	long long id = say(alice, chat, "while away");
	expect_message(live_since(bob, stream_cursor(s)), id);
	/* And hello by itself doesn't move on: its cursor is where the stream starts, not where the log is. */
	struct stream *again = stream_open(bob, "?since=%s", stream_cursor(s));
	const char *cursor = str(expect(again, "hello"), "cursor");
	stream_cut(again);
	expect_message(live_since(bob, cursor), id);
}
END_TEST

START_TEST(any_cursor_resumes_any_transport)
{
	struct client *alice = user("alice"), *bob = user("bob");
	long long chat = group(alice, bob), ids[4];
	const char *sync = now_of(bob);
	struct stream *sse = live(bob), *ndjson = stream_open(bob, "?format=ndjson");
	expect(ndjson, "hello");
	for (int i = 0; i < 2; i++)
		ids[i] = say(alice, chat, "before");
	for (int i = 0; i < 2; i++) {
		expect_message(sse, ids[i]);
		expect_message(ndjson, ids[i]);
	}
	struct answer polled = is(get(bob, "/v1/poll?wait=0&since=%s", sync), 200);
	const char *const cursors[] = { stream_cursor(sse), stream_cursor(ndjson), str(polled.json, "cursor") };
	for (int i = 2; i < 4; i++) {
		ids[i] = say(alice, chat, "after");
		expect_message(sse, ids[i]);
	}
	for (int i = 0; i < 3; i++) {
		struct stream *a = live_since(bob, cursors[i]),
			      *b = stream_open(bob, "?format=ndjson&since=%s", cursors[i]);
		expect(b, "hello");
		struct answer c = is(get(bob, "/v1/poll?wait=0&since=%s", cursors[i]), 200);
		ck_assert_uint_eq(count(c.json, "events"), 2);
		for (int j = 2; j < 4; j++) {
			expect_message(a, ids[j]);
			expect_message(b, ids[j]);
			ck_assert_int_eq(num(c.json, format("events.%d.data.id", j - 2)), ids[j]);
		}
	}
}
END_TEST

START_TEST(a_cursor_of_another_history_is_reset)
{
	struct client *alice = user("alice"), *bob = user("bob");
	long long chat = group(alice, bob);
	char *foreign = format("%s", now_of(bob)), *future = format("%s000000", now_of(bob));
	foreign[0] = foreign[0] == 'a' ? 'b' : 'a';
	const char *const cursors[] = { foreign, future };
	for (int i = 0; i < 2; i++) {
		struct stream *s = stream_open(bob, "?since=%s", cursors[i]);
		expect(s, "hello");
		ck_assert_str_ne(str(expect(s, "reset"), "reason"), "");
		struct answer a = is(get(bob, "/v1/poll?wait=60&since=%s", cursors[i]), 200);
		ck_assert_str_eq(str(a.json, "events.0.event"), "reset");
		/* Whoever follows the advice is well again. */
		struct stream *fresh = live_since(bob, now_of(bob));
		expect_message(fresh, say(alice, chat, "welcome back"));
	}
}
END_TEST

START_TEST(sync_and_stream_meet_without_gap_or_overlap)
{
	struct client *alice = user("alice"), *bob = somebody();
	long long chat = group(alice, bob);
	say(alice, chat, "before");
	struct answer sync = is(get(bob, "/v1/sync"), 200);
	ck_assert_str_eq(str(sync.json, "chats.0.last_message.text"), "before");
	ck_assert_str_eq(str(sync.json, "me.name"), bob->name);
	ck_assert(has(sync.json, "timing"));
	long long id = say(alice, chat, "after");
	struct stream *s = live_since(bob, str(sync.json, "cursor"));
	expect_message(s, id);
	expect_quiet(s);
}
END_TEST

START_TEST(a_kick_takes_effect_at_its_place)
{
	struct client *alice = user("alice"), *bob = user("bob"), *carol = user("carol");
	long long chat = group(alice, bob, carol);
	const char *cursor = now_of(bob);
	struct stream *his = live(bob), *hers = live(carol);
	long long before = say(alice, chat, "before");
	is(del(alice, "%s", member(chat, bob)), 204);
	long long absent = say(alice, chat, "not for bob");
	expect_message(his, before);
	struct json_object *m = expect(his, "member");
	ck_assert_str_eq(str(m, "name"), "bob");
	ck_assert_str_eq(str(m, "state"), "kicked");
	/* Who was away hears only of his own going. */
	struct answer polled = is(get(bob, "/v1/poll?wait=0&since=%s", cursor), 200);
	ck_assert_uint_eq(count(polled.json, "events"), 1);
	ck_assert_str_eq(str(polled.json, "events.0.data.state"), "kicked");
	expect_quiet(his);

	expect_message(hers, before);
	ck_assert_str_eq(str(expect(hers, "member"), "state"), "kicked");
	ck_assert_int_eq(num(expect(hers, "chat"), "members_count"), 2);
	expect_message(hers, absent);

	refused(get(bob, "%s", message(chat, before)), 404, "not_found");
}
END_TEST

START_TEST(who_comes_back_hears_from_then_on)
{
	struct client *alice = user("alice"), *bob = user("bob");
	long long chat = group(alice, bob);
	struct stream *s = live(bob);
	const char *cursor = stream_cursor(s);
	is(del(alice, "%s", member(chat, bob)), 204);
	say(alice, chat, "not for bob");
	is(put(alice, member(chat, bob), "{}"), 200);
	long long after = say(alice, chat, "welcome back");
	/* There all the time: each change. */
	ck_assert_str_eq(str(expect(s, "member"), "state"), "kicked");
	ck_assert_str_eq(str(expect(s, "member"), "state"), "joined");
	ck_assert_int_eq(num(expect(s, "chat"), "members_count"), 2);
	expect_message(s, after);
	/* Away all the time: the latest state, once. */
	struct answer polled = is(get(bob, "/v1/poll?wait=0&since=%s", cursor), 200);
	ck_assert_uint_eq(count(polled.json, "events"), 3);
	ck_assert_str_eq(str(polled.json, "events.0.data.state"), "joined");
	ck_assert_str_eq(str(polled.json, "events.1.event"), "chat");
	ck_assert_int_eq(num(polled.json, "events.2.data.id"), after);
	expect_quiet(s);
}
END_TEST

START_TEST(a_new_member_hears_of_himself_first)
{
	struct client *alice = user("alice"), *dave = user("dave");
	long long chat = group(alice);
	say(alice, chat, "old news");
	struct stream *s = live(dave), *hers = live(alice);
	is(put(alice, member(chat, dave), "{'role':'member'}"), 200);
	struct json_object *m = expect(s, "member");
	ck_assert_int_eq(num(m, "chat"), chat);
	ck_assert_str_eq(str(m, "name"), "dave");
	ck_assert_str_eq(str(m, "role"), "member");
	ck_assert_int_eq(num(expect(s, "chat"), "members_count"), 2);
	expect_message(s, say(alice, chat, "hi dave"));
	ck_assert_str_eq(str(expect(hers, "member"), "name"), "dave");
	/* What was before he reads in the history. */
	ck_assert_uint_eq(count(is(get(dave, "%s", messages(chat)), 200).json, "messages"), 2);
}
END_TEST

START_TEST(who_leaves_hears_that_and_no_more)
{
	struct client *alice = user("alice"), *bob = user("bob");
	long long chat = group(alice, bob);
	struct stream *s = live(bob);
	is(del(bob, "%s", member(chat, bob)), 204);
	say(alice, chat, "he is gone");
	ck_assert_str_eq(str(expect(s, "member"), "state"), "left");
	expect_quiet(s);
}
END_TEST

START_TEST(the_first_direct_message_brings_its_chat)
{
	struct client *alice = somebody(), *bob = somebody();
	struct stream *s = live(bob);
	struct answer sent = is(post(alice, to("/v1/chats/@%s/messages", bob->name), "{'text':'psst'}"), 201);
	struct json_object *m = expect(s, "member");
	ck_assert_int_eq(num(m, "chat"), num(sent.json, "chat"));
	while (strcmp(str(m, "name"), bob->name) != 0)
		m = expect(s, "member");
	struct json_object *chat = expect(s, "chat");
	ck_assert_str_eq(str(chat, "kind"), "direct");
	expect_message(s, num(sent.json, "id"));
	expect_quiet(s);
}
END_TEST

/* Takes events until a chat has that title: then this worker knows of all that was before. */
static void await_title(struct stream *s, const char *title)
{
	for (bool found = false; !found;) {
		bool is_chat = strcmp(peek(s), "chat") == 0;
		struct json_object *e = expect(s, peek(s));
		found = is_chat && strcmp(str(e, "title"), title) == 0;
	}
}

START_TEST(changes_arrive_once_as_the_latest_state)
{
	struct client *alice = user("alice"), *bob = user("bob");
	long long chat = group(alice, bob), edited = say(alice, chat, "1"), deleted = say(alice, chat, "2"),
		  both = say(alice, chat, "3");
	const char *cursor = now_of(bob);
	struct stream *witness = live(alice);
	is(patch(alice, message(chat, edited), "{'text':'1a'}"), 200);
	is(patch(alice, message(chat, both), "{'text':'3a'}"), 200);
	long long fresh = say(alice, chat, "4");
	is(del(alice, "%s", message(chat, deleted)), 204);
	is(patch(alice, to("/v1/chats/%lld", chat), "{'title':'orchard'}"), 200);
	is(patch(alice, message(chat, edited), "{'text':'1b'}"), 200);
	is(del(alice, "%s", message(chat, both)), 204);
	is(del(alice, "%s", message(chat, say(alice, chat, "never seen"))), 204);
	is(patch(alice, to("/v1/chats/%lld", chat), "{'title':'meadow'}"), 200);
	await_title(witness, "meadow");

	struct stream *s = live_since(bob, cursor);
	expect_message(s, fresh);
	ck_assert_int_eq(num(expect(s, "deleted"), "id"), deleted);
	struct json_object *m = expect_message(s, edited);
	ck_assert_str_eq(str(m, "text"), "1b");
	ck_assert_int_gt(num(m, "rev"), fresh);
	ck_assert_int_eq(num(expect(s, "deleted"), "id"), both);
	struct json_object *gone = expect(s, "deleted");
	ck_assert_int_eq(num(gone, "chat"), chat);
	ck_assert_int_gt(num(gone, "rev"), num(gone, "id"));
	ck_assert_str_eq(str(expect(s, "chat"), "title"), "meadow");
	expect_quiet(s);
}
END_TEST

START_TEST(changes_arrive_one_by_one_when_live)
{
	struct client *alice = user("alice"), *bob = user("bob");
	long long chat = group(alice, bob);
	struct stream *s = live(bob);
	long long id = say(alice, chat, "1");
	is(patch(alice, message(chat, id), "{'text':'2'}"), 200);
	is(del(alice, "%s", message(chat, id)), 204);
	is(del(alice, "%s", message(chat, id)), 204);
	expect_message(s, id);
	struct json_object *edited = expect_message(s, id), *gone;
	ck_assert_str_eq(str(edited, "text"), "2");
	ck_assert(has(edited, "edited_at"));
	ck_assert_int_eq(num(gone = expect(s, "deleted"), "id"), id);
	ck_assert_ptr_null(strstr(json_object_to_json_string(gone), "text"));
	expect_quiet(s);
}
END_TEST

START_TEST(long_messages_come_whole)
{
	struct client *alice = user("alice"), *bob = user("bob");
	long long chat = group(alice, bob);
	struct stream *s = live(bob), *elsewhere = live(via(bob, second()));
	char *text = later(free, malloc(16385));
	for (int i = 0; i < 16384; i++)
		text[i] = "ab\"\\\n\x01\xc3\xa9"[i % 8];
	text[16384] = '\0';
	for (int i = 0; i < 3; i++) {
		long long id = num(is(post_as(alice, messages(chat), "text/plain", text), 201).json, "id");
		ck_assert_str_eq(str(expect_message(s, id), "text"), text);
		ck_assert_str_eq(str(expect_message(elsewhere, id), "text"), text);
	}
}
END_TEST

/* Sends n messages of about `size` bytes in few requests; gives the ids of the first and the last. */
static void send_many(struct client *who, long long chat, int n, int size, long long *ret_first, long long *ret_last)
{
	for (int sent = 0; sent < n;) {
		size_t len = 0, room = 200000;
		char *body = later(free, malloc(room + (size_t)size + 64));
		for (; sent < n && len < room; sent++)
			len += (size_t)sprintf(body + len, "{\"text\":\"%0*d\"}\n", size, sent);
		struct answer a = is(ask(who, "POST", messages(chat), "application/x-ndjson", body, len), 200);
		ck_assert_ptr_null(strstr(a.body, "\"code\""));
		if (sent == n)
			break;
	}
	struct answer page = is(get(who, "%s?limit=200", messages(chat)), 200);
	*ret_last = num(page.json, format("messages.%zu.id", count(page.json, "messages") - 1));
	*ret_first = *ret_last - n + 1; /* positions are gapless, and nobody else is writing */
}

START_TEST(a_thousand_missed_come_in_order_from_memory_or_tables)
{
	struct client *alice = user("alice"), *bob = user("bob");
	long long chat = group(alice, bob), first, last;
	const char *cursor = now_of(bob);
	send_many(alice, chat, 1500, 100, &first, &last);
	struct stream *s = live_since(bob, cursor), *from_tables = live_since(via(bob, second()), cursor);
	for (long long id = first; id <= last; id++) {
		expect_message(s, id);
		expect_message(from_tables, id);
	}
	expect_quiet(s);
}
END_TEST

START_TEST(a_slow_reader_loses_nothing)
{
	struct client *alice = user("alice"), *bob = user("bob");
	long long chat = group(alice, bob), first, last, next;
	struct wire *w = later(wire_free, wire_new(house(), 4096));
	send_request(w, bob, "/v1/stream");
	struct stream *s = stream_on(w), *quick = live(bob);
	expect(s, "hello");
	send_many(alice, chat, 600, 10000, &first, &last);
	for (next = first; next <= last; next++)
		expect_message(quick, next);
	/* Now it reads. Whether it was closed meanwhile or set back: what it missed comes, once and in order. */
	for (next = first; next <= last; next++) {
		if (stream_is_over(s))
			s = live_since(bob, stream_cursor(s));
		expect_message(s, next);
	}
	expect_quiet(quick);
}
END_TEST

START_TEST(a_planned_end_says_bye_and_loses_nothing)
{
	struct client *alice = user("alice"), *bob = user("bob");
	long long chat = group(alice, bob);
	struct stream *s = stream_open(via(bob, second()), NULL),
		      *ndjson = stream_open(via(bob, second()), "?format=ndjson");
	struct wire *w = dial(second());
	expect(s, "hello");
	expect(ndjson, "hello");
	send_request(w, bob, to("/v1/poll?wait=60&since=%s", stream_cursor(s)));
	long long before = say(alice, chat, "before");
	expect_message(s, before);
	expect_message(ndjson, before);
	is(wire_answer(w), 200);
	send_request(w, bob, to("/v1/poll?wait=60&since=%s", stream_cursor(s)));

	server_terminate(second());
	ck_assert_int_gt(num(expect(s, "bye"), "retry"), 0);
	ck_assert_int_gt(stream_retry(s), 0);
	expect_end(s);
	expect(ndjson, "bye");
	expect_end(ndjson);
	struct answer polled = wire_answer(w); /* may come too late to be asked: then it is closed without one */
	if (polled.status != 0 && polled.status != 503)
		ck_assert_uint_eq(count(is(polled, 200).json, "events"), 0);
	server_await_exit(second());
	long long id = say(alice, chat, "after");
	expect_message(live_since(bob, stream_cursor(s)), id);
	server_restart(second());
	expect_message(live_since(via(bob, second()), stream_cursor(s)), id);
}
END_TEST

/* A connection that waited in the queue of a server that stops would be reset when the server has ended. */
START_TEST(stop_with_a_request_under_way_refuses_new_connections_at_once)
{
	struct client *alice = user("alice");
	long long chat = group(alice);
	struct wire *w = dial(second()), *late;
	size_t len;
	ck_assert(wire_send(w,
		"POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: text/plain\r\n"
		"Content-Length: 10\r\nExpect: 100-continue\r\n\r\n",
		messages(chat), alice->token));
	while (strstr(wire_data(w, &len), "\r\n\r\n") == NULL)
		ck_assert(wire_wait(w, 10000) && wire_pump(w));
	ck_assert_ptr_nonnull(strstr(wire_data(w, &len), " 100 "));
	wire_take(w, len);

	server_terminate(second());
	while ((late = wire_new(second(), 0)) != NULL)
		wire_free(late);
	ck_assert(wire_send(w, "0123456789"));
	is(wire_answer(w), 201);
	server_await_exit(second());
	server_restart(second());
}
END_TEST

START_TEST(a_restart_forgets_nothing)
{
	struct client *alice = user("alice"), *bob = user("bob");
	long long chat = group(alice, bob), first = say(alice, chat, "1");
	const char *cursor = now_of(bob);
	long long last = num(is(say_keyed(alice, chat, "k", "2"), 201).json, "id");
	server_stop(second());
	server_stop(house());
	server_restart(house());
	server_restart(second());
	expect_message(live_since(bob, cursor), last);
	ck_assert_int_eq(num(is(get(bob, "%s", messages(chat)), 200).json, "messages.0.id"), first);
	ck_assert_int_eq(num(is(say_keyed(alice, chat, "k", "2"), 201).json, "id"), last);
}
END_TEST

START_TEST(the_second_node_stops) { server_stop(second()); }
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		hello_comes_first,
		a_message_reaches_every_stream_of_the_chat,
		a_cut_stream_resumes_where_it_was,
		what_the_browser_saw_last_beats_the_address,
		a_cut_right_after_hello_misses_nothing,
		any_cursor_resumes_any_transport,
		a_cursor_of_another_history_is_reset,
		sync_and_stream_meet_without_gap_or_overlap,
		a_kick_takes_effect_at_its_place,
		who_comes_back_hears_from_then_on,
		a_new_member_hears_of_himself_first,
		who_leaves_hears_that_and_no_more,
		the_first_direct_message_brings_its_chat,
		changes_arrive_once_as_the_latest_state,
		changes_arrive_one_by_one_when_live,
		long_messages_come_whole,
		a_thousand_missed_come_in_order_from_memory_or_tables,
		a_slow_reader_loses_nothing,
		a_planned_end_says_bye_and_loses_nothing,
		stop_with_a_request_under_way_refuses_new_connections_at_once,
		a_restart_forgets_nothing,
		the_second_node_stops,
		NULL,
	};
	return suite_run("stream", tests, NULL);
}
