/* SPDX-License-Identifier: MIT
 * See server.h. Notes on the use of libmicrohttpd (0.9.75):
 *  - MHD_USE_TURBO prevents it from calling shutdown() on a socket that was handed off; a unit test checks that.
 *  - It can accept from one listening socket only, so accept.c accepts, and connections are added.
 *  - A response queued in the first call of the access handler closes the connection: used to refuse a body unread.
 *  - MHD_run() is called from a hook of the loop, after everything that may have resumed a connection. */
#include "http/server.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "base/problem.h"
#include "base/secret.h"
#include "conf/conf.h"
#include "http/accept.h"
#include "http/access.h"
#include "http/budget.h"
#include "http/internal.h"
#include "http/mhd.h"
#include "http/refusals.h"
#include "hub/hub.h"
#include "loop/loop.h"

#define IDLE_S 75        /* a connection without a byte */
#define REQUEST_MS 60000 /* from a request's first line to its last byte */
#define SWEEP_MS 500
#define CROWD 8
#define OWN_DESCRIPTORS 64    /* for everything that isn't a connection: database, epoll, timers, inherited ones */
#define REQUESTS_ROOM 256     /* connections that streams leave to ordinary requests; a quarter of a smaller limit */
#define POOL_SIZE (32 * 1024) /* libmicrohttpd's memory for a connection */

/* ---- connections ---- */

void connection_wait(struct connection *c, struct list *list)
{
	c->waiting_since_ms = clock_mono_ms();
	list_remove(&c->link);
	list_append(list, &c->link);
}

void connection_wait_for_request(struct connection *c)
{
	c->asked = false;
	connection_wait(c, &c->server->waiting);
}

struct connection *connection_of(struct MHD_Connection *mhd)
{
	return MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
}

void connection_free_unfinished(struct connection *c)
{
	if (c->begun == NULL)
		return;
	c->server->open -= c->begun->is_open;
	request_free(c->begun);
	c->begun = NULL;
}

/* The map's values are the numbers of connections themselves, not pointers. */
static void count_address(struct http_server *s, uint64_t address, int by)
{
	uintptr_t count = (uintptr_t)map_get(&s->addresses, address) + (uintptr_t)by;
	if (address == 0)
		return;
	if (count > 0)
		map_set(&s->addresses, address, (void *)count); /* NOLINT(performance-no-int-to-ptr) */
	else
		map_remove(&s->addresses, address);
}

static void on_connection(
	void *arg, struct MHD_Connection *mhd, void **context, enum MHD_ConnectionNotificationCode code)
{
	struct http_server *s = arg;
	struct connection *c = *context;
	if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
		list_remove(&c->link);
		connection_free_unfinished(c);
		count_address(s, c->address, -1);
		free(c);
		s->connections--;
		return;
	}
	const union MHD_ConnectionInfo *fd = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
	c = mem_zeroed(1, sizeof(*c));
	*c = (struct connection) { .server = s,
		.fd = fd->connect_fd,
		.accounted = s->adding_accounted,
		.on_metrics_port = s->adding_metrics,
		.was_poll = s->adding_poll,
		.address = s->adding_address,
		.peer = s->adding_peer };
	list_init(&c->link);
	connection_wait_for_request(c);
	*context = c;
	count_address(s, c->address, 1);
	if (++s->connections > s->connections_peak)
		s->connections_peak = s->connections;
}

/* Returns the key under which the address's connections are counted; 0: a Unix socket, or a trusted proxy. */
static uint64_t address_key(const struct http_server *s, const struct sockaddr_storage *peer)
{
	char text[64];
	struct sockaddr_storage a = *peer;
	if (a.ss_family == AF_UNIX || conf_is_trusted_proxy(s->conf, (const struct sockaddr *)peer))
		return 0;
	client_network(&a, text, sizeof(text));
	return secret_keyed_hash(text, strlen(text)) | 1;
}

static socklen_t read_peer(struct http_server *s, int fd)
{
	socklen_t len = sizeof(s->adding_peer);
	s->adding_peer = (struct sockaddr_storage) { .ss_family = AF_UNIX };
	if (getpeername(fd, (struct sockaddr *)&s->adding_peer, &len) != 0)
		len = sizeof(sa_family_t);
	s->adding_address = address_key(s, &s->adding_peer);
	return len;
}

static void add_connection(
	struct http_server *s, int fd, socklen_t len, bool is_metrics, bool was_poll, uint64_t accounted)
{
	s->adding_metrics = is_metrics;
	s->adding_poll = was_poll;
	s->adding_accounted = accounted;
	if (MHD_add_connection(s->daemon, fd, (struct sockaddr *)&s->adding_peer, len) != MHD_YES)
		log_debug("can't add a connection: %s", strerror(errno)); /* it was closed */
	s->run = true;
}

void http_hand_back(struct http_server *s, int fd, uint64_t accounted)
{
	if (s->dying)
		close(fd);
	else
		add_connection(s, fd, read_peer(s, fd), false, true, accounted);
}

/* ---- accepting ---- */

static unsigned descriptors_used(const struct http_server *s)
{
	return s->connections + hub_stats(s->hub)->subscribers + OWN_DESCRIPTORS;
}

bool server_is_full(const struct http_server *s) { return descriptors_used(s) >= s->limit; }

bool http_has_room(const struct http_server *s)
{
	unsigned max = s->conf->streams_max, room = s->limit / 4 < REQUESTS_ROOM ? s->limit / 4 : REQUESTS_ROOM;
	unsigned streams = hub_stats(s->hub)->subscribers; /* one more stream replaces its connection */
	return streams + OWN_DESCRIPTORS + room < s->limit && (max == 0 || streams < max);
}

bool server_take(struct http_server *s, int fd, bool is_metrics)
{
	socklen_t len = read_peer(s, fd);
	unsigned max = s->conf->connections_per_address;
	if (!is_metrics && max > 0 && s->adding_address != 0 &&
		(uintptr_t)map_get(&s->addresses, s->adding_address) >= max)
		return false;
	add_connection(s, fd, len, is_metrics, false, 0);
	return true;
}

void http_listen(struct http_server *s, int fd, bool is_metrics, bool is_shared)
{
	acceptor_listen(s->acceptor, fd, is_metrics, is_shared);
}

void http_stop_accepting(struct http_server *s)
{
	s->stopping = true;
	acceptor_stop(s->acceptor);
}

/* ---- running ---- */

static void on_turn(void *arg)
{
	struct http_server *s = arg;
	acceptor_turn(s->acceptor);
	MHD_UNSIGNED_LONG_LONG timeout;
	for (int i = 0; s->run && i < 16; i++) {
		s->run = false;
		MHD_run(s->daemon);
		if (MHD_get_timeout(s->daemon, &timeout) == MHD_YES && timeout == 0)
			s->run = true;
	}
	if (s->run)
		loop_again(s->loop);
}

static void on_ready(void *arg, unsigned ready)
{
	struct http_server *s = arg;
	(void)ready;
	s->run = true;
}

/* Returns memory to the system after many connections have ended or become streams. */
static void trim(struct http_server *s)
{
	if (s->connections_peak - s->connections >= CROWD)
		malloc_trim(0);
	s->connections_peak = s->connections;
}

/* Shuts connections whose client closed its side together with its request: libmicrohttpd may have missed that, since
 * epoll reports it only once. */
static void shut_half_closed(const struct list *list, uint64_t since)
{
	char byte;
	for (struct list *l = list->prev, *prev; l != list; l = prev) {
		struct connection *c = container_of(l, struct connection, link);
		prev = l->prev;
		if (c->waiting_since_ms < since)
			return;
		if (recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0)
			shutdown(c->fd, SHUT_RDWR);
	}
}

/* Closes connections that take too long to send a request. libmicrohttpd's own timeout restarts with each byte. */
static void shut_slow(struct list *list, uint64_t since)
{
	while (!list_empty(list)) {
		struct connection *c = container_of(list->next, struct connection, link);
		if (c->waiting_since_ms > since)
			break;
		shutdown(c->fd, SHUT_RDWR); /* libmicrohttpd then sees the end of the connection */
		connection_wait(c, list);
	}
}

static void on_sweep(void *arg)
{
	struct http_server *s = arg;
	uint64_t now = clock_mono_ms();
	shut_half_closed(&s->waiting, now - 2 * SWEEP_MS);
	shut_half_closed(&s->coming, now - 2 * SWEEP_MS);
	acceptor_sweep(s->acceptor);
	trim(s);
	shut_slow(&s->waiting, now - REQUEST_MS - IDLE_S * 1000);
	shut_slow(&s->coming, now - REQUEST_MS);
	s->run = true; /* for libmicrohttpd's own timeouts */
}

static void on_log(void *arg, const char *fmt, va_list ap) PRINTF_LIKE(2, 0);
static void on_log(void *arg, const char *fmt, va_list ap)
{
	char line[256];
	(void)arg;
	vsnprintf(line, sizeof(line), fmt, ap);
	line[strcspn(line, "\n")] = '\0';
	if (strstr(line, "Application reported internal error") == NULL) /* a hand-off is logged as that */
		log_debug("libmicrohttpd: %s", line);
}

static unsigned descriptor_limit(void)
{
	struct rlimit r;
	return getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur < 1000000 ? (unsigned)r.rlim_cur : 1000000;
}

struct http_server *http_new(struct loop *loop, const struct conf *conf, struct hub *hub, struct metrics *metrics,
	const struct route *routes, const struct http_events *events, void *arg, int broker)
{
	struct http_server *s = mem_zeroed(1, sizeof(*s));
	*s = (struct http_server) { .loop = loop,
		.conf = conf,
		.hub = hub,
		.metrics = metrics,
		.routes = routes,
		.events = events,
		.arg = arg,
		.limit = descriptor_limit() };
	while (routes[s->routes_count].path != NULL)
		s->routes_count++;
	list_init(&s->waiting);
	list_init(&s->coming);
	s->daemon = MHD_start_daemon(
		MHD_USE_EPOLL | MHD_USE_TURBO | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_NO_LISTEN_SOCKET | MHD_USE_ERROR_LOG,
		0, NULL, NULL, exchange_continue, s, MHD_OPTION_EXTERNAL_LOGGER, on_log,
		s, /* first: it applies to messages from then on */
		MHD_OPTION_STRICT_FOR_CLIENT,
		0, /* its answers to ambiguous requests are wrong: is_ambiguous() refuses them */
		MHD_OPTION_CONNECTION_LIMIT, s->limit, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_S,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)POOL_SIZE, MHD_OPTION_URI_LOG_CALLBACK, exchange_begin, s,
		MHD_OPTION_NOTIFY_CONNECTION, on_connection, s, MHD_OPTION_NOTIFY_COMPLETED, exchange_end, s,
		MHD_OPTION_END);
	if (s->daemon == NULL)
		fatal("can't start libmicrohttpd");
	s->watch = loop_fd_new(
		loop, MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd, LOOP_READ, on_ready, s);
	s->hook = loop_hook_new(loop, on_turn, s);
	s->access = access_new(loop, metrics, conf->access_log, broker); /* its hook must run after this one's */
	s->refusals = refusals_new(loop);
	s->acceptor = acceptor_new(s, loop, metrics);
	s->sweep = loop_timer_new(loop, on_sweep, s);
	loop_timer_start(s->sweep, SWEEP_MS, SWEEP_MS);
	return s;
}

void http_free(struct http_server *s)
{
	http_stop_accepting(s);
	s->dying = true;
	loop_fd_free(s->watch);
	MHD_stop_daemon(s->daemon);
	loop_hook_free(s->hook);
	acceptor_free(s->acceptor);
	loop_timer_free(s->sweep);
	access_free(s->access);
	refusals_free(s->refusals);
	map_release(&s->addresses);
	budget_release(&s->bodies);
	budget_release(&s->answers);
	free(s);
}

unsigned http_requests_open(const struct http_server *s) { return s->open; }
unsigned http_connections(const struct http_server *s) { return s->connections; }
const struct conf *http_conf(const struct http_server *s) { return s->conf; }
struct hub *http_hub(const struct http_server *s) { return s->hub; }
struct metrics *http_metrics(const struct http_server *s) { return s->metrics; }
void *http_arg(const struct http_server *s) { return s->arg; }
struct access *http_access(const struct http_server *s) { return s->access; }
void http_reload(struct http_server *s) { access_reopen(s->access, s->conf->access_log); }
bool http_is_stopping(const struct http_server *s) { return s->stopping; }
void http_stream_gone(struct http_server *s, uint64_t key) { s->events->on_stream_gone(s->arg, key); }
