/* SPDX-License-Identifier: MIT
 * See request.h: reading a request, and answering it. */
#include "http/request.h"

#include <arpa/inet.h>
#include <assert.h>
#include <ctype.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <time.h>

#include "base/clock.h"
#include "base/linesafe.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/owner.h"
#include "base/problem.h"
#include "base/secret.h"
#include "conf/conf.h"
#include "http/internal.h"
#include "http/mhd.h"

#define PIECE_BLOCK 16384 /* libmicrohttpd's buffer for an answer in pieces */

struct request *request_new(struct http_server *s, const char *target)
{
	struct request *req = mem_zeroed(1, sizeof(*req));
	req->server = s;
	req->received_us = clock_real_us();
	req->began_us = clock_mono_us();
	req->target = arena_copy(&req->arena, target, strlen(target));
	req->path = arena_copy(&req->arena, target, strcspn(target, "?"));
	return req;
}

void request_free(struct request *req)
{
	server_release_held(req->server, req);
	if (req->free_data != NULL)
		req->free_data(req->data);
	if (req->piece.gone != NULL)
		req->piece.gone(req->piece.arg);
	free(req->piece.data);
	if (req->response != NULL)
		MHD_destroy_response(req->response);
	buf_release(&req->body);
	trace_drop(req->trace);
	arena_release(&req->arena);
	free(req);
}

static bool id_is_good(const char *id)
{
	size_t n = id ? strlen(id) : 0;
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)id[i]) && strchr("._-", id[i]) == NULL)
			return false;
	return n >= 1 && n <= REQUEST_ID_MAX;
}

void request_id_make(char ret[REQUEST_ID_MAX + 1])
{
	static uint64_t count;
	snprintf(ret, REQUEST_ID_MAX + 1, "%llx-%llx", (unsigned long long)(clock_real_us() & 0xffffffffffff),
		(unsigned long long)++count);
}

void request_begin(struct request *req, struct MHD_Connection *mhd, const char *method, const char *version)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	req->mhd = mhd;
	req->conn = info->socket_context;
	req->head = strcmp(method, "HEAD") == 0;
	req->method = req->head ? "GET" : method;
	req->version = version;
	const char *id = request_header(req, "X-Request-Id");
	if (id_is_good(id))
		snprintf(req->id, sizeof(req->id), "%s", id);
	else
		request_id_make(req->id);
	req->trace = trace_new(req->id);
	buf_init(&req->body, SIZE_MAX / 2);
}

struct http_server *request_server(const struct request *req) { return req->server; }
const struct route *request_route(const struct request *req) { return req->route; }
const char *request_method(const struct request *req) { return req->method; }
bool request_is_head(const struct request *req) { return req->head; }
bool request_is_http10(const struct request *req) { return strcmp(req->version, "HTTP/1.1") != 0; }
const char *request_path(const struct request *req) { return req->path; }
const char *request_var(const struct request *req, unsigned i) { return req->vars[i]; }
const struct buf *request_body(const struct request *req) { return &req->body; }
const char *request_id(const struct request *req) { return req->id; }
uint64_t request_received_us(const struct request *req) { return req->received_us; }
uint64_t request_began_us(const struct request *req) { return req->began_us; }
const char *request_user(const struct request *req) { return *req->user != '\0' ? req->user : NULL; }
void request_set_offered(struct request *req) { req->offered = true; }
bool request_was_poll(const struct request *req) { return req->conn->was_poll; }
bool request_on_metrics_port(const struct request *req) { return req->conn->on_metrics_port; }

void request_set_user(struct request *req, const char *name)
{
	snprintf(req->user, sizeof(req->user), "%s", name);
	trace_step(req->trace, "user known", F("user", req->user));
}

const char *request_param(const struct request *req, const char *name)
{
	for (unsigned i = 0; i < req->params_count; i++)
		if (strcmp(req->params[i].name, name) == 0)
			return req->params[i].value;
	return NULL;
}

const char *request_unknown_param(const struct request *req, const char *const known[])
{
	for (unsigned i = 0; i < req->params_count; i++) {
		unsigned k = 0;
		if (strcmp(req->params[i].name, "_") == 0)
			continue;
		while (known[k] != NULL && strcmp(known[k], req->params[i].name) != 0)
			k++;
		if (known[k] == NULL)
			return req->params[i].name;
	}
	return NULL;
}

const char *request_header(const struct request *req, const char *name)
{
	return MHD_lookup_connection_value(req->mhd, MHD_HEADER_KIND, name);
}

bool request_has_type(const struct request *req, const char *type)
{
	const char *given = request_header(req, "Content-Type");
	size_t n = strlen(type);
	return given != NULL && strncasecmp(given, type, n) == 0 && strchr("; \t", given[n]) != NULL;
}

const char *request_cookie(const struct request *req, const char *name)
{
	return MHD_lookup_connection_value(req->mhd, MHD_COOKIE_KIND, name);
}

void request_set_data(struct request *req, void *data, void (*free_fn)(void *))
{
	req->data = data;
	req->free_data = free_fn;
}

void *request_data(const struct request *req) { return req->data; }

bool request_is_same_origin(const struct request *req, bool *ret_says_so)
{
	const struct conf *conf = http_conf(req->server);
	const char *origin = request_header(req, "Origin"), *site = request_header(req, "Sec-Fetch-Site"),
		   *host = request_header(req, "Host");
	*ret_says_so = origin != NULL || site != NULL;
	if (site != NULL && strcmp(site, "same-origin") == 0)
		return true;
	if (origin == NULL)
		return false;
	if (conf->public_url != NULL) {
		const char *host_at = strstr(conf->public_url, "://");
		size_t n = host_at ? (size_t)(host_at + 3 - conf->public_url) + strcspn(host_at + 3, "/") : 0;
		if (strlen(origin) == n && strncasecmp(origin, conf->public_url, n) == 0)
			return true;
	}
	const char *at = strstr(origin, "://");
	return conf->public_url == NULL && host != NULL && at != NULL && strcasecmp(at + 3, host) == 0 &&
		(strncmp(origin, "http://", 7) == 0 || strncmp(origin, "https://", 8) == 0);
}

void request_admit(struct request *req)
{
	assert(!req->admitted && !req->answered);
	req->admitted = true;
	if (req->suspended)
		server_resume(req->server, req);
}

/* ---- the answer ---- */

void request_add_header(struct request *req, const char *name, const char *value)
{
	assert(req->headers_count < HEADERS_MAX);
	struct header *h = &req->headers[req->headers_count++];
	h->name = arena_copy(&req->arena, name, strlen(name));
	h->value = arena_copy(&req->arena, value, strlen(value));
}

void request_add_rate(struct request *req, unsigned limit, uint64_t retry_s)
{
	char text[24];
	snprintf(text, sizeof(text), "%u", limit);
	request_add_header(req, "RateLimit-Limit", text);
	request_add_header(req, "RateLimit-Remaining", "0");
	snprintf(text, sizeof(text), "%llu", (unsigned long long)retry_s);
	request_add_header(req, "RateLimit-Reset", text);
	request_add_header(req, "Retry-After", text);
}

static const char *allowed_origin(const struct request *req)
{
	const char *origin = request_header(req, "Origin");
	return origin != NULL && conf_allows_origin(http_conf(req->server), origin) ? origin : NULL;
}

#define EXPOSED "Link, ETag, Retry-After, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, X-Request-Id"

static void answer(struct request *req, int status, struct MHD_Response *response, const char *type)
{
	assert(!req->answered);
	req->answered = true;
	req->status = status;
	req->response = response;
	trace_step(req->trace, "answer queued", F_NUMBER("status", status), F_NUMBER("bytes", req->bytes));
	if (type != NULL)
		MHD_add_response_header(response, "Content-Type", type);
	MHD_add_response_header(response, "X-Request-Id", req->id);
	const char *origin = req->mhd != NULL ? allowed_origin(req) : NULL;
	if (origin != NULL) {
		MHD_add_response_header(response, "Access-Control-Allow-Origin", origin);
		MHD_add_response_header(response, "Access-Control-Expose-Headers", EXPOSED);
	}
	if (http_conf(req->server)->cors_count > 0)
		MHD_add_response_header(response, "Vary", "Origin");
	for (unsigned i = 0; i < req->headers_count; i++)
		MHD_add_response_header(response, req->headers[i].name, req->headers[i].value);
	if (req->suspended)
		server_resume(req->server, req);
}

static bool is_json(const char *type)
{
	return type != NULL &&
		(strcmp(type, "application/json") == 0 || strcmp(type, "application/x-ndjson") == 0 ||
			strcmp(type, "application/problem+json") == 0);
}

/* Returns true if the request's answer may be replaced by a 503: not if it confirms a change, or shows an operator why
 * others are. */
static bool is_dispensable(const struct request *req)
{
	return strcmp(req->method, "GET") == 0 && (req->route == NULL || !(req->route->flags & ROUTE_OPERATOR));
}

#define UNREAD_DETAIL "Too many answers wait to be read. Read those, or close their connections."

bool request_reserve_answer(struct request *req, size_t bytes)
{
	if (server_hold_answer(req->server, req, bytes))
		return true;
	request_problem(req, PROBLEM_OVERLOADED, UNREAD_DETAIL, "");
	return false;
}

void request_reply(struct request *req, int status, const char *type, char *body, size_t len)
{
	if (body != NULL && is_json(type))
		body = linesafe_take(body, &len);
	if (!server_hold_answer(req->server, req, len > SMALL_ANSWER ? len : 0) && is_dispensable(req)) {
		free(body);
		req->headers_count = 0; /* they describe the answer that isn't sent */
		request_problem(req, PROBLEM_OVERLOADED, UNREAD_DETAIL, "");
		return;
	}
	req->bytes = req->head ? 0 : len;
	answer(req, status, mhd_response(body, len, body != NULL), type);
}

void request_reply_copy(struct request *req, int status, const char *type, const char *body, size_t len)
{
	char *copy = mem_alloc(len + 1);
	memcpy(copy, body, len);
	copy[len] = '\0';
	request_reply(req, status, type, copy, len);
}

void request_reply_static(struct request *req, int status, const char *type, const void *body, size_t len)
{
	req->bytes = req->head ? 0 : len;
	answer(req, status, mhd_response((void *)(uintptr_t)body, len, false), type);
}

/* libmicrohttpd asks for at most size bytes; if there are none, the connection is suspended until there are. */
static ssize_t read_piece(void *arg, uint64_t pos, char *out, size_t size)
{
	struct request *req = arg;
	size_t left = req->piece.len - req->piece.at, n = left < size ? left : size;
	(void)pos;
	if (n > 0) {
		memcpy(out, req->piece.data + req->piece.at, n);
		req->piece.at += n;
		req->bytes += n;
		return (ssize_t)n;
	}
	if (req->piece.feed == FEED_LAST)
		return MHD_CONTENT_READER_END_OF_STREAM;
	if (req->piece.feed == FEED_CUT) { /* libmicrohttpd may not act on an error from here while other connections
					      are idle; it does on a failed write */
		shutdown(req->conn->fd, SHUT_RDWR);
		*out = '\n';
		return 1;
	}
	MHD_suspend_connection(req->mhd);
	req->suspended = true;
	uint64_t owner = owner_enter(req->owner);
	req->piece.more(req->piece.arg);
	owner_enter(owner);
	return 0;
}

void request_reply_pieces(
	struct request *req, int status, const char *type, void (*more)(void *), void (*gone)(void *), void *arg)
{
	req->piece.is_json = is_json(type);
	req->piece.more = more;
	req->piece.gone = gone;
	req->piece.arg = arg;
	struct MHD_Response *r =
		MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, PIECE_BLOCK, read_piece, req, NULL);
	if (r != NULL && req->head) /* without chunks: after a HEAD, libmicrohttpd 0.9.75 would send the last chunk */
		MHD_set_response_options(r, MHD_RF_HTTP_1_0_COMPATIBLE_STRICT, MHD_RO_END);
	answer(req, status, r, type);
}

void request_feed(struct request *req, char *data, size_t len, enum feed feed)
{
	if (data != NULL && req->piece.is_json)
		data = linesafe_take(data, &len);
	free(req->piece.data);
	req->piece.data = data;
	req->piece.len = len;
	req->piece.at = 0;
	req->piece.feed = feed;
	if (req->suspended)
		server_resume(req->server, req);
}

void request_problem(struct request *req, enum problem p, const char *detail, const char *extra)
{
	int status = problem_status(p);
	struct buf out;
	size_t len;
	buf_init(&out, 65536);
	/* Every 404 has the same detail, so that a caller can't tell whether an object is absent or hidden. */
	problem_render(&out, p, status == 404 ? NULL : detail, req->id, extra);
	if (status == 401)
		request_add_header(req, "WWW-Authenticate", "Bearer realm=\"postern\"");
	if (status == 503)
		request_add_header(req, "Retry-After", "2");
	req->problem = p;
	char path[256];
	if (status >= 500)
		log_event(LOG_WARN, "request failed", F("method", req->method),
			F("path", access_path(req, path, sizeof(path))), F_NUMBER("status", status),
			F("code", problem_code(p)), F("request", req->id));
	char *body = buf_detach(&out, &len);
	request_reply(req, status, "application/problem+json", body, len);
}

void request_hand_off(struct request *req, void (*on_handed_off)(void *, struct request *, int), void *arg)
{
	assert(!req->answered);
	req->answered = true;
	req->on_handed_off = on_handed_off;
	req->hand_off_arg = arg;
	if (req->suspended)
		server_resume(req->server, req);
}

void request_head(const struct request *req, struct buf *out, int status, const char *type)
{
	char date[64];
	time_t now = time(NULL);
	struct tm tm;
	strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&now, &tm));
	buf_addf(out, "HTTP/1.1 %d %s\r\nDate: %s\r\nContent-Type: %s\r\nX-Request-Id: %s\r\n", status,
		MHD_get_reason_phrase_for((unsigned)status), date, type, req->id);
	const char *origin = allowed_origin(req);
	if (origin != NULL)
		buf_addf(out, "Access-Control-Allow-Origin: %s\r\nAccess-Control-Expose-Headers: " EXPOSED "\r\n",
			origin);
	if (http_conf(req->server)->cors_count > 0)
		buf_adds(out, "Vary: Origin\r\n");
}

bool request_may_go_on(const struct request *req, uint64_t *ret_accounted)
{
	const char *connection = request_header(req, "Connection");
	size_t head_size = mhd_head_size(req->mhd);
	struct tcp_info info;
	socklen_t len = sizeof(info);
	int unread;
	if (request_is_http10(req) || req->conn->unaccountable || head_size == 0 || http_is_stopping(req->server) ||
		(connection != NULL && strcasestr(connection, "close") != NULL))
		return false;
	if (getsockopt(req->conn->fd, IPPROTO_TCP, TCP_INFO, &info, &len) != 0 ||
		len < offsetof(struct tcp_info, tcpi_bytes_received) + sizeof(info.tcpi_bytes_received) ||
		ioctl(req->conn->fd, SIOCINQ, &unread) != 0)
		return false;
	*ret_accounted = req->conn->accounted + head_size;
	return info.tcpi_bytes_received - (uint64_t)unread == *ret_accounted;
}
