/* SPDX-License-Identifier: MIT
 * unicast: messages to thousands of direct chats in turn, whose other members each have an open stream, at 20,000 a
 * second or as fast as possible. The cost of a delivery is the server's CPU time per message, less that of the same
 * load without streams. The reference is Nchan, with as many channels. */
#include <stdio.h>

#include "bench.h"
#include "clock.h"
#include "load.h"
#include "nchan.h"
#include "postern.h"
#include "results.h"
#include "subscribers.h"

#define SENDERS 256
#define RATE 20000

struct unicast {
	const char *side, *greeting;
	int port;
	size_t (*subscribe)(void *arg, unsigned number, char *out, size_t size);
	size_t (*publish)(void *arg, unsigned number, uint64_t at, char *out, size_t size);
	double (*cpu)(const void *server);
	const void *server;
	int expect;
};

/* User 1 writes to users 2, 3, …; chat i is the direct chat with user i + 1. */
static size_t subscribe_ours(void *arg, unsigned number, char *out, size_t size)
{
	(void)arg;
	return get_stream(out, size, number + 2, NULL);
}

static size_t publish_ours(void *arg, unsigned number, uint64_t at, char *out, size_t size)
{
	(void)arg;
	return post_message(out, size, 1, number % settings.streams + 1, at);
}

static size_t subscribe_nchan(void *arg, unsigned number, char *out, size_t size)
{
	char channel[24];
	(void)arg;
	snprintf(channel, sizeof(channel), "u%u", number);
	return nchan_subscribe(out, size, channel, number);
}

static size_t publish_nchan(void *arg, unsigned number, uint64_t at, char *out, size_t size)
{
	char channel[24];
	(void)arg;
	snprintf(channel, sizeof(channel), "u%u", number % settings.streams);
	return nchan_publish(out, size, channel, number, at);
}

static double cpu_ours(const void *server) { return postern_cpu(server); }
static double cpu_nchan(const void *server) { return nchan_cpu(server); }

/* Returns µs of CPU per message. */
static double measure(const struct unicast *u, double *ret_rate)
{
	struct load l = { .ports = { u->port },
		.ports_count = 1,
		.senders = SENDERS,
		.rate = RATE,
		.for_us = settings.seconds * SECOND,
		.write = u->publish,
		.expect = u->expect };
	load_open(&l);
	double cpu = u->cpu(u->server);
	load_run(&l);
	cpu = u->cpu(u->server) - cpu;
	*ret_rate = load_rate(&l);
	load_close(&l);
	return cpu / (double)(l.done ? l.done : 1);
}

/* Measures without streams, with all streams, and without streams again. The cost of a send is the mean of the first
 * and the third. */
static void run(struct unicast u)
{
	double rate, before, with, after;
	struct unicast connected = u;
	struct subscribers s = { .ports = { u.port },
		.ports_count = 1,
		.count = settings.streams,
		.write = u.subscribe,
		.greeting = u.greeting };
	connected.expect = 201; /* Nchan responds with 202 if a channel has no subscriber */
	measure(&u, &rate);     /* warm-up: Nchan creates its channels */
	before = measure(&u, &rate);
	subscribers_open(&s);
	with = measure(&connected, &rate);
	engine_run(SECOND / 2);
	subscribers_close(&s);
	engine_run(SECOND);
	results_add("messages a second", "messages/s", u.side, rate);
	results_add("CPU a message with a receiver", "µs", u.side, with);
	results_add("p50", "ms", u.side, histogram_quantile(&s.delays, 0.5) / 1000);
	results_add("p99", "ms", u.side, histogram_quantile(&s.delays, 0.99) / 1000);
	after = measure(&u, &rate);
	results_add("CPU a message without", "µs", u.side, (before + after) / 2);
	results_add("CPU a delivery, sends excluded", "µs", u.side, with - (before + after) / 2);
}

void scenario_unicast(void)
{
	struct postern p;
	struct nchan n;
	char statements[128];
	results_begin("unicast", "20,000 messages a second, each to another's stream");
	postern_start(&p, "unicast", 1);
	snprintf(statements, sizeof(statements), "select bench.directs(1, 1, 2, %u)", settings.streams + 1);
	postern_populate(p.conninfo, settings.streams + 1, statements);
	for (unsigned round = 0; round < settings.rounds; round++) {
		say("  round %u", round + 1);
		run((struct unicast) { OURS, "event: hello", p.port, subscribe_ours, publish_ours, cpu_ours, &p, 201 });
		if (!nchan_present())
			continue;
		nchan_start(&n, 1); /* a new one each time, because it keeps messages for a minute */
		run((struct unicast) { "Nchan, 1 worker", NCHAN_GREETING, n.port, subscribe_nchan, publish_nchan,
			cpu_nchan, &n, 202 });
		nchan_stop(&n);
	}
	postern_stop(&p);
	results_end();
}
