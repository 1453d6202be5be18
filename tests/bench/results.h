/* SPDX-License-Identifier: MIT
 * What was measured: kept a value a round, in results/NAME.tsv, one file a scenario, so that running one leaves the
 * others alone. RESULTS.md, the charts and the table on the terminal are made from these files. */
#ifndef BENCH_RESULTS_H
#define BENCH_RESULTS_H

#include <stdbool.h>
#include <stdio.h>

#define OURS "Postern"
#define VALUES_MAX 16
#define ROWS_MAX 128

/* Values of one quantity, as one side has it. */
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
/* The value of one round. Every side of a comparison has the same what and unit. */
void results_add(const char *what, const char *unit, const char *side, double value);
/* Writes the file. */
void results_end(void);
/* false: there is no such file. */
bool results_load(struct results *r, const char *scenario);

double row_median(const struct row *row);
/* Whether no row before it has its what. */
bool results_is_first(const struct results *r, unsigned row);
const struct row *results_ours(const struct results *r, const char *what);
/* A number with three or four digits that count. */
const char *number_text(double value, char out[24]);

/* A line of the table. */
struct comparison {
	const struct row *ours, *theirs; /* either may be NULL */
	double ratio;                    /* ours / theirs; 0: none */
	char target[48];
	const char *verdict; /* "ok", "missed" or "" */
};

/* The lines of a scenario's table; out has room for ROWS_MAX * 2. */
unsigned results_compare(const struct results *r, struct comparison *out);
/* As text for a terminal. */
void results_print(const struct results *r, FILE *out);
/* charts/NAME.svg */
void chart_write(const struct results *r);
/* RESULTS.md and all charts, from the files of all scenarios named; a list that ends with NULL. */
void document_write(const char *const scenarios[]);

#endif
