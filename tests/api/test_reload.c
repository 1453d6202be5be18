/* SPDX-License-Identifier: MIT
 * Reload on SIGHUP: which settings change while the server runs, on every worker, and what is logged about
 * the others. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"

#include "../lib/client.h"
#include "../lib/jwt.h"
#include "../lib/manager.h"
#include "../lib/proc.h"
#include "../lib/stream.h"
#include "../lib/suite.h"

enum { TRIES = 12 }; /* connections, so that each of two workers has some */

static char path[64];
static struct manager *manager;

static void write_settings(const char *text)
{
	FILE *f = fopen(path, "we");
	ck_assert_ptr_nonnull(f);
	fprintf(f, "%s\n", text);
	fclose(f);
}

static void stop_server(void *server) { server_stop(server); }

/* Starts a node with two workers and these settings in its file. */
static struct server *node_with(const char *settings, const char *flag, const char *value)
{
	static unsigned n;
	char *name = format("@postern-reload-%d-%u", (int)getpid(), n++);
	const char *const flags[] = { "--config", path, "--workers", "2", flag, value, NULL };
	manager = manager_new(name);
	write_settings(settings);
	setenv("TEST_NOTIFY_SOCKET", name, 1);
	struct server *node = server_join(test_server(), flags);
	unsetenv("TEST_NOTIFY_SOCKET");
	manager_await(manager, "READY=1");
	return on_teardown(stop_server, node);
}

/* Sends SIGHUP and waits until every worker has read the settings. */
static void send_sighup(const struct server *node)
{
	manager_forget(manager);
	kill(server_pid(node), SIGHUP);
	ck_assert_int_gt(atoll(manager_await(manager, "MONOTONIC_USEC=") + 15), 0);
	ck_assert_uint_eq(manager_heard(manager, "RELOADING=1"), 1);
	manager_await(manager, "READY=1");
}

static void reload(const struct server *node, const char *settings)
{
	write_settings(settings);
	send_sighup(node);
}

static struct client *on_new_connection(const struct client *who, const struct server *node)
{
	return with_header(on_server(who, node), "Connection: close");
}

static int send_status(const struct client *who, const struct server *node, long long chat, int size)
{
	return post(on_new_connection(who, node), format("/v1/chats/%lld/messages", chat), "{'text':'%0*d'}", size, 7)
		.status;
}

static void expect_on_every_worker(
	const struct client *who, const struct server *node, long long chat, int size, int status)
{
	for (int i = 0; i < TRIES; i++)
		ck_assert_int_eq(send_status(who, node, chat, size), status);
}

START_TEST(reload_changes_limits_on_every_worker)
{
	struct client *ann = new_user();
	long long chat = make_group(ann);
	struct server *node = node_with("text_max = 100\nrate_sends = 0\nheartbeat = 7s", NULL, NULL);
	expect_on_every_worker(ann, node, chat, 200, 413);
	reload(node, "text_max = 300\nrate_sends = 0\nheartbeat = 9s");
	expect_on_every_worker(ann, node, chat, 200, 201);
	expect_on_every_worker(ann, node, chat, 400, 413);
	ck_assert(server_logged(node, "text_max is 300 now; it was 100"));
	for (int i = 0; i < TRIES; i++)
		ck_assert_int_eq(json_num(expect_status(get(on_new_connection(ann, node), "/v1/sync"), 200).json,
					 "timing.heartbeat"),
			9);
	/* A setting that was removed from the file has its default again. */
	reload(node, "rate_sends = 0");
	expect_on_every_worker(ann, node, chat, 400, 201);
}
END_TEST

START_TEST(reload_changes_rates)
{
	struct client *ann = new_user();
	long long chat = make_group(ann);
	struct server *node = node_with("rate_sends = 0", NULL, NULL);
	expect_on_every_worker(ann, node, chat, 2, 201);
	reload(node, "rate_sends = 1\nrate_sends_burst = 1");
	ck_assert_int_eq(send_status(ann, node, chat, 2), 201);
	expect_on_every_worker(ann, node, chat, 2, 429);
}
END_TEST

START_TEST(reload_changes_origins_and_registration)
{
	struct client *ann = new_user();
	struct server *node = node_with("", NULL, NULL);
	const struct client *page = with_header(on_server(anonymous(), node), "Origin: https://app.example.org");
	ck_assert_ptr_null(answer_header(get(page, "/healthz"), "Access-Control-Allow-Origin"));
	expect_status(post(on_new_connection(anonymous(), node), "/v1/accounts",
			      "{'name':'x-reload','password':'under the gate'}"),
		403);
	reload(node,
		"cors_origins = https://app.example.org\nregistration = open\npublic_url = https://chat.example.org/c");
	for (int i = 0; i < TRIES; i++)
		ck_assert_str_eq(
			answer_header(get(with_header(on_new_connection(ann, node), "Origin: https://app.example.org"),
					      "/v1/me"),
				"Access-Control-Allow-Origin"),
			"https://app.example.org");
	expect_status(post(on_new_connection(anonymous(), node), "/v1/accounts",
			      "{'name':'x-reload','password':'under the gate'}"),
		201);
	reload(node, "");
	ck_assert_ptr_null(answer_header(get(page, "/healthz"), "Access-Control-Allow-Origin"));
}
END_TEST

START_TEST(reload_adds_and_removes_jwt_keys)
{
	static const char *const kids[] = { "ed", NULL };
	char *keys = format("/tmp/pj%d", (int)getpid());
	struct client *ann = new_user();
	jwt_make_keys();
	jwt_write_keys(keys, kids);
	ck_assert_int_eq(chmod(keys, 0644), 0);
	char *claims = format("{\"iss\":\"https://id.example\",\"sub\":\"%s\",\"exp\":%lu}", ann->name,
		(unsigned long)(clock_real_us() / 1000000 + 600));
	struct client *c = with_token(ann, on_teardown(free, jwt_sign("ed", claims)));
	struct server *node = node_with("", NULL, NULL);
	expect_problem(get(on_new_connection(c, node), "/v1/me"), 401, "unauthorized");
	reload(node, format("jwt_keys = %s\njwt_issuer = https://id.example", keys));
	for (int i = 0; i < TRIES; i++)
		expect_status(get(on_new_connection(c, node), "/v1/me"), 200);
	/* With the same keys and another issuer, tokens that were verified before are refused. */
	reload(node, format("jwt_keys = %s\njwt_issuer = https://other.example", keys));
	for (int i = 0; i < TRIES; i++)
		expect_problem(get(on_new_connection(c, node), "/v1/me"), 401, "unauthorized");
	reload(node, "");
	expect_problem(get(on_new_connection(c, node), "/v1/me"), 401, "unauthorized");
	unlink(keys);
}
END_TEST

START_TEST(reload_changes_log_level)
{
	struct server *node = node_with("log_level = warn", NULL, NULL);
	ck_assert(!server_logged(node, " info "));
	reload(node, "log_level = debug");
	ck_assert(server_logged(node, " info supervisor reloaded"));
	reload(node, "log_level = debug\ntext_max = 1K");
	ck_assert(server_logged(node, "text_max is 1K now; it was 16K"));
}
END_TEST

START_TEST(reload_names_settings_that_need_a_restart)
{
	pid_t workers[8];
	struct server *node = node_with("text_max = 100", NULL, NULL);
	reload(node, format("text_max = 200\nheartbeat = 3s\nmetrics_listen = 127.0.0.1:0\ndemo = yes"));
	ck_assert(server_logged(
		node, "warn supervisor metrics_listen was changed, which needs a restart: it stays unset"));
	ck_assert(server_logged(node, "warn supervisor demo was changed, which needs a restart: it stays no"));
	ck_assert(server_logged(node, "heartbeat is 3s now; it was 15s"));
	ck_assert_uint_eq(server_workers(node, workers, 8), 2);
}
END_TEST

START_TEST(reload_keeps_options_above_the_file)
{
	struct client *ann = new_user();
	long long chat = make_group(ann);
	struct server *node = node_with("text_max = 100", "--text-max", "300");
	reload(node, "text_max = 50");
	expect_on_every_worker(ann, node, chat, 200, 201);
	ck_assert(server_logged(node, "nothing has changed"));
}
END_TEST

START_TEST(reload_of_invalid_settings_changes_nothing)
{
	struct client *ann = new_user();
	long long chat = make_group(ann);
	struct server *node = node_with("rate_sends = 0\ntext_max = 300", NULL, NULL);
	reload(node, "rate_sends = 0\ntext_max = 100\nbody_max = huge\nno_such_thing = 1");
	expect_on_every_worker(ann, node, chat, 200, 201);
	ck_assert(server_logged(node, format("error supervisor %s:3: body_max: huge", path)));
	ck_assert(server_logged(node, format("error supervisor %s:4: no_such_thing: no such setting", path)));
	ck_assert(server_logged(node, "the settings were read again and are invalid: no setting was changed"));
	reload(node, "rate_sends = 0\ntext_max = 100");
	expect_on_every_worker(ann, node, chat, 200, 413);
}
END_TEST

START_TEST(reload_reads_file_readable_by_root_only)
{
	struct client *ann = new_user();
	long long chat = make_group(ann);
	struct server *node = node_with("rate_sends = 0\ntext_max = 300", NULL, NULL);
	chmod(path, getuid() == 0 ? 0600 : 0);
	send_sighup(node);
	chmod(path, 0644);
	ck_assert(server_logged(node,
		getuid() == 0 ? "it was read by another user at the start, and the server's user may not read it"
			      : "Permission denied"));
	ck_assert(server_logged(node, "no setting was changed"));
	expect_on_every_worker(ann, node, chat, 200, 201);
}
END_TEST

START_TEST(reload_applies_to_workers_started_later)
{
	struct client *ann = new_user();
	long long chat = make_group(ann);
	pid_t workers[4], replacements[4];
	struct server *node = node_with("text_max = 100", NULL, NULL);
	reload(node, "text_max = 300\nrate_sends = 0");
	ck_assert_uint_eq(server_workers(node, workers, 4), 2);
	for (int i = 0; i < 2; i++)
		kill(workers[i], SIGKILL);
	unsigned long long until = clock_mono_ms() + PATIENCE;
	while (server_workers(node, replacements, 4) != 2 || replacements[0] == workers[0] ||
		replacements[0] == workers[1] || replacements[1] == workers[1])
		time_left(until, "the workers to be replaced");
	await_metric(node, "postern_workers_live", 2);
	expect_on_every_worker(ann, node, chat, 200, 201);
}
END_TEST

/* Many signals in quick succession. */
START_TEST(reload_many_times_ends_with_the_last_settings)
{
	struct client *ann = new_user();
	long long chat = make_group(ann);
	pid_t before[4], after[4];
	struct server *node = node_with("rate_sends = 0\ntext_max = 100", NULL, NULL);
	ck_assert_uint_eq(server_workers(node, before, 4), 2);
	for (int i = 0; i < 50; i++) {
		write_settings(format("rate_sends = 0\ntext_max = %d", 100 + i));
		kill(server_pid(node), SIGHUP);
	}
	reload(node, "rate_sends = 0\ntext_max = 300"); /* READY=1 may belong to an earlier reload */
	unsigned long long until = clock_mono_ms() + PATIENCE;
	for (int in_a_row = 0; in_a_row < TRIES; in_a_row = send_status(ann, node, chat, 200) == 201 ? in_a_row + 1 : 0)
		time_left(until, "the last settings");
	ck_assert_uint_eq(server_workers(node, after, 4), 2);
	ck_assert(memcmp(before, after, 2 * sizeof(pid_t)) == 0);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		reload_changes_limits_on_every_worker,
		reload_changes_rates,
		reload_changes_origins_and_registration,
		reload_adds_and_removes_jwt_keys,
		reload_changes_log_level,
		reload_names_settings_that_need_a_restart,
		reload_keeps_options_above_the_file,
		reload_of_invalid_settings_changes_nothing,
		reload_reads_file_readable_by_root_only,
		reload_applies_to_workers_started_later,
		reload_many_times_ends_with_the_last_settings,
		NULL,
	};
	snprintf(path, sizeof(path), "/tmp/pc%d.conf", (int)getpid());
	int failed = suite_run("reload", tests, NULL);
	unlink(path);
	return failed;
}
