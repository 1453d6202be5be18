/* SPDX-License-Identifier: MIT
 * The HTTP server, over libmicrohttpd in an external epoll loop. It accepts by itself, parses requests, finds their
 * route, and lets go of connections that become streams. */
#ifndef HTTP_SERVER_H
#define HTTP_SERVER_H

#include "http/request.h"

struct conf;
struct hub;
struct loop;
struct metrics;

struct http_events {
	void (*on_request)(void *arg, struct request *req); /* its route is known, its body is there */
	bool (*may_stream)(void *arg, struct request *req); /* still, just before its connection is taken over */
	void (*on_stream_gone)(void *arg, uint64_t key);    /* a subscription's key: its stream or poll has ended */
};

struct http_server *http_new(struct loop *loop, const struct conf *conf, struct hub *hub, struct metrics *metrics,
	const struct route *routes, const struct http_events *events, void *arg);
void http_free(struct http_server *s); /* every request has been answered */

/* The descriptor stays the caller's. is_shared: other workers accept from it too. */
void http_listen(struct http_server *s, int fd, bool is_metrics, bool is_shared);
void http_stop_accepting(struct http_server *s);
unsigned http_requests_open(const struct http_server *s); /* whose head has come, and whose answer hasn't gone */
unsigned http_connections(const struct http_server *s);
bool http_has_room(const struct http_server *s); /* for one more stream */

/* A descriptor that was handed off goes back; its next bytes are a request. accounted: of request_may_go_on(). */
void http_hand_back(struct http_server *s, int fd, uint64_t accounted);

const struct conf *http_conf(const struct http_server *s);
struct hub *http_hub(const struct http_server *s);
struct metrics *http_metrics(const struct http_server *s);
void *http_arg(const struct http_server *s); /* the events' */
void http_stream_gone(struct http_server *s, uint64_t key);
struct access *http_access(const struct http_server *s);
/* Settings have been read again, and files are to be opened anew. */
void http_reload(struct http_server *s);
bool http_is_stopping(const struct http_server *s);

#endif
