/* SPDX-License-Identifier: MIT
 * See subscribers.h. The bytes of a stream are scanned as they arrive. Only the last ones are kept, because they may be
 * the beginning of a marker. */
#include "subscribers.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "bench.h"
#include "clock.h"
#include "marker.h"

#define KEEP (MARKER_LEN - 1)
#define OPEN_TIMEOUT (60 * SECOND)
#define STALLED_BUFFER 8192

struct subscriber {
	struct watcher watcher;
	struct subscribers *set;
	unsigned received;
	bool is_open;
	unsigned char kept;
	char tail[KEEP];
};

static char scratch[KEEP + 65536 + 1];

static void open_next(struct subscribers *s);

static void on_open(struct subscriber *one)
{
	one->is_open = true;
	one->set->opening--;
	one->set->opened++;
	one->set->last_opened_at = now_us();
	if (one->set->is_stalled)
		engine_rewatch(&one->watcher, 0);
	open_next(one->set);
}

static void on_closed(struct subscriber *one)
{
	struct subscribers *s = one->set;
	if (s->lost++ == 0)
		say("    a stream was closed, with %s: %.300s", one->is_open ? "greeting" : "no greeting",
			scratch + KEEP);
	engine_close(&one->watcher);
	if (!one->is_open) {
		s->opening--;
		open_next(s);
	}
}

static void scan(struct subscriber *one, const char *p, const char *end)
{
	struct subscribers *s = one->set;
	const char *next;
	uint64_t at, now = now_us();
	while ((next = marker_find(p, end, &at)) != NULL) {
		p = next;
		s->deliveries++;
		s->last_at = now;
		histogram_add(&s->delays, now > at ? now - at : 0);
		if (++one->received == s->expect)
			s->complete++;
	}
	one->kept = (unsigned char)(end - p < KEEP ? end - p : KEEP);
	memcpy(one->tail, end - one->kept, one->kept);
}

static void receive(struct subscriber *one)
{
	char *begin = scratch + KEEP - one->kept;
	memcpy(begin, one->tail, one->kept);
	ssize_t n = recv(one->watcher.fd, scratch + KEEP, sizeof(scratch) - KEEP - 1, 0);
	if (n < 0 && errno == EAGAIN)
		return;
	scratch[KEEP + (n > 0 ? n : 0)] = '\0';
	if (n <= 0) {
		on_closed(one);
		return;
	}
	one->set->bytes += (uint64_t)n;
	if (!one->is_open && strstr(begin, one->set->greeting) != NULL)
		on_open(one);
	scan(one, begin, scratch + KEEP + n);
}

static void on_connected(struct subscriber *one)
{
	struct subscribers *s = one->set;
	char request[1024];
	engine_rewatch(&one->watcher, EPOLLIN);
	if (s->write != NULL) {
		size_t len = s->write(s->arg, (unsigned)(one - s->all), request, sizeof(request));
		if (send(one->watcher.fd, request, len, MSG_NOSIGNAL) != (ssize_t)len)
			die("send");
	}
	if (s->greeting == NULL)
		on_open(one);
}

static void on_ready(struct watcher *w, uint32_t events)
{
	struct subscriber *one = (struct subscriber *)(void *)w;
	if (events & EPOLLOUT)
		on_connected(one);
	else
		receive(one);
}

static void open_next(struct subscribers *s)
{
	while (s->next < s->count && (s->window == 0 || s->opening < s->window)) {
		struct subscriber *one = &s->all[s->next];
		*one = (struct subscriber) { .set = s,
			.watcher = { .on_ready = on_ready,
				.fd = engine_dial_buffered(
					s->ports[s->next % s->ports_count], s->is_stalled ? STALLED_BUFFER : 0) } };
		s->next++;
		s->opening++;
		engine_watch(&one->watcher, EPOLLOUT);
	}
}

void subscribers_begin(struct subscribers *s)
{
	s->opening = s->opened = s->complete = s->lost = s->next = 0;
	s->all = calloc(s->count, sizeof(*s->all));
	if (s->all == NULL)
		die("out of memory");
	subscribers_reset(s);
	open_next(s);
}

void subscribers_open(struct subscribers *s)
{
	uint64_t until = now_us() + OPEN_TIMEOUT;
	s->window = s->window ? s->window : 100;
	subscribers_begin(s);
	while (s->opened + s->lost < s->count && now_us() < until)
		engine_turn(until);
	if (s->opened < s->count) {
		say("    only %u of %u streams could be opened, %u were closed", s->opened, s->count, s->lost);
		errno = 0;
		die("streams");
	}
}

bool subscribers_await(struct subscribers *s, uint64_t deliveries, uint64_t timeout_us)
{
	uint64_t until = now_us() + timeout_us;
	while (s->deliveries < deliveries && now_us() < until)
		engine_turn(until);
	return s->deliveries >= deliveries;
}

void subscribers_reset(struct subscribers *s)
{
	s->deliveries = s->bytes = 0;
	s->complete = 0;
	histogram_reset(&s->delays);
	for (unsigned i = 0; i < s->next; i++)
		s->all[i].received = 0;
}

void subscribers_start_reading(struct subscribers *s)
{
	s->is_stalled = false;
	for (unsigned i = 0; i < s->next; i++)
		if (s->all[i].watcher.fd >= 0)
			engine_rewatch(&s->all[i].watcher, EPOLLIN);
}

void subscribers_close(struct subscribers *s)
{
	for (unsigned i = 0; i < s->next; i++)
		engine_close(&s->all[i].watcher);
	free(s->all);
	s->all = NULL;
	s->next = 0;
}
