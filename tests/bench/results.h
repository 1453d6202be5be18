/* SPDX-License-Identifier: MIT
 * The measured values: one per round, in results/SCENARIO.tsv. Each scenario has its own file, so that a run replaces
 * only its own results. RESULTS.md, the charts and the table on the terminal are made from these files. */
#ifndef BENCH_RESULTS_H
#define BENCH_RESULTS_H

#include <stdbool.h>
#include <stdio.h>

#define OURS "Postern"
#define VALUES_MAX 16
#define ROWS_MAX 128

/* The values of one quantity on one side. */
struct row {
	char what[64], unit[24], side[40];
	double values[VALUES_MAX];
	unsigned count;
};

struct results {
	char scenario[24], title[96];
	char date[16], commit[16], settings[64], machine[512]; /* machine: CPU, cores, kernel, versions */
	struct row rows[ROWS_MAX];
	unsigned count;
};

void results_begin(const char *scenario, const char *title);
/* Adds the value of one round. The sides of a comparison have the same what and unit. */
void results_add(const char *what, const char *unit, const char *side, double value);
/* Writes the file. */
void results_end(void);
/* Returns false if the scenario has no file. */
bool results_load(struct results *r, const char *scenario);

double row_median(const struct row *row);
/* Returns true if no earlier row has the same what. */
bool results_is_first(const struct results *r, unsigned row);
const struct row *results_ours(const struct results *r, const char *what);
/* Writes a number, with fewer decimals the larger it is, and returns out. */
const char *number_text(double value, char out[24]);

/* A line of the table. */
struct comparison {
	const struct row *ours, *theirs; /* either may be NULL */
	double ratio;                    /* ours / theirs; 0: none */
	char target[48];
	const char *verdict; /* "ok", "missed" or "" */
};

/* Writes the lines of a scenario's table and returns their number. out has room for ROWS_MAX * 2. */
unsigned results_compare(const struct results *r, struct comparison *out);
/* Prints the table as text for a terminal. */
void results_print(const struct results *r, FILE *out);
/* Writes charts/SCENARIO.svg. */
void chart_write(const struct results *r);
/* Writes RESULTS.md and all charts from the files of the scenarios. The list ends with NULL. */
void document_write(const char *const scenarios[]);

#endif
