/* SPDX-License-Identifier: MIT
 * See replica.h. */
#include "pg/replica.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/owner.h"
#include "base/trace.h"
#include "loop/loop.h"

#define DEADLINE_MS 2000 /* then the primary is used */
#define WAIT_MS 250      /* for an idle connection */

struct replica {
	struct pg_pool *primary, *standby; /* standby NULL: there is none */
	struct list waiting;               /* reads that wait for the next query of the head */
	struct list asking;                /* reads that wait for the query in flight */
	struct list reading;
	bool is_asking, closing;
	struct replica_stats stats;
};

struct read {
	struct list link;
	struct replica *replica;
	const char *sql;
	pg_result_fn *on_result;
	void *arg;
	struct trace *trace; /* held: of the request that it is for */
	uint64_t owner;      /* likewise */
	unsigned n;
	const char *values[PG_PARAMS_MAX]; /* point to the memory after the struct; NULL is null */
};

static struct read *read_new(
	struct replica *r, const char *sql, unsigned n, const char *const values[], pg_result_fn *on_result, void *arg)
{
	size_t size = sizeof(struct read);
	for (unsigned i = 0; i < n; i++)
		size += values[i] != NULL ? strlen(values[i]) + 1 : 0;
	struct read *read = mem_alloc(size);
	*read = (struct read) { .replica = r,
		.sql = sql,
		.on_result = on_result,
		.arg = arg,
		.trace = trace_hold(),
		.owner = owner_current(),
		.n = n };
	char *to = (char *)(read + 1);
	for (unsigned i = 0; i < n; i++) {
		if (values[i] == NULL)
			continue;
		size_t len = strlen(values[i]) + 1;
		read->values[i] = memcpy(to, values[i], len);
		to += len;
	}
	list_init(&read->link);
	return read;
}

static void read_free(struct read *read)
{
	list_remove(&read->link);
	trace_drop(read->trace);
	free(read);
}

static void end(struct read *read, const struct pg_result *r)
{
	pg_result_fn *on_result = read->on_result;
	void *arg = read->arg;
	read_free(read);
	on_result(arg, r);
}

static void ask_primary(struct pg_pool *primary, const char *sql, unsigned n, const char *const values[],
	pg_result_fn *on_result, void *arg)
{
	const char *all[PG_PARAMS_MAX] = { NULL };
	memcpy(all, values, n * sizeof(*values));
	pg_pool_call(primary, sql, n + 2, all, on_result, arg);
}

/* A refusal of the functions (PTREF) is a valid answer. */
static bool is_answer(const struct pg_result *r)
{
	return pg_ok(r) ? pg_rows(r) > 0 : strncmp(pg_sqlstate(r), "PT", 2) == 0;
}

static void on_read(void *arg, const struct pg_result *res)
{
	struct read *read = arg;
	struct replica *r = read->replica;
	if (is_answer(res)) {
		r->stats.served++;
		end(read, res);
		return;
	}
	r->stats.behind += pg_ok(res);
	r->stats.failed += !pg_ok(res);
	ask_primary(r->primary, read->sql, read->n, read->values, read->on_result, read->arg);
	read_free(read);
}

static void ask_head(struct replica *r);

static void read_on_standby(struct replica *r, struct read *read, const char *head, const char *check)
{
	const char *values[PG_PARAMS_MAX];
	memcpy(values, read->values, read->n * sizeof(*values));
	values[read->n] = head;
	values[read->n + 1] = check;
	list_append(&r->reading, &read->link);
	pg_pool_call(r->standby, read->sql, read->n + 2, values, on_read, read);
}

static void on_head(void *arg, const struct pg_result *res)
{
	struct replica *r = arg;
	struct list answered;
	list_init(&answered);
	list_splice(&answered, &r->asking);
	if (r->closing)
		list_splice(&answered, &r->waiting);
	r->is_asking = false;
	for (struct list *l; (l = list_shift(&answered)) != NULL;) {
		struct read *read = container_of(l, struct read, link);
		struct trace *before = trace_enter(read->trace), *trace = trace_hold();
		uint64_t owner = owner_enter(read->owner);
		if (pg_ok(res))
			read_on_standby(r, read, pg_text(res, 0, 0), pg_text(res, 0, 1));
		else
			end(read, res);
		owner_enter(owner);
		trace_enter(before);
		trace_drop(trace);
	}
	if (!list_empty(&r->waiting))
		ask_head(r);
}

static void ask_head(struct replica *r)
{
	uint64_t owner = owner_enter(0); /* it is for all reads of this moment */
	r->is_asking = true;
	list_splice(&r->asking, &r->waiting);
	pg_pool_call(r->primary, "select head, \"check\" from log_tip()", 0, NULL, on_head, r);
	owner_enter(owner);
}

void replica_call(
	struct replica *r, const char *sql, unsigned n, const char *const values[], pg_result_fn *on_result, void *arg)
{
	if (r->standby == NULL || !pg_pool_up(r->standby)) {
		r->stats.failed += r->standby != NULL;
		ask_primary(r->primary, sql, n, values, on_result, arg);
		return;
	}
	list_append(&r->waiting, &read_new(r, sql, n, values, on_result, arg)->link);
	if (!r->is_asking)
		ask_head(r);
}

struct replica *replica_new(
	struct loop *loop, struct pg_pool *primary, const char *conninfo, unsigned size, unsigned deadline_ms)
{
	struct replica *r = mem_zeroed(1, sizeof(*r));
	r->primary = primary;
	list_init(&r->waiting);
	list_init(&r->asking);
	list_init(&r->reading);
	if (conninfo != NULL)
		r->standby = pg_pool_new(
			loop, conninfo, size, deadline_ms < DEADLINE_MS ? deadline_ms : DEADLINE_MS, WAIT_MS);
	return r;
}

void replica_stop(struct replica *r)
{
	struct pg_pool *standby = r->standby;
	r->closing = true;
	r->standby = NULL;
	if (standby != NULL)
		pg_pool_free(standby); /* its reads go to the primary */
}

void replica_free(struct replica *r) { free(r); }

const struct replica_stats *replica_stats(const struct replica *r) { return &r->stats; }
