/* SPDX-License-Identifier: MIT
 * The long-poll: waits for events in the hub, answers with a complete response, and returns the connection to HTTP if
 * that is possible. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "base/problem.h"
#include "http/access.h"
#include "http/internal.h"
#include "http/server.h"
#include "http/transport.h"
#include "log/tail.h"

#define PAGE_BYTES ((size_t)1 << 20) /* of events in an answer */
#define ANSWER_MAX ((size_t)256 << 20)
#define READ_MS 5000 /* what a read of the tables may take beyond the wait */

struct poll {
	struct subscriber s;
	struct http_server *server;
	uint64_t key;
	struct access_entry *entry; /* NULL: not logged */
	unsigned limit;
	bool may_go_on, answering;
	uint64_t accounted;
	const char *reset; /* its reason; NULL: none */
	struct buf head;   /* the headers of every answer */
	struct buf out;    /* the answer, while it is written */
	uint64_t owner;    /* of its memory: see http_hold_answer() */
	size_t held;
	size_t written;
	char request_id[REQUEST_ID_MAX + 1];
};

static struct poll *poll_of(struct subscriber *s) { return container_of(s, struct poll, s); }

/* Called when the answer was written. */
static void finish(struct poll *p)
{
	bool go_on = p->may_go_on && !http_is_stopping(p->server);
	int fd = hub_detach(&p->s, go_on);
	if (go_on)
		http_hand_back(p->server, fd, p->accounted);
}

static void write_answer(struct poll *p)
{
	while (p->written < p->out.len) {
		ssize_t n =
			send(p->s.fd, p->out.data + p->written, p->out.len - p->written, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			if (errno == EAGAIN || errno == EWOULDBLOCK)
				p->s.blocked = true;
			else
				hub_detach(&p->s, false);
			return;
		}
		p->s.last_ms = (uint32_t)clock_mono_ms();
		p->written += (size_t)n;
		if (p->entry != NULL)
			p->entry->bytes += (size_t)n;
	}
	finish(p);
}

static void answer(struct poll *p, struct buf *body)
{
	if (http_is_stopping(p->server))
		p->may_go_on = false;
	buf_init(&p->out, ANSWER_MAX);
	buf_add(&p->out, p->head.data, p->head.len);
	buf_addf(&p->out, "Content-Length: %zu\r\n%s\r\n", body->len, p->may_go_on ? "" : "Connection: close\r\n");
	buf_add(&p->out, body->data, body->len);
	size_t held = p->out.len > SMALL_ANSWER ? p->out.len : 0;
	bool failed = buf_failed(body) || buf_failed(&p->out) || !http_hold_answer(p->server, p->owner, held);
	p->held = failed ? 0 : held;
	buf_release(body);
	p->answering = true;
	subscriber_set_state(&p->s, SUBSCRIBER_CLOSING);
	subscriber_clear(&p->s);
	if (failed)
		hub_detach(&p->s, false); /* too large, or too much that this user hasn't read: the client asks again */
	else
		write_answer(p);
}

static void add_reset(struct poll *p, struct buf *body, const char *cursor)
{
	metrics_reset(http_metrics(p->server), p->reset);
	buf_addf(body, "{\"event\":\"reset\",\"cursor\":\"%s\",\"data\":{\"reason\":\"%s\"}}", cursor, p->reset);
}

/* Returns true if f, which follows n events, belongs in the answer: up to the limit and about PAGE_BYTES, both of
 * which are exceeded rather than a position split. */
static bool has_place(const struct poll *p, const struct frame *f, uint32_t n, size_t len, struct position last)
{
	if (n == 0 || (f->pos > 0 && f->pos == last.pos))
		return true;
	return n < p->limit && len + f->json_len <= PAGE_BYTES;
}

/* Answers with the events that wait. */
static void answer_events(struct poll *p)
{
	const char *epoch = tail_epoch(hub_tail(http_hub(p->server)));
	char cursor[CURSOR_MAX];
	struct buf body;
	uint64_t now = clock_real_us(), last_message = 0;
	struct position pos, last = { p->s.done, p->s.done_check }; /* last: the last event in the answer */
	struct frame *f;
	uint32_t n = 0;
	buf_init(&body, ANSWER_MAX);
	buf_adds(&body, "{\"events\":[");
	for (; (f = subscriber_waiting(&p->s, n)) != NULL && has_place(p, f, n, body.len, last); n++) {
		if (n > 0)
			buf_addc(&body, ',');
		buf_add(&body, f->ndjson_head, f->ndjson_head_len);
		buf_add(&body, f->json, f->json_len);
		buf_addc(&body, '}');
		last = f->pos > 0 ? frame_at(f) : last;
		last_message = f->kind == FRAME_MESSAGE ? f->pos : last_message;
		if (!p->s.replaying)
			transport_delivered(p->server, f, now);
	}
	if (p->entry != NULL)
		p->entry->events = n;
	if (last_message > 0)
		hub_user_polled(p->s.user, last_message);
	bool more = f != NULL || subscriber_is_behind(&p->s);
	pos = f != NULL ? last : hub_position(&p->s);
	more = more && pos.pos < tail_head(hub_tail(http_hub(p->server))).pos;
	cursor_print(epoch, pos, cursor);
	if (p->reset != NULL && n > 0)
		buf_addc(&body, ',');
	if (p->reset != NULL)
		add_reset(p, &body, cursor);
	buf_addf(&body, "],\"cursor\":\"%s\",\"more\":%s}", cursor, more ? "true" : "false");
	answer(p, &body);
}

static bool on_ready(struct subscriber *s)
{
	struct poll *p = poll_of(s);
	if (p->answering)
		write_answer(p);
	else if (p->reset == NULL && subscriber_is_behind(s) && s->first == NULL)
		return true;
	else if ((s->first != NULL || s->period_ms == 0) && hub_wait_for_head(s))
		return false;
	else if (s->first != NULL || p->reset != NULL)
		answer_events(p);
	else if (s->period_ms == 0)
		answer_events(p);
	return false;
}

static void on_beat(struct subscriber *s)
{
	struct poll *p = poll_of(s);
	bool reading = subscriber_is_behind(s) && s->first == NULL && p->reset == NULL &&
		(uint32_t)clock_mono_ms() - s->last_ms < s->period_ms + READ_MS;
	if (!p->answering && !reading)
		answer_events(p);
}

static void on_end(struct subscriber *s, enum subscriber_end why)
{
	struct poll *p = poll_of(s);
	struct buf body;
	if (p->answering)
		return;
	if (subscriber_reset_reason(why) != NULL) {
		p->reset = subscriber_reset_reason(why);
		subscriber_clear(s);
		subscriber_set_position(s, tail_head(hub_tail(http_hub(p->server))));
	}
	if (why == END_SHUTDOWN || why == END_MOVED || p->reset != NULL) {
		p->may_go_on = p->may_go_on && why != END_SHUTDOWN;
		answer_events(p);
		return;
	}
	buf_init(&body, 4096);
	problem_render(&body, PROBLEM_UNAUTHORIZED, "The credential isn't valid any more.", p->request_id, "");
	buf_reset(&p->head);
	buf_adds(&p->head,
		"HTTP/1.1 401 Unauthorized\r\nContent-Type: application/problem+json\r\nWWW-Authenticate: Bearer "
		"realm=\"postern\"\r\n");
	buf_addf(&p->head, "X-Request-Id: %s\r\n", p->request_id);
	if (p->entry != NULL)
		p->entry->status = 401;
	answer(p, &body);
}

static void count(struct poll *p, bool up)
{
	_Atomic uint64_t *gauge = &http_metrics(p->server)->gauges[G_STREAMS_POLL];
	shared_set(gauge, *gauge + (up ? 1 : (uint64_t)-1));
}

static void on_gone(struct subscriber *s)
{
	struct poll *p = poll_of(s);
	count(p, false);
	http_stream_gone(p->server, p->key);
	access_end(http_access(p->server), p->entry);
	http_release_answer(p->server, p->owner, p->held);
	buf_release(&p->head);
	buf_release(&p->out);
	free(p);
}

static const struct subscriber_ops ops = {
	.on_ready = on_ready, .on_beat = on_beat, .on_end = on_end, .on_gone = on_gone
};

struct transport_head poll_head(void)
{
	return (struct transport_head) { "application/json", "Cache-Control: no-store\r\n" };
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
	struct poll *p = mem_zeroed(1, sizeof(*p));
	p->server = server;
	p->key = sub->key;
	p->entry = access_hold(http_access(server), req);
	p->limit = sub->limit;
	p->owner = server_owner(req);
	p->reset = sub->opening.outcome == HUB_START_RESET ? sub->opening.reason : NULL;
	p->may_go_on = request_may_go_on(req, &p->accounted);
	snprintf(p->request_id, sizeof(p->request_id), "%s", request_id(req));
	buf_init(&p->head, 8192);
	request_head(req, &p->head, 200, poll_head().type);
	buf_adds(&p->head, poll_head().lines);
	p->s.ops = &ops;
	p->s.credential = sub->credential;
	p->s.expires_s = sub->expires_s;
	p->s.period_ms = sub->wait_ms;
	if (!request_was_poll(req))
		transport_tune(fd, false);
	count(p, true);
	hub_attach(http_hub(server), sub->opening.user, &p->s, fd, sub->opening.at);
	free(sub);
}

void poll_begin(struct request *req, const struct subscription *sub)
{
	struct subscription *copy = mem_alloc(sizeof(*copy));
	*copy = *sub;
	request_hand_off(req, on_handed_off, copy);
}
