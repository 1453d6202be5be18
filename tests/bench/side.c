/* SPDX-License-Identifier: MIT
 * See side.h. */
#include "side.h"

#include <stdio.h>

#include "bench.h"
#include "clock.h"
#include "results.h"

struct delays {
	struct histogram first, median, last;
};

static void broadcast(struct side *s, struct subscribers *subs, struct delays *d)
{
	subscribers_reset(subs);
	s->publish(s, now_us());
	if (!subscribers_await(subs, subs->count, 10 * SECOND))
		say("    %s: %llu of %u arrived", s->name, (unsigned long long)subs->deliveries, subs->count);
	histogram_add(&d->first, subs->delays.min);
	histogram_add(&d->median, (uint64_t)histogram_quantile(&subs->delays, 0.5));
	histogram_add(&d->last, subs->delays.max);
	while (s->http.busy)
		engine_turn(now_us() + SECOND);
}

static void add(const char *what, const char *part, const char *unit, const char *side, double value)
{
	char name[64];
	snprintf(name, sizeof(name), "%s: %s", what, part);
	results_add(name, unit, side, value);
}

void side_broadcast(struct side *s, const char *what, unsigned count, unsigned times)
{
	static struct delays d;
	struct subscribers subs = { .ports = { s->port },
		.ports_count = 1,
		.count = count,
		.write = s->subscribe,
		.arg = s->arg,
		.greeting = s->greeting };
	histogram_reset(&d.first);
	histogram_reset(&d.median);
	histogram_reset(&d.last);
	if (s->subscribe == NULL)
		subs.write = NULL;
	subscribers_open(&subs);
	broadcast(s, &subs, &d); /* warm-up */
	histogram_reset(&d.first);
	histogram_reset(&d.median);
	histogram_reset(&d.last);
	double cpu = s->cpu(s);
	uint64_t until = now_us() + settings.seconds * SECOND;
	unsigned done = 0;
	do
		broadcast(s, &subs, &d);
	while (++done < times && now_us() < until);
	say("    %s, %s: %.0f bytes a delivery, %u broadcasts", s->name, what,
		(double)subs.bytes / (double)subs.deliveries, done);
	add(what, "CPU a delivery", "µs", s->name, (s->cpu(s) - cpu) / done / count);
	add(what, "first", "ms", s->name, histogram_quantile(&d.first, 0.5) / 1000);
	add(what, "median", "ms", s->name, histogram_quantile(&d.median, 0.5) / 1000);
	add(what, "last", "ms", s->name, histogram_quantile(&d.last, 0.5) / 1000);
	subscribers_close(&subs);
	engine_run(SECOND / 2); /* lets the server notice that they are gone */
}
