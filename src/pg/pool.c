/* SPDX-License-Identifier: MIT
 * See pool.h. */
#include "pg/pool.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/trace.h"
#include "loop/loop.h"

#define WAITING_MAX 20000
#define SWEEP_MS 250

struct call {
	struct list link;
	uint64_t since_ms;
	const char *sql;
	pg_result_fn *on_result;
	void *arg;
	struct trace *trace; /* held: of the request that it is for */
	unsigned n;
	char *values[PG_PARAMS_MAX]; /* point to the memory after the struct */
};

struct pg_pool {
	struct pg_conn **conns;
	unsigned size, waiting, wait_ms;
	struct list queue;
	struct loop_timer *sweep;
	bool closing;
};

/* Passes waiting calls to idle connections. */
static void dispatch(struct pg_pool *p)
{
	for (unsigned i = 0; i < p->size && !list_empty(&p->queue); i++) {
		if (p->conns[i] == NULL || !pg_conn_ready(p->conns[i]))
			continue;
		struct call *call = container_of(list_shift(&p->queue), struct call, link);
		p->waiting--;
		struct trace *before = trace_enter(call->trace);
		pg_conn_call(
			p->conns[i], call->sql, call->n, (const char *const *)call->values, call->on_result, call->arg);
		trace_enter(before);
		trace_drop(call->trace);
		free(call);
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
	struct trace *before = trace_enter(call->trace);
	trace_step(call->trace, "no database connection in time");
	pg_call_away(call->on_result, call->arg);
	trace_enter(before);
	trace_drop(call->trace);
	free(call);
}

static void on_sweep(void *arg)
{
	struct pg_pool *p = arg;
	uint64_t now = clock_mono_ms();
	while (!list_empty(&p->queue)) {
		struct call *oldest = container_of(p->queue.next, struct call, link);
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
	list_init(&p->queue);
	for (unsigned i = 0; i < size; i++)
		p->conns[i] = pg_conn_new(loop, conninfo, &events, p, deadline_ms);
	p->sweep = loop_timer_new(loop, on_sweep, p);
	loop_timer_start(p->sweep, SWEEP_MS, SWEEP_MS);
	return p;
}

void pg_pool_free(struct pg_pool *p)
{
	p->closing = true;
	while (!list_empty(&p->queue))
		end_unsent(p, container_of(p->queue.next, struct call, link));
	for (unsigned i = 0; i < p->size; i++)
		pg_conn_free(p->conns[i]);
	loop_timer_free(p->sweep);
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
	*call = (struct call) { .since_ms = clock_mono_ms(),
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
	list_append(&p->queue, &call->link);
	p->waiting++;
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
