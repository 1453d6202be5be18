/* SPDX-License-Identifier: MIT
 * groups: 10,000 streams, in groups of 10, of 500 and of 10,000 users who are all connected. Each message goes to the
 * next group, as soon as the last member of the group before has received theirs. Measures the CPU time per delivery,
 * with the share of the send, and the delay of the last member. */
#include <stdio.h>

#include "bench.h"
#include "clock.h"
#include "http.h"
#include "postern.h"
#include "results.h"
#include "subscribers.h"

#define KINDS 3

struct hall {
	unsigned size;   /* of each group */
	unsigned first;  /* the first group's id */
	unsigned users;  /* in all these groups */
	unsigned before; /* the number of users before these */
};

static size_t write_stream(void *arg, unsigned number, char *out, size_t size)
{
	const struct hall *h = arg;
	return get_stream(out, size, h->before + number + 1, NULL);
}

static void measure(const struct postern *p, struct subscribers *s, struct hall *h)
{
	static struct histogram last;
	struct http_client c;
	char request[512], what[64];
	unsigned groups = h->users / h->size, sent = 0;
	uint64_t delivered = 0, until;
	http_open(&c, p->port, NULL, NULL);
	histogram_reset(&last);
	double cpu = postern_cpu(p);
	for (until = now_us() + settings.seconds * SECOND; now_us() < until; sent++) {
		unsigned group = sent % groups;
		subscribers_reset(s);
		uint64_t at = now_us();
		http_call(&c, request,
			post_message(request, sizeof(request), h->before + group * h->size + 1, h->first + group, at));
		if (!subscribers_await(s, h->size, 10 * SECOND))
			say("    a message didn't reach every member");
		histogram_add(&last, s->last_at - at);
		delivered += s->deliveries;
	}
	http_close(&c);
	snprintf(what, sizeof(what), "groups of %u: CPU a delivery, send included", h->size);
	results_add(what, "µs", OURS, (postern_cpu(p) - cpu) / (double)(delivered ? delivered : 1));
	snprintf(what, sizeof(what), "groups of %u: last member has it", h->size);
	results_add(what, "ms", OURS, histogram_quantile(&last, 0.5) / 1000);
}

void scenario_groups(void)
{
	unsigned n = settings.streams;
	struct hall halls[KINDS] = { { 10, 1, n, 0 }, { n < 500 ? n : 500, 100000, n, n }, { n, 200000, n, 2 * n } };
	struct postern p;
	char statements[256];
	results_begin("groups", "Small groups and large ones, all connected");
	postern_start(&p, "groups", 1);
	snprintf(statements, sizeof(statements),
		"select bench.groups(%u, %u, 1, %u); select bench.groups(%u, %u, %u, %u); select bench.groups(%u, "
		"%u, %u, %u)",
		halls[0].first, halls[0].size, n, halls[1].first, halls[1].size, n + 1, 2 * n, halls[2].first,
		halls[2].size, 2 * n + 1, 3 * n);
	postern_populate(p.conninfo, 3 * n, statements);
	for (unsigned round = 0; round < settings.rounds; round++) {
		say("  round %u", round + 1);
		for (unsigned k = 0; k < KINDS; k++) {
			struct subscribers s = { .ports = { p.port },
				.ports_count = 1,
				.count = n,
				.write = write_stream,
				.arg = &halls[k],
				.greeting = "event: hello" };
			subscribers_open(&s);
			measure(&p, &s, &halls[k]);
			subscribers_close(&s);
			engine_run(SECOND / 2);
		}
	}
	postern_stop(&p);
	results_end();
}
