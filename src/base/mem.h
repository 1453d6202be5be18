/* SPDX-License-Identifier: MIT
 * Allocation that can't fail: without memory these end the process with "out of memory". A worker that can't get a few
 * bytes can't answer anybody; its supervisor starts another one. Sizes that a client chooses are capped elsewhere. The
 * caller frees what they return. */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stddef.h>

#include "base/status.h"

void *mem_alloc(size_t size);                /* not initialised */
void *mem_zeroed(size_t count, size_t size); /* count * size bytes of zeros */
void *mem_resize(void *p, size_t count, size_t size);
char *mem_strdup(const char *s);
char *mem_strndup(const char *s, size_t len);
char *mem_format(const char *fmt, ...) PRINTF_LIKE(1, 2);

/* Returns p, which another function has allocated; if it is NULL, the process ends. */
void *mem_checked(void *p);

#endif
