/* SPDX-License-Identifier: MIT
 * See budget.h. The map's values are the numbers of bytes themselves, not pointers. */
#include "http/budget.h"

void budget_release(struct budget *b) { map_release(&b->owners); }

static void set(struct budget *b, uint64_t owner, size_t bytes)
{
	if (bytes > 0)
		map_set(&b->owners, owner, (void *)bytes); /* NOLINT(performance-no-int-to-ptr) */
	else
		map_remove(&b->owners, owner);
}

bool budget_take(struct budget *b, size_t max, uint64_t owner, size_t bytes)
{
	size_t held = (size_t)map_get(&b->owners, owner);
	if (bytes == 0)
		return true;
	bool is_over = b->used + bytes > max || (held > 0 && held + bytes > max / 4);
	if (max > 0 && b->used > 0 && is_over)
		return false;
	b->used += bytes;
	set(b, owner, held + bytes);
	return true;
}

void budget_give(struct budget *b, uint64_t owner, size_t bytes)
{
	if (bytes == 0)
		return;
	b->used -= bytes;
	set(b, owner, (size_t)map_get(&b->owners, owner) - bytes);
}
