/* SPDX-License-Identifier: MIT
 * See uses.h. */
#include "api/uses.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "hub/hub.h"
#include "loop/loop.h"
#include "pg/array.h"
#include "pg/pool.h"

#define EVERY_S 300 /* a credential's use is noted once in this time */
#define GATHER_MS 1000
#define TOGETHER_MAX 500
#define AGENT_MAX 200

/* Three arrays of PostgreSQL, with an entry for each use. */
struct gathered {
	struct buf ids, addresses, agents;
	unsigned count;
};

struct uses {
	struct api *api;
	struct gathered gathered;
	struct loop_timer *flush, *streams;
	bool writing, waiting; /* waiting: the timer runs */
};

static void begin(struct gathered *g)
{
	buf_reset(&g->ids);
	buf_reset(&g->addresses);
	buf_reset(&g->agents);
	pg_array_begin(&g->ids);
	pg_array_begin(&g->addresses);
	pg_array_begin(&g->agents);
	g->count = 0;
}

static void add(struct gathered *g, uint64_t credential, const char *address, const char *agent)
{
	char id[24];
	snprintf(id, sizeof(id), "%" PRIu64, credential);
	pg_array_add(&g->ids, id);
	pg_array_add(&g->addresses, address);
	pg_array_add(&g->agents, agent);
	g->count++;
}

static void init(struct gathered *g)
{
	buf_init(&g->ids, 1 << 20);
	buf_init(&g->addresses, 1 << 20);
	buf_init(&g->agents, 1 << 20);
	begin(g);
}

static void release(struct gathered *g)
{
	buf_release(&g->ids);
	buf_release(&g->addresses);
	buf_release(&g->agents);
}

static void write_down(struct uses *u, struct gathered *g, pg_result_fn *then)
{
	pg_array_end(&g->ids);
	pg_array_end(&g->addresses);
	pg_array_end(&g->agents);
	pg_pool_call(u->api->pool, "select credentials_used($1, $2, $3)", 3,
		(const char *[]) { g->ids.data, g->addresses.data, g->agents.data }, then, u);
	begin(g);
}

static void schedule(struct uses *u)
{
	if (!u->waiting && !u->writing && u->gathered.count > 0) {
		u->waiting = true;
		loop_timer_start(u->flush, GATHER_MS, 0);
	}
}

static void log_failure(const struct pg_result *r)
{
	if (!pg_ok(r) && !pg_away(r))
		log_error("can't store when users were last seen: %s", pg_message(r));
}

static void on_written(void *arg, const struct pg_result *r)
{
	struct uses *u = arg;
	log_failure(r);
	u->writing = false;
	schedule(u);
}

static void on_flush(void *arg)
{
	struct uses *u = arg;
	u->waiting = false;
	u->writing = true;
	write_down(u, &u->gathered, on_written);
}

bool uses_due(uint32_t *noted_s)
{
	uint32_t now_s = (uint32_t)(clock_mono_ms() / 1000) + 1; /* never 0 */
	if (*noted_s != 0 && now_s - *noted_s < EVERY_S)
		return false;
	*noted_s = now_s;
	return true;
}

void uses_note(struct uses *u, const struct request *req, uint64_t credential)
{
	char address[64], agent[AGENT_MAX + 1];
	const char *header = request_header(req, "User-Agent");
	size_t len = header ? strlen(header) : 0;
	if (u->gathered.count >= TOGETHER_MAX) /* the database can't keep up: a dropped use is noted again later */
		return;
	request_client(req, address, sizeof(address));
	if (len > AGENT_MAX) /* doesn't split a character */
		for (len = AGENT_MAX; len > 0 && ((unsigned char)header[len] & 0xc0) == 0x80; len--)
			;
	bool good = header != NULL && utf8_valid(header, len);
	if (good)
		snprintf(agent, sizeof(agent), "%.*s", (int)len, header);
	add(&u->gathered, credential, address, good ? agent : NULL);
	schedule(u);
}

/* ---- streams: a client with an open stream makes no further requests ---- */

static void on_streams_written(void *arg, const struct pg_result *r)
{
	(void)arg;
	log_failure(r);
}

struct round {
	struct uses *uses;
	struct gathered gathered;
};

static void on_credential(void *arg, uint64_t credential)
{
	struct round *r = arg;
	add(&r->gathered, credential, NULL, NULL);
	if (r->gathered.count == TOGETHER_MAX)
		write_down(r->uses, &r->gathered, on_streams_written);
}

static void on_streams(void *arg)
{
	struct round r = { .uses = arg };
	init(&r.gathered);
	hub_each_credential(r.uses->api->hub, on_credential, &r);
	if (r.gathered.count > 0)
		write_down(r.uses, &r.gathered, on_streams_written);
	release(&r.gathered);
}

/* ---- */

struct uses *uses_new(struct api *api)
{
	struct uses *u = mem_zeroed(1, sizeof(*u));
	u->api = api;
	init(&u->gathered);
	u->flush = loop_timer_new(api->loop, on_flush, u);
	u->streams = loop_timer_new(api->loop, on_streams, u);
	loop_timer_start(u->streams, EVERY_S * 1000, EVERY_S * 1000);
	return u;
}

void uses_free(struct uses *u)
{
	loop_timer_free(u->flush);
	loop_timer_free(u->streams);
	release(&u->gathered);
	free(u);
}
