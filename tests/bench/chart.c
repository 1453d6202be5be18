/* SPDX-License-Identifier: MIT
 * See results.h: a chart of horizontal bars. Each quantity has a group with one bar per side. The bars of a group have
 * the same scale, and a thin line goes from the smallest value of a round to the largest. */
#include <string.h>
#include <sys/stat.h>

#include "bench.h"
#include "results.h"

enum { WIDTH = 860, LEFT = 250, BAR = 380, LINE = 20, GROUP = 30, TOP = 48 };

static void escape(const char *s, FILE *out)
{
	for (; *s != '\0'; s++)
		if (*s == '<')
			fputs("&lt;", out);
		else if (*s == '&')
			fputs("&amp;", out);
		else
			fputc(*s, out);
}

static void text(FILE *out, int x, int y, const char *class, const char *s)
{
	fprintf(out, "<text x=\"%d\" y=\"%d\" class=\"%s\">", x, y, class);
	escape(s, out);
	fputs("</text>\n", out);
}

static void range(const struct row *row, double *ret_least, double *ret_greatest)
{
	*ret_least = *ret_greatest = row->values[0];
	for (unsigned i = 1; i < row->count; i++) {
		*ret_least = row->values[i] < *ret_least ? row->values[i] : *ret_least;
		*ret_greatest = row->values[i] > *ret_greatest ? row->values[i] : *ret_greatest;
	}
}

static void bar(FILE *out, const struct row *row, double scale, int y)
{
	double least, greatest, median = row_median(row);
	char number[24], label[64];
	range(row, &least, &greatest);
	int end = LEFT + (int)(greatest * scale);
	text(out, LEFT - 8, y + 14, "side", row->side);
	fprintf(out, "<rect x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"%d\" class=\"%s\"/>\n", LEFT, y + 2,
		median * scale < 1 ? 1 : median * scale, LINE - 5,
		strncmp(row->side, OURS, strlen(OURS)) == 0 ? "ours" : "theirs");
	fprintf(out, "<path d=\"M%.1f %dH%d\" class=\"range\"/>\n", LEFT + least * scale, y + 9, end);
	snprintf(label, sizeof(label), "%s %s", number_text(median, number), row->unit);
	text(out, end + 6, y + 14, "value", label);
}

/* Draws the bars of one quantity. Returns the y of the next group. */
static int group(FILE *out, const struct results *r, unsigned first, int y)
{
	double most = 0, least, greatest;
	for (unsigned i = first; i < r->count; i++)
		if (strcmp(r->rows[i].what, r->rows[first].what) == 0) {
			range(&r->rows[i], &least, &greatest);
			most = greatest > most ? greatest : most;
		}
	text(out, 16, y + 18, "what", r->rows[first].what);
	y += GROUP - 4;
	for (unsigned i = first; i < r->count; i++)
		if (strcmp(r->rows[i].what, r->rows[first].what) == 0) {
			bar(out, &r->rows[i], most > 0 ? BAR / most : 0, y);
			y += LINE;
		}
	return y + 4;
}

void chart_write(const struct results *r)
{
	char path[512];
	int height = TOP + 12 + (int)r->count * LINE, y = TOP;
	for (unsigned i = 0; i < r->count; i++)
		height += results_is_first(r, i) ? GROUP : 0;
	snprintf(path, sizeof(path), "%s/charts", settings.folder);
	mkdir(path, 0755);
	snprintf(path, sizeof(path), "%s/charts/%s.svg", settings.folder, r->scenario);
	FILE *out = fopen(path, "w");
	if (out == NULL)
		die(path);
	fprintf(out,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\" "
		"role=\"img\">\n",
		WIDTH, height, WIDTH, height);
	fputs("<style>text{font:13px sans-serif;fill:#222}.title{font-size:17px;font-weight:bold}"
	      ".what{font-weight:bold}.side{text-anchor:end}"
	      ".ours{fill:#1f6f5c}.theirs{fill:#a9b4b8}.range{stroke:#222;stroke-width:1.5}</style>\n"
	      "<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n",
		out);
	text(out, 16, 28, "title", r->title);
	for (unsigned i = 0; i < r->count; i++)
		if (results_is_first(r, i))
			y = group(out, r, i, y);
	fputs("</svg>\n", out);
	if (fclose(out) != 0)
		die(path);
}
