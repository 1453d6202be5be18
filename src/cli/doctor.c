/* SPDX-License-Identifier: MIT
 * `postern doctor`: checks everything that a server depends on, and prints what to do about its findings. For an
 * administrator whose server doesn't start or doesn't work well, and for a check before the first start. */
#include "cli/doctor.h"

#include <json-c/json.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "cli/command.h"
#include "cli/listing.h"
#include "conf/conf.h"

enum { TEXT_MAX = 2048 };

static const char *as_json, *proxy_file;

const struct conf_option doctor_options[] = {
	{ "json", NULL, "a JSON object a line for each finding", &as_json },
	{ "proxy-file", "FILE", "check this configuration file of a reverse proxy instead of those of this machine",
		&proxy_file },
	{ NULL, NULL, NULL, NULL },
};

static const char *const finding_names[] = { "ok", "warning", "failure" };

static void print_json(enum finding f, const char *area, const char *advice, const char *text)
{
	struct json_object *o = json_object_new_object();
	json_object_object_add(o, "finding", json_object_new_string(finding_names[f]));
	json_object_object_add(o, "check", json_object_new_string(area));
	json_object_object_add(o, "text", json_object_new_string(text));
	if (advice != NULL)
		json_object_object_add(o, "advice", json_object_new_string(advice));
	listing_print_json(o);
	json_object_put(o);
}

void doctor_report(struct doctor *d, enum finding f, const char *area, const char *advice, const char *fmt, ...)
{
	char text[TEXT_MAX];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	for (size_t len = strlen(text); len > 0 && text[len - 1] == '\n';)
		text[--len] = '\0';
	d->warnings += f == FINDING_WARNING;
	d->failures += f == FINDING_FAILURE;
	if (d->as_json) {
		print_json(f, area, advice, text);
		return;
	}
	printf("%-8s %-11s ", f == FINDING_FAILURE ? "FAILURE" : finding_names[f], area);
	for (const char *p = text; *p != '\0'; p++) /* further lines are aligned below the first */
		if (*p == '\n')
			printf("\n%21s", "");
		else
			putchar(*p);
	putchar('\n');
	if (advice != NULL)
		printf("%21sTo do: %s\n", "", advice);
	fflush(stdout); /* the next check may take a while */
}

/* A line that conf_warn_*() wrote, without the program's name in front. */
static const char *without_program(const char *line) { return strncmp(line, "postern: ", 9) == 0 ? line + 9 : line; }

/* Settings that are allowed, but are probably mistakes. */
static void check_suspicious_settings(struct doctor *d)
{
	char *lines = NULL, *rest = NULL;
	size_t len = 0;
	FILE *f = mem_checked(open_memstream(&lines, &len));
	conf_warn_environment(f);
	conf_warn_settings(d->conf, f);
	fclose(f);
	for (char *line = strtok_r(lines, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest))
		doctor_report(d, FINDING_WARNING, "settings", NULL, "%s", without_program(line));
	free(lines);
}

/* Warns if other users can read a settings file that may have the database's password. */
static void check_file_mode(struct doctor *d)
{
	const struct conf *conf = d->conf;
	struct stat st;
	if (conf->file == NULL || conf->database == NULL || stat(conf->file, &st) < 0 || (st.st_mode & 077) == 0)
		return;
	if (strcasestr(conf->database, "password") != NULL || strstr(conf->database, "://") != NULL)
		doctor_report(d, FINDING_WARNING, "settings", "chmod 600, if it contains a password.",
			"%s has the connection string of the database and is readable by other users (mode %03o)",
			conf->file, (unsigned)st.st_mode & 0777);
}

static void check_settings(struct doctor *d)
{
	unsigned before = d->warnings;
	check_suspicious_settings(d);
	check_file_mode(d);
	if (d->warnings == before)
		doctor_report(d, FINDING_OK, "settings", NULL, "%s can be read, and the settings are consistent",
			d->conf->file != NULL ? d->conf->file : "no file; environment and options");
}

int doctor_command(const struct command *self, const struct conf *conf, const struct conf_args *args)
{
	struct doctor d = { .conf = conf, .as_json = as_json != NULL };
	if (args->operand_count > 0)
		return command_misused(self);
	check_settings(&d);
	doctor_check_host(&d);
	doctor_check_process(&d, doctor_running_server(conf));
	doctor_check_ports(&d);
	doctor_check_public_url(&d);
	doctor_check_proxies(&d, proxy_file);
	doctor_check_database(&d);
	if (!d.as_json)
		printf("%u failure%s, %u warning%s\n", d.failures, d.failures == 1 ? "" : "s", d.warnings,
			d.warnings == 1 ? "" : "s");
	return d.failures > 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
