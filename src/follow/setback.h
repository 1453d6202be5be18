/* SPDX-License-Identifier: MIT
 * What those who follow the log do after a failed step: wait, longer each time, and say why each time that they wait
 * longer. */
#ifndef FOLLOW_SETBACK_H
#define FOLLOW_SETBACK_H

#include <stdint.h>

struct pg_result;

struct setback {
	uint64_t pause_ms; /* 0: all is well */
};

/* How long to wait after a result: usual_ms if it is good, else from usual_ms up to half a minute. who begins the line.
 */
uint64_t setback_after(struct setback *s, const struct pg_result *r, const char *who, uint64_t usual_ms);

#endif
