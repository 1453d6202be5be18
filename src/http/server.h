/* SPDX-License-Identifier: MIT
 * The HTTP server, over libmicrohttpd in an external epoll loop. It accepts connections, parses requests, finds their
 * routes, and hands off connections that become streams. */
#ifndef HTTP_SERVER_H
#define HTTP_SERVER_H

#include "http/request.h"

struct conf;
struct hub;
struct loop;
struct metrics;

struct http_events {
	/* The head was received and the route is known, the body wasn't read yet: authorizes the request. Either
	 * answers it, which refuses the body, or calls request_admit(); at once or later. */
	void (*on_head)(void *arg, struct request *req);
	void (*on_request)(void *arg, struct request *req); /* it was admitted, and its body was received */
	bool (*may_stream)(void *arg,
		struct request *req); /* whether it is still allowed, just before its connection is handed off */
	void (*on_stream_gone)(void *arg, uint64_t key); /* key is the user's; their stream or poll has ended */
};

/* broker opens the access log (base/broker.h). */
struct http_server *http_new(struct loop *loop, const struct conf *conf, struct hub *hub, struct metrics *metrics,
	const struct route *routes, const struct http_events *events, void *arg, int broker);
void http_free(struct http_server *s); /* every request has been answered */

/* The descriptor stays the caller's. is_shared: other workers accept from it too. */
void http_listen(struct http_server *s, int fd, bool is_metrics, bool is_shared);
void http_stop_accepting(struct http_server *s);
unsigned http_requests_open(
	const struct http_server *s); /* requests whose head was received and whose answer wasn't sent */
unsigned http_connections(const struct http_server *s);
bool http_has_room(const struct http_server *s); /* for one more stream */

/* Returns a descriptor that was handed off; its next bytes are a request. accounted: from request_may_go_on(). */
void http_hand_back(struct http_server *s, int fd, uint64_t accounted);

/* Takes bytes of an answer that a client hasn't read yet from the worker's budget (the setting answers_max). owner:
 * server_owner(). Returns false if that exceeds the budget or the owner's part. */
bool http_hold_answer(struct http_server *s, uint64_t owner, size_t bytes);
void http_release_answer(struct http_server *s, uint64_t owner, size_t bytes);

const struct conf *http_conf(const struct http_server *s);
struct hub *http_hub(const struct http_server *s);
struct metrics *http_metrics(const struct http_server *s);
void *http_arg(const struct http_server *s); /* the events' */
void http_stream_gone(struct http_server *s, uint64_t key);
struct access *http_access(const struct http_server *s);
/* Applies changed settings, and opens log files again. */
void http_reload(struct http_server *s);
bool http_is_stopping(const struct http_server *s);

#endif
