/* SPDX-License-Identifier: MIT
 * See hub.h. The subscribers' descriptors are in an epoll set of the hub's own, which is nested in the loop: a libuv
 * handle for each would cost more memory than all the rest of it. */
#include "hub/hub.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "hub/audience.h"
#include "hub/replay.h"
#include "log/live.h"
#include "log/ring.h"
#include "log/tail.h"
#include "loop/loop.h"

#define SENDS_A_TURN 256
#define TICK_MS 100
#define WHEEL 1024     /* slots of TICK_MS; what is due later is looked at again on the way */
#define STUCK_MS 60000 /* a socket that takes nothing for that long is given up */
#define EVENTS 256

struct hub {
	struct loop *loop;
	struct tail *tail;
	struct hub_limits limits;
	struct hub_stats stats;
	struct audience *audience;
	void (*on_user)(
		void *arg, const char *name, uint64_t key, bool here, bool comes_again); /* NULL: nobody watches */
	void *on_user_arg;
	struct replay *replay;
	int epoll;
	struct loop_fd *watch;
	struct loop_hook *hook;
	struct loop_timer *timer;
	struct subscriber *ready, **ready_end; /* singly linked, first in first out */
	struct list wheel[WHEEL];
	uint64_t tick;
	struct list behind[2]; /* subscribers that wait for the tail, linked by their place in the wheel; [1]: those who
				  came while the others waited */
	uint64_t behind_until; /* the position that those in behind[0] wait for */
	struct list gone;      /* detached in this turn, linked by their place in the wheel */
};

static struct hub *hub_of(const struct subscriber *s) { return audience_hub(s->user); }
static uint32_t now_ms(void) { return (uint32_t)clock_mono_ms(); }

void hub_ready(struct subscriber *s)
{
	if (s->ready || s->dead)
		return;
	struct hub *hub = hub_of(s);
	s->ready = true;
	s->ready_next = NULL;
	*hub->ready_end = s;
	hub->ready_end = &s->ready_next;
}

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
		if (s->ready || s->busy) /* still pointed at: another turn */
			continue;
		list_remove(l);
		s->ops->on_gone(s);
	}
}

/* A broadcast is sliced: so many writes, then the loop looks at the rest of the world. */
static void on_turn(void *arg)
{
	struct hub *hub = arg;
	struct subscriber *s;
	for (int i = 0; i < SENDS_A_TURN && (s = shift_ready(hub)) != NULL; i++)
		if (!s->dead && !s->blocked)
			s->ops->on_ready(s);
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
		if (s->dead)
			continue;
		if (events[i].events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) {
			hub_detach(s, false);
		} else if (events[i].events & EPOLLOUT) {
			s->blocked = false;
			hub_ready(s);
		}
	}
}

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

/* Whoever waits wants the position that is expected now. That moves on, so the ones don't wait for what the others
 * want. */
static void await_head(struct hub *hub, struct subscriber *s)
{
	bool first = list_empty(&hub->behind[0]);
	if (first)
		hub->behind_until = tail_expected(hub->tail);
	list_append(&hub->behind[first ? 0 : 1], &s->wheel);
}

bool hub_wait_for_head(struct subscriber *s)
{
	if (!tail_is_behind(hub_of(s)->tail) || s->waited)
		return false;
	s->waited = true; /* once: a notification that got lost must not hold up an answer */
	list_remove(&s->wheel);
	await_head(hub_of(s), s);
	return true;
}

static void wake_behind(struct hub *hub)
{
	for (struct list *l; (l = list_shift(&hub->behind[0])) != NULL;) {
		struct subscriber *s = container_of(l, struct subscriber, wheel);
		schedule(hub, s);
		hub_ready(s);
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
	else if (!s->closing && s->expires_s != 0 && clock_real_us() / 1000000 >= s->expires_s)
		s->ops->on_end(s, END_DENIED);
	else if (!s->blocked && !s->closing && now - s->beat_ms + TICK_MS / 2 >= s->period_ms)
		s->ops->on_beat(s);
	if (!s->dead)
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

struct hub *hub_new(struct loop *loop, struct tail *tail, struct pg_pool *pool, struct replica *replica,
	const struct hub_limits *limits)
{
	struct hub *hub = calloc(1, sizeof(*hub));
	if (hub == NULL)
		fatal("out of memory");
	hub->loop = loop;
	hub->tail = tail;
	hub->limits = *limits;
	hub->ready_end = &hub->ready;
	hub->tick = clock_mono_ms() / TICK_MS;
	for (int i = 0; i < WHEEL; i++)
		list_init(&hub->wheel[i]);
	list_init(&hub->behind[0]);
	list_init(&hub->behind[1]);
	list_init(&hub->gone);
	hub->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (hub->epoll < 0)
		fatal("can't make an epoll set: %s", strerror(errno));
	hub->audience = audience_new(loop, hub, tail, pool, &hub->stats);
	hub->replay = replay_new(loop, hub, hub->audience, replica, &hub->stats);
	hub->watch = loop_fd_new(loop, hub->epoll, LOOP_READ, on_events, hub);
	hub->hook = loop_hook_new(loop, on_turn, hub);
	hub->timer = loop_timer_new(loop, on_tick, hub);
	loop_timer_start(hub->timer, TICK_MS, TICK_MS);
	return hub;
}

static void detach_one(void *arg, struct subscriber *s)
{
	(void)arg;
	hub_detach(s, false);
}

void hub_free(struct hub *hub)
{
	audience_each(hub->audience, NULL, 0, detach_one, NULL);
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

const struct hub_stats *hub_stats(struct hub *hub) { return &hub->stats; }
void hub_set_limits(struct hub *hub, const struct hub_limits *limits) { hub->limits = *limits; }
const struct hub_limits *hub_limits(const struct hub *hub) { return &hub->limits; }
struct tail *hub_tail(const struct hub *hub) { return hub->tail; }

static void tell_user(struct hub *hub, const struct hub_user *user, bool here, bool comes_again)
{
	if (hub->on_user != NULL)
		hub->on_user(hub->on_user_arg, audience_name(user), audience_key(user), here, comes_again);
}

void hub_attach(struct hub *hub, struct hub_user *user, struct subscriber *s, int fd, struct position at)
{
	struct epoll_event ev = { .events = EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = s };
	s->fd = fd;
	s->pos = s->done = at.pos;
	s->pos_check = s->done_check = at.check;
	s->catching = true;
	s->last_ms = s->beat_ms = now_ms();
	list_init(&s->wheel);
	if (audience_add(hub->audience, user, s))
		tell_user(hub, user, true, false);
	hub->stats.subscribers++;
	if (epoll_ctl(hub->epoll, EPOLL_CTL_ADD, fd, &ev) != 0) {
		log_error("can't watch a stream: %s", strerror(errno));
		hub_detach(s, false);
		return;
	}
	schedule(hub, s);
	hub_ready(s);
	if (audience_is_forgotten(user))
		s->ops->on_end(s, END_MOVED);
}

int hub_detach(struct subscriber *s, bool keep_fd)
{
	int fd = s->fd;
	if (s->dead)
		return -1;
	struct hub *hub = hub_of(s);
	s->dead = true;
	hub->stats.subscribers--;
	struct hub_user *user = s->user;
	if (audience_remove(hub->audience, s))
		tell_user(hub, user, false, s->closing);
	audience_unref(user);
	subscriber_clear(s);
	list_remove(&s->wheel);
	list_append(&hub->gone, &s->wheel);
	epoll_ctl(hub->epoll, EPOLL_CTL_DEL, fd, NULL);
	if (!keep_fd)
		close(fd);
	loop_again(hub->loop);
	return keep_fd ? fd : -1;
}

/* Too much waits: what isn't on the wire yet is forgotten and read again from the ring when the socket takes more. */
static struct position done(const struct subscriber *s) { return (struct position) { s->done, s->done_check }; }

static void set_back(struct hub *hub, struct subscriber *s)
{
	struct frame *partial = s->offset > 0 ? frame_ref(s->first) : NULL;
	uint32_t offset = s->offset;
	hub->stats.slow++;
	subscriber_clear(s);
	if (partial != NULL) {
		subscriber_push(s, partial);
		s->offset = offset;
		subscriber_set_position(s, partial->pos > s->done ? frame_at(partial) : done(s));
		frame_unref(partial);
	} else {
		subscriber_set_position(s, done(s));
	}
	s->catching = s->set_back = true;
}

static void deliver(void *arg, struct subscriber *s, struct frame *f)
{
	struct hub *hub = arg;
	if (s->catching || s->closing || f->pos <= s->pos)
		return;
	subscriber_set_position(s, frame_at(f));
	hub->stats.delivered++;
	subscriber_push(s, f);
	if (s->queued_bytes > hub->limits.queue_max && s->more != NULL)
		set_back(hub, s);
	hub_ready(s);
}

/* Who is still reading what he missed has no use for what happens now. */
static void deliver_live(void *arg, struct subscriber *s, struct frame *f)
{
	struct hub *hub = arg;
	if (s->catching || s->closing)
		return;
	subscriber_push(s, f);
	if (s->queued_bytes > hub->limits.queue_max && s->more != NULL)
		set_back(hub, s);
	hub_ready(s);
}

void hub_on_live(struct hub *hub, struct live *l) { audience_deliver_live(hub->audience, l, deliver_live, hub); }

void hub_on_frame(struct hub *hub, struct frame *f) { audience_deliver(hub->audience, f, deliver, hub); }

void hub_on_rejoined(struct hub *hub, const struct frame *f) { audience_leave(hub->audience, f); }

void hub_on_head(struct hub *hub)
{
	while (!list_empty(&hub->behind[0]) && tail_head(hub->tail) >= hub->behind_until)
		wake_behind(hub);
}

void hub_catch_up(struct subscriber *s) { replay_next(hub_of(s)->replay, s); }

struct position hub_position(const struct subscriber *s)
{
	struct position head = tail_position(hub_of(s)->tail);
	return s->catching || s->pos > head.pos ? (struct position) { s->pos, s->pos_check } : head;
}

struct end_request {
	uint64_t credential;
	enum subscriber_end why;
};

static void end_one(void *arg, struct subscriber *s)
{
	const struct end_request *e = arg;
	if (!s->closing && (e->credential == 0 || e->credential == s->credential))
		s->ops->on_end(s, e->why);
}

void hub_end(struct hub *hub, const char *name, uint64_t credential, enum subscriber_end why)
{
	struct end_request e = { credential, why };
	audience_each(hub->audience, name, name ? strlen(name) : 0, end_one, &e);
}

struct credentials {
	void (*fn)(void *arg, uint64_t credential);
	void *arg;
};

static void tell_credential(void *arg, struct subscriber *s)
{
	const struct credentials *c = arg;
	c->fn(c->arg, s->credential);
}

void hub_each_credential(struct hub *hub, void (*fn)(void *, uint64_t), void *arg)
{
	struct credentials c = { fn, arg };
	audience_each(hub->audience, NULL, 0, tell_credential, &c);
}

const char *hub_reset_reason(enum subscriber_end why)
{
	return why == END_FOREIGN    ? "foreign_epoch"
		: why == END_REWOUND ? "rewound"
		: why == END_EXPIRED ? "expired"
				     : NULL;
}

struct rewind {
	uint64_t common;
	enum subscriber_end why;
};

/* What waits is of the history that is gone. A frame that is on the wire in part is finished: the client has its cursor
 * then. */
static void rewind_one(void *arg, struct subscriber *s)
{
	const struct rewind *r = arg;
	struct frame *partial = s->offset > 0 ? frame_ref(s->first) : NULL;
	uint32_t offset = s->offset;
	if (s->closing)
		return;
	subscriber_clear(s);
	subscriber_set_position(s, done(s));
	s->catching = true;
	if (partial != NULL) {
		subscriber_push(s, partial);
		s->offset = offset;
		if (partial->pos > s->pos)
			subscriber_set_position(s, frame_at(partial));
		frame_unref(partial);
	}
	s->ops->on_end(s, s->pos <= r->common ? END_MOVED : r->why);
}

void hub_on_rewind(struct hub *hub, uint64_t common, bool foreign)
{
	struct rewind r = { common, foreign ? END_FOREIGN : END_REWOUND };
	audience_each(hub->audience, NULL, 0, rewind_one, &r);
	audience_forget(hub->audience);
}

void hub_open(struct hub *hub, const char *name, const struct cursor *since,
	void (*on_open)(void *, const struct hub_opening *), void *arg)
{
	audience_open(hub->audience, name, since, on_open, arg);
}

void hub_watch_users(struct hub *hub, void (*fn)(void *, const char *, uint64_t, bool, bool), void *arg)
{
	hub->on_user = fn;
	hub->on_user_arg = arg;
}

void hub_each_user(struct hub *hub, void (*fn)(void *, const char *), void *arg)
{
	audience_each_user(hub->audience, fn, arg);
}

void hub_user_unref(struct hub_user *user) { audience_unref(user); }
