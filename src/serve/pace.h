/* SPDX-License-Identifier: MIT
 * When what has died may be started again: at once, unless it dies young, and then after a growing pause. */
#ifndef SERVE_PACE_H
#define SERVE_PACE_H

#include <stdint.h>

struct pace {
	uint64_t started, due; /* CLOCK_MONOTONIC, ms; due: the earliest start after a death */
	unsigned pause_ms;
};

void pace_started(struct pace *p);
void pace_died(struct pace *p);

#endif
