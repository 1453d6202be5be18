/* SPDX-License-Identifier: MIT
 * When a process that has died may be started again: at once, unless it died soon after its start; then after a pause
 * that grows. */
#ifndef SERVE_RESTART_BACKOFF_H
#define SERVE_RESTART_BACKOFF_H

#include <stdint.h>

/* Zero is a valid beginning: the process may be started. */
struct restart_backoff {
	uint64_t started_ms; /* CLOCK_MONOTONIC */
	uint64_t due_ms;     /* likewise: the earliest start after a death */
	unsigned pause_ms;
};

/* Call these when the process is started, and when it has died or couldn't be started. */
void restart_backoff_started(struct restart_backoff *b);
void restart_backoff_died(struct restart_backoff *b);

#endif
