/* SPDX-License-Identifier: MIT
 * What all files of the benchmark share: the settings, progress lines and fatal errors. */
#ifndef BENCH_H
#define BENCH_H

#include <stdbool.h>
#include <stddef.h>

struct settings {
	unsigned rounds, seconds, streams;
	bool full;          /* run the long variants too */
	const char *folder; /* tests/bench: configuration of the references, results */
	const char *server; /* the program postern */
};

extern struct settings settings;

/* Prints what failed, with errno's text if errno is set, and exits. proc.c then ends the processes that were started.
 */
__attribute__((noreturn)) void die(const char *what);

/* Prints a line of progress. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Each runs one scenario and records its values with results_add(). */
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
