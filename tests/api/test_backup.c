/* SPDX-License-Identifier: MIT
 * `postern backup`: `postern restore` brings the messages back, clients that saw more get a reset, and a failure
 * leaves no file behind. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../lib/cluster.h"
#include "../lib/database.h"
#include "../lib/program.h"
#include "../lib/scratch.h"
#include "../lib/stream.h"
#include "../lib/suite.h"

static struct server *target; /* backups are restored into its state directory */
static struct cluster *foreign;

static struct outcome backup(const char *file, const char *kind)
{
	return run_command("backup", file, "--kind", kind, "--state", server_state(test_server()));
}

/* --- restoring --- */

struct scene {
	struct client *ann, *ben;
	long long chat;
	const char *kept; /* ben's cursor before the backup */
};

static struct scene before_backup(void)
{
	static unsigned n;
	n++;
	struct scene s = { .ann = user(format("ann%u", n)), .ben = user(format("ben%u", n)) };
	s.chat = make_group(s.ann, s.ben);
	struct stream *stream = stream_from_now(s.ben);
	expect_message(stream, say(s.ann, s.chat, "before the backup"));
	s.kept = stream_cursor(stream);
	return s;
}

/* Sends messages one after the other while the command runs. */
static size_t say_until_exit(const struct scene *s, struct program *p, long long *ids, size_t most)
{
	size_t n = 0;
	while (strstr(program_said(p), " bytes\n") == NULL) {
		ck_assert_uint_lt(n, most);
		ids[n++] = say(s->ann, s->chat, "while it is made");
	}
	ck_assert_int_eq(program_await_exit(p), 0);
	return n;
}

static void restore_into_target(const char *file)
{
	unsigned kept = count_entries(server_state(target), "pg.old-");
	server_stop(target);
	expect_failure(run_command("restore", file, "--state", server_state(target)),
		"--force replaces it by that of the backup");
	struct outcome o = run_command("restore", file, "--state", server_state(target), "--force");
	expect_success(o);
	const char *told = strstr(o.out, "is kept in ");
	ck_assert_ptr_nonnull(told);
	ck_assert(file_exists(format("%s/PG_VERSION", told + strlen("is kept in "))));
	ck_assert_uint_eq(count_entries(server_state(target), "pg.old-"), kept + 1);
	ck_assert_uint_eq(count_entries(server_state(target), "pg.new"), 0);
	server_restart(target);
	ck_assert_uint_eq(count_entries(server_state(target), "pg.old-"), kept + 1);
}

static void expect_restored_messages(const char *kind)
{
	enum { MOST = 20000 };
	struct scene s = before_backup();
	char *file = scratch_path(format("%s.tar", kind));
	const char *const args[] = { "backup", file, "--kind", kind, "--state", server_state(test_server()), NULL };
	long long *ids = on_teardown(free, calloc(MOST, sizeof(*ids)));
	size_t said = say_until_exit(&s, program_start(args, NULL, NULL), ids, MOST);
	struct stream *stream = stream_from_now(s.ben);
	long long after = say(s.ann, s.chat, "after the backup");
	expect_message(stream, after);
	const char *lost = stream_cursor(stream);
	restore_into_target(file);

	/* Users sign in by token and by password. */
	struct client *ann = on_server(s.ann, target), *ben = on_server(s.ben, target);
	const struct client *page = with_header(on_server(anonymous(), target), "Origin: %s", server_url(target));
	expect_status(post(page, "/v1/session", "{'name':'%s','password':'" PASSWORD "'}", s.ann->name), 201);
	/* All messages from before the backup are there, some of those sent during it, without a gap, and none from
	 * after it. */
	struct stream *again = stream_since(ben, s.kept);
	for (size_t i = 0; i < said; i++) {
		struct answer a = get(ann, "%s", message_path(s.chat, ids[i]));
		if (a.status == 404)
			said = i;
		else
			expect_message(again, ids[i]);
	}
	expect_problem(get(ann, "%s", message_path(s.chat, after)), 404, "not_found");
	expect_message(again, say(ann, s.chat, "after the restore"));
	/* A client that saw more than the backup has gets a reset. */
	struct stream *reset = stream_open(ben, "?since=%s", lost);
	expect(reset, "hello");
	expect(reset, "reset");
	expect_message(reset, say(ann, s.chat, "and on"));
}

START_TEST(dump_taken_during_sends_is_restored_into_another_directory) { expect_restored_messages("dump"); }
END_TEST

START_TEST(base_backup_taken_during_sends_is_restored_into_another_directory) { expect_restored_messages("base"); }
END_TEST

START_TEST(backup_and_restore_work_without_a_server)
{
	server_stop(target);
	expect_success(run_command("backup", scratch_path("cold.tar"), "--state", server_state(target)));
	expect_success(run_command("restore", scratch_path("cold.tar"), "--state", scratch_path("cold")));
	char *users = run_command("user", "list", "--state", server_state(target)).out;
	ck_assert_ptr_nonnull(strstr(users, "ann1"));
	ck_assert_str_eq(run_command("user", "list", "--state", scratch_path("cold")).out, users);
	server_restart(target);
}
END_TEST

START_TEST(backup_can_be_verified_and_unpacked_with_common_tools)
{
	struct stat st;
	ck_assert_int_eq(stat(scratch_path("dump.tar"), &st), 0);
	ck_assert_int_eq(st.st_mode & 07777, 0600);
	fresh_directory("apart");
	run_shell(format("cd %s/apart && tar -xf ../dump.tar && sha256sum -c --quiet manifest.sha256", scratch()));
	size_t len;
	char *text = read_file(scratch_path("apart/manifest.json"), &len);
	struct json_object *m = json_path_parse(text, strcspn(text, "\n") < len ? len - 1 : len);
	ck_assert_ptr_nonnull(m);
	ck_assert_int_eq(json_num(m, "format"), 1);
	ck_assert_str_eq(json_str(m, "kind"), "dump");
	ck_assert_int_eq(
		json_num(m, "postgresql.major"), atoi(sql(database_open(test_server()), "show server_version")));
	ck_assert_str_eq(json_str(m, "database.epoch"),
		sql(database_open(test_server()), "select value from postern.meta where key = 'epoch'"));
	ck_assert_str_eq(json_str(m, "database.system_identifier"),
		sql(database_open(test_server()), "select system_identifier from pg_control_system()"));
	ck_assert_str_eq(json_str(m, "parts.0.name"), "database.dump");
	run_shell(format("cd %s/apart && echo '%s  database.dump' | sha256sum -c --quiet", scratch(),
		json_str(m, "parts.0.sha256")));
	json_object_put(m);
}
END_TEST

/* --- the file --- */

START_TEST(backup_to_existing_file_is_refused_without_force)
{
	char *dir = fresh_directory("there"), *file = scratch_path("there/backup.tar");
	write_file(file, "mine", 4);
	expect_failure(backup(file, "dump"), "it exists already; --force replaces it");
	size_t len;
	ck_assert_mem_eq(read_file(file, &len), "mine", 4);
	ck_assert_uint_eq(len, 4);
	expect_success(run_command("backup", file, "--force", "--state", server_state(test_server())));
	run_shell(format("tar -tf %s | grep -qx database.dump", file));
	ck_assert_uint_eq(count_entries(dir, ""), 1);
	ck_assert_int_eq(symlink("backup.tar", scratch_path("there/link")), 0);
	expect_failure(
		run_command("backup", scratch_path("there/link"), "--force", "--state", server_state(test_server())),
		"isn't a regular file");
	expect_failure(backup(dir, "dump"), "isn't a regular file");
	expect_failure(backup(format("%s/", dir), "dump"), "it is a directory");
}
END_TEST

START_TEST(backup_with_wrong_arguments_is_refused)
{
	ck_assert_int_eq(run_command("backup").status, 2);
	ck_assert_int_eq(run_command("restore").status, 2);
	ck_assert_int_eq(run_command("backup", "a", "b").status, 2);
	ck_assert_int_eq(run_command("backup", "-").status, 2);
	ck_assert_int_eq(run_command("backup", scratch_path("x.tar"), "--kind", "copy").status, 2);
	expect_failure(run_command("restore", scratch_path("nowhere.tar"), "--state", scratch_path("anew")),
		"No such file or directory");
	expect_failure(run_command("restore", scratch(), "--state", scratch_path("anew")), "it isn't a regular file");
	expect_failure(run_command("backup", scratch_path("x.tar"), "--state", scratch_path("anew")),
		"there is no database to back up");
	ck_assert(!file_exists(scratch_path("anew")));
	ck_assert(!file_exists(scratch_path("x.tar")));
}
END_TEST

START_TEST(backup_into_unwritable_directory_fails)
{
	struct stat owner;
	char *dir = fresh_directory("shut");
	ck_assert_int_eq(stat(server_state(test_server()), &owner), 0);
	ck_assert_int_eq(chmod(dir, 0555), 0);
	program_run_as(geteuid() == 0 ? owner.st_uid : 0);
	const char *const args[] = { "backup", scratch_path("shut/b.tar"), "--state", server_state(test_server()),
		NULL };
	struct program *p = program_start(args, NULL, NULL);
	program_run_as(0);
	program_await(p, "shut/b.tar: Permission denied");
	ck_assert_int_eq(program_await_exit(p), 1);
	expect_failure(backup(scratch_path("none/b.tar"), "dump"), "none: No such file or directory");
}
END_TEST

START_TEST(backup_on_full_disk_leaves_no_file)
{
	char *dir = fresh_directory("full");
	struct rlimit before, small;
	getrlimit(RLIMIT_FSIZE, &before);
	small = before;
	small.rlim_cur = 100 * 1024;
	setrlimit(RLIMIT_FSIZE, &small);
	struct outcome o = backup(scratch_path("full/b.tar"), "dump");
	setrlimit(RLIMIT_FSIZE, &before);
	expect_failure(o, "b.tar: File too large");
	ck_assert_uint_eq(count_entries(dir, ""), 0);
}
END_TEST

/* Starts a backup, which waits for a lock that pg holds. */
static struct program *begin_backup(PGconn *pg, const char *file)
{
	const char *const args[] = { "backup", file, "--state", server_state(test_server()), NULL };
	sql(pg, "create table if not exists public.other ()"); /* no server uses it */
	sql(pg, "begin");
	sql(pg, "lock table public.other in access exclusive mode");
	struct program *p = program_start(args, NULL, NULL);
	await_waiting(pg, 1);
	return p;
}

START_TEST(backup_interrupted_by_signal_leaves_no_file)
{
	char *dir = fresh_directory("stopped");
	const int signals[] = { SIGTERM, SIGINT, SIGHUP };
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		PGconn *pg = database_open(test_server());
		struct program *p = begin_backup(pg, scratch_path("stopped/b.tar"));
		ck_assert_uint_eq(count_entries(dir, ".b.tar."), 1);
		kill(program_pid(p), signals[i]);
		ck_assert_int_eq(program_await_exit(p), 128 + signals[i]);
		ck_assert_uint_eq(count_entries(dir, ""), 0);
		sql(pg, "rollback");
	}
}
END_TEST

START_TEST(backup_with_failing_pg_dump_leaves_no_file)
{
	char *dir = fresh_directory("broken");
	PGconn *pg = database_open(test_server());
	struct program *p = begin_backup(pg, scratch_path("broken/b.tar"));
	sql(pg,
		"select pg_terminate_backend(pid) from pg_locks where not granted and relation = "
		"'public.other'::regclass");
	program_await(p, "pg_dump failed: ");
	ck_assert_int_eq(program_await_exit(p), 1);
	sql(pg, "rollback");
	ck_assert_uint_eq(count_entries(dir, ""), 0);
}
END_TEST

/* Needs root: the file and directory are not accessible to the user that the server switches to. */
START_TEST(backup_by_root_is_written_and_read)
{
	fresh_directory("closed");
	ck_assert_int_eq(chmod(scratch_path("closed"), 0700), 0);
	expect_success(backup(scratch_path("closed/b.tar"), "dump"));
	expect_failure(run_command("restore", scratch_path("closed/b.tar"), "--state", server_state(test_server())),
		"stop it first"); /* checked after the file was read */
}
END_TEST

/* --- external databases --- */

START_TEST(setup_second_cluster_starts)
{
	foreign = cluster_new();
	cluster_run(foreign, "createdb one && createdb two && createdb three");
}
END_TEST

static const char *tables_of(const char *db)
{
	return sql(cluster_connect(foreign, db),
		"select count(*) from pg_class where relnamespace = to_regnamespace('postern')");
}

START_TEST(dump_of_shared_database_contains_only_posterns_schemas)
{
	sql(cluster_connect(foreign, "one"), "create table mine ()");
	expect_success(
		run_command("restore", scratch_path("dump.tar"), "--database", cluster_conninfo(foreign, "one")));
	expect_success(run_command("backup", scratch_path("one.tar"), "--database", cluster_conninfo(foreign, "one")));
	expect_success(run_command("restore", scratch_path("one.tar"), "--database", cluster_conninfo(foreign, "two")));
	ck_assert_str_eq(tables_of("two"), tables_of("one"));
	ck_assert_str_eq(sql(cluster_connect(foreign, "two"), "select to_regclass('mine') is null"), "t");
	expect_success(run_command("restore", scratch_path("one.tar"), "--state", scratch_path("home")));
	expect_failure(
		run_command("backup", scratch_path("three.tar"), "--database", cluster_conninfo(foreign, "three")),
		"this database has no data of Postern");
	ck_assert(!file_exists(scratch_path("three.tar")));
}
END_TEST

/* The settings have the password, and pg_dump needs it. */
START_TEST(backup_passes_database_password_to_postgresql_programs)
{
	PGconn *pg = cluster_connect(foreign, "three");
	sql(pg, "create role locked login password 's e c'; grant create on database three to locked");
	cluster_run(
		foreign, "{ echo 'local all locked scram-sha-256'; cat d/pg_hba.conf; } >hba && cp hba d/pg_hba.conf");
	sql(pg, "select pg_reload_conf()");
	char *conninfo = format("host=%s dbname=three user=locked", cluster_host(foreign));
	write_file(scratch_path("password"), "s e c\n", 6);
	write_file(scratch_path("passfile"), "*:*:*:locked:s e c\n", 19);
	ck_assert_int_eq(chmod(scratch_path("passfile"), 0600) | chmod(scratch_path("password"), 0600), 0);
	expect_failure(run_command("restore", scratch_path("one.tar"), "--database", conninfo), "no password supplied");
	expect_success(run_command("restore", scratch_path("one.tar"), "--database", conninfo,
		"--database-password-file", scratch_path("password")));
	expect_success(run_command("backup", scratch_path("p1.tar"), "--database", conninfo, "--database-password-file",
		scratch_path("password")));
	expect_success(run_command("backup", scratch_path("p2.tar"), "--database",
		format("%s passfile=%s", conninfo, scratch_path("passfile"))));
	expect_success(
		run_command("backup", scratch_path("p3.tar"), "--database", format("%s password='s e c'", conninfo)));
	expect_failure(run_command("backup", scratch_path("p4.tar"), "--kind", "base", "--database",
			       format("%s password='s e c'", conninfo)),
		"a base backup needs a role with the attribute replication");
}
END_TEST

START_TEST(base_backup_of_external_database_is_refused_by_restore)
{
	expect_success(run_command(
		"backup", scratch_path("foreign.tar"), "--kind=base", "--database", cluster_conninfo(foreign, "one")));
	expect_failure(run_command("restore", scratch_path("foreign.tar"), "--state", scratch_path("anew")),
		"restore that as PostgreSQL's manual says");
	ck_assert(!file_exists(scratch_path("anew")));
	fresh_directory("pgdata");
	run_shell(format("cd %s && tar -xOf foreign.tar base.tar | tar -xf - -C pgdata && test -s pgdata/PG_VERSION",
		scratch()));
	ck_assert_str_eq(sql(cluster_connect(foreign, "one"), "select count(*) from pg_replication_slots"), "0");
}
END_TEST

START_TEST(setup_target_starts)
{
	static const char *const flags[] = { "--rate-sends", "0", "--rate-actions", "0", "--rate-logins", "0", NULL };
	scratch_make();
	target = server_start(flags);
}
END_TEST

START_TEST(teardown_target_stops)
{
	server_stop(target);
	scratch_remove();
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		setup_target_starts,
		dump_taken_during_sends_is_restored_into_another_directory,
		base_backup_taken_during_sends_is_restored_into_another_directory,
		backup_and_restore_work_without_a_server,
		backup_can_be_verified_and_unpacked_with_common_tools,
		backup_to_existing_file_is_refused_without_force,
		backup_with_wrong_arguments_is_refused,
		backup_into_unwritable_directory_fails,
		backup_on_full_disk_leaves_no_file,
		backup_interrupted_by_signal_leaves_no_file,
		backup_with_failing_pg_dump_leaves_no_file,
		backup_by_root_is_written_and_read,
		setup_second_cluster_starts,
		dump_of_shared_database_contains_only_posterns_schemas,
		backup_passes_database_password_to_postgresql_programs,
		base_backup_of_external_database_is_refused_by_restore,
		teardown_target_stops,
		NULL,
	};
	int status = suite_run("backup", tests, NULL);
	clusters_remove_all();
	return status;
}
