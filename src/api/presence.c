/* SPDX-License-Identifier: MIT
 * See presence.h. */
#include "api/presence.h"

#include <malloc.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/slab.h"
#include "hub/hub.h"
#include "log/tail.h"
#include "loop/loop.h"
#include "pg/array.h"
#include "pg/pool.h"

#define TICK_MS 250
#define CUT_MS 1000    /* a cut stream may mean that the page is being reloaded */
#define ENDED_MS 8000  /* after the server has ended a stream or answered a poll: the client reconnects */
#define SETTLE_MS 3000 /* after the start, and after the database was unavailable; then all users are published */
#define SWEEP_MS 5000
#define TOGETHER_MAX 1000

/* A change of a user's presence that isn't published yet. */
struct change {
	struct list link;
	uint64_t key, due_ms;
	bool here;
	char name[];
};

struct presence {
	struct api *api;
	struct loop_timer *tick;
	struct map changes; /* user's key → struct change */
	struct list order;
	uint64_t settle_ms, sweep_ms;
	unsigned published_count;         /* the number of published changes since memory was last trimmed */
	bool publishing, unsure, stopped; /* unsure: the state in the database is unknown */
};

static size_t change_size(size_t name_len) { return offsetof(struct change, name) + name_len + 1; }

static void forget(struct presence *p, struct change *c)
{
	list_remove(&c->link);
	map_remove(&p->changes, c->key);
	slab_put(c, change_size(strlen(c->name)));
}

static void on_presence(void *arg, const char *name, uint64_t key, bool here, bool comes_again)
{
	struct presence *p = arg;
	struct change *c = map_get(&p->changes, key);
	if (p->stopped)
		return;
	if (c != NULL) { /* the reverse change, before the first was published */
		forget(p, c);
		return;
	}
	size_t len = strlen(name);
	c = slab_get(change_size(len));
	c->key = key;
	c->here = here;
	c->due_ms = clock_mono_ms() + (here ? 0 : comes_again ? ENDED_MS : CUT_MS);
	memcpy(c->name, name, len + 1);
	list_init(&c->link);
	list_append(&p->order, &c->link);
	map_set(&p->changes, key, c);
}

/* The database was unavailable, and may have lost what was published: publishes all users again. */
static void resync(struct presence *p)
{
	p->unsure = true;
	p->settle_ms = clock_mono_ms() + SETTLE_MS;
}

static void on_published(void *arg, const struct pg_result *r)
{
	struct presence *p = arg;
	p->publishing = false;
	if (p->published_count >= TOGETHER_MAX && list_empty(&p->order)) { /* many names were freed */
		malloc_trim(0);
		p->published_count = 0;
	}
	if (pg_ok(r))
		return;
	if (!pg_away(r))
		log_error("can't publish presence: %s", pg_message(r));
	resync(p);
}

static void publish(struct presence *p, struct buf *here, struct buf *gone, bool only)
{
	char worker[12];
	snprintf(worker, sizeof(worker), "%u", p->api->worker);
	pg_array_end(here);
	pg_array_end(gone);
	p->publishing = true;
	pg_pool_call(p->api->pool, "select present_set($1, $2, $3, $4, $5)", 5,
		(const char *[]) { p->api->node, worker, here->data, gone->data, only ? "t" : "f" }, on_published, p);
}

static void add_name(void *arg, const char *name) { pg_array_add(arg, name); }

/* Publishes all users of this worker, instead of the changes. */
static void publish_all(struct presence *p, struct buf *here, struct buf *gone)
{
	while (!list_empty(&p->order))
		forget(p, container_of(p->order.next, struct change, link));
	hub_each_user(p->api->hub, add_name, here);
	p->unsure = false;
	publish(p, here, gone, true);
}

static void publish_changes(struct presence *p, struct buf *here, struct buf *gone, uint64_t now)
{
	unsigned n = 0;
	for (struct list *l = p->order.next, *next; l != &p->order && n < TOGETHER_MAX; l = next) {
		struct change *c = container_of(l, struct change, link);
		next = l->next;
		if (c->due_ms > now)
			continue;
		pg_array_add(c->here ? here : gone, c->name);
		forget(p, c);
		n++;
	}
	p->published_count += n;
	if (n > 0)
		publish(p, here, gone, false);
}

static void ignore(void *arg, const struct pg_result *r)
{
	(void)arg;
	(void)r;
}

static void on_tick(void *arg)
{
	struct presence *p = arg;
	uint64_t now = clock_mono_ms();
	struct buf here, gone;
	if (p->stopped || !pg_pool_up(p->api->pool))
		return;
	if (p->api->worker == 0 && now >= p->sweep_ms) {
		p->sweep_ms = now + SWEEP_MS;
		pg_pool_call(p->api->pool, "select presence_sweep()", 0, NULL, ignore, NULL);
	}
	if (p->publishing || (list_empty(&p->order) && !p->unsure))
		return;
	buf_init(&here, (size_t)64 << 20);
	buf_init(&gone, (size_t)64 << 20);
	pg_array_begin(&here);
	pg_array_begin(&gone);
	if (p->unsure && now >= p->settle_ms)
		publish_all(p, &here, &gone);
	else
		publish_changes(p, &here, &gone, now);
	buf_release(&here);
	buf_release(&gone);
}

static void on_control(void *arg, const char *name, uint64_t credential)
{
	(void)credential;
	if (name == NULL)
		resync(arg);
}

static const struct tail_events tail_events = { .on_control = on_control };

struct presence *presence_new(struct api *api)
{
	struct presence *p = mem_zeroed(1, sizeof(*p));
	p->api = api;
	resync(p); /* an earlier worker with this number may have left rows */
	list_init(&p->order);
	hub_watch_users(api->hub, on_presence, p);
	tail_listen(api->tail, &tail_events, p);
	p->tick = loop_timer_new(api->loop, on_tick, p);
	loop_timer_start(p->tick, TICK_MS, TICK_MS);
	return p;
}

void presence_stop(struct presence *p)
{
	struct buf none;
	if (p->stopped)
		return;
	p->stopped = true;
	buf_init(&none, 8);
	buf_adds(&none, "{}");
	char worker[12];
	snprintf(worker, sizeof(worker), "%u", p->api->worker);
	pg_pool_call(p->api->pool, "select present_set($1, $2, $3, $4, $5)", 5,
		(const char *[]) { p->api->node, worker, none.data, none.data, "t" }, ignore, NULL);
	buf_release(&none);
}

void presence_free(struct presence *p)
{
	while (!list_empty(&p->order))
		forget(p, container_of(p->order.next, struct change, link));
	map_release(&p->changes);
	loop_timer_free(p->tick);
	free(p);
}
