/* SPDX-License-Identifier: MIT
 * The behaviour of libmicrohttpd that the hand-off of a connection relies on and that is not documented: a request
 * whose handler returns MHD_NO is released without a shutdown of the socket, so a duplicate of the descriptor keeps
 * working; and the duplicate can be returned for the next request. Also tests the options of a stream's socket. */
#include <arpa/inet.h>
#include <check.h>
#include <fcntl.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http/mhd.h"
#include "http/transport.h"

#define PAGE "<html><head><title>Like one of the library's own</title></head></html>"

static struct MHD_Daemon *daemon_;
static int taken, client;
static size_t header_size;

static enum MHD_Result on_access(void *arg, struct MHD_Connection *c, const char *url, const char *method,
	const char *version, const char *data, size_t *size, void **context)
{
	static int seen;
	(void)arg, (void)method, (void)version, (void)data, (void)size;
	if (*context == NULL) {
		*context = &seen;
		return MHD_YES;
	}
	if (strcmp(url, "/take") == 0) {
		header_size = MHD_get_connection_info(c, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE)->header_size;
		taken = fcntl(
			MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd, F_DUPFD_CLOEXEC, 3);
		return MHD_NO;
	}
	const char *body = strcmp(url, "/page") == 0 ? PAGE : "ok";
	struct MHD_Response *r = mhd_response((void *)(uintptr_t)body, strlen(body), false);
	enum MHD_Result rc = MHD_queue_response(c, 200, r);
	MHD_destroy_response(r);
	return rc;
}

static void on_log(void *arg, const char *fmt, va_list ap) { (void)arg, (void)fmt, (void)ap; }

static void setup(void)
{
	int pair[2];
	daemon_ = MHD_start_daemon(
		MHD_USE_EPOLL | MHD_USE_TURBO | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_NO_LISTEN_SOCKET | MHD_USE_ERROR_LOG,
		0, NULL, NULL, on_access, NULL, MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL, MHD_OPTION_END);
	ck_assert_ptr_nonnull(daemon_);
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sin);
	int lis = socket(AF_INET, SOCK_STREAM, 0);
	ck_assert(bind(lis, (struct sockaddr *)&sin, sizeof(sin)) == 0 && listen(lis, 1) == 0 &&
		getsockname(lis, (struct sockaddr *)&sin, &len) == 0);
	client = socket(AF_INET, SOCK_STREAM, 0);
	ck_assert(connect(client, (struct sockaddr *)&sin, sizeof(sin)) == 0);
	pair[0] = accept4(lis, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	close(lis);
	taken = -1;
	ck_assert(MHD_add_connection(daemon_, pair[0], (struct sockaddr *)&sin, sizeof(sin)) == MHD_YES);
}

static void teardown(void)
{
	close(client);
	if (taken >= 0)
		close(taken);
	MHD_stop_daemon(daemon_);
}

static void run_until(bool (*done)(void))
{
	struct pollfd p = { .fd = MHD_get_daemon_info(daemon_, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd, .events = POLLIN };
	for (int i = 0; i < 1000 && !done(); i++) {
		MHD_UNSIGNED_LONG_LONG timeout = 0;
		MHD_run(daemon_);
		if (!done() && (MHD_get_timeout(daemon_, &timeout) != MHD_YES || timeout > 0))
			poll(&p, 1, 1000);
	}
	ck_assert(done());
}

static bool is_taken(void) { return taken >= 0; }
static bool is_answered(void) { return poll(&(struct pollfd) { .fd = client, .events = POLLIN }, 1, 0) == 1; }

static void say(const char *text) { ck_assert_int_eq(send(client, text, strlen(text), 0), (ssize_t)strlen(text)); }

static void hand_off(void)
{
	const char *request = "GET /take HTTP/1.1\r\nHost: x\r\n\r\n";
	say(request);
	run_until(is_taken);
	ck_assert_uint_eq(header_size, strlen(request)); /* shows that no byte after the request was read */
	for (int i = 0; i < 10; i++)
		MHD_run(daemon_); /* libmicrohttpd closes its descriptor */
}

START_TEST(handoff_does_not_close_the_connection)
{
	char got[8] = "";
	hand_off();
	ck_assert_int_eq(poll(&(struct pollfd) { .fd = client, .events = POLLIN | POLLRDHUP }, 1, 50), 0);
	ck_assert_int_eq(send(taken, "hello", 5, MSG_NOSIGNAL), 5);
	ck_assert_int_eq(recv(client, got, sizeof(got), 0), 5);
	ck_assert_str_eq(got, "hello");
	say("back");
	ck_assert_int_eq(recv(taken, got, sizeof(got), 0), 4);
}
END_TEST

START_TEST(handoff_descriptor_can_be_returned)
{
	char got[512];
	struct sockaddr_in peer = { .sin_family = AF_INET };
	hand_off();
	int fd = taken;
	taken = -1;
	ck_assert(MHD_add_connection(daemon_, fd, (struct sockaddr *)&peer, sizeof(peer)) == MHD_YES);
	say("GET /next HTTP/1.1\r\nHost: x\r\n\r\n");
	run_until(is_answered);
	ssize_t n = recv(client, got, sizeof(got) - 1, 0);
	ck_assert_int_gt(n, 0);
	got[n] = '\0';
	ck_assert_int_eq(strncmp(got, "HTTP/1.1 200", 12), 0);
}
END_TEST

START_TEST(mhd_response_like_a_page_of_the_library_is_sent_unchanged)
{
	char got[1024];
	say("GET /page HTTP/1.1\r\nHost: x\r\n\r\n");
	run_until(is_answered);
	ssize_t n = recv(client, got, sizeof(got) - 1, 0);
	ck_assert_int_gt(n, 0);
	got[n] = '\0';
	ck_assert_int_eq(strncmp(got, "HTTP/1.1 200", 12), 0);
	ck_assert_ptr_nonnull(strstr(got, "\r\n\r\n" PAGE));
}
END_TEST

START_TEST(mhd_error_page_of_the_library_becomes_a_problem)
{
	char got[1024];
	say("GET /page HTTP/9.9\r\nHost: x\r\n\r\n");
	run_until(is_answered);
	ssize_t n = recv(client, got, sizeof(got) - 1, 0);
	ck_assert_int_gt(n, 0);
	got[n] = '\0';
	ck_assert_int_eq(strncmp(got, "HTTP/1.1 505", 12), 0);
	ck_assert_ptr_nonnull(strstr(got, "application/problem+json"));
	ck_assert_ptr_null(strstr(got, "<html>"));
}
END_TEST

static int option(int fd, int level, int name)
{
	int value = -1;
	socklen_t len = sizeof(value);
	ck_assert_int_eq(getsockopt(fd, level, name, &value, &len), 0);
	return value;
}

/* A fixed send buffer would limit a stream to that many bytes per round trip. */
START_TEST(stream_over_tcp_limits_unsent_bytes_and_not_the_window)
{
	int before = option(client, SOL_SOCKET, SO_SNDBUF);
	transport_tune(client, true);
	ck_assert_int_eq(option(client, IPPROTO_TCP, TCP_NOTSENT_LOWAT), 16384);
	ck_assert_int_eq(option(client, SOL_SOCKET, SO_SNDBUF), before);
	ck_assert_int_eq(option(client, IPPROTO_TCP, TCP_NODELAY), 1);
}
END_TEST

START_TEST(stream_over_a_unix_socket_has_a_small_send_buffer)
{
	int pair[2];
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	int before = option(pair[0], SOL_SOCKET, SO_SNDBUF);
	transport_tune(pair[0], false);
	ck_assert_int_eq(option(pair[0], SOL_SOCKET, SO_SNDBUF), before);
	transport_tune(pair[0], true);
	ck_assert_int_eq(option(pair[0], SOL_SOCKET, SO_SNDBUF), 2 * 16384); /* Linux adds its own overhead */
	close(pair[0]);
	close(pair[1]);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("handoff");
	TCase *tc = tcase_create("handoff");
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, handoff_does_not_close_the_connection);
	tcase_add_test(tc, handoff_descriptor_can_be_returned);
	tcase_add_test(tc, mhd_response_like_a_page_of_the_library_is_sent_unchanged);
	tcase_add_test(tc, mhd_error_page_of_the_library_becomes_a_problem);
	tcase_add_test(tc, stream_over_tcp_limits_unsent_bytes_and_not_the_window);
	tcase_add_test(tc, stream_over_a_unix_socket_has_a_small_send_buffer);
	suite_add_tcase(suite, tc);
	SRunner *runner = srunner_create(suite);
	srunner_set_tap(runner, "-");
	srunner_run_all(runner, CK_SILENT);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
