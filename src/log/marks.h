/* SPDX-License-Identifier: MIT
 * The checks of the last positions that a worker was told: by them it judges cursors without asking, and finds out up
 * to where a database that came back holds the history it knew. */
#ifndef LOG_MARKS_H
#define LOG_MARKS_H

#include "log/cursor.h"

struct buf;
struct marks;

struct marks *marks_new(void);
void marks_free(struct marks *m);
void marks_cut(struct marks *m, uint64_t pos); /* forgets what lies above pos */
/* The positions from to upto are known, and all of one batch. Ascending; what is known already is left out. */
void marks_add(struct marks *m, uint64_t from, uint64_t upto, uint32_t check);

enum marks_answer { MARKS_UNKNOWN, MARKS_SAME, MARKS_OTHER };
/* Whether pos was told with that check. */
enum marks_answer marks_look(const struct marks *m, struct position at);
/* The positions that were told and their checks, as two arrays of PostgreSQL's; a batch once. */
void marks_list(const struct marks *m, struct buf *positions, struct buf *checks);

#endif
