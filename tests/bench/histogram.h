/* SPDX-License-Identifier: MIT
 * A log-linear histogram of microseconds, like HdrHistogram: 128 buckets per octave, so that the error is at most 0.8 %
 * for values of any size, in a fixed amount of memory. The minimum and the maximum are exact. */
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
/* Returns the q-quantile (q: 0 to 1); 0 if there are no values. */
double histogram_quantile(const struct histogram *h, double q);

#endif
