/* SPDX-License-Identifier: MIT
 * SSE (WHATWG HTML, "Server-sent events") and NDJSON: delimited by the end of the connection, so that HTTP/1.0 proxies
 * can pass them. The first bytes are sent with the head, and every heartbeat repeats the cursor, so that a client
 * always has a cursor to resume from. */
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "base/slab.h"
#include "conf/conf.h"
#include "http/access.h"
#include "http/server.h"
#include "http/transport.h"
#include "log/tail.h"

#define FRAMES_A_WRITE 32
#define RETRY_MS 2000
#define VANISHED_MS 25000 /* what a peer may leave unacknowledged; with a heartbeat before it, 40 s */
#define UNSENT_MAX 16384  /* otherwise the kernel buffers megabytes for a client that doesn't read */
#define WRITE_SLICE 65536 /* bytes, up to the end of a frame, for one subscriber before the next one's turn */

struct stream {
	struct subscriber s;
	struct http_server *server;
	uint64_t key;
	struct access_entry *entry; /* NULL: not logged */
};

void transport_tune(int fd, bool is_stream)
{
	int one = 1, unsent = UNSENT_MAX, idle = 15, interval = 5, count = 5;
	unsigned vanished = VANISHED_MS;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &vanished, sizeof(vanished));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof(interval));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(count));
	/* Bounds the unsent bytes and leaves the window to TCP: a fixed send buffer would limit the window to its size.
	 * A Unix socket only has the buffer. */
	if (is_stream && setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof(unsent)) != 0)
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &unsent, sizeof(unsent));
}

void transport_delivered(struct http_server *s, const struct frame *f, uint64_t now_us)
{
	if (f->kind == FRAME_MESSAGE && f->message.received_us > 0)
		metrics_observe(http_metrics(s), H_DELIVERY,
			now_us > f->message.received_us ? now_us - f->message.received_us : 0);
}

static struct stream *stream_of(struct subscriber *s) { return container_of(s, struct stream, s); }

/* ---- lines of our own ---- */

static void push(struct stream *st, struct position at, struct buf *line)
{
	assert(!buf_failed(line));
	struct frame *f = frame_raw(at, line->data, line->len);
	buf_release(line);
	subscriber_push(&st->s, f);
	frame_unref(f);
}

/* Adds an event that isn't in the log. retry_ms 0: none. */
static void add_event(const struct stream *st, struct buf *out, const char *event, struct position at,
	unsigned retry_ms, const char *json)
{
	char cursor[CURSOR_MAX];
	cursor_print(tail_epoch(hub_tail(http_hub(st->server))), at, cursor);
	if (st->s.ndjson) {
		buf_addf(out, "{\"event\":\"%s\",\"cursor\":\"%s\",\"data\":%s}\n", event, cursor, json);
		return;
	}
	if (retry_ms > 0)
		buf_addf(out, "retry: %u\n", retry_ms);
	buf_addf(out, "id: %s\nevent: %s\ndata: %s\n\n", cursor, event, json);
}

static void push_event(struct stream *st, const char *event, struct position at, unsigned retry_ms, const char *json)
{
	struct buf out;
	buf_init(&out, 4096);
	add_event(st, &out, event, at, retry_ms, json);
	push(st, at, &out);
}

static const char *reset_json(const char *reason, char *out, size_t size)
{
	snprintf(out, size, "{\"reason\":\"%s\"}", reason);
	return out;
}

/* ---- writing ---- */

static size_t wire_size(const struct stream *st, const struct frame *f)
{
	return st->s.ndjson && f->kind != FRAME_KINDS ? f->ndjson_head_len + f->json_len + 2 : f->sse_len;
}

static int add_iov(const struct stream *st, const struct frame *f, struct iovec *iov)
{
	if (!st->s.ndjson || f->kind == FRAME_KINDS) {
		iov[0] = (struct iovec) { (void *)(uintptr_t)f->sse, f->sse_len };
		return 1;
	}
	iov[0] = (struct iovec) { (void *)(uintptr_t)f->ndjson_head, f->ndjson_head_len };
	iov[1] = (struct iovec) { (void *)(uintptr_t)f->json, f->json_len };
	iov[2] = (struct iovec) { (void *)(uintptr_t) "}\n", 2 };
	return 3;
}

static void skip(struct iovec *iov, size_t n)
{
	for (; n > 0; iov++) {
		/* NOLINTNEXTLINE(clang-analyzer-core.UndefinedBinaryOperatorResult): add_iov() has set it */
		size_t step = n < iov->iov_len ? n : iov->iov_len;
		iov->iov_base = (char *)iov->iov_base + step;
		iov->iov_len -= step;
		n -= step;
	}
}

/* Accounts for n bytes that were written. */
static void advance(struct stream *st, size_t n)
{
	uint64_t now = 0;
	while (n > 0) {
		struct frame *f = st->s.first;
		size_t left = wire_size(st, f) - st->s.offset;
		if (n < left) {
			st->s.offset += (uint32_t)n;
			return;
		}
		n -= left;
		if (f->kind != FRAME_KINDS) {
			st->s.got_events = true;
			if (st->entry != NULL)
				st->entry->events++;
			now = now ? now : clock_real_us();
			if (!st->s.replaying)
				transport_delivered(st->server, f, now);
		}
		subscriber_pop(&st->s);
	}
}

/* Writes about a slice of what waits. */
static ssize_t write_some(struct stream *st)
{
	struct iovec iov[FRAMES_A_WRITE * 3];
	struct frame *f;
	size_t bytes = 0;
	int n = 0;
	for (uint32_t i = 0; i < FRAMES_A_WRITE && bytes < WRITE_SLICE && (f = subscriber_waiting(&st->s, i)) != NULL;
		i++) {
		n += add_iov(st, f, iov + n);
		bytes += wire_size(st, f);
	}
	skip(iov, st->s.offset);
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = (size_t)n };
	return n == 1 ? send(st->s.fd, iov[0].iov_base, iov[0].iov_len, MSG_DONTWAIT | MSG_NOSIGNAL)
		      : sendmsg(st->s.fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* Writes what waits. Returns false if the socket accepts no more or is closed, or if it is other subscribers' turn
 * before the rest. */
static bool write_waiting(struct stream *st)
{
	size_t written = 0;
	while (st->s.first != NULL) {
		if (written >= WRITE_SLICE) {
			hub_wake(&st->s);
			return false;
		}
		ssize_t sent = write_some(st);
		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0) {
			if (errno == EAGAIN || errno == EWOULDBLOCK)
				st->s.blocked = true;
			else
				hub_detach(&st->s, false);
			return false;
		}
		st->s.last_ms = (uint32_t)clock_mono_ms();
		if (st->entry != NULL)
			st->entry->bytes += (size_t)sent;
		written += (size_t)sent;
		advance(st, (size_t)sent);
	}
	return true;
}

static bool on_ready(struct subscriber *s)
{
	if (!write_waiting(stream_of(s)))
		return false;
	if (s->state == SUBSCRIBER_CLOSING || (s->close_after && s->got_events && s->state == SUBSCRIBER_LIVE)) {
		hub_detach(s, false);
		return false;
	}
	return true;
}

/* Sent on busy streams as well: a client that doesn't know all kinds of events, or a browser, which only reports events
 * that have listeners, can rely on it. It is an event because browsers don't report comments. */
static void on_beat(struct subscriber *s)
{
	struct stream *st = stream_of(s);
	struct position at = hub_position(s);
	char cursor[CURSOR_MAX];
	struct buf out;
	cursor_print(tail_epoch(hub_tail(http_hub(st->server))), at, cursor);
	buf_init(&out, 256);
	if (st->s.ndjson)
		buf_addf(&out, "{\"event\":\"heartbeat\",\"cursor\":\"%s\"}\n", cursor);
	else
		buf_addf(&out, "id: %s\nevent: heartbeat\ndata: {}\n\n", cursor);
	s->beat_ms = (uint32_t)clock_mono_ms();
	push(st, at, &out);
	hub_wake(s);
}

static void on_end(struct subscriber *s, enum subscriber_end why)
{
	struct stream *st = stream_of(s);
	char json[64];
	unsigned retry = 500 + (unsigned)random() % 3000; /* so that clients don't all reconnect at the same time */
	const char *reset = subscriber_reset_reason(why);
	if (reset != NULL) {
		metrics_reset(http_metrics(st->server), reset);
		push_event(st, "reset", tail_head(hub_tail(http_hub(st->server))), 0,
			reset_json(reset, json, sizeof(json)));
	} else {
		snprintf(json, sizeof(json), "{\"retry\":%u}", retry);
		push_event(st, "bye", hub_position(s), retry, json);
	}
	subscriber_set_state(s, SUBSCRIBER_CLOSING);
	hub_wake(s);
}

static void count(struct stream *st, bool up)
{
	_Atomic uint64_t *gauge = &http_metrics(st->server)->gauges[st->s.ndjson ? G_STREAMS_NDJSON : G_STREAMS_SSE];
	shared_set(gauge, *gauge + (up ? 1 : (uint64_t)-1));
}

static void on_gone(struct subscriber *s)
{
	struct stream *st = stream_of(s);
	count(st, false);
	http_stream_gone(st->server, st->key);
	access_end(http_access(st->server), st->entry);
	slab_put(st, sizeof(*st));
}

static const struct subscriber_ops ops = {
	.on_ready = on_ready, .on_beat = on_beat, .on_end = on_end, .on_gone = on_gone
};

/* ---- beginning ---- */

static void add_padding(const struct stream *st, struct buf *out, unsigned n)
{
	if (n == 0)
		return;
	if (!st->s.ndjson)
		buf_addc(out, ':');
	while (n-- > 0)
		buf_addc(out, ' ');
	if (!st->s.ndjson)
		buf_adds(out, "\n\n");
}

struct transport_head stream_head(bool ndjson)
{
	return (struct transport_head) {
		ndjson ? "application/x-ndjson" : "text/event-stream; charset=utf-8",
		"Cache-Control: no-cache, no-transform\r\nX-Accel-Buffering: no\r\nX-Content-Type-Options: nosniff\r\n",
	};
}

static void push_beginning(struct stream *st, struct request *req, const struct subscription *sub)
{
	struct buf out;
	char json[160];
	buf_init(&out, PADDING_MAX + 8192);
	struct transport_head head = stream_head(st->s.ndjson);
	request_head(req, &out, 200, head.type);
	buf_addf(&out, "%sConnection: close\r\n\r\n", head.lines);
	add_padding(st, &out, sub->padding);
	char cursor[CURSOR_MAX];
	cursor_print(tail_epoch(hub_tail(http_hub(st->server))), sub->opening.at, cursor);
	snprintf(json, sizeof(json), "{\"cursor\":\"%s\",\"node\":\"%s\",\"heartbeat\":%u}", cursor, sub->node,
		st->s.period_ms / 1000);
	add_event(st, &out, "hello", sub->opening.at, RETRY_MS, json);
	if (sub->opening.outcome == HUB_START_RESET) {
		metrics_reset(http_metrics(st->server), sub->opening.reason);
		add_event(st, &out, "reset", sub->opening.at, 0, reset_json(sub->opening.reason, json, sizeof(json)));
	}
	push(st, sub->opening.at, &out);
}

static void on_handed_off(void *arg, struct request *req, int fd)
{
	struct subscription *sub = arg;
	struct http_server *server = request_server(req);
	if (fd < 0) {
		hub_user_unref(sub->opening.user);
		http_stream_gone(server, sub->key);
		free(sub);
		return;
	}
	struct stream *st = slab_get(sizeof(*st));
	st->server = server;
	st->key = sub->key;
	st->entry = access_hold(http_access(server), req);
	st->s.ndjson = sub->ndjson;
	st->s.close_after = sub->close;
	st->s.ops = &ops;
	st->s.credential = sub->credential;
	st->s.expires_s = sub->expires_s;
	st->s.period_ms = http_conf(server)->heartbeat * 1000;
	st->s.got_events = sub->opening.outcome == HUB_START_RESET; /* enough for ?close=1 */
	transport_tune(fd, true);
	push_beginning(st, req, sub);
	count(st, true);
	hub_attach(http_hub(server), sub->opening.user, &st->s, fd, sub->opening.at);
	free(sub);
}

void stream_begin(struct request *req, const struct subscription *sub)
{
	struct subscription *copy = mem_alloc(sizeof(*copy));
	*copy = *sub;
	request_hand_off(req, on_handed_off, copy);
}
