/* SPDX-License-Identifier: MIT
 * Arrays and composite values in PostgreSQL's text form (manual, 8.15.6 and 8.16.6), for a parameter that carries many
 * values. The caller resets the buffer first. */
#ifndef PG_ARRAY_H
#define PG_ARRAY_H

#include "base/buf.h"

void pg_array_begin(struct buf *out);
void pg_array_add(struct buf *out, const char *s); /* an element; NULL: a null */
void pg_array_end(struct buf *out);

void pg_row_begin(struct buf *out);
void pg_row_add(struct buf *out, const char *s);  /* a field; NULL: a null */
void pg_row_add_id(struct buf *out, uint64_t id); /* a field; 0: a null */
void pg_row_end(struct buf *out);

#endif
