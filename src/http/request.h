/* SPDX-License-Identifier: MIT
 * A request, from its head to its answer. A handler answers at once or later, exactly once: with request_reply(),
 * request_problem() or request_hand_off(). Code that waits before it answers can rely on the request to exist until
 * then, even if the client has gone. */
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
	unsigned char scope, limit; /* enum scope (api/api.h) and enum limit (api/limit.h) */
	void (*handle)(struct request *req);
	const void *spec; /* the handler's own */
	unsigned flags;
};
enum {
	ROUTE_BODY = 1,      /* takes a body, up to body_max; others but GET take {} and null, which say nothing */
	ROUTE_BULK = 2,      /* up to bulk_max when its type is application/x-ndjson */
	ROUTE_PUBLIC = 4,    /* needs no credential */
	ROUTE_TICKET = 8,    /* accepts a ticket or a token in the query */
	ROUTE_LASTING = 16,  /* stays open for hours: its credential isn't cached */
	ROUTE_OPERATOR = 32, /* also on the port for metrics, which serves nothing else */
	ROUTE_GATHERED = 64, /* several requests share one call: see api/gather.h */
	ROUTE_ALWAYS = 128,  /* also during maintenance */
	ROUTE_REPLICA = 256, /* its call only reads, as pg/replica.h requires */
};

/* The request as it was received. Strings live as long as the request. */
struct http_server *request_server(const struct request *req);
const struct route *request_route(const struct request *req);
const char *request_method(const struct request *req); /* "GET" for HEAD */
bool request_is_head(const struct request *req);
bool request_is_http10(const struct request *req);
const char *request_path(const struct request *req); /* still encoded, without the query */
const char *request_var(const struct request *req, unsigned i);
const char *request_param(const struct request *req, const char *name); /* of the query, decoded; NULL: absent */
/* Returns the first parameter whose name isn't in known (NULL-terminated) and isn't "_", which clients may add to avoid
 * caches; NULL: none. */
const char *request_unknown_param(const struct request *req, const char *const known[]);
const char *request_header(const struct request *req, const char *name);
/* Returns true if the body has that media type, with any parameters. */
bool request_has_type(const struct request *req, const char *type);
const char *request_cookie(const struct request *req, const char *name);
const struct buf *request_body(const struct request *req); /* data may be NULL when len is 0 */
const char *request_id(const struct request *req);
uint64_t request_received_us(const struct request *req); /* real time */
uint64_t request_began_us(const struct request *req);    /* the same moment, monotonic time */
/* Returns the client's address as text: the peer's, or the one that a trusted proxy reports. */
void request_client(const struct request *req, char *out, size_t size);
/* The same, but for IPv6 the network (/64), all of whose addresses a client may have. Limits by address use this. */
void request_client_network(const struct request *req, char *out, size_t size);
bool request_is_loopback(const struct request *req); /* the peer is, and no proxy reports another client */
bool request_was_poll(const struct request *req);    /* its connection was used for a poll before */
bool request_on_metrics_port(const struct request *req);
bool request_is_same_origin(const struct request *req,
	bool *ret_says_so); /* by Origin or Sec-Fetch-Site; ret_says_so: one of them is present */
bool request_is_https(const struct request *req);

/* The user, for logs: set when it is known or claimed; NULL: not set. The name is copied, and truncated if too long. */
void request_set_user(struct request *req, const char *name);
const char *request_user(const struct request *req);
/* Marks the request as having a credential, valid or not. */
void request_set_offered(struct request *req);

/* Attaches data to the request; free_fn frees it with the request. */
void request_set_data(struct request *req, void *data, void (*free_fn)(void *data));
void *request_data(const struct request *req);

/* Admits a request whose head was received: its body is read, and then it is handled. Exactly once, unless it is
 * answered. */
void request_admit(struct request *req);

/* Takes memory for a large answer from the budget (the setting answers_max), before something is done that can't be
 * undone. Returns false if there is too little; the request is answered then. */
bool request_reserve_answer(struct request *req, size_t bytes);

/* Answers. */
void request_add_header(
	struct request *req, const char *name, const char *value); /* copied; to be called before the answer */
/* Adds the headers of a 429: the limit, and in how many seconds to try again. */
void request_add_rate(struct request *req, unsigned limit, uint64_t retry_s);
/* Owns body from now on (from malloc(); NULL with len 0). type NULL: no body. */
void request_reply(struct request *req, int status, const char *type, char *body, size_t len);
/* The same with a copy of body. */
void request_reply_copy(struct request *req, int status, const char *type, const char *body, size_t len);
void request_reply_static(struct request *req, int status, const char *type, const void *body,
	size_t len); /* body must outlive the request */
/* Answers in pieces, with a length that isn't known in advance. At most one piece is in memory: when the client has
 * read it, more(arg) asks for the next one, which is passed with request_feed(), later; the first one is passed without
 * being asked for. gone(arg) is called at the end, for whatever reason. The request exists while a piece is due, as
 * before every answer. */
void request_reply_pieces(
	struct request *req, int status, const char *type, void (*more)(void *arg), void (*gone)(void *arg), void *arg);
/* Owns data from now on (from malloc(); NULL with len 0). FEED_CUT: the answer is incomplete, and the connection ends
 * in a way that shows it to the client. */
enum feed { FEED_MORE, FEED_LAST, FEED_CUT };
void request_feed(struct request *req, char *data, size_t len, enum feed feed);
/* detail NULL: the default. extra: "" or further JSON members, each with a comma before it. */
void request_problem(struct request *req, enum problem p, const char *detail, const char *extra);

/* Takes the connection out of libmicrohttpd. on_handed_off is called with a descriptor that it owns; it writes the
 * answer itself, beginning with request_head(), and the request ends when it returns. fd is -1 if
 * the client has gone, or if the connection can't be handed off; then it only releases what arg holds, and the server
 * answers. It is called exactly once. */
void request_hand_off(struct request *req, void (*on_handed_off)(void *arg, struct request *req, int fd), void *arg);
/* Writes the status line and the headers of every answer, without the empty line. */
void request_head(const struct request *req, struct buf *out, int status, const char *type);
/* Returns true if the connection can continue with HTTP after a handed-off answer: it is keep-alive, and nothing after
 * this request was read. ret_accounted: bytes read so far, for http_hand_back(). */
bool request_may_go_on(const struct request *req, uint64_t *ret_accounted);

#endif
