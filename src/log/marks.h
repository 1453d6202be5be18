/* SPDX-License-Identifier: MIT
 * The checks of the last positions that this worker has published. With them it validates cursors without a query, and
 * finds the last position that it shares with a database that came back. */
#ifndef LOG_MARKS_H
#define LOG_MARKS_H

#include "log/cursor.h"

struct buf;
struct marks;

struct marks *marks_new(void); /* ends the process if there is no memory */
void marks_free(struct marks *m);

/* Adds the positions from to upto, which belong to one batch. Calls come in ascending order; positions that are there
 * already are skipped. The oldest ones are dropped when it is full. */
void marks_add(struct marks *m, uint64_t from, uint64_t upto, uint32_t check);

/* Removes what lies above pos. */
void marks_cut(struct marks *m, uint64_t pos);

enum marks_answer {
	MARKS_UNKNOWN, /* the position isn't among them */
	MARKS_SAME,    /* it was published with that check */
	MARKS_OTHER    /* it was published with another check: at is of another history */
};
enum marks_answer marks_look(const struct marks *m, struct position at);

/* Appends the last position of each batch, and its check, as two arrays of PostgreSQL's. */
void marks_list(const struct marks *m, struct buf *positions, struct buf *checks);

#endif
