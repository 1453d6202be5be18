/* SPDX-License-Identifier: MIT
 * See clock.h. */
#include "base/clock.h"

#include <stdio.h>
#include <time.h>

static uint64_t now_us(clockid_t id)
{
	struct timespec ts;
	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

uint64_t clock_mono_us(void) { return now_us(CLOCK_MONOTONIC); }
uint64_t clock_real_us(void) { return now_us(CLOCK_REALTIME); }

void clock_rfc3339(uint64_t real_us, char out[CLOCK_RFC3339_LEN + 1])
{
	time_t secs = (time_t)(real_us / 1000000);
	struct tm tm;
	gmtime_r(&secs, &tm);
	size_t n = strftime(out, CLOCK_RFC3339_LEN + 1, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(out + n, CLOCK_RFC3339_LEN + 1 - n, ".%03uZ", (unsigned)(real_us / 1000 % 1000));
}
