/* SPDX-License-Identifier: MIT
 * Memory for many small, long-lived objects (streams, users, memberships), apart from that of requests: malloc() can't
 * return a page on which one object is left. Objects have no headers; all objects of a chunk have one size (Bonwick,
 * "The Slab Allocator", USENIX 1994). For the loop's thread only. Exits when there is no memory. */
#ifndef BASE_SLAB_H
#define BASE_SLAB_H

#include <stddef.h>

void *slab_get(size_t size);              /* zeroed, aligned to 8 bytes; more than 512 bytes come from malloc() */
void slab_put(void *object, size_t size); /* size as in slab_get(); NULL is allowed */
/* Returns the object in another size: copies what fits, and puts the old one back. */
void *slab_resize(void *object, size_t size, size_t new_size);

#endif
