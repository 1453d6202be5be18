/* SPDX-License-Identifier: MIT
 * How a job of this folder goes on after its steps. After a failure that may be the fault of one of the items of the
 * step, it takes them one by one; an item that fails alone a few times is skipped, so that it can't stop the job for
 * good. If too many are skipped in a row, something else is broken, and the job stops skipping. */
#ifndef FOLLOW_STEPS_H
#define FOLLOW_STEPS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/metrics.h"
#include "follow/backoff.h"

struct pg_result;

#define STEP_MS "50" /* a step ends after the item during which that time is over */

struct steps {
	const char *name; /* for the log */
	struct metrics *metrics;
	enum metric skipped; /* counts the items that were skipped */
	enum metric_gauge stuck_gauge;
	struct backoff backoff;
	unsigned ones;           /* this many steps of one item are next */
	unsigned alone_failures; /* of the next item, in a row */
	unsigned fault;          /* weight of the last failure: an internal error is rarely an item's fault */
	unsigned faults;         /* of the items skipped without a successful step in between */
	bool stuck;              /* it skips no more */
};

/* Returns how many items the next step takes: "1" after a failure, else usual. */
const char *steps_size(const struct steps *s, const char *usual);

/* Returns true if the next call must skip the next item instead of processing it. */
bool steps_must_skip(const struct steps *s);

/* Takes the result of a step. Returns how many ms to wait after it: usual_ms if it has succeeded. */
uint64_t steps_done(struct steps *s, const struct pg_result *r, uint64_t usual_ms);

/* Takes the result of a skip: a text that names the item, or null if there was nothing to skip. Returns how many ms to
 * wait after it. */
uint64_t steps_skipped(struct steps *s, const struct pg_result *r, uint64_t usual_ms);

#endif
