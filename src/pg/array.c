/* SPDX-License-Identifier: MIT
 * See array.h. Both forms accept an element in quotes with \ before each " and \. A null is the word NULL in an array,
 * and an empty field in a row. */
#include "pg/array.h"

#include <string.h>

static void quote(struct buf *out, const char *s)
{
	buf_addc(out, '"');
	for (size_t n; *s != '\0'; s += n) {
		n = strcspn(s, "\"\\");
		buf_add(out, s, n);
		if (s[n] != '\0') {
			buf_addc(out, '\\');
			buf_addc(out, s[n++]);
		}
	}
	buf_addc(out, '"');
}

void pg_array_begin(struct buf *out) { buf_addc(out, '{'); }

void pg_array_add(struct buf *out, const char *s)
{
	if (out->len > 1)
		buf_addc(out, ',');
	if (s != NULL)
		quote(out, s);
	else
		buf_adds(out, "NULL");
}

void pg_array_end(struct buf *out) { buf_addc(out, '}'); }

void pg_row_begin(struct buf *out) { buf_addc(out, '('); }

void pg_row_add(struct buf *out, const char *s)
{
	if (s != NULL)
		quote(out, s);
	buf_addc(out, ',');
}

void pg_row_add_id(struct buf *out, uint64_t id)
{
	if (id != 0)
		buf_addu(out, id);
	buf_addc(out, ',');
}

/* Replaces the comma after the last field by the parenthesis. */
void pg_row_end(struct buf *out)
{
	if (!buf_failed(out))
		out->data[out->len - 1] = ')';
}
