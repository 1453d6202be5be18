/* SPDX-License-Identifier: MIT
 * A database with several hosts, some of which don't answer: the server finds the one that does, at the start and
 * later, and the event loop never waits for the others. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../lib/client.h"
#include "../lib/command.h"
#include "../lib/database.h"
#include "../lib/program.h"
#include "../lib/stream.h"
#include "../lib/suite.h"
#include "base/clock.h"

enum { FILLERS = 8 };

/* Ports without a working server. */
static struct {
	unsigned silent; /* accepts, and sends nothing */
	unsigned full;   /* doesn't accept: its backlog is full */
	unsigned closed; /* refuses */
} ports;

static int socket_at(unsigned *ret_port)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&at, len), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&at, &len), 0);
	*ret_port = ntohs(at.sin_port);
	return fd;
}

/* Connects until no connection is accepted. The descriptors stay open until the program ends. */
static void fill_backlog(unsigned port)
{
	struct sockaddr_in at = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)port)
	};
	for (int i = 0; i < FILLERS; i++) {
		int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		if (connect(fd, (struct sockaddr *)&at, sizeof(at)) < 0)
			ck_assert_int_eq(errno, EINPROGRESS);
	}
}

static void open_ports(void)
{
	if (ports.silent != 0)
		return;
	ck_assert_int_eq(listen(socket_at(&ports.silent), 64), 0);
	ck_assert_int_eq(listen(socket_at(&ports.full), 0), 0);
	fill_backlog(ports.full);
	socket_at(&ports.closed);
}

static char *socket_dir(void) { return format("%s/run", server_state(test_server())); }

/* Returns a conninfo with hosts in the given order: s(ilent), f(ull), c(losed), r(eal). */
static char *conninfo_of_hosts(const char *order)
{
	char *host = format("%s", ""), *port = format("%s", "");
	open_ports();
	for (const char *o = order; *o != '\0'; o++) {
		const char *comma = o > order ? "," : "";
		host = format("%s%s%s", host, comma, *o == 'r' ? socket_dir() : "127.0.0.1");
		port = format("%s%s%u", port, comma,
			*o == 's'           ? ports.silent
				: *o == 'f' ? ports.full
				: *o == 'c' ? ports.closed
					    : 5432);
	}
	return format("host=%s port=%s user=postern dbname=postgres connect_timeout=1", host, port);
}

static struct outcome migrate_status(const char *conninfo)
{
	return command_run(((struct invocation) { 0 }), "migrate", "--status", "--database", conninfo);
}

static const char *const orders[] = { "rsfc", "srfc", "fscr", "cfrs", "sfcr", "fr", "cr", "sr" };

START_TEST(hosts_in_any_order_lead_to_the_primary)
{
	for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
		struct outcome o = migrate_status(conninfo_of_hosts(orders[i]));
		ck_assert_msg(o.status == 0, "%s: %s", orders[i], o.err);
		ck_assert_ptr_nonnull(strstr(o.out, "0001_initial.sql"));
	}
}
END_TEST

START_TEST(hosts_without_any_answer_are_each_named)
{
	struct outcome o = migrate_status(conninfo_of_hosts("sfc"));
	ck_assert_int_eq(o.status, 1);
	ck_assert_ptr_nonnull(strstr(o.err, format("port %u: no answer within 1 s", ports.silent)));
	ck_assert_ptr_nonnull(strstr(o.err, format("port %u: no answer within 1 s", ports.full)));
	ck_assert_ptr_nonnull(strstr(o.err, format("port %u failed: Connection refused", ports.closed)));
}
END_TEST

START_TEST(hosts_and_ports_of_different_length_are_refused)
{
	struct outcome o = migrate_status("host=a,b,c port=1,2 user=postern");
	ck_assert_int_ne(o.status, 0);
	ck_assert_ptr_nonnull(strstr(o.err, "2 ports for 3 hosts"));
	o = migrate_status("host=a,b hostaddr=127.0.0.1 user=postern");
	ck_assert_int_ne(o.status, 0);
	ck_assert_ptr_nonnull(strstr(o.err, "hostaddr"));
}
END_TEST

START_TEST(hosts_target_session_attrs_apply_to_each)
{
	ck_assert_int_eq(migrate_status(format("%s target_session_attrs=primary", conninfo_of_hosts("cr"))).status, 0);
	ck_assert_int_eq(migrate_status(format("%s target_session_attrs=any", conninfo_of_hosts("cr"))).status, 0);
	ck_assert_int_eq(
		migrate_status(format("%s target_session_attrs=prefer-standby", conninfo_of_hosts("cr"))).status, 0);
	struct outcome o = migrate_status(format("%s target_session_attrs=standby", conninfo_of_hosts("cr")));
	ck_assert_int_eq(o.status, 1);
	ck_assert_msg(strstr(o.err, "standby") != NULL, "%s", o.err);
}
END_TEST

START_TEST(hosts_from_service_file_and_environment_are_used)
{
	char *file = format("%s.services", server_state(test_server()));
	FILE *f = fopen(file, "we");
	fprintf(f, "[house]\nhost=127.0.0.1,%s\nport=%u,5432\nuser=postern\ndbname=postgres\n", socket_dir(),
		ports.closed);
	fclose(f);
	chmod(file, 0644);
	struct program *p = program_start(
		(const char *const[]) { "migrate", "--status", "--database", "service=house connect_timeout=1", NULL },
		(const char *const[]) { format("PGSERVICEFILE=%s", file), NULL }, NULL);
	ck_assert_msg(program_await_exit(p) == 0, "%s", program_said(p));
	p = program_start((const char *const[]) { "migrate", "--status", "--database",
				  "user=postern dbname=postgres connect_timeout=1", NULL },
		(const char *const[]) {
			format("PGHOST=127.0.0.1,%s", socket_dir()), format("PGPORT=%u,5432", ports.closed), NULL },
		NULL);
	ck_assert_msg(program_await_exit(p) == 0, "%s", program_said(p));
	unlink(file);
}
END_TEST

/* Retries a send until it is accepted, as a client does; the key prevents a second message. */
static void say_until_accepted(struct client *who, long long chat, const char *key)
{
	unsigned long long until = clock_mono_ms() + PATIENCE;
	for (int status = 0; status != 201; time_left(until, "a send to be accepted")) {
		status = say_with_key(who, chat, key, "once").status;
		ck_assert(status == 201 || status == 503);
	}
}

START_TEST(hosts_silent_before_the_primary_do_not_prevent_a_start)
{
	struct server *node = server_join(test_server(),
		(const char *const[]) { "--database", conninfo_of_hosts("sfcr"), "--rate-sends", "0", NULL });
	struct client *ann = new_user(), *there = on_server(ann, node);
	long long chat = make_group(ann);
	say(there, chat, "found");
	struct stream *s = stream_from_now(there);
	pid_t old = server_postmaster(test_server()), now = old;
	kill(old, SIGKILL);
	for (unsigned long long until = clock_mono_ms() + PATIENCE; now == old || now == 0;
		now = server_postmaster(test_server()))
		time_left(until, "the database to be started again");
	say_until_accepted(there, chat, "k"); /* on a new connection */
	ck_assert_str_eq(json_str(expect(s, "message"), "text"), "once");
	for (unsigned long long until = clock_mono_ms() + PATIENCE; get(there, "/readyz").status != 200;)
		time_left(until, "the node to be ready again");
	server_stop(node);
}
END_TEST

START_TEST(hosts_with_slow_name_server_do_not_delay_streams)
{
	char *lib = format("%s/tests/lib/slow_names.so", getenv("TOP_BUILDDIR") != NULL ? getenv("TOP_BUILDDIR") : ".");
	ck_assert_int_eq(access(lib, R_OK), 0);
	setenv("TEST_PRELOAD", lib, 1);
	char *options =
		format("%s:verify_asan_link_order=0", getenv("ASAN_OPTIONS") != NULL ? getenv("ASAN_OPTIONS") : "");
	setenv("ASAN_OPTIONS", options, 1);
	struct server *node = server_join(test_server(),
		(const char *const[]) { "--database",
			format("host=%s,db.slow port=5432 user=postern dbname=postgres connect_timeout=1",
				socket_dir()),
			"--heartbeat", "1", NULL });
	unsetenv("TEST_PRELOAD");
	struct client *ann = new_user(), *there = on_server(ann, node);
	long long chat = make_group(ann);
	struct stream *s = stream_from_now(there);
	say(there, chat, "before");
	expect(s, "message");
	/* The stopped postmaster accepts no new connections, and the existing ones are terminated. */
	PGconn *pg = database_open(test_server());
	pid_t postmaster = server_postmaster(test_server());
	kill(postmaster, SIGSTOP);
	sql(pg,
		"select count(pg_terminate_backend(pid)) from pg_stat_activity where pid <> pg_backend_pid() and "
		"backend_type = 'client backend'");
	for (unsigned long long until = clock_mono_ms() + PATIENCE;
		!server_logged(node, "\"db.slow\", port 5432: its name isn't resolved yet");
		time_left(until, "the slow name to be looked up"))
		expect_status(get(on_server(anonymous(), node), "/healthz"), 200);
	for (int i = 0; i < 3; i++) {
		expect_heartbeat(s);
		expect_status(get(on_server(anonymous(), node), "/healthz"), 200);
	}
	kill(postmaster, SIGCONT);
	say_until_accepted(there, chat, "after");
	ck_assert_str_eq(json_str(expect(s, "message"), "text"), "once");
	server_stop(node);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = { hosts_in_any_order_lead_to_the_primary, hosts_without_any_answer_are_each_named,
		hosts_and_ports_of_different_length_are_refused, hosts_target_session_attrs_apply_to_each,
		hosts_from_service_file_and_environment_are_used,
		hosts_silent_before_the_primary_do_not_prevent_a_start,
		hosts_with_slow_name_server_do_not_delay_streams, NULL };
	return suite_run("hosts", tests, NULL);
}
