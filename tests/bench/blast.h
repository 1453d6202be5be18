/* SPDX-License-Identifier: MIT
 * Bare send(): a process that sends what it is given to each of its sockets, in one loop. It is the lower bound for the
 * cost of a delivery. */
#ifndef BENCH_BLAST_H
#define BENCH_BLAST_H

#include <sys/types.h>

struct blast {
	pid_t pid;
	int port, listener;
	int trigger; /* each write to it is sent to every socket */
};

void blast_start(struct blast *b);
/* Returns µs of CPU time. */
double blast_cpu(const struct blast *b);
void blast_stop(struct blast *b);
/* Sends a frame of the same length as Postern's for the same text. */
void blast_fire(struct blast *b, unsigned long long at_us);

#endif
