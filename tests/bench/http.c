/* SPDX-License-Identifier: MIT
 * See http.h. Only responses with a Content-Length are supported. */
#include "http.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "bench.h"
#include "clock.h"

#define CALL_TIMEOUT (60 * SECOND)

static void grow(char **data, size_t *size, size_t need)
{
	if (need <= *size)
		return;
	*size = need < 1024 ? 1024 : need * 2;
	if ((*data = realloc(*data, *size)) == NULL)
		die("out of memory");
}

static void flush(struct http_client *c)
{
	while (c->out_sent < c->out_len) {
		ssize_t n = send(c->watcher.fd, c->out + c->out_sent, c->out_len - c->out_sent, MSG_NOSIGNAL);
		if (n < 0 && errno == EAGAIN) {
			engine_rewatch(&c->watcher, EPOLLIN | EPOLLOUT);
			return;
		}
		if (n < 0)
			die("send");
		c->out_sent += (size_t)n;
	}
	c->out_len = c->out_sent = 0;
}

bool http_header(const struct http_client *c, const char *name, char *out, size_t size)
{
	size_t n = strlen(name);
	for (const char *p = strstr(c->in, "\r\n"); p != NULL && p + 2 < c->in + c->head_len; p = strstr(p + 2, "\r\n"))
		if (strncasecmp(p + 2, name, n) == 0 && p[2 + n] == ':') {
			const char *value = p + 3 + n + strspn(p + 3 + n, " ");
			snprintf(out, size, "%.*s", (int)strcspn(value, "\r"), value);
			return true;
		}
	return false;
}

/* Reads the status and the length once the head is complete. Returns false if it isn't. */
static bool read_head(struct http_client *c)
{
	char value[32];
	char *end = c->head_len == 0 ? strstr(c->in, "\r\n\r\n") : NULL;
	if (c->head_len > 0)
		return true;
	if (end == NULL)
		return false;
	c->head_len = (size_t)(end - c->in) + 4;
	c->status = atoi(c->in + 9);
	c->body_len = http_header(c, "Content-Length", value, sizeof(value)) ? strtoul(value, NULL, 10) : 0;
	return true;
}

static void receive(struct http_client *c)
{
	grow(&c->in, &c->size, c->len + 4096);
	ssize_t n = recv(c->watcher.fd, c->in + c->len, c->size - c->len - 1, 0);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0)
		die(n == 0 ? "a server closed a keep-alive connection" : "recv");
	c->len += (size_t)n;
	c->in[c->len] = '\0';
	if (!read_head(c) || c->len < c->head_len + c->body_len)
		return;
	if (c->len > c->head_len + c->body_len || !c->busy)
		die("received more than one response");
	c->busy = false;
	if (c->on_answer != NULL)
		c->on_answer(c);
}

static void on_ready(struct watcher *w, uint32_t events)
{
	struct http_client *c = (struct http_client *)(void *)w;
	if (events & EPOLLOUT) {
		c->connected = true;
		engine_rewatch(w, EPOLLIN);
		flush(c);
	}
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		receive(c);
}

void http_open(struct http_client *c, int port, void (*on_answer)(struct http_client *), void *arg)
{
	*c = (struct http_client) {
		.watcher = { .fd = engine_dial(port), .on_ready = on_ready }, .on_answer = on_answer, .arg = arg
	};
	engine_watch(&c->watcher, EPOLLOUT);
}

void http_close(struct http_client *c)
{
	engine_close(&c->watcher);
	free(c->in);
	free(c->out);
	c->in = c->out = NULL;
}

void http_ask(struct http_client *c, const char *request, size_t len)
{
	c->busy = true;
	c->len = c->head_len = c->body_len = 0;
	if (c->connected) { /* the usual case: sent without a copy */
		ssize_t n = send(c->watcher.fd, request, len, MSG_NOSIGNAL);
		if (n < 0 && errno != EAGAIN)
			die("send");
		if (n == (ssize_t)len)
			return;
		request += n < 0 ? 0 : n;
		len -= n < 0 ? 0 : (size_t)n;
	}
	grow(&c->out, &c->out_size, len);
	memcpy(c->out, request, len);
	c->out_len = len;
	c->out_sent = 0;
	engine_rewatch(&c->watcher, c->connected ? EPOLLIN | EPOLLOUT : EPOLLOUT);
}

int http_call(struct http_client *c, const char *request, size_t len)
{
	uint64_t until = now_us() + CALL_TIMEOUT;
	http_ask(c, request, len);
	while (c->busy && now_us() < until)
		engine_turn(until);
	if (c->busy) {
		errno = ETIMEDOUT;
		die("a request");
	}
	return c->status;
}

char *http_once(int port, const char *request, size_t *ret_len)
{
	struct http_client c;
	http_open(&c, port, NULL, NULL);
	if (http_call(&c, request, strlen(request)) / 100 != 2) {
		errno = 0;
		die(c.in);
	}
	char *body = strdup(http_body(&c));
	if (ret_len != NULL)
		*ret_len = c.body_len;
	http_close(&c);
	return body;
}
