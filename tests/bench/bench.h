/* SPDX-License-Identifier: MIT
 * What every file of the benchmark knows: its settings, and how it gives up. */
#ifndef BENCH_H
#define BENCH_H

#include <stdbool.h>
#include <stddef.h>

struct settings {
	unsigned rounds, seconds, streams;
	bool full;          /* the long variants too */
	const char *folder; /* tests/bench: configuration of the references, results */
	const char *server; /* the program postern */
};

extern struct settings settings;

/* Says what failed, with errno's text if there is one, and exits; what was started is ended on the way out. */
__attribute__((noreturn)) void die(const char *what);

/* A line of progress. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* One scenario each: measures, and leaves its values with result_add(). */
void scenario_send(void);
void scenario_latency(void);
void scenario_fanout(void);
void scenario_groups(void);
void scenario_unicast(void);
void scenario_slow(void);
void scenario_idle(void);
void scenario_poll(void);
void scenario_history(void);
void scenario_reconnect(void);
void scenario_scale(void);
void scenario_receipts(void);
void scenario_search(void);

#endif
