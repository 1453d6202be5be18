/* SPDX-License-Identifier: MIT
 * latency: the time from the submission of a message until its arrival on another user's stream. First at light load
 * (one message at a time), compared with bare PostgreSQL; then on a schedule (open loop) among thousands of idle
 * streams of distinct users. */
#include <stdio.h>

#include "baseline.h"
#include "bench.h"
#include "clock.h"
#include "load.h"
#include "postern.h"
#include "results.h"
#include "subscribers.h"

#define PAIRS 100 /* active users: user 2i + 1 writes to user 2i + 2 */
#define SENDERS 128
#define SAMPLES 150 /* for each second of the settings */

/* Streams of the receivers of the pairs first, then the idle ones. */
static size_t write_stream(void *arg, unsigned number, char *out, size_t size)
{
	(void)arg;
	return get_stream(out, size, number < PAIRS ? 2 * number + 2 : PAIRS * 2 + 1 + number - PAIRS, NULL);
}

static size_t write_pair(void *arg, unsigned number, uint64_t at, char *out, size_t size)
{
	unsigned pair = number % PAIRS;
	(void)arg;
	return post_message(out, size, 2 * pair + 1, pair + 1, at);
}

static void add(const char *load, const char *side, const struct histogram *h)
{
	char what[64];
	static const struct {
		const char *name;
		double q;
	} parts[] = { { "p50", 0.5 }, { "p99", 0.99 } };
	for (int i = 0; i < 2; i++) {
		snprintf(what, sizeof(what), "%s: %s", load, parts[i].name);
		results_add(what, "ms", side, histogram_quantile(h, parts[i].q) / 1000);
	}
}

/* Sends one message at a time; waits until it has been received and its request has a response. */
static void light_load(const struct postern *p, struct subscribers *s)
{
	struct http_client c;
	char request[512];
	subscribers_reset(s);
	http_open(&c, p->port, NULL, NULL);
	for (unsigned i = 0; i < SAMPLES * settings.seconds; i++) {
		http_call(&c, request, write_pair(NULL, 0, now_us(), request, sizeof(request)));
		if (!subscribers_await(s, i + 1, SECOND))
			say("    a message didn't arrive");
	}
	http_close(&c);
	add("light load", OURS, &s->delays);
}

static void round_light(const struct postern *p, struct baseline *base)
{
	struct subscribers s = {
		.ports = { p->port }, .ports_count = 1, .count = 1, .write = write_stream, .greeting = "event: hello"
	};
	static struct histogram h;
	subscribers_open(&s);
	light_load(p, &s);
	subscribers_close(&s);
	histogram_reset(&h);
	baseline_latency(base, BASELINE_SEND, 10 * settings.seconds, 100, &h); /* caches are cold, CPUs asleep */
	add("10/s", "send() and NOTIFY received", &h);
	histogram_reset(&h);
	baseline_latency(base, BASELINE_NAIVE, 10 * settings.seconds, 100, &h);
	add("10/s", "naive INSERT+NOTIFY received", &h);
	histogram_reset(&h);
	baseline_latency(base, BASELINE_SEND, SAMPLES * settings.seconds, 0, &h);
	add("light load", "send() and NOTIFY received", &h);
	histogram_reset(&h);
	baseline_latency(base, BASELINE_NAIVE, SAMPLES * settings.seconds, 0, &h);
	add("light load", "naive INSERT+NOTIFY received", &h);
}

static void round_rate(const struct postern *p, struct subscribers *s, double rate)
{
	char name[32];
	struct load l = { .ports = { p->port },
		.ports_count = 1,
		.senders = SENDERS,
		.rate = rate,
		.for_us = (settings.seconds + (rate < 100 && settings.seconds > 1 ? 5 : 0)) * SECOND,
		.write = write_pair };
	load_open(&l);
	subscribers_reset(s);
	double worker = postern_cpu(p);
	load_run(&l);
	if (!subscribers_await(s, l.done, 10 * SECOND) || l.unsent > 0)
		say("    %llu of %llu arrived, %llu weren't sent in time", (unsigned long long)s->deliveries,
			(unsigned long long)l.done, (unsigned long long)l.unsent);
	snprintf(name, sizeof(name), "%.0f/s", rate);
	add(name, OURS, &s->delays);
	snprintf(name, sizeof(name), "%.0f/s: CPU of the worker", rate);
	results_add(name, "µs/message", OURS, (postern_cpu(p) - worker) / (double)(l.done ? l.done : 1));
	load_close(&l);
}

void scenario_latency(void)
{
	static const double rates[] = { 10, 1000, 5000 };
	struct postern p;
	struct baseline base;
	unsigned idle = settings.streams;
	char statements[256];
	results_begin("latency", "From POST to the frame on another's stream");
	postern_start(&p, "latency", 1);
	snprintf(statements, sizeof(statements),
		"select bench.groups(1, 2, 1, %d); select bench.groups(1000, 10, %d, %u)", PAIRS * 2, PAIRS * 2 + 1,
		PAIRS * 2 + idle);
	postern_populate(p.conninfo, PAIRS * 2 + idle, statements);
	baseline_open(&base, &p);
	for (unsigned round = 0; round < settings.rounds; round++) {
		struct subscribers s = { .ports = { p.port },
			.ports_count = 1,
			.count = PAIRS + idle,
			.write = write_stream,
			.greeting = "event: hello" };
		say("  round %u", round + 1);
		round_light(&p, &base);
		subscribers_open(&s);
		for (unsigned i = 0; i < sizeof(rates) / sizeof(rates[0]); i++)
			round_rate(&p, &s, rates[i]);
		subscribers_close(&s);
		engine_run(SECOND);
	}
	baseline_close(&base);
	postern_stop(&p);
	results_end();
}
