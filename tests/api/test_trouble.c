/* SPDX-License-Identifier: MIT
 * A database that misbehaves: every send is answered, none is lost or duplicated, /readyz names the trouble, and the
 * server recovers by itself. */
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../lib/client.h"
#include "../lib/command.h"
#include "../lib/database.h"
#include "../lib/proc.h"
#include "../lib/stream.h"
#include "../lib/suite.h"
#include "base/clock.h"

#define LOG_LOCK "5788050871298354032" /* log_lock_key() */
#define TIMES "--send-wait", "1", "--database-timeout", "2", "--rate-sends", "0", "--rate-actions", "0"

static const char *const flags[] = { TIMES, NULL };

static PGconn *db(void)
{
	PGconn *pg = database_open(test_server());
	sql(pg, "set client_min_messages = warning");
	return pg;
}

/* Waits until /readyz names that trouble, or is 200 for NULL. */
static void await_ready(const struct client *there, const char *detail)
{
	for (unsigned long long until = clock_mono_ms() + PATIENCE;;) {
		struct answer a = get(there, "/readyz");
		if (detail == NULL ? a.status == 200
				   : a.status == 503 && strstr(json_str(a.json, "detail"), detail) != NULL)
			return;
		time_left(until,
			format("/readyz to say %s; it says %d %s", detail != NULL ? detail : "that it is ready",
				a.status, a.body));
	}
}

/* Sends a message that can't be committed. Its answer must arrive while the trouble lasts. */
static void expect_send_503(const struct client *who, long long chat, const char *key)
{
	struct answer a = expect_problem(say_with_key(who, chat, key, "once"), 503, "database_away");
	ck_assert_str_eq(json_str(a.json, "key"), key);
	expect_header(a, "Retry-After");
}

/* Sends the same message until it is accepted, and asserts that the chat has it once. */
static void resend(const struct client *who, long long chat, const char *key)
{
	for (unsigned long long until = clock_mono_ms() + PATIENCE;; time_left(until, "a send to be accepted")) {
		struct answer a = say_with_key(who, chat, key, "once");
		if (a.status == 201)
			break;
		expect_problem(a, 503, "database_away");
	}
	ck_assert_uint_eq(json_count(expect_status(get(who, "%s", messages_path(chat)), 200).json, "messages"), 1);
}

START_TEST(log_lock_held_sends_are_answered_and_happen_once)
{
	struct client *ann = new_user();
	long long chat = make_group(ann);
	PGconn *pg = db();
	await_ready(ann, NULL);
	sql(pg, "begin");
	sql(pg, "select pg_advisory_xact_lock(" LOG_LOCK ")");
	await_ready(ann, "lock"); /* without traffic */
	for (int i = 0; i < 3; i++)
		expect_send_503(ann, chat, "k");
	expect_problem(patch(ann, format("/v1/chats/%lld", chat), "{'title':'x'}"), 503, "database_away");
	expect_status(get(ann, "%s", messages_path(chat)), 200);
	sql(pg, "commit");
	resend(ann, chat, "k");
	await_ready(ann, NULL);
}
END_TEST

START_TEST(synchronous_standby_missing_sends_are_answered_and_happen_once)
{
	struct client *ann = new_user();
	long long chat = make_group(ann);
	struct stream *s = stream_from_now(ann);
	PGconn *pg = db();
	sql(pg, "alter system set synchronous_standby_names = 'nobody'");
	sql(pg, "select pg_reload_conf()");
	await_ready(ann, "standby");
	expect_send_503(ann, chat, "k");
	expect_send_503(ann, chat, "k");
	expect_status(get(ann, "/healthz"), 200);
	sql(pg, "alter system reset synchronous_standby_names");
	sql(pg, "select pg_reload_conf()");
	resend(ann, chat, "k");
	ck_assert_str_eq(json_str(expect(s, "message"), "text"), "once");
	await_ready(ann, NULL);
}
END_TEST

static void signal_database(int sig)
{
	pid_t all[256], postmaster = server_postmaster(test_server());
	size_t n = proc_children(postmaster, NULL, all, 256);
	kill(postmaster, sig);
	for (size_t i = 0; i < n; i++)
		kill(all[i], sig);
}

START_TEST(frozen_database_requests_are_answered)
{
	struct client *ann = new_user(), *unseen = new_user();
	long long chat = make_group(ann);
	expect_status(get(ann, "/v1/me"), 200);
	signal_database(SIGSTOP);
	expect_send_503(ann, chat, "k");
	expect_send_503(ann, chat, "k");
	expect_problem(get(ann, "/v1/chats"), 503, "database_away");
	struct answer a =
		expect_problem(patch(ann, format("/v1/chats/%lld", chat), "{'title':'x'}"), 503, "database_away");
	ck_assert_ptr_nonnull(strstr(json_str(a.json, "detail"), "it is not known whether this took effect"));
	a = expect_problem(post(unseen, "/v1/chats", "{'kind':'group','title':'x'}"), 503, "database_away");
	ck_assert_ptr_nonnull(
		strstr(json_str(a.json, "detail"), "Nothing has happened")); /* the query for their token failed */
	await_ready(anonymous(), "database");
	expect_status(get(anonymous(), "/healthz"), 200);
	signal_database(SIGCONT);
	resend(ann, chat, "k");
	await_ready(ann, NULL);
}
END_TEST

static const struct {
	const char *sqlstate, *detail; /* of /readyz */
} transient_errors[] = {
	{ "54000", "limit" },
	{ "42883", "expects" },
	{ "42P01", "expects" },
	{ "40001", "rolled" },
	{ "53100", "disk" },
	{ "53200", "memory" },
	{ "55P03", "lock" },
	{ "57014", "database_timeout" },
	{ "58030", "files" },
	{ "57P01", "stopping" },
	{ "25006", "read-only" },
	{ "XX000", "internal error" },
};

START_TEST(transient_errors_are_503_and_logged)
{
	struct client *ann = new_user();
	PGconn *pg = db();
	sql(pg,
		"create function public.fail() returns trigger language plpgsql as $$ begin raise sqlstate 'ABCDE'; "
		"end $$");
	for (size_t i = 0; i < sizeof(transient_errors) / sizeof(transient_errors[0]); i++) {
		long long chat = make_group(ann);
		sql(pg,
			"create or replace function public.fail() returns trigger language plpgsql as $$ begin raise "
			"exception 'simulated' using errcode = '%s'; end $$",
			transient_errors[i].sqlstate);
		sql(pg,
			"create trigger fail before insert on postern.log_batch for each row execute function "
			"public.fail()");
		expect_send_503(ann, chat, "k");
		await_ready(ann, transient_errors[i].detail);
		struct answer a = expect_problem(
			patch(ann, format("/v1/chats/%lld", chat), "{'title':'x'}"), 503, "database_away");
		expect_header(a, "Retry-After");
		sql(pg, "drop trigger fail on postern.log_batch");
		resend(ann, chat, "k");
		await_ready(ann, NULL);
	}
	sql(pg, "drop function public.fail()");
}
END_TEST

START_TEST(read_only_database_serves_reads_and_is_logged)
{
	struct client *ann = new_user();
	long long chat = make_group(ann);
	PGconn *pg = db();
	sql(pg, "alter system set default_transaction_read_only = on");
	sql(pg, "select pg_reload_conf()");
	await_ready(ann, "read-only");
	expect_send_503(ann, chat, "k");
	for (unsigned long long until = clock_mono_ms() + PATIENCE; get(ann, "%s", messages_path(chat)).status != 200;)
		time_left(until, "the messages to be read");
	sql(pg, "set default_transaction_read_only = off");
	sql(pg, "alter system reset default_transaction_read_only");
	sql(pg, "select pg_reload_conf()");
	resend(ann, chat, "k");
	await_ready(ann, NULL);
}
END_TEST

/* ---- a full disk ---- */

static bool has_tiny;
static char tiny[] = "/tmp/pttXXXXXX";

/* Mounts a small file system for this program and its servers only, where the system allows it. */
static void mount_tiny(void)
{
	has_tiny = mkdtemp(tiny) != NULL && unshare(CLONE_NEWNS) == 0 &&
		mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
		mount("tiny", tiny, "tmpfs", 0, "size=4m,mode=0777") == 0;
}

START_TEST(full_disk_is_logged_and_sends_resume_with_space)
{
	if (!has_tiny) /* transient_errors_are_503_and_logged tests the error alone */
		return;
	static char text[16001];
	struct client *ann = new_user();
	long long chat = make_group(ann), full = make_group(ann);
	PGconn *pg = db();
	struct stat st;
	ck_assert_int_eq(stat(server_state(test_server()), &st), 0);
	ck_assert_int_eq(chown(tiny, st.st_uid, st.st_gid), 0);
	sql(pg, "create tablespace tiny location '%s'", tiny);
	sql(pg, "alter table postern.message set tablespace tiny");
	sql(pg, "alter table postern.meta set tablespace tiny"); /* so that the probe's writes need space there too */
	struct answer a = { .status = 201 };
	for (int i = 0; a.status == 201; i++) {
		ck_assert_int_lt(i, 2000);
		for (size_t n = 0; n < sizeof(text) - 1; n++)
			text[n] = (char)('a' + random() % 26);
		a = post_as(ann, messages_path(full), "text/plain", text);
	}
	expect_problem(a, 503, "database_away");
	await_ready(ann, "disk");
	ck_assert(server_logged(test_server(), "free or add disk space"));
	expect_status(get(ann, "%s?limit=5", messages_path(full)), 200);
	ck_assert_int_eq(mount("tiny", tiny, "tmpfs", MS_REMOUNT, "size=64m"), 0);
	await_ready(ann, NULL); /* without traffic */
	resend(ann, chat, "k");
	sql(pg, "alter table postern.message set tablespace pg_default");
	sql(pg, "alter table postern.meta set tablespace pg_default");
	sql(pg, "drop tablespace tiny");
}
END_TEST

/* ---- privileges ---- */

/* Creates a database whose owner isn't a superuser on the first call. Returns its conninfo. */
static const char *plain_database(void)
{
	static char conninfo[160];
	if (*conninfo != '\0')
		return conninfo;
	PGconn *pg = db();
	sql(pg, "create role plain login");
	sql(pg, "create database plain owner plain encoding 'UTF8' template template0");
	snprintf(conninfo, sizeof(conninfo), "host=%s/run user=plain dbname=plain", server_state(test_server()));
	return conninfo;
}

static void finish(void *pg) { PQfinish(pg); }

static char *functions_schema(PGconn *pg)
{
	return sql(pg, "select nspname from pg_namespace where nspname ~ '^postern_'");
}

/* Runs REVOKE or GRANT for every function of that name. */
static void change_privilege(PGconn *pg, const char *change, const char *function)
{
	char *each = sql(pg,
		"select string_agg(format('%s', oid::regprocedure), '; ') from pg_proc where pronamespace = "
		"'%s'::regnamespace and proname = '%s'",
		change, functions_schema(pg), function);
	sql(pg, "%s", each);
}

#define REVOKE "revoke execute on function %s from public, plain"
#define GRANT "grant execute on function %s to plain"

START_TEST(revoked_function_is_retried_slowly_and_works_once_granted)
{
	struct server *node =
		server_join(test_server(), (const char *const[]) { "--database", plain_database(), TIMES, NULL });
	PGconn *pg = on_teardown(finish, PQconnectdb(plain_database()));
	struct outcome o = command_run(
		((struct invocation) { .input = PASSWORD }), "user", "add", "ann", "--database", plain_database());
	ck_assert_int_eq(o.status, 0);
	struct client *ann = on_server(
		with_token(user_at(node, "ann"),
			command_run(((struct invocation) { 0 }), "token", "ann", "--database", plain_database()).out),
		node);
	long long chat = make_group(ann);
	await_ready(ann, NULL);
	unsigned before = server_log_lines(node);
	change_privilege(pg, REVOKE, "send_one");
	change_privilege(pg, REVOKE, "send");
	expect_send_503(ann, chat, "k");
	await_ready(ann, "privilege");
	ck_assert(server_logged(node, "42501"));
	/* The listener, which reconnects repeatedly, fails too. */
	change_privilege(pg, REVOKE, "node_attach");
	sql(pg,
		"select count(pg_terminate_backend(pid)) from pg_stat_activity where usename = 'plain' and pid <> "
		"pg_backend_pid()");
	for (int i = 0; i < 4; i++)
		expect_send_503(ann, chat, "k");
	ck_assert_msg(server_log_lines(node) - before < 60, "%u lines", server_log_lines(node) - before);
	change_privilege(pg, GRANT, "node_attach");
	change_privilege(pg, GRANT, "send_one");
	change_privilege(pg, GRANT, "send");
	resend(ann, chat, "k");
	await_ready(ann, NULL);
	server_stop(node);
}
END_TEST

START_TEST(missing_privilege_is_reported_at_start)
{
	char *said;
	PGconn *pg = on_teardown(finish, PQconnectdb(plain_database()));
	change_privilege(pg, REVOKE, "node_beat");
	ck_assert_int_ne(server_try((const char *const[]) { "serve", "--listen", "127.0.0.1:0", "--database",
					    plain_database(), NULL },
				 20, &said),
		0);
	ck_assert_msg(strstr(said, "lacks the privilege execute on") != NULL && strstr(said, "node_beat") != NULL, "%s",
		said);
	change_privilege(pg, GRANT, "node_beat");
}
END_TEST

int main(void)
{
	const TTest *const tests[] = { log_lock_held_sends_are_answered_and_happen_once,
		synchronous_standby_missing_sends_are_answered_and_happen_once, frozen_database_requests_are_answered,
		transient_errors_are_503_and_logged, read_only_database_serves_reads_and_is_logged,
		full_disk_is_logged_and_sends_resume_with_space,
		revoked_function_is_retried_slowly_and_works_once_granted, missing_privilege_is_reported_at_start,
		NULL };
	mount_tiny();
	int failed = suite_run("trouble", tests, flags);
	if (has_tiny)
		umount(tiny);
	rmdir(tiny);
	return failed;
}
