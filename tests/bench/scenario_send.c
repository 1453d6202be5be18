/* SPDX-License-Identifier: MIT
 * send: durable messages per second (the response follows the commit), by keep-alive senders that wait for each
 * response, and in bulk. The reference is bare PostgreSQL in another database of the same cluster: the naive
 * transaction, and send(), called with whole batches on one connection. */
#include <stdio.h>
#include <string.h>

#include "baseline.h"
#include "bench.h"
#include "clock.h"
#include "load.h"
#include "marker.h"
#include "node_measure.h"
#include "postern.h"
#include "results.h"

#define USERS 256
#define GROUP 16
#define BULK_LINES 500
#define BULK_SENDERS 4
#define BULK_MAX (BULK_LINES * 96)

static const unsigned counts[] = { 1, 16, 64, 256 };

static size_t write_one(void *arg, unsigned number, uint64_t at, char *out, size_t size)
{
	unsigned user = number % *(unsigned *)arg;
	return post_message(out, size, user + 1, user / GROUP + 1, at);
}

static size_t write_bulk(void *arg, unsigned number, uint64_t at, char *out, size_t size)
{
	static char body[BULK_MAX];
	size_t len = 0;
	unsigned user = number % BULK_SENDERS;
	(void)arg;
	for (unsigned i = 0; i < BULK_LINES; i++)
		len += (size_t)snprintf(body + len, sizeof(body) - len, "{\"text\":\"" MARKER_TEXT "\"}\n", at);
	size_t head = (size_t)snprintf(out, size,
		"POST /v1/chats/%u/messages HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer pt_%u\r\nContent-Type: "
		"application/x-ndjson\r\nContent-Length: %zu\r\n\r\n",
		user + 1, user * GROUP + 1, len);
	memcpy(out + head, body, len);
	return head + len;
}

static double measure(
	const struct postern *p, unsigned senders, double *ret_worker, double *ret_postgres, double *ret_generator)
{
	struct load l = { .ports = { p->port },
		.ports_count = 1,
		.senders = senders,
		.for_us = settings.seconds * SECOND,
		.write = write_one,
		.arg = &senders };
	load_open(&l);
	double worker = postern_cpu(p), postgres = postern_cpu_postgres(p), own = own_cpu_us();
	load_run(&l);
	double n = (double)(l.done ? l.done : 1);
	*ret_worker = (postern_cpu(p) - worker) / n;
	*ret_postgres = (postern_cpu_postgres(p) - postgres) / n;
	*ret_generator = (own_cpu_us() - own) / n;
	load_close(&l);
	return load_rate(&l);
}

static void round_senders(const struct postern *p, unsigned senders)
{
	double worker, postgres, generator;
	char what[64];
	snprintf(what, sizeof(what), "%u sender%s", senders, senders > 1 ? "s" : "");
	results_add(what, "messages/s", OURS, measure(p, senders, &worker, &postgres, &generator));
	if (senders < 64)
		return;
	snprintf(what, sizeof(what), "%u senders: CPU of the worker", senders);
	results_add(what, "µs/message", OURS, worker);
	snprintf(what, sizeof(what), "%u senders: CPU of PostgreSQL", senders);
	results_add(what, "µs/message", OURS, postgres);
	snprintf(what, sizeof(what), "%u senders: CPU of the generator", senders);
	results_add(what, "µs/message", OURS, generator);
}

static void round_bulk(const struct postern *p)
{
	struct load l = { .ports = { p->port },
		.ports_count = 1,
		.senders = BULK_SENDERS,
		.for_us = settings.seconds * SECOND,
		.write = write_bulk,
		.request_max = BULK_MAX + 512,
		.expect = 200 };
	load_open(&l);
	double worker = postern_cpu(p), postgres = postern_cpu_postgres(p);
	load_run(&l);
	double n = (double)(l.done ? l.done : 1) * BULK_LINES;
	results_add("bulk", "messages/s", OURS, load_rate(&l) * BULK_LINES);
	results_add("bulk: CPU of the worker", "µs/message", OURS, (postern_cpu(p) - worker) / n);
	results_add("bulk: CPU of PostgreSQL", "µs/message", OURS, (postern_cpu_postgres(p) - postgres) / n);
	load_close(&l);
}

static void round_baseline(struct baseline *base)
{
	char what[64];
	double naive = baseline_naive_rate(base);
	for (unsigned k = 0; k < sizeof(counts) / sizeof(counts[0]); k++) {
		snprintf(what, sizeof(what), "%u sender%s", counts[k], counts[k] > 1 ? "s" : "");
		results_add(what, "messages/s", "naive INSERT+NOTIFY", naive);
	}
	results_add("bulk", "messages/s", "send() in batches of 100", baseline_send_rate(base, 100));
	results_add("bulk", "messages/s", "send() in batches of 512", baseline_send_rate(base, 512));
}

/* By 64 senders. */
static void round_node(const struct postern *p, enum node_kind kind)
{
	struct node n;
	double cpu;
	if (!node_present())
		return;
	node_start(&n, kind, p);
	results_add("64 senders", "messages/s", node_name(kind), node_sends(&n, 64, &cpu));
	results_add("64 senders: CPU of the worker", "µs/message", node_name(kind), cpu);
	node_stop(&n);
}

void scenario_send(void)
{
	struct postern p;
	struct baseline base;
	unsigned warm = 64;
	double none;
	results_begin("send", "Durable messages a second");
	postern_start(&p, "send", 1);
	postern_populate(p.conninfo, USERS, "select bench.groups(1, 16, 1, 256)");
	baseline_open(&base, &p);
	measure(&p, warm, &none, &none, &none);
	baseline_send_rate(&base, 100);
	for (unsigned round = 0; round < settings.rounds; round++) {
		say("  round %u", round + 1);
		for (unsigned k = 0; k < sizeof(counts) / sizeof(counts[0]); k++)
			round_senders(&p, counts[k]);
		round_bulk(&p);
		round_baseline(&base);
		round_node(&p, NODE_SOCKETIO);
		round_node(&p, NODE_WS);
	}
	baseline_close(&base);
	postern_stop(&p);
	results_end();
}
