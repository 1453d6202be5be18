/* SPDX-License-Identifier: MIT
 * Memory that is there: these end the process with "out of memory" when there is none. A worker that can't get a few
 * bytes can't answer anybody; its supervisor starts another one. What a client asks for in size is capped elsewhere.
 * The caller frees what they return. */
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

/* Returns p, what another function has allocated; NULL means that memory was out. */
void *mem_checked(void *p);

#endif
