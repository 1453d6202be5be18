/* SPDX-License-Identifier: MIT
 * Bare send(): a process that holds sockets and sends what it is given to each of them, in one loop. No server can
 * deliver for less. */
#ifndef BENCH_BLAST_H
#define BENCH_BLAST_H

#include <sys/types.h>

struct blast {
	pid_t pid;
	int port, listener;
	int trigger; /* what is written here goes to every socket, a write at a time */
};

void blast_start(struct blast *b);
/* µs of CPU. */
double blast_cpu(const struct blast *b);
void blast_stop(struct blast *b);
/* Sends a frame as long as Postern's for the same text. */
void blast_fire(struct blast *b, unsigned long long at_us);

#endif
