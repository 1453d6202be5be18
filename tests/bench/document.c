/* SPDX-License-Identifier: MIT
 * See results.h: RESULTS.md, from the files of all scenarios. */
#include <string.h>

#include "bench.h"
#include "results.h"

#define MACHINES_MAX 16

/* Returns the index of the machine in known, and adds it if it is new. */
static unsigned machine_number(char known[MACHINES_MAX][512], unsigned *count, const char *machine)
{
	for (unsigned i = 0; i < *count; i++)
		if (strcmp(known[i], machine) == 0)
			return i;
	if (*count < MACHINES_MAX)
		snprintf(known[(*count)++], 512, "%s", machine);
	return *count - 1;
}

static void line(FILE *out, const struct comparison *c, const char *scenario)
{
	const struct row *row = c->ours ? c->ours : c->theirs;
	char ours[24] = "–", theirs[24] = "–", ratio[24] = "–";
	if (c->ours != NULL)
		number_text(row_median(c->ours), ours);
	if (c->theirs != NULL)
		number_text(row_median(c->theirs), theirs);
	if (c->ratio > 0)
		number_text(c->ratio, ratio);
	fprintf(out, "| %s%s%s | %s | %s | %s%s%s | %s | %s | %s |\n", scenario ? scenario : "", scenario ? ": " : "",
		row->what, row->unit, ours, theirs, c->theirs ? " " : "", c->theirs ? c->theirs->side : "", ratio,
		*c->target ? c->target : "–", strcmp(c->verdict, "missed") == 0 ? "**missed**" : c->verdict);
}

#define TABLE "| what | unit | Postern | reference | ratio | target | |\n|---|---|---:|---:|---:|---|---|\n"

/* Writes the lines of all scenarios that have a target. */
static void targets(FILE *out, const char *const scenarios[])
{
	static struct results r;
	static struct comparison lines[ROWS_MAX * 2];
	fputs("\n## The targets\n\n" TABLE, out);
	for (unsigned i = 0; scenarios[i] != NULL; i++) {
		unsigned n = results_load(&r, scenarios[i]) ? results_compare(&r, lines) : 0;
		for (unsigned k = 0; k < n; k++)
			if (*lines[k].target != '\0')
				line(out, &lines[k], r.scenario);
	}
}

static void section(FILE *out, const struct results *r, unsigned machine)
{
	static struct comparison lines[ROWS_MAX * 2];
	unsigned n = results_compare(r, lines);
	fprintf(out, "\n## %s\n\n%s. Measured %s%s%s on machine %u, %s.\n\n", r->scenario, r->title, r->date,
		*r->commit ? " at commit " : "", r->commit, machine + 1, r->settings);
	fputs(TABLE, out);
	for (unsigned i = 0; i < n; i++)
		line(out, &lines[i], NULL);
	fprintf(out, "\n![%s](charts/%s.svg)\n", r->title, r->scenario);
}

void document_write(const char *const scenarios[])
{
	static struct results r;
	char path[512], known[MACHINES_MAX][512];
	unsigned count = 0;
	snprintf(path, sizeof(path), "%s/RESULTS.md", settings.folder);
	FILE *out = fopen(path, "w");
	if (out == NULL)
		die(path);
	fputs("# Results\n\nWritten by `make bench`. Each value is the median of the rounds, in which the sides take "
	      "turns; `results/` has the values of each round.\n"
	      "The ratio is Postern's value divided by the reference's. [README.md](README.md) describes the "
	      "scenarios, the references and the limits of the results.\n"
	      "To repeat: `./bootstrap bench`, or `make bench WHAT=\"send fanout\"` for some scenarios.\n\n",
		out);
	for (unsigned i = 0; scenarios[i] != NULL; i++)
		if (results_load(&r, scenarios[i]))
			machine_number(known, &count, r.machine);
	for (unsigned i = 0; i < count; i++)
		fprintf(out, "- machine %u: %s\n", i + 1, known[i]);
	targets(out, scenarios);
	for (unsigned i = 0; scenarios[i] != NULL; i++)
		if (results_load(&r, scenarios[i])) {
			section(out, &r, machine_number(known, &count, r.machine));
			chart_write(&r);
		}
	if (fclose(out) != 0)
		die(path);
}
