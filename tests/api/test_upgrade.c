/* SPDX-License-Identifier: MIT
 * `postern upgrade-database` from this machine's PostgreSQL to the newer one in $TEST_PG_NEWER (see
 * tests/postgres/newer): nothing is lost, whenever it is killed, and clients resume. */
#include <fcntl.h>
#include <ftw.h>
#include <glob.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../lib/database.h"
#include "../lib/program.h"
#include "../lib/stream.h"
#include "../lib/suite.h"
#include "base/clock.h"
#include "pg/bindir.h"
#include "pg/cluster_conf.h"

enum { MESSAGES = 20 };

static struct server *node; /* its database is upgraded */
static char old_bindir[BINDIR_SIZE], newer_bindir[BINDIR_SIZE];
static int old_version, newer_version;

/* From before the upgrade. */
static struct client *ann, *ben;
static long long chat, first_id, last_id;
static char kept_cursor[128];

/* --- files --- */

static char *in_state(const char *name) { return format("%s/%s", server_state(node), name); }

static unsigned matches(const char *pattern)
{
	glob_t g;
	unsigned n = glob(in_state(pattern), 0, NULL, &g) == 0 ? (unsigned)g.gl_pathc : 0;
	globfree(&g);
	return n;
}

static char *match(const char *pattern)
{
	glob_t g;
	ck_assert_msg(glob(in_state(pattern), 0, NULL, &g) == 0, "there is no %s", pattern);
	char *path = format("%s", g.gl_pathv[0]);
	globfree(&g);
	return path;
}

static int version_of(const char *data)
{
	int version = 0;
	ck_assert_msg(cluster_conf_version(data, &version), "there is no cluster in %s", data);
	return version;
}

/* Writes a file as the owner of the state directory. */
static void write_file(const char *path, const char *mode, mode_t permissions, const char *text)
{
	struct stat st;
	FILE *f = fopen(path, mode);
	ck_assert_msg(f != NULL, "%s", path);
	fputs(text, f);
	ck_assert_int_eq(fclose(f), 0);
	ck_assert_int_eq(chmod(path, permissions), 0);
	ck_assert_int_eq(stat(server_state(node), &st), 0);
	if (geteuid() == 0)
		ck_assert_int_eq(chown(path, st.st_uid, st.st_gid), 0);
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *where)
{
	(void)st, (void)type, (void)where;
	return remove(path);
}

static void remove_tree(void *dir) { nftw(dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS); }

static char *directory(void)
{
	char *dir = format("/tmp/puXXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	ck_assert_int_eq(chmod(dir, 0755), 0);
	return on_teardown(remove_tree, dir);
}

/* Makes initdb and postgres programs, and no other, that report that version. */
static char *make_programs(int major)
{
	char *dir = directory();
	write_file(format("%s/initdb", dir), "w", 0755, "#!/bin/sh\n");
	write_file(
		format("%s/postgres", dir), "w", 0755, format("#!/bin/sh\necho 'postgres (PostgreSQL) %d.1'\n", major));
	return dir;
}

/* --- the command --- */

#define begin_upgrade(...) begin_args((const char *const[]) { "upgrade-database", __VA_ARGS__, NULL })
static struct program *begin_args(const char *const args[])
{
	const char *argv[16] = { NULL };
	size_t n = 0;
	for (; args[n] != NULL; n++)
		argv[n] = args[n];
	argv[n++] = "--state";
	argv[n++] = server_state(node);
	return program_start(argv, NULL, NULL);
}

static void await_success(struct program *p, const char *says)
{
	program_await(p, says);
	ck_assert_msg(program_await_exit(p) == 0, "%s", program_said(p));
}

static void expect_refused(struct program *p, const char *says)
{
	program_await(p, says);
	ck_assert_msg(program_await_exit(p) == 1, "%s", program_said(p));
}

/* Starts the server with the programs of that version. */
static void restart_with(const char *bindir)
{
	setenv("TEST_PG_BINDIR", bindir, 1);
	server_restart(node);
}

/* --- requirements --- */

static void expect_everything_kept(void)
{
	struct json_object *page = expect_status(get(ben, "%s?limit=200", messages_path(chat)), 200).json;
	size_t n = json_count(page, "messages");
	ck_assert_uint_ge(n, MESSAGES);
	ck_assert_int_eq(json_num(page, "messages.0.id"), first_id);
	ck_assert_str_eq(json_str(page, "messages.0.text"), "saponins of quillaja 0");
}

static void expect_service_resumes(void)
{
	struct stream *again = stream_since(ben, kept_cursor);
	for (long long id = 0; id != last_id;)
		id = json_num(expect(again, "message"), "id");
	last_id = say(ann, chat, "and on");
	expect_message(again, last_id);
	stream_cut(again);
}

static void expect_found(const char *word, unsigned n)
{
	unsigned long long until = clock_mono_ms() + PATIENCE;
	while (json_count(expect_status(get(ben, "/v1/search?q=%s&limit=50", word), 200).json, "results") != n)
		time_left(until, word);
}

static void expect_sign_in(void)
{
	struct client somebody = { .server = node };
	expect_status(post(with_header(&somebody, "Sec-Fetch-Site: same-origin"), "/v1/session",
			      "{'name':'ann','password':'%s'}", PASSWORD),
		201);
}

/* --- tests --- */

START_TEST(setup_newer_postgresql_is_installed)
{
	const char *newer = getenv("TEST_PG_NEWER");
	struct buf why;
	buf_init(&why, 4096);
	ck_assert_msg(newer != NULL && (newer_version = bindir_version(newer)) > 0,
		"TEST_PG_NEWER (%s) names no programs of a newer PostgreSQL: `tests/postgres/newer DIR` fetches them, "
		"then "
		"TEST_PG_NEWER=DIR/bin",
		newer != NULL ? newer : "not set");
	ck_assert_msg(access(format("%s/pg_upgrade", newer), X_OK) == 0, "there is no pg_upgrade in %s", newer);
	ck_assert_msg(bindir_find(getenv("TEST_PG_BINDIR"), 0, old_bindir, &why) == ST_OK, "%s", why.data);
	old_version = bindir_version(old_bindir);
	ck_assert_msg(old_version < newer_version, "PostgreSQL %d in %s isn't newer than %d", newer_version, newer,
		old_version);
	snprintf(newer_bindir, sizeof(newer_bindir), "%s", newer);
	buf_release(&why);
}
END_TEST

START_TEST(setup_server_has_messages)
{
	static const char *const flags[] = { "--rate-sends", "0", "--rate-actions", "0", "--rate-searches", "0", NULL };
	ck_assert_int_ne(newer_version, 0);
	setenv("TEST_PG_BINDIR", old_bindir, 1);
	node = server_start(flags);
	ann = user_at(node, "ann");
	ben = user_at(node, "ben");
	chat = make_group(ann, ben);
	struct stream *s = stream_from_now(ben);
	for (int i = 0; i < MESSAGES; i++) {
		last_id = say(ann, chat, format("saponins of quillaja %d", i));
		expect_message(s, last_id);
		if (i == 0)
			first_id = last_id;
		if (i == MESSAGES / 2)
			snprintf(kept_cursor, sizeof(kept_cursor), "%s", stream_cursor(s));
	}
	expect_found("quillaja", MESSAGES);
	sql(database_open(node), "alter system set work_mem = '9MB'");
	sql(database_open(node), "alter system set fsync = off"); /* makes the test faster */
}
END_TEST

START_TEST(upgrade_while_server_runs_is_refused)
{
	expect_refused(begin_upgrade("--pg-bindir", newer_bindir), format("a server is using %s", server_state(node)));
	expect_everything_kept();
	server_stop(node);
}
END_TEST

START_TEST(upgrade_of_external_database_is_refused)
{
	expect_refused(begin_upgrade("--database", "host=/nowhere"), "upgrade it with PostgreSQL's tools");
}
END_TEST

START_TEST(upgrade_of_missing_state_directory_creates_none)
{
	char *dir = format("%s/none", directory());
	const char *const args[] = { "upgrade-database", "--state", dir, NULL };
	expect_refused(program_start(args, NULL, NULL), format("%s: No such file or directory", dir));
	ck_assert_int_ne(access(dir, F_OK), 0);
}
END_TEST

START_TEST(upgrade_to_same_version_does_nothing)
{
	await_success(begin_upgrade("--pg-bindir", old_bindir),
		format("nothing to do: the database is PostgreSQL %d, and that is", old_version));
}
END_TEST

START_TEST(upgrade_to_unsupported_version_is_refused)
{
	expect_refused(
		begin_upgrade("--pg-bindir", make_programs(14)), "is PostgreSQL 14: this version of Postern upgrades");
	expect_refused(
		begin_upgrade("--pg-bindir", make_programs(99)), "is PostgreSQL 99: this version of Postern upgrades");
}
END_TEST

START_TEST(upgrade_without_pg_upgrade_says_what_to_install)
{
	struct program *p = begin_upgrade("--pg-bindir", make_programs(newer_version));
	expect_refused(p, "an upgrade also needs pg_upgrade, pg_ctl, ");
	ck_assert_ptr_nonnull(strstr(program_said(p), format("apt-get install postgresql-%d", newer_version)));
}
END_TEST

START_TEST(upgrade_without_old_programs_says_what_to_install)
{
	expect_refused(begin_upgrade("--pg-bindir", newer_bindir, "--old-bindir", newer_bindir),
		format("that is PostgreSQL %d, and the data in the state directory are version %d's", newer_version,
			old_version));
	expect_refused(
		begin_upgrade("--pg-bindir", newer_bindir, "--old-bindir", "bin"), "--old-bindir bin: there are no");
	char *version = in_state("pg/PG_VERSION");
	write_file(version, "w", 0600, "13\n");
	struct program *p = begin_upgrade("--pg-bindir", newer_bindir);
	expect_refused(p, "the data in the state directory are PostgreSQL 13's, and an upgrade needs its programs");
	ck_assert_ptr_nonnull(strstr(program_said(p), "apt-get install postgresql-13"));
	write_file(version, "w", 0600, format("%d\n", old_version));
}
END_TEST

/* A sparse file: it would fill the disk if it were copied. */
START_TEST(upgrade_without_enough_space_is_refused)
{
	char *path = in_state("pg/base/hole");
	write_file(path, "w", 0600, "");
	ck_assert_int_eq(truncate(path, (off_t)8 << 40), 0);
	struct program *p = begin_upgrade("--pg-bindir", newer_bindir);
	program_await(p, "not enough space");
	ck_assert_int_eq(program_await_exit(p), 1);
	ck_assert_ptr_nonnull(strstr(program_said(p), "MiB are free"));
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_uint_eq(matches("pg?*"), 0);
}
END_TEST

START_TEST(upgrade_names_setting_unknown_to_new_version)
{
	char *path = in_state("pg/postgresql.auto.conf"), text[4096];
	FILE *f = fopen(path, "re");
	size_t len = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	text[len] = '\0';
	write_file(path, "a", 0600, "vacuum_defer_cleanup_age = 0\n"); /* removed in version 16 */
	expect_refused(begin_upgrade("--check", "--pg-bindir", newer_bindir),
		"unrecognized configuration parameter \"vacuum_defer_cleanup_age\"");
	write_file(path, "w", 0600, text);
}
END_TEST

START_TEST(upgrade_check_changes_nothing)
{
	await_success(begin_upgrade("--check", "--pg-bindir", newer_bindir), "nothing stands in the way of an upgrade");
	ck_assert_int_eq(version_of(in_state("pg")), old_version);
	ck_assert_uint_eq(matches("pg?*"), 0);
	restart_with(old_bindir);
	expect_everything_kept();
	expect_service_resumes();
	server_stop(node);
}
END_TEST

static void await_match(const char *pattern)
{
	unsigned long long until = clock_mono_ms() + PATIENCE;
	while (matches(pattern) == 0)
		time_left(until, pattern);
}

/* Kills the command when it has printed this line and, if file isn't NULL, that file exists. */
static void kill_at(const char *step, const char *file)
{
	struct program *p = begin_upgrade("--pg-bindir", newer_bindir);
	program_await(p, step);
	if (file != NULL)
		await_match(file);
	kill(program_pid(p), SIGKILL);
	ck_assert_int_eq(program_await_exit(p), 128 + SIGKILL);
	test_restart_timeout();
}

START_TEST(upgrade_killed_at_any_step_leaves_the_old_database)
{
	kill_at("step: looking at", NULL);
	kill_at("step: making", NULL);
	kill_at("step: checking", NULL);
	kill_at("step: copying", NULL);
	kill_at("step: copying", "pg.new.*/pg/postmaster.pid"); /* the new cluster is being filled */
	ck_assert_int_eq(version_of(in_state("pg")), old_version);
	restart_with(old_bindir);
	ck_assert_uint_eq(matches("pg?*"), 0);
	expect_everything_kept();
	expect_service_resumes();
	server_stop(node);
	kill_at("step: collecting", NULL);
	ck_assert_int_eq(version_of(in_state("pg")), old_version);
}
END_TEST

START_TEST(upgrade_terminated_removes_its_files)
{
	struct program *p = begin_upgrade("--pg-bindir", newer_bindir);
	program_await(p, "step: copying");
	await_match("pg.new.*/pg/postmaster.pid");
	kill(program_pid(p), SIGTERM);
	expect_refused(p, "stopped by a signal while pg_upgrade was running");
	ck_assert_int_eq(version_of(in_state("pg")), old_version);
	ck_assert_uint_eq(matches("pg?*"), 0);
}
END_TEST

/* Either database may be in place. */
START_TEST(upgrade_killed_at_the_switch_leaves_one_whole_database)
{
	kill_at("step: putting", NULL);
	int version = version_of(in_state("pg"));
	ck_assert_msg(version == old_version || version == newer_version, "%d", version);
	if (version == old_version)
		await_success(begin_upgrade("--pg-bindir", newer_bindir), "is kept in ");
	else
		await_success(begin_upgrade("--pg-bindir", newer_bindir), "nothing to do");
	ck_assert_int_eq(version_of(in_state("pg")), newer_version);
	ck_assert_uint_eq(matches("pg.new.*"), 0);
	ck_assert_uint_eq(matches("pg.before-upgrade-*"), 1);
	ck_assert_int_eq(version_of(match(format("pg.before-upgrade-%d-*", old_version))), old_version);
}
END_TEST

START_TEST(upgrade_keeps_messages_and_cursors)
{
	restart_with(newer_bindir);
	ck_assert_int_eq(atoi(sql(database_open(node), "show server_version_num")) / 10000, newer_version);
	expect_everything_kept();
	expect_service_resumes();
	expect_sign_in();
	expect_found("quillaja", MESSAGES);
	last_id = say(ann, chat, "and a tamarind");
	expect_found("tamarind", 1);
	ck_assert_str_eq(sql(database_open(node), "show work_mem"), "9MB");
	ck_assert_str_eq(sql(database_open(node), "show data_checksums"), "on");
	ck_assert_str_eq(
		sql(database_open(node), "select count(*) > 0 from pg_stats where schemaname = 'postern'"), "t");
	server_stop(node);
}
END_TEST

START_TEST(upgrade_to_older_version_is_refused)
{
	struct program *p = begin_upgrade("--pg-bindir", old_bindir);
	expect_refused(p,
		format("the data in the state directory are PostgreSQL %d's, and pg_bindir is version %d",
			newer_version, old_version));
}
END_TEST

START_TEST(upgrade_remove_old_removes_only_the_old_database)
{
	char *kept = match(format("pg.before-upgrade-%d-*", old_version)),
	     *empty = in_state("pg.before-upgrade-1-empty"), *younger = in_state("pg.before-upgrade-99-younger");
	ck_assert_int_eq(mkdir(empty, 0700) | mkdir(younger, 0700), 0);
	write_file(format("%s/PG_VERSION", younger), "w", 0644, "99\n");
	await_success(begin_upgrade("--pg-bindir", newer_bindir), format("is still in %s", kept));
	restart_with(newer_bindir);
	await_success(begin_upgrade("--remove-old"), format("removed %s", kept)); /* also while a server runs */
	server_stop(node);
	ck_assert_int_ne(access(kept, F_OK), 0);
	ck_assert_int_eq(access(empty, F_OK) | access(younger, F_OK), 0);
	await_success(begin_upgrade("--remove-old"), "nothing to remove");
	ck_assert_int_eq(version_of(in_state("pg")), newer_version);
	remove_tree(empty);
	remove_tree(younger);
}
END_TEST

/* Where the file system can't exchange directories, the command may be killed between two renames. */
START_TEST(start_after_interrupted_switch_completes_it)
{
	ck_assert_int_eq(rename(in_state("pg"), in_state("pg.switching")), 0);
	restart_with(newer_bindir);
	expect_everything_kept();
	expect_service_resumes();
	server_stop(node);
	ck_assert_uint_eq(matches("pg.switching"), 0);
}
END_TEST

START_TEST(start_removes_unused_upgrade_files)
{
	char *unused = in_state("pg.before-upgrade-15-20260101T000000Z");
	ck_assert_int_eq(mkdir(unused, 0777) | mkdir(in_state("pg.switching"), 0777), 0);
	write_file(format("%s/postern.unused", unused), "w", 0600, "");
	if (geteuid() == 0) {
		struct stat st;
		ck_assert_int_eq(stat(in_state("pg"), &st), 0);
		ck_assert_int_eq(chown(unused, st.st_uid, st.st_gid), 0);
	}
	restart_with(newer_bindir);
	expect_everything_kept();
	server_stop(node);
	ck_assert_uint_eq(matches("pg?*"), 0);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = { setup_newer_postgresql_is_installed, setup_server_has_messages,
		upgrade_while_server_runs_is_refused, upgrade_of_external_database_is_refused,
		upgrade_of_missing_state_directory_creates_none, upgrade_to_same_version_does_nothing,
		upgrade_to_unsupported_version_is_refused, upgrade_without_pg_upgrade_says_what_to_install,
		upgrade_without_old_programs_says_what_to_install, upgrade_without_enough_space_is_refused,
		upgrade_names_setting_unknown_to_new_version, upgrade_check_changes_nothing,
		upgrade_killed_at_any_step_leaves_the_old_database, upgrade_terminated_removes_its_files,
		upgrade_killed_at_the_switch_leaves_one_whole_database, upgrade_keeps_messages_and_cursors,
		upgrade_to_older_version_is_refused, upgrade_remove_old_removes_only_the_old_database,
		start_after_interrupted_switch_completes_it, start_removes_unused_upgrade_files, NULL };
	return suite_run("upgrade", tests, NULL);
}
