/* SPDX-License-Identifier: MIT
 * Transports: SSE, NDJSON and long-poll, and their behaviour as HTTP with browsers, proxies and request smuggling. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/client.h"
#include "../lib/stream.h"
#include "../lib/suite.h"
#include "base/clock.h"

#define APP "https://app.example.org"

/* A second node with a heartbeat of one second. */
static struct server *second_node(void)
{
	static struct server *node;
	static const char *const flags[] = { "--heartbeat", "1", "--rate-sends", "0", "--rate-actions", "0",
		"--streams-per-user", "0", NULL };
	if (node == NULL)
		node = server_join(test_server(), flags);
	return node;
}

static const char *current_cursor(const struct client *who)
{
	return json_str(expect_status(get(who, "/v1/sync"), 200).json, "cursor");
}

START_TEST(ndjson_stream_has_one_line_per_event)
{
	struct client *alice = user("alice"), *bob = user("bob");
	long long chat = make_group(alice, bob);
	struct stream *by_accept = stream_open(with_header(bob, "Accept: application/x-ndjson"), NULL),
		      *by_format = stream_open(bob, "?format=ndjson");
	ck_assert_int_eq(strncmp(expect_header(stream_head(by_accept), "Content-Type"), "application/x-ndjson", 20), 0);
	ck_assert_int_eq(strncmp(expect_header(stream_head(by_format), "Content-Type"), "application/x-ndjson", 20), 0);
	ck_assert_str_eq(json_str(expect(by_accept, "hello"), "cursor"), stream_cursor(by_accept));
	expect(by_format, "hello");
	long long id = json_num(
		expect_status(post_as(alice, messages_path(chat), "text/plain", "two\nlines"), 201).json, "id");
	ck_assert_str_eq(json_str(expect_message(by_accept, id), "text"), "two\nlines");
	expect_message(by_format, id);
	stream_cut(by_format);
	long long missed = say(alice, chat, "missed");
	struct stream *resumed = stream_open(bob, "?format=ndjson&since=%s", stream_cursor(by_format));
	expect(resumed, "hello");
	expect_message(resumed, missed);
}
END_TEST

START_TEST(stream_padding_is_sent_first)
{
	struct stream *s = stream_open(user("bob"), "?padding=4096");
	expect(s, "hello");
	ck_assert_uint_ge(stream_comment_bytes(s), 4096);
	ck_assert_uint_lt(stream_comment_bytes(s), 4096 + 256);
}
END_TEST

START_TEST(stream_with_close_ends_after_first_batch)
{
	struct client *alice = user("alice"), *bob = user("bob");
	long long chat = make_group(alice, bob);
	const char *cursor = current_cursor(bob);
	struct stream *waiting = stream_open(bob, "?close=1");
	long long first = say(alice, chat, "1");
	expect(waiting, "hello");
	expect_message(waiting, first);
	expect_end(waiting);
	struct stream *witness = stream_from_now(alice);
	long long last = say(alice, chat, "2");
	expect_message(witness, last);
	struct stream *behind = stream_open(bob, "?close=1&since=%s", cursor);
	expect(behind, "hello");
	expect_message(behind, first);
	expect_message(behind, last);
	expect_end(behind);
}
END_TEST

START_TEST(poll_with_pending_events_answers_at_once)
{
	struct client *alice = user("alice"), *bob = user("bob");
	long long chat = make_group(alice, bob);
	struct answer start = expect_status(get(bob, "/v1/poll?wait=0"), 200);
	ck_assert_uint_eq(json_count(start.json, "events"), 0);
	ck_assert(!json_true(start.json, "more"));
	struct stream *s = stream_from_now(bob);
	long long first = say(alice, chat, "1"), last = say(alice, chat, "2");
	expect_message(s, first);
	expect_message(s, last);
	struct answer a = expect_status(get(bob, "/v1/poll?since=%s&wait=60", json_str(start.json, "cursor")), 200);
	ck_assert_uint_eq(json_count(a.json, "events"), 2);
	ck_assert_str_eq(json_str(a.json, "events.0.event"), "message");
	ck_assert_int_eq(json_num(a.json, "events.0.data.id"), first);
	ck_assert_int_eq(json_num(a.json, "events.1.data.id"), last);
	ck_assert_str_eq(json_str(a.json, "events.1.cursor"), json_str(a.json, "cursor"));
	/* A lost answer can be requested again. */
	struct answer again = expect_status(get(bob, "/v1/poll?since=%s&wait=0", json_str(start.json, "cursor")), 200);
	ck_assert_uint_eq(json_count(again.json, "events"), 2);
	ck_assert_uint_eq(
		json_count(expect_status(get(bob, "/v1/poll?since=%s&wait=0", json_str(a.json, "cursor")), 200).json,
			"events"),
		0);
	ck_assert_uint_eq(
		json_count(expect_status(get(bob, "/v1/poll?since=%s&wait=1", json_str(a.json, "cursor")), 200).json,
			"events"),
		0);
}
END_TEST

START_TEST(poll_over_a_page_is_continued_by_its_cursor)
{
	struct client *alice = user("alice"), *bob = user("bob");
	long long chat = make_group(alice, bob), ids[7];
	const char *cursor = current_cursor(bob);
	struct stream *s = stream_from_now(bob);
	for (int i = 0; i < 7; i++) {
		ids[i] = say(alice, chat, "x");
		expect_message(s, ids[i]);
	}
	for (int i = 0; i < 7; i += 3) {
		struct answer a = expect_status(get(bob, "/v1/poll?limit=3&wait=0&since=%s", cursor), 200);
		ck_assert_uint_eq(json_count(a.json, "events"), i < 6 ? 3 : 1);
		for (int j = i; j < 7 && j < i + 3; j++)
			ck_assert_int_eq(json_num(a.json, format("events.%d.data.id", j - i)), ids[j]);
		ck_assert_msg(json_true(a.json, "more") == (i < 6), "after %d of 7: %s", i + 3, a.body);
		cursor = json_str(a.json, "cursor");
	}
}
END_TEST

static void write_request(struct wire *w, const struct client *who, const char *target)
{
	wire_send(w, "GET %s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n\r\n", target, who->token);
}

START_TEST(poll_without_events_waits_for_the_next)
{
	struct client *alice = user("alice"), *bob = user("bob");
	long long chat = make_group(alice, bob);
	struct wire *w = wire_open(test_server());
	double held = metric(test_server(), "postern_streams");
	write_request(w, bob, format("/v1/poll?wait=60&since=%s", current_cursor(bob)));
	await_metric(test_server(), "postern_streams", held + 1);
	long long id = say(alice, chat, "here you are");
	struct answer a = expect_status(wire_answer(w), 200);
	ck_assert_uint_eq(json_count(a.json, "events"), 1);
	ck_assert_int_eq(json_num(a.json, "events.0.data.id"), id);
}
END_TEST

START_TEST(stream_with_invalid_parameters_is_refused)
{
	struct client *bob = user("bob");
	const char *const unreadable[] = { "poll?wait=-1", "poll?wait=x", "poll?wait=", "poll?limit=-1", "poll?limit=x",
		"poll?wiat=5", "stream?format=xml", "stream?close=maybe", "stream?padding=x", "stream?padding=-1" };
	for (size_t i = 0; i < sizeof(unreadable) / sizeof(unreadable[0]); i++)
		expect_problem(get(bob, "/v1/%s", unreadable[i]), 400, "bad_parameter");
	const char *const beyond[] = { "poll?wait=61", "poll?limit=0", "poll?limit=99999999999999999999",
		"stream?padding=99999999999" };
	for (size_t i = 0; i < sizeof(beyond) / sizeof(beyond[0]); i++)
		expect_problem(get(bob, "/v1/%s", beyond[i]), 422, "out_of_range");
	const char *const cursors[] = { "x", "5", "..", ".5", "a.", "a.-1", "a.99999999999999999999999", "a.5x",
		"a%2e5%20" };
	for (size_t i = 0; i < sizeof(cursors) / sizeof(cursors[0]); i++) {
		expect_problem(get(bob, "/v1/poll?wait=0&since=%s", cursors[i]), 400, "bad_cursor");
		expect_problem(get(bob, "/v1/stream?since=%s", cursors[i]), 400, "bad_cursor");
	}
	expect_problem(get(with_header(bob, "Last-Event-ID: garbage"), "/v1/stream"), 400, "bad_cursor");
}
END_TEST

START_TEST(stream_with_empty_since_starts_from_now)
{
	struct client *alice = user("alice"), *bob = user("bob");
	long long chat = make_group(alice, bob);
	const char *before = current_cursor(bob);
	struct stream *witness = stream_from_now(bob);
	expect_message(witness, say(alice, chat, "before"));
	struct stream *s[] = { stream_open(bob, "?since="), stream_open(bob, "?lastEventId="),
		stream_open(with_header(bob, "Last-Event-ID:"), NULL), stream_open(bob, "?since=&lastEventId=") };
	for (size_t i = 0; i < sizeof(s) / sizeof(s[0]); i++)
		expect(s[i], "hello");
	long long id = say(alice, chat, "after");
	for (size_t i = 0; i < sizeof(s) / sizeof(s[0]); i++)
		expect_message(s[i], id);
	ck_assert_uint_eq(json_count(expect_status(get(bob, "/v1/poll?wait=0&since="), 200).json, "events"), 0);
	ck_assert_uint_eq(json_count(expect_status(get(bob, "/v1/poll?wait=0&lastEventId="), 200).json, "events"), 0);
	/* An empty parameter is ignored in favour of the other. */
	ck_assert_uint_eq(json_count(expect_status(get(bob, "/v1/poll?wait=0&lastEventId=&since=%s", before), 200).json,
				  "events"),
		2);
	ck_assert_uint_eq(json_count(expect_status(get(bob, "/v1/poll?wait=0&since=&lastEventId=%s", before), 200).json,
				  "events"),
		2);
}
END_TEST

START_TEST(stream_with_last_event_id_parameter_resumes)
{
	struct client *alice = user("alice"), *bob = user("bob");
	long long chat = make_group(alice, bob);
	const char *old = current_cursor(bob);
	struct stream *witness = stream_from_now(bob);
	expect_message(witness, say(alice, chat, "1"));
	const char *cursor = stream_cursor(witness);
	long long id = say(alice, chat, "2");
	expect_message(witness, id);
	struct stream *s = stream_open(
		bob, "?since=%s&lastEventId=%s", old, cursor); /* a polyfill appends the parameter to the URL */
	expect(s, "hello");
	expect_message(s, id);
	struct answer a = expect_status(get(bob, "/v1/poll?wait=0&lastEventId=%s", cursor), 200);
	ck_assert_uint_eq(json_count(a.json, "events"), 1);
	ck_assert_int_eq(json_num(a.json, "events.0.data.id"), id);
	expect_problem(get(bob, "/v1/stream?lastEventId=x"), 400, "bad_cursor");
}
END_TEST

#define BREAKS \
	"a\xe2\x80\xa8" \
	"b\xe2\x80\xa9" \
	"c\xc2\x85" \
	"d \xc2\xa9\xe2\x80\x94\xe2\x80" \
	"\xaa"

/* Asserts that a reader that takes U+0085, U+2028 and U+2029 for line ends counts no additional lines. */
static void expect_no_breaks(const char *what, const char *data)
{
	const char *const breaks[] = { "\xe2\x80\xa8", "\xe2\x80\xa9", "\xc2\x85", "\v", "\f", "\x1c", "\x1d", "\x1e" };
	for (size_t i = 0; i < sizeof(breaks) / sizeof(breaks[0]); i++)
		ck_assert_msg(strstr(data, breaks[i]) == NULL, "break %zu in %s: %s", i, what, data);
	ck_assert_msg(strstr(data, "\\u2028") != NULL, "no text in %s: %s", what, data);
}

/* Returns what a stream has sent when the text has arrived. */
static const char *raw_stream(const struct client *who, const char *query)
{
	size_t len;
	struct wire *w = wire_open(test_server());
	write_request(w, who, format("/v1/stream%s", query));
	while (strstr(wire_data(w, &len) != NULL ? wire_data(w, &len) : "", "\\u2029") == NULL) {
		ck_assert(wire_wait(w, PATIENCE));
		ck_assert(wire_pump(w));
	}
	return wire_data(w, &len);
}

START_TEST(unicode_line_breaks_are_escaped_in_every_response)
{
	struct client *alice = user("alice"), *bob = user("bob");
	long long chat = make_group(alice, bob);
	const char *since = current_cursor(bob);
	struct answer sent =
		expect_status(post_as(alice, messages_path(chat), "text/plain", BREAKS "\v\f\x1c\x1d\x1e"), 201);
	ck_assert_str_eq(json_str(sent.json, "text"), BREAKS "\v\f\x1c\x1d\x1e");
	expect_no_breaks("the answer", sent.body);
	struct answer polled = expect_status(get(bob, "/v1/poll?since=%s", since), 200);
	expect_no_breaks("a poll", polled.body);
	ck_assert_str_eq(json_str(polled.json, "events.0.data.text"), BREAKS "\v\f\x1c\x1d\x1e");
	expect_no_breaks("a stream", raw_stream(bob, format("?since=%s", since)));
	expect_no_breaks("a stream in NDJSON", raw_stream(bob, format("?format=ndjson&since=%s", since)));
	expect_no_breaks("history", expect_status(get(bob, "%s?limit=5", messages_path(chat)), 200).body);
	expect_no_breaks("sync", expect_status(get(bob, "/v1/sync"), 200).body);
	expect_no_breaks("an answer in NDJSON",
		expect_status(
			post_as(alice, messages_path(chat), "application/x-ndjson", "{\"text\":\"" BREAKS "\"}\n"), 200)
			.body);
	expect_no_breaks("an export", expect_status(get(alice, "/v1/me/export"), 200).body);
	expect_no_breaks("a profile", expect_status(patch(bob, format("/v1/me"), "{'about':'" BREAKS "'}"), 200).body);
}
END_TEST

START_TEST(heartbeats_are_sent_on_busy_stream)
{
	struct client *alice = user("alice"), *bob = on_server(user("bob"), second_node());
	long long chat = make_group(alice, user("bob"));
	struct stream *s = stream_from_now(bob);
	while (stream_heartbeats(s) < 2) {
		say(alice, chat, "busy");
		expect(s, "message");
	}
}
END_TEST

/* The response to a page of another origin has no CORS headers. */
START_TEST(cors_is_allowed_for_listed_origins_only)
{
	struct client *bob = with_header(user("bob"), "Origin: " APP),
		      *evil = with_header(user("bob"), "Origin: https://evil.example");
	struct stream *s = stream_open(bob, NULL);
	ck_assert_str_eq(stream_header(s, "Access-Control-Allow-Origin"), APP);
	ck_assert_ptr_nonnull(strcasestr(expect_header(stream_head(s), "Vary"), "Origin"));
	struct stream *hidden = stream_open(evil, NULL);
	ck_assert_ptr_null(stream_header(hidden, "Access-Control-Allow-Origin"));
	struct answer a[] = { get(bob, "/v1/poll?wait=0"), get(bob, "/v1/me"), get(bob, "/v1/nothing"),
		get(bob, "/v1/stream?since=x"), get(with_header(anonymous(), "Origin: " APP), "/v1/me") };
	for (size_t i = 0; i < sizeof(a) / sizeof(a[0]); i++)
		ck_assert_msg(answer_header(a[i], "Access-Control-Allow-Origin") != NULL, "no CORS on answer %zu: %s",
			i, a[i].head);
	ck_assert_ptr_null(answer_header(expect_status(get(evil, "/v1/me"), 200), "Access-Control-Allow-Origin"));

	struct client *before = with_header(
		with_header(with_header(anonymous(), "Origin: " APP), "Access-Control-Request-Method: POST"),
		"Access-Control-Request-Headers: authorization, content-type");
	struct answer preflight = send_request(before, "OPTIONS", "/v1/chats/1/messages", NULL, NULL, 0);
	ck_assert_int_eq(preflight.status / 100, 2);
	ck_assert_str_eq(answer_header(preflight, "Access-Control-Allow-Origin"), APP);
	ck_assert_ptr_nonnull(strstr(expect_header(preflight, "Access-Control-Allow-Methods"), "POST"));
	ck_assert_ptr_nonnull(strcasestr(expect_header(preflight, "Access-Control-Allow-Headers"), "authorization"));
	ck_assert_ptr_nonnull(strcasestr(expect_header(preflight, "Access-Control-Allow-Headers"), "content-type"));
}
END_TEST

START_TEST(heartbeats_are_sent_on_idle_stream)
{
	struct client *alice = user("alice"), *bob = on_server(user("bob"), second_node());
	long long chat = make_group(alice, user("bob"));
	struct stream *sse = stream_open(bob, NULL), *ndjson = stream_open(bob, "?format=ndjson");
	ck_assert_int_eq(json_num(expect(sse, "hello"), "heartbeat"), 1);
	expect(ndjson, "hello");
	for (int i = 0; i < 2; i++) {
		expect_heartbeat(sse);
		expect_heartbeat(ndjson);
	}
	ck_assert_uint_eq(stream_comment_bytes(sse), 0);
	/* A heartbeat's cursor resumes. */
	stream_cut(sse);
	stream_cut(ndjson);
	long long id = say(alice, chat, "after the beat");
	expect_message(stream_since(bob, stream_cursor(sse)), id);
	expect_message(stream_since(bob, stream_cursor(ndjson)), id);
}
END_TEST

START_TEST(http_1_0_clients_can_stream_and_poll)
{
	struct client *alice = user("alice"), *bob = user("bob");
	long long chat = make_group(alice, bob);
	struct wire *w = wire_open(test_server()), *p = wire_open(test_server());
	wire_send(w, "GET /v1/stream HTTP/1.0\r\nAuthorization: Bearer %s\r\n\r\n", bob->token);
	struct stream *s = stream_on(w);
	expect(s, "hello");
	const char *cursor = stream_cursor(s);
	long long id = say(alice, chat, "hi");
	expect_message(s, id);
	wire_send(p, "GET /v1/poll?since=%s HTTP/1.0\r\nAuthorization: Bearer %s\r\n\r\n", cursor, bob->token);
	ck_assert_int_eq(json_num(expect_status(wire_answer(p), 200).json, "events.0.data.id"), id);
	wire_expect_end(p);
}
END_TEST

START_TEST(head_and_options_requests_are_answered_and_end)
{
	struct client *bob = user("bob");
	struct wire *w = wire_open(test_server());
	const char *const targets[] = { "/v1/stream", "/v1/poll?wait=0" };
	for (int i = 0; i < 2; i++) {
		wire_send(w, "HEAD %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", targets[i], bob->token);
		struct answer head = expect_status(wire_answer_to_head(w), 200);
		ck_assert_ptr_null(
			answer_header(head, "Content-Length")); /* the length of GET isn't 0, and isn't known */
		ck_assert_ptr_null(answer_header(head, "Transfer-Encoding"));
		ck_assert_ptr_null(answer_header(head, "Connection"));
		ck_assert_str_eq(expect_header(head, "Content-Type"),
			i == 0 ? "text/event-stream; charset=utf-8" : "application/json");
		ck_assert_str_eq(expect_header(head, "Cache-Control"), i == 0 ? "no-cache, no-transform" : "no-store");
		wire_send(w, "OPTIONS %s HTTP/1.1\r\nHost: x\r\n\r\n", targets[i]);
		struct answer a = wire_answer(w);
		ck_assert_int_eq(a.status / 100, 2);
		ck_assert_ptr_nonnull(strstr(expect_header(a, "Allow"), "GET"));
	}
	write_request(w, bob, "/v1/me");
	ck_assert_str_eq(json_str(expect_status(wire_answer(w), 200).json, "name"), "bob");
}
END_TEST

START_TEST(stream_with_body_is_refused_and_body_is_no_request)
{
	struct client *bob = user("bob");
	char *smuggled = format("GET /v1/me HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", bob->token);
	const char *const targets[] = { "/v1/stream", "/v1/poll?wait=0", "/v1/poll?wait=60" };
	for (int i = 0; i < 6; i++) {
		struct wire *w = wire_open(test_server());
		wire_send(w, "GET %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n", targets[i % 3], bob->token);
		if (i < 3)
			wire_send(w, "Content-Length: %zu\r\n\r\n%s", strlen(smuggled), smuggled);
		else
			wire_send(w, "Transfer-Encoding: chunked\r\n\r\n%zx\r\n%s\r\n0\r\n\r\n", strlen(smuggled),
				smuggled);
		ck_assert_ptr_null(answer_header(expect_problem(wire_answer(w), 400, "body_not_allowed"),
			"Allow")); /* other methods are refused too */
		wire_expect_end(w);
	}
}
END_TEST

START_TEST(connection_is_reused_after_poll)
{
	struct client *alice = user("alice"), *bob = user("bob");
	long long chat = make_group(alice, bob);
	struct wire *w = wire_open(test_server());
	const char *cursor = current_cursor(bob);
	for (int i = 0; i < 3; i++) {
		write_request(w, bob, format("/v1/poll?wait=60&since=%s", cursor));
		long long id = say(alice, chat, "tick");
		struct answer a = expect_status(wire_answer(w), 200);
		ck_assert_int_eq(json_num(a.json, "events.0.data.id"), id);
		ck_assert(answer_header(a, "Connection") == NULL ||
			strcasecmp(answer_header(a, "Connection"), "close") != 0);
		cursor = json_str(a.json, "cursor");
		write_request(w, bob, "/v1/me");
		ck_assert_str_eq(json_str(expect_status(wire_answer(w), 200).json, "name"), "bob");
	}
}
END_TEST

START_TEST(request_behind_poll_is_answered_correctly_or_not_at_all)
{
	struct client *alice = user("alice"), *bob = user("bob");
	long long chat = make_group(alice, bob);
	for (int i = 0; i < 8; i++) {
		struct wire *w = wire_open(test_server());
		const char *cursor = current_cursor(bob);
		long long id = i % 2 ? say(alice, chat, "at once") : 0;
		char *both =
			format("GET /v1/poll?wait=60&since=%s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n"
			       "GET /v1/chats/%lld HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n",
				cursor, bob->token, chat, bob->token);
		if (i / 2 % 2) { /* in two writes, the second with a part of the first request */
			wire_bytes(w, both, 60);
			wire_bytes(w, both + 60, strlen(both) - 60);
		} else {
			wire_bytes(w, both, strlen(both));
		}
		if (id == 0)
			id = say(alice, chat, "later");
		struct answer polled = expect_status(wire_answer(w), 200);
		ck_assert_int_eq(json_num(polled.json, "events.0.data.id"), id);
		if (answer_header(polled, "Connection") != NULL &&
			strcasecmp(answer_header(polled, "Connection"), "close") == 0) {
			wire_expect_end(w);
			continue;
		}
		ck_assert_int_eq(json_num(expect_status(wire_answer(w), 200).json, "id"), chat);
	}
}
END_TEST

START_TEST(request_head_sent_byte_by_byte_is_accepted)
{
	struct client *alice = user("alice"), *bob = user("bob");
	long long chat = make_group(alice, bob);
	struct wire *w = wire_open(test_server());
	char *request = format("GET /v1/stream HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", bob->token);
	for (const char *c = request; *c != '\0'; c++)
		ck_assert(wire_bytes(w, c, 1));
	struct stream *s = stream_on(w);
	expect(s, "hello");
	expect_message(s, say(alice, chat, "hi"));
}
END_TEST

static int compare_ints(const void *a, const void *b) { return *(const int *)a - *(const int *)b; }

START_TEST(stream_closed_by_client_is_freed_within_100_ms)
{
	struct client *bob = user("bob");
	await_metric(test_server(), "postern_streams", 0);
	int took[5];
	for (int i = 0; i < 5; i++) {
		struct stream *s = i % 2 ? stream_open(bob, "?format=ndjson") : stream_open(bob, NULL);
		await_metric(test_server(), "postern_streams", 1);
		unsigned long long begin = clock_mono_ms();
		stream_cut(s);
		await_metric(test_server(), "postern_streams", 0);
		took[i] = (int)(clock_mono_ms() - begin);
	}
	qsort(took, 5, sizeof(took[0]), compare_ints);
	ck_assert_int_le(took[2], 100); /* the median, because the machine may be busy once */
}
END_TEST

START_TEST(poll_closed_by_client_is_freed_within_100_ms)
{
	struct client *bob = user("bob");
	await_metric(test_server(), "postern_streams", 0);
	int took[5];
	for (int i = 0; i < 5; i++) {
		struct wire *w = wire_new(test_server(), 0);
		write_request(w, bob, "/v1/poll?wait=60");
		await_metric(test_server(), "postern_streams", 1);
		unsigned long long begin = clock_mono_ms();
		wire_free(w);
		await_metric(test_server(), "postern_streams", 0);
		took[i] = (int)(clock_mono_ms() - begin);
	}
	qsort(took, 5, sizeof(took[0]), compare_ints);
	ck_assert_int_le(took[2], 100);
}
END_TEST

START_TEST(teardown_second_node_stops) { server_stop(second_node()); }
END_TEST

int main(void)
{
	const char *const flags[] = { "--cors-origins", APP, "--rate-sends", "0", "--streams-per-user", "0", NULL };
	const TTest *const tests[] = {
		ndjson_stream_has_one_line_per_event,
		stream_padding_is_sent_first,
		stream_with_close_ends_after_first_batch,
		poll_with_pending_events_answers_at_once,
		poll_over_a_page_is_continued_by_its_cursor,
		poll_without_events_waits_for_the_next,
		stream_with_invalid_parameters_is_refused,
		stream_with_empty_since_starts_from_now,
		stream_with_last_event_id_parameter_resumes,
		unicode_line_breaks_are_escaped_in_every_response,
		heartbeats_are_sent_on_busy_stream,
		cors_is_allowed_for_listed_origins_only,
		heartbeats_are_sent_on_idle_stream,
		http_1_0_clients_can_stream_and_poll,
		head_and_options_requests_are_answered_and_end,
		stream_with_body_is_refused_and_body_is_no_request,
		connection_is_reused_after_poll,
		request_behind_poll_is_answered_correctly_or_not_at_all,
		request_head_sent_byte_by_byte_is_accepted,
		stream_closed_by_client_is_freed_within_100_ms,
		poll_closed_by_client_is_freed_within_100_ms,
		teardown_second_node_stops,
		NULL,
	};
	return suite_run("transport", tests, flags);
}
