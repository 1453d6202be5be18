/* SPDX-License-Identifier: MIT
 * database_read: a standby answers history, search and replay while it is as current as the primary. Whatever happens
 * to it, no client misses its own writes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/client.h"
#include "../lib/cluster.h"
#include "../lib/command.h"
#include "../lib/database.h"
#include "../lib/stream.h"
#include "../lib/suite.h"
#include "base/clock.h"

static struct server *node, *other; /* two nodes that read from the standby; the main server has its own database */
static struct cluster *primary, *standby;

static double reads_metric(const struct server *server, const char *result)
{
	return metric(server, format("postern_replica_reads_total{result=\"%s\"}", result));
}

/* Waits until the counter has risen: metrics are published once a second. */
static void await_more(const struct server *server, const char *result, double than)
{
	unsigned long long until = clock_mono_ms() + PATIENCE;
	while (reads_metric(server, result) <= than)
		time_left(until, format("more reads %s", result));
}

static size_t found(const struct client *who, const char *word)
{
	return json_count(expect_status(get(who, "/v1/search?q=%s", word), 200).json, "results");
}

static void await_found(const struct client *who, const char *word, size_t n)
{
	unsigned long long until = clock_mono_ms() + PATIENCE;
	while (found(who, word) != n)
		time_left(until, "the word to be indexed");
}

START_TEST(setup_nodes_start_on_primary_with_standby)
{
	primary = cluster_new();
	node = server_on(cluster_conninfo(primary, "postgres"), (const char *const[]) { "--rate-sends", "0", NULL });
	server_stop(node); /* it has created the functions, so that the standby has them from the beginning */
	standby = cluster_copy(primary, true);
	cluster_start(standby);
	const char *const flags[] = { "--database-read", cluster_conninfo(standby, "postgres"), "--ring-bytes", "4K",
		"--rate-sends", "0", "--rate-searches", "0", "--workers", "1", NULL };
	node = server_on(cluster_conninfo(primary, "postgres"), flags);
	other = server_on(cluster_conninfo(primary, "postgres"), flags);
}
END_TEST

START_TEST(doctor_distinguishes_standby_primary_and_other_database)
{
	const struct {
		const char *conninfo, *text;
		int status;
	} cases[] = {
		{ cluster_conninfo(standby, "postgres"), "database_read is a standby", 0 },
		{ cluster_conninfo(primary, "postgres"), "database_read is a primary", 0 },
		{ server_conninfo(test_server()), "database_read isn't a standby of the database", 1 },
		{ "host=/no/such/place dbname=postgres", "database_read: ", 0 },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct outcome o = command_run((struct invocation) { 0 }, "doctor", "--database",
			cluster_conninfo(primary, "postgres"), "--database-read", cases[i].conninfo, "--listen",
			"127.0.0.1:0");
		ck_assert_msg(strstr(o.out, cases[i].text) != NULL && (cases[i].status == 0 || o.status == 1),
			"case %zu: %s", i, o.out);
	}
}
END_TEST

START_TEST(standby_answers_history_search_and_replay)
{
	struct client *ann = user_at(node, "ann");
	long long chat = make_group(ann), ids[120];
	const char *cursor = json_str(expect_status(get(ann, "/v1/sync"), 200).json, "cursor");
	for (int i = 0; i < 120; i++)
		ids[i] = say(ann, chat, format("replicated message number %d", i));
	await_found(ann, "replicated", 20);
	cluster_await_standby(primary);
	double served = reads_metric(node, "served");
	for (int i = 0; i < 10; i++)
		ck_assert_int_eq(
			json_num(expect_status(get(ann, "%s?after=%lld&limit=1", messages_path(chat), ids[i * 10]), 200)
					 .json,
				"messages.0.id"),
			ids[i * 10 + 1]);
	await_more(node, "served", served + 9);
	served = reads_metric(node, "served");
	ck_assert_uint_eq(found(ann, "replicated"), 20);
	struct stream *s = stream_since(ann, cursor);
	for (int i = 0; i < 120; i++)
		expect_message(s, ids[i]);
	await_more(node, "served", served + 1);
	/* Refusals are answers too. */
	struct client *ben = user_at(node, "ben");
	expect_problem(get(ben, "%s?limit=3", messages_path(chat)), 404, "not_found");
	expect_problem(get(ann, "%s?before=1&after=2", messages_path(chat)), 400, "bad_parameter");
}
END_TEST

static void resume(void *unused)
{
	(void)unused;
	sql(cluster_connect(standby, "postgres"), "select pg_wal_replay_resume()");
}

START_TEST(write_is_read_from_every_node_while_standby_lags)
{
	struct client *ann = user_at(node, "ann"), *elsewhere = on_server(ann, other);
	long long chat = make_group(ann);
	say(ann, chat, "before");
	cluster_await_standby(primary);
	PGconn *pg = cluster_connect(standby, "postgres");
	on_teardown(resume, NULL);
	sql(pg, "select pg_wal_replay_pause()");
	double behind = reads_metric(node, "behind") + reads_metric(other, "behind");
	for (int i = 0; i < 20; i++) {
		long long id = say(i % 2 ? ann : elsewhere, chat, format("m%d", i));
		ck_assert_int_eq(
			json_num(
				expect_status(get(ann, "%s?after=%lld&limit=1", messages_path(chat), id - 1), 200).json,
				"messages.0.id"),
			id);
		/* Not the latest page, which a node that has not seen the message yet may have cached. */
		ck_assert_int_eq(
			json_num(expect_status(
					 get(elsewhere, "%s?before=%lld&limit=1", messages_path(chat), id + 1), 200)
					 .json,
				"messages.0.id"),
			id);
	}
	unsigned long long until = clock_mono_ms() + PATIENCE;
	while (reads_metric(node, "behind") + reads_metric(other, "behind") < behind + 20)
		time_left(until, "reads to be counted");
	resume(NULL);
	cluster_await_standby(primary);
	double served = reads_metric(node, "served");
	expect_status(get(ann, "%s?before=99999999", messages_path(chat)), 200);
	await_more(node, "served", served);
}
END_TEST

/* The promoted standby answers, but from another history, as a database does after a restore. */
START_TEST(standby_of_another_history_is_not_used)
{
	struct client *ann = user_at(node, "ann");
	long long chat = make_group(ann);
	cluster_await_standby(primary);
	cluster_promote(standby);
	PGconn *pg = cluster_connect(standby, "postgres");
	unsigned long long until = clock_mono_ms() + PATIENCE;
	while (strcmp(sql(pg, "select pg_is_in_recovery()"), "f") != 0)
		time_left(until, "the standby to be promoted");
	struct server *foreign =
		server_on(cluster_conninfo(standby, "postgres"), (const char *const[]) { "--rate-sends", "0", NULL });
	struct client *there = on_server(ann, foreign);
	for (int i = 0; i < 5; i++)
		say(there, chat, "in the other history");
	double behind = reads_metric(node, "behind");
	for (int i = 0; i < 3; i++)
		say(ann, chat, "here");
	struct answer page = expect_status(get(ann, "%s?after=1&limit=50", messages_path(chat)), 200);
	ck_assert_uint_eq(json_count(page.json, "messages"), 3);
	for (int i = 0; i < 3; i++)
		ck_assert_str_eq(json_str(page.json, format("messages.%d.text", i)), "here");
	await_more(node, "behind", behind);
	server_stop(foreign);
}
END_TEST

START_TEST(reads_continue_when_standby_stops)
{
	struct client *ann = user_at(node, "ann");
	long long chat = make_group(ann), id = say(ann, chat, "alone");
	double failed = reads_metric(node, "failed");
	cluster_stop(standby);
	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(
			json_num(expect_status(get(ann, "%s?before=%lld", messages_path(chat), id + 1), 200).json,
				"messages.0.id"),
			id);
	await_more(node, "failed", failed);
	expect_status(get(ann, "/readyz"), 200);
}
END_TEST

START_TEST(teardown_nodes_stop)
{
	server_stop(other);
	server_stop(node);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		setup_nodes_start_on_primary_with_standby,
		doctor_distinguishes_standby_primary_and_other_database,
		standby_answers_history_search_and_replay,
		write_is_read_from_every_node_while_standby_lags,
		standby_of_another_history_is_not_used,
		reads_continue_when_standby_stops,
		teardown_nodes_stop,
		NULL,
	};
	int status = suite_run("replica", tests, NULL);
	clusters_remove_all();
	return status;
}
