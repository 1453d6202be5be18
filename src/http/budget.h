/* SPDX-License-Identifier: MIT
 * A budget: bounds the memory that clients make a worker hold, such as unfinished bodies, in total and for each owner,
 * who gets a quarter of it. For the loop's thread only. */
#ifndef HTTP_BUDGET_H
#define HTTP_BUDGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/map.h"

/* A zeroed struct is an unused budget. */
struct budget {
	size_t used;       /* bytes, over all owners */
	struct map owners; /* owner → its bytes */
};

void budget_release(struct budget *b);

/* Takes bytes for the owner, a hash. Returns false, and takes nothing, if that exceeds max in total, or a quarter of
 * max for an owner who holds something already. If nothing is held at all, even more than max is allowed, so that every
 * size can be served. max 0: no limit. */
bool budget_take(struct budget *b, size_t max, uint64_t owner, size_t bytes);
/* Gives back what budget_take() took. */
void budget_give(struct budget *b, uint64_t owner, size_t bytes);

#endif
