/* SPDX-License-Identifier: MIT
 * Postern under a service manager: the notifications it sends, the sockets it is passed, and what its children must
 * not inherit. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"

#include "../lib/client.h"
#include "../lib/manager.h"
#include "../lib/proc.h"
#include "../lib/program.h"
#include "../lib/suite.h"

static void close_later(void *arg) { close((int)(intptr_t)arg); }
static void remove_later(void *arg) { unlink(arg); }

static char *abstract_name(void)
{
	static unsigned n;
	return format("@postern-test-%d-%u", (int)getpid(), n++);
}

static struct program *serve(const char *name, const char *const more[], const int fds[])
{
	const char *args[24] = { "serve", "--database", server_conninfo(test_server()) },
		   *env[6] = { format("NOTIFY_SOCKET=%s", name) };
	size_t n = 3;
	if (fds == NULL) {
		args[n++] = "--listen";
		args[n++] = "127.0.0.1:0";
	}
	for (size_t i = 0; more != NULL && more[i] != NULL && n < 23; i++)
		if (strchr(more[i], '=') != NULL)
			env[1 + (env[1] != NULL)] = more[i];
		else
			args[n++] = more[i];
	return program_start(args, env, fds);
}

/* Returns a listening socket, as a service manager passes it. */
static int tcp_socket(unsigned *ret_port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(
		bind(fd, (struct sockaddr *)&a, len) | listen(fd, 128) | getsockname(fd, (struct sockaddr *)&a, &len),
		0);
	*ret_port = ntohs(a.sin_port);
	on_teardown(close_later, (void *)(intptr_t)fd);
	return fd;
}

static struct sockaddr_un unix_address(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	strcpy(a.sun_path, path);
	return a;
}

static int unix_socket(const char *path)
{
	struct sockaddr_un a = unix_address(path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&a, sizeof(a)) | listen(fd, 128) | chmod(path, 0666), 0);
	on_teardown(close_later, (void *)(intptr_t)fd);
	on_teardown(remove_later, (void *)(uintptr_t)path);
	return fd;
}

static int connect_to(unsigned port)
{
	struct sockaddr_in a = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)port)
	};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	on_teardown(close_later, (void *)(intptr_t)fd);
	return fd;
}

static void request_readyz(int fd)
{
	static const char request[] = "GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n";
	ck_assert_int_eq(send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL), sizeof(request) - 1);
}

static void expect_200(int fd)
{
	char text[16] = "";
	ck_assert_int_eq(recv(fd, text, 12, MSG_WAITALL), 12);
	ck_assert_str_eq(text, "HTTP/1.1 200");
}

START_TEST(notify_ready_is_sent_when_serving)
{
	char *path = format("/tmp/pn%d", (int)getpid());
	on_teardown(remove_later, path);
	for (int i = 0; i < 2; i++) {
		char *name = i == 0 ? abstract_name() : path;
		struct manager *m = manager_new(name);
		struct program *p = serve(name, NULL, NULL);
		manager_await(m, "READY=1");
		char *status = manager_await(m, "STATUS=");
		char *ready = program_await(p, "ready http");
		ck_assert_str_eq(status, format("STATUS=Serving at %s with 1 worker", ready + 6));
		ck_assert_uint_eq(manager_heard(m, "READY=1"), 1);
		kill(program_pid(p), SIGTERM);
		manager_await(m, "STOPPING=1");
		ck_assert_int_eq(program_await_exit(p), 0);
	}
}
END_TEST

START_TEST(notify_ready_is_not_sent_by_failed_start)
{
	char *name = abstract_name();
	struct manager *m = manager_new(name);
	struct program *p = program_start(
		(const char *const[]) { "serve", "--listen", "127.0.0.1:0", "--database", "nonsense=1", NULL },
		(const char *const[]) { format("NOTIFY_SOCKET=%s", name), NULL }, NULL);
	ck_assert_int_eq(program_await_exit(p), 1);
	char *status = manager_await(m, "STATUS=");
	ck_assert_msg(strstr(status, "nonsense") != NULL, "%s", status);
	ck_assert_uint_eq(manager_heard(m, "READY=1"), 0);
}
END_TEST

/* The silent port delays the start, which extends its timeout repeatedly. */
START_TEST(notify_extends_timeout_during_long_start)
{
	unsigned port;
	char *name = abstract_name();
	struct manager *m = manager_new(name);
	tcp_socket(&port);
	struct program *p = program_start((const char *const[]) { "serve", "--listen", "127.0.0.1:0", "--database",
						  format("host=127.0.0.1 port=%u connect_timeout=600", port), NULL },
		(const char *const[]) { format("NOTIFY_SOCKET=%s", name), NULL }, NULL);
	for (int i = 0; i < 2; i++) {
		char *more = manager_await(m, "EXTEND_TIMEOUT_USEC=");
		ck_assert_msg(atoll(strchr(more, '=') + 1) >= 10000000, "%s", more);
	}
	ck_assert_uint_eq(manager_heard(m, "READY=1"), 0);
	ck_assert_int_eq(program_stop(p), 0);
}
END_TEST

START_TEST(watchdog_is_not_notified_while_a_worker_hangs)
{
	char *name = abstract_name();
	struct manager *m = manager_new(name);
	pid_t workers[4];
	struct program *p =
		serve(name, (const char *const[]) { "WATCHDOG_USEC=3000000", "--workers", "2", NULL }, NULL);
	manager_await(m, "READY=1");
	program_await(p, "ready http");
	manager_await(m, "WATCHDOG=1");
	manager_await(m, "WATCHDOG=1");
	ck_assert_uint_eq(proc_children(program_pid(p), "postern-work", workers, 4), 2);
	kill(workers[0], SIGSTOP);
	manager_await(m, "STATUS=A worker doesn't answer");
	manager_forget(m);
	/* The supervisor kills and replaces the worker. */
	manager_await(m, "STATUS=Serving at ");
	ck_assert_uint_eq(manager_heard(m, "WATCHDOG=1"), 0);
	manager_await(m, "WATCHDOG=1");
	ck_assert_int_eq(program_stop(p), 0);
}
END_TEST

START_TEST(watchdog_of_another_process_is_ignored)
{
	char *name = abstract_name();
	struct manager *m = manager_new(name);
	struct program *p = serve(name, (const char *const[]) { "WATCHDOG_USEC=300000", "WATCHDOG_PID=1", NULL }, NULL);
	manager_await(m, "READY=1");
	kill(program_pid(p), SIGTERM);
	manager_await(m, "STOPPING=1");
	ck_assert_uint_eq(manager_heard(m, "WATCHDOG=1"), 0);
}
END_TEST

static bool has_variable(pid_t pid, const char *prefix)
{
	char text[65536], *path = format("/proc/%d/environ", (int)pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	ssize_t n = read(fd, text, sizeof(text) - 1);
	close(fd);
	ck_assert_int_gt(n, 0);
	text[n] = '\0';
	for (char *p = text; p < text + n; p += strlen(p) + 1)
		if (strncmp(p, prefix, strlen(prefix)) == 0)
			return true;
	return false;
}

/* The children that run other programs are initdb and PostgreSQL with its processes. /proc shows the environment that
 * they were started with. */
START_TEST(notify_variables_are_not_passed_to_children)
{
	unsigned port;
	char *name = abstract_name(), dir[] = "/tmp/pvXXXXXX";
	ck_assert_ptr_nonnull(mkdtemp(dir));
	chmod(dir, 0755);
	struct manager *m = manager_new(name);
	int fds[] = { tcp_socket(&port), -1 };
	const char *const env[] = { format("NOTIFY_SOCKET=%s", name), "WATCHDOG_USEC=60000000", "LISTEN_FDNAMES=http",
		"POSTERN_TEST=1", NULL };
	struct program *p =
		program_start((const char *const[]) { "serve", "--state", format("%s/s", dir), NULL }, env, fds);
	manager_await(m, "READY=1");
	pid_t postmaster;
	ck_assert_uint_eq(proc_children(program_pid(p), "postgres", &postmaster, 1), 1);
	ck_assert(has_variable(postmaster, "POSTERN_TEST=")); /* the other variables are passed */
	static const char *const secret[] = { "NOTIFY_SOCKET=", "WATCHDOG_", "LISTEN_" };
	for (size_t i = 0; i < 3; i++)
		ck_assert_msg(!has_variable(postmaster, secret[i]), "PostgreSQL has %s", secret[i]);
	struct stat ours, theirs;
	ck_assert_int_eq(fstat(fds[0], &ours), 0);
	for (int fd = 3; fd < 32; fd++)
		ck_assert(stat(format("/proc/%d/fd/%d", (int)postmaster, fd), &theirs) < 0 ||
			theirs.st_ino != ours.st_ino || theirs.st_dev != ours.st_dev);
	ck_assert_int_eq(program_stop(p), 0);
	ck_assert_uint_eq(manager_heard(m, "READY=1"), 1);
	ck_assert_int_eq(system(format("rm -r %s", dir)), 0);
}
END_TEST

START_TEST(passed_sockets_are_served)
{
	unsigned port, metrics_port;
	char *name = abstract_name(), *path = format("/tmp/pu%d", (int)getpid());
	manager_new(name);
	int fds[] = { tcp_socket(&port), unix_socket(path), tcp_socket(&metrics_port), -1 };
	/* The addresses of the settings aren't bound: binding this one would fail. */
	char *taken = format("127.0.0.1:%u", server_port(test_server()));
	struct program *p =
		serve(name, (const char *const[]) { "LISTEN_FDNAMES=http:http:metrics", "--listen", taken, NULL }, fds);
	ck_assert_str_eq(program_await(p, "ready "), format("ready http://127.0.0.1:%u", port));
	int fd = connect_to(port), local = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0),
	    metrics = connect_to(metrics_port);
	on_teardown(close_later, (void *)(intptr_t)local);
	struct sockaddr_un a = unix_address(path);
	ck_assert_int_eq(connect(local, (struct sockaddr *)&a, sizeof(a)), 0);
	request_readyz(fd);
	request_readyz(local);
	expect_200(fd);
	expect_200(local);
	static const char get_metrics[] = "GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
	char text[65536];
	ck_assert_int_gt(send(metrics, get_metrics, sizeof(get_metrics) - 1, 0), 0);
	ssize_t n = recv(metrics, text, sizeof(text) - 1, MSG_WAITALL);
	text[n > 0 ? n : 0] = '\0';
	ck_assert_msg(strstr(text, "postern_workers 1") != NULL, "%s", text);
	/* The other sockets don't serve metrics. */
	int plain = connect_to(port);
	ck_assert_int_gt(send(plain, get_metrics, sizeof(get_metrics) - 1, 0), 0);
	ck_assert_int_eq(recv(plain, text, 12, MSG_WAITALL), 12);
	ck_assert_int_eq(memcmp(text, "HTTP/1.1 404", 12), 0);
	ck_assert_int_eq(program_stop(p), 0);
	ck_assert_int_eq(access(path, F_OK), 0); /* the server must not remove it */
}
END_TEST

START_TEST(passed_socket_restart_loses_no_connection)
{
	unsigned port;
	char *name = abstract_name();
	struct manager *m = manager_new(name);
	int fds[] = { tcp_socket(&port), -1 };
	struct program *p = serve(name, NULL, fds);
	manager_await(m, "READY=1");
	ck_assert_int_eq(program_stop(p), 0);
	int fd = connect_to(port); /* while no server runs */
	request_readyz(fd);
	p = serve(name, NULL, fds);
	expect_200(fd);
	ck_assert_int_eq(program_stop(p), 0);
}
END_TEST

static size_t count_sockets(pid_t pid)
{
	size_t n = 0;
	char link[64];
	for (int fd = 0; fd < 256; fd++)
		n += readlink(format("/proc/%d/fd/%d", (int)pid, fd), link, sizeof(link)) > 0 &&
			strncmp(link, "socket:", 7) == 0;
	return n;
}

START_TEST(passed_socket_connections_reach_every_worker)
{
	enum { WORKERS = 3, CONNECTIONS = 24, CONNECTIONS_MAX = 240 };
	unsigned port;
	char *name = abstract_name();
	manager_new(name);
	int fds[] = { tcp_socket(&port), -1 };
	pid_t workers[WORKERS + 1];
	size_t before[WORKERS];
	/* Debuggable: otherwise only root sees the sockets of a worker. */
	struct program *p = serve(name, (const char *const[]) { "--workers", "3", "--debuggable", NULL }, fds);
	program_await(p, "ready http");
	ck_assert_uint_eq(proc_children(program_pid(p), "postern-work", workers, WORKERS + 1), WORKERS);
	for (int i = 0; i < WORKERS; i++)
		before[i] = count_sockets(workers[i]);
	/* Connections are opened one after the other, because concurrent ones would all go to the first worker in the
	 * queue. A worker that isn't scheduled meanwhile gets none of them. */
	bool all = false;
	for (int n = 1; !all; n++) {
		ck_assert_msg(n <= CONNECTIONS_MAX, "after %d connections a worker still has fewer than three", n);
		int fd = connect_to(port);
		request_readyz(fd);
		expect_200(fd);
		all = n >= CONNECTIONS;
		for (int i = 0; i < WORKERS && all; i++)
			all = count_sockets(workers[i]) >= before[i] + 3;
	}
	ck_assert_int_eq(program_stop(p), 0);
}
END_TEST

START_TEST(passed_descriptor_that_does_not_listen_is_refused)
{
	int fds[] = { socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), -1 };
	on_teardown(close_later, (void *)(intptr_t)fds[0]);
	struct program *p = program_start(
		(const char *const[]) { "serve", "--database", server_conninfo(test_server()), NULL }, NULL, fds);
	ck_assert_int_eq(program_await_exit(p), 1);
	ck_assert_msg(strstr(program_said(p),
			      "descriptor 3, passed by the service manager, isn't a listening stream socket") != NULL,
		"%s", program_said(p));
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		notify_ready_is_sent_when_serving,
		notify_ready_is_not_sent_by_failed_start,
		notify_extends_timeout_during_long_start,
		watchdog_is_not_notified_while_a_worker_hangs,
		watchdog_of_another_process_is_ignored,
		notify_variables_are_not_passed_to_children,
		passed_sockets_are_served,
		passed_socket_restart_loses_no_connection,
		passed_socket_connections_reach_every_worker,
		passed_descriptor_that_does_not_listen_is_refused,
		NULL,
	};
	return suite_run("service", tests, NULL);
}
