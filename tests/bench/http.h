/* SPDX-License-Identifier: MIT
 * A keep-alive connection of the generator: one request at a time, and its whole answer. */
#ifndef BENCH_HTTP_H
#define BENCH_HTTP_H

#include <stdbool.h>
#include <stddef.h>

#include "engine.h"

struct http_client {
	struct watcher watcher;
	void (*on_answer)(struct http_client *c); /* the next http_ask() may come from here */
	void *arg;
	bool connected, busy;
	char *out; /* what waits for the connection to be made, or to take more */
	size_t out_len, out_sent, out_size;
	char *in; /* the answer: head and body, NUL-terminated, until the next request */
	size_t len, size, head_len, body_len;
	int status;
};

void http_open(struct http_client *c, int port, void (*on_answer)(struct http_client *), void *arg);
void http_close(struct http_client *c);
/* Sends a request. Not while one is being answered. */
void http_ask(struct http_client *c, const char *request, size_t len);
/* Asks and turns the engine until the answer is there; gives its status. */
int http_call(struct http_client *c, const char *request, size_t len);
/* The value of a header of the answer into out; false: there is no such header. */
bool http_header(const struct http_client *c, const char *name, char *out, size_t size);
static inline const char *http_body(const struct http_client *c) { return c->in + c->head_len; }

/* A request, once, on a connection of its own: the body (to be freed). Dies unless the status is a 2xx. */
char *http_once(int port, const char *request, size_t *ret_len);

#endif
