/* SPDX-License-Identifier: MIT
 * PostgreSQL's programs: which of several installed versions is used, the environment they get, how their failures are
 * reported; and the switch of one cluster's directory for another. */
#include <check.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/switch.h"
#include "pg/bindir.h"
#include "pg/program.h"

static char dir[] = "/tmp/pprogXXXXXX";
static struct buf why;

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st, (void)type, (void)at;
	return remove(path);
}

static void setup(void)
{
	strcpy(dir + sizeof(dir) - 7, "XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	buf_init(&why, 4096);
}

static void teardown(void)
{
	nftw(dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	buf_release(&why);
}

static const char *in(const char *name)
{
	static char path[4][2 * PATH_MAX];
	static unsigned i;
	snprintf(path[++i % 4], sizeof(path[0]), "%s/%s", dir, name);
	return path[i % 4];
}

static void make_file(const char *name, const char *text)
{
	int fd = open(in(name), O_WRONLY | O_CREAT | O_TRUNC, 0755);
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

/* Makes the program pg_other, which no machine has, that reports this version. */
static void install(const char *where, int major)
{
	char name[64], text[128];
	mkdir(in(where), 0755);
	snprintf(name, sizeof(name), "%s/pg_other", where);
	snprintf(text, sizeof(text), "#!/bin/sh\necho 'pg_other (PostgreSQL) %d.4'\n", major);
	make_file(name, text);
}

static void look_in(const char *a, const char *b, const char *c)
{
	char path[7 * PATH_MAX];
	snprintf(path, sizeof(path), "%s:%s:%s:/usr/bin:/bin", in(a), in(b), in(c));
	setenv("PATH", path, 1);
}

START_TEST(program_of_wanted_version_is_preferred_then_next_newer)
{
	char found[BINDIR_PROGRAM_SIZE];
	install("a", 18);
	install("b", 16);
	install("c", 15);
	look_in("a", "b", "c");
	ck_assert_int_eq(bindir_find_program(NULL, "pg_other", 15, found, &why), 15);
	ck_assert_str_eq(found, in("c/pg_other"));
	ck_assert_int_eq(bindir_find_program(NULL, "pg_other", 16, found, &why), 16);
	ck_assert_int_eq(bindir_find_program(NULL, "pg_other", 17, found, &why), 18);
	ck_assert_str_eq(found, in("a/pg_other"));
	remove(in("c/pg_other"));
	ck_assert_int_eq(bindir_find_program(NULL, "pg_other", 15, found, &why), 16);
	/* Other programs need not be in the server's directory. */
	ck_assert_int_eq(bindir_find_program("/nowhere", "pg_other", 16, found, &why), 16);
	install("d", 16);
	ck_assert_int_eq(bindir_find_program(in("d"), "pg_other", 16, found, &why), 16);
	ck_assert_str_eq(found, in("d/pg_other"));
}
END_TEST

START_TEST(program_that_is_too_old_is_named_with_what_to_install)
{
	char found[BINDIR_PROGRAM_SIZE], expected[3 * PATH_MAX];
	install("a", 15);
	look_in("a", "b", "c");
	ck_assert_int_eq(bindir_find_program(NULL, "pg_other", 17, found, &why), 0);
	snprintf(expected, sizeof(expected),
		"pg_other of PostgreSQL 17, or a newer one, isn't found; there is 15 in %s: install it (Debian: "
		"postgresql-client-17), or say where it is with pg_bindir",
		in("a"));
	ck_assert_str_eq(why.data, expected);
}
END_TEST

static enum status run(const char *script, struct program p)
{
	make_file("script", script);
	const char *const argv[] = { in("script"), NULL };
	p.argv = argv;
	return program_run(&p, &why);
}

START_TEST(program_that_fails_is_reported_with_its_last_lines)
{
	ck_assert_int_eq(run("#!/bin/sh\nexit 0\n", (struct program) { .in = -1, .out = -1 }), ST_OK);
	ck_assert_uint_eq(why.len, 0);
	ck_assert_int_eq(
		run("#!/bin/sh\necho no luck >&2\nexit 3\n", (struct program) { .in = -1, .out = -1 }), ST_REFUSED);
	ck_assert_str_eq(why.data, "script failed: no luck");
	buf_reset(&why);
	ck_assert_int_eq(run("#!/bin/sh\nkill -9 $$\n", (struct program) { .in = -1, .out = -1 }), ST_REFUSED);
	ck_assert_str_eq(why.data, "script was killed by signal 9: it printed nothing");
	buf_reset(&why);
	const char *const argv[] = { "/nowhere/pg_none", NULL };
	struct program p = { .argv = argv, .in = -1, .out = -1 };
	ck_assert_int_eq(program_run(&p, &why), ST_REFUSED);
	ck_assert_str_eq(why.data, "pg_none failed: No such file or directory");
}
END_TEST

START_TEST(program_gets_password_and_on_request_libpq_variables)
{
	const char *script = "#!/bin/sh\ntest -z \"$PGHOST\" && test \"$PGPASSWORD\" = 's e c' && test \"$PWD\" = /\n";
	setenv("PGHOST", "elsewhere", 1);
	setenv("PGPASSWORD", "wrong", 1);
	struct program p = { .in = -1, .out = -1, .password = "s e c" };
	ck_assert_int_eq(run(script, p), ST_OK);
	p.keeps_environment = true;
	ck_assert_int_eq(run(script, p), ST_REFUSED);
	ck_assert_int_eq(run("#!/bin/sh\ntest \"$PGHOST\" = elsewhere && test \"$PGPASSWORD\" = 's e c'\n", p), ST_OK);
	unsetenv("PGHOST");
	unsetenv("PGPASSWORD");
}
END_TEST

static void make_cluster(const char *where, const char *version)
{
	char name[PATH_MAX];
	mkdir(in(where), 0700);
	snprintf(name, sizeof(name), "%s/pg", where);
	mkdir(in(name), 0700);
	snprintf(name, sizeof(name), "%s/pg/PG_VERSION", where);
	make_file(name, version);
}

static char version_of(const char *path)
{
	char name[PATH_MAX], c = '\0';
	snprintf(name, sizeof(name), "%.4000s/PG_VERSION", path);
	int fd = open(name, O_RDONLY);
	ck_assert_int_eq(read(fd, &c, 1), 1);
	close(fd);
	return c;
}

static void count(const char *path, void *arg) { ck_assert_int_eq(version_of(path), '0' + ++*(int *)arg); }

START_TEST(cluster_switched_in_keeps_the_old_one)
{
	char aside[PATH_MAX], kept[PATH_MAX];
	int clusters = 0;
	mkdir(in("s[*]"), 0700);
	for (char version[] = "1"; *version <= '4'; ++*version) {
		ck_assert_int_eq(switch_begin(in("s[*]"), aside, &why), ST_OK);
		make_cluster(strrchr(aside, '[') - 1, version);
		ck_assert_int_eq(switch_in(in("s[*]"), aside, kept, &why), ST_OK);
		switch_remove(aside);
		ck_assert_int_ne(access(aside, F_OK), 0);
		ck_assert_int_eq(version_of(in("s[*]/pg")), *version);
		if (*version == '1')
			ck_assert_str_eq(kept, "");
		else
			ck_assert_int_eq(version_of(kept), *version - 1);
	}
	switch_each_kept(in("s[*]"), count, &clusters);
	ck_assert_int_eq(clusters, 3);
}
END_TEST

START_TEST(cluster_that_cannot_be_switched_in_leaves_the_old_one)
{
	char aside[PATH_MAX], kept[PATH_MAX];
	int clusters = 0;
	make_cluster("s", "1");
	ck_assert_int_eq(switch_begin(in("s"), aside, &why), ST_OK); /* no cluster is created there */
	ck_assert_int_ne(switch_in(in("s"), aside, kept, &why), ST_OK);
	ck_assert_uint_gt(why.len, 0);
	ck_assert_int_eq(version_of(in("s/pg")), '1');
	switch_each_kept(in("s"), count, &clusters);
	ck_assert_int_eq(clusters, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("programs");
	TCase *tc = tcase_create("programs");
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, program_of_wanted_version_is_preferred_then_next_newer);
	tcase_add_test(tc, program_that_is_too_old_is_named_with_what_to_install);
	tcase_add_test(tc, program_that_fails_is_reported_with_its_last_lines);
	tcase_add_test(tc, program_gets_password_and_on_request_libpq_variables);
	tcase_add_test(tc, cluster_switched_in_keeps_the_old_one);
	tcase_add_test(tc, cluster_that_cannot_be_switched_in_leaves_the_old_one);
	suite_add_tcase(suite, tc);
	SRunner *runner = srunner_create(suite);
	srunner_set_tap(runner, "-");
	srunner_run_all(runner, CK_SILENT);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed > 0;
}
