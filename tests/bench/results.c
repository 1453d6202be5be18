/* SPDX-License-Identifier: MIT
 * See results.h: writes and reads the files of results. */
#include "results.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "bench.h"
#include "machine.h"

static struct results now; /* the scenario that is being measured */

void results_begin(const char *scenario, const char *title)
{
	time_t t = time(NULL);
	memset(&now, 0, sizeof(now));
	snprintf(now.scenario, sizeof(now.scenario), "%s", scenario);
	snprintf(now.title, sizeof(now.title), "%s", title);
	strftime(now.date, sizeof(now.date), "%Y-%m-%d", gmtime(&t));
	snprintf(now.settings, sizeof(now.settings), "%u rounds of %u s, %u streams", settings.rounds, settings.seconds,
		settings.streams);
	machine_commit(now.commit, sizeof(now.commit));
	machine_describe(now.machine, sizeof(now.machine));
	say("%s: %s", scenario, title);
}

static struct row *find(struct results *r, const char *what, const char *side)
{
	for (unsigned i = 0; i < r->count; i++)
		if (strcmp(r->rows[i].what, what) == 0 && strcmp(r->rows[i].side, side) == 0)
			return &r->rows[i];
	return NULL;
}

static struct row *make(struct results *r, const char *what, const char *unit, const char *side)
{
	if (r->count == ROWS_MAX)
		die("too many rows");
	struct row *row = &r->rows[r->count++];
	snprintf(row->what, sizeof(row->what), "%s", what);
	snprintf(row->unit, sizeof(row->unit), "%s", unit);
	snprintf(row->side, sizeof(row->side), "%s", side);
	return row;
}

void results_add(const char *what, const char *unit, const char *side, double value)
{
	char text[24];
	struct row *row = find(&now, what, side);
	if (row == NULL)
		row = make(&now, what, unit, side);
	if (row->count < VALUES_MAX)
		row->values[row->count++] = value;
	say("    %-44s %12s %-12s %s", what, number_text(value, text), unit, side);
}

static void path_of(const char *scenario, char *out, size_t size)
{
	snprintf(out, size, "%s/results/%s.tsv", settings.folder, scenario);
}

void results_end(void)
{
	char path[512];
	snprintf(path, sizeof(path), "%s/results", settings.folder);
	mkdir(path, 0755);
	path_of(now.scenario, path, sizeof(path));
	FILE *f = fopen(path, "w");
	if (f == NULL)
		die(path);
	fprintf(f, "#title\t%s\n#date\t%s\n#commit\t%s\n#settings\t%s\n#machine\t%s\n", now.title, now.date, now.commit,
		now.settings, now.machine);
	for (unsigned i = 0; i < now.count; i++) {
		fprintf(f, "%s\t%s\t%s", now.rows[i].what, now.rows[i].unit, now.rows[i].side);
		for (unsigned v = 0; v < now.rows[i].count; v++)
			fprintf(f, "\t%.6g", now.rows[i].values[v]);
		fputc('\n', f);
	}
	if (fclose(f) != 0)
		die(path);
}

static void parse_label(struct results *r, const char *label, const char *value)
{
	const struct {
		const char *name;
		char *to;
		size_t size;
	} labels[] = { { "title", r->title, sizeof(r->title) }, { "date", r->date, sizeof(r->date) },
		{ "commit", r->commit, sizeof(r->commit) }, { "settings", r->settings, sizeof(r->settings) },
		{ "machine", r->machine, sizeof(r->machine) } };
	for (size_t i = 0; i < sizeof(labels) / sizeof(labels[0]); i++)
		if (strcmp(labels[i].name, label) == 0)
			snprintf(labels[i].to, labels[i].size, "%s", value);
}

static void parse_line(struct results *r, char *line)
{
	char *part[3 + VALUES_MAX] = { NULL };
	unsigned n = 0;
	line[strcspn(line, "\n")] = '\0';
	for (char *p; n < 3 + VALUES_MAX && (p = strsep(&line, "\t")) != NULL;)
		part[n++] = p;
	if (part[0][0] == '#') {
		parse_label(r, part[0] + 1, n > 1 ? part[1] : "");
	} else if (n >= 4) {
		struct row *row = make(r, part[0], part[1], part[2]);
		for (unsigned i = 3; i < n; i++)
			row->values[row->count++] = atof(part[i]);
	}
}

bool results_load(struct results *r, const char *scenario)
{
	char path[512], line[2048];
	memset(r, 0, sizeof(*r));
	snprintf(r->scenario, sizeof(r->scenario), "%s", scenario);
	path_of(scenario, path, sizeof(path));
	FILE *f = fopen(path, "r");
	if (f == NULL)
		return false;
	while (fgets(line, sizeof(line), f) != NULL)
		parse_line(r, line);
	fclose(f);
	return true;
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

double row_median(const struct row *row)
{
	double v[VALUES_MAX];
	memcpy(v, row->values, sizeof(v));
	qsort(v, row->count, sizeof(*v), by_size);
	return row->count % 2 ? v[row->count / 2] : (v[row->count / 2 - 1] + v[row->count / 2]) / 2;
}

const struct row *results_ours(const struct results *r, const char *what)
{
	for (unsigned i = 0; i < r->count; i++)
		if (strcmp(r->rows[i].what, what) == 0 && strcmp(r->rows[i].side, OURS) == 0)
			return &r->rows[i];
	return NULL;
}

const char *number_text(double value, char out[24])
{
	double size = value < 0 ? -value : value;
	snprintf(out, 24,
		size >= 100 || value == 0 ? "%.0f"
			: size >= 10      ? "%.1f"
			: size >= 0.1     ? "%.2f"
					  : "%.4f",
		value);
	return out;
}
