/* SPDX-License-Identifier: MIT
 * Arrays of text in PostgreSQL's text form (manual, 8.15.6): what goes into one parameter of a call for many. */
#ifndef PG_ARRAY_H
#define PG_ARRAY_H

#include "base/buf.h"

void pg_array_begin(struct buf *out);
void pg_array_add(struct buf *out, const char *s); /* NULL: a null */
void pg_array_end(struct buf *out);
/* An element alone, quoted; the caller puts braces and commas. */
void pg_array_quote(struct buf *out, const char *s);

#endif
