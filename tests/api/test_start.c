/* SPDX-License-Identifier: MIT
 * A start that waits ends at once on SIGTERM, wherever it waits, and leaves nothing behind. Each of these waits would
 * last minutes or forever. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"

#include "../lib/client.h"
#include "../lib/database.h"
#include "../lib/proc.h"
#include "../lib/program.h"
#include "../lib/suite.h"

static void close_later(void *arg) { close((int)(intptr_t)arg); }

/* Returns a port that accepts connections and sends nothing. */
static unsigned silent_port(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(
		bind(fd, (struct sockaddr *)&a, len) | listen(fd, 16) | getsockname(fd, (struct sockaddr *)&a, &len),
		0);
	on_teardown(close_later, (void *)(intptr_t)fd);
	return ntohs(a.sin_port);
}

static char *directory(void)
{
	char *dir = format("/tmp/psXXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	ck_assert_int_eq(chmod(dir, 0777), 0); /* as root, the server drops its privileges */
	return dir;
}

static struct program *serve(const char *option, const char *value)
{
	const char *const args[] = { "serve", "--listen", "127.0.0.1:0", "--log-level", "debug", option, value, NULL };
	return program_start(args, NULL, NULL);
}

static void expect_end_at_once(struct program *p)
{
	ck_assert_int_eq(program_stop(p), 0);
	ck_assert_msg(strstr(program_said(p), "stopped by a signal") != NULL, "%s", program_said(p));
}

START_TEST(sigterm_while_the_database_is_silent_ends_the_start)
{
	struct program *p =
		serve("--database", format("host=127.0.0.1 port=%u user=postern connect_timeout=600", silent_port()));
	program_await(p, "waiting for the database");
	expect_end_at_once(p);
}
END_TEST

START_TEST(sigterm_while_the_database_is_away_ends_the_start)
{
	char *dir = directory();
	struct program *p = serve("--database", format("host=%s user=postern", dir));
	/* There is no socket, as before a server has started: the start retries for a minute. */
	program_await(p, "waiting for the database");
	expect_end_at_once(p);
	rmdir(dir);
}
END_TEST

START_TEST(sigterm_while_another_node_migrates_ends_the_start)
{
	PGconn *pg = database_open(test_server());
	sql(pg, "select pg_advisory_lock(1886352244, 7170407)");
	struct program *p = serve("--database", server_conninfo(test_server()));
	program_await(p, "waiting for another node that is migrating");
	expect_end_at_once(p);
	sql(pg, "select pg_advisory_unlock_all()");
}
END_TEST

START_TEST(sigterm_while_a_statement_waits_for_a_lock_ends_the_start)
{
	PGconn *pg = database_open(test_server());
	sql(pg, "begin");
	sql(pg, "lock table postern.migration in access exclusive mode");
	struct program *p = serve("--database", server_conninfo(test_server()));
	await_waiting(pg, 1);
	expect_end_at_once(p);
	sql(pg, "rollback");
	/* Processes left by the start hold no lock. */
	unsigned long long until = clock_mono_ms() + PATIENCE;
	while (*sql(pg, "select pid from pg_stat_activity where application_name = 'postern migrate'") != '\0')
		time_left(until, "the statement to end");
}
END_TEST

START_TEST(sigterm_while_a_command_holds_the_directory_ends_the_start)
{
	char *dir = directory(), *lock = format("%s/lock", dir);
	int fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
	fchmod(fd, 0666);
	ck_assert_int_eq(flock(fd, LOCK_EX), 0);
	ck_assert_int_gt(dprintf(fd, "command %d\n", (int)getpid()), 0);
	if (getuid() == 0)
		ck_assert_int_eq(system(format("chown -R nobody %s", dir)), 0);
	struct program *p = program_start((const char *const[]) { "serve", "--listen", "127.0.0.1:0", "--state", dir,
						  "--log-level", "debug", NULL },
		NULL, NULL);
	program_await(p, "waiting for the state directory");
	expect_end_at_once(p);
	close(fd);
	unlink(lock);
	rmdir(dir);
}
END_TEST

/* A server that waits for archived WAL is in recovery. */
START_TEST(sigterm_while_the_private_database_recovers_ends_the_start)
{
	struct server *other = server_start(NULL);
	char *state = format("%s", server_state(other));
	server_stop(other);
	struct stat owner;
	ck_assert_int_eq(stat(format("%s/pg/PG_VERSION", state), &owner), 0);
	FILE *f = fopen(format("%s/pg/postgresql.auto.conf", state), "a");
	fputs("restore_command = 'sleep 600'\n", f);
	fclose(f);
	char *signal_file = format("%s/pg/recovery.signal", state);
	close(open(signal_file, O_WRONLY | O_CREAT, 0600));
	ck_assert_int_eq(chown(signal_file, owner.st_uid, owner.st_gid), 0);
	struct program *p = serve("--state", state);
	unsigned long long until = clock_mono_ms() + PATIENCE;
	for (char *log = format("%s/postgres.log", state);
		system(format("[ $(grep -c 'was shut down at' %s) -ge 2 ]", log)) != 0;)
		time_left(until, "recovery to begin");
	expect_end_at_once(p);
	ck_assert_int_ne(access(format("%s/pg/postmaster.pid", state), F_OK), 0);
}
END_TEST

/* Makes an initdb as slow as on an overloaded disk: it writes its child's id to `began` and runs for ten minutes. */
static void make_slow_initdb(const char *dir)
{
	FILE *f = fopen(format("%s/initdb", dir), "we");
	ck_assert_ptr_nonnull(f);
	fprintf(f,
		"#!/bin/sh\n[ \"$1\" = --version ] && exec \"$(ls /usr/lib/postgresql/*/bin/initdb | head -n 1)\" "
		"--version\n"
		"sleep 600 & echo $! >%s/began.new && mv %s/began.new %s/began && wait\n",
		dir, dir, dir);
	fclose(f);
	ck_assert_int_eq(chmod(format("%s/initdb", dir), 0755), 0);
	ck_assert_int_eq(
		system(format("ln -s \"$(ls /usr/lib/postgresql/*/bin/postgres | head -n 1)\" %s/postgres", dir)), 0);
}

START_TEST(sigterm_while_the_private_cluster_is_created_ends_the_start)
{
	char *dir = directory(), *state = format("%s/state", dir), *began = format("%s/began", dir);
	make_slow_initdb(dir);
	struct program *p = program_start((const char *const[]) { "serve", "--listen", "127.0.0.1:0", "--state", state,
						  "--pg-bindir", dir, "--log-level", "debug", NULL },
		NULL, NULL);
	unsigned long long until = clock_mono_ms() + PATIENCE;
	while (access(began, F_OK) != 0)
		time_left(until, "initdb to begin");
	FILE *f = fopen(began, "re");
	int pid = 0;
	ck_assert(f != NULL && fscanf(f, "%d", &pid) == 1 && pid > 0);
	fclose(f);
	expect_end_at_once(p);
	while (proc_lives(pid)) /* the child of initdb */
		time_left(until, "initdb's own processes to end");
	ck_assert_int_ne(access(format("%s/pg", state), F_OK), 0);
	/* The next start succeeds. */
	p = program_start(
		(const char *const[]) { "serve", "--listen", "127.0.0.1:0", "--state", state, NULL }, NULL, NULL);
	program_await(p, "ready http://");
	ck_assert_int_eq(program_stop(p), 0);
	ck_assert_int_ne(system(format("ls -d %s/pg.new.* 2>/dev/null", state)), 0);
	ck_assert_int_eq(system(format("rm -rf %s", dir)), 0);
}
END_TEST

START_TEST(sigterm_and_sigint_end_commands)
{
	for (int i = 0; i < 2; i++) {
		char *silent = format("host=127.0.0.1 port=%u user=postern connect_timeout=600", silent_port());
		struct program *p = program_start(
			(const char *const[]) { "user", "list", "--database", silent, "--log-level", "debug", NULL },
			NULL, NULL);
		program_await(p, "waiting for the database");
		kill(program_pid(p), i == 0 ? SIGTERM : SIGINT);
		ck_assert_int_eq(program_await_exit(p), 128 + (i == 0 ? SIGTERM : SIGINT));
	}
}
END_TEST

START_TEST(postgres_settings_unchanged_are_not_written_again)
{
	struct server *other = server_start(NULL);
	struct stat before, after;
	char *path = format("%s/pg/postern.conf", server_state(other));
	server_stop(other);
	ck_assert_int_eq(stat(path, &before), 0);
	server_restart(other);
	ck_assert_int_eq(stat(path, &after), 0);
	ck_assert_uint_eq(after.st_ino, before.st_ino);
	ck_assert_int_eq(after.st_mtim.tv_nsec, before.st_mtim.tv_nsec);
	server_stop(other);
	/* A manual change in the file is corrected. */
	ck_assert_int_eq(truncate(path, 10), 0);
	server_restart(other);
	ck_assert_int_eq(stat(path, &after), 0);
	ck_assert_int_eq(after.st_size, before.st_size);
	server_stop(other);
}
END_TEST

static struct program *serve_unix(const char *path)
{
	struct program *p = program_start((const char *const[]) { "serve", "--listen", format("unix:%s", path),
						  "--database", server_conninfo(test_server()), NULL },
		NULL, NULL);
	program_await(p, "ready unix:");
	return p;
}

START_TEST(unix_socket_is_removed_at_stop)
{
	char *dir = directory();
	/* First in a directory where only root may remove it, then in one where its creator may. */
	for (int sticky = 0; sticky < 2; sticky++) {
		char *path = format("%s/%d.sock", dir, sticky);
		ck_assert_int_eq(chmod(dir, sticky ? 01777 : getuid() == 0 ? 0755 : 0700), 0);
		struct program *p = serve_unix(path);
		ck_assert_int_eq(access(path, F_OK), 0);
		ck_assert_int_eq(program_stop(p), 0);
		ck_assert_int_ne(access(path, F_OK), 0);
		pid_t left_behind[4];
		ck_assert_uint_eq(proc_children(getpid(), "postern", left_behind, 4), 1); /* of the main server */
	}
	rmdir(dir);
}
END_TEST

START_TEST(unix_socket_of_another_server_is_kept)
{
	char *dir = directory(), *path = format("%s/s", dir);
	struct program *p = serve_unix(path);
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	strcpy(a.sun_path, path);
	ck_assert_int_eq(unlink(path), 0);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	on_teardown(close_later, (void *)(intptr_t)fd);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&a, sizeof(a)) | listen(fd, 1), 0);
	ck_assert_int_eq(program_stop(p), 0);
	ck_assert_int_eq(access(path, F_OK), 0);
	/* A server listens: the start refuses and keeps the socket. */
	p = program_start((const char *const[]) { "serve", "--listen", format("unix:%s", path), "--database",
				  server_conninfo(test_server()), NULL },
		NULL, NULL);
	ck_assert_int_eq(program_await_exit(p), 1);
	ck_assert_msg(strstr(program_said(p), "another server is using this address") != NULL, "%s", program_said(p));
	ck_assert_int_eq(access(path, F_OK), 0);
	/* No server listens: the socket is replaced. */
	shutdown(fd, SHUT_RDWR);
	ck_assert_int_eq(program_stop(serve_unix(path)), 0);
	ck_assert_int_ne(access(path, F_OK), 0);
	rmdir(dir);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		sigterm_while_the_database_is_silent_ends_the_start,
		sigterm_while_the_database_is_away_ends_the_start,
		sigterm_while_another_node_migrates_ends_the_start,
		sigterm_while_a_statement_waits_for_a_lock_ends_the_start,
		sigterm_while_a_command_holds_the_directory_ends_the_start,
		sigterm_while_the_private_database_recovers_ends_the_start,
		sigterm_while_the_private_cluster_is_created_ends_the_start,
		sigterm_and_sigint_end_commands,
		postgres_settings_unchanged_are_not_written_again,
		unix_socket_is_removed_at_stop,
		unix_socket_of_another_server_is_kept,
		NULL,
	};
	return suite_run("start", tests, NULL);
}
