/* SPDX-License-Identifier: MIT
 * See histogram.h. */
#include "histogram.h"

#include <string.h>

/* Each value below 128 has its own bucket. Above, each octave has 128 buckets, of which the lower half is unused. */
static unsigned bucket_of(uint64_t value)
{
	unsigned octave = 0;
	while (value >= HISTOGRAM_SUB) {
		value >>= 1;
		octave++;
	}
	return octave < HISTOGRAM_OCTAVES ? octave * HISTOGRAM_SUB + (unsigned)value
					  : HISTOGRAM_OCTAVES * HISTOGRAM_SUB - 1;
}

/* Returns the middle of a bucket. */
static double value_of(unsigned bucket)
{
	unsigned octave = bucket / HISTOGRAM_SUB;
	double width = (double)((uint64_t)1 << octave);
	return (double)(bucket % HISTOGRAM_SUB) * width + (width - 1) / 2;
}

void histogram_reset(struct histogram *h) { memset(h, 0, sizeof(*h)); }

void histogram_add(struct histogram *h, uint64_t value)
{
	h->buckets[bucket_of(value)]++;
	h->min = h->count == 0 || value < h->min ? value : h->min;
	h->max = value > h->max ? value : h->max;
	h->count++;
}

double histogram_quantile(const struct histogram *h, double q)
{
	uint64_t rank = (uint64_t)(q * (double)h->count + 0.5), seen = 0;
	rank = rank < 1 ? 1 : rank;
	for (unsigned i = 0; i < HISTOGRAM_OCTAVES * HISTOGRAM_SUB; i++) {
		seen += h->buckets[i];
		if (seen >= rank)
			return value_of(i) > (double)h->max ? (double)h->max : value_of(i);
	}
	return (double)h->max;
}
