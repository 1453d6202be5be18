/* SPDX-License-Identifier: MIT
 * What this process uses of the system. */
#ifndef BASE_PROCESS_H
#define BASE_PROCESS_H

#include <stdint.h>

struct process_usage {
	uint64_t cpu_us;   /* user and system, all threads */
	uint64_t resident; /* bytes */
	uint64_t descriptors, descriptors_max;
};

/* Reads /proc, and every open descriptor is an entry there: not for the loop's thread. */
void process_measure(struct process_usage *ret);

#endif
