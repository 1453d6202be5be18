/* SPDX-License-Identifier: MIT
 * idle: the memory of an open stream without events: Private_Dirty of the server, and the kernel's memory (of the whole
 * machine, with the generator's ends of the sockets). */
#include <stdio.h>

#include "bench.h"
#include "clock.h"
#include "nchan.h"
#include "node_measure.h"
#include "postern.h"
#include "proc.h"
#include "results.h"
#include "subscribers.h"

/* arg: the number of the first stream's user; 0: user 1 has all streams. */
static size_t subscribe_ours(void *arg, unsigned number, char *out, size_t size)
{
	unsigned base = *(unsigned *)arg;
	return get_stream(out, size, base == 0 ? 1 : base + number, NULL);
}

static size_t subscribe_nchan(void *arg, unsigned number, char *out, size_t size)
{
	char channel[24];
	snprintf(channel, sizeof(channel), arg != NULL ? "u%u" : "all", number);
	return nchan_subscribe(out, size, channel, number);
}

/* Returns the bytes per stream of the server, and of the kernel in ret_kernel. */
static double measure(int port, const char *greeting, size_t (*subscribe)(void *, unsigned, char *, size_t), void *arg,
	double (*dirty)(const void *), const void *server, double *ret_kernel)
{
	struct subscribers s = { .ports = { port },
		.ports_count = 1,
		.count = settings.streams,
		.write = subscribe,
		.arg = arg,
		.greeting = greeting };
	double before = dirty(server), kernel = proc_kernel();
	subscribers_open(&s);
	engine_run(2 * SECOND); /* the server frees unused memory once a second */
	double after = dirty(server);
	*ret_kernel = (proc_kernel() - kernel) / settings.streams;
	subscribers_close(&s);
	return (after - before) / settings.streams;
}

static double dirty_ours(const void *server) { return postern_dirty(server); }
static double dirty_nchan(const void *server) { return nchan_dirty(server); }

/* Measures a server without earlier streams: memory that these had used would be used again and not be counted. */
static void run_ours(const char *what, const struct postern *owner, unsigned base)
{
	struct postern p;
	double kernel;
	postern_start_beside(&p, owner, NULL, 1);
	results_add(
		what, "bytes", OURS, measure(p.port, "event: hello", subscribe_ours, &base, dirty_ours, &p, &kernel));
	if (base == 1)
		results_add("kernel, with the client's end", "bytes", OURS, kernel);
	postern_stop(&p);
}

static void run_nchan(const char *what, const char *side, void *own_channels)
{
	struct nchan n;
	double kernel;
	if (!nchan_present())
		return;
	nchan_start(&n, 1);
	results_add(what, "bytes", side,
		measure(n.port, NCHAN_GREETING, subscribe_nchan, own_channels, dirty_nchan, &n, &kernel));
	if (own_channels != NULL)
		results_add("kernel, with the client's end", "bytes", side, kernel);
	nchan_stop(&n);
}

static void run_node(const char *what, const struct postern *p, enum node_kind kind)
{
	struct node n;
	if (!node_present())
		return;
	node_start(&n, kind, p);
	results_add(what, "bytes", node_name(kind),
		node_idle(&n, settings.streams / 4)); /* a client of socket.io has two connections */
	node_stop(&n);
}

void scenario_idle(void)
{
	struct postern p;
	unsigned n = settings.streams;
	char statements[256];
	results_begin("idle", "Memory of an idle stream");
	postern_start(&p, "idle", 1);
	snprintf(statements, sizeof(statements),
		"select bench.groups(1, 10, 1, %u); select bench.groups(100000, %u, %u, %u)", n, n, n + 1, 2 * n);
	postern_populate(p.conninfo, 2 * n, statements);
	for (unsigned round = 0; round < settings.rounds; round++) {
		say("  round %u", round + 1);
		run_ours("a stream, its user and a group of ten", &p, 1);
		run_nchan("a stream, its user and a group of ten", "Nchan, a channel each", statements);
		run_ours("a stream and its user, all in one group", &p, n + 1);
		run_nchan("a stream and its user, all in one group", "Nchan, one channel", NULL);
		run_node("a stream and its user, all in one group", &p, NODE_SOCKETIO);
		run_node("a stream and its user, all in one group", &p, NODE_WS);
		run_ours("the stream alone", &p, 0);
	}
	postern_stop(&p);
	results_end();
}
