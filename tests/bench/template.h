/* SPDX-License-Identifier: MIT
 * Text files with @NAME@ in them. */
#ifndef BENCH_TEMPLATE_H
#define BENCH_TEMPLATE_H

struct template_value {
	const char *name, *value; /* a list ends with NULL */
};

/* Writes the file to from the file from. */
void template_fill(const char *from, const char *to, const struct template_value *values);

#endif
