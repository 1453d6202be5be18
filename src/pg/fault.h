/* SPDX-License-Identifier: MIT
 * The meaning of PostgreSQL's errors: the one table of SQLSTATEs, which decides between trying again, connecting anew,
 * answering 503 and answering 500. */
#ifndef PG_FAULT_H
#define PG_FAULT_H

#include <stdbool.h>

struct pg_result;

enum fault_kind {
	FAULT_NONE, /* no error, or one that is the caller's: a refusal of the functions, a value that can't be kept */
	FAULT_PASSING,   /* the database can't do it now: on the same connection it may later */
	FAULT_RECONNECT, /* likewise, on another connection */
	FAULT_BUG,       /* nothing that time would heal: ours, or damage */
};

struct fault {
	const char *sqlstate; /* that it begins with */
	enum fault_kind kind;
	bool by_item;       /* one item of many may be the cause: the others can do without it */
	const char *reason; /* what is wrong, for /readyz and answers: no names, no values */
	const char *advice; /* for the log: what to do. NULL: nothing */
};

const struct fault *fault_find(const char *sqlstate); /* never NULL */
/* Returns the fault of a failed result; pg_away() is a fault too. */
const struct fault *fault_of(const struct pg_result *r);
static inline bool fault_passes(const struct fault *f)
{
	return f->kind == FAULT_PASSING || f->kind == FAULT_RECONNECT;
}

/* "53100 could not extend file …: the disk of the database is full; free some space" for a line of the log. */
const char *fault_text(const struct pg_result *r, char *out, unsigned size);

#endif
