/* SPDX-License-Identifier: MIT
 * Running as in a container: with a user id without a passwd entry, or without HOME. Needs root to switch users. */
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../lib/client.h"
#include "../lib/program.h"
#include "../lib/suite.h"

enum { UNNAMED = 12345 };

static const char *const no_home[] = { "HOME", NULL };

static void end_container(void *dir)
{
	program_run_as(0);
	setenv("POSTERN_BIN", format("%s", getenv("REAL_POSTERN_BIN")), 1);
	if (system(format("rm -rf %s", (char *)dir)) != 0)
		ck_abort_msg("%s can't be removed", (char *)dir);
}

/* Creates a directory that belongs to the user, and a copy of the program that they can run. Programs started from now
 * on run as that user. NULL: this process isn't root. */
static char *start_as(uid_t user)
{
	if (geteuid() != 0)
		return NULL;
	ck_assert(user != UNNAMED || getpwuid(user) == NULL);
	char *dir = format("/tmp/pcXXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	on_teardown(end_container, dir);
	ck_assert_int_eq(system(format("cp %s %s/postern", getenv("POSTERN_BIN"), dir)), 0);
	ck_assert_int_eq(
		chmod(dir, 0755) | chmod(format("%s/postern", dir), 0755) | mkdir(format("%s/u", dir), 0755), 0);
	ck_assert_int_eq(chown(format("%s/u", dir), user, user), 0);
	setenv("REAL_POSTERN_BIN", getenv("POSTERN_BIN"), 1);
	setenv("POSTERN_BIN", format("%s/postern", dir), 1);
	program_run_as(user);
	return format("%s/u", dir);
}

/* Runs the program and asserts its exit status; returns its output. */
#define expect_exit(status, ...) expect_exit_args(status, (const char *const[]) { __VA_ARGS__, NULL })
static const char *expect_exit_args(int status, const char *const args[])
{
	struct program *p = program_start(args, no_home, NULL);
	int got = program_await_exit(p);
	ck_assert_msg(got == status, "`postern %s` ended with %d: %s", args[0], got, program_said(p));
	return program_said(p);
}

static void expect_text(const char *said, const char *text)
{
	ck_assert_msg(strstr(said, text) != NULL, "no `%s` in: %s", text, said);
}

START_TEST(serve_as_user_without_passwd_entry_says_what_initdb_needs)
{
	char *dir = start_as(UNNAMED), *state = format("%s/s", dir);
	if (dir == NULL)
		return;
	static const char reason[] = "user id 12345 has no name, which initdb needs: add the id to /etc/passwd";
	expect_text(expect_exit(1, "serve", "--listen", "127.0.0.1:0", "--state", state), reason);
	expect_text(expect_exit(1, "user", "list", "--state", state), reason);
	expect_text(expect_exit(1, "token", "alice", "--state", state), reason);
}
END_TEST

START_TEST(serve_as_user_without_passwd_entry_or_state_says_what_is_missing)
{
	if (start_as(UNNAMED) == NULL)
		return;
	static const char reason[] = "name the state directory with --state DIR";
	expect_text(expect_exit(78, "serve", "--listen", "127.0.0.1:0"), reason);
	expect_text(expect_exit(78, "user", "list"), reason);
	expect_text(expect_exit(78, "token", "alice"), reason);
}
END_TEST

static struct program *serve(const char *option, const char *value)
{
	const char *const args[] = { "serve", "--listen", "127.0.0.1:0", option, value, NULL };
	struct program *p = program_start(args, no_home, NULL);
	program_await(p, "ready http://127.0.0.1:");
	return p;
}

START_TEST(serve_as_user_without_passwd_entry_uses_existing_data)
{
	char *dir = start_as(UNNAMED), *state = format("%s/s", dir);
	if (dir == NULL)
		return;
	/* As in a container's volume, the data were created by a user with a name, and belong to this one later. */
	program_run_as(getpwnam("nobody")->pw_uid);
	ck_assert_int_eq(system(format("chown nobody %s", dir)), 0);
	expect_exit(0, "user", "list", "--state", state);
	ck_assert_int_eq(system(format("chown -R %d %s", UNNAMED, dir)), 0);
	program_run_as(UNNAMED);

	expect_exit(0, "user", "add", "alice", "--state", state);
	struct program *p = serve("--state", state);
	expect_text(expect_exit(0, "user", "list", "--state", state), "alice");
	expect_text(expect_exit(0, "token", "alice", "--state", state), "pt_");
	char *database = format("host=%s/run user=postern dbname=postgres", state);
	expect_text(expect_exit(0, "user", "list", "--database", database), "alice");
	expect_text(expect_exit(0, "token", "alice", "--database", database), "pt_");
	ck_assert_int_eq(program_stop(serve("--database", database)), 0);
	ck_assert_int_eq(program_stop(p), 0);
}
END_TEST

START_TEST(state_without_home_variable_is_below_passwd_home)
{
	const struct passwd *nobody = getpwnam("nobody");
	if (start_as(nobody->pw_uid) == NULL)
		return;
	expect_text(expect_exit(0, "check-config"), format("state = %s/.local/share/postern", nobody->pw_dir));
}
END_TEST

int main(void)
{
	const TTest *const tests[] = { serve_as_user_without_passwd_entry_says_what_initdb_needs,
		serve_as_user_without_passwd_entry_or_state_says_what_is_missing,
		serve_as_user_without_passwd_entry_uses_existing_data, state_without_home_variable_is_below_passwd_home,
		NULL };
	return suite_run("container", tests, NULL);
}
