/* SPDX-License-Identifier: MIT
 * What clients can make a worker hold: bodies of unfinished requests, answers that nobody reads, connections. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/client.h"
#include "../lib/database.h"
#include "../lib/suite.h"
#include "../lib/wire.h"
#include "base/clock.h"

#define HOST "Host: x\r\n"
#define MEBIBYTE (1 << 20)

enum {
	PAGE_BYTES = 1 << 20,
	TEXT = 16000,
	LARGE_MESSAGES = 150,
	NESTED = 260,
	BULK_LINES = 10000,
	RECEIVE_BUFFER = 4096,
	UNREAD = 8,
	RATE_BURST = 500,
	VALUES = 15001,
	SLOW_CALLS = 20,
	SLOW_CALLS_IN_FLIGHT = 2,
	CONNECTIONS_MAX = 40,
	TOKENS_MAX = 50,
	SLOW_BODIES = 12
};

static const char *authorization(const struct client *c)
{
	return c->token != NULL ? format("Authorization: Bearer %s\r\n", c->token) : "";
}

/* Sends the head of a bulk of 8 MiB; `more` are further header lines. */
static struct wire *begin_bulk(const struct client *who, long long chat, const char *more)
{
	struct wire *w = wire_open(test_server());
	wire_send(w,
		"POST /v1/chats/%lld/messages HTTP/1.1\r\n" HOST "%sContent-Type: application/x-ndjson\r\n"
		"Content-Length: 8388608\r\n%s\r\n",
		chat, authorization(who), more);
	return w;
}

/* Sends blank lines, which a bulk ignores. */
static bool send_filling(struct wire *w, size_t len)
{
	static char filling[65536];
	memset(filling, '\n', sizeof(filling));
	for (; len > 0; len -= len < sizeof(filling) ? len : sizeof(filling))
		if (!wire_bytes(w, filling, len < sizeof(filling) ? len : sizeof(filling)))
			return false;
	return true;
}

START_TEST(body_without_valid_credential_is_refused_before_it_is_sent)
{
	const struct client *others[] = { anonymous(), with_token(anonymous(), "pt_unknown") };
	for (int i = 0; i < 2; i++) {
		struct wire *w = begin_bulk(others[i], 1, "");
		expect_problem(wire_answer(w), 401, "unauthorized");
		wire_expect_end(w);
		w = begin_bulk(others[i], 1, "Expect: 100-continue\r\n");
		expect_problem(wire_answer(w), 401, "unauthorized");
		wire_expect_end(w);
	}
}
END_TEST

START_TEST(refusal_reaches_client_that_sends_its_body_first)
{
	struct wire *w = begin_bulk(anonymous(), 1, "");
	ck_assert(send_filling(w, 8 * MEBIBYTE));
	expect_problem(wire_answer(w), 401, "unauthorized");
}
END_TEST

/* Reads the interim response 100, which has no end of its own that answer_parse() knows. */
static void await_continue(struct wire *w)
{
	static const char expected[] = "HTTP/1.1 100 Continue\r\n\r\n";
	size_t len = 0;
	const char *data = wire_data(w, &len);
	for (unsigned long long until = clock_mono_ms() + PATIENCE; len < strlen(expected); data = wire_data(w, &len)) {
		if (!wire_wait(w, time_left(until, "100 Continue")))
			continue;
		ck_assert(wire_pump(w));
	}
	ck_assert_str_eq(data, expected);
	wire_take(w, len);
}

START_TEST(body_with_valid_credential_is_asked_for)
{
	struct client *ann = new_user();
	long long chat = make_group(ann);
	for (int i = 0; i < 2; i++) { /* looked up, then cached */
		struct wire *w = wire_open(test_server());
		wire_send(w,
			"POST /v1/chats/%lld/messages HTTP/1.1\r\n" HOST "%sExpect: 100-continue\r\n"
			"Content-Type: application/json\r\nContent-Length: 13\r\n\r\n",
			chat, authorization(ann));
		await_continue(w);
		wire_send(w, "{\"text\":\"hi\"}");
		expect_status(wire_answer(w), 201);
	}
}
END_TEST

START_TEST(body_to_public_route_is_limited_to_8_kib)
{
	struct wire *w = wire_open(test_server());
	wire_send(w,
		"POST /v1/session HTTP/1.1\r\n" HOST "Content-Type: application/json\r\nContent-Length: 8193\r\n\r\n");
	expect_problem(wire_answer(w), 413, "body_too_large");
	wire_expect_end(w);
}
END_TEST

/* The budget is 64 MiB, so that a user may hold 16 MiB. */
START_TEST(unfinished_bodies_of_a_user_are_bounded)
{
	struct client *ann = new_user(), *ben = new_user();
	long long chat = make_group(ann, ben);
	struct wire *slow[SLOW_BODIES];
	for (int i = 0; i < SLOW_BODIES; i++) {
		slow[i] = begin_bulk(ann, chat, "");
		send_filling(slow[i], 3 * MEBIBYTE);
	}
	ck_assert_double_le(metric(test_server(), "postern_bodies_bytes"), 16 * MEBIBYTE);
	say(ben, chat, "another user can send");
	for (int i = 0; i < SLOW_BODIES; i++)
		send_filling(slow[i], 5 * MEBIBYTE);
	int refused = 0;
	for (int i = 0; i < SLOW_BODIES; i++) {
		struct answer a = wire_answer(slow[i]);
		refused += a.status == 503 || a.status == 0; /* answered, or cut off after much more was sent */
	}
	ck_assert_int_ge(refused, SLOW_BODIES / 2);
	await_metric(test_server(), "postern_bodies_bytes", 0);
	say(ann, chat, "neither is this one any longer");
}
END_TEST

/* Reads pages of history from the latest one back. Returns the number of messages; fails if a page is too large. */
static int read_history(const struct client *who, long long chat, int *ret_pages)
{
	char *path = format("/v1/chats/%lld/messages?limit=200", chat);
	int count = 0;
	for (*ret_pages = 0; path != NULL; ++*ret_pages) {
		struct answer a = expect_status(get(who, "%s", path), 200);
		ck_assert_uint_le(a.len, PAGE_BYTES + TEXT);
		ck_assert_uint_gt(json_count(a.json, "messages"), 0);
		count += (int)json_count(a.json, "messages");
		path = json_has(a.json, "older")
			? format("/v1/chats/%lld/messages?limit=200&before=%s", chat, json_str(a.json, "older"))
			: NULL;
	}
	return count;
}

START_TEST(pages_and_polls_are_bounded_in_bytes)
{
	struct client *ann = new_user(), *ben = new_user();
	long long chat = make_group(ann, ben);
	const char *cursor = json_str(expect_status(get(ben, "/v1/sync"), 200).json, "cursor");
	char *text = format("%0*d", TEXT, 1);
	for (int i = 0; i < LARGE_MESSAGES; i++)
		say(ann, chat, text);
	int pages, events = 0;
	ck_assert_int_eq(read_history(ben, chat, &pages), LARGE_MESSAGES);
	ck_assert_int_ge(pages, LARGE_MESSAGES * TEXT / PAGE_BYTES + 1);
	for (bool more = true; more;) {
		struct answer a = expect_status(get(ben, "/v1/poll?limit=1000&wait=0&since=%s", cursor), 200);
		ck_assert_uint_le(a.len, PAGE_BYTES + TEXT);
		events += (int)json_count(a.json, "events");
		more = json_true(a.json, "more");
		cursor = json_str(a.json, "cursor");
	}
	ck_assert_int_eq(events, LARGE_MESSAGES);
}
END_TEST

static double loop_lags_over_250_ms(void)
{
	struct answer a = expect_status(get(anonymous(), "/metrics"), 200);
	const char *within = strstr(a.body, "postern_loop_lag_seconds_bucket{le=\"0.25\"} ");
	ck_assert_ptr_nonnull(within);
	return metric(test_server(), "postern_loop_lag_seconds_count") - atof(strchr(within, ' ') + 1);
}

static struct wire *send_bulk(const struct client *who, long long chat, const char *lines, size_t len)
{
	struct wire *w = wire_open(test_server());
	wire_send(w,
		"POST /v1/chats/%lld/messages HTTP/1.1\r\n" HOST "%sContent-Type: application/x-ndjson\r\n"
		"Content-Length: %zu\r\n\r\n",
		chat, authorization(who), len);
	wire_bytes(w, lines, len);
	return w;
}

static struct answer post_bulk(const struct client *who, long long chat, const char *lines, size_t len)
{
	return wire_answer(send_bulk(who, chat, lines, len));
}

/* The budget is 4 MiB, so that a user may hold 1 MiB. */
START_TEST(unread_answers_of_a_user_are_bounded)
{
	struct client *ann = new_user(), *ben = new_user();
	long long chat = make_group(ann, ben);
	char *text = format("%0*d", TEXT, 1), *history = format("/v1/chats/%lld/messages?limit=200", chat);
	for (int i = 0; i < LARGE_MESSAGES; i++)
		say(ben, chat, text);
	struct wire *unread = on_teardown(wire_free, wire_new(test_server(), RECEIVE_BUFFER));
	for (int i = 0; i < UNREAD; i++) /* the kernel takes some of them */
		wire_send(unread, "GET %s HTTP/1.1\r\n" HOST "%s\r\n", history, authorization(ann));
	struct answer a;
	for (unsigned long long until = clock_mono_ms() + PATIENCE; (a = get(ann, "%s", history)).status == 200;)
		time_left(until, "a refusal");
	expect_problem(a, 503, "overloaded");
	ck_assert_ptr_null(answer_header(a, "Link"));
	expect_status(get(ben, "%s", history), 200);
	say(ann, chat, text); /* its answer is large, too, but it was sent */
	const char *cursor = json_str(expect_status(get(ann, "/v1/sync"), 200).json, "cursor");
	expect_status(get(ann, "/v1/poll?wait=0&since=%s", cursor), 200);
	for (int i = 0; i < UNREAD; i++)
		ck_assert_int_ne(wire_answer(unread).status, 0);
	await_metric(test_server(), "postern_answers_bytes", 0);
	expect_status(get(ann, "%s", history), 200);
}
END_TEST

/* Before lines were read in slices, this held the loop for most of a second. */
START_TEST(bulk_of_nested_lines_does_not_hold_the_loop)
{
	struct client *ann = new_user();
	long long chat = make_group(ann);
	char *line = format("{\"bad\":[%0*d]}\n", 3 * NESTED - 1, 0);
	for (int i = 0; i < NESTED; i++)
		memcpy(strchr(line, '[') + 1 + (ptrdiff_t)(3 * i), i < NESTED - 1 ? "[]," : "[]]", 3);
	size_t len = strlen(line);
	char *lines = on_teardown(free, malloc(len * BULK_LINES));
	for (int i = 0; i < BULK_LINES; i++)
		memcpy(lines + len * (size_t)i, line, len);
	double before = loop_lags_over_250_ms();
	struct wire *w = send_bulk(ann, chat, lines, len * BULK_LINES);
	do {
		uint64_t began = clock_mono_ms();
		expect_status(get(anonymous(), "/healthz"), 200);
		ck_assert_uint_lt(clock_mono_ms() - began, 250);
	} while (!wire_wait(w, 0));
	ck_assert_ptr_nonnull(strstr(expect_status(wire_answer(w), 200).body, "unknown_field"));
	ck_assert_double_eq(loop_lags_over_250_ms(), before);
}
END_TEST

START_TEST(refused_lines_of_a_bulk_count_for_the_rate)
{
	struct client *ann = new_user();
	long long chat = make_group(ann);
	char lines[8 * (RATE_BURST + 1)];
	for (int i = 0; i <= RATE_BURST; i++)
		memcpy(lines + (ptrdiff_t)(8 * i), "{\"a\":1}\n", 8);
	expect_status(post_bulk(ann, chat, lines, sizeof(lines)), 200);
	expect_problem(post(ann, format("/v1/chats/%lld/messages", chat), "{'text':'x'}"), 429, "rate_limited");
}
END_TEST

START_TEST(body_with_too_many_values_is_refused)
{
	struct client *ann = new_user();
	long long chat = make_group(ann);
	char *body = format("{'type':'t','content':{'a':[%0*d]}}", 2 * VALUES - 1, 0);
	for (int i = 0; i < VALUES - 1; i++)
		memcpy(strchr(body, '[') + 1 + (ptrdiff_t)(2 * i), "0,", 2);
	expect_problem(post(ann, format("/v1/chats/%lld/messages", chat), "%s", body), 400, "bad_json");
}
END_TEST

START_TEST(slow_calls_of_a_user_leave_connections_to_others)
{
	struct client *ann = new_user(), *ben = new_user();
	PGconn *pg = database_open(test_server());
	struct wire *slow[SLOW_CALLS];
	expect_status(get(ann, "/v1/contacts"), 200);
	sql(pg, "begin");
	sql(pg, "lock table postern.contact in access exclusive mode");
	for (int i = 0; i < SLOW_CALLS; i++) {
		slow[i] = wire_open(test_server());
		wire_send(slow[i], "GET /v1/contacts HTTP/1.1\r\n" HOST "%s\r\n", authorization(ann));
	}
	await_metric(test_server(), "postern_calls_waiting", SLOW_CALLS - SLOW_CALLS_IN_FLIGHT);
	for (int i = 0; i < 10; i++)
		expect_status(get(ben, "/v1/chats"), 200);
	sql(pg, "commit");
	for (int i = 0; i < SLOW_CALLS; i++)
		expect_status(wire_answer(slow[i]), 200);
}
END_TEST

START_TEST(connections_of_an_address_are_bounded)
{
	struct wire *held[CONNECTIONS_MAX + 1];
	struct answer refused = { 0 };
	int n = 0;
	while (refused.status == 0 && n <= CONNECTIONS_MAX) {
		held[n] = wire_open(test_server());
		wire_send(held[n], "GET /healthz HTTP/1.1\r\n" HOST "\r\n");
		struct answer a = wire_answer(held[n++]);
		if (a.status != 200)
			refused = a;
	}
	expect_problem(refused, 503, "overloaded");
	ck_assert_ptr_nonnull(strstr(refused.body, "connections"));
	ck_assert_ptr_nonnull(answer_header(refused, "Retry-After"));
	for (int i = 0; i < n; i++)
		wire_shut(held[i]);
	expect_status(get(new_user(), "/v1/me"), 200);
}
END_TEST

START_TEST(unknown_tokens_of_an_address_are_limited)
{
	struct client *ann = new_user();
	expect_status(get(ann, "/v1/me"), 200);
	struct client *other = new_user();
	struct answer a = { 0 };
	int n = 0;
	for (; n <= TOKENS_MAX && a.status != 429; n++)
		a = get(with_token(anonymous(), format("pt_guess%d", n)), "/v1/me");
	expect_problem(a, 429, "rate_limited");
	ck_assert_ptr_nonnull(strstr(json_str(a.json, "detail"), "unknown credentials"));
	expect_status(get(ann, "/v1/me"), 200); /* is cached */
	/* Others at this address aren't kept out, although their tokens aren't cached; what can't be valid is. */
	expect_status(get(other, "/v1/me"), 200);
	expect_problem(get(with_token(anonymous(), format("pt_%043d", 1)), "/v1/me"), 429, "rate_limited");
	expect_problem(get(with_token(anonymous(), "pt_short"), "/v1/me"), 429, "rate_limited");
	struct answer ticket = expect_status(post(other, "/v1/stream-tickets", NULL), 201);
	expect_status(get(anonymous(), "/v1/poll?wait=0&ticket=%s", json_str(ticket.json, "ticket")), 200);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = { body_without_valid_credential_is_refused_before_it_is_sent,
		refusal_reaches_client_that_sends_its_body_first, body_with_valid_credential_is_asked_for,
		body_to_public_route_is_limited_to_8_kib, unfinished_bodies_of_a_user_are_bounded,
		pages_and_polls_are_bounded_in_bytes, unread_answers_of_a_user_are_bounded,
		bulk_of_nested_lines_does_not_hold_the_loop, refused_lines_of_a_bulk_count_for_the_rate,
		body_with_too_many_values_is_refused, slow_calls_of_a_user_leave_connections_to_others,
		connections_of_an_address_are_bounded, unknown_tokens_of_an_address_are_limited, NULL };
	const char *const flags[] = { "--connections-per-address", "40", "--bodies-max", "64M", "--answers-max", "4M",
		"--rate-tokens", "50", "--bulk-max", "8M", "--rate-sends", "600", "--rate-sends-burst", "500",
		"--send-wait", "60", "--database-timeout", "60", NULL };
	return suite_run("bounds", tests, flags);
}
