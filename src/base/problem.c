/* SPDX-License-Identifier: MIT
 * See problem.h. */
#include "base/problem.h"

#include <string.h>

static const struct {
	const char *code;
	int status;
	const char *title, *detail;
} table[PROBLEM_COUNT] = { [PROBLEM_NONE] = { "", 0, "", NULL },
#define PROBLEM_ROW(name, code, status, title, detail) [PROBLEM_##name] = { code, status, title, detail },
	PROBLEMS(PROBLEM_ROW)
#undef PROBLEM_ROW
};

const char *problem_code(enum problem p) { return table[p].code; }
int problem_status(enum problem p) { return table[p].status; }
const char *problem_title(enum problem p) { return table[p].title; }
const char *problem_detail(enum problem p) { return table[p].detail; }

enum problem problem_find(const char *code)
{
	if (*code == '\0')
		return PROBLEM_NONE;
	for (enum problem p = PROBLEM_NONE + 1; p < PROBLEM_COUNT; p++)
		if (strcmp(table[p].code, code) == 0)
			return p;
	return PROBLEM_INTERNAL;
}

void problem_render(struct buf *out, enum problem p, const char *detail, const char *request_id, const char *extra)
{
	if (detail == NULL)
		detail = table[p].detail;
	buf_addf(out, "{\"type\":\"urn:postern:problem:%s\",\"title\":\"%s\",\"status\":%d,", table[p].code,
		table[p].title, table[p].status);
	if (detail != NULL && *detail != '\0') {
		buf_adds(out, "\"detail\":");
		buf_add_json(out, detail, strlen(detail));
		buf_addc(out, ',');
	}
	buf_addf(out, "\"code\":\"%s\",\"request_id\":\"%s\"%s}", table[p].code, request_id, extra);
}
