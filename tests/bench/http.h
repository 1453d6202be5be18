/* SPDX-License-Identifier: MIT
 * A keep-alive connection of the generator: one request at a time, with its whole response. */
#ifndef BENCH_HTTP_H
#define BENCH_HTTP_H

#include <stdbool.h>
#include <stddef.h>

#include "engine.h"

struct http_client {
	struct watcher watcher;
	void (*on_answer)(struct http_client *c); /* may call http_ask() */
	void *arg;
	bool connected, busy;
	char *out; /* unsent bytes, while the connection isn't established or its buffer is full */
	size_t out_len, out_sent, out_size;
	char *in; /* the response: head and body, NUL-terminated; valid until the next request */
	size_t len, size, head_len, body_len;
	int status;
};

void http_open(struct http_client *c, int port, void (*on_answer)(struct http_client *), void *arg);
void http_close(struct http_client *c);
/* Sends a request. There must be none in flight. */
void http_ask(struct http_client *c, const char *request, size_t len);
/* Sends a request and runs the engine until the response is complete. Returns its status. */
int http_call(struct http_client *c, const char *request, size_t len);
/* Copies the value of a header of the response to out. Returns false if there is no such header. */
bool http_header(const struct http_client *c, const char *name, char *out, size_t size);
static inline const char *http_body(const struct http_client *c) { return c->in + c->head_len; }

/* Sends one request on a new connection and returns the body, which the caller frees. Dies unless the status is 2xx. */
char *http_once(int port, const char *request, size_t *ret_len);

#endif
