/* SPDX-License-Identifier: MIT
 * See owner.h. */
#include "base/owner.h"

static uint64_t current;

uint64_t owner_current(void) { return current; }

uint64_t owner_enter(uint64_t owner)
{
	uint64_t before = current;
	current = owner;
	return before;
}
