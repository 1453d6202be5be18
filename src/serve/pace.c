/* SPDX-License-Identifier: MIT
 * See pace.h. */
#include "serve/pace.h"

#include "base/clock.h"

enum { YOUNG_MS = 5000, PAUSE_MIN_MS = 100, PAUSE_MAX_MS = 5000 };

void pace_started(struct pace *p)
{
	p->started = clock_mono_ms();
	p->due = 0;
}

void pace_died(struct pace *p)
{
	uint64_t now = clock_mono_ms();
	if (now - p->started >= YOUNG_MS)
		p->pause_ms = 0;
	else
		p->pause_ms = p->pause_ms == 0           ? PAUSE_MIN_MS
			: p->pause_ms * 2 < PAUSE_MAX_MS ? p->pause_ms * 2
							 : PAUSE_MAX_MS;
	p->due = now + p->pause_ms;
}
