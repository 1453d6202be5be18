/* SPDX-License-Identifier: MIT
 * What Postern sets itself, as data. */
#ifndef BENCH_TARGETS_H
#define BENCH_TARGETS_H

struct target {
	const char *scenario, *what;
	const char *side; /* the limit is on the ratio to it; NULL: on the value itself */
	char op;          /* '<' at most, '>' at least */
	double limit;
};

/* The next target of that row after the one given (NULL: the first); NULL: there is no other. */
const struct target *target_next(const struct target *after, const char *scenario, const char *what, const char *side);

#endif
