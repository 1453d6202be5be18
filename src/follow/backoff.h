/* SPDX-License-Identifier: MIT
 * How long the jobs of this folder wait after a failed step: longer each time, up to half a minute. */
#ifndef FOLLOW_BACKOFF_H
#define FOLLOW_BACKOFF_H

#include <stdint.h>

struct pg_result;

struct backoff {
	uint64_t pause_ms; /* after the last failure; 0: the last step has succeeded. Zero is a valid beginning */
};

/* Returns how many ms to wait after a step with that result: usual_ms if it has succeeded, else at least that, and
 * longer after each failure. Logs a failure with what in front, unless it is the database that is away: the connection
 * logs that. */
uint64_t backoff_after(struct backoff *b, const struct pg_result *r, const char *what, uint64_t usual_ms);

#endif
