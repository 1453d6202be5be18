/* SPDX-License-Identifier: MIT
 * A request, from its head to its answer. A handler answers at once or later, exactly once: with request_reply(),
 * request_problem() or request_hand_off(). Whoever waits for an answer may rely on the request being there until then,
 * even if the client has gone. */
#ifndef HTTP_REQUEST_H
#define HTTP_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/problem.h"

struct conf;
struct http_server;
struct request;

#define REQUEST_ID_MAX 64
#define REQUEST_VARS_MAX 4

/* A row of the route table. {x} in path takes one segment. */
struct route {
	const char *method, *path;
	unsigned char scope, limit; /* the api's: enum scope (api/api.h), enum limit (api/limit.h) */
	void (*handle)(struct request *req);
	const void *spec; /* the handler's own */
	unsigned flags;
};
enum {
	ROUTE_BODY = 1,      /* takes a body, up to body_max */
	ROUTE_BULK = 2,      /* up to bulk_max when its type is application/x-ndjson */
	ROUTE_PUBLIC = 4,    /* takes no credential; what else is the api's */
	ROUTE_TICKET = 8,    /* a ticket or a token in the query will do */
	ROUTE_LASTING = 16,  /* stays open for hours: its credential is not kept for the next request */
	ROUTE_OPERATOR = 32, /* also on the port for metrics, which serves nothing else */
	ROUTE_GATHERED = 64, /* many of them are one call: see api/gather.h */
	ROUTE_ALWAYS = 128,  /* also during maintenance */
	ROUTE_REPLICA = 256, /* its call only reads, as pg/replica.h wants it */
};

/* The request as it came. Strings live as long as the request. */
struct http_server *request_server(const struct request *req);
const struct route *request_route(const struct request *req);
const char *request_method(const struct request *req); /* "GET" for HEAD */
bool request_is_head(const struct request *req);
bool request_is_http10(const struct request *req);
const char *request_path(const struct request *req); /* still encoded, without the query */
const char *request_var(const struct request *req, unsigned i);
const char *request_param(const struct request *req, const char *name); /* of the query, decoded; NULL: absent */
/* The first parameter whose name isn't in known (NULL-terminated), nor "_", which anybody may add against caches; NULL:
 * none. */
const char *request_unknown_param(const struct request *req, const char *const known[]);
const char *request_header(const struct request *req, const char *name);
/* Returns true if the body has that media type, with any parameters. */
bool request_has_type(const struct request *req, const char *type);
const char *request_cookie(const struct request *req, const char *name);
const struct buf *request_body(const struct request *req); /* data may be NULL when len is 0 */
const char *request_id(const struct request *req);
uint64_t request_received_us(const struct request *req); /* real time */
uint64_t request_began_us(const struct request *req);    /* the same moment, monotonic time */
/* Whose request it is, as text: the peer, or what a trusted proxy says of it. */
void request_client(const struct request *req, char *out, size_t size);
/* The same, of IPv6 only the network (/64): whoever has one address there has them all. What limits by address count
 * by. */
void request_client_network(const struct request *req, char *out, size_t size);
bool request_is_loopback(const struct request *req); /* the peer itself is, and no proxy spoke for another */
bool request_was_poll(const struct request *req);    /* its connection has carried a poll before */
bool request_on_metrics_port(const struct request *req);
bool request_is_same_origin(
	const struct request *req, bool *ret_says_so); /* by Origin or Sec-Fetch-Site; says_so: one of them is there */
bool request_is_https(const struct request *req);

/* Whose it is, for logs: set when that is known, or claimed. NULL: not set. It is copied, and cut when it is long. */
void request_set_user(struct request *req, const char *name);
const char *request_user(const struct request *req);
/* It has come with a credential, good or not. */
void request_set_offered(struct request *req);

/* A place for the api's own data; freed with the request by free_fn. */
void request_set_data(struct request *req, void *data, void (*free_fn)(void *data));
void *request_data(const struct request *req);

/* Answers. */
void request_add_header(struct request *req, const char *name, const char *value); /* copied; before the answer */
/* Adds the headers of a 429: the limit, and in how many seconds to try again. */
void request_add_rate(struct request *req, unsigned limit, uint64_t retry_s);
/* Takes body (from malloc; NULL with len 0). type NULL: no body. */
void request_reply(struct request *req, int status, const char *type, char *body, size_t len);
/* The same with a copy of body. */
void request_reply_copy(struct request *req, int status, const char *type, const char *body, size_t len);
void request_reply_static(
	struct request *req, int status, const char *type, const void *body, size_t len); /* body outlives everything */
/* An answer in pieces, whose length nobody knows yet: as much as the client takes, and no more than one piece of it in
 * memory. more(arg) asks for the next piece, to be given with request_feed(), later; the first one is given without
 * being asked for. gone(arg) is the end, however it comes. While a piece is waited for the request is there, as before
 * every answer. */
void request_reply_pieces(
	struct request *req, int status, const char *type, void (*more)(void *arg), void (*gone)(void *arg), void *arg);
/* Takes data (from malloc; NULL with len 0). FEED_CUT: what came is not the whole, and the client shall see that. */
enum feed { FEED_MORE, FEED_LAST, FEED_CUT };
void request_feed(struct request *req, char *data, size_t len, enum feed feed);
/* detail NULL: the problem's own. extra: "" or further JSON members, each with a comma before it. */
void request_problem(struct request *req, enum problem p, const char *detail, const char *extra);

/* Takes the connection out of libmicrohttpd. on_handed_off is called with a descriptor that it owns; it writes the
 * answer itself, beginning with request_head(), and the request ends when it returns. fd is -1 if
 * the client has gone, or if the connection can't be handed off; then it only releases what arg holds, and the server
 * answers. It is called exactly once. */
void request_hand_off(struct request *req, void (*on_handed_off)(void *arg, struct request *req, int fd), void *arg);
/* Status line and the headers every answer has, without the empty line. */
void request_head(const struct request *req, struct buf *out, int status, const char *type);
/* Returns true if the connection may go on with HTTP after a handed-off answer: keep-alive holds, and nothing behind
 * this request was read. ret_accounted: bytes read so far, for http_hand_back(). */
bool request_may_go_on(const struct request *req, uint64_t *ret_accounted);

#endif
