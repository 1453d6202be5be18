/* SPDX-License-Identifier: MIT
 * Operations: health, metrics, default limits, request ids, the page, and how a server starts and stops. */
#include <ctype.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/client.h"
#include "../lib/database.h"
#include "../lib/proc.h"
#include "../lib/stream.h"
#include "../lib/suite.h"
#include "base/clock.h"

/* Returns a client that opens a connection for each request, so that any worker may accept it. */
static struct client *on_new_connection(const struct client *who) { return with_header(who, "Connection: close"); }

START_TEST(health_and_readiness_are_200)
{
	ck_assert_str_eq(expect_status(get(anonymous(), "/healthz"), 200).body, "ok\n");
	expect_status(get(anonymous(), "/readyz"), 200);
	expect_status(send_request(anonymous(), "HEAD", "/healthz", NULL, NULL, 0), 200);
}
END_TEST

START_TEST(metrics_are_summed_over_workers)
{
	struct client *ann = new_user(), *ben = new_user();
	long long chat = make_group(ann, ben);
	pid_t pids[4];
	ck_assert_uint_eq(server_workers(test_server(), pids, 4), 2);
	await_metric(test_server(), "postern_workers", 2);
	await_metric(test_server(), "postern_workers_live", 2);
	double sent = metric(test_server(), "postern_messages_sent_total"),
	       requests = metric(test_server(), "postern_http_requests_total");
	struct stream *s[6];
	for (int i = 0; i < 6; i++)
		s[i] = stream_from_now(ben);
	for (int i = 0; i < 12; i++)
		say(on_new_connection(ann), chat, "hi");
	for (int i = 0; i < 6; i++)
		for (int j = 0; j < 12; j++)
			expect(s[i], "message");
	/* Every worker returns the same values. */
	for (int i = 0; i < 8; i++) {
		ck_assert_int_eq((int)(metric(test_server(), "postern_messages_sent_total") - sent), 12);
		ck_assert_int_eq((int)metric(test_server(), "postern_streams"), 6);
		ck_assert_int_ge((int)(metric(test_server(), "postern_http_requests_total") - requests), 18);
		get(on_new_connection(anonymous()), "/healthz");
	}
	struct answer a = expect_status(get(anonymous(), "/metrics"), 200);
	ck_assert_int_eq(strncmp(expect_header(a, "Content-Type"), "text/plain; version=0.0.4", 25), 0);
	const char *const names[] = { "postern_http_responses_total{class=\"2xx\"}",
		"postern_commit_seconds_bucket{le=\"+Inf\"}", "postern_delivery_seconds_count",
		"postern_loop_lag_seconds_sum", "postern_streams{transport=\"sse\"}",
		"postern_streams{transport=\"ndjson\"}", "postern_streams{transport=\"poll\"}", "postern_memory_bytes",
		"postern_connections" };
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		ck_assert_msg(strstr(a.body, names[i]) != NULL, "there is no %s", names[i]);
	for (const char *line = a.body; line != NULL && *line != '\0'; line = strchr(line, '\n') + 1)
		ck_assert_msg(strncmp(line, "# HELP ", 7) == 0 || strncmp(line, "# TYPE ", 7) == 0 ||
				strncmp(line, "postern_", 8) == 0 || strncmp(line, "process_", 8) == 0,
			"%.80s", line);
}
END_TEST

START_TEST(metrics_for_remote_users_require_administrator)
{
	struct client *far = with_header(anonymous(), "X-Forwarded-For: 192.0.2.1");
	expect_problem(get(far, "/metrics"), 401, "unauthorized");
	expect_problem(get(with_header(user("alice"), "X-Forwarded-For: 192.0.2.1"), "/metrics"), 403, "forbidden");
	server_command(test_server(), PASSWORD "\n", "user", "add", "warden", "--admin");
	expect_status(get(with_header(with_token(anonymous(), server_command(test_server(), NULL, "token", "warden")),
				  "X-Forwarded-For: 192.0.2.1"),
			      "/metrics"),
		200);
}
END_TEST

START_TEST(responses_all_carry_a_request_id)
{
	const char *const good[] = { "a", "abc-DEF_1.2",
		"0123456789012345678901234567890123456789012345678901234567890123" };
	const char *const bad[] = { "", "with space", "new\tline", "sl/ash", "\xc3\xa9",
		"01234567890123456789012345678901234567890123456789012345678901234" };
	const char *const paths[] = { "/healthz", "/v1/nothing", "/v1/me", "/", "/v1/poll?wait=0" };
	for (size_t p = 0; p < sizeof(paths) / sizeof(paths[0]); p++) {
		for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
			ck_assert_str_eq(answer_header(get(with_header(user("alice"), "X-Request-Id: %s", good[i]),
							       "%s", paths[p]),
						 "X-Request-Id"),
				good[i]);
		for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
			const char *id =
				answer_header(get(with_header(user("alice"),
							  *bad[i] ? "X-Request-Id: %s" : "X-Request-Id;%s", bad[i]),
						      "%s", paths[p]),
					"X-Request-Id");
			ck_assert_msg(id != NULL && *id != '\0' && strlen(id) <= 64 && strcmp(id, bad[i]) != 0,
				"%s: %s", bad[i], id ? id : "(none)");
		}
	}
	ck_assert_str_ne(answer_header(get(anonymous(), "/healthz"), "X-Request-Id"),
		answer_header(get(anonymous(), "/healthz"), "X-Request-Id"));
	ck_assert_str_eq(
		stream_header(stream_open(with_header(user("alice"), "X-Request-Id: mine"), NULL), "X-Request-Id"),
		"mine");
}
END_TEST

START_TEST(openapi_description_is_served)
{
	struct answer a = expect_status(get(anonymous(), "/openapi.json"), 200);
	ck_assert_int_eq(strncmp(expect_header(a, "Content-Type"), "application/json", 16), 0);
	ck_assert_int_eq(strncmp(json_str(a.json, "openapi"), "3.", 2), 0);
	struct json_object *paths = json_at(a.json, "paths"), *found;
	const char *const expected[] = { "/v1/session", "/v1/me", "/v1/users", "/v1/tokens", "/v1/sync", "/v1/chats",
		"/v1/stream", "/v1/poll", "/v1/stream-tickets" };
	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++)
		ck_assert_msg(json_object_object_get_ex(paths, expected[i], &found), "%s isn't described", expected[i]);
}
END_TEST

START_TEST(page_and_assets_are_served)
{
	struct answer page = expect_status(get(anonymous(), "/"), 200);
	ck_assert_int_eq(strncmp(expect_header(page, "Content-Type"), "text/html", 9), 0);
	ck_assert_ptr_nonnull(answer_header(page, "Content-Security-Policy"));
	const char *etag = answer_header(page, "ETag");
	ck_assert_ptr_nonnull(etag);
	expect_status(get(with_header(anonymous(), "If-None-Match: %s", etag), "/"), 304);
	/* The files that the page loads are served too. */
	const char *const marks[] = { "src=\"", "href=\"" };
	for (int i = 0; i < 2; i++)
		for (const char *c = page.body; (c = strstr(c, marks[i])) != NULL;) {
			c += strlen(marks[i]);
			char *target = format("%.*s", (int)strcspn(c, "\"#?"), c);
			if (strncmp(target, "http", 4) != 0 && strncmp(target, "data:", 5) != 0 && *target != '\0')
				expect_status(get(anonymous(), "/%s", target + strspn(target, "./")), 200);
		}
	expect_problem(get(anonymous(), "/no-such-page.html"), 404, "not_found");
}
END_TEST

START_TEST(send_rate_of_100_a_minute_is_shared_by_workers)
{
	struct client *ann = new_user(), *ben = new_user();
	long long chat = make_group(ann, ben);
	unsigned long long begin = clock_mono_ms();
	int sent = 0;
	struct answer a = post(on_new_connection(ann), messages_path(chat), "{'text':'1'}");
	for (; a.status == 201 && sent < 60; sent++)
		a = post(on_new_connection(ann), messages_path(chat), "{'text':'%d'}", sent);
	int earned = (int)((clock_mono_ms() - begin) * 100 / 60000);
	expect_problem(a, 429, "rate_limited");
	ck_assert_msg(sent >= 20 && sent <= 20 + earned + 1, "%d were sent, %d of them earned meanwhile", sent, earned);
	ck_assert_int_ge(atoi(expect_header(a, "Retry-After")), 1);
	ck_assert_int_eq(atoi(expect_header(a, "RateLimit-Limit")), 100);
	ck_assert_int_eq(atoi(expect_header(a, "RateLimit-Remaining")), 0);
	ck_assert_int_ge(atoi(expect_header(a, "RateLimit-Reset")), 1);
	say(ben, chat, "I may"); /* the limit is per user */
	expect_status(get(ann, "%s", messages_path(chat)), 200);
	/* Each line of a batch counts. */
	struct answer bulk =
		expect_status(post_as(ann, messages_path(chat), "application/x-ndjson",
				      "{\"text\":\"1\"}\n{\"text\":\"2\"}\n{\"text\":\"3\"}\n{\"text\":\"4\"}\n"),
			200);
	ck_assert_ptr_nonnull(strstr(bulk.body, "rate_limited"));
}
END_TEST

/* Requests a stream and reads its hello. NULL: refused. */
static struct stream *try_stream(const struct client *who)
{
	unsigned long long until = clock_mono_ms() + PATIENCE;
	struct wire *w = wire_new(who->server, 0);
	wire_send(w, "GET /v1/stream HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", who->token);
	struct stream *s = stream_new(w);
	struct event *hello = NULL;
	while ((hello = stream_next(s)) == NULL && stream_status(s) / 100 < 3) {
		wire_wait(w, time_left(until, "an answer"));
		wire_pump(w);
	}
	event_free(hello);
	if (stream_status(s) == 200) {
		on_teardown(stream_free, s);
		return s;
	}
	stream_free(s);
	return NULL;
}

/* Opens a stream, retrying until the server has noticed that a slot is free. */
static struct stream *open_when_free(const struct client *who)
{
	struct stream *s;
	for (unsigned long long until = clock_mono_ms() + PATIENCE; (s = try_stream(who)) == NULL;)
		time_left(until, "a free slot");
	return s;
}

START_TEST(stream_limit_of_16_a_user_is_shared_by_workers)
{
	struct client *ann = new_user(), *ben = new_user();
	struct stream *s[16];
	for (int i = 0; i < 16; i++)
		s[i] = i % 2 ? stream_from_now(ann) : stream_open(ann, "?format=ndjson");
	for (int i = 0; i < 4; i++) {
		struct answer a = expect_problem(get(on_new_connection(ann), "/v1/stream"), 429, "too_many_streams");
		ck_assert_ptr_nonnull(answer_header(a, "Retry-After"));
		ck_assert_str_eq(expect_header(a, "RateLimit-Limit"), "16");
		ck_assert_str_eq(expect_header(a, "RateLimit-Remaining"), "0");
	}
	stream_from_now(ben);
	stream_cut(s[7]);
	open_when_free(ann);
	expect_problem(get(on_new_connection(ann), "/v1/stream"), 429, "too_many_streams");
}
END_TEST

START_TEST(stream_closed_early_frees_its_slot)
{
	struct client *ann = new_user();
	for (int i = 0; i < 300; i++) {
		struct wire *w = wire_new(test_server(), 0);
		wire_send(w, "GET /v1/%s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n",
			i % 3 ? "stream" : "poll?wait=60", ann->token);
		if (i % 3 == 1)
			wire_wait(w, PATIENCE); /* for the head */
		wire_free(w);
	}
	for (int i = 0; i < 16; i++)
		open_when_free(ann);
	expect_problem(get(ann, "/v1/stream"), 429, "too_many_streams");
}
END_TEST

START_TEST(stream_on_full_server_is_refused)
{
	enum { FILES = 160 };
	const char *const flags[] = { "--streams-per-user", "0", NULL };
	server_limit_files(FILES);
	struct server *node = server_join(test_server(), flags);
	server_limit_files(0);
	struct client *ann = on_server(user("ann"), node), *ben = on_server(user("ben"), node);
	long long chat = make_group(ann, ben);
	struct stream *s[FILES];
	unsigned n = 0;
	/* Many refusals are not logged one by one. */
	for (unsigned long long until = clock_mono_ms() + PATIENCE; !server_logged(node, "more lines like this in ");) {
		if ((s[n] = try_stream(ben)) != NULL)
			n++;
		ck_assert_uint_lt(n, FILES);
		time_left(until, "streams to be refused");
	}
	ck_assert_uint_ge(n, 20);
	ck_assert(server_logged(node, "status=503 code=overloaded"));
	ck_assert(metric(node, "postern_turned_away_total") > 0);
	/* Open streams continue, and so do other requests. */
	long long id = say(ann, chat, "to a full house");
	for (unsigned i = 0; i < n; i++)
		expect_message(s[i], id);
	stream_cut(s[0]);
	struct stream *again = open_when_free(ben);
	expect_message(again, say(ann, chat, "in again"));
	server_stop(node);

	char *said;
	const char *const too_few[] = { "serve", "--database", server_conninfo(test_server()), "--listen",
		"127.0.0.1:0", NULL };
	server_limit_files(100);
	int status = server_try(too_few, 20, &said);
	server_limit_files(0);
	ck_assert_int_ne(status, 0);
	ck_assert_msg(strstr(said, "the limit of open files is 100") != NULL, "%s", said);
}
END_TEST

START_TEST(start_in_state_directory_in_use_is_refused)
{
	char *said;
	const char *const same_state[] = { "serve", "--state", server_state(test_server()), "--listen", "127.0.0.1:0",
		NULL };
	ck_assert_int_ne(server_try(same_state, 20, &said), 0);
	ck_assert_str_ne(said, "");
	expect_status(get(anonymous(), "/readyz"), 200);
}
END_TEST

START_TEST(start_on_port_in_use_is_refused)
{
	char *said, *listen = format("127.0.0.1:%u", server_port(test_server()));
	const char *const same_port[] = { "serve", "--database", server_conninfo(test_server()), "--listen", listen,
		NULL };
	ck_assert_int_ne(server_try(same_port, 20, &said), 0);
	ck_assert_msg(strstr(said, listen) != NULL, "%s", said);
	const char *const too_many[] = { "serve", "--database", server_conninfo(test_server()), "--listen",
		"127.0.0.1:0", "--workers", "64", NULL };
	ck_assert_int_ne(server_try(too_many, 20, &said), 0);
	ck_assert_msg(strstr(said, "max_connections") != NULL, "%s", said);
	expect_status(get(anonymous(), "/readyz"), 200);
}
END_TEST

START_TEST(private_database_has_durable_settings)
{
	PGconn *pg = database_open(test_server());
	const char *const settings[][2] = { { "fsync", "on" }, { "full_page_writes", "on" },
		{ "synchronous_commit", "on" }, { "server_encoding", "UTF8" }, { "listen_addresses", "" } };
	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++)
		ck_assert_str_eq(sql(pg, "show %s", settings[i][0]), settings[i][1]);
}
END_TEST

START_TEST(database_outage_is_503_and_ends_with_it)
{
	struct client *ann = new_user(), *ben = new_user();
	long long chat = make_group(ann, ben);
	pid_t before[4], after[4];
	struct stream *s = stream_from_now(ben);
	expect_message(s, say(ann, chat, "before"));
	size_t n = server_workers(test_server(), before, 4);
	kill(server_postmaster(test_server()), SIGKILL);
	unsigned long long until = clock_mono_ms() + PATIENCE;
	struct answer a;
	while ((a = say_with_key(ann, chat, "k", "meanwhile")).status != 201) {
		expect_problem(a, 503, "database_away");
		ck_assert_ptr_nonnull(answer_header(a, "Retry-After"));
		time_left(until, "the database to come back");
	}
	long long id = json_num(a.json, "id");
	ck_assert_int_eq(json_num(expect_status(say_with_key(ann, chat, "k", "meanwhile"), 201).json, "id"), id);
	expect_message(s, id); /* the stream was never closed */
	while (get(anonymous(), "/readyz").status != 200)
		time_left(until, "the server to be ready again");
	ck_assert_uint_eq(server_workers(test_server(), after, 4), n);
	ck_assert_mem_eq(before, after, n * sizeof(pid_t));
}
END_TEST

/* Sends a signal to every process of PostgreSQL. */
static void signal_database(int sig)
{
	pid_t postmaster = server_postmaster(test_server()), backends[64];
	size_t n = proc_children(postmaster, NULL, backends, 64);
	ck_assert_int_gt(postmaster, 0);
	kill(postmaster, sig);
	for (size_t i = 0; i < n; i++)
		kill(backends[i], sig);
}

static void thaw(void *unused)
{
	(void)unused;
	signal_database(SIGCONT);
}

START_TEST(database_frozen_is_503_and_ends_with_it)
{
	const char *const flags[] = { "--database-timeout", "2", "--send-wait", "1", NULL };
	struct server *node = server_join(test_server(), flags);
	struct client *ann = on_server(new_user(), node), *ben = on_server(new_user(), node);
	long long chat = make_group(ann, ben);
	struct stream *s = stream_from_now(ben);
	expect_message(s, say(ann, chat, "before"));
	on_teardown(thaw, NULL); /* even if the test fails */
	signal_database(SIGSTOP);
	struct answer a = say_with_key(ann, chat, "k", "frozen");
	signal_database(SIGCONT);
	expect_problem(a, 503, "database_away");
	unsigned long long until = clock_mono_ms() + PATIENCE;
	while ((a = say_with_key(ann, chat, "k", "frozen")).status != 201) {
		expect_problem(a, 503, "database_away");
		time_left(until, "the database to answer again");
	}
	/* Whether or not the first attempt was committed, the message is there once. */
	expect_message(s, json_num(a.json, "id"));
	ck_assert_uint_eq(json_count(expect_status(get(ann, "%s", messages_path(chat)), 200).json, "messages"), 2);
	expect_quiet(s);
	stream_cut(s);
	server_stop(node);
}
END_TEST

START_TEST(worker_killed_is_replaced)
{
	struct client *ann = new_user(), *ben = new_user();
	long long chat = make_group(ann, ben);
	pid_t before[4], after[4];
	ck_assert_uint_eq(server_workers(test_server(), before, 4), 2);
	struct stream *s[8];
	for (int i = 0; i < 8; i++)
		s[i] = stream_from_now(ben);
	kill(before[0], SIGKILL);
	unsigned long long until = clock_mono_ms() + PATIENCE;
	while (server_workers(test_server(), after, 4) != 2 || memcmp(before, after, sizeof(after[0]) * 2) == 0)
		time_left(until, "the worker to be replaced");
	long long id = say(on_new_connection(ann), chat, "after");
	for (int i = 0; i < 8; i++) {
		if (stream_is_over(s[i]))
			s[i] = stream_since(ben, stream_cursor(s[i]));
		expect_message(s[i], id);
	}
	await_metric(test_server(), "postern_workers_live", 2);
	ck_assert_int_eq((int)metric(test_server(), "postern_streams"), 8); /* those of the dead worker are removed */
}
END_TEST

START_TEST(metrics_include_build_version)
{
	unsigned long long until = clock_mono_ms() + PATIENCE;
	PGconn *pg = database_open(test_server());
	char *version = format("%d.%d", PQserverVersion(pg) / 10000, PQserverVersion(pg) % 10000);
	for (const char *text = "", *line; strstr(text, format("postgresql=\"%s\"} 1", version)) == NULL;) {
		time_left(until, "the database's version in postern_build_info");
		text = expect_status(get(anonymous(), "/metrics"), 200).body;
		line = strstr(text, "\npostern_build_info{version=\"");
		ck_assert_ptr_nonnull(line);
		ck_assert_ptr_nonnull(strstr(line, "\",commit=\""));
	}
}
END_TEST

START_TEST(command_line_with_unknown_words_is_refused)
{
	char *said;
	ck_assert_int_eq(server_try((const char *const[]) { "--help", NULL }, 5, &said), 0);
	ck_assert_int_eq(server_try((const char *const[]) { "--version", NULL }, 5, &said), 0);
	ck_assert_int_eq(server_try((const char *const[]) { "check-config", NULL }, 5, &said), 0);
	const char *const *const wrong[] = {
		(const char *const[]) { "srve", NULL },
		(const char *const[]) { "serve", "--no-such-flag", NULL },
		(const char *const[]) { "serve", "--workers", "x", NULL },
		(const char *const[]) { "serve", "--workers", "0", NULL },
		(const char *const[]) { "serve", "--listen", "nowhere", NULL },
		(const char *const[]) { "user", NULL },
		(const char *const[]) { "token", NULL },
	};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		ck_assert_msg(server_try(wrong[i], 5, &said) == 2, "case %zu: %s", i, said);
		ck_assert_str_ne(said, "");
	}
	ck_assert_str_ne(server_command(test_server(), NULL, "migrate", "--status"), "");
}
END_TEST

START_TEST(demo_has_users_and_messages)
{
	const char *const flags[] = { "--demo", NULL };
	struct server *demo = server_start(flags);
	char *list = server_command(demo, NULL, "user", "list");
	ck_assert_msg(strstr(list, "alice") && strstr(list, "bob") && strstr(list, "carol"), "%s", list);
	struct client *alice = &(struct client) {
		.name = "alice", .server = demo, .token = server_command(demo, NULL, "token", "alice")
	};
	struct answer chats = expect_status(get(alice, "/v1/chats"), 200);
	ck_assert_str_eq(json_str(chats.json, "chats.0.kind"), "group");
	ck_assert_int_eq(json_num(chats.json, "chats.0.members_count"), 3);
	server_stop(demo);
	server_restart(demo);
	ck_assert_uint_eq(json_count(expect_status(get(alice, "/v1/chats"), 200).json, "chats"), 1);
	server_stop(demo);
}
END_TEST

int main(void)
{
	const char *const flags[] = { "--workers", "2", NULL };
	const TTest *const tests[] = {
		health_and_readiness_are_200,
		metrics_are_summed_over_workers,
		metrics_for_remote_users_require_administrator,
		responses_all_carry_a_request_id,
		openapi_description_is_served,
		page_and_assets_are_served,
		send_rate_of_100_a_minute_is_shared_by_workers,
		stream_limit_of_16_a_user_is_shared_by_workers,
		stream_closed_early_frees_its_slot,
		stream_on_full_server_is_refused,
		start_in_state_directory_in_use_is_refused,
		start_on_port_in_use_is_refused,
		private_database_has_durable_settings,
		database_outage_is_503_and_ends_with_it,
		database_frozen_is_503_and_ends_with_it,
		worker_killed_is_replaced,
		metrics_include_build_version,
		command_line_with_unknown_words_is_refused,
		demo_has_users_and_messages,
		NULL,
	};
	return suite_run("ops", tests, flags);
}
