/* SPDX-License-Identifier: MIT
 * The transports: SSE and NDJSON streams (stream.c) and the long-poll (poll.c). Each gets a request that is authorized
 * and whose starting position is known, and passes its connection to the hub. */
#ifndef HTTP_TRANSPORT_H
#define HTTP_TRANSPORT_H

#include "http/request.h"
#include "hub/hub.h"

struct subscription {
	struct hub_opening opening; /* HUB_START or HUB_START_RESET; the transport owns the reference to its user */
	uint64_t credential;
	uint32_t expires_s;      /* 0: never */
	uint64_t key;            /* of the user, for http_new()'s on_stream_gone */
	const char *node;        /* sent in hello; outlives every request */
	bool ndjson, close;      /* stream: the format; whether it ends after the first events */
	unsigned padding;        /* stream: bytes of comment at the start */
	unsigned wait_ms, limit; /* poll */
};

#define PADDING_MAX 65536
#define POLL_WAIT_MAX 60
#define POLL_LIMIT_MAX 1000

void stream_begin(struct request *req, const struct subscription *sub);
void poll_begin(struct request *req, const struct subscription *sub);

/* The headers of a transport's 200 in addition to those of every answer: the type, and lines that end with CR LF. */
struct transport_head {
	const char *type, *lines;
};
struct transport_head stream_head(bool ndjson);
struct transport_head poll_head(void);
/* Answers HEAD with those headers, without a length, and keeps the connection in HTTP. */
void head_begin(struct request *req, struct transport_head head);

/* Common to both: sets a socket's options for a connection that stays open. */
void transport_tune(int fd, bool is_stream);
/* Counts the delivery of a frame, the first time it is written. */
void transport_delivered(struct http_server *s, const struct frame *f, uint64_t now_us);

#endif
