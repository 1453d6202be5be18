/* SPDX-License-Identifier: MIT
 * The meaning of PostgreSQL's errors: the one table of SQLSTATEs, which decides between trying again, reconnecting,
 * answering 503 and answering 500. */
#ifndef PG_FAULT_H
#define PG_FAULT_H

#include <stdbool.h>

struct pg_result;

enum fault_kind {
	FAULT_NONE,      /* no error, or the caller's: a refusal of the functions, a value that can't be stored */
	FAULT_PASSING,   /* a later attempt on the same connection may succeed */
	FAULT_RECONNECT, /* a later attempt on a new connection may succeed */
	FAULT_BUG,       /* a retry is useless: a fault of Postern's, or damage */
};

struct fault {
	const char *sqlstate; /* the prefix of the SQLSTATE */
	enum fault_kind kind;
	bool by_item;       /* one item of a batch may be the cause: they are retried one by one */
	const char *reason; /* the reason, for /readyz and answers: no names, no values */
	const char *advice; /* for the log: what to do. NULL: nothing */
};

const struct fault *fault_find(const char *sqlstate); /* never NULL */
/* Returns the fault of a failed result; pg_away() is a fault too. */
const struct fault *fault_of(const struct pg_result *r);
static inline bool fault_passes(const struct fault *f)
{
	return f->kind == FAULT_PASSING || f->kind == FAULT_RECONNECT;
}

/* Adds "53100 could not extend file …: the disk of the database is full; free some space", for the log. */
const char *fault_text(const struct pg_result *r, char *out, unsigned size);

#endif
