/* SPDX-License-Identifier: MIT
 * Secrets in files: the database's password in its own file or in libpq's password file, and settings that only root
 * may read. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"

#include "../lib/client.h"
#include "../lib/database.h"
#include "../lib/proc.h"
#include "../lib/program.h"
#include "../lib/suite.h"

#define SECRET "S3cret of 'quotes' \\ and blanks"

static void remove_later(void *arg) { unlink(arg); }

static char *file_with(const char *text, mode_t mode)
{
	char *path = format("/tmp/ppXXXXXX");
	int fd = mkstemp(path);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	ck_assert_int_eq(fchmod(fd, mode), 0);
	close(fd);
	return on_teardown(remove_later, path);
}

/* Creates a role with a password and its database on the first call. Returns a conninfo without the password. */
static char *database_with_password(void)
{
	PGconn *pg = database_open(test_server());
	static bool made;
	if (!made) {
		char *hba = format("%s/pg/pg_hba.conf", server_state(test_server())),
		     all[16384] = "local guarded all scram-sha-256\n";
		size_t len = strlen(all);
		FILE *f = fopen(hba, "re");
		len += fread(all + len, 1, sizeof(all) - len - 1, f);
		fclose(f);
		f = fopen(hba, "we");
		fwrite(all, 1, len, f);
		fclose(f);
		sql(pg, "create role guarded login password 'S3cret of ''quotes'' \\ and blanks'");
		sql(pg, "create database guarded owner guarded template template0 encoding 'UTF8'");
		sql(pg, "select pg_reload_conf()");
		made = true;
	}
	return format("host=%s/run user=guarded dbname=guarded", server_state(test_server()));
}

static void expect_no_secret(const char *where, const char *text, size_t len)
{
	ck_assert_msg(memmem(text, len, "S3cret", 6) == NULL, "the password is in %s", where);
}

/* Asserts that ps and /proc don't show the secret of this process. */
static void expect_no_secret_of(pid_t pid)
{
	static const char *const files[] = { "cmdline", "environ", "comm", NULL };
	for (size_t i = 0; files[i] != NULL; i++) {
		static char text[65536];
		char *path = format("/proc/%d/%s", (int)pid, files[i]);
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		ssize_t n = read(fd, text, sizeof(text));
		close(fd);
		ck_assert_int_gt(n, 0);
		expect_no_secret(path, text, (size_t)n);
	}
}

/* Asserts that connections made after the start have the password too. */
static void expect_reconnect(struct program *p)
{
	PGconn *pg = database_open(test_server());
	char *url = program_await(p, "ready http") + 6;
	unsigned port;
	ck_assert_int_eq(sscanf(url, "http://127.0.0.1:%u", &port), 1);
	sql(pg, "select count(pg_terminate_backend(pid)) from pg_stat_activity where usename = 'guarded'");
	unsigned long long until = clock_mono_ms() + PATIENCE;
	while (atoi(sql(pg, "select count(*) from pg_stat_activity where usename = 'guarded'")) < 3)
		time_left(until, "new connections");
	while (system(format("curl -sf http://127.0.0.1:%u/readyz >/dev/null", port)) != 0)
		time_left(until, "the server to be ready again");
}

START_TEST(password_file_opens_the_database)
{
	char *file = file_with(SECRET "\nand no more\n", 0600), *conninfo = database_with_password();
	/* Debuggable, so that an ordinary user sees the environment, too. */
	const char *const args[] = { "serve", "--listen", "127.0.0.1:0", "--log-level", "debug", "--database", conninfo,
		"--database-password-file", file, "--debuggable", NULL };
	struct program *p = program_start(args, NULL, NULL);
	pid_t workers[4];
	expect_reconnect(p);
	expect_no_secret_of(program_pid(p));
	size_t n = proc_children(program_pid(p), "postern-work", workers, 4);
	ck_assert_uint_eq(n, 1);
	expect_no_secret_of(workers[0]);
	ck_assert_int_eq(program_stop(p), 0);
	expect_no_secret("the log", program_said(p), strlen(program_said(p)));
	/* Commands use the same setting. */
	p = program_start((const char *const[]) { "user", "list", "--database", conninfo, "--database-password-file",
				  file, NULL },
		NULL, NULL);
	ck_assert_int_eq(program_await_exit(p), 0);
	p = program_start((const char *const[]) { "check-config", "--database", conninfo, "--database-password-file",
				  file, NULL },
		NULL, NULL);
	ck_assert_int_eq(program_await_exit(p), 0);
	expect_no_secret("check-config", program_said(p), strlen(program_said(p)));
	ck_assert_ptr_nonnull(strstr(program_said(p), format("database_password_file = %s", file)));
}
END_TEST

START_TEST(wrong_password_fails_the_start)
{
	const char *const args[] = { "serve", "--listen", "127.0.0.1:0", "--database", database_with_password(),
		"--database-password-file", file_with("S3cretly other", 0600), NULL };
	struct program *p = program_start(args, NULL, NULL);
	ck_assert_int_eq(program_await_exit(p), 1);
	ck_assert_msg(strstr(program_said(p), "password authentication failed") != NULL, "%s", program_said(p));
	expect_no_secret("the log", program_said(p), strlen(program_said(p)));
}
END_TEST

START_TEST(password_files_that_are_unsafe_or_malformed_are_refused)
{
	char *open_to_all = file_with(SECRET, 0644), *empty = file_with("\n", 0600);
	const char *const cases[][2] = { { open_to_all, "all users may read or write it" },
		{ empty, "its first line is empty" }, { "/nowhere/at/all", "No such file" }, { "/tmp", "not a file" } };
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct program *p = program_start((const char *const[]) { "serve", "--database", "host=/nowhere",
							  "--database-password-file", cases[i][0], NULL },
			NULL, NULL);
		ck_assert_int_eq(program_await_exit(p), 78);
		ck_assert_msg(
			strstr(program_said(p), cases[i][1]) != NULL && strstr(program_said(p), cases[i][0]) != NULL,
			"%s", program_said(p));
	}
}
END_TEST

/* Only root may read the file, and the server has dropped root's rights when it connects. */
START_TEST(passfile_of_libpq_opens_the_database)
{
	char *conninfo = database_with_password(),
	     *file = file_with("*:*:guarded:guarded:S3cret of 'quotes' \\\\ and blanks\n", 0600);
	for (int i = 0; i < 2; i++) {
		const char *const by_variable[] = { format("PGPASSFILE=%s", file), NULL };
		char *with_file = format("%s passfile=%s", conninfo, file);
		const char *const args[] = { "serve", "--listen", "127.0.0.1:0", "--database",
			i == 0 ? with_file : conninfo, NULL };
		struct program *p = program_start(args, i == 0 ? NULL : by_variable, NULL);
		expect_reconnect(p);
		ck_assert_int_eq(program_stop(p), 0);
	}
}
END_TEST

START_TEST(settings_readable_by_root_only_are_read)
{
	char *file = file_with(
		format("listen = 127.0.0.1:0\ndatabase = %s password='S3cret of \\'quotes\\' \\\\ and blanks'\n",
			database_with_password()),
		0600);
	struct program *p = program_start((const char *const[]) { "serve", "--config", file, NULL }, NULL, NULL);
	expect_reconnect(p);
	ck_assert_int_eq(program_stop(p), 0);
	expect_no_secret("the log", program_said(p), strlen(program_said(p)));
}
END_TEST

START_TEST(settings_in_systemd_credential_are_found)
{
	char dir[] = "/tmp/pdXXXXXX", *file = format("%s", mkdtemp(dir));
	file = format("%s/postern.conf", file);
	FILE *f = fopen(file, "we");
	fputs("text_max = 123\n", f);
	fclose(f);
	const char *const env[] = { format("CREDENTIALS_DIRECTORY=%s", dir), NULL };
	struct program *p = program_start((const char *const[]) { "check-config", NULL }, env, NULL);
	ck_assert_int_eq(program_await_exit(p), 0);
	ck_assert_msg(strstr(program_said(p), format("# %s:1", file)) != NULL, "%s", program_said(p));
	/* --config takes precedence. */
	p = program_start((const char *const[]) { "check-config", "--config", "/dev/null", NULL }, env, NULL);
	ck_assert_int_eq(program_await_exit(p), 0);
	ck_assert_ptr_null(strstr(program_said(p), file));
	unlink(file);
	rmdir(dir);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		password_file_opens_the_database,
		wrong_password_fails_the_start,
		password_files_that_are_unsafe_or_malformed_are_refused,
		passfile_of_libpq_opens_the_database,
		settings_readable_by_root_only_are_read,
		settings_in_systemd_credential_are_found,
		NULL,
	};
	return suite_run("passwords", tests, NULL);
}
