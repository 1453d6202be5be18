/* SPDX-License-Identifier: MIT
 * See hub.h. The subscribers' descriptors are in an epoll set of the hub's own, which is nested in the loop: a libuv
 * handle for each would need more memory than everything else of a subscriber. */
#include "hub/hub.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "hub/audience.h"
#include "hub/replay.h"
#include "log/live.h"
#include "log/ring.h"
#include "log/tail.h"
#include "loop/loop.h"

#define WRITES_A_TURN 256
#define TICK_MS 100
#define WHEEL 1024     /* slots of TICK_MS; what is due later is put back when its slot comes */
#define STUCK_MS 60000 /* a socket that accepts no bytes for that long is closed */
#define EVENTS 256

struct hub {
	struct loop *loop;
	struct tail *tail;
	size_t queue_max;
	struct hub_stats stats;
	struct audience *audience;
	struct replay *replay;
	hub_watch_fn *on_user; /* NULL: nobody watches */
	void *on_user_arg;
	int epoll;
	struct loop_fd *watch;
	struct loop_hook *hook;
	struct loop_timer *timer;
	struct subscriber *ready, **ready_end; /* singly linked, first in first out */
	struct list wheel[WHEEL];
	uint64_t tick;
	/* Subscribers that wait for the tail, linked by their wheel: those in [0] until it has reached behind_until,
	 * those in [1] came later and wait for the next round. */
	struct list behind[2];
	uint64_t behind_until;
	struct list gone; /* detached in this turn, linked by their wheel */
};

static struct hub *hub_of(const struct subscriber *s) { return hub_user_hub(s->user); }
static uint32_t now_ms(void) { return (uint32_t)clock_mono_ms(); }

void hub_wake(struct subscriber *s)
{
	if (s->ready || s->state == SUBSCRIBER_DEAD)
		return;
	struct hub *hub = hub_of(s);
	s->ready = true;
	s->ready_next = NULL;
	*hub->ready_end = s;
	hub->ready_end = &s->ready_next;
}

/* Takes the first one off the ready list; NULL if it is empty. */
static struct subscriber *shift_ready(struct hub *hub)
{
	struct subscriber *s = hub->ready;
	if (s == NULL)
		return NULL;
	hub->ready = s->ready_next;
	if (hub->ready == NULL)
		hub->ready_end = &hub->ready;
	s->ready = false;
	return s;
}

static void reap(struct hub *hub)
{
	for (struct list *l = hub->gone.next, *next; l != &hub->gone; l = next) {
		struct subscriber *s = container_of(l, struct subscriber, wheel);
		next = l->next;
		if (s->ready || s->read_pending) /* still referred to: in another turn */
			continue;
		list_remove(l);
		s->ops->on_gone(s);
	}
}

/* A broadcast is done in slices: after some writes the loop serves others. */
static void on_turn(void *arg)
{
	struct hub *hub = arg;
	struct subscriber *s;
	for (int i = 0; i < WRITES_A_TURN && (s = shift_ready(hub)) != NULL; i++)
		if (s->state != SUBSCRIBER_DEAD && !s->blocked && s->ops->on_ready(s) &&
			s->state == SUBSCRIBER_CATCHING_UP)
			replay_next(hub->replay, s);
	if (!list_empty(&hub->gone))
		reap(hub);
	if (hub->ready != NULL)
		loop_again(hub->loop);
}

static void on_events(void *arg, unsigned ready)
{
	struct hub *hub = arg;
	struct epoll_event events[EVENTS];
	(void)ready;
	int n = epoll_wait(hub->epoll, events, EVENTS, 0);
	for (int i = 0; i < n; i++) {
		struct subscriber *s = events[i].data.ptr;
		if (s->state == SUBSCRIBER_DEAD)
			continue;
		if (events[i].events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) {
			hub_detach(s, false);
		} else if (events[i].events & EPOLLOUT) {
			s->blocked = false;
			hub_wake(s);
		}
	}
}

/* Puts s where it comes up when its period ends or its credential expires. */
static void schedule(struct hub *hub, struct subscriber *s)
{
	int32_t left = (int32_t)(s->beat_ms + s->period_ms - now_ms());
	if (s->expires_s != 0) {
		int64_t life = (int64_t)s->expires_s * 1000 - (int64_t)(clock_real_us() / 1000);
		left = life < left ? (int32_t)(life < 0 ? 0 : life) : left;
	}
	uint64_t ticks = left <= 0 ? 1 : ((uint64_t)left + TICK_MS - 1) / TICK_MS;
	if (ticks >= WHEEL)
		ticks = WHEEL - 1;
	list_remove(&s->wheel);
	list_append(&hub->wheel[(hub->tick + ticks) % WHEEL], &s->wheel);
}

bool hub_wait_for_head(struct subscriber *s)
{
	struct hub *hub = hub_of(s);
	if (!tail_is_behind(hub->tail) || s->waited)
		return false;
	s->waited = true; /* only once, so that a lost notification doesn't hold up an answer */
	/* The position to wait for moves on; those who wait already don't wait for the new one. */
	bool is_first = list_empty(&hub->behind[0]);
	if (is_first)
		hub->behind_until = tail_expected(hub->tail);
	list_remove(&s->wheel);
	list_append(&hub->behind[is_first ? 0 : 1], &s->wheel);
	return true;
}

static void wake_behind(struct hub *hub)
{
	for (struct list *l; (l = list_shift(&hub->behind[0])) != NULL;) {
		struct subscriber *s = container_of(l, struct subscriber, wheel);
		schedule(hub, s);
		hub_wake(s);
	}
	list_splice(&hub->behind[0], &hub->behind[1]);
	hub->behind_until = tail_expected(hub->tail);
}

static void on_due(struct hub *hub, struct subscriber *s)
{
	uint32_t now = now_ms();
	schedule(hub, s);
	if (s->blocked && now - s->last_ms > STUCK_MS)
		hub_detach(s, false);
	else if (s->state != SUBSCRIBER_CLOSING && s->expires_s != 0 && clock_real_us() / 1000000 >= s->expires_s)
		s->ops->on_end(s, END_DENIED);
	else if (!s->blocked && s->state != SUBSCRIBER_CLOSING && now - s->beat_ms + TICK_MS / 2 >= s->period_ms)
		s->ops->on_beat(s);
	if (s->state != SUBSCRIBER_DEAD)
		schedule(hub, s);
}

static void on_tick(void *arg)
{
	struct hub *hub = arg;
	uint64_t now = clock_mono_ms() / TICK_MS;
	wake_behind(hub);
	while (hub->tick < now) {
		struct list due;
		list_init(&due);
		hub->tick++;
		list_splice(&due, &hub->wheel[hub->tick % WHEEL]);
		while (!list_empty(&due))
			on_due(hub, container_of(due.next, struct subscriber, wheel));
	}
}

static void notify_watcher(struct hub *hub, const struct hub_user *user, bool here, bool comes_again)
{
	if (hub->on_user != NULL)
		hub->on_user(hub->on_user_arg, hub_user_name(user), hub_user_key(user), here, comes_again);
}

void hub_attach(struct hub *hub, struct hub_user *user, struct subscriber *s, int fd, struct position at)
{
	struct epoll_event ev = { .events = EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = s };
	s->fd = fd;
	s->pos = s->done = at.pos;
	s->pos_check = s->done_check = at.check;
	s->last_ms = s->beat_ms = now_ms();
	list_init(&s->wheel);
	if (audience_add(user, s))
		notify_watcher(hub, user, true, false);
	hub->stats.subscribers++;
	if (epoll_ctl(hub->epoll, EPOLL_CTL_ADD, fd, &ev) != 0) {
		log_error("can't watch a stream: %s", strerror(errno));
		hub_detach(s, false);
		return;
	}
	schedule(hub, s);
	hub_wake(s);
	if (hub_user_is_stale(user))
		s->ops->on_end(s, END_MOVED);
}

int hub_detach(struct subscriber *s, bool keep_fd)
{
	int fd = s->fd;
	if (s->state == SUBSCRIBER_DEAD)
		return -1;
	struct hub *hub = hub_of(s);
	struct hub_user *user = s->user;
	bool was_closing = s->state == SUBSCRIBER_CLOSING;
	subscriber_set_state(s, SUBSCRIBER_DEAD);
	hub->stats.subscribers--;
	if (audience_remove(s))
		notify_watcher(hub, user, false, was_closing);
	hub_user_unref(user);
	subscriber_clear(s);
	list_remove(&s->wheel);
	list_append(&hub->gone, &s->wheel);
	epoll_ctl(hub->epoll, EPOLL_CTL_DEL, fd, NULL);
	if (!keep_fd)
		close(fd);
	loop_again(hub->loop);
	return keep_fd ? fd : -1;
}

/* ---- delivering ---- */

/* Removes what waits, except a frame of which a part was written: that one is finished, and the client has its cursor
 * then. The position goes back accordingly. */
static void drop_unwritten(struct subscriber *s)
{
	struct frame *partial = s->offset > 0 ? frame_ref(s->first) : NULL;
	uint32_t offset = s->offset;
	subscriber_clear(s);
	subscriber_set_position(s, (struct position) { s->done, s->done_check });
	if (partial == NULL)
		return;
	subscriber_push(s, partial);
	s->offset = offset;
	if (partial->pos > s->pos)
		subscriber_set_position(s, frame_at(partial));
	frame_unref(partial);
}

/* Queues f for a live subscriber. One that reads too slowly falls back: it catches up when its socket takes more. */
static void enqueue(struct hub *hub, struct subscriber *s, struct frame *f)
{
	subscriber_push(s, f);
	if (s->queued_bytes > hub->queue_max && s->more != NULL) {
		hub->stats.slow++;
		drop_unwritten(s);
		subscriber_set_state(s, SUBSCRIBER_CATCHING_UP);
		s->was_live = true;
	}
	hub_wake(s);
}

static void deliver(void *arg, struct subscriber *s, struct frame *f)
{
	struct hub *hub = arg;
	if (s->state != SUBSCRIBER_LIVE || f->pos <= s->pos)
		return;
	subscriber_set_position(s, frame_at(f));
	hub->stats.delivered++;
	enqueue(hub, s, f);
}

static void deliver_live(void *arg, struct subscriber *s, struct frame *f)
{
	if (s->state == SUBSCRIBER_LIVE)
		enqueue(arg, s, f);
}

struct position hub_position(const struct subscriber *s)
{
	struct position head = tail_head(hub_of(s)->tail);
	return s->state != SUBSCRIBER_LIVE || s->pos > head.pos ? (struct position) { s->pos, s->pos_check } : head;
}

/* ---- ending ---- */

struct end_request {
	uint64_t credential;
	enum subscriber_end why;
};

static void end_one(void *arg, struct subscriber *s)
{
	const struct end_request *e = arg;
	if (s->state != SUBSCRIBER_CLOSING && (e->credential == 0 || e->credential == s->credential))
		s->ops->on_end(s, e->why);
}

void hub_end(struct hub *hub, const char *name, uint64_t credential, enum subscriber_end why)
{
	struct end_request e = { credential, why };
	audience_each(hub->audience, name, end_one, &e);
}

struct rewind {
	uint64_t common;
	enum subscriber_end why;
};

/* The queued frames may belong to the old history. */
static void rewind_one(void *arg, struct subscriber *s)
{
	const struct rewind *r = arg;
	if (s->state == SUBSCRIBER_CLOSING)
		return;
	drop_unwritten(s);
	if (s->state == SUBSCRIBER_LIVE)
		subscriber_set_state(s, SUBSCRIBER_CATCHING_UP);
	s->ops->on_end(s, s->pos <= r->common ? END_MOVED : r->why);
}

/* ---- the tail's events ---- */

static void on_frame(void *arg, struct frame *f, bool own)
{
	struct hub *hub = arg;
	(void)own;
	audience_deliver(hub->audience, f, deliver, hub);
}

static void on_rejoined(void *arg, const struct frame *f) { audience_leave(((struct hub *)arg)->audience, f); }

static void on_head(void *arg)
{
	struct hub *hub = arg;
	while (!list_empty(&hub->behind[0]) && tail_head(hub->tail).pos >= hub->behind_until)
		wake_behind(hub);
}

static void on_rewind(void *arg, uint64_t common, bool foreign)
{
	struct hub *hub = arg;
	struct rewind r = { common, foreign ? END_FOREIGN : END_REWOUND };
	audience_each(hub->audience, NULL, rewind_one, &r);
	audience_forget(hub->audience);
}

static void on_live(void *arg, const struct live *l)
{
	struct hub *hub = arg;
	audience_deliver_live(hub->audience, l, deliver_live, hub);
}

static void on_control(void *arg, const char *name, uint64_t credential)
{
	if (name != NULL)
		hub_end(arg, name, credential, END_DENIED);
}

static const struct tail_events tail_events = { .on_frame = on_frame,
	.on_rejoined = on_rejoined,
	.on_head = on_head,
	.on_rewind = on_rewind,
	.on_live = on_live,
	.on_control = on_control };

/* ---- */

struct hub *hub_new(
	struct loop *loop, struct tail *tail, struct pg_pool *pool, struct replica *replica, size_t queue_max)
{
	struct hub *hub = mem_zeroed(1, sizeof(*hub));
	hub->loop = loop;
	hub->tail = tail;
	hub->queue_max = queue_max;
	hub->ready_end = &hub->ready;
	hub->tick = clock_mono_ms() / TICK_MS;
	for (int i = 0; i < WHEEL; i++)
		list_init(&hub->wheel[i]);
	list_init(&hub->behind[0]);
	list_init(&hub->behind[1]);
	list_init(&hub->gone);
	hub->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (hub->epoll < 0)
		fatal("can't create an epoll set: %s", strerror(errno));
	hub->audience = audience_new(loop, hub, tail, pool, &hub->stats);
	hub->replay = replay_new(loop, tail, replica, &hub->stats);
	hub->watch = loop_fd_new(loop, hub->epoll, LOOP_READ, on_events, hub);
	hub->hook = loop_hook_new(loop, on_turn, hub);
	hub->timer = loop_timer_new(loop, on_tick, hub);
	loop_timer_start(hub->timer, TICK_MS, TICK_MS);
	tail_listen(tail, &tail_events, hub);
	return hub;
}

static void detach_one(void *arg, struct subscriber *s)
{
	(void)arg;
	hub_detach(s, false);
}

void hub_free(struct hub *hub)
{
	audience_each(hub->audience, NULL, detach_one, NULL);
	while (shift_ready(hub) != NULL)
		;
	replay_free(hub->replay);
	reap(hub);
	audience_free(hub->audience);
	loop_fd_free(hub->watch);
	loop_hook_free(hub->hook);
	loop_timer_free(hub->timer);
	close(hub->epoll);
	free(hub);
}

void hub_set_queue_max(struct hub *hub, size_t queue_max) { hub->queue_max = queue_max; }
const struct hub_stats *hub_stats(const struct hub *hub) { return &hub->stats; }
struct tail *hub_tail(const struct hub *hub) { return hub->tail; }

void hub_open(struct hub *hub, const char *name, const struct cursor *since, hub_open_fn *on_open, void *arg)
{
	audience_open(hub->audience, name, since, on_open, arg);
}

struct each_credential {
	hub_credential_fn *fn;
	void *arg;
};

static void call_with_credential(void *arg, struct subscriber *s)
{
	const struct each_credential *e = arg;
	e->fn(e->arg, s->credential);
}

void hub_each_credential(struct hub *hub, hub_credential_fn *fn, void *arg)
{
	struct each_credential e = { fn, arg };
	audience_each(hub->audience, NULL, call_with_credential, &e);
}

void hub_each_user(struct hub *hub, hub_user_fn *fn, void *arg) { audience_each_user(hub->audience, fn, arg); }

void hub_watch_users(struct hub *hub, hub_watch_fn *fn, void *arg)
{
	hub->on_user = fn;
	hub->on_user_arg = arg;
}
