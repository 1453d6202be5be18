/* SPDX-License-Identifier: MIT
 * A growing byte buffer with a mandatory cap and a sticky error.
 *
 * Append as much as you like and check buf_failed() once at the end: after the first append that would pass the cap
 * the contents are freed and every further append does nothing. When there is no memory, the process ends.
 * data is always NUL-terminated when it isn't NULL; len doesn't count that NUL. */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

struct buf {
	char *data; /* owned; NULL while empty */
	size_t len, size, cap;
	bool failed;
};

void buf_init(struct buf *b, size_t cap); /* cap in bytes, without the NUL */
void buf_release(struct buf *b);          /* frees; b may be used again after buf_init() */
void buf_reset(struct buf *b);            /* empties, keeps the memory, clears the error */
void buf_add(struct buf *b, const void *data, size_t len);
void buf_adds(struct buf *b, const char *s);
void buf_addc(struct buf *b, char c);
void buf_addf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
void buf_vaddf(struct buf *b, const char *fmt, va_list ap) PRINTF_LIKE(2, 0);
void buf_addu(struct buf *b, uint64_t n);                    /* decimal; much cheaper than buf_addf */
void buf_add_json(struct buf *b, const char *s, size_t len); /* a JSON string, quotes included; s is UTF-8 */
const char *buf_text(const struct buf *b); /* for messages: "" while empty, a placeholder after a failure; never NULL */
char *buf_detach(struct buf *b,
	size_t *ret_len); /* gives the memory to the caller (free() it); NULL after a failure; b is empty again */
static inline bool buf_failed(const struct buf *b) { return b->failed; }

#endif
