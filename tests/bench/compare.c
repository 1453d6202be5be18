/* SPDX-License-Identifier: MIT
 * See results.h: the comparison of Postern with its references, and the table for a terminal. */
#include <string.h>

#include "results.h"
#include "targets.h"

static unsigned add(struct comparison *out, const struct row *ours, const struct row *theirs, const struct target *t)
{
	double value = ours != NULL ? row_median(ours) : 0, other = theirs != NULL ? row_median(theirs) : 0;
	char number[24];
	*out = (struct comparison) {
		.ours = ours, .theirs = theirs, .ratio = other > 0 && ours != NULL ? value / other : 0, .verdict = ""
	};
	if (t != NULL) {
		double is = t->side != NULL ? out->ratio : value;
		snprintf(out->target, sizeof(out->target), "%s %s%s", t->op == '<' ? "≤" : "≥",
			number_text(t->limit, number), t->side != NULL ? " ×" : "");
		out->verdict = (t->op == '<' ? is <= t->limit : is >= t->limit) ? "ok" : "missed";
	}
	return 1;
}

/* Adds Postern's own lines of a quantity: one per target for the value itself, or one if there is no reference. */
static unsigned alone(const struct results *r, const struct row *ours, unsigned others, struct comparison *out)
{
	unsigned n = 0;
	for (const struct target *t = NULL; (t = target_next(t, r->scenario, ours->what, NULL)) != NULL;)
		n += add(&out[n], ours, NULL, t);
	return n > 0 || others > 0 ? n : add(out, ours, NULL, NULL);
}

/* Adds the lines of one quantity: Postern's own, then one per reference. */
static unsigned quantity(const struct results *r, const char *what, struct comparison *out)
{
	const struct row *ours = results_ours(r, what);
	unsigned n = 0, others = 0;
	for (unsigned i = 0; i < r->count; i++)
		others += strcmp(r->rows[i].what, what) == 0 && &r->rows[i] != ours;
	if (ours != NULL)
		n += alone(r, ours, others, out);
	for (unsigned i = 0; i < r->count; i++)
		if (strcmp(r->rows[i].what, what) == 0 && &r->rows[i] != ours)
			n += add(out + n, ours, &r->rows[i], target_next(NULL, r->scenario, what, r->rows[i].side));
	return n;
}

bool results_is_first(const struct results *r, unsigned row)
{
	for (unsigned i = 0; i < row; i++)
		if (strcmp(r->rows[i].what, r->rows[row].what) == 0)
			return false;
	return true;
}

unsigned results_compare(const struct results *r, struct comparison *out)
{
	unsigned n = 0;
	for (unsigned i = 0; i < r->count; i++)
		if (results_is_first(r, i))
			n += quantity(r, r->rows[i].what, out + n);
	return n;
}

void results_print(const struct results *r, FILE *out)
{
	static struct comparison lines[ROWS_MAX * 2];
	unsigned n = results_compare(r, lines);
	for (unsigned i = 0; i < n; i++) {
		const struct comparison *c = &lines[i];
		const struct row *row = c->ours ? c->ours : c->theirs;
		char ours[24] = "-", theirs[24] = "-", ratio[24] = "-";
		if (c->ours != NULL)
			number_text(row_median(c->ours), ours);
		if (c->theirs != NULL)
			number_text(row_median(c->theirs), theirs);
		if (c->ratio > 0)
			number_text(c->ratio, ratio);
		fprintf(out, "%-10s %-44s %-11s %10s %10s %-26s %7s  %-10s %s\n", r->scenario, row->what, row->unit,
			ours, theirs, c->theirs ? c->theirs->side : "", ratio, c->target, c->verdict);
	}
}
