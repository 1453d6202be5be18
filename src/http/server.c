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
#include "base/mem.h"
#include "base/metrics.h"
#include "base/problem.h"
#include "conf/conf.h"
#include "http/accept.h"
#include "http/access.h"
#include "http/internal.h"
#include "http/mhd.h"
#include "http/refusals.h"
#include "hub/hub.h"
#include "loop/loop.h"

#define IDLE_S 75        /* a connection without a byte */
#define REQUEST_MS 60000 /* from a request's first line to its last byte */
#define SWEEP_MS 500
#define DISCARD_MAX ((size_t)4 << 20)
#define CROWD 8
#define OWN_DESCRIPTORS 64    /* for everything that isn't a connection: database, epoll, timers, inherited ones */
#define REQUESTS_ROOM 256     /* connections that streams leave to ordinary requests; a quarter of a smaller limit */
#define POOL_SIZE (32 * 1024) /* libmicrohttpd's memory for a connection */

struct http_server {
	struct loop *loop;
	const struct conf *conf;
	struct hub *hub;
	struct metrics *metrics;
	struct access *access;
	struct refusals *refusals;
	const struct route *routes;
	unsigned routes_count;
	const struct http_events *events;
	void *arg;
	struct MHD_Daemon *daemon;
	struct loop_fd *watch;
	struct loop_hook *hook;
	struct loop_timer *sweep;
	struct acceptor *acceptor;
	struct list waiting, coming; /* connections without a request, and with the beginning of one; ordered by the
					time when they began to wait */
	unsigned open, connections, limit;
	unsigned connections_peak; /* since the last sweep */
	bool run, stopping, dying;
	/* Arguments of add_connection() for on_connection(), which libmicrohttpd calls within it. */
	bool adding_metrics, adding_poll;
	uint64_t adding_accounted;
	struct sockaddr_storage adding_peer;
};

/* ---- connections ---- */

static void wait_in(struct connection *c, struct list *list)
{
	c->waiting_since_ms = clock_mono_ms();
	list_remove(&c->link);
	list_append(list, &c->link);
}

static void wait_for_request(struct connection *c)
{
	c->asked = false;
	wait_in(c, &c->server->waiting);
}

static struct connection *connection_of(struct MHD_Connection *mhd)
{
	return MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
}

/* Frees the connection's unfinished request. If the parameters fill the connection's memory, libmicrohttpd never calls
 * on_completed() for it. */
static void free_forgotten(struct connection *c)
{
	if (c->begun == NULL)
		return;
	c->server->open -= c->begun->is_open;
	request_free(c->begun);
	c->begun = NULL;
}

static void on_connection(
	void *arg, struct MHD_Connection *mhd, void **context, enum MHD_ConnectionNotificationCode code)
{
	struct http_server *s = arg;
	struct connection *c = *context;
	if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
		list_remove(&c->link);
		free_forgotten(c);
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
		.peer = s->adding_peer };
	list_init(&c->link);
	wait_for_request(c);
	*context = c;
	if (++s->connections > s->connections_peak)
		s->connections_peak = s->connections;
}

static void add_connection(struct http_server *s, int fd, bool is_metrics, bool was_poll, uint64_t accounted)
{
	socklen_t len = sizeof(s->adding_peer);
	s->adding_peer = (struct sockaddr_storage) { .ss_family = AF_UNIX };
	if (getpeername(fd, (struct sockaddr *)&s->adding_peer, &len) != 0)
		len = sizeof(sa_family_t);
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
		add_connection(s, fd, false, true, accounted);
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

void server_take(struct http_server *s, int fd, bool is_metrics) { add_connection(s, fd, is_metrics, false, 0); }

void http_listen(struct http_server *s, int fd, bool is_metrics, bool is_shared)
{
	acceptor_listen(s->acceptor, fd, is_metrics, is_shared);
}

void http_stop_accepting(struct http_server *s)
{
	s->stopping = true;
	acceptor_stop(s->acceptor);
}

/* ---- requests ---- */

static void *on_uri(void *arg, const char *uri, struct MHD_Connection *mhd)
{
	struct connection *c = connection_of(mhd);
	free_forgotten(c);
	wait_in(c, &c->server->coming);
	return c->begun = request_new(arg, uri);
}

static bool has_body(const struct request *req)
{
	const char *length = request_header(req, "Content-Length");
	return request_header(req, "Transfer-Encoding") != NULL ||
		(length != NULL && strspn(length, "0") != strlen(length));
}

static enum MHD_Result count_lengths(void *arg, enum MHD_ValueKind kind, const char *name, const char *value)
{
	unsigned *n = arg;
	(void)kind;
	(void)value;
	*n += strcasecmp(name, "Content-Length") == 0 || strcasecmp(name, "Transfer-Encoding") == 0;
	return MHD_YES;
}

/* If a proxy and the server disagree on where a body ends, requests can be smuggled past the proxy (RFC 9112, 6.3). */
static bool is_ambiguous(const struct request *req)
{
	unsigned lengths = 0;
	if (request_header(req, "Host") == NULL && !request_is_http10(req))
		return true;
	if (request_header(req, "Content-Length") != NULL || request_header(req, "Transfer-Encoding") != NULL)
		MHD_get_connection_values(req->mhd, MHD_HEADER_KIND, count_lengths, &lengths);
	return lengths > 1;
}

static size_t body_cap(const struct request *req)
{
	const struct conf *conf = req->server->conf;
	bool bulk = (req->route->flags & ROUTE_BULK) && request_has_type(req, "application/x-ndjson");
	size_t cap = bulk ? conf->bulk_max : conf->body_max;
	return cap ? cap : SIZE_MAX / 4;
}

/* Checks a request whose head was received. Returns PROBLEM_NONE if it is acceptable. */
static enum problem admit(struct request *req, char *allow, size_t size)
{
	size_t header_max = req->server->conf->header_max;
	if (header_max > 0 && mhd_head_size(req->mhd) > header_max)
		return PROBLEM_HEADER_TOO_LARGE;
	if (is_ambiguous(req)) {
		req->unclear = true;
		return PROBLEM_BAD_REQUEST;
	}
	const char *coding = request_header(req, "Transfer-Encoding");
	if (coding != NULL && strcasecmp(coding, "chunked") != 0) {
		req->unclear = true;
		return PROBLEM_NOT_IMPLEMENTED;
	}
	if (coding != NULL)
		req->conn->unaccountable = true;
	enum problem p = router_find(req, req->server->routes, allow, size);
	if (p != PROBLEM_NONE)
		return p;
	if (!has_body(req))
		return PROBLEM_NONE;
	if (!(req->route->flags & (ROUTE_BODY | ROUTE_BULK)))
		return PROBLEM_BODY_NOT_ALLOWED;
	const char *length = request_header(req, "Content-Length");
	return length != NULL && strtoull(length, NULL, 10) > body_cap(req) ? PROBLEM_BODY_TOO_LARGE : PROBLEM_NONE;
}

static void refuse(struct request *req, enum problem p, const char *allow)
{
	if (p == PROBLEM_METHOD_NOT_ALLOWED)
		request_add_header(req, "Allow", allow);
	request_problem(req, p, NULL, "");
}

/* Answers OPTIONS on an existing path, which a browser sends before a request from another origin. */
static bool answer_options(struct request *req, const char *allow)
{
	if (strcmp(req->method, "OPTIONS") != 0 || *allow == '\0')
		return false;
	request_add_header(req, "Allow", allow);
	if (request_header(req, "Access-Control-Request-Method") != NULL) {
		request_add_header(req, "Access-Control-Allow-Methods", allow);
		request_add_header(req, "Access-Control-Allow-Headers",
			"Authorization, Content-Type, Idempotency-Key, If-Match, Last-Event-ID, X-Request-Id, "
			"Cache-Control");
		request_add_header(req, "Access-Control-Max-Age", "600");
	}
	request_reply(req, 204, NULL, NULL, 0);
	return true;
}

/* Returns its index in the table; the table's length for a request without a route. */
static unsigned route_index(const struct request *req)
{
	const struct http_server *s = req->server;
	return req->route != NULL ? (unsigned)(req->route - s->routes) : s->routes_count;
}

static void count_answer(const struct request *req, int status)
{
	uint64_t now = clock_mono_us();
	metrics_request(req->server->metrics, route_index(req), (unsigned)status, now - req->began_us);
}

static enum MHD_Result finish(struct request *req)
{
	struct metrics *m = req->server->metrics;
	if (req->on_handed_off != NULL) {
		bool may = req->server->events->may_stream(req->server->arg, req);
		int fd = may ? fcntl(req->conn->fd, F_DUPFD_CLOEXEC, 3) : -1;
		if (may && fd < 0)
			log_warn("can't hand off a connection: %s", strerror(errno));
		void (*on_handed_off)(void *, struct request *, int) = req->on_handed_off;
		req->on_handed_off = NULL;
		on_handed_off(req->hand_off_arg, req, fd);
		if (fd >= 0) {
			trace_step(req->trace, "connection handed off");
			count_answer(req, 200);
			if (req->head)
				access_request(req->server->access, req, 200, 0, true);
			return MHD_NO; /* libmicrohttpd frees the connection and leaves the socket open */
		}
		req->answered = false;
		request_add_header(req, "Connection", "close"); /* a refused client shouldn't keep a descriptor */
		if (may)
			request_problem(
				req, PROBLEM_OVERLOADED, "The server has no room for another stream. Retry later.", "");
		else
			request_problem(req, PROBLEM_DATABASE_AWAY,
				"The credential must be checked again after a revocation. Retry the request.", "");
		metrics_count(m, M_FULL_STREAMS, may);
	}
	count_answer(req, req->status);
	/* A failed sign-in has a line of its own. */
	if ((req->status == 401 || req->status == 403 || req->status == 429) && req->problem != PROBLEM_NONE &&
		req->problem != PROBLEM_BAD_CREDENTIALS)
		refusals_note(req->server->refusals, req, req->problem, req->offered);
	char path[256];
	log_event(LOG_DEBUG, "request", F("method", req->method), F("path", access_path(req, path, sizeof(path))),
		F_NUMBER("status", req->status), F("request", req->id));
	return MHD_queue_response(req->mhd, (unsigned)req->status, req->response);
}

static enum MHD_Result on_head(struct request *req, struct MHD_Connection *mhd, const char *method, const char *version)
{
	char allow[128] = "";
	req->seen = req->is_open = true;
	req->server->open++;
	request_begin(req, mhd, method, version);
	req->conn->asked = true;
	enum problem p = admit(req, allow, sizeof(allow));
	char path[256];
	trace_step(req->trace, "head read", F("method", req->method), F("path", access_path(req, path, sizeof(path))),
		F("refused", p != PROBLEM_NONE ? problem_code(p) : NULL));
	if (p == PROBLEM_NONE)
		return MHD_YES;
	if (p != PROBLEM_METHOD_NOT_ALLOWED || !answer_options(req, allow))
		refuse(req, p, allow);
	return req->unclear || has_body(req)
		? finish(req)
		: MHD_YES; /* without a body the answer is queued in the last call, which keeps the connection */
}

static enum MHD_Result on_body(struct request *req, const char *data, size_t size)
{
	if (req->answered)
		return MHD_YES;
	if (req->too_large || req->body.len + size > body_cap(req)) {
		req->too_large = true;
		req->discarded += size;
		return req->discarded > DISCARD_MAX ? MHD_NO : MHD_YES;
	}
	buf_add(&req->body, data, size);
	return buf_failed(&req->body) ? MHD_NO : MHD_YES;
}

static void dispatch(struct request *req)
{
	struct http_server *s = req->server;
	struct trace *before = trace_enter(req->trace);
	trace_step(req->trace, "handler called", F("route", req->route->path), F_NUMBER("body", req->body.len));
	s->events->on_request(s->arg, req);
	trace_enter(before);
}

static enum MHD_Result on_whole(struct request *req)
{
	req->dispatched = true;
	req->conn->waiting_since_ms = 0;
	list_remove(&req->conn->link);
	if (!req->answered) {
		if (req->too_large)
			request_problem(req, PROBLEM_BODY_TOO_LARGE, NULL, "");
		else
			dispatch(req);
	}
	if (req->answered)
		return finish(req);
	req->suspended = true;
	MHD_suspend_connection(req->mhd);
	return MHD_YES;
}

static enum MHD_Result on_access(void *arg, struct MHD_Connection *mhd, const char *url, const char *method,
	const char *version, const char *data, size_t *size, void **context)
{
	struct request *req = *context;
	(void)arg;
	(void)url;
	if (req == NULL)
		return MHD_NO;
	if (!req->seen)
		return on_head(req, mhd, method, version);
	if (*size > 0) {
		size_t n = *size;
		*size = 0;
		return on_body(req, data, n);
	}
	return req->dispatched ? finish(req) : on_whole(req);
}

static void on_completed(void *arg, struct MHD_Connection *mhd, void **context, enum MHD_RequestTerminationCode code)
{
	struct http_server *s = arg;
	struct request *req = *context;
	*context = NULL;
	if (req == NULL)
		return;
	connection_of(mhd)->begun = NULL;
	if (req->conn != NULL) {
		req->conn->accounted += mhd_head_size(mhd) + req->body.len + req->discarded;
		wait_for_request(req->conn);
		trace_step(req->trace,
			code == MHD_REQUEST_TERMINATED_COMPLETED_OK ? "last byte written" : "request ended early",
			F_SECONDS("duration", clock_mono_us() - req->began_us));
		if (req->status > 0)
			access_request(
				s->access, req, req->status, req->bytes, code == MHD_REQUEST_TERMINATED_COMPLETED_OK);
	}
	s->open -= req->is_open;
	if (req->on_handed_off != NULL) /* the client has gone before its connection could be handed off: releases what
					   was reserved for it */
		req->on_handed_off(req->hand_off_arg, req, -1);
	request_free(req);
}

void server_resume(struct http_server *s, struct request *req)
{
	req->suspended = false;
	MHD_resume_connection(req->mhd);
	s->run = true;
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
		wait_in(c, list);
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
	const struct route *routes, const struct http_events *events, void *arg)
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
		0, NULL, NULL, on_access, s, MHD_OPTION_EXTERNAL_LOGGER, on_log,
		s, /* first: it applies to messages from then on */
		MHD_OPTION_STRICT_FOR_CLIENT,
		0, /* its answers to ambiguous requests are wrong: is_ambiguous() refuses them */
		MHD_OPTION_CONNECTION_LIMIT, s->limit, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_S,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)POOL_SIZE, MHD_OPTION_URI_LOG_CALLBACK, on_uri, s,
		MHD_OPTION_NOTIFY_CONNECTION, on_connection, s, MHD_OPTION_NOTIFY_COMPLETED, on_completed, s,
		MHD_OPTION_END);
	if (s->daemon == NULL)
		fatal("can't start libmicrohttpd");
	s->watch = loop_fd_new(
		loop, MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd, LOOP_READ, on_ready, s);
	s->hook = loop_hook_new(loop, on_turn, s);
	s->access = access_new(loop, metrics, conf->access_log); /* its hook must run after this one's */
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
