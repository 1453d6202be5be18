/* SPDX-License-Identifier: MIT
 * search: searches in 1,000,000 messages in 1,000 chats by a user who is a member of all of them; and the effect of
 * indexing on senders. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "clock.h"
#include "load.h"
#include "postern.h"
#include "results.h"

#define MESSAGES 1000000
#define CHATS 1000
#define QUERIES 500 /* of each kind */
#define SENDERS 64

static const char *const kinds[] = { "a rare word", "a frequent word", "a two-letter prefix", "a typo", "a phrase" };
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

struct queries {
	const char *order;
	char text[QUERIES][256];
};

static void make_queries(PGconn *pg, const char *kind, struct queries *q)
{
	char statement[128];
	for (int i = 0; i < QUERIES; i++) {
		snprintf(statement, sizeof(statement), "select bench.query('%s', %d)", kind, i);
		PGresult *r = PQexec(pg, statement);
		if (PQntuples(r) != 1)
			die(PQerrorMessage(pg));
		snprintf(q->text[i], sizeof(q->text[i]), "%s", PQgetvalue(r, 0, 0));
		PQclear(r);
	}
}

static size_t write_search(void *arg, unsigned number, uint64_t at, char *out, size_t size)
{
	const struct queries *q = arg;
	(void)at;
	return (size_t)snprintf(out, size,
		"GET /v1/search?q=%s&order=%s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer pt_1\r\n\r\n",
		q->text[number % QUERIES], q->order);
}

static size_t write_message(void *arg, unsigned number, uint64_t at, char *out, size_t size)
{
	static const char text[] = "a message of some length, as people write them";
	(void)arg, (void)at;
	return (size_t)snprintf(out, size,
		"POST /v1/chats/%u/messages HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer pt_1\r\nContent-Type: "
		"text/plain\r\n"
		"Content-Length: %zu\r\n\r\n%s",
		1 + number % CHATS, sizeof(text) - 1, text);
}

static void measure_searches(const struct postern *p, struct queries *q, const char *kind, const char *order)
{
	struct load l = { .ports = { p->port },
		.ports_count = 1,
		.senders = 1,
		.for_us = settings.seconds * SECOND,
		.write = write_search,
		.arg = q,
		.expect = 200 };
	char what[64];
	q->order = order;
	load_open(&l);
	load_run(&l);
	load_close(&l);
	if (l.failed > 0)
		die("a search failed");
	snprintf(what, sizeof(what), "%s, by %s: p50", kind, order);
	results_add(what, "ms", OURS, histogram_quantile(&l.answers, 0.5) / 1000);
	snprintf(what, sizeof(what), "%s, by %s: p99", kind, order);
	results_add(what, "ms", OURS, histogram_quantile(&l.answers, 0.99) / 1000);
}

static double measure_sends(const struct postern *p)
{
	struct load l = { .ports = { p->port },
		.ports_count = 1,
		.senders = SENDERS,
		.for_us = 3 * settings.seconds * SECOND,
		.write = write_message,
		.expect = 201 };
	load_open(&l);
	load_run(&l);
	load_close(&l);
	return load_rate(&l);
}

/* Measures sends with indexing, and without it because another process holds the follower. */
static void round_sends(const struct postern *p, PGconn *pg)
{
	sql(pg, "update postern.follower set holder = null, until = '-infinity'");
	results_add("64 senders", "sends/s", OURS, measure_sends(p));
	sql(pg, "update postern.follower set holder = 'bench', until = 'infinity'");
	results_add("64 senders", "sends/s", OURS ", nothing is indexed", measure_sends(p));
}

void scenario_search(void)
{
	struct postern owner, p;
	char conninfo[160], statements[256];
	struct queries *queries = calloc(KINDS, sizeof(*queries));
	if (queries == NULL)
		die("out of memory");
	results_begin("search", "Search in 1,000,000 messages in 1,000 chats");
	postern_start(&owner, "search", 1);
	postern_migrate(&owner, "searched", conninfo, sizeof(conninfo));
	say("  filling %d chats with %d messages", CHATS, MESSAGES);
	snprintf(statements, sizeof(statements), "select bench.mesh(1, 2, %d, %d, 3); select bench.corpus(%d, %d)",
		CHATS, CHATS, CHATS, MESSAGES);
	postern_populate(conninfo, 3, statements);
	PGconn *pg = postern_database(conninfo);
	say("  indexing them");
	uint64_t began = now_us();
	sql(pg, "call bench.index()");
	results_add("indexing, one connection", "messages/s", OURS, MESSAGES * 1e6 / (double)(now_us() - began));
	sql(pg, "vacuum analyze");
	sql(pg, "checkpoint");
	for (unsigned k = 0; k < KINDS; k++)
		make_queries(pg, kinds[k], &queries[k]);
	postern_start_beside(&p, &owner, "searched", 1);
	for (unsigned round = 0; round < settings.rounds; round++) {
		say("  round %u", round + 1);
		for (unsigned k = 0; k < KINDS; k++) {
			measure_searches(&p, &queries[k], kinds[k], "time");
			measure_searches(&p, &queries[k], kinds[k], "rank");
		}
	}
	for (unsigned round = 0; round < settings.rounds; round++)
		round_sends(&p, pg);
	PQfinish(pg);
	free(queries);
	postern_stop(&p);
	postern_stop(&owner);
	results_end();
}
