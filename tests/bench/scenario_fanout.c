/* SPDX-License-Identifier: MIT
 * fanout: one message to all members of a group of 1,000, 10,000 and 19,000. Measures when the first, the median and
 * the last of them receive it, and the server's CPU time per delivery. The references are Nchan and a loop of bare
 * send(). */
#include <stdio.h>

#include "bench.h"
#include "blast.h"
#include "nchan.h"
#include "postern.h"
#include "results.h"
#include "side.h"

#define TIMES 20
#define CHATS 3

static size_t subscribe_ours(void *arg, unsigned number, char *out, size_t size)
{
	return get_stream(out, size, *(unsigned *)arg + number + 1, NULL);
}

static size_t subscribe_nchan(void *arg, unsigned number, char *out, size_t size)
{
	(void)arg;
	return nchan_subscribe(out, size, "all", number);
}

/* arg: the number of users before those of this group. s->number is the id of the chat. */
static void publish_ours(struct side *s, uint64_t at)
{
	char request[512];
	http_ask(&s->http, request, post_message(request, sizeof(request), *(unsigned *)s->arg + 1, s->number, at));
}

static void publish_nchan(struct side *s, uint64_t at)
{
	char request[512];
	http_ask(&s->http, request, nchan_publish(request, sizeof(request), "all", s->number++, at));
}

static void publish_blast(struct side *s, uint64_t at) { blast_fire(s->server, at); }

static double cpu_ours(const struct side *s) { return postern_cpu(s->server); }
static double cpu_nchan(const struct side *s) { return nchan_cpu(s->server); }

static double cpu_blast(const struct side *s)
{
	const struct blast *b = s->server;
	return blast_cpu(b);
}

static void run_ours(struct postern *p, const char *what, unsigned group, unsigned before, unsigned count)
{
	struct side s = { .name = OURS,
		.port = p->port,
		.greeting = "event: hello",
		.subscribe = subscribe_ours,
		.arg = &before,
		.publish = publish_ours,
		.cpu = cpu_ours,
		.server = p,
		.number = group + 1 };
	http_open(&s.http, p->port, NULL, NULL);
	side_broadcast(&s, what, count, TIMES);
	http_close(&s.http);
}

static void run_nchan(struct nchan *n, const char *name, const char *what, unsigned count)
{
	struct side s = { .name = name,
		.port = n->port,
		.greeting = NCHAN_GREETING,
		.subscribe = subscribe_nchan,
		.publish = publish_nchan,
		.cpu = cpu_nchan,
		.server = n };
	http_open(&s.http, n->port, NULL, NULL);
	side_broadcast(&s, what, count, TIMES);
	http_close(&s.http);
}

static void run_blast(const char *what, unsigned count)
{
	struct blast b;
	blast_start(&b);
	struct side s = {
		.name = "bare send()", .port = b.port, .publish = publish_blast, .cpu = cpu_blast, .server = &b
	};
	side_broadcast(&s, what, count, TIMES);
	blast_stop(&b);
}

static void run_round(struct postern *p, struct nchan n[2], const unsigned counts[CHATS])
{
	unsigned before = 0;
	for (unsigned g = 0; g < CHATS; before += counts[g++]) {
		char what[32];
		snprintf(what, sizeof(what), "%u streams", counts[g]);
		run_ours(p, what, g, before, counts[g]);
		if (nchan_present()) {
			run_nchan(&n[0], "Nchan, 1 worker", what, counts[g]);
			run_nchan(&n[1], "Nchan, 2 workers", what, counts[g]);
		}
		run_blast(what, counts[g]);
	}
}

void scenario_fanout(void)
{
	const unsigned counts[CHATS] = { settings.streams / 10, settings.streams, settings.streams * 19 / 10 };
	unsigned users = counts[0] + counts[1] + counts[2];
	struct postern p;
	struct nchan n[2];
	char statements[256];
	results_begin("fanout", "One message to many streams");
	postern_start(&p, "fanout", 1);
	snprintf(statements, sizeof(statements),
		"select bench.groups(1, %u, 1, %u); select bench.groups(2, %u, %u, %u); select bench.groups(3, %u, "
		"%u, %u)",
		counts[0], counts[0], counts[1], counts[0] + 1, counts[0] + counts[1], counts[2],
		counts[0] + counts[1] + 1, users);
	postern_populate(p.conninfo, users, statements);
	for (unsigned i = 0; i < 2 && nchan_present(); i++)
		nchan_start(&n[i], i + 1);
	for (unsigned round = 0; round < settings.rounds; round++) {
		say("  round %u", round + 1);
		run_round(&p, n, counts);
	}
	for (unsigned i = 0; i < 2 && nchan_present(); i++)
		nchan_stop(&n[i]);
	postern_stop(&p);
	results_end();
}
