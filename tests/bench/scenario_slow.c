/* SPDX-License-Identifier: MIT
 * slow: broadcasts to a group, first with only fast readers, then with a tenth more that read nothing. Measures the
 * delay of the fast readers and the server's memory, and checks that the slow readers receive everything once they
 * read. */
#include <math.h>
#include <stdio.h>

#include "bench.h"
#include "clock.h"
#include "http.h"
#include "postern.h"
#include "results.h"
#include "scenario_slow.h"
#include "subscribers.h"

#define TIMES 60    /* broadcasts: more than the server queues for a stalled stream (stream_queue_max) */
#define LENGTH 6000 /* bytes of a message's text */
#define ALONE "Postern, no slow readers"

static size_t subscribe(void *arg, unsigned number, char *out, size_t size)
{
	return get_stream(out, size, *(unsigned *)arg + number + 1, NULL);
}

/* Each broadcast waits until all fast readers have the one before. */
static void broadcasts(struct postern *p, struct http_client *http, struct subscribers *s, const char *side)
{
	char request[LENGTH + 512];
	subscribers_reset(s);
	double cpu = postern_cpu(p);
	for (unsigned i = 1; i <= TIMES; i++) {
		http_call(http, request, post_long_message(request, sizeof(request), 1, 1, now_us(), LENGTH));
		if (!subscribers_await(s, (uint64_t)i * s->count, 10 * SECOND))
			say("    %llu of %u arrived", (unsigned long long)s->deliveries, i * s->count);
	}
	results_add("a delivery to a fast reader: p50", "ms", side, histogram_quantile(&s->delays, 0.5) / 1000);
	results_add("a delivery to a fast reader: p99", "ms", side, histogram_quantile(&s->delays, 0.99) / 1000);
	results_add("CPU a broadcast", "ms", side, (postern_cpu(p) - cpu) / TIMES / 1000);
}

static void run_round(struct postern *p, unsigned count)
{
	unsigned none = 0;
	struct http_client http;
	struct subscribers readers = { .ports = { p->port },
		.ports_count = 1,
		.count = count,
		.write = subscribe,
		.arg = &none,
		.greeting = "event: hello" };
	struct subscribers slow = { .ports = { p->port },
		.ports_count = 1,
		.count = count / 10,
		.write = subscribe,
		.arg = &count,
		.greeting = "event: hello",
		.is_stalled = true };
	http_open(&http, p->port, NULL, NULL);
	subscribers_open(&readers);
	broadcasts(p, &http, &readers, ALONE);
	subscribers_open(&slow);
	double dirty = postern_dirty(p), set_back = postern_metric(p, "postern_slow_subscribers_total");
	broadcasts(p, &http, &readers, OURS);
	results_add("memory a slow reader", "KiB", OURS, (postern_dirty(p) - dirty) / 1024 / slow.count);
	results_add("set back for slowness", "readers", OURS,
		postern_metric(p, "postern_slow_subscribers_total") - set_back);
	uint64_t began = now_us();
	subscribers_start_reading(&slow);
	subscribers_await(&slow, (uint64_t)TIMES * slow.count, 30 * SECOND);
	results_add("the slow ones read: all caught up", "s", OURS, (double)(now_us() - began) / SECOND);
	engine_run(SECOND / 2); /* duplicates would arrive now */
	results_add("messages the slow ones missed or got twice", "messages", OURS,
		fabs((double)TIMES * slow.count - (double)slow.deliveries));
	results_add("slow readers that were closed", "readers", OURS, slow.lost);
	subscribers_close(&slow);
	subscribers_close(&readers);
	http_close(&http);
	engine_run(SECOND / 2); /* lets the server notice that they are gone */
}

void scenario_slow(void)
{
	unsigned users = settings.streams + settings.streams / 10;
	struct postern p;
	char statements[128];
	results_begin("slow", "Broadcasts with clients that read nothing");
	postern_start(&p, "slow", 1);
	snprintf(statements, sizeof(statements), "select bench.groups(1, %u, 1, %u), bench.groups(2, 1, 1, 1)", users,
		users);
	postern_populate(p.conninfo, users, statements);
	for (unsigned round = 0; round < settings.rounds; round++) {
		say("  round %u", round + 1);
		run_round(&p, settings.streams);
	}
	catchup_rounds(&p);
	postern_stop(&p);
	results_end();
}
