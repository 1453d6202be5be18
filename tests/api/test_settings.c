/* SPDX-License-Identifier: MIT
 * A database whose role presets every setting that could break Postern, directly and through PgBouncer: the server
 * starts, sends, streams, searches and edits as usual. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../lib/client.h"
#include "../lib/command.h"
#include "../lib/database.h"
#include "../lib/proc.h"
#include "../lib/stream.h"
#include "../lib/suite.h"
#include "base/clock.h"

static const struct {
	const char *name, *value;
	int since; /* version of PostgreSQL */
} presets[] = {
	{ "default_transaction_isolation", "serializable", 0 },
	{ "default_transaction_read_only", "on", 0 },
	{ "default_transaction_deferrable", "on", 0 },
	{ "standard_conforming_strings", "off", 0 },
	{ "backslash_quote", "on", 0 },
	{ "array_nulls", "off", 0 },
	{ "transform_null_equals", "on", 0 },
	{ "idle_session_timeout", "300ms", 0 },
	{ "idle_in_transaction_session_timeout", "1ms", 0 },
	{ "transaction_timeout", "300ms", 170000 },
	{ "lock_timeout", "1ms", 0 },
	{ "search_path", "nowhere", 0 },
	{ "client_encoding", "LATIN1", 0 },
	{ "DateStyle", "German, DMY", 0 },
	{ "IntervalStyle", "sql_standard", 0 },
	{ "TimeZone", "Asia/Kathmandu", 0 },
	{ "extra_float_digits", "-15", 0 },
	{ "bytea_output", "escape", 0 },
	{ "default_text_search_config", "pg_catalog.german", 0 },
	{ "check_function_bodies", "on", 0 },
	{ "row_security", "off", 0 },
	{ "jit", "on", 0 },
	{ "jit_above_cost", "0", 0 },
	{ "enable_indexscan", "off", 0 },
	{ "enable_bitmapscan", "off", 0 },
	{ "enable_nestloop", "off", 0 },
	{ "enable_sort", "off", 0 },
	{ "plan_cache_mode", "force_custom_plan", 0 },
	{ "synchronous_commit", "off", 0 },
	{ "xmloption", "document", 0 },
	{ "gin_fuzzy_search_limit", "1", 0 },
	{ "client_min_messages", "error", 0 },
	{ "from_collapse_limit", "1", 0 },
	{ "join_collapse_limit", "1", 0 },
	{ "plpgsql.extra_errors", "all", 0 },
	{ "default_toast_compression", "pglz", 0 },
	{ "quote_all_identifiers", "on", 0 },
};

/* Creates the role with the presets and its database on the first call. Returns its conninfo. */
static const char *preset_database(void)
{
	static char conninfo[160];
	if (*conninfo != '\0')
		return conninfo;
	PGconn *pg = database_open(test_server());
	sql(pg, "create role preset login");
	sql(pg, "create database preset owner preset encoding 'UTF8' template template0");
	for (size_t i = 0; i < sizeof(presets) / sizeof(presets[0]); i++)
		if (PQserverVersion(pg) >= presets[i].since)
			sql(pg, "alter role preset set %s = '%s'", presets[i].name, presets[i].value);
	snprintf(conninfo, sizeof(conninfo), "host=%s/run user=preset dbname=preset", server_state(test_server()));
	return conninfo;
}

static struct client *make_user(struct server *node, const char *conninfo, const char *name)
{
	struct outcome o =
		command_run(((struct invocation) { .input = PASSWORD }), "user", "add", name, "--database", conninfo);
	ck_assert_msg(o.status == 0, "%s", o.err);
	o = command_run(((struct invocation) { 0 }), "token", name, "--database", conninfo);
	ck_assert_msg(o.status == 0, "%s", o.err);
	return on_server(with_token(user_at(node, name), o.out), node);
}

/* Sends, edits, searches, reacts, deletes and reads as new users. */
static void use_main_features(struct server *node, const char *conninfo)
{
	static unsigned n;
	struct client *ann = make_user(node, conninfo, format("ann%u", ++n)),
		      *ben = make_user(node, conninfo, format("ben%u", n));
	long long chat = make_group(ann, ben);
	struct stream *s = stream_from_now(ben);
	static const char text[] = "Tür \\ 'auf' — a \"quoted\" back\\slash";
	long long id = json_num(expect_status(post_as(ann, messages_path(chat), "text/plain", text), 201).json, "id");
	ck_assert_str_eq(json_str(expect_message(s, id), "text"), text);
	expect_status(patch(ann, message_path(chat, id), "{'text':'the garden gate of %u'}", n), 200);
	ck_assert_str_eq(json_str(expect(s, "message"), "text"), format("the garden gate of %u", n));
	for (unsigned long long until = clock_mono_ms() + PATIENCE;
		json_count(expect_status(get(ben, "/v1/search?q=garden"), 200).json, "results") != 1;)
		time_left(until, "the message to be indexed");
	expect_status(put(ben, format("%s/reactions/%%F0%%9F%%91%%8D", message_path(chat, id)), NULL), 200);
	expect(s, "reaction");
	for (int i = 0; i < 20; i++)
		expect_message(s, say(i % 2 ? ann : ben, chat, "again"));
	expect_status(del(ann, "%s", message_path(chat, id)), 204);
	expect(s, "deleted");
	expect_status(get(ben, "/v1/sync"), 200);
	expect_status(get(ben, "%s?limit=5", messages_path(chat)), 200);
}

START_TEST(session_settings_override_those_of_the_role)
{
	struct server *node = server_join(test_server(),
		(const char *const[]) { "--database", preset_database(), "--rate-sends", "0", "--rate-searches", "0",
			"--heartbeat", "1", NULL });
	use_main_features(node, preset_database());
	/* The connections are idle for longer than the role's idle timeout. */
	struct client *zoe = make_user(node, preset_database(), "zoe");
	struct stream *s = stream_from_now(zoe);
	for (int i = 0; i < 2; i++)
		expect_heartbeat(s);
	long long chat = make_group(zoe);
	long long id = say(zoe, chat, "still here");
	expect(s, "member");
	expect(s, "chat");
	expect_message(s, id);
	ck_assert(!server_logged(node, "lost a connection"));

	expect_status(get(on_server(anonymous(), node), "/readyz"), 200);
	server_stop(node);
}
END_TEST

/* ---- PgBouncer ---- */

static pid_t bouncer;

static void end_bouncer(void *unused)
{
	(void)unused;
	if (bouncer == 0)
		return;
	kill(bouncer, SIGTERM);
	waitpid(bouncer, NULL, 0);
	bouncer = 0;
}

static const char *bouncer_path(void)
{
	static const char *const paths[] = { "/usr/sbin/pgbouncer", "/usr/bin/pgbouncer", "/usr/local/bin/pgbouncer" };
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
		if (access(paths[i], X_OK) == 0)
			return paths[i];
	return NULL;
}

/* Starts PgBouncer with its defaults and this pool mode: session or transaction. Returns the conninfo through it. */
static char *start_bouncer(const char *mode)
{
	const char *state = server_state(test_server());
	char *dir = format("%s.%s", state, mode), *ini = format("%s/ini", dir), *log = format("%s/log", dir);
	struct stat st;
	mkdir(dir, 0755);
	FILE *f = fopen(ini, "we");
	fprintf(f,
		"[databases]\npreset = host=%s/run user=preset dbname=preset\n[pgbouncer]\nlisten_addr "
		"=\nunix_socket_dir = %s\nlisten_port = 6432\n"
		"auth_type = any\npool_mode = %s\nserver_reset_query = DISCARD ALL\nlogfile = %s\npidfile = %s/pid\n",
		state, dir, mode, log, dir);
	fclose(f);
	chmod(ini, 0644);
	ck_assert_int_eq(stat(state, &st), 0);
	ck_assert_int_eq(chown(dir, st.st_uid, st.st_gid), 0);
	/* This timeout would end idle connections that PgBouncer keeps. */
	sql(database_open(test_server()), "alter role preset reset idle_session_timeout");
	bouncer = fork();
	if (bouncer == 0) {
		if (setgid(st.st_gid) != 0 || (geteuid() == 0 && setuid(st.st_uid) != 0))
			_exit(126);
		execl(bouncer_path(), bouncer_path(), "-q", ini, (char *)NULL);
		_exit(127);
	}
	on_teardown(end_bouncer, NULL);
	char *conninfo = format("host=%s port=6432 user=preset dbname=preset", dir);
	for (unsigned long long until = clock_mono_ms() + PATIENCE; PQping(conninfo) != PQPING_OK;)
		time_left(until, "PgBouncer to start");
	return conninfo;
}

START_TEST(session_settings_through_session_pooler_are_kept)
{
	if (bouncer_path() == NULL)
		return;
	preset_database();
	char *conninfo = start_bouncer("session");
	struct server *node = server_join(test_server(),
		(const char *const[]) { "--database", conninfo, "--rate-sends", "0", "--rate-searches", "0", NULL });
	use_main_features(node, conninfo);
	use_main_features(node, preset_database()); /* the pool returns connections unchanged */
	end_bouncer(NULL);                          /* else it would count as a process that the server left behind */
	server_stop(node);
}
END_TEST

START_TEST(transaction_pooler_is_refused_with_the_reason)
{
	char *said;
	if (bouncer_path() == NULL)
		return;
	preset_database();
	char *conninfo = start_bouncer("transaction");
	ck_assert_int_ne(
		server_try((const char *const[]) { "serve", "--listen", "127.0.0.1:0", "--database", conninfo, NULL },
			20, &said),
		0);
	ck_assert_msg(strstr(said, "pooler in transaction mode") != NULL, "%s", said);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = { session_settings_override_those_of_the_role,
		session_settings_through_session_pooler_are_kept, transaction_pooler_is_refused_with_the_reason, NULL };
	return suite_run("settings", tests, NULL);
}
