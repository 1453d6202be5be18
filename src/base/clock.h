/* SPDX-License-Identifier: MIT
 * Time: monotonic for durations, real for what people read. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

uint64_t clock_mono_us(void); /* microseconds, CLOCK_MONOTONIC */
uint64_t clock_real_us(void); /* microseconds since 1970, CLOCK_REALTIME */
static inline uint64_t clock_mono_ms(void) { return clock_mono_us() / 1000; }

#define CLOCK_RFC3339_LEN 24
/* "2026-01-31T12:00:00.123Z" and a NUL into out. */
void clock_rfc3339(uint64_t real_us, char out[CLOCK_RFC3339_LEN + 1]);

#endif
