/* SPDX-License-Identifier: MIT
 * Cursors across restores, copies and failovers of the database: a client resumes if the database has everything
 * that it was sent; every other client gets a reset. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/cluster.h"
#include "../lib/database.h"
#include "../lib/stream.h"
#include "../lib/suite.h"
#include "base/clock.h"

static struct server *node;  /* the tests work on its database */
static struct cluster *home; /* the cluster of that database; failovers replace it */

/* A client that has read up to `kept`; then the database is copied; then the client reads up to `lost`. */
struct scene {
	struct client *ann, *ben;
	long long chat;
	const char *kept, *lost;
	struct stream *stream; /* ben's; its cursor is `lost` */
};

static const char *cursor_after(struct stream *s, long long id);
static void expect_resumes(const struct scene *s, const char *cursor);

static struct scene before_copy(void)
{
	static unsigned n;
	n++;
	struct scene s = { .ann = user_at(node, format("ann%u", n)), .ben = user_at(node, format("ben%u", n)) };
	s.chat = make_group(s.ann, s.ben);
	s.stream = stream_from_now(s.ben);
	s.kept = cursor_after(s.stream, say(s.ann, s.chat, "in the copy"));
	return s;
}

enum { LOST = 10 };

static void send_after_copy(struct scene *s)
{
	for (int i = 0; i < LOST; i++)
		s->lost = cursor_after(s->stream, say(s->ann, s->chat, "not in the copy"));
	expect_resumes(s, s->kept); /* while nothing has changed */
	expect_resumes(s, s->lost);
}

/* Waits for the next message of the stream; skips other events of chats, but not a reset. */
static long long next_message(struct stream *s)
{
	for (;;) {
		const char *kind = stream_peek(s);
		ck_assert_str_ne(kind, "reset");
		struct json_object *event = expect(s, kind);
		if (strcmp(kind, "message") == 0)
			return json_num(event, "id");
	}
}

/* Asserts that a stream from the cursor has every message once, in order and without a reset. */
static void expect_resumes(const struct scene *s, const char *cursor)
{
	struct stream *again = stream_since(s->ben, cursor);
	struct json_object *list = expect_status(get(s->ben, "%s?limit=200", messages_path(s->chat)), 200).json;
	struct answer poll = expect_status(get(s->ben, "/v1/poll?wait=0&limit=1000&since=%s", cursor), 200);
	ck_assert_str_eq(json_str(poll.json, "cursor"), stream_cursor(stream_from_now(s->ben)));
	for (size_t i = 0, n = json_count(list, "messages"); i < n; i++) {
		long long id = json_num(list, format("messages.%zu.id", i));
		if (id > atoll(strchr(cursor, '.') + 1))
			ck_assert_int_eq(next_message(again), id);
	}
	long long more = say(s->ann, s->chat, "and on");
	ck_assert_int_eq(next_message(again), more);
	stream_cut(again);
}

/* Asserts that this message is next, after what expect_resumes() has sent. */
static struct json_object *expect_after(struct stream *s, long long id)
{
	struct json_object *m;
	while (json_num(m = expect(s, "message"), "id") != id)
		ck_assert_str_eq(json_str(m, "text"), "and on");
	return m;
}

static const char *cursor_after(struct stream *s, long long id)
{
	expect_after(s, id);
	return stream_cursor(s);
}

static void expect_reset(const struct scene *s, const char *cursor, const char *reason)
{
	struct stream *again = stream_open(s->ben, "?since=%s", cursor);
	expect(again, "hello");
	const char *now = json_str(expect(again, "reset"), "reason");
	ck_assert_str_eq(now, reason);
	now = stream_cursor(again);
	stream_cut(again);
	struct answer poll = expect_status(get(s->ben, "/v1/poll?wait=0&since=%s", cursor), 200);
	ck_assert_str_eq(json_str(poll.json, "events.0.event"), "reset");
	ck_assert_str_eq(json_str(poll.json, "events.0.data.reason"), reason);
	/* The id of a reset is the current head, so that no later event is skipped. */
	expect_resumes(s, now);
	expect_resumes(s, json_str(poll.json, "cursor"));
	ck_assert_str_eq(now, json_str(poll.json, "cursor"));
}

/* Waits until sends are accepted again: the node has reconnected to its database. */
static long long say_when_accepted(const struct scene *s, const char *text)
{
	struct answer a;
	unsigned long long until = clock_mono_ms() + PATIENCE;
	while ((a = post(s->ann, messages_path(s->chat), "{'text':'%s'}", text)).status != 201)
		time_left(until, "the database to be back");
	return json_num(a.json, "id");
}

/* Asserts that only a cursor past the copy is reset, after the copy has taken the database's place. More messages are
 * sent in it than were lost. */
static void expect_lost_is_reset(const struct scene *s)
{
	for (int i = 0; i < LOST + 2; i++)
		say_when_accepted(s, "after the copy came back");
	expect_resumes(s, s->kept);
	expect_reset(s, s->lost, "rewound");
}

/* Asserts that no cursor is reset after the database has moved. */
static void expect_no_reset(const struct scene *s)
{
	say_when_accepted(s, "elsewhere");
	expect_resumes(s, s->kept);
	expect_resumes(s, s->lost);
}

/* Asserts that an open stream, which may have earlier messages to read first, is reset and ended. */
static void expect_stream_reset(struct stream *s)
{
	while (strcmp(stream_peek(s), "message") == 0)
		ck_assert_str_eq(json_str(expect(s, "message"), "text"), "and on");
	ck_assert_str_eq(json_str(expect(s, "reset"), "reason"), "rewound");
	ck_assert(stream_is_over(s));
}

START_TEST(setup_cluster_starts)
{
	home = cluster_new();
	static const char *const flags[] = { "--rate-sends", "0", "--rate-actions", "0", NULL };
	node = server_on(cluster_conninfo(home, "postgres"), flags);
}
END_TEST

/* dropdb, createdb and psql, while the node runs. */
START_TEST(restore_into_same_server_resets_cursors_past_the_restore_point)
{
	struct scene s = before_copy();
	cluster_run(home, "pg_dump postgres > dump");
	send_after_copy(&s);
	cluster_run(home,
		"createdb other; PGDATABASE=other psql -qc 'drop database postgres with (force)' -c 'create database "
		"postgres'"
		" && psql -qX -v ON_ERROR_STOP=1 postgres < dump >/dev/null && dropdb other");
	expect_stream_reset(s.stream);
	expect_lost_is_reset(&s);
}
END_TEST

START_TEST(schema_restore_under_running_node_resets_cursors_past_it)
{
	struct scene s = before_copy();
	cluster_run(home, "pg_dump postgres > dump");
	send_after_copy(&s);
	cluster_run(home,
		"psql -qX -v ON_ERROR_STOP=1 postgres -c \"do \\$\\$ declare s text; begin for s in select nspname "
		"from pg_namespace"
		" where nspname like 'postern%%' loop execute format('drop schema %%I cascade', s); end loop; end "
		"\\$\\$\" 2>/dev/null"
		" && psql -qX -v ON_ERROR_STOP=1 postgres < dump >/dev/null");
	expect_stream_reset(s.stream);
	expect_lost_is_reset(&s);
}
END_TEST

START_TEST(restore_into_another_database_resets_cursors_past_it)
{
	struct scene s = before_copy();
	cluster_run(home, "pg_dump postgres > dump");
	send_after_copy(&s);
	server_stop(node);
	cluster_run(home, "createdb elsewhere && psql -qX -v ON_ERROR_STOP=1 elsewhere < dump >/dev/null");
	server_move(node, cluster_conninfo(home, "elsewhere"));
	expect_lost_is_reset(&s);
}
END_TEST

START_TEST(database_rename_resets_no_cursor)
{
	struct scene s = before_copy();
	send_after_copy(&s);
	server_stop(node);
	cluster_run(home, "psql -qX template1 -c 'alter database elsewhere rename to renamed'");
	server_move(node, cluster_conninfo(home, "renamed"));
	expect_no_reset(&s);
}
END_TEST

/* A template copy continues the original's history; neither knows later messages of the other. */
START_TEST(template_copy_resets_only_cursors_past_the_copy)
{
	struct scene s = before_copy();
	server_stop(node);
	cluster_run(home, "createdb -T renamed copied");
	server_move(node, cluster_conninfo(home, "copied"));
	struct stream *copied = stream_since(s.ben, s.kept);
	s.lost = cursor_after(copied, say(s.ann, s.chat, "in the copy only"));
	expect_no_reset(&s);
	server_stop(node);
	server_move(node, cluster_conninfo(home, "renamed"));
	expect_reset(&s, s.lost, "future");
	expect_lost_is_reset(&s);
	server_stop(node);
	cluster_run(home, "dropdb copied");
	server_move(node, cluster_conninfo(home, "renamed"));
}
END_TEST

/* The restored cluster has the system identifier of the original one. */
START_TEST(base_backup_restore_resets_cursors_past_it)
{
	struct scene s = before_copy();
	struct cluster *backup = cluster_copy(home, false);
	send_after_copy(&s);
	cluster_stop(home);
	cluster_swap(home, backup);
	cluster_start(home);
	expect_stream_reset(s.stream);
	expect_lost_is_reset(&s);
}
END_TEST

START_TEST(point_in_time_recovery_resets_cursors_past_it)
{
	struct scene s = before_copy();
	struct cluster *backup = cluster_copy(home, false);
	s.kept = cursor_after(s.stream, say(s.ann, s.chat, "before the point"));
	cluster_run(home, "psql -qX template1 -c \"select pg_create_restore_point('then')\" >/dev/null");
	send_after_copy(&s);
	cluster_close(home);
	cluster_configure(backup, format("restore_command = 'cp %s/pg_wal/%%f %%p'", cluster_dir(backup)));
	cluster_configure(backup, "recovery_target_name = 'then'");
	cluster_configure(backup, "recovery_target_action = 'promote'");
	cluster_run(backup, "touch d/recovery.signal");
	cluster_swap(home, backup); /* the backup looks for the remaining WAL in this directory */
	cluster_start(home);
	cluster_configure(home, "restore_command = ''"); /* for the copies in later tests */
	cluster_configure(home, "recovery_target_name = ''");
	expect_stream_reset(s.stream);
	expect_lost_is_reset(&s);
}
END_TEST

/* The open stream continues: a failover without loss is a reconnect of the node. */
START_TEST(failover_without_loss_resets_no_cursor)
{
	struct scene s = before_copy();
	struct cluster *standby = cluster_copy(home, true);
	cluster_start(standby);
	server_stop(node);
	server_move(node,
		format("host=%s,%s user=postern dbname=renamed target_session_attrs=read-write", cluster_host(home),
			cluster_host(standby)));
	s.stream = stream_since(s.ben, s.kept);
	send_after_copy(&s);
	cluster_await_standby(home);
	cluster_close(home);
	cluster_promote(standby);
	cursor_after(s.stream, say_when_accepted(&s, "on the other one"));
	expect_no_reset(&s);
	home = standby;
}
END_TEST

START_TEST(failover_with_lost_commits_resets_cursors_past_them)
{
	struct scene s = before_copy();
	struct cluster *standby = cluster_copy(home, true);
	struct client *cat = user_at(node, "cat");
	cluster_start(standby);
	server_stop(node);
	server_move(node,
		format("host=%s,%s user=postern dbname=renamed target_session_attrs=read-write", cluster_host(home),
			cluster_host(standby)));
	cluster_await_standby(home);
	cluster_stop(standby);
	s.stream = stream_since(s.ben, s.kept);
	send_after_copy(&s);
	/* A read right after a write is neither served from a stale cache nor delayed. */
	ck_assert_uint_gt(
		json_count(expect_status(get(s.ann, "%s", messages_path(s.chat)), 200).json, "messages"), LOST);
	cluster_stop(home);
	cluster_start(standby);
	cluster_promote(standby);
	expect_stream_reset(s.stream);
	long long id = say_when_accepted(&s, "where the others are missing");
	struct answer page = expect_status(get(s.ben, "%s", messages_path(s.chat)), 200);
	ck_assert_int_eq(json_num(page.json, format("messages.%zu.id", json_count(page.json, "messages") - 1)), id);
	expect_lost_is_reset(&s);
	struct stream *cats = stream_from_now(cat);
	long long id_now = say(cat, make_group(cat, s.ben), "hello");
	ck_assert_int_eq(next_message(cats), id_now);
	home = standby;
}
END_TEST

/* The upgraded cluster has another system identifier and the same history. */
START_TEST(postgresql_upgrade_resets_no_cursor)
{
	struct scene s = before_copy();
	const char *identifier = "select system_identifier from pg_control_system()",
		   *before = sql(cluster_connect(home, "renamed"), "%s", identifier);
	send_after_copy(&s);
	server_stop(node);
	cluster_close(home);
	struct cluster *upgraded = cluster_upgrade(home);
	if (upgraded == NULL) /* these packages have no pg_upgrade */
		upgraded = home;
	cluster_start(upgraded);
	if (upgraded != home)
		ck_assert_str_ne(sql(cluster_connect(upgraded, "renamed"), "%s", identifier), before);
	server_move(node, cluster_conninfo(upgraded, "renamed"));
	expect_no_reset(&s);
	home = upgraded;
}
END_TEST

/* All rows written after the clock was set back have the same time, so the time alone doesn't distinguish histories. */
START_TEST(clock_stepped_back_hides_no_lost_message)
{
	struct scene s = before_copy();
	PGconn *pg = cluster_connect(home, "renamed");
	sql(pg,
		"update postern.log_batch set at = clock_timestamp() + interval '1 hour' where upto = (select "
		"max(upto) from postern.log_batch)");
	sql(pg,
		"select count(pg_terminate_backend(pid)) from pg_stat_activity where pid <> pg_backend_pid() and "
		"backend_type = 'client backend'");
	expect_stream_reset(s.stream); /* for the node this is another history, detected when it reconnects */
	say_when_accepted(&s, "and on");
	struct stream *ahead = stream_from_now(s.ben);
	s.kept = cursor_after(ahead, say_when_accepted(&s, "ahead"));
	cluster_run(home, "pg_dump renamed > dump");
	s.stream = stream_from_now(s.ben);
	send_after_copy(&s);
	server_stop(node);
	cluster_run(home, "createdb ahead && psql -qX -v ON_ERROR_STOP=1 ahead < dump >/dev/null");
	server_move(node, cluster_conninfo(home, "ahead"));
	expect_lost_is_reset(&s);
}
END_TEST

START_TEST(cursor_without_check_is_valid_up_to_the_migration)
{
	struct scene s = before_copy();
	PGconn *pg = database_open(node);
	/* A cursor as it was before checks existed. */
	char *old = format("%s%s", format("%.8s", s.kept), strchr(s.kept, '.'));
	sql(pg, "update postern.meta set value = '%s' where key = 'unchecked'", strchr(s.kept, '.') + 1);
	say(s.ann, s.chat, "after the migration");
	struct stream *again = stream_since(s.ben, old);
	ck_assert_str_eq(stream_cursor(again), s.kept);
	ck_assert_str_eq(json_str(expect(again, "message"), "text"), "after the migration");
	expect_reset(&s, format("%.8s.%s", s.kept, strchr(stream_cursor(again), '.') + 1), "rewound");
	expect_reset(&s, format("%s000", old), "future");
}
END_TEST

START_TEST(cursor_with_forged_check_is_reset)
{
	struct scene s = before_copy();
	char *forged = format("%s", s.kept);
	forged[8] = forged[8] == '0' ? '1' : '0';
	expect_reset(&s, forged, "rewound");
	server_stop(node); /* also by a node that doesn't know the position and has to ask the database */
	server_restart(node);
	expect_reset(&s, forged, "rewound");
}
END_TEST

/* Nodes of the previous version send notifications without checks and write rows without a mark. */
START_TEST(notification_of_older_node_is_delivered)
{
	struct scene s = before_copy();
	PGconn *pg = database_open(node);
	sql(pg, "begin");
	sql(pg, "select pg_advisory_xact_lock(5788050871298354032)");
	long long id = atoll(sql(pg, "select max(upto) + 1 from postern.log_batch"));
	sql(pg,
		"insert into postern.message (chat_id, id, rev, sender, at, text) values (%lld, %lld, %lld, '%s', "
		"now(), 'from an older node')",
		s.chat, id, id, s.ann->name);
	sql(pg, "insert into postern.log_batch (upto, at) values (%lld, now())", id);
	sql(pg,
		"select pg_notify('postern_log', '%lld %lld 1 1 older' || E'\\n%lld message %lld %s %lld 0 "
		"{\"id\":%lld}\\n')",
		id, id, id, s.chat, s.ann->name, id, id);
	sql(pg, "commit");
	ck_assert_str_eq(json_str(expect_after(s.stream, id), "text"),
		"from an older node"); /* read from the tables, not from the notification */
	s.lost = stream_cursor(s.stream);
	cursor_after(s.stream, say(s.ann, s.chat, "and on"));
	expect_resumes(&s, s.kept);
	expect_resumes(&s, s.lost);
}
END_TEST

START_TEST(teardown_node_stops) { server_stop(node); }
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		setup_cluster_starts,
		restore_into_same_server_resets_cursors_past_the_restore_point,
		schema_restore_under_running_node_resets_cursors_past_it,
		restore_into_another_database_resets_cursors_past_it,
		database_rename_resets_no_cursor,
		template_copy_resets_only_cursors_past_the_copy,
		base_backup_restore_resets_cursors_past_it,
		point_in_time_recovery_resets_cursors_past_it,
		failover_without_loss_resets_no_cursor,
		failover_with_lost_commits_resets_cursors_past_them,
		postgresql_upgrade_resets_no_cursor,
		clock_stepped_back_hides_no_lost_message,
		cursor_without_check_is_valid_up_to_the_migration,
		cursor_with_forged_check_is_reset,
		notification_of_older_node_is_delivered,
		teardown_node_stops,
		NULL,
	};
	int status = suite_run("history", tests, NULL);
	clusters_remove_all();
	return status;
}
