/* SPDX-License-Identifier: MIT
 * See steps.h. */
#include "follow/steps.h"

#include <stddef.h>
#include <string.h>

#include "base/log.h"
#include "pg/conn.h"

#define ONES 16              /* steps of one item after a failure */
#define ALONE_FAILURES_MAX 3 /* failures of an item alone before it is skipped */
#define FAULTS_MAX 100       /* skipped in a row; after that the fault isn't the items' */
#define FAULT_INTERNAL 25

const char *steps_size(const struct steps *s, const char *usual) { return s->ones > 0 ? "1" : usual; }

bool steps_must_skip(const struct steps *s)
{
	return s->alone_failures >= ALONE_FAILURES_MAX && s->faults < FAULTS_MAX;
}

/* Returns true if the failed step may be the fault of one of its items: of its data or a limit, an internal error, or
 * the time that it took. */
static bool may_be_the_item(const struct pg_result *r)
{
	static const char *const classes[] = { "22", "23", "54", "57014", "P0", "XX" };
	for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++)
		if (strncmp(pg_sqlstate(r), classes[i], strlen(classes[i])) == 0)
			return true;
	return false;
}

static void set_stuck(struct steps *s, bool stuck, const char *sqlstate)
{
	if (stuck == s->stuck)
		return;
	s->stuck = stuck;
	metrics_gauge(s->metrics, s->stuck_gauge, stuck);
	if (stuck)
		log_event_each(LOG_ERROR, "every change fails: no more of them are skipped", F("follower", s->name),
			F("sqlstate", sqlstate));
}

uint64_t steps_done(struct steps *s, const struct pg_result *r, uint64_t usual_ms)
{
	if (pg_ok(r)) {
		s->alone_failures = 0;
		s->faults = 0;
		set_stuck(s, false, "");
		s->ones -= s->ones > 0;
	} else if (may_be_the_item(r)) {
		s->alone_failures += s->ones > 0;
		s->ones = ONES;
		s->fault = strncmp(pg_sqlstate(r), "XX", 2) == 0 ? FAULT_INTERNAL : 1;
		if (s->faults >= FAULTS_MAX)
			set_stuck(s, true, pg_sqlstate(r));
	}
	return backoff_after(&s->backoff, r, s->name, usual_ms);
}

uint64_t steps_skipped(struct steps *s, const struct pg_result *r, uint64_t usual_ms)
{
	if (!pg_ok(r))
		return steps_done(s, r, usual_ms);
	s->alone_failures = 0;
	if (pg_null(r, 0, 0))
		return usual_ms;
	s->faults += s->fault;
	log_event_each(LOG_ERROR, "change skipped after it failed several times", F("follower", s->name),
		F("change", pg_text(r, 0, 0)));
	metrics_count(s->metrics, s->skipped, 1);
	return usual_ms;
}
