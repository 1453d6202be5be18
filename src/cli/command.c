/* SPDX-License-Identifier: MIT
 * See command.h. */
#include "cli/command.h"

#include <errno.h>
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
	fprintf(stderr, "`postern %s --help` prints the options.\n", c->name);
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

int command_close_output(void)
{
	static bool said;
	errno = 0;
	if (fflush(stdout) == 0 && !ferror(stdout))
		return 0;
	if (!said) /* a stream that has failed stays failed */
		command_failed("writing to standard output: %s", errno != 0 ? strerror(errno) : "failed");
	said = true;
	return CONF_EXIT_IO;
}
