/* SPDX-License-Identifier: MIT
 * Memory for what is small, long-lived and many (streams, users, memberships), kept apart from what comes and goes with
 * a request: a page of malloc()'s with one survivor on it stays. No header an object; a chunk is of one size (Bonwick,
 * "The Slab Allocator", USENIX 1994). For the loop's thread alone. Exits when memory is out. */
#ifndef BASE_SLAB_H
#define BASE_SLAB_H

#include <stddef.h>

void *slab_get(size_t size);              /* zeroed, aligned to 8 bytes; above 512 bytes it is malloc()'s */
void slab_put(void *object, size_t size); /* the size it was asked for with; NULL is nothing */
/* In another size: what fits is copied, the old one is put back. */
void *slab_resize(void *object, size_t size, size_t new_size);

#endif
