/* SPDX-License-Identifier: MIT
 * Which PostgreSQL the server uses: the configured one, or that of the data, never one that is too old. Scripts stand
 * in for versions that aren't installed. tests/postgres/run tests the real ones. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "pg/bindir.h"

#include "../lib/database.h"
#include "../lib/environment.h"
#include "../lib/program.h"
#include "../lib/suite.h"

static void remove_tree(void *dir)
{
	if (system(format("rm -rf %s", (char *)dir)) != 0)
		ck_abort_msg("%s can't be removed", (char *)dir);
}

/* Creates a directory in which every user may write, because the server drops its privileges. */
static char *directory(void)
{
	char *dir = format("/tmp/pvXXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	ck_assert_int_eq(chmod(dir, 0777), 0);
	return on_teardown(remove_tree, dir);
}

static void write_file(const char *path, mode_t mode, const char *text)
{
	FILE *f = fopen(path, "w");
	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	ck_assert_int_eq(fclose(f), 0);
	ck_assert_int_eq(chmod(path, mode), 0);
}

/* Returns the directory of the test machine's PostgreSQL programs. */
static char *real_programs(void)
{
	char dir[BINDIR_SIZE];
	struct buf why;
	buf_init(&why, 4096);
	ck_assert_int_eq(bindir_find(getenv("TEST_PG_BINDIR"), 0, dir, &why), ST_OK);
	buf_release(&why);
	return format("%s", dir);
}

/* Makes PostgreSQL programs that report version `major` and run the machine's. */
static char *make_programs(int major)
{
	char *real = real_programs(), *dir = directory();
	write_file(format("%s/initdb", dir), 0755, format("#!/bin/sh\nexec %s/initdb \"$@\"\n", real));
	write_file(format("%s/postgres", dir), 0755,
		format("#!/bin/sh\n[ \"$1\" != -V ] || { echo 'postgres (PostgreSQL) %d.1'; exit; }\nexec %s/postgres "
		       "\"$@\"\n",
			major, real));
	return dir;
}

static struct program *serve(const char *state, const char *pg_bindir)
{
	const char *const args[] = { "serve", "--listen", "127.0.0.1:0", "--state", state, "--log-level", "debug",
		"--pg-bindir", pg_bindir, NULL };
	const char *const env[] = { format("PATH=/usr/bin:/bin:%s", real_programs()), NULL };
	return program_start(args, env, NULL);
}

static void expect_refused(struct program *p, const char *reason)
{
	program_await(p, reason);
	ck_assert_int_ne(program_await_exit(p), 0);
}

START_TEST(pg_bindir_without_programs_is_refused)
{
	char *dir = directory();
	expect_refused(serve(format("%s/s", dir), dir), format("pg_bindir %s: there are no initdb and postgres", dir));
	expect_refused(serve(format("%s/s", dir), "bin"), "pg_bindir bin: there are no initdb and postgres");
}
END_TEST

START_TEST(pg_bindir_too_old_is_refused)
{
	char *state = format("%s/s", directory());
	expect_refused(serve(state, make_programs(14)), "PostgreSQL 14 is too old: Postern needs version 15 to 18");
}
END_TEST

START_TEST(pg_bindir_newer_than_tested_gives_a_warning_and_serves)
{
	char *state = format("%s/s", directory());
	struct program *p = serve(state, make_programs(99));
	program_await(p, "PostgreSQL 99 is newer than this version of Postern is tested with (15 to 18)");
	program_await(p, "ready http://127.0.0.1:");
	ck_assert_int_eq(program_stop(p), 0);
}
END_TEST

START_TEST(data_of_another_version_are_served_by_programs_of_that_version)
{
	char *state = format("%s/s", directory());
	struct program *p = serve(state, make_programs(98));
	program_await(p, "ready http://");
	ck_assert_int_eq(program_stop(p), 0); /* the data have the machine's version, whatever the programs report */
	p = serve(state, make_programs(97));
	program_await(p, "but pg_bindir has version 97: using ");
	program_await(p, "ready http://");
	ck_assert_int_eq(program_stop(p), 0);
}
END_TEST

START_TEST(data_of_missing_version_say_what_to_install)
{
	char *state = format("%s/s", directory()), *fake = make_programs(98);
	struct program *p = serve(state, fake);
	program_await(p, "ready http://");
	ck_assert_int_eq(program_stop(p), 0);
	write_file(format("%s/pg/PG_VERSION", state), 0644, "96\n");
	p = serve(state, fake);
	expect_refused(p, "the data in the state directory are PostgreSQL 96's");
	ck_assert_ptr_nonnull(strstr(program_said(p), format("98 in %s", fake)));
	ck_assert_ptr_nonnull(strstr(program_said(p), "postern upgrade-database"));
}
END_TEST

START_TEST(migrate_status_shows_version_and_tested_versions)
{
	char *said = server_command(test_server(), NULL, "migrate", "--status");
	char *version = sql(database_open(test_server()), "show server_version");
	char *wanted = format("PostgreSQL %s (tested: 15 to 18)\n", version);
	ck_assert_msg(strncmp(said, wanted, strlen(wanted)) == 0, "%s", said);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = { pg_bindir_without_programs_is_refused, pg_bindir_too_old_is_refused,
		pg_bindir_newer_than_tested_gives_a_warning_and_serves,
		data_of_another_version_are_served_by_programs_of_that_version,
		data_of_missing_version_say_what_to_install, migrate_status_shows_version_and_tested_versions, NULL };
	return suite_run("versions", tests, NULL);
}
