/* SPDX-License-Identifier: MIT
 * What a server's processes have given up: privileges, descriptors, and in the workers, most of the system. What still
 * works in a confined worker is the matter of all other tests. */
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/build.h"
#include "base/clock.h"

#include "../lib/client.h"
#include "../lib/command.h"
#include "../lib/proc.h"
#include "../lib/program.h"
#include "../lib/suite.h"

/* Returns the value of a line of /proc/PID/status, without blanks around it. */
static char *status_of(pid_t pid, const char *name)
{
	char line[1024], *value = NULL;
	FILE *f = fopen(format("/proc/%d/status", (int)pid), "re");
	ck_assert_ptr_nonnull(f);
	while (value == NULL && fgets(line, sizeof(line), f) != NULL)
		if (strncmp(line, name, strlen(name)) == 0 && line[strlen(name)] == ':')
			value = line + strlen(name) + 1;
	fclose(f);
	ck_assert_msg(value != NULL, "/proc/%d/status has no %s", (int)pid, name);
	value += strspn(value, " \t");
	for (size_t len = strlen(value); len > 0 && strchr(" \t\n", value[len - 1]) != NULL;)
		value[--len] = '\0';
	return format("%s", value);
}

static pid_t worker_of(pid_t server)
{
	pid_t pid;
	ck_assert_uint_eq(proc_children(server, "postern-work", &pid, 1), 1);
	return pid;
}

static bool belongs_to_root(pid_t pid)
{
	struct stat st;
	ck_assert_int_eq(stat(format("/proc/%d/fd", (int)pid), &st), 0);
	return st.st_uid == 0;
}

static void expect_no_privileges(pid_t pid)
{
	static const char *const sets[] = { "CapInh", "CapPrm", "CapEff", "CapAmb", "CapBnd" };
	ck_assert_str_eq(status_of(pid, "NoNewPrivs"), "1");
	/* Only root may shrink the bounding set; without privileges it means nothing (no_new_privs). */
	for (size_t i = 0; i < (geteuid() == 0 ? 5 : 4); i++)
		ck_assert_msg(
			strtoull(status_of(pid, sets[i]), NULL, 16) == 0, "%s is %s", sets[i], status_of(pid, sets[i]));
	if (geteuid() == 0)
		ck_assert_str_eq(status_of(pid, "Groups"), "");
}

START_TEST(processes_have_no_privileges)
{
	pid_t server = server_pid(test_server()), worker = worker_of(server);
	expect_no_privileges(server);
	expect_no_privileges(worker);
	expect_no_privileges(server_postmaster(test_server()));
}
END_TEST

START_TEST(processes_cannot_be_read_by_their_user)
{
	pid_t server = server_pid(test_server()), worker = worker_of(server);
	if (BUILD_SANITIZED)
		return;
	ck_assert(belongs_to_root(server));
	ck_assert(belongs_to_root(worker));
}
END_TEST

START_TEST(workers_run_under_a_filter_also_after_a_restart)
{
	pid_t server = server_pid(test_server()), worker = worker_of(server);
	const struct client *alice = user("alice");
	ck_assert_str_eq(status_of(worker, "Seccomp"), "2");
	ck_assert_str_eq(status_of(server, "Seccomp"), "0");
	kill(worker, SIGKILL);
	unsigned long long until = clock_mono_ms() + PATIENCE;
	pid_t next;
	while (proc_children(server, "postern-work", &next, 1) == 0 || next == worker)
		time_left(until, "a new worker");
	expect_status(get(alice, "/v1/chats"), 200);
	ck_assert_str_eq(status_of(next, "Seccomp"), "2");
}
END_TEST

static struct program *serve(const char *option, const char *value)
{
	const char *const args[] = { "serve", "--listen", "127.0.0.1:0", "--database", server_conninfo(test_server()),
		"--log-level", "info", option, value, NULL };
	return program_start(args, NULL, NULL);
}

/* A supplementary group of the target user, such as Debian's postgres has, would come by initgroups(). */
START_TEST(supplementary_groups_are_dropped)
{
	const gid_t groups[] = { 12345 };
	if (geteuid() != 0)
		return;
	ck_assert_int_eq(setgroups(1, groups), 0);
	struct program *p = serve(NULL, NULL);
	ck_assert_int_eq(setgroups(0, NULL), 0);
	program_await(p, "ready http");
	ck_assert_str_eq(status_of(program_pid(p), "Groups"), "");
	ck_assert_int_eq(program_stop(p), 0);
	p = serve("--user", "postgres");
	program_await(p, "ready http");
	ck_assert_str_eq(status_of(worker_of(program_pid(p)), "Groups"), "");
	ck_assert_int_eq(program_stop(p), 0);
}
END_TEST

static bool has_open(pid_t pid, const struct stat *file)
{
	struct stat st;
	for (int fd = 0; fd < 256; fd++)
		if (stat(format("/proc/%d/fd/%d", (int)pid, fd), &st) == 0 && st.st_ino == file->st_ino &&
			st.st_dev == file->st_dev)
			return true;
	return false;
}

START_TEST(inherited_descriptors_are_closed)
{
	struct stat st;
	int pipes[2];
	ck_assert_int_eq(pipe(pipes), 0); /* without O_CLOEXEC */
	ck_assert_int_eq(fstat(pipes[0], &st), 0);
	struct program *p = serve("--debuggable", NULL); /* else only root could look */
	close(pipes[0]);
	close(pipes[1]);
	program_await(p, "ready http");
	ck_assert(!has_open(program_pid(p), &st));
	ck_assert(!has_open(worker_of(program_pid(p)), &st));
	ck_assert_int_eq(program_stop(p), 0);
}
END_TEST

START_TEST(debuggable_server_is_not_confined)
{
	struct program *p = serve("--debuggable", NULL);
	program_await(p, "ready http");
	pid_t worker = worker_of(program_pid(p));
	ck_assert_str_eq(status_of(worker, "Seccomp"), "0");
	ck_assert_str_eq(status_of(worker, "NoNewPrivs"), "1");
	ck_assert(geteuid() == 0 || !belongs_to_root(worker));
	ck_assert_int_eq(program_stop(p), 0);
}
END_TEST

/* A container's filter, as the kernel sees it. */
START_TEST(server_without_permission_to_confine_itself_says_so_and_serves)
{
	program_forbid_confinement(true);
	struct program *p = serve(NULL, NULL);
	program_forbid_confinement(false);
	char *line = program_await(p, "not confined as usual: ");
	ck_assert_msg(strstr(line, "warn worker 0") != NULL, "%s", line);
	ck_assert_msg(strstr(line, "seccomp: Operation not permitted") != NULL, "%s", line);
	unsigned port;
	ck_assert_int_eq(sscanf(program_await(p, "ready http"), "ready http://127.0.0.1:%u", &port), 1);
	ck_assert_int_eq(system(format("curl -sf http://127.0.0.1:%u/readyz >/dev/null", port)), 0);
	ck_assert_int_eq(program_stop(p), 0);
}
END_TEST

static struct outcome doctor(void)
{
	return command_run((struct invocation) { 0 }, "doctor", "--json", "--state", server_state(test_server()),
		"--listen", format("127.0.0.1:%u", server_port(test_server())));
}

START_TEST(doctor_shows_how_workers_are_confined)
{
	struct outcome o = doctor();
	ck_assert_msg(
		strstr(o.out, "the workers run under a seccomp filter, without capabilities") != NULL, "%s", o.out);
	ck_assert_msg(strstr(o.out, "Landlock") != NULL, "%s", o.out);
}
END_TEST

START_TEST(doctor_warns_about_a_superuser_as_role)
{
	struct outcome o = command_run((struct invocation) { 0 }, "doctor", "--json", "--database",
		server_conninfo(test_server()), "--listen", "127.0.0.1:0");
	ck_assert_int_eq(o.status, 0);
	ck_assert_msg(strstr(o.out, "the role is a superuser") != NULL, "%s", o.out);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		processes_have_no_privileges,
		processes_cannot_be_read_by_their_user,
		workers_run_under_a_filter_also_after_a_restart,
		supplementary_groups_are_dropped,
		inherited_descriptors_are_closed,
		debuggable_server_is_not_confined,
		server_without_permission_to_confine_itself_says_so_and_serves,
		doctor_shows_how_workers_are_confined,
		doctor_warns_about_a_superuser_as_role,
		NULL,
	};
	return suite_run("confinement", tests, NULL);
}
