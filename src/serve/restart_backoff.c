/* SPDX-License-Identifier: MIT
 * See restart_backoff.h. */
#include "serve/restart_backoff.h"

#include "base/clock.h"

enum { YOUNG_MS = 5000, PAUSE_MIN_MS = 100, PAUSE_MAX_MS = 5000 };

void restart_backoff_started(struct restart_backoff *b)
{
	b->started_ms = clock_mono_ms();
	b->due_ms = 0;
}

void restart_backoff_died(struct restart_backoff *b)
{
	uint64_t now = clock_mono_ms();
	if (now - b->started_ms >= YOUNG_MS)
		b->pause_ms = 0;
	else
		b->pause_ms = b->pause_ms == 0           ? PAUSE_MIN_MS
			: b->pause_ms * 2 < PAUSE_MAX_MS ? b->pause_ms * 2
							 : PAUSE_MAX_MS;
	b->due_ms = now + b->pause_ms;
}
