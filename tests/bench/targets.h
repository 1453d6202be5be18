/* SPDX-License-Identifier: MIT
 * The performance targets, as data. */
#ifndef BENCH_TARGETS_H
#define BENCH_TARGETS_H

struct target {
	const char *scenario, *what;
	const char *side; /* the limit is for the ratio to this side; NULL: for the value itself */
	char op;          /* '<' at most, '>' at least */
	double limit;
};

/* Returns the row's next target after the given one (NULL: its first), or NULL if there is none. */
const struct target *target_next(const struct target *after, const char *scenario, const char *what, const char *side);

#endif
