/* SPDX-License-Identifier: MIT
 * What operators read: log lines about sign-ins and refusals, the access log, and metrics of traffic. tests/watching
 * checks that metrics are well-formed and that board, alerts, filter and manual match them. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "../lib/client.h"
#include "../lib/database.h"
#include "../lib/stream.h"
#include "../lib/suite.h"
#include "base/clock.h"

/* ---- lines of a file ---- */

/* Returns the number of lines with all of these texts (NULL ends them); *ret_last is the last of them, until the end
 * of the test. */
static unsigned matching_lines_args(const char *path, char **ret_last, const char *const texts[])
{
	char line[8192];
	unsigned n = 0;
	FILE *f = fopen(path, "re");
	while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
		bool fits = strchr(line, '\n') != NULL;
		for (size_t i = 0; texts[i] != NULL && fits; i++)
			fits = strstr(line, texts[i]) != NULL;
		if (!fits)
			continue;
		n++;
		if (ret_last != NULL)
			*ret_last = format("%s", line);
	}
	if (f != NULL)
		fclose(f);
	return n;
}
#define matching_lines(path, ret_last, ...) \
	matching_lines_args(path, ret_last, (const char *const[]) { __VA_ARGS__, NULL })

/* Waits for such a line and returns it. */
static char *await_line_args(const char *path, const char *const texts[])
{
	char *line = NULL;
	unsigned long long until = clock_mono_ms() + PATIENCE;
	while (matching_lines_args(path, &line, texts) == 0)
		time_left(until, texts[0]);
	return line;
}
#define await_line(path, ...) await_line_args(path, (const char *const[]) { __VA_ARGS__, NULL })

/* Creates a directory in which every user may write, because the server may run as another one. */
static char *make_directory(void)
{
	char *dir = format("/tmp/pwXXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	chmod(dir, 0777);
	return dir;
}

static void remove_directory(const char *dir)
{
	unlink(format("%s/access", dir));
	unlink(format("%s/access.1", dir));
	rmdir(dir);
}

/* ---- sign-ins ---- */

static struct answer sign_in(const struct server *node, const char *name_json, const char *from)
{
	struct client *who = with_header(&(struct client) { .server = node }, "Origin: %s", server_url(node));
	who = with_header(who, "X-Forwarded-For: %s", from);
	const char *body = format("{\"name\":\"%s\",\"password\":\"wrong\"}", name_json);
	return send_request(who, "POST", "/v1/session", "application/json", body, strlen(body));
}

START_TEST(failed_sign_in_is_one_escaped_line_in_every_format)
{
	static const struct {
		const char *format, *line, *id;
	} cases[] = {
		{ "text",
			"warn worker 0 sign-in failed addr=203.0.113.9 user=\"eve\\\"\\nfake addr=198.51.100.1\\x1b\" "
			"request=",
			"request=" },
		{ "logfmt",
			"level=warn process=\"worker 0\" msg=\"sign-in failed\" addr=203.0.113.9 "
			"user=\"eve\\\"\\nfake addr=198.51.100.1\\x1b\" request=",
			"request=" },
		{ "json",
			"\"level\":\"warn\",\"process\":\"worker 0\",\"message\":\"sign-in "
			"failed\",\"addr\":\"203.0.113.9\","
			"\"user\":\"eve\\\"\\nfake addr=198.51.100.1\\u001b\",\"request\":",
			"\"request\":" },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *const flags[] = { "--log-format", cases[i].format, "--trusted-proxies", "127.0.0.1", NULL };
		struct server *node = server_join(test_server(), flags);
		struct answer a =
			expect_problem(sign_in(node, "eve\\\"\\nfake addr=198.51.100.1\\u001b", "203.0.113.9"), 401,
				"bad_credentials");
		expect_problem(sign_in(node, "mallory", "203.0.113.10"), 401, "bad_credentials");
		char *line;
		ck_assert_uint_eq(matching_lines(server_log(node), NULL, "sign-in failed"), 2);
		ck_assert_uint_eq(matching_lines(server_log(node), &line, cases[i].line), 1);
		ck_assert_msg(strstr(line, expect_header(a, "X-Request-Id")) != NULL, "%s", line);
		ck_assert_uint_eq(matching_lines(server_log(node), NULL, "mallory", "203.0.113.10"), 1);
		server_stop(node);
	}
}
END_TEST

/* Asserts that these steps of the request with that id are logged in this order. */
static void expect_steps(const struct server *node, const char *id, const char *const steps[])
{
	char line[8192];
	FILE *f = fopen(server_log(node), "re");
	ck_assert_ptr_nonnull(f);
	while (*steps != NULL && fgets(line, sizeof(line), f) != NULL)
		if (strstr(line, format(" trace worker 0 %s request=%s", *steps, id)) != NULL)
			steps++;
	fclose(f);
	ck_assert_msg(*steps == NULL, "%s: the step \"%s\" is missing or out of order", id, *steps);
}

START_TEST(trace_follows_a_request_from_head_to_last_byte)
{
	const char *const flags[] = { "--log-level", "trace", NULL };
	struct server *node = server_join(test_server(), flags);
	struct client *ann = on_server(new_user(), node);
	long long chat = make_group(ann, NULL);
	expect_status(
		post(with_header(ann, "X-Request-Id: sent"), messages_path(chat), "{'text':'not to be logged'}"), 201);
	expect_status(get(with_header(ann, "X-Request-Id: looked"), "/v1/me"), 200);
	expect_status(get(with_header(ann, "X-Request-Id: polled"), "/v1/poll?wait=0"), 200);
	await_line(server_log(node), "last byte written request=sent");
	await_line(server_log(node), "last byte written request=looked");
	await_line(server_log(node), "connection handed off request=polled");
	expect_steps(node, "sent",
		(const char *const[]) { "head read", "user known", "handler called", "message submitted",
			"message judged", "answer queued", "last byte written", NULL });
	expect_steps(node, "looked",
		(const char *const[]) { "head read", "user known", "handler called", "database call sent",
			"database call answered", "answer queued", "last byte written", NULL });
	expect_steps(node, "polled",
		(const char *const[]) { "head read", "user known", "handler called", "connection handed off", NULL });
	ck_assert(!server_logged(node, "not to be logged") && !server_logged(node, ann->token));
	server_stop(node);
}
END_TEST

START_TEST(sign_ins_are_counted_by_method)
{
	static const char failed[] = "postern_sign_ins_total{method=\"password\",result=\"refused\"}",
			  good[] = "postern_sign_ins_total{method=\"password\",result=\"good\"}",
			  token[] = "postern_sign_ins_total{method=\"token\",result=\"refused\"}",
			  ticket[] = "postern_sign_ins_total{method=\"ticket\",result=\"refused\"}";
	double before[4] = { metric(test_server(), failed), metric(test_server(), good), metric(test_server(), token),
		metric(test_server(), ticket) };
	struct client *ann = new_user();
	struct client *here = with_header(anonymous(), "Origin: %s", server_url(test_server()));
	expect_problem(
		post(here, "/v1/session", "{'name':'%s','password':'wrong'}", ann->name), 401, "bad_credentials");
	expect_status(post(here, "/v1/session", "{'name':'%s','password':'%s'}", ann->name, PASSWORD), 201);
	expect_status(get(with_token(ann, "unheard"), "/v1/me"), 401);
	expect_status(get(anonymous(), "/v1/stream?ticket=unheard"), 401);
	ck_assert_double_eq(metric(test_server(), failed), before[0] + 1);
	ck_assert_double_eq(metric(test_server(), good), before[1] + 1);
	ck_assert_double_eq(metric(test_server(), token), before[2] + 1);
	ck_assert_double_eq(metric(test_server(), ticket), before[3] + 1);
}
END_TEST

START_TEST(refusals_of_one_client_are_logged_in_two_lines)
{
	struct server *node = server_join(test_server(), NULL);
	struct client *ann = on_server(new_user(), node), *ben = on_server(new_user(), node);
	long long chat = make_group(ann, NULL);
	struct answer a;
	for (int i = 0; i < 20; i++)
		a = expect_status(
			get(with_header(with_token(ann, "unheard"), "X-Request-Id: try-%d", i), "/v1/me"), 401);
	for (int i = 0; i < 5; i++)
		expect_status(patch(ben, format("/v1/admin/chats/%lld", chat), "{'retention':0}"), 403);
	ck_assert_ptr_nonnull(a.body);
	server_stop(node);
	ck_assert_uint_eq(matching_lines(server_log(node), NULL, " refused "), 4);
	ck_assert_uint_eq(
		matching_lines(server_log(node), NULL,
			" warn worker 0 refused addr=127.0.0.1 status=401 code=unauthorized credential=bad count=1 ",
			"request=try-0"),
		1);
	ck_assert_uint_eq(
		matching_lines(server_log(node), NULL,
			" warn worker 0 refused addr=127.0.0.1 status=401 code=unauthorized credential=bad count=19 ",
			"request=try-19"),
		1);
	ck_assert_uint_eq(matching_lines(server_log(node), NULL,
				  format(" refused addr=127.0.0.1 user=%s status=403 ", ben->name), " count=1 "),
		1);
	ck_assert_uint_eq(matching_lines(server_log(node), NULL,
				  format(" refused addr=127.0.0.1 user=%s status=403 ", ben->name), " count=4 "),
		1);
}
END_TEST

START_TEST(refusals_of_many_clients_are_logged_in_few_lines)
{
	const char *const flags[] = { "--trusted-proxies", "127.0.0.1", NULL };
	struct server *node = server_join(test_server(), flags);
	struct client *nobody_there = &(struct client) { .server = node };
	for (int i = 0; i < 400; i++)
		expect_status(
			get(with_header(nobody_there, "X-Forwarded-For: 10.1.%d.%d", i / 200, i % 200), "/v1/me"), 401);
	server_stop(node);
	ck_assert_uint_eq(
		matching_lines(server_log(node), NULL, " info worker 0 refused ", "credential=none count=1 "), 256);
	ck_assert_uint_eq(matching_lines(server_log(node), NULL, " further clients refused count=144 "), 1);
}
END_TEST

/* ---- the access log ---- */

START_TEST(access_log_has_a_line_per_response_without_secrets)
{
	char *dir = make_directory(), *file = format("%s/access", dir);
	const char *const flags[] = { "--access-log", file, "--trusted-proxies", "127.0.0.1", NULL };
	struct server *node = server_join(test_server(), flags);
	struct client *ann = with_header(on_server(new_user(), node), "X-Forwarded-For: 203.0.113.7"),
		      *bare = &(struct client) { .server = node };
	long long chat = make_group(ann, NULL);
	say(with_header(ann, "User-Agent: a \"quoted\" agent"), chat, "hi");
	char *line = await_line(file, " access addr=203.0.113.7 ", "method=POST",
		format("path=/v1/chats/%lld/messages status=201 ", chat));
	ck_assert_msg(strstr(line, format(" user=%s ", ann->name)) != NULL &&
			strstr(line, " agent=\"a \\\"quoted\\\" agent\"") != NULL,
		"%s", line);
	ck_assert_msg(strstr(line, " bytes=0 ") == NULL && strstr(line, " duration=0.") != NULL &&
			strstr(line, " request=") != NULL,
		"%s", line);
	struct answer a = expect_status(get(ann, "/v1/me/export"), 200); /* a response in pieces */
	await_line(file, "path=/v1/me/export", "status=200", format("bytes=%zu ", strlen(a.body)));
	expect_status(send_request(ann, "HEAD", "/v1/poll?wait=0", NULL, NULL, 0), 200);
	await_line(file, "method=HEAD path=/v1/poll status=200");
	expect_status(get(bare, "/v1/poll?access_token=topsecret"), 401);
	expect_status(get(bare, "/v1/poll?wait=0&access_token=%s", ann->token), 200);
	char *ticket = format("%s", json_str(expect_status(post(ann, "/v1/stream-tickets", NULL), 201).json, "ticket"));
	expect_status(get(bare, "/v1/poll?wait=0&ticket=%s", ticket), 200);
	expect_status(get(ann, "/v1/invites/abcdefghijklmnop"), 404);
	expect_status(get(bare, "/v1/no-such-hooks/a-secret-that-is-long-enough"), 404);
	await_line(file, "path=\"/v1/no-such-hooks/…\" status=404");
	ck_assert_uint_eq(matching_lines(file, NULL, "path=/v1/invites/{code} status=404"), 1);
	ck_assert_uint_eq(
		matching_lines(file, NULL, "path=/v1/poll status=200", "events=0", format("user=%s", ann->name)), 2);
	const char *const secrets[] = { "topsecret", "a-secret", "abcdefghijklmnop", ann->token, ticket };
	for (size_t i = 0; i < sizeof(secrets) / sizeof(secrets[0]); i++) {
		ck_assert_uint_eq(matching_lines(file, NULL, secrets[i]), 0);
		ck_assert_uint_eq(matching_lines(server_log(node), NULL, secrets[i]), 0);
	}
	server_stop(node);
	remove_directory(dir);
}
END_TEST

START_TEST(access_log_line_of_stream_is_written_when_it_ends)
{
	const char *const flags[] = { "--access-log", "on", "--log-format", "json", NULL };
	struct server *node = server_join(test_server(), flags);
	struct client *ann = on_server(new_user(), node);
	long long chat = make_group(ann, NULL);
	struct stream *s = stream_from_now(ann);
	for (int i = 0; i < 3; i++)
		expect_message(s, say(ann, chat, "hi"));
	await_line(server_log(node), "\"message\":\"access\"", "\"status\":201");
	ck_assert_uint_eq(matching_lines(server_log(node), NULL, "\"path\":\"/v1/stream\""), 0);
	stream_cut(s);
	char *line = await_line(server_log(node), "\"path\":\"/v1/stream\"");
	struct json_object *o = json_path_parse(line, strlen(line) - 1);
	ck_assert_ptr_nonnull(o);
	ck_assert_int_eq(json_num(o, "events"), 3);
	ck_assert_int_gt(json_num(o, "bytes"), 500);
	ck_assert_int_eq(json_num(o, "status"), 200);
	ck_assert_str_eq(json_str(o, "user"), ann->name);
	json_object_put(o);
	server_stop(node);
}
END_TEST

START_TEST(access_log_is_reopened_on_sighup)
{
	char *dir = make_directory(), *file = format("%s/access", dir), *old = format("%s/access.1", dir);
	const char *const flags[] = { "--access-log", file, NULL };
	struct server *node = server_join(test_server(), flags);
	struct client *bare = &(struct client) { .server = node };
	expect_status(get(bare, "/healthz"), 200);
	await_line(file, "path=/healthz");
	ck_assert_int_eq(rename(file, old), 0);
	expect_status(get(bare, "/v1/me"), 401); /* still in the old file */
	await_line(old, "path=/v1/me");
	kill(server_pid(node), SIGHUP);
	unsigned long long until = clock_mono_ms() + PATIENCE;
	while (access(file, F_OK) != 0)
		time_left(until, "the file to be opened again");
	expect_status(get(bare, "/readyz"), 200);
	await_line(file, "path=/readyz");
	server_stop(node);
	ck_assert_uint_eq(matching_lines(old, NULL, "path=/readyz"), 0);
	remove_directory(dir);
}
END_TEST

START_TEST(access_log_that_cannot_be_written_fails_the_start)
{
	char *said;
	const char *const args[] = { "serve", "--database", server_conninfo(test_server()), "--listen", "127.0.0.1:0",
		"--access-log", "/nowhere/access", NULL };
	ck_assert_int_ne(server_try(args, 20, &said), 0);
	ck_assert_msg(strstr(said, "access_log") != NULL && strstr(said, "/nowhere/access: No such file") != NULL, "%s",
		said);
	const char *const odd[] = { "check-config", "--access-log", "yes", NULL };
	ck_assert_int_eq(server_try(odd, 20, &said), 2);
}
END_TEST

/* With a full file system no request waits, and lost lines are counted. */
START_TEST(access_log_over_its_buffer_drops_and_counts)
{
	const char *const flags[] = { "--access-log", "/dev/full", NULL };
	struct server *node = server_join(test_server(), flags);
	for (int i = 0; i < 10; i++)
		expect_status(get(&(struct client) { .server = node }, "/healthz"), 200);
	unsigned long long until = clock_mono_ms() + PATIENCE;
	while (metric(node, "postern_access_log_lines_total{result=\"dropped\"}") < 10)
		time_left(until, "lines to be dropped");
	ck_assert_double_eq(metric(node, "postern_access_log_lines_total{result=\"written\"}"), 0);
	ck_assert(server_logged(node, "can't write the access log file=/dev/full error=\"No space left on device\""));
	server_stop(node);
}
END_TEST

/* ---- metrics ---- */

START_TEST(requests_are_counted_by_route_and_status)
{
	struct client *ann = new_user();
	long long chat = make_group(ann, NULL);
	const char *sent =
		"postern_http_requests_total{route=\"/v1/chats/{chat}/messages\",method=\"POST\",status=\"201\"}";
	const char *took =
		"postern_http_request_duration_seconds_count{route=\"/v1/chats/{chat}/messages\",method=\"POST\"}";
	const char *other = "postern_http_requests_total{route=\"other\",method=\"other\",status=\"404\"}";
	say(ann, chat, "the first");
	expect_status(get(ann, "/no-such-thing"), 404);
	double before[] = { metric(test_server(), sent), metric(test_server(), took), metric(test_server(), other) };
	say(ann, chat, "one more");
	for (int i = 0; i < 50; i++)
		expect_status(get(ann, "/no-such-thing-%d", i), 404);
	ck_assert_double_eq(metric(test_server(), sent), before[0] + 1);
	ck_assert_double_eq(metric(test_server(), took), before[1] + 1);
	ck_assert_double_eq(metric(test_server(), other), before[2] + 50);
	struct answer a = expect_status(get(anonymous(), "/metrics"), 200);
	ck_assert_ptr_null(strstr(a.body, "no-such-thing")); /* what a client sends isn't a label */
	ck_assert_ptr_null(strstr(a.body, format("/v1/chats/%lld", chat)));
}
END_TEST

START_TEST(process_metrics_are_exported_for_each_process)
{
	const char *const names[] = { "process_start_time_seconds", "process_cpu_seconds_total",
		"process_resident_memory_bytes", "process_open_fds", "process_max_fds" };
	const char *const processes[] = { "worker 0", "supervisor" };
	unsigned long long until = clock_mono_ms() + PATIENCE;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		for (size_t p = 0; p < 2; p++) {
			const char *line = format("\n%s{process=\"%s\"} ", names[i], processes[p]);
			while (strstr(get(anonymous(), "/metrics").body, line) == NULL)
				time_left(until, line);
		}
	ck_assert_double_gt(metric(test_server(), "process_open_fds{process=\"worker 0\"}"), 10);
	ck_assert_double_gt(metric(test_server(), "process_max_fds{process=\"worker 0\"}"),
		metric(test_server(), "process_open_fds{process=\"worker 0\"}"));
	double age = (double)time(NULL) - metric(test_server(), "process_start_time_seconds{process=\"supervisor\"}");
	ck_assert_msg(age >= -1 && age < 600, "%g", age);
}
END_TEST

START_TEST(database_metrics_are_exported)
{
	await_metric(test_server(), "postern_database_up", 1);
	ck_assert_double_eq(metric(test_server(), "postern_pool_connections"), 4);
	unsigned long long until = clock_mono_ms() + PATIENCE;
	while (metric(test_server(), "postern_database_size_bytes") < 1e6)
		time_left(until, "the size of the database");
	ck_assert_double_ge(metric(test_server(), "postern_messages_stored"), 0);
	ck_assert_double_eq(metric(test_server(), "postern_database_failovers_total"), 0);
}
END_TEST

START_TEST(stream_reset_is_counted_by_reason)
{
	const char *name = "postern_stream_resets_total{reason=\"foreign_epoch\"}";
	struct client *ann = new_user();
	double before = metric(test_server(), name);
	struct stream *s = stream_from_now(ann);
	char *cursor = format("%s", stream_cursor(s));
	*cursor = *cursor == 'A' ? 'B' : 'A';
	struct stream *lost = stream_since(ann, cursor);
	expect(lost, "reset");
	ck_assert_double_eq(metric(test_server(), name), before + 1);
	ck_assert_str_eq(
		json_str(json_at(expect_status(get(ann, "/v1/poll?since=%s", cursor), 200).json, "events.0"), "event"),
		"reset");
	ck_assert_double_eq(metric(test_server(), name), before + 2);
}
END_TEST

START_TEST(private_database_messages_are_in_the_log)
{
	PGconn *pg = database_open(test_server());
	PGconn *victim = database_open(test_server());
	char *pid = sql(victim, "select pg_backend_pid()");
	sql(pg, "select pg_terminate_backend(%s)", pid);
	await_line(server_log(test_server()),
		" warn supervisor PostgreSQL severity=FATAL text=\"terminating connection due to administrator "
		"command\"");
}
END_TEST

START_TEST(worker_killed_is_counted)
{
	struct server *node = server_join(test_server(), NULL);
	pid_t pids[2];
	ck_assert_double_eq(metric(node, "postern_worker_restarts_total"), 0);
	double errors = metric(node, "postern_log_lines_total{level=\"error\"}");
	ck_assert_uint_eq(server_workers(node, pids, 2), 1);
	kill(pids[0], SIGKILL);
	unsigned long long until = clock_mono_ms() + PATIENCE;
	while (get(&(struct client) { .server = node }, "/readyz").status != 200 ||
		server_workers(node, pids + 1, 1) != 1 || pids[1] == pids[0])
		time_left(until, "the worker to be replaced");
	await_metric(node, "postern_worker_restarts_total", 1);
	await_metric(node, "postern_log_lines_total{level=\"error\"}", errors + 1);
	server_stop(node);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		failed_sign_in_is_one_escaped_line_in_every_format,
		trace_follows_a_request_from_head_to_last_byte,
		sign_ins_are_counted_by_method,
		refusals_of_one_client_are_logged_in_two_lines,
		refusals_of_many_clients_are_logged_in_few_lines,
		access_log_has_a_line_per_response_without_secrets,
		access_log_line_of_stream_is_written_when_it_ends,
		access_log_is_reopened_on_sighup,
		access_log_that_cannot_be_written_fails_the_start,
		access_log_over_its_buffer_drops_and_counts,
		requests_are_counted_by_route_and_status,
		process_metrics_are_exported_for_each_process,
		database_metrics_are_exported,
		private_database_messages_are_in_the_log,
		stream_reset_is_counted_by_reason,
		worker_killed_is_counted,
		NULL,
	};
	return suite_run("watching", tests, NULL);
}
