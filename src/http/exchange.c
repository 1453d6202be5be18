/* SPDX-License-Identifier: MIT
 * A request's way through libmicrohttpd: its head is checked and authorized, its body is read within the budget, it is
 * handled, and its answer is queued or its connection handed off. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/owner.h"
#include "base/problem.h"
#include "base/secret.h"
#include "base/trace.h"
#include "conf/conf.h"
#include "http/accept.h"
#include "http/access.h"
#include "http/budget.h"
#include "http/internal.h"
#include "http/mhd.h"
#include "http/refusals.h"
#include "http/server.h"

#define DISCARD_MAX ((size_t)4 << 20)
#define PUBLIC_BODY_MAX 8192
#define NO_BODY_MAX 64 /* of a request that takes none: see is_nothing() */

void *exchange_begin(void *arg, const char *uri, struct MHD_Connection *mhd)
{
	struct connection *c = connection_of(mhd);
	connection_free_unfinished(c);
	connection_wait(c, &c->server->coming);
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

static bool takes_body(const struct request *req) { return req->route->flags & (ROUTE_BODY | ROUTE_BULK); }

static size_t skip_blanks(const struct buf *body, size_t at)
{
	while (at < body->len && strchr(" \t\r\n", body->data[at]) != NULL && body->data[at] != '\0')
		at++;
	return at;
}

/* Returns true for no byte, {} and null: some HTTP clients send a body with every request. */
static bool is_nothing(const struct buf *body)
{
	size_t at = skip_blanks(body, 0);
	if (body->len == 0)
		return true;
	if (body->len - at >= 4 && memcmp(body->data + at, "null", 4) == 0)
		return skip_blanks(body, at + 4) == body->len;
	if (at == body->len || body->data[at] != '{')
		return false;
	at = skip_blanks(body, at + 1);
	return at < body->len && body->data[at] == '}' && skip_blanks(body, at + 1) == body->len;
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

/* A body from anybody, without a credential, is a name and a password at most. */
static size_t body_cap(const struct request *req)
{
	const struct conf *conf = req->server->conf;
	if (!takes_body(req))
		return NO_BODY_MAX;
	bool bulk = (req->route->flags & ROUTE_BULK) && request_has_type(req, "application/x-ndjson");
	size_t cap = bulk ? conf->bulk_max : conf->body_max;
	if ((req->route->flags & ROUTE_PUBLIC) && (cap == 0 || cap > PUBLIC_BODY_MAX))
		return PUBLIC_BODY_MAX;
	return cap ? cap : SIZE_MAX / 4;
}

/* ---- budgets ---- */

uint64_t server_owner(struct request *req)
{
	char subject[sizeof(req->user) + 2];
	if (req->owner != 0)
		return req->owner;
	if (*req->user == '\0' || (req->route->flags & ROUTE_PUBLIC))
		request_client_network(req, subject, sizeof(subject));
	else
		snprintf(subject, sizeof(subject), "@%s", req->user);
	req->owner = secret_keyed_hash(subject, strlen(subject)) | 1;
	return req->owner;
}

/* Takes what the body's buffer has grown by since the last call. */
static bool hold_body(struct http_server *s, struct request *req)
{
	size_t grown = req->body.size - req->body_held;
	size_t most = s->conf->bodies_max, whole = body_cap(req);
	if (most > 0 && whole < SIZE_MAX / 16 && most < 8 * whole)
		most = 8 * whole; /* a buffer may be twice as large as its body */
	bool held = budget_take(&s->bodies, most, server_owner(req), grown);
	req->body_held += held ? grown : 0;
	metrics_count(s->metrics, M_FULL_BODIES, !held);
	metrics_gauge(s->metrics, G_BODIES_BYTES, s->bodies.used);
	return held;
}

bool http_hold_answer(struct http_server *s, uint64_t owner, size_t bytes)
{
	bool held = budget_take(&s->answers, s->conf->answers_max, owner, bytes);
	metrics_count(s->metrics, M_FULL_ANSWERS, !held);
	metrics_gauge(s->metrics, G_ANSWERS_BYTES, s->answers.used);
	return held;
}

void http_release_answer(struct http_server *s, uint64_t owner, size_t bytes)
{
	budget_give(&s->answers, owner, bytes);
	metrics_gauge(s->metrics, G_ANSWERS_BYTES, s->answers.used);
}

bool server_hold_answer(struct http_server *s, struct request *req, size_t bytes)
{
	if (bytes > req->answer_held && !http_hold_answer(s, server_owner(req), bytes - req->answer_held))
		return false;
	if (bytes < req->answer_held)
		http_release_answer(s, req->owner, req->answer_held - bytes);
	req->answer_held = bytes;
	return true;
}

void server_release_held(struct http_server *s, struct request *req)
{
	if (req->body_held == 0 && req->answer_held == 0)
		return;
	budget_give(&s->bodies, req->owner, req->body_held);
	metrics_gauge(s->metrics, G_BODIES_BYTES, s->bodies.used);
	http_release_answer(s, req->owner, req->answer_held);
	req->body_held = req->answer_held = 0;
}

/* ---- heads, bodies and answers ---- */

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
	if (!takes_body(req) && strcmp(req->method, "GET") == 0)
		return PROBLEM_BODY_NOT_ALLOWED;
	const char *length = request_header(req, "Content-Length");
	if (length == NULL || strtoull(length, NULL, 10) <= body_cap(req))
		return PROBLEM_NONE;
	return takes_body(req) ? PROBLEM_BODY_TOO_LARGE : PROBLEM_BODY_NOT_ALLOWED;
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

static void authorize(struct request *req)
{
	struct trace *before = trace_enter(req->trace);
	req->server->events->on_head(req->server->arg, req);
	trace_enter(before);
}

/* Reads the body of an admitted request. An answered one is refused without reading it. */
static enum MHD_Result after_head(struct request *req)
{
	if (!req->answered || (!req->unclear && !has_body(req)))
		return MHD_YES; /* without a body the answer is queued in the last call, which keeps the connection */
	int fd = fcntl(req->conn->fd, F_DUPFD_CLOEXEC, 3);
	if (fd >= 0)
		acceptor_linger(req->server->acceptor, fd);
	return finish(req);
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
		authorize(req);
	else if (p != PROBLEM_METHOD_NOT_ALLOWED || !answer_options(req, allow))
		refuse(req, p, allow);
	if (!req->admitted && !req->answered) {
		req->at_head = req->suspended = true;
		list_remove(&req->conn->link); /* it isn't the client that is slow */
		MHD_suspend_connection(mhd);
		return MHD_YES;
	}
	return after_head(req);
}

static enum MHD_Result on_body(struct request *req, const char *data, size_t size)
{
	if (req->answered)
		return MHD_YES;
	req->too_large |= req->body.len + size > body_cap(req);
	if (!req->too_large && !req->overloaded) {
		buf_add(&req->body, data, size);
		if (buf_failed(&req->body))
			return MHD_NO;
		req->overloaded = !hold_body(req->server, req);
	}
	if (!req->too_large && !req->overloaded)
		return MHD_YES;
	buf_release(&req->body);
	server_release_held(req->server, req);
	req->discarded += size;
	return req->discarded > DISCARD_MAX ? MHD_NO : MHD_YES;
}

static void dispatch(struct request *req)
{
	struct http_server *s = req->server;
	struct trace *before = trace_enter(req->trace);
	uint64_t owner = owner_enter(server_owner(req));
	trace_step(req->trace, "handler called", F("route", req->route->path), F_NUMBER("body", req->body.len));
	s->events->on_request(s->arg, req);
	owner_enter(owner);
	trace_enter(before);
}

static enum MHD_Result on_whole(struct request *req)
{
	req->dispatched = true;
	req->conn->waiting_since_ms = 0;
	list_remove(&req->conn->link);
	if (!req->answered) {
		if (!takes_body(req) && (req->too_large || !is_nothing(&req->body)))
			request_problem(req, PROBLEM_BODY_NOT_ALLOWED, NULL, "");
		else if (req->too_large)
			request_problem(req, PROBLEM_BODY_TOO_LARGE, NULL, "");
		else if (req->overloaded)
			request_problem(req, PROBLEM_OVERLOADED,
				"The bodies of unfinished requests take too much memory. Retry later.", "");
		else
			dispatch(req);
	}
	if (req->answered)
		return finish(req);
	req->suspended = true;
	MHD_suspend_connection(req->mhd);
	return MHD_YES;
}

enum MHD_Result exchange_continue(void *arg, struct MHD_Connection *mhd, const char *url, const char *method,
	const char *version, const char *data, size_t *size, void **context)
{
	struct request *req = *context;
	(void)arg;
	(void)url;
	if (req == NULL)
		return MHD_NO;
	if (!req->seen)
		return on_head(req, mhd, method, version);
	if (req->at_head) {
		req->at_head = false;
		connection_wait(req->conn, &req->server->coming);
		return after_head(req);
	}
	if (*size > 0) {
		size_t n = *size;
		*size = 0;
		return on_body(req, data, n);
	}
	return req->dispatched ? finish(req) : on_whole(req);
}

void exchange_end(void *arg, struct MHD_Connection *mhd, void **context, enum MHD_RequestTerminationCode code)
{
	struct http_server *s = arg;
	struct request *req = *context;
	*context = NULL;
	if (req == NULL)
		return;
	connection_of(mhd)->begun = NULL;
	if (req->conn != NULL) {
		req->conn->accounted += mhd_head_size(mhd) + req->body.len + req->discarded;
		connection_wait_for_request(req->conn);
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
