/* SPDX-License-Identifier: MIT
 * See arena.h. Chunks double in size, so that an arena of n bytes has O(log n) chunks. */
#include "base/arena.h"

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"

enum { CHUNK_MIN = 512, CHUNK_MAX = 1 << 20 };

struct arena_chunk {
	struct arena_chunk *next;
	size_t size;
	alignas(max_align_t) char data[];
};

void arena_release(struct arena *a)
{
	while (a->chunks != NULL) {
		struct arena_chunk *next = a->chunks->next;
		free(a->chunks);
		a->chunks = next;
	}
	*a = (struct arena) { 0 };
}

static size_t aligned(size_t size)
{
	return (size + alignof(max_align_t) - 1) / alignof(max_align_t) * alignof(max_align_t);
}

static void add_chunk(struct arena *a, size_t least)
{
	size_t size = a->chunks == NULL ? CHUNK_MIN : a->chunks->size < CHUNK_MAX ? a->chunks->size * 2 : CHUNK_MAX;
	if (size < least)
		size = aligned(least);
	struct arena_chunk *c = mem_alloc(sizeof(*c) + size);
	*c = (struct arena_chunk) { .next = a->chunks, .size = size };
	a->chunks = c;
	a->left = size;
}

static void *carve(struct arena *a, size_t size)
{
	if (a->chunks == NULL || size > a->left)
		add_chunk(a, size);
	char *p = a->chunks->data + a->chunks->size - a->left;
	a->left -= size;
	return p;
}

void *arena_alloc(struct arena *a, size_t size)
{
	a->left -= a->left % alignof(max_align_t); /* chunks begin aligned, and their sizes are multiples */
	return carve(a, aligned(size));
}

char *arena_copy(struct arena *a, const char *s, size_t len)
{
	char *copy = carve(a, len + 1);
	memcpy(copy, s, len);
	copy[len] = '\0';
	return copy;
}
