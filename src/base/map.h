/* SPDX-License-Identifier: MIT
 * Hash map from a 64-bit key to a pointer: open addressing with linear probing, no allocation per entry. Keys that
 * clients choose must be hashed with secret_keyed_hash() first. A value is never NULL; keys are unique. */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include <stddef.h>
#include <stdint.h>

struct map {
	struct map_entry {
		uint64_t key;
		void *value; /* NULL: free */
	} * entries;
	size_t count, size; /* size: a power of two, or 0 */
};

void map_release(struct map *m);                        /* a zeroed struct is an empty map; values stay the caller's */
void *map_get(const struct map *m, uint64_t key);       /* NULL: none */
void map_set(struct map *m, uint64_t key, void *value); /* adds or replaces; exits when there is no memory */
void *map_remove(struct map *m, uint64_t key);          /* returns the value that was there, or NULL */

/* for (size_t i = 0; (value = map_next(m, &i)) != NULL;) — don't change the map meanwhile. */
void *map_next(const struct map *m, size_t *i);

#endif
