/* SPDX-License-Identifier: MIT
 * This process's use of the system's resources. */
#ifndef BASE_PROCESS_H
#define BASE_PROCESS_H

#include <stdint.h>

struct process_usage {
	uint64_t cpu_us;   /* user and system, all threads */
	uint64_t resident; /* bytes */
	uint64_t descriptors, descriptors_max;
};

/* Reads /proc, where every open descriptor is an entry: too slow for the loop's thread. */
void process_measure(struct process_usage *ret);

#endif
