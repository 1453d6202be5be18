/* SPDX-License-Identifier: MIT
 * A log-linear histogram of microseconds, after HdrHistogram: 128 buckets an octave, so that a value is known to 0.8 %
 * whatever its size, in a fixed amount of memory. Least and greatest are exact. */
#ifndef BENCH_HISTOGRAM_H
#define BENCH_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_SUB 128
#define HISTOGRAM_OCTAVES 30 /* up to 38 hours */

struct histogram {
	uint64_t count, min, max;
	uint32_t buckets[HISTOGRAM_OCTAVES * HISTOGRAM_SUB];
};

void histogram_reset(struct histogram *h);
void histogram_add(struct histogram *h, uint64_t value);
/* The value below or at which the part q (0 to 1) of all values lies; 0 if there is none. */
double histogram_quantile(const struct histogram *h, double q);

#endif
