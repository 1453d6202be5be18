/* SPDX-License-Identifier: MIT
 * See gather.h. */
#include "api/gather.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/trace.h"
#include "loop/loop.h"
#include "pg/array.h"
#include "pg/fault.h"
#include "pg/pool.h"

#define CALLS_MAX 8 /* kinds of calls that are gathered */
#define TOGETHER_MAX 500
#define WAITING_MAX 50000

struct item {
	struct list link;
	struct request *req; /* NULL: the result is ignored */
	struct trace *trace;
	const char *values[CALL_FIELDS_MAX];
	char text[];
};

struct gathered {
	struct gatherer *gatherer;
	const struct call *call;
	unsigned fields, queued, in_flight_count;
	struct list queue, in_flight;
};

struct gatherer {
	struct api *api;
	struct loop_hook *hook;
	struct gathered calls[CALLS_MAX];
};

static struct item *first_of(const struct list *l) { return container_of(l->next, struct item, link); }

static void drop(struct item *item)
{
	list_remove(&item->link);
	trace_drop(item->trace);
	free(item);
}

static void answer(const struct gathered *g, struct request *req, const struct pg_result *r, int row)
{
	if (req == NULL)
		return;
	if (!pg_ok(r) || (unsigned)pg_rows(r) != g->in_flight_count) {
		call_refuse(req, r);
	} else if (!pg_null(r, row, 0)) {
		call_refuse_by(req, pg_text(r, row, 0), pg_text(r, row, 1));
	} else {
		call_reply(req, 200, r, row, 2);
	}
}

static void on_result(void *arg, const struct pg_result *r)
{
	struct gathered *g = arg;
	char text[1024];
	if (!pg_ok(r) && !pg_away(r))
		log_error("%s: %s", g->call->sql, fault_text(r, text, sizeof(text)));
	for (int row = 0; !list_empty(&g->in_flight); row++) {
		struct item *item = first_of(&g->in_flight);
		struct trace *before = trace_enter(item->trace);
		trace_step(item->trace, "gathered call ended", F("sql", g->call->sql));
		answer(g, item->req, r, row);
		trace_enter(before);
		drop(item);
	}
	g->in_flight_count = 0;
	loop_again(g->gatherer->api->loop);
}

static void submit(struct gathered *g)
{
	struct buf arrays[CALL_FIELDS_MAX];
	const char *values[CALL_FIELDS_MAX];
	for (unsigned i = 0; i < g->fields; i++) {
		buf_init(&arrays[i], (size_t)256 << 20);
		pg_array_begin(&arrays[i]);
	}
	while (!list_empty(&g->queue) && g->in_flight_count < TOGETHER_MAX) {
		struct item *item = first_of(&g->queue);
		for (unsigned i = 0; i < g->fields; i++)
			pg_array_add(&arrays[i], item->values[i]);
		list_remove(&item->link);
		list_append(&g->in_flight, &item->link);
		trace_step(item->trace, "gathered call submitted", F("sql", g->call->sql));
		g->in_flight_count++;
		g->queued--;
	}
	for (unsigned i = 0; i < g->fields; i++) {
		pg_array_end(&arrays[i]);
		values[i] = arrays[i].data;
	}
	pg_pool_call(g->gatherer->api->pool, g->call->sql, g->fields, values, on_result, g);
	for (unsigned i = 0; i < g->fields; i++)
		buf_release(&arrays[i]);
}

/* Submits what was queued in a turn of the loop as one statement. */
static void on_turn(void *arg)
{
	struct gatherer *all = arg;
	for (struct gathered *g = all->calls; g < all->calls + CALLS_MAX && g->call != NULL; g++)
		if (g->in_flight_count == 0 && !list_empty(&g->queue))
			submit(g);
}

static struct gathered *gathered_of(struct gatherer *all, const struct call *call)
{
	struct gathered *g = all->calls;
	while (g < all->calls + CALLS_MAX && g->call != NULL && g->call != call)
		g++;
	if (g == all->calls + CALLS_MAX)
		fatal("too many kinds of gathered calls");
	if (g->call == NULL) {
		*g = (struct gathered) { .gatherer = all, .call = call };
		while (call->fields[g->fields].from != FROM_END)
			g->fields++;
		list_init(&g->queue);
		list_init(&g->in_flight);
	}
	return g;
}

void gather(struct gatherer *all, const struct call *call, struct request *req, unsigned n, const char *const values[])
{
	struct gathered *g = gathered_of(all, call);
	size_t size = 0, at = 0;
	for (unsigned i = 0; i < n; i++)
		size += values[i] ? strlen(values[i]) + 1 : 0;
	if (g->queued >= WAITING_MAX) {
		if (req != NULL)
			request_problem(req, PROBLEM_OVERLOADED, NULL, "");
		return;
	}
	struct item *item = mem_zeroed(1, sizeof(*item) + size);
	item->req = req;
	item->trace = trace_hold();
	for (unsigned i = 0; i < n; i++)
		if (values[i] != NULL) {
			item->values[i] = strcpy(item->text + at, values[i]);
			at += strlen(values[i]) + 1;
		}
	list_init(&item->link);
	list_append(&g->queue, &item->link);
	g->queued++;
	loop_again(all->api->loop);
}

struct gatherer *gatherer_new(struct api *api)
{
	struct gatherer *all = mem_zeroed(1, sizeof(*all));
	all->api = api;
	all->hook = loop_hook_new(api->loop, on_turn, all);
	return all;
}

void gatherer_stop(struct gatherer *all)
{
	for (struct gathered *g = all->calls; g < all->calls + CALLS_MAX && g->call != NULL; g++) {
		while (!list_empty(&g->queue)) {
			struct item *item = first_of(&g->queue);
			if (item->req != NULL)
				request_problem(item->req, PROBLEM_STOPPING, NULL, "");
			drop(item);
		}
	}
}

void gatherer_free(struct gatherer *all)
{
	loop_hook_free(all->hook);
	free(all);
}
