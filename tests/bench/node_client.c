/* SPDX-License-Identifier: MIT
 * See node.h: the parts of Engine.IO 4 (polling), Socket.IO 5 and WebSocket that the benchmark needs. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "bench.h"
#include "marker.h"
#include "node.h"

#define MESSAGE "{\"room\":%u,\"text\":\"" MARKER_TEXT "\"}"

/* ---- socket.io ---- */

static void poll_again(struct node_client *c)
{
	char request[256];
	http_ask(&c->get, request,
		(size_t)snprintf(request, sizeof(request),
			"GET /socket.io/?EIO=4&transport=polling&sid=%s HTTP/1.1\r\nHost: x\r\n\r\n", c->sid));
}

static void post(struct node_client *c, const char *packet)
{
	char request[512];
	http_ask(&c->post, request,
		(size_t)snprintf(request, sizeof(request),
			"POST /socket.io/?EIO=4&transport=polling&sid=%s HTTP/1.1\r\nHost: x\r\nContent-Type: "
			"text/plain;charset=UTF-8\r\nContent-Length: %zu\r\n\r\n%s",
			c->sid, strlen(packet), packet));
}

/* Delays an event after which the client sends until its post has a response: the protocol allows one post at a time.
 */
static void emit(struct node_client *c, enum node_event event)
{
	if (event != NODE_MESSAGE && c->post.busy) {
		c->has_waiting = true;
		c->waiting = event;
	} else {
		c->on_event(c, event);
	}
}

static void on_posted(struct http_client *h)
{
	struct node_client *c = h->arg;
	if (c->has_waiting) {
		c->has_waiting = false;
		c->on_event(c, c->waiting);
	}
}

/* 0 opens, 2 is a ping, 40 connects, 42 is an event, 43 an acknowledgement. */
static void handle_packet(struct node_client *c, const char *p)
{
	const char *sid;
	if (p[0] == '0' && (sid = strstr(p, "\"sid\":\"")) != NULL) {
		snprintf(c->sid, sizeof(c->sid), "%.*s", (int)strcspn(sid + 7, "\""), sid + 7);
		post(c, "40");
	} else if (p[0] == '2') {
		if (!c->post.busy)
			post(c, "3");
	} else if (strncmp(p, "40", 2) == 0) {
		c->ready = true;
		emit(c, NODE_READY);
	} else if (strncmp(p, "43", 2) == 0) {
		emit(c, NODE_ACK);
	} else if (strncmp(p, "42", 2) == 0) {
		emit(c, NODE_MESSAGE);
	}
}

static void on_polled(struct http_client *h)
{
	struct node_client *c = h->arg;
	char body[4096];
	if (h->status != 200) {
		errno = 0;
		die(h->in);
	}
	snprintf(body, sizeof(body), "%s", http_body(h));
	if (c->sid[0] != '\0')
		poll_again(c);
	for (char *rest = body, *p; (p = strsep(&rest, "\x1e")) != NULL;) {
		bool is_first = c->sid[0] == '\0';
		handle_packet(c, p);
		if (is_first)
			poll_again(c);
	}
}

static void open_socketio(struct node_client *c, int port)
{
	char request[256];
	http_open(&c->get, port, on_polled, c);
	http_open(&c->post, port, on_posted, c);
	http_ask(&c->get, request,
		(size_t)snprintf(request, sizeof(request),
			"GET /socket.io/?EIO=4&transport=polling&room=%s HTTP/1.1\r\nHost: x\r\n\r\n", c->room));
}

/* ---- ws ---- */

/* Returns the size of the frame at the beginning of in; 0: it is incomplete. The server doesn't mask its frames, and
 * they are shorter than 64 KiB. */
static size_t frame_size(const struct node_client *c, size_t *ret_head)
{
	const unsigned char *p = (const unsigned char *)c->in;
	if (c->len < 4)
		return 0;
	size_t n = p[1] < 126 ? p[1] : (size_t)p[2] << 8 | p[3];
	*ret_head = p[1] < 126 ? 2 : 4;
	return c->len >= *ret_head + n ? *ret_head + n : 0;
}

static void handle_frames(struct node_client *c)
{
	size_t head, size;
	while ((size = frame_size(c, &head)) > 0) {
		bool is_ack = size > head + 5 && memcmp(c->in + head, "{\"ack", 5) == 0;
		memmove(c->in, c->in + size, c->len -= size);
		c->on_event(c, is_ack ? NODE_ACK : NODE_MESSAGE);
	}
}

static void send_handshake(struct node_client *c)
{
	char request[256];
	size_t len = (size_t)snprintf(request, sizeof(request),
		"GET /?room=%s HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
		c->room);
	engine_rewatch(&c->watcher, EPOLLIN);
	if (send(c->watcher.fd, request, len, MSG_NOSIGNAL) != (ssize_t)len)
		die("send");
}

static void on_ws(struct watcher *w, uint32_t events)
{
	struct node_client *c = (struct node_client *)(void *)w;
	if (events & EPOLLOUT) {
		send_handshake(c);
		return;
	}
	ssize_t n = recv(w->fd, c->in + c->len, sizeof(c->in) - 1 - c->len, 0);
	if (n <= 0)
		die("a WebSocket was closed");
	c->len += (size_t)n;
	c->in[c->len] = '\0';
	if (!c->ready && strstr(c->in, "\r\n\r\n") != NULL) {
		c->ready = true;
		c->len = 0; /* no message is sent before every client is ready */
		c->on_event(c, NODE_READY);
	} else if (c->ready) {
		handle_frames(c);
	}
}

/* ---- both ---- */

void node_client_open(struct node_client *c, const struct node *n, const char *room,
	void (*on_event)(struct node_client *, enum node_event), void *arg)
{
	*c = (struct node_client) { .kind = n->kind, .on_event = on_event, .arg = arg, .watcher.fd = -1 };
	snprintf(c->room, sizeof(c->room), "%s", room);
	if (n->kind == NODE_SOCKETIO) {
		open_socketio(c, n->port);
	} else {
		c->watcher = (struct watcher) { .fd = engine_dial(n->port), .on_ready = on_ws };
		engine_watch(&c->watcher, EPOLLOUT);
	}
}

void node_client_send(struct node_client *c, unsigned room, unsigned long long at_us)
{
	char packet[256];
	if (c->kind == NODE_SOCKETIO) {
		snprintf(packet, sizeof(packet), "421[\"message\"," MESSAGE "]", room, (uint64_t)at_us);
		post(c, packet);
		return;
	}
	int n = snprintf(
		packet + 6, sizeof(packet) - 6, MESSAGE, room, (uint64_t)at_us); /* masked with 0; shorter than 126 */
	memcpy(packet, (char[]) { (char)0x81, (char)(0x80 | n), 0, 0, 0, 0 }, 6);
	if (send(c->watcher.fd, packet, (size_t)n + 6, MSG_NOSIGNAL) != n + 6)
		die("send");
}

void node_client_close(struct node_client *c)
{
	if (c->kind == NODE_SOCKETIO) {
		http_close(&c->get);
		http_close(&c->post);
	} else {
		engine_close(&c->watcher);
	}
}
