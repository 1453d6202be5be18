/* SPDX-License-Identifier: MIT
 * Overload: clients that don't read, and senders that send more than can be stored. Memory stays bounded, other
 * clients are not affected, and the server recovers.
 *
 *     hurt [--full]      with a thousand readers; --full needs some 2,500 open files */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/client.h"
#include "../lib/database.h"
#include "../lib/stream.h"
#include "../lib/suite.h"
#include "base/clock.h"

enum { LETTERS = 8000, MIB = 1 << 20 };

static unsigned readers = 40;

static void await_at_least(const char *name, double value)
{
	unsigned long long until = clock_mono_ms() + PATIENCE;
	while (metric(test_server(), name) < value)
		time_left(until, name);
}

/* Reads the messages that the stream missed, resuming it if it was closed. */
static void catch_up(struct client *who, struct stream *s, long long first, long long last)
{
	for (long long next = first; next <= last; next++) {
		if (stream_is_over(s))
			s = stream_since(who, stream_cursor(s));
		expect_message(s, next);
	}
	stream_cut(s);
	test_restart_timeout();
}

START_TEST(slow_readers_use_bounded_memory_and_delay_nobody)
{
	enum { MESSAGES = 100 };
	struct client *ann = user("ann"), *ben = user("ben");
	long long chat = make_group(ann, ben), first = 0, last = 0;
	struct stream **slow = on_teardown(free, calloc(readers, sizeof(struct stream *))),
		      *quick = stream_from_now(ben);
	for (unsigned i = 0; i < readers; i++) {
		struct wire *w = wire_new(test_server(), 4096);
		wire_send(w, "GET /v1/stream HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", ben->token);
		slow[i] = on_teardown(stream_free, stream_new(w));
		expect(slow[i], "hello");
	}
	await_metric(test_server(), "postern_streams", readers + 1);
	double before = metric(test_server(), "postern_memory_bytes");
	char text[LETTERS + 1];
	memset(text, 'x', LETTERS);
	text[LETTERS] = '\0';
	for (int i = 0; i < MESSAGES; i++) {
		last = say(ann, chat, text);
		first = first ? first : last;
		expect_message(quick, last);
	}
	await_at_least("postern_slow_subscribers_total", readers); /* each was set back at least once */
	double grown = metric(test_server(), "postern_memory_bytes") - before;
	ck_assert_msg(
		grown < 64 * MIB, "%.0f bytes for %u readers of %d bytes each", grown, readers, MESSAGES * LETTERS);
	for (unsigned i = 0; i < readers; i++)
		catch_up(ben, slow[i], first, last);
	expect_quiet(quick);
}
END_TEST

/* Counts the lines of a batch's answer with that status. */
static unsigned lines_with(struct answer a, int status)
{
	unsigned n = 0;
	char *begin = format("{\"status\":%d,", status);
	for (const char *s = a.body; (s = strstr(s, begin)) != NULL; s++)
		n++;
	return n;
}

static unsigned stored(struct client *who, long long chat)
{
	unsigned n = 0;
	for (char *page = format("%s?limit=200", messages_path(chat)); page != NULL; test_restart_timeout()) {
		struct answer a = expect_status(get(who, "%s", page), 200);
		n += (unsigned)json_count(a.json, "messages");
		page = json_has(a.json, "older")
			? format("%s?limit=200&before=%s", messages_path(chat), json_str(a.json, "older"))
			: NULL;
	}
	return n;
}

START_TEST(sends_over_the_queue_limit_are_refused)
{
	enum { LINES = 10000, BULKS = 6 };
	static const char line[] = "{\"text\":\"one of many\"}\n";
	struct client *ann = new_user(), *ben = new_user();
	long long chat = make_group(ann, ben);
	struct stream *s = stream_from_now(ben);
	char *body = on_teardown(free, malloc(LINES * sizeof(line))), *at = body;
	for (int i = 0; i < LINES; i++)
		at = stpcpy(at, line);
	PGconn *pg = database_open(test_server());
	sql(pg, "begin");
	sql(pg, "select pg_advisory_xact_lock(5788050871298354032)"); /* writes are blocked */
	struct wire *w[BULKS];
	for (int i = 0; i < BULKS; i++) {
		w[i] = wire_open(test_server());
		wire_send(w[i],
			"POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: "
			"application/x-ndjson\r\nContent-Length: %zu\r\n\r\n",
			messages_path(chat), ann->token, strlen(body));
		wire_bytes(w[i], body, strlen(body));
	}
	await_at_least("postern_turned_away_total", 1);
	expect_problem(post(ben, messages_path(chat), "{'text':'one more'}"), 503, "overloaded");
	expect_status(get(ben, "/v1/me"), 200); /* reads go on */
	sql(pg, "commit");
	unsigned sent = 0, full = 0;
	for (int i = 0; i < BULKS; i++) {
		struct answer a = expect_status(wire_answer(w[i]), 200);
		sent += lines_with(a, 201);
		full += lines_with(a, 503);
	}
	ck_assert_uint_eq(sent + full, BULKS * LINES);
	ck_assert_uint_gt(full, 0);
	ck_assert(metric(test_server(), "postern_turned_away_total") >= full + 1);
	say(ann, chat, "the last one");
	ck_assert_uint_eq(stored(ann, chat), sent + 1);
	/* The stream got all messages or resumes: it wasn't read all the time, which on a slow machine is longer than
	 * the server waits. */
	for (unsigned i = 0; i <= sent; i++) {
		if (stream_is_over(s))
			s = stream_since(ben, stream_cursor(s));
		expect(s, "message");
	}
	expect_quiet(s);
}
END_TEST

int main(int argc, char **argv)
{
	static const char *const flags[] = { "--rate-sends", "0", "--rate-actions", "0", "--streams-per-user", "0",
		"--stream-queue-max", "64K", "--send-wait", "60", "--log-level", "warn", NULL };
	const TTest *const tests[] = { slow_readers_use_bounded_memory_and_delay_nobody,
		sends_over_the_queue_limit_are_refused, NULL };
	if (argc > 1 && strcmp(argv[1], "--full") == 0)
		readers = 1000;
	return suite_run("hurt", tests, flags);
}
