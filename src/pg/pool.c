/* SPDX-License-Identifier: MIT
 * See pool.h. Every owner with calls has a queue; those that may submit one take turns (round robin). */
#include "pg/pool.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/owner.h"
#include "base/trace.h"
#include "loop/loop.h"

#define WAITING_MAX 20000
#define SWEEP_MS 250

struct call {
	struct list link, age; /* in its owner's queue; in the order of all calls that wait */
	struct pg_pool *pool;
	struct queue *queue;
	uint64_t since_ms;
	const char *sql;
	pg_result_fn *on_result;
	void *arg;
	struct trace *trace; /* held: of the request that it is for */
	unsigned n;
	char *values[PG_PARAMS_MAX]; /* point to the memory after the struct */
};

/* The calls of one owner. It exists while it has any, waiting or in flight. */
struct queue {
	struct list turn; /* in the pool's list of turns, while a call waits and fewer than the most are in flight */
	struct list calls;
	uint64_t owner;
	unsigned in_flight;
};

struct pg_pool {
	struct pg_conn **conns;
	unsigned size, waiting, wait_ms;
	struct map queues; /* owner → struct queue; of the owner 0: own */
	struct queue own;  /* the server's own calls, of which any number may be in flight */
	struct list turns, oldest;
	struct loop_timer *sweep;
	bool closing;
};

static struct queue *queue_of(struct pg_pool *p, uint64_t owner)
{
	struct queue *q = owner != 0 ? map_get(&p->queues, owner) : &p->own;
	if (q != NULL)
		return q;
	q = mem_zeroed(1, sizeof(*q));
	q->owner = owner;
	list_init(&q->turn);
	list_init(&q->calls);
	map_set(&p->queues, owner, q);
	return q;
}

/* Gives the queue a turn if it may submit a call, after all others unless it has one already. Frees it if it has no
 * calls. */
static void update_turn(struct pg_pool *p, struct queue *q)
{
	bool may_submit = !list_empty(&q->calls) && (q->owner == 0 || q->in_flight < (p->size + 1) / 2);
	if (may_submit && list_empty(&q->turn))
		list_append(&p->turns, &q->turn);
	else if (!may_submit)
		list_remove(&q->turn);
	if (list_empty(&q->calls) && q->in_flight == 0 && q->owner != 0) {
		map_remove(&p->queues, q->owner);
		free(q);
	}
}

static void free_call(struct call *call)
{
	trace_drop(call->trace);
	free(call);
}

static void on_done(void *arg, const struct pg_result *r)
{
	struct call *call = arg;
	struct pg_pool *p = call->pool;
	uint64_t before = owner_enter(call->queue->owner);
	call->queue->in_flight--;
	update_turn(p, call->queue);
	call->on_result(call->arg, r);
	owner_enter(before);
	free_call(call);
}

/* Passes waiting calls to idle connections. */
static void dispatch(struct pg_pool *p)
{
	for (unsigned i = 0; i < p->size && !list_empty(&p->turns); i++) {
		if (p->conns[i] == NULL || !pg_conn_ready(p->conns[i]))
			continue;
		struct queue *q = container_of(list_shift(&p->turns), struct queue, turn);
		struct call *call = container_of(list_shift(&q->calls), struct call, link);
		list_remove(&call->age);
		p->waiting--;
		q->in_flight++;
		update_turn(p, q);
		struct trace *before = trace_enter(call->trace);
		pg_conn_call(p->conns[i], call->sql, call->n, (const char *const *)call->values, on_done, call);
		trace_enter(before);
	}
}

static void on_up(void *arg)
{
	struct pg_pool *p = arg;
	if (!p->closing)
		dispatch(p);
}

static const struct pg_events events = { .on_up = on_up };

/* Ends a call that never reached a connection: its result is pg_away(). */
static void end_unsent(struct pg_pool *p, struct call *call)
{
	p->waiting--;
	list_remove(&call->link);
	list_remove(&call->age);
	uint64_t owner = owner_enter(call->queue->owner);
	update_turn(p, call->queue);
	struct trace *before = trace_enter(call->trace);
	trace_step(call->trace, "no database connection in time");
	pg_call_away(call->on_result, call->arg);
	trace_enter(before);
	owner_enter(owner);
	free_call(call);
}

static void on_sweep(void *arg)
{
	struct pg_pool *p = arg;
	uint64_t now = clock_mono_ms();
	while (!list_empty(&p->oldest)) {
		struct call *oldest = container_of(p->oldest.next, struct call, age);
		if (p->waiting <= WAITING_MAX && now - oldest->since_ms < p->wait_ms)
			break;
		end_unsent(p, oldest);
	}
}

struct pg_pool *pg_pool_new(
	struct loop *loop, const char *conninfo, unsigned size, unsigned deadline_ms, unsigned wait_ms)
{
	struct pg_pool *p = mem_zeroed(1, sizeof(*p));
	p->conns = mem_zeroed(size, sizeof(struct pg_conn *));
	p->size = size;
	p->wait_ms = wait_ms;
	list_init(&p->turns);
	list_init(&p->oldest);
	list_init(&p->own.turn);
	list_init(&p->own.calls);
	for (unsigned i = 0; i < size; i++)
		p->conns[i] = pg_conn_new(loop, conninfo, &events, p, deadline_ms);
	p->sweep = loop_timer_new(loop, on_sweep, p);
	loop_timer_start(p->sweep, SWEEP_MS, SWEEP_MS);
	return p;
}

void pg_pool_free(struct pg_pool *p)
{
	p->closing = true;
	while (!list_empty(&p->oldest))
		end_unsent(p, container_of(p->oldest.next, struct call, age));
	for (unsigned i = 0; i < p->size; i++)
		pg_conn_free(p->conns[i]);
	loop_timer_free(p->sweep);
	map_release(&p->queues);
	free(p->conns);
	free(p);
}

void pg_pool_call(
	struct pg_pool *p, const char *sql, unsigned n, const char *const values[], pg_result_fn *on_result, void *arg)
{
	size_t size = sizeof(struct call);
	for (unsigned i = 0; i < n; i++)
		size += values[i] ? strlen(values[i]) + 1 : 0;
	struct call *call = mem_alloc(size);
	*call = (struct call) { .pool = p,
		.queue = queue_of(p, owner_current()),
		.since_ms = clock_mono_ms(),
		.sql = sql,
		.on_result = on_result,
		.arg = arg,
		.trace = trace_hold(),
		.n = n };
	char *at = (char *)(call + 1);
	for (unsigned i = 0; i < n; i++) {
		call->values[i] = values[i] ? strcpy(at, values[i]) : NULL;
		at += values[i] ? strlen(values[i]) + 1 : 0;
	}
	list_init(&call->link);
	list_init(&call->age);
	list_append(&call->queue->calls, &call->link);
	list_append(&p->oldest, &call->age);
	p->waiting++;
	update_turn(p, call->queue);
	if (!p->closing)
		dispatch(p);
}

bool pg_pool_up(const struct pg_pool *p)
{
	for (unsigned i = 0; i < p->size; i++)
		if (pg_conn_up(p->conns[i]))
			return true;
	return false;
}

void pg_pool_set_wait(struct pg_pool *p, unsigned wait_ms) { p->wait_ms = wait_ms; }

void pg_pool_count(const struct pg_pool *p, unsigned *ret_busy, unsigned *ret_idle, unsigned *ret_down)
{
	*ret_busy = *ret_idle = *ret_down = 0;
	for (unsigned i = 0; i < p->size; i++)
		++*(!pg_conn_up(p->conns[i]) ? ret_down : pg_conn_ready(p->conns[i]) ? ret_idle : ret_busy);
}

unsigned pg_pool_waiting(const struct pg_pool *p) { return p->waiting; }
