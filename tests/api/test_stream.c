/* SPDX-License-Identifier: MIT
 * Streams: who gets which events, in which order and from where, and the effects of cuts, kicks, restarts and slow
 * readers. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/client.h"
#include "../lib/stream.h"
#include "../lib/suite.h"

/* A second node with a tiny ring. */
static struct server *second_node(void)
{
	static struct server *node;
	static const char *const flags[] = { "--ring-bytes", "4K", "--rate-sends", "0", "--rate-actions", "0",
		"--streams-per-user", "0", NULL };
	if (node == NULL)
		node = server_join(test_server(), flags);
	return node;
}

static const char *current_cursor(const struct client *who)
{
	return json_str(expect_status(get(who, "/v1/sync"), 200).json, "cursor");
}

static void write_request(struct wire *w, const struct client *who, const char *target)
{
	wire_send(w, "GET %s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n\r\n", target, who->token);
}

START_TEST(stream_begins_with_hello)
{
	struct stream *s = stream_open(user("bob"), NULL);
	struct json_object *hello = expect(s, "hello");
	ck_assert_str_eq(json_str(hello, "cursor"), stream_cursor(s));
	ck_assert_str_ne(json_str(hello, "node"), "");
	ck_assert_int_eq(json_num(hello, "heartbeat"), 15);
	ck_assert_int_ge(stream_retry(s), 0);
	ck_assert_str_eq(stream_header(s, "Cache-Control"), "no-cache, no-transform");
	ck_assert_str_eq(stream_header(s, "X-Accel-Buffering"), "no");
	ck_assert_int_eq(strncmp(expect_header(stream_head(s), "Content-Type"), "text/event-stream", 17), 0);
	ck_assert_ptr_nonnull(stream_header(s, "X-Request-Id"));
	ck_assert_ptr_null(stream_header(s, "Transfer-Encoding"));
}
END_TEST

START_TEST(message_reaches_every_stream_of_the_chat)
{
	struct client *alice = user("alice"), *bob = user("bob"), *mallory = user("mallory");
	long long chat = make_group(alice, bob);
	struct stream *alices = stream_from_now(alice), *bobs = stream_from_now(bob),
		      *bobs_phone = stream_from_now(bob), *others = stream_from_now(mallory);
	long long id = say(alice, chat, "hi");
	expect_message(alices, id);
	expect_message(bobs_phone, id);
	struct json_object *m = expect_message(bobs, id);
	struct json_object *read = expect_status(get(bob, "%s", message_path(chat, id)), 200).json;
	ck_assert_msg(json_object_equal(m, read), "%s is not %s", json_object_to_json_string(m),
		json_object_to_json_string(read));
	expect_quiet(others);
}
END_TEST

START_TEST(stream_cut_resumes_at_its_cursor)
{
	struct client *alice = user("alice"), *bob = user("bob");
	long long chat = make_group(alice, bob);
	struct stream *s = stream_from_now(bob);
	expect_message(s, say(alice, chat, "1"));
	stream_cut(s);
	long long second_id = say(alice, chat, "2"), third = say(alice, chat, "3");

	struct stream *by_header = stream_open(with_header(bob, "Last-Event-ID: %s", stream_cursor(s)), NULL);
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

START_TEST(last_event_id_header_overrides_since)
{
	/* A browser's EventSource reconnects to the same URL, with the old cursor, and adds the header. */
	struct client *alice = user("alice"), *bob = user("bob");
	long long chat = make_group(alice, bob);
	const char *old = current_cursor(bob);
	struct stream *s = stream_from_now(bob);
	expect_message(s, say(alice, chat, "seen"));
	long long id = say(alice, chat, "missed");
	struct stream *resumed = stream_open(with_header(bob, "Last-Event-ID: %s", stream_cursor(s)), "?since=%s", old);
	expect(resumed, "hello");
	expect_message(resumed, id);
}
END_TEST

START_TEST(stream_cut_right_after_hello_misses_nothing)
{
	struct client *alice = user("alice"), *bob = user("bob");
	long long chat = make_group(alice, bob);
	struct stream *s = stream_from_now(bob);
	stream_cut(s);
	long long id = say(alice, chat, "while away");
	expect_message(stream_since(bob, stream_cursor(s)), id);
	/* hello doesn't advance the cursor: it is where the stream starts, not the head of the log. */
	struct stream *again = stream_open(bob, "?since=%s", stream_cursor(s));
	const char *cursor = json_str(expect(again, "hello"), "cursor");
	stream_cut(again);
	expect_message(stream_since(bob, cursor), id);
}
END_TEST

START_TEST(cursor_of_any_transport_resumes_any_transport)
{
	struct client *alice = user("alice"), *bob = user("bob");
	long long chat = make_group(alice, bob), ids[4];
	const char *sync = current_cursor(bob);
	struct stream *sse = stream_from_now(bob), *ndjson = stream_open(bob, "?format=ndjson");
	expect(ndjson, "hello");
	for (int i = 0; i < 2; i++)
		ids[i] = say(alice, chat, "before");
	for (int i = 0; i < 2; i++) {
		expect_message(sse, ids[i]);
		expect_message(ndjson, ids[i]);
	}
	struct answer polled = expect_status(get(bob, "/v1/poll?wait=0&since=%s", sync), 200);
	const char *const cursors[] = { stream_cursor(sse), stream_cursor(ndjson), json_str(polled.json, "cursor") };
	for (int i = 2; i < 4; i++) {
		ids[i] = say(alice, chat, "after");
		expect_message(sse, ids[i]);
	}
	for (int i = 0; i < 3; i++) {
		struct stream *a = stream_since(bob, cursors[i]),
			      *b = stream_open(bob, "?format=ndjson&since=%s", cursors[i]);
		expect(b, "hello");
		struct answer c = expect_status(get(bob, "/v1/poll?wait=0&since=%s", cursors[i]), 200);
		ck_assert_uint_eq(json_count(c.json, "events"), 2);
		for (int j = 2; j < 4; j++) {
			expect_message(a, ids[j]);
			expect_message(b, ids[j]);
			ck_assert_int_eq(json_num(c.json, format("events.%d.data.id", j - 2)), ids[j]);
		}
	}
}
END_TEST

START_TEST(cursor_of_another_history_is_reset)
{
	struct client *alice = user("alice"), *bob = user("bob");
	long long chat = make_group(alice, bob);
	char *foreign = format("%s", current_cursor(bob)), *future = format("%s000000", current_cursor(bob));
	foreign[0] = foreign[0] == 'a' ? 'b' : 'a';
	const char *const cursors[] = { foreign, future };
	for (int i = 0; i < 2; i++) {
		struct stream *s = stream_open(bob, "?since=%s", cursors[i]);
		expect(s, "hello");
		ck_assert_str_ne(json_str(expect(s, "reset"), "reason"), "");
		struct answer a = expect_status(get(bob, "/v1/poll?wait=60&since=%s", cursors[i]), 200);
		ck_assert_str_eq(json_str(a.json, "events.0.event"), "reset");
		/* A client that syncs again, as a reset demands, recovers. */
		struct stream *fresh = stream_since(bob, current_cursor(bob));
		expect_message(fresh, say(alice, chat, "welcome back"));
	}
}
END_TEST

START_TEST(stream_after_sync_has_no_gap_or_overlap)
{
	struct client *alice = user("alice"), *bob = new_user();
	long long chat = make_group(alice, bob);
	say(alice, chat, "before");
	struct answer sync = expect_status(get(bob, "/v1/sync"), 200);
	ck_assert_str_eq(json_str(sync.json, "chats.0.last_message.text"), "before");
	ck_assert_str_eq(json_str(sync.json, "me.name"), bob->name);
	ck_assert(json_has(sync.json, "timing"));
	long long id = say(alice, chat, "after");
	struct stream *s = stream_since(bob, json_str(sync.json, "cursor"));
	expect_message(s, id);
	expect_quiet(s);
}
END_TEST

START_TEST(kick_takes_effect_at_its_position)
{
	struct client *alice = user("alice"), *bob = user("bob"), *carol = user("carol");
	long long chat = make_group(alice, bob, carol);
	const char *cursor = current_cursor(bob);
	struct stream *bobs = stream_from_now(bob), *carols = stream_from_now(carol);
	long long before = say(alice, chat, "before");
	expect_status(del(alice, "%s", member_path(chat, bob)), 204);
	long long absent = say(alice, chat, "not for bob");
	expect_message(bobs, before);
	struct json_object *m = expect(bobs, "member");
	ck_assert_str_eq(json_str(m, "name"), "bob");
	ck_assert_str_eq(json_str(m, "state"), "kicked");
	/* A stream that was closed gets only the user's own member event. */
	struct answer polled = expect_status(get(bob, "/v1/poll?wait=0&since=%s", cursor), 200);
	ck_assert_uint_eq(json_count(polled.json, "events"), 1);
	ck_assert_str_eq(json_str(polled.json, "events.0.data.state"), "kicked");
	expect_quiet(bobs);

	expect_message(carols, before);
	ck_assert_str_eq(json_str(expect(carols, "member"), "state"), "kicked");
	ck_assert_int_eq(json_num(expect(carols, "chat"), "members_count"), 2);
	expect_message(carols, absent);

	expect_problem(get(bob, "%s", message_path(chat, before)), 404, "not_found");
}
END_TEST

START_TEST(member_added_again_gets_events_from_then_on)
{
	struct client *alice = user("alice"), *bob = user("bob");
	long long chat = make_group(alice, bob);
	struct stream *s = stream_from_now(bob);
	const char *cursor = stream_cursor(s);
	expect_status(del(alice, "%s", member_path(chat, bob)), 204);
	say(alice, chat, "not for bob");
	expect_status(put(alice, member_path(chat, bob), "{}"), 200);
	long long after = say(alice, chat, "welcome back");
	/* A stream that was open gets each change. */
	ck_assert_str_eq(json_str(expect(s, "member"), "state"), "kicked");
	ck_assert_str_eq(json_str(expect(s, "member"), "state"), "joined");
	ck_assert_int_eq(json_num(expect(s, "chat"), "members_count"), 2);
	expect_message(s, after);
	/* A stream that was closed gets the latest state once. */
	struct answer polled = expect_status(get(bob, "/v1/poll?wait=0&since=%s", cursor), 200);
	ck_assert_uint_eq(json_count(polled.json, "events"), 3);
	ck_assert_str_eq(json_str(polled.json, "events.0.data.state"), "joined");
	ck_assert_str_eq(json_str(polled.json, "events.1.event"), "chat");
	ck_assert_int_eq(json_num(polled.json, "events.2.data.id"), after);
	expect_quiet(s);
}
END_TEST

START_TEST(new_member_gets_own_member_event_first)
{
	struct client *alice = user("alice"), *dave = user("dave");
	long long chat = make_group(alice);
	say(alice, chat, "old news");
	struct stream *s = stream_from_now(dave), *alices = stream_from_now(alice);
	expect_status(put(alice, member_path(chat, dave), "{'role':'member'}"), 200);
	struct json_object *m = expect(s, "member");
	ck_assert_int_eq(json_num(m, "chat"), chat);
	ck_assert_str_eq(json_str(m, "name"), "dave");
	ck_assert_str_eq(json_str(m, "role"), "member");
	ck_assert_int_eq(json_num(expect(s, "chat"), "members_count"), 2);
	expect_message(s, say(alice, chat, "hi dave"));
	ck_assert_str_eq(json_str(expect(alices, "member"), "name"), "dave");
	/* They read earlier messages in the history. */
	ck_assert_uint_eq(json_count(expect_status(get(dave, "%s", messages_path(chat)), 200).json, "messages"), 2);
}
END_TEST

START_TEST(leaving_member_gets_own_member_event_last)
{
	struct client *alice = user("alice"), *bob = user("bob");
	long long chat = make_group(alice, bob);
	struct stream *s = stream_from_now(bob);
	expect_status(del(bob, "%s", member_path(chat, bob)), 204);
	say(alice, chat, "bob is gone");
	ck_assert_str_eq(json_str(expect(s, "member"), "state"), "left");
	expect_quiet(s);
}
END_TEST

START_TEST(first_direct_message_is_preceded_by_its_chat)
{
	struct client *alice = new_user(), *bob = new_user();
	struct stream *s = stream_from_now(bob);
	struct answer sent =
		expect_status(post(alice, format("/v1/chats/@%s/messages", bob->name), "{'text':'psst'}"), 201);
	struct json_object *m = expect(s, "member");
	ck_assert_int_eq(json_num(m, "chat"), json_num(sent.json, "chat"));
	while (strcmp(json_str(m, "name"), bob->name) != 0)
		m = expect(s, "member");
	struct json_object *chat = expect(s, "chat");
	ck_assert_str_eq(json_str(chat, "kind"), "direct");
	expect_message(s, json_num(sent.json, "id"));
	expect_quiet(s);
}
END_TEST

/* Takes events until a chat has that title: this worker then knows all earlier events. */
static void await_title(struct stream *s, const char *title)
{
	for (bool found = false; !found;) {
		bool is_chat = strcmp(stream_peek(s), "chat") == 0;
		struct json_object *e = expect(s, stream_peek(s));
		found = is_chat && strcmp(json_str(e, "title"), title) == 0;
	}
}

START_TEST(changes_missed_are_one_event_with_the_latest_state)
{
	struct client *alice = user("alice"), *bob = user("bob");
	long long chat = make_group(alice, bob), edited = say(alice, chat, "1"), deleted = say(alice, chat, "2"),
		  both = say(alice, chat, "3");
	const char *cursor = current_cursor(bob);
	struct stream *witness = stream_from_now(alice);
	expect_status(patch(alice, message_path(chat, edited), "{'text':'1a'}"), 200);
	expect_status(patch(alice, message_path(chat, both), "{'text':'3a'}"), 200);
	long long fresh = say(alice, chat, "4");
	expect_status(del(alice, "%s", message_path(chat, deleted)), 204);
	expect_status(patch(alice, format("/v1/chats/%lld", chat), "{'title':'orchard'}"), 200);
	expect_status(patch(alice, message_path(chat, edited), "{'text':'1b'}"), 200);
	expect_status(del(alice, "%s", message_path(chat, both)), 204);
	expect_status(del(alice, "%s", message_path(chat, say(alice, chat, "never seen"))), 204);
	expect_status(patch(alice, format("/v1/chats/%lld", chat), "{'title':'meadow'}"), 200);
	await_title(witness, "meadow");

	struct stream *s = stream_since(bob, cursor);
	expect_message(s, fresh);
	ck_assert_int_eq(json_num(expect(s, "deleted"), "id"), deleted);
	struct json_object *m = expect_message(s, edited);
	ck_assert_str_eq(json_str(m, "text"), "1b");
	ck_assert_int_gt(json_num(m, "rev"), fresh);
	ck_assert_int_eq(json_num(expect(s, "deleted"), "id"), both);
	struct json_object *gone = expect(s, "deleted");
	ck_assert_int_eq(json_num(gone, "chat"), chat);
	ck_assert_int_gt(json_num(gone, "rev"), json_num(gone, "id"));
	ck_assert_str_eq(json_str(expect(s, "chat"), "title"), "meadow");
	expect_quiet(s);
}
END_TEST

START_TEST(changes_live_are_sent_one_by_one)
{
	struct client *alice = user("alice"), *bob = user("bob");
	long long chat = make_group(alice, bob);
	struct stream *s = stream_from_now(bob);
	long long id = say(alice, chat, "1");
	expect_status(patch(alice, message_path(chat, id), "{'text':'2'}"), 200);
	expect_status(del(alice, "%s", message_path(chat, id)), 204);
	expect_status(del(alice, "%s", message_path(chat, id)), 204);
	expect_message(s, id);
	struct json_object *edited = expect_message(s, id), *gone;
	ck_assert_str_eq(json_str(edited, "text"), "2");
	ck_assert(json_has(edited, "edited_at"));
	ck_assert_int_eq(json_num(gone = expect(s, "deleted"), "id"), id);
	ck_assert_ptr_null(strstr(json_object_to_json_string(gone), "text"));
	expect_quiet(s);
}
END_TEST

START_TEST(long_messages_are_delivered_whole)
{
	struct client *alice = user("alice"), *bob = user("bob");
	long long chat = make_group(alice, bob);
	struct stream *s = stream_from_now(bob), *elsewhere = stream_from_now(on_server(bob, second_node()));
	char *text = on_teardown(free, malloc(16385));
	for (int i = 0; i < 16384; i++)
		text[i] = "ab\"\\\n\x01\xc3\xa9"[i % 8];
	text[16384] = '\0';
	for (int i = 0; i < 3; i++) {
		long long id = json_num(
			expect_status(post_as(alice, messages_path(chat), "text/plain", text), 201).json, "id");
		ck_assert_str_eq(json_str(expect_message(s, id), "text"), text);
		ck_assert_str_eq(json_str(expect_message(elsewhere, id), "text"), text);
	}
}
END_TEST

/* Sends n messages of about `size` bytes in few requests; returns the first and the last id. */
static void send_many(struct client *who, long long chat, int n, int size, long long *ret_first, long long *ret_last)
{
	for (int sent = 0; sent < n;) {
		size_t len = 0, room = 200000;
		char *body = on_teardown(free, malloc(room + (size_t)size + 64));
		for (; sent < n && len < room; sent++)
			len += (size_t)sprintf(body + len, "{\"text\":\"%0*d\"}\n", size, sent);
		struct answer a = expect_status(
			send_request(who, "POST", messages_path(chat), "application/x-ndjson", body, len), 200);
		ck_assert_ptr_null(strstr(a.body, "\"code\""));
		if (sent == n)
			break;
	}
	struct answer page = expect_status(get(who, "%s?limit=200", messages_path(chat)), 200);
	*ret_last = json_num(page.json, format("messages.%zu.id", json_count(page.json, "messages") - 1));
	*ret_first = *ret_last - n + 1; /* positions are gapless, and there is no other writer */
}

START_TEST(thousand_missed_messages_are_replayed_in_order)
{
	struct client *alice = user("alice"), *bob = user("bob");
	long long chat = make_group(alice, bob), first, last;
	const char *cursor = current_cursor(bob);
	send_many(alice, chat, 1500, 100, &first, &last);
	struct stream *s = stream_since(bob, cursor),
		      *from_tables = stream_since(on_server(bob, second_node()), cursor);
	for (long long id = first; id <= last; id++) {
		expect_message(s, id);
		expect_message(from_tables, id);
	}
	expect_quiet(s);
}
END_TEST

START_TEST(slow_reader_loses_no_event)
{
	struct client *alice = user("alice"), *bob = user("bob");
	long long chat = make_group(alice, bob), first, last, next;
	struct wire *w = on_teardown(wire_free, wire_new(test_server(), 4096));
	write_request(w, bob, "/v1/stream");
	struct stream *s = stream_on(w), *quick = stream_from_now(bob);
	expect(s, "hello");
	send_many(alice, chat, 600, 10000, &first, &last);
	for (next = first; next <= last; next++)
		expect_message(quick, next);
	/* Now the slow client reads. Whether or not its stream was closed, it gets each missed event once, in order. */
	for (next = first; next <= last; next++) {
		if (stream_is_over(s))
			s = stream_since(bob, stream_cursor(s));
		expect_message(s, next);
	}
	expect_quiet(quick);
}
END_TEST

START_TEST(stream_ended_by_server_says_bye_and_loses_nothing)
{
	struct client *alice = user("alice"), *bob = user("bob");
	long long chat = make_group(alice, bob);
	struct stream *s = stream_open(on_server(bob, second_node()), NULL),
		      *ndjson = stream_open(on_server(bob, second_node()), "?format=ndjson");
	struct wire *w = wire_open(second_node());
	expect(s, "hello");
	expect(ndjson, "hello");
	write_request(w, bob, format("/v1/poll?wait=60&since=%s", stream_cursor(s)));
	long long before = say(alice, chat, "before");
	expect_message(s, before);
	expect_message(ndjson, before);
	expect_status(wire_answer(w), 200);
	write_request(w, bob, format("/v1/poll?wait=60&since=%s", stream_cursor(s)));

	server_terminate(second_node());
	ck_assert_int_gt(json_num(expect(s, "bye"), "retry"), 0);
	ck_assert_int_gt(stream_retry(s), 0);
	expect_end(s);
	expect(ndjson, "bye");
	expect_end(ndjson);
	struct answer polled = wire_answer(w); /* if it came too late, it is closed without an answer */
	if (polled.status != 0 && polled.status != 503)
		ck_assert_uint_eq(json_count(expect_status(polled, 200).json, "events"), 0);
	server_await_exit(second_node());
	long long id = say(alice, chat, "after");
	expect_message(stream_since(bob, stream_cursor(s)), id);
	server_restart(second_node());
	expect_message(stream_since(on_server(bob, second_node()), stream_cursor(s)), id);
}
END_TEST

/* A connection in the queue of a stopping server would be reset when the server ends. */
START_TEST(stop_with_request_in_flight_refuses_new_connections_at_once)
{
	struct client *alice = user("alice");
	long long chat = make_group(alice);
	struct wire *w = wire_open(second_node()), *late;
	size_t len;
	ck_assert(wire_send(w,
		"POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: text/plain\r\n"
		"Content-Length: 10\r\nExpect: 100-continue\r\n\r\n",
		messages_path(chat), alice->token));
	while (strstr(wire_data(w, &len), "\r\n\r\n") == NULL)
		ck_assert(wire_wait(w, 10000) && wire_pump(w));
	ck_assert_ptr_nonnull(strstr(wire_data(w, &len), " 100 "));
	wire_take(w, len);

	server_terminate(second_node());
	while ((late = wire_new(second_node(), 0)) != NULL)
		wire_free(late);
	ck_assert(wire_send(w, "0123456789"));
	expect_status(wire_answer(w), 201);
	server_await_exit(second_node());
	server_restart(second_node());
}
END_TEST

START_TEST(restart_keeps_messages_keys_and_cursors)
{
	struct client *alice = user("alice"), *bob = user("bob");
	long long chat = make_group(alice, bob), first = say(alice, chat, "1");
	const char *cursor = current_cursor(bob);
	long long last = json_num(expect_status(say_with_key(alice, chat, "k", "2"), 201).json, "id");
	server_stop(second_node());
	server_stop(test_server());
	server_restart(test_server());
	server_restart(second_node());
	expect_message(stream_since(bob, cursor), last);
	ck_assert_int_eq(
		json_num(expect_status(get(bob, "%s", messages_path(chat)), 200).json, "messages.0.id"), first);
	ck_assert_int_eq(json_num(expect_status(say_with_key(alice, chat, "k", "2"), 201).json, "id"), last);
}
END_TEST

START_TEST(teardown_second_node_stops) { server_stop(second_node()); }
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		stream_begins_with_hello,
		message_reaches_every_stream_of_the_chat,
		stream_cut_resumes_at_its_cursor,
		last_event_id_header_overrides_since,
		stream_cut_right_after_hello_misses_nothing,
		cursor_of_any_transport_resumes_any_transport,
		cursor_of_another_history_is_reset,
		stream_after_sync_has_no_gap_or_overlap,
		kick_takes_effect_at_its_position,
		member_added_again_gets_events_from_then_on,
		new_member_gets_own_member_event_first,
		leaving_member_gets_own_member_event_last,
		first_direct_message_is_preceded_by_its_chat,
		changes_missed_are_one_event_with_the_latest_state,
		changes_live_are_sent_one_by_one,
		long_messages_are_delivered_whole,
		thousand_missed_messages_are_replayed_in_order,
		slow_reader_loses_no_event,
		stream_ended_by_server_says_bye_and_loses_nothing,
		stop_with_request_in_flight_refuses_new_connections_at_once,
		restart_keeps_messages_keys_and_cursors,
		teardown_second_node_stops,
		NULL,
	};
	return suite_run("stream", tests, NULL);
}
