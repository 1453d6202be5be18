/* SPDX-License-Identifier: MIT
 * See array.h. */
#include "pg/array.h"

#include <string.h>

void pg_array_begin(struct buf *out) { buf_addc(out, '{'); }

void pg_array_quote(struct buf *out, const char *s)
{
	if (s == NULL) {
		buf_adds(out, "NULL");
		return;
	}
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

void pg_array_add(struct buf *out, const char *s)
{
	if (out->len > 1)
		buf_addc(out, ',');
	pg_array_quote(out, s);
}

void pg_array_end(struct buf *out) { buf_addc(out, '}'); }
