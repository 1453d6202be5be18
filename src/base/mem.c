/* SPDX-License-Identifier: MIT
 * See mem.h. */
#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

void *mem_checked(void *p)
{
	if (p == NULL)
		fatal("out of memory");
	return p;
}

void *mem_alloc(size_t size) { return mem_checked(malloc(size > 0 ? size : 1)); }
void *mem_zeroed(size_t count, size_t size) { return mem_checked(calloc(count > 0 ? count : 1, size)); }
void *mem_resize(void *p, size_t count, size_t size)
{
	return mem_checked(reallocarray(p, count > 0 ? count : 1, size));
}
char *mem_strdup(const char *s) { return mem_checked(strdup(s)); }
char *mem_strndup(const char *s, size_t len) { return mem_checked(strndup(s, len)); }

char *mem_format(const char *fmt, ...)
{
	char *text;
	va_list args;
	va_start(args, fmt);
	int n = vasprintf(&text, fmt, args);
	va_end(args);
	return mem_checked(n < 0 ? NULL : text);
}
