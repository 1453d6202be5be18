/* SPDX-License-Identifier: MIT
 * The help for options, made from the table of settings. */
#include <string.h>

#include "conf/settings.h"

enum { HELP_COLUMN = 30, HELP_WIDTH = 100 };

/* Wraps text at HELP_WIDTH, indented to the column where the first line begins. */
static void print_wrapped(const char *text, FILE *out)
{
	int at = HELP_COLUMN;
	while (*text != '\0') {
		size_t len = strcspn(text, " ");
		if (at > HELP_COLUMN && at + 1 + (int)len > HELP_WIDTH) {
			fprintf(out, "\n%*s", HELP_COLUMN, "");
			at = HELP_COLUMN;
		}
		at += fprintf(out, "%s%.*s", at > HELP_COLUMN ? " " : "", (int)len, text);
		text += len + strspn(text + len, " ");
	}
	fputc('\n', out);
}

static void print_option(const char *name, const char *value, const char *help, FILE *out)
{
	char dashed[32];
	snprintf(dashed, sizeof(dashed), "%s", name);
	for (char *p = dashed; *p != '\0'; p++)
		if (*p == '_')
			*p = '-';
	int n = fprintf(out, "  %s%s%s%s", name[1] == '\0' ? "-" : "--", dashed, value != NULL ? " " : "",
		value != NULL ? value : "");
	if (n < HELP_COLUMN)
		fprintf(out, "%*s", HELP_COLUMN - n, "");
	else
		fprintf(out, "\n%*s", HELP_COLUMN, "");
	print_wrapped(help, out);
}

static void print_settings(enum conf_scope scope, FILE *out)
{
	print_option("config", "FILE", "read this file instead of /etc/postern.conf", out);
	for (const struct setting *s = settings; s->name != NULL; s++) {
		char help[512];
		if (s->scope > scope)
			continue;
		if (s->type == SETTING_HEADING) {
			fprintf(out, "\n%s:\n", s->name);
			continue;
		}
		bool shown = s->def != NULL && s->type != SETTING_BOOL;
		snprintf(help, sizeof(help), "%s%s%s%s", s->help, shown ? " [" : "", shown ? s->def : "",
			shown ? "]" : "");
		print_option(s->name, s->value, help, out);
	}
	fputs("\nEach of these may also be set in the file (rate_sends = 5) and in the environment "
	      "(POSTERN_RATE_SENDS=5).\n"
	      "Options take precedence over the environment, and the environment over the file.\n",
		out);
}

void conf_help(enum conf_scope scope, const struct conf_option *options, FILE *out)
{
	fputs("Options:\n", out);
	for (; options != NULL && options->name != NULL; options++)
		print_option(options->name, options->value, options->help, out);
	print_option("help", NULL, "print this help", out);
	if (scope != CONF_NONE)
		print_settings(scope, out);
}
