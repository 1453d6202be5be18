/* SPDX-License-Identifier: MIT
 * reconnect: thousands of clients reconnect at once and have missed 1,000 messages, one in each of 1,000 chats; each
 * client is in ten of the chats. Measures the time until every client has its ten messages, in three passes: on a
 * server that was just restarted and has nothing cached; with tokens and chats cached; and with nothing missed. The
 * first less the second is the cost of authentication, the second less the third that of replay and delivery, and the
 * third that of the connections and their hello. */
#include <stdio.h>

#include "bench.h"
#include "clock.h"
#include "load.h"
#include "postern.h"
#include "results.h"
#include "subscribers.h"

#define CHATS 1000
#define EACH 10
#define AT_ONCE \
	4000 /* below the listening socket's backlog (4,096), above which the kernel drops connection attempts */
#define DATABASE "town"
#define TIMEOUT (30 * SECOND)

struct town {
	unsigned users;
	char cursor[64];
};

static size_t write_stream(void *arg, unsigned number, char *out, size_t size)
{
	const struct town *t = arg;
	return get_stream(out, size, number + 1, t->cursor);
}

static size_t write_message(void *arg, unsigned number, uint64_t at, char *out, size_t size)
{
	const struct town *t = arg;
	return post_message(out, size, t->users + 1, number % CHATS + 1, at);
}

/* Posts one message to each chat. */
static void post_all(const struct postern *p, struct town *t)
{
	struct http_client c;
	char request[512];
	http_open(&c, p->port, NULL, NULL);
	for (unsigned i = 0; i < CHATS; i++)
		if (http_call(&c, request, write_message(t, i, now_us(), request, sizeof(request))) != 201)
			die(c.in);
	http_close(&c);
}

static double replays(const struct postern *p, const char *from)
{
	char name[64];
	snprintf(name, sizeof(name), "postern_replays_total{from=\"%s\"}", from);
	return postern_metric(p, name);
}

enum pass { COLD, KNOWN, NOTHING_MISSED, PASSES };

static void add(enum pass pass, const char *what, const char *unit, double value)
{
	static const char *const names[PASSES] = { "", ", tokens known", ", nothing missed" };
	char name[64];
	snprintf(name, sizeof(name), "%s%s", what, names[pass]);
	results_add(name, unit, OURS, value);
}

/* Opens all streams and waits until they have what they missed. Returns the time that it took, in seconds. */
static double wait_for_all(struct subscribers *s, enum pass pass)
{
	uint64_t began = now_us(), until = began + TIMEOUT;
	subscribers_begin(s);
	while ((pass == NOTHING_MISSED ? s->opened : s->complete) + s->lost < s->count && now_us() < until)
		engine_turn(until);
	unsigned done = pass == NOTHING_MISSED ? s->opened : s->complete;
	if (done < s->count)
		say("    only %u of %u clients are complete, %u were closed", done, s->count, s->lost);
	return (double)((pass == NOTHING_MISSED ? s->last_opened_at : s->last_at) - began) / 1e6;
}

static void reconnect(const struct postern *p, struct town *t, enum pass pass)
{
	struct subscribers s = { .ports = { p->port },
		.ports_count = 1,
		.count = t->users,
		.window = AT_ONCE,
		.write = write_stream,
		.arg = t,
		.greeting = "event: hello",
		.expect = EACH };
	double worker = postern_cpu(p), postgres = postern_cpu_postgres(p), generator = own_cpu_us();
	double from_ring = replays(p, "ring"), from_tables = replays(p, "tables");
	add(pass, "all caught up", "s", wait_for_all(&s, pass));
	add(pass, "CPU of the worker", "µs/client", (postern_cpu(p) - worker) / t->users);
	add(pass, "CPU of PostgreSQL", "µs/client", (postern_cpu_postgres(p) - postgres) / t->users);
	add(pass, "CPU of the generator", "µs/client", (own_cpu_us() - generator) / t->users);
	engine_run(3 * SECOND / 2); /* counters are published once a second */
	if (pass == COLD) {
		add(pass, "replays from the ring", "replays", replays(p, "ring") - from_ring);
		add(pass, "replays from tables", "replays", replays(p, "tables") - from_tables);
	}
	subscribers_close(&s);
	engine_run(SECOND);
}

void scenario_reconnect(void)
{
	struct postern owner, p;
	struct town t = { .users = settings.streams };
	char statements[128], conninfo[160];
	results_begin("reconnect", "Everyone comes back at once, 1,000 positions behind");
	postern_start(&owner, "reconnect", 1);
	snprintf(statements, sizeof(statements), "select bench.mesh(1, %u, %d, %d, %u)", t.users, CHATS, EACH,
		t.users + 1);
	postern_migrate(&owner, DATABASE, conninfo, sizeof(conninfo)); /* the cluster's owner doesn't follow it */
	postern_populate(conninfo, t.users + 1, statements);
	for (unsigned round = 0; round < settings.rounds; round++) {
		say("  round %u", round + 1);
		postern_start_beside(&p, &owner, DATABASE, 1);
		postern_cursor(&p, t.cursor, sizeof(t.cursor));
		post_all(&p, &t);
		postern_stop(&p);
		postern_start_beside(&p, &owner, DATABASE, 1);
		reconnect(&p, &t, COLD);
		reconnect(&p, &t, KNOWN);
		postern_cursor(&p, t.cursor, sizeof(t.cursor));
		reconnect(&p, &t, NOTHING_MISSED);
		postern_stop(&p);
	}
	postern_stop(&owner);
	results_end();
}
