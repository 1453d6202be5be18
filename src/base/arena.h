/* SPDX-License-Identifier: MIT
 * An arena: memory for many small things that end together, as the parts of one request do. Nothing in it is freed
 * singly. It has no limit of its own: callers bound what they put into it. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stddef.h>

struct arena_chunk;

struct arena {
	struct arena_chunk *chunks; /* the newest first; NULL: nothing was allocated yet */
	size_t left;                /* bytes at the end of the newest */
};

/* An arena of zeros is empty, and so is one after this. */
void arena_release(struct arena *a);

/* Returns size bytes, aligned for any type and not initialised. Never NULL: the process ends when memory is out. */
void *arena_alloc(struct arena *a, size_t size);

/* Returns a copy of len bytes with a NUL behind them. */
char *arena_copy(struct arena *a, const char *s, size_t len);

#endif
