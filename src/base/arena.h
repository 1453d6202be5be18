/* SPDX-License-Identifier: MIT
 * An arena: memory for many small objects that are freed together, such as the parts of one request. No object is freed
 * by itself. An arena has no limit: callers bound what they allocate from it. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stddef.h>

struct arena_chunk;

struct arena {
	struct arena_chunk *chunks; /* the newest first; NULL: nothing was allocated yet */
	size_t left;                /* bytes at the end of the newest */
};

/* Frees everything in the arena. It is empty then, as a zeroed struct is. */
void arena_release(struct arena *a);

/* Returns size bytes, aligned for any type, not initialised. Never NULL: the process ends when there is no memory. */
void *arena_alloc(struct arena *a, size_t size);

/* Returns a copy of len bytes, followed by a NUL. */
char *arena_copy(struct arena *a, const char *s, size_t len);

#endif
