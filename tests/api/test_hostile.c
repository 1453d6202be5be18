/* SPDX-License-Identifier: MIT
 * Hostile requests: each is refused with a 4xx problem or by closing the connection, never with a 5xx or silence, and
 * the worker survives. (501 and 505 are correct for an unknown method and version.) */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/client.h"
#include "../lib/stream.h"
#include "../lib/suite.h"
#include "base/clock.h"

#define HOST "Host: localhost\r\n"

static unsigned attacks;
static char not_problems[4096]; /* refusals without a problem document */

#define PROBE "GET /healthz HTTP/1.1\r\n" HOST "X-Request-Id: probe\r\nConnection: close\r\n\r\n"

static void note_refusal(const char *what, const char *answered)
{
	size_t len = strlen(not_problems);
	if (len < sizeof(not_problems) - 200)
		snprintf(not_problems + len, sizeof(not_problems) - len, "\n#   %.40s: %.120s", what, answered);
}

static void check_answer(const char *what, struct answer a)
{
	ck_assert_msg(
		a.status < 500 || a.status == 501 || a.status == 505, "%s: answered %d: %s", what, a.status, a.body);
	if (a.status < 400)
		return;
	const char *type = answer_header(a, "Content-Type"), *id = answer_header(a, "X-Request-Id");
	if (type == NULL || strncmp(type, "application/problem+json", 24) != 0 || !json_has(a.json, "code") ||
		json_num(a.json, "status") != a.status || id == NULL || strcmp(json_str(a.json, "request_id"), id) != 0)
		note_refusal(what, format("%d %.80s", a.status, a.body));
}

/* Takes the next answer if there is one. Returns false if there is none yet. */
static bool take_answer(struct wire *w, const char *what, bool to_head, int *first, bool *probed)
{
	struct answer a;
	size_t have;
	const char *text = wire_data(w, &have);
	long n = answer_parse(text, have, wire_ended(w), to_head && *first == 0, &a);
	if (n < 0 && wire_ended(w))
		note_refusal(what, format("malformed answer: %.80s", text));
	if (n <= 0)
		return false;
	wire_take(w, (size_t)n);
	const char *id = answer_header(a, "X-Request-Id");
	*probed = id != NULL && strcmp(id, "probe") == 0; /* the request before it may have left a partial line */
	*first = *first || *probed ? *first : a.status;
	if (!to_head)
		check_answer(what, a);
	answer_release(&a);
	return true;
}

/* Sends the bytes followed by a valid request, and reads until that is answered or the server closes. A server that
 * still waits for more input is shut down on the sending side. Returns the first status; 0: no answer. */
static int attack_bytes(const char *what, const void *data, size_t len)
{
	struct wire *w = wire_open(test_server());
	int first = 0;
	bool probed = false, shut = false, to_head = len > 5 && memcmp(data, "HEAD ", 5) == 0;
	attacks++;
	if (wire_bytes(w, data, len))
		wire_bytes(w, PROBE, sizeof(PROBE) - 1);
	for (unsigned long long until = clock_mono_ms() + PATIENCE; !probed;) {
		bool open = wire_pump(w);
		if (take_answer(w, what, to_head, &first, &probed))
			continue;
		if (!open)
			break;
		if (!wire_wait(w, shut ? time_left(until, what) : 30) && !shut) {
			wire_shut(w);
			shut = true;
		}
	}
	return first;
}

static int attack(const char *what, const char *request) { return attack_bytes(what, request, strlen(request)); }

/* Returns the pids of the workers as a text. They must not change. */
static char *workers(void)
{
	pid_t pids[8];
	size_t n = server_workers(test_server(), pids, 8);
	char *text = format("%s", "");
	for (size_t i = 0; i < n; i++)
		text = format("%s %d", text, (int)pids[i]);
	ck_assert_uint_gt(n, 0);
	return text;
}

static char *workers_at_start;

START_TEST(setup_workers_are_recorded)
{
	static char text[128];
	snprintf(text, sizeof(text), "%s", workers());
	workers_at_start = text;
}
END_TEST

START_TEST(malformed_request_lines_are_refused)
{
	static const char *const lines[] = {
		"",
		"\r\n\r\n\r\n",
		"G",
		"GET",
		"GET ",
		"GET /",
		"GET / ",
		"GET /healthz\r\n",
		"GET /healthz HTTP",
		"GET /healthz HTTP/",
		"GET /healthz HTTP/1",
		"GET /healthz HTTP/1.",
		"GET /healthz HTTP/0.9",
		"GET /healthz HTTP/1.2",
		"GET /healthz HTTP/2.0",
		"GET /healthz HTTP/9.9",
		"GET /healthz HTTP/1.1 HTTP/1.1",
		"GET  /healthz HTTP/1.1",
		"GET\t/healthz\tHTTP/1.1",
		"GET /healthz http/1.1",
		"GET /healthz HTTP/-1.1",
		"GET /healthz HTTP/1.1\x00",
		"GET /healthz FTP/1.1",
		"get /healthz HTTP/1.1",
		"BREW /v1/chats HTTP/1.1",
		"CONNECT localhost:22 HTTP/1.1",
		"TRACE /healthz HTTP/1.1",
		"PRI * HTTP/2.0",
		"OPTIONS * HTTP/1.1",
		"G\x80T / HTTP/1.1",
		"GET! / HTTP/1.1",
		" GET / HTTP/1.1",
		"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
		"SSH-2.0-OpenSSH_9.2",
		"GET http://localhost/healthz HTTP/1.1",
		"GET http://evil.example/healthz HTTP/1.1",
		"GET healthz HTTP/1.1",
		"GET ?x HTTP/1.1",
		"GET # HTTP/1.1",
		"GET //healthz HTTP/1.1",
	};
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		attack(lines[i], format("%s\r\n" HOST "\r\n", lines[i]));
}
END_TEST

START_TEST(malformed_paths_are_refused)
{
	static const char *const paths[] = {
		"/..",
		"/../",
		"/../../../../etc/passwd",
		"/..%2f..%2fetc/passwd",
		"/%2e%2e/%2e%2e/etc/passwd",
		"/static/../../etc/passwd",
		"/./healthz",
		"/%00",
		"/healthz%00",
		"/healthz%00.html",
		"/%",
		"/%2",
		"/%zz",
		"/%ff",
		"/%c0%af",
		"/%ed%a0%80",
		"/healthz?%",
		"/healthz?%zz=1",
		"/healthz?a=%",
		"/healthz?a=%00",
		"/healthz?%ff",
		"/v1/chats/%00/messages",
		"/v1/chats/%2f/messages",
		"/v1/users/%",
		"/v1/users/%0d%0a",
		"/v1/users/a%0d%0aX-Injected:%20yes",
		"/v1/chats//messages",
		"/v1//chats",
		"/v1/chats/",
		"/v1",
		"/v1/",
		"/healthz/",
		"/HEALTHZ",
		"/\\..\\..\\windows",
		"/~root",
		"/v1/chats/@",
		"/v1/chats/@%00",
		"/v1/chats/99999999999999999999999999",
		"/v1/chats/-1",
		"/a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q/r/s/t/u/v/w/x/y/z",
		"/;",
		"/healthz;x",
		"/<script>",
		"/'%20or%201=1--",
	};
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		for (int j = 0; j < 2; j++) {
			int status = attack(paths[i],
				format("GET %s HTTP/1.1\r\n" HOST "%s\r\n", paths[i],
					j ? format("Authorization: Bearer %s\r\n", user("alice")->token) : ""));
			ck_assert_msg(status / 100 != 2 || strncmp(paths[i], "/healthz", 8) == 0 ||
					strcmp(paths[i], "/./healthz") == 0,
				"%s is answered %d", paths[i], status);
		}
	/* Many parameters. */
	char *many = format("%s", "/healthz?a=1");
	for (int i = 0; i < 200; i++)
		many = format("%s&p%d=%d", many, i, i);
	attack("parameters", format("GET %s HTTP/1.1\r\n" HOST "\r\n", many));
	/* So many that they fill libmicrohttpd's memory for the connection. */
	char ands[20001];
	memset(ands, '&', sizeof(ands) - 1);
	ands[sizeof(ands) - 1] = '\0';
	for (int i = 0; i < 3; i++)
		attack("empty parameters", format("GET /?%s HTTP/1.1\r\n" HOST "\r\n", ands));
}
END_TEST

START_TEST(malformed_headers_are_refused)
{
	static const char *const headers[] = {
		"NoColon",
		": no name",
		"Space : x",
		" folded: x",
		"X: a\r\n b",
		"X\x01: y",
		"X: \x01",
		"X: \x7f",
		"\xff: x",
		"X: \xff\xfe",
		"X: a\rb",
		"X: a\nY: b",
		"Host: other",
		"Host:",
		"Content-Length: 5\r\nContent-Length: 5",
		"Content-Length: 5\r\nContent-Length: 6",
		"Content-Length: -1",
		"Content-Length: +5",
		"Content-Length: 5x",
		"Content-Length: 0x5",
		"Content-Length: 1e3",
		"Content-Length: 99999999999999999999999",
		"Content-Length: 18446744073709551615",
		"Content-Length: 9223372036854775807",
		"Content-Length:",
		"Content-Length: 5, 5",
		"Content-Length: 5\r\nTransfer-Encoding: chunked",
		"Transfer-Encoding: gzip",
		"Transfer-Encoding: chunked, gzip",
		"Transfer-Encoding: xchunked",
		"Transfer-Encoding:",
		"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
		"Transfer-Encoding : chunked",
		"Expect: 200-maybe",
		"Expect: 100-continue",
		"Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13",
		"Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAAQAAP__",
		"Authorization: Bearer \x01",
		"Authorization: Basic ====",
		"Authorization: Basic \xff",
		"Authorization:",
		"Cookie: postern_session=\x01; =; ;;;=",
		"Cookie: postern_session=\"unended",
		"Origin: \x01",
		"Range: bytes=0-,-1",
		"If-None-Match: \"",
		"X-Forwarded-For: , , ,",
		"Forwarded: for=\"[",
		"X-Request-Id: a\tb",
		"Last-Event-ID: \xff",
		"Accept: \xff",
		"Accept-Encoding: gzip;q=x",
	};
	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
		attack(headers[i], format("GET /healthz HTTP/1.1\r\n" HOST "%s\r\n\r\nhello", headers[i]));
		attack(headers[i], format("POST /v1/session HTTP/1.1\r\n" HOST "%s\r\n\r\nhello", headers[i]));
		attack(headers[i], format("GET /v1/stream HTTP/1.1\r\n" HOST "%s\r\n\r\nhello", headers[i]));
	}
	attack("no Host", "GET /healthz HTTP/1.1\r\n\r\n");
	attack("two Hosts", "GET /healthz HTTP/1.1\r\n" HOST HOST "\r\n");
	attack("bare LF", "GET /healthz HTTP/1.1\nHost: x\n\n");
	attack("bare CR", "GET /healthz HTTP/1.1\rHost: x\r\r");
}
END_TEST

/* Returns prefix, n bytes of filler, then suffix. */
static int attack_long(const char *what, const char *prefix, char filler, size_t n, const char *suffix)
{
	size_t len = strlen(prefix);
	char *text = on_teardown(free, malloc(len + n + strlen(suffix) + 1));
	memcpy(text, prefix, len);
	memset(text + len, filler, n);
	strcpy(text + len + n, suffix);
	return attack_bytes(what, text, len + n + strlen(suffix));
}

START_TEST(oversized_headers_are_refused)
{
	const size_t sizes[] = { 8192, 20000, 100000, 1000000 };
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		int statuses[] = {
			attack_long("a long path", "GET /", 'a', sizes[i], " HTTP/1.1\r\n" HOST "\r\n"),
			attack_long("a long query", "GET /healthz?", 'a', sizes[i], " HTTP/1.1\r\n" HOST "\r\n"),
			attack_long("a long method", "", 'A', sizes[i], " / HTTP/1.1\r\n" HOST "\r\n"),
			attack_long("a long value", "GET /healthz HTTP/1.1\r\n" HOST "X: ", 'a', sizes[i], "\r\n\r\n"),
			attack_long("a long name", "GET /healthz HTTP/1.1\r\n" HOST, 'a', sizes[i], ": x\r\n\r\n"),
			attack_long("a long token", "GET /v1/me HTTP/1.1\r\n" HOST "Authorization: Bearer ", 'a',
				sizes[i], "\r\n\r\n"),
			attack_long("a long cookie", "GET /v1/me HTTP/1.1\r\n" HOST "Cookie: postern_session=", 'a',
				sizes[i], "\r\n\r\n"),
		};
		for (size_t j = 0; j < sizeof(statuses) / sizeof(statuses[0]); j++)
			ck_assert_msg(
				statuses[j] == 431 || statuses[j] == 414 || statuses[j] == 400 || statuses[j] == 0,
				"%zu bytes, case %zu: %d", sizes[i], j, statuses[j]);
		attack_long("empty lines", "", '\n', sizes[i], "");
		attack_long("no end of the line", "GET /", 'a', sizes[i], "");
		attack_long("no end of the header", "GET /healthz HTTP/1.1\r\n" HOST "X: ", 'a', sizes[i], "");
	}
	char *text = on_teardown(free, malloc(200000));
	size_t len = (size_t)sprintf(text, "GET /healthz HTTP/1.1\r\n" HOST);
	for (int i = 0; i < 10000; i++)
		len += (size_t)sprintf(text + len, "X-%d: y\r\n", i);
	strcpy(text + len, "\r\n");
	attack("ten thousand headers", text);
	attack_long("all cookies", "GET /v1/me HTTP/1.1\r\n" HOST "Cookie: ", ';', 7000, "\r\n\r\n");
}
END_TEST

static char *request_head(const char *method, const char *path, const char *more)
{
	return format("%s %s HTTP/1.1\r\n" HOST "Authorization: Bearer %s\r\n%s\r\n", method, path,
		user("alice")->token, more);
}

START_TEST(malformed_bodies_are_refused)
{
	char *path = messages_path(make_group(user("alice")));
	static const char *const chunks[] = {
		"5\r\nhello\r\n0\r\n",
		"5\r\nhello",
		"x\r\nhello\r\n0\r\n\r\n",
		"-5\r\nhello\r\n0\r\n\r\n",
		"5\r\nhelloX\r\n0\r\n\r\n",
		"ffffffffffffffffff\r\nhello\r\n0\r\n\r\n",
		"ffffffffffffffff\r\nhello\r\n0\r\n\r\n",
		"7fffffffffffffff\r\nhi",
		"0x5\r\nhello\r\n0\r\n\r\n",
		"5;ext=\"\r\nhello\r\n0\r\n\r\n",
		" 5\r\nhello\r\n0\r\n\r\n",
		"5 \r\nhello\r\n0\r\n\r\n",
		"\r\n\r\n",
		"0\r\nTrailer\r\n\r\n",
		"0\r\nContent-Length: 5\r\n\r\n",
		"5\nhello\n0\n\n",
		"00000000000000000000000005\r\nhello\r\n0\r\n\r\n",
	};
	for (size_t i = 0; i < sizeof(chunks) / sizeof(chunks[0]); i++) {
		attack(chunks[i],
			format("%s%s",
				request_head(
					"POST", path, "Content-Type: text/plain\r\nTransfer-Encoding: chunked\r\n"),
				chunks[i]));
		attack(chunks[i],
			format("%s%s", request_head("GET", "/v1/poll?wait=0", "Transfer-Encoding: chunked\r\n"),
				chunks[i]));
	}
	attack("a body that is too short",
		format("%s%s", request_head("POST", path, "Content-Length: 500\r\n"), "short"));
	attack("a body that is too long",
		format("%s%s", request_head("POST", path, "Content-Length: 2\r\n"), "hi and more of it"));
	attack("a body on GET", format("%s%s", request_head("GET", path, "Content-Length: 5\r\n"), "hello"));
	attack("a body on DELETE", format("%s%s", request_head("DELETE", path, "Content-Length: 5\r\n"), "hello"));
	attack("a body on HEAD", format("%s%s", request_head("HEAD", "/healthz", "Content-Length: 5\r\n"), "hello"));
	attack("a body on OPTIONS", format("%s%s", request_head("OPTIONS", path, "Content-Length: 5\r\n"), "hello"));
	const char *const announced[] = { "300000", "10000000", "1000000000000", "9223372036854775807",
		"18446744073709551616" };
	for (size_t i = 0; i < sizeof(announced) / sizeof(announced[0]); i++)
		attack("a huge body announced",
			format("%s%s",
				request_head("POST", path,
					format("Content-Type: application/json\r\nContent-Length: %s\r\n",
						announced[i])),
				"{"));
	attack_long("a huge body sent",
		request_head("POST", path, "Content-Type: application/json\r\nContent-Length: 5000000\r\n"), 'x',
		5000000, "");
	attack_long("a huge bulk sent",
		request_head("POST", path, "Content-Type: application/x-ndjson\r\nContent-Length: 20000000\r\n"), '\n',
		20000000, "");
	attack_long("a chunk of a million bytes",
		format("%s%x\r\n",
			request_head("POST", path, "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n"),
			1000000),
		'x', 1000000, "\r\n0\r\n\r\n");
	ck_assert_uint_le(json_count(expect_status(get(user("alice"), "%s", path), 200).json, "messages"),
		60); /* some of them are valid */
}
END_TEST

START_TEST(hostile_json_is_refused)
{
	struct client *alice = user("alice");
	char *path = messages_path(make_group(alice));
	const char *const open[] = { "[", "{\"a\":", "{\"text\":[", "{\"content\":{\"a\":[{\"b\":", "\"", "-", "1e" };
	for (size_t i = 0; i < sizeof(open) / sizeof(open[0]); i++)
		for (int depth = 20; depth <= 20000; depth *= 10) {
			char *text = on_teardown(free, malloc(strlen(open[i]) * (size_t)depth + 1));
			for (int j = 0; j < depth; j++)
				strcpy(text + (size_t)j * strlen(open[i]), open[i]);
			struct answer a = post_as(alice, path, "application/json", text);
			expect_problem(a, a.status == 413 ? 413 : 400, a.status == 413 ? "body_too_large" : "bad_json");
		}
	/* Well-formed, but too deeply nested. */
	char deep[2100] = "";
	for (int i = 0; i < 1000; i++)
		deep[i] = '[', deep[1000 + i] = ']';
	struct answer a = post(alice, path, "{'type':'x','content':{'a':%s}}", deep);
	check_answer("deep", a);
	ck_assert_int_ge(a.status, 400);
	const char *const numbers[] = { "1e999", "-1e999", "1e-999", "123456789012345678901234567890", "0.1e1000000000",
		"1E+9999999999", "0.00000000000000000000000000000000000000000000001" };
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		check_answer(numbers[i], post(alice, path, "{'text':'x','reply_to':%s}", numbers[i]));
		check_answer(numbers[i], post(alice, path, "{'type':'x','content':{'n':%s}}", numbers[i]));
		check_answer(numbers[i],
			post(alice, format("/v1/chats/%lld/read", make_group(alice)), "{'up_to':%s}", numbers[i]));
	}
	check_answer("twice", post(alice, path, "{'text':'a','text':'b'}"));
	check_answer("__proto__", post(alice, path, "{'__proto__':{'text':'x'}}"));
	check_answer("types", post(alice, path, "{'type':'%s','content':{}}", "system"));
	char *key = format("%0300d", 1);
	check_answer("a long key", post(alice, path, "{'text':'x','key':'%s'}", key));
	check_answer("a key header", post_as(with_header(alice, "Idempotency-Key: %s", key), path, "text/plain", "x"));
	check_answer("an empty key", post(alice, path, "{'text':'x','key':''}"));
}
END_TEST

START_TEST(malformed_revisions_and_times_are_refused)
{
	struct client *alice = user("alice");
	long long chat = make_group(alice), id = say(alice, chat, "x");
	const char *const revs[] = { "x", "\"\"", "\"x\"", "\"-1\"", "\"99999999999999999999999\"", "W/\"1\"", "*",
		"\"1\", \"2\"", "\"1", "\xff", "\"1.5\"" };
	for (size_t i = 0; i < sizeof(revs) / sizeof(revs[0]); i++)
		check_answer(revs[i],
			patch(with_header(alice, "If-Match: %s", revs[i]), message_path(chat, id), "{'text':'y'}"));
	const char *const times[] = { "", "x", "2020", "0000-00-00T00:00:00Z", "9999-99-99T99:99:99Z",
		"2020-02-30T00:00:00Z", "infinity", "now", "294277-01-01T00:00:00Z",
		"2100-01-01T00:00:00.123456789012345678Z", "2100-01-01" };
	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		check_answer(times[i], post(alice, "/v1/tokens", "{'label':'x','expires_at':'%s'}", times[i]));
		check_answer(times[i], put(alice, member_path(chat, user("bob")), "{'muted_until':'%s'}", times[i]));
	}
}
END_TEST

START_TEST(pipelined_requests_are_answered_in_order_or_not_at_all)
{
	struct client *alice = user("alice");
	struct wire *w = wire_open(test_server());
	char *text = format("%s%s%s%s", request_head("GET", "/v1/me", ""), request_head("GET", "/nothing", ""),
		request_head("GET", "/v1/poll?wait=0", ""), request_head("GET", "/v1/me", ""));
	ck_assert(wire_bytes(w, text, strlen(text)));
	const int expected[] = { 200, 404, 200, 200 };
	for (int i = 0; i < 4; i++) {
		struct answer a = wire_answer(w);
		if (a.status == 0 && i > 2) /* the connection may end after a poll */
			break;
		expect_status(a, expected[i]);
		if (i == 0 || i == 3)
			ck_assert_str_eq(json_str(a.json, "name"), alice->name);
	}
	/* A stream neither consumes nor answers bytes that follow it. */
	struct wire *v = wire_open(test_server());
	long long chat = make_group(alice), id = say(alice, chat, "not to be deleted by what comes behind a stream");
	text = format(
		"%s%s", request_head("GET", "/v1/stream", ""), request_head("DELETE", message_path(chat, id), ""));
	wire_bytes(v, text, strlen(text));
	struct stream *s = stream_on(v);
	expect(s, "hello");
	expect_message(s, say(alice, chat, "the stream goes on"));
	expect_status(get(alice, "%s", message_path(chat, id)), 200);
	attack("a hundred at once",
		format("%s%s%s%s%s%s%s%s%s%s", text, text, text, text, text, text, text, text, text, text));
}
END_TEST

START_TEST(random_bytes_get_no_server_error)
{
	unsigned long long seed = 20240229;
	for (int i = 0; i < 150; i++) {
		unsigned char bytes[3000];
		size_t len = 0, most = 1 + (size_t)i * 19;
		if (i % 3 == 1)
			len = (size_t)sprintf((char *)bytes, "GET /");
		if (i % 3 == 2)
			len = (size_t)sprintf(
				(char *)bytes, "POST /v1/session HTTP/1.1\r\n" HOST "Content-Length: %d\r\n", i * 7);
		while (len < most) {
			seed = seed * 6364136223846793005u + 1442695040888963407u;
			unsigned char c = (unsigned char)(seed >> 56);
			bytes[len++] = i % 2 ? c : (unsigned char)" \r\n:/%?=&AZaz09\"{}"[c % 19];
		}
		attack_bytes(format("noise %d", i), bytes, len);
	}
}
END_TEST

START_TEST(refusals_are_all_problem_documents)
{
	ck_assert_msg(*not_problems == '\0', "refusals without a problem document:%s", not_problems);
}
END_TEST

START_TEST(half_closed_connections_are_answered_and_closed)
{
	/* As `printf … | nc -N host port`: request and end of input arrive together. */
	struct wire *w[200];
	for (int i = 0; i < 200; i++) {
		w[i] = wire_open(test_server());
		wire_send(w[i], "GET /healthz HTTP/1.1\r\n" HOST "\r\n");
		wire_shut(w[i]);
	}
	for (int i = 0; i < 200; i++) {
		expect_status(wire_answer(w[i]), 200);
		wire_expect_end(w[i]);
	}
}
END_TEST

START_TEST(idle_connections_do_not_block_other_clients)
{
	struct wire *idle[200];
	for (int i = 0; i < 200; i++) {
		idle[i] = wire_open(test_server());
		if (i % 2)
			wire_send(idle[i], "GET /v1/me HTTP/1.1\r\nX: ");
	}
	expect_status(get(user("alice"), "/v1/me"), 200);
	for (int i = 0; i < 200; i++)
		wire_shut(idle[i]);
}
END_TEST

START_TEST(server_after_hostile_requests_has_same_workers_and_serves)
{
	struct client *alice = user("alice"), *bob = user("bob");
	ck_assert_uint_ge(attacks, 300);
	ck_assert_str_eq(workers(), workers_at_start);
	long long chat = make_group(alice, bob);
	struct stream *s = stream_from_now(bob);
	expect_message(s, say(alice, chat, "still here"));
	expect_status(get(anonymous(), "/healthz"), 200);
	expect_status(get(anonymous(), "/readyz"), 200);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		setup_workers_are_recorded,
		malformed_request_lines_are_refused,
		malformed_paths_are_refused,
		malformed_headers_are_refused,
		oversized_headers_are_refused,
		malformed_bodies_are_refused,
		hostile_json_is_refused,
		malformed_revisions_and_times_are_refused,
		pipelined_requests_are_answered_in_order_or_not_at_all,
		random_bytes_get_no_server_error,
		refusals_are_all_problem_documents,
		half_closed_connections_are_answered_and_closed,
		idle_connections_do_not_block_other_clients,
		server_after_hostile_requests_has_same_workers_and_serves,
		NULL,
	};
	return suite_run("hostile", tests, NULL);
}
