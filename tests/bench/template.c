/* SPDX-License-Identifier: MIT
 * See template.h. */
#include "template.h"

#include <stdio.h>
#include <string.h>

#include "bench.h"

/* Returns the value whose @NAME@ begins at p, or NULL. */
static const struct template_value *at(const char *p, const struct template_value *values)
{
	for (; values->name != NULL; values++) {
		size_t n = strlen(values->name);
		if (*p == '@' && strncmp(p + 1, values->name, n) == 0 && p[1 + n] == '@')
			return values;
	}
	return NULL;
}

static void fill_line(const char *p, const struct template_value *values, FILE *out)
{
	const struct template_value *v;
	while (*p != '\0')
		if ((v = at(p, values)) != NULL) {
			fputs(v->value, out);
			p += strlen(v->name) + 2;
		} else {
			fputc(*p++, out);
		}
}

void template_fill(const char *from, const char *to, const struct template_value *values)
{
	char line[1024];
	FILE *in = fopen(from, "r"), *out = in != NULL ? fopen(to, "w") : NULL;
	if (out == NULL)
		die(in != NULL ? to : from);
	while (fgets(line, sizeof(line), in) != NULL)
		fill_line(line, values, out);
	fclose(in);
	if (fclose(out) != 0)
		die(to);
}
