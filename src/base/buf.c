/* SPDX-License-Identifier: MIT
 * See buf.h. */
#include "base/buf.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

void buf_init(struct buf *b, size_t cap) { *b = (struct buf) { .cap = cap }; }

void buf_release(struct buf *b)
{
	free(b->data);
	*b = (struct buf) { .cap = b->cap };
}

void buf_reset(struct buf *b)
{
	b->len = 0;
	b->failed = false;
	if (b->data != NULL)
		b->data[0] = '\0';
}

static void fail(struct buf *b)
{
	buf_release(b);
	b->failed = true;
}

/* Makes room for n more bytes and the NUL. */
static bool reserve(struct buf *b, size_t n)
{
	if (b->failed)
		return false;
	if (n > b->cap - b->len) {
		fail(b);
		return false;
	}
	size_t need = b->len + n + 1;
	if (need <= b->size)
		return true;
	size_t size = b->size ? b->size : 64;
	while (size < need)
		size *= 2;
	b->data = mem_resize(b->data, size, 1);
	b->size = size;
	return true;
}

void buf_add(struct buf *b, const void *data, size_t len)
{
	if (!reserve(b, len))
		return;
	if (len > 0)
		memcpy(b->data + b->len, data, len);
	b->len += len;
	b->data[b->len] = '\0'; /* reserve() has made it. NOLINT(clang-analyzer-core.NullDereference) */
}

void buf_adds(struct buf *b, const char *s) { buf_add(b, s, strlen(s)); }

void buf_addc(struct buf *b, char c) { buf_add(b, &c, 1); }

void buf_vaddf(struct buf *b, const char *fmt, va_list ap)
{
	va_list again;
	va_copy(again, ap);
	int n = vsnprintf(NULL, 0, fmt, again);
	va_end(again);
	assert(n >= 0);
	if (!reserve(b, (size_t)n))
		return;
	vsnprintf(b->data + b->len, (size_t)n + 1, fmt, ap);
	b->len += (size_t)n;
}

void buf_addf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	buf_vaddf(b, fmt, ap);
	va_end(ap);
}

void buf_addu(struct buf *b, uint64_t n)
{
	char digits[20];
	size_t i = sizeof(digits);
	do
		digits[--i] = (char)('0' + n % 10);
	while ((n /= 10) > 0);
	buf_add(b, digits + i, sizeof(digits) - i);
}

void buf_add_json(struct buf *b, const char *s, size_t len)
{
	size_t from = 0;
	buf_addc(b, '"');
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)s[i];
		if (c >= 0x20 && c != '"' && c != '\\')
			continue;
		buf_add(b, s + from, i - from);
		from = i + 1;
		if (c == '\n')
			buf_adds(b, "\\n");
		else if (c < 0x20)
			buf_addf(b, "\\u%04x", c);
		else {
			buf_addc(b, '\\');
			buf_addc(b, (char)c);
		}
	}
	buf_add(b, s + from, len - from);
	buf_addc(b, '"');
}

const char *buf_text(const struct buf *b)
{
	return b->failed ? "(the text is too long)" : b->data != NULL ? b->data : "";
}

char *buf_detach(struct buf *b, size_t *ret_len)
{
	if (b->data == NULL && !b->failed)
		buf_add(b, "", 0);
	char *data = b->data;
	if (ret_len != NULL)
		*ret_len = b->len;
	b->data = NULL;
	b->len = b->size = 0;
	return data;
}
