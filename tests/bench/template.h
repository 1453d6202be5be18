/* SPDX-License-Identifier: MIT
 * Fills in text files that contain @NAME@. */
#ifndef BENCH_TEMPLATE_H
#define BENCH_TEMPLATE_H

struct template_value {
	const char *name, *value; /* a list ends with NULL */
};

/* Writes the file `to`: the file `from` with its @NAME@s replaced by their values. */
void template_fill(const char *from, const char *to, const struct template_value *values);

#endif
