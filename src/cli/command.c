/* SPDX-License-Identifier: MIT
 * See command.h. */
#include "cli/command.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

void command_print_usage(const struct command *c, FILE *out)
{
	const char *line = c->synopsis, *lead = "usage:";
	while (*line != '\0') {
		size_t len = strcspn(line, "\n");
		fprintf(out, "%s postern %.*s\n", lead, (int)len, line);
		line += len + (line[len] == '\n');
		lead = "      ";
	}
}

int command_misused(const struct command *c)
{
	command_print_usage(c, stderr);
	fprintf(stderr, "`postern %s --help` says more.\n", c->name);
	return CONF_EXIT_USAGE;
}

int command_failed(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	fputs("postern: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
	return EXIT_FAILURE;
}
