/* SPDX-License-Identifier: MIT
 * Problems: the one table of codes, with the status and title of each, and their rendering (RFC 9457). */
#ifndef HTTP_PROBLEM_H
#define HTTP_PROBLEM_H

#include "base/buf.h"

struct problem {
	const char *code; /* stable: clients act on it */
	int status;
	const char *title;
};

const struct problem *problem_find(const char *code); /* never NULL: an unknown code is "internal" */

/* {"type","title","status","detail","code","request_id"}; extra is "" or further members, each with a comma before it.
 */
void problem_render(
	struct buf *out, const struct problem *p, const char *detail, const char *request_id, const char *extra);

#endif
