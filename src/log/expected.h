/* SPDX-License-Identifier: MIT
 * The last position that the node's workers have acknowledged to a client. They share it in memory, tagged with its
 * history in the upper bits, so that a worker that hasn't noticed a change of history doesn't hold up the others. */
#ifndef LOG_EXPECTED_H
#define LOG_EXPECTED_H

#include <stdatomic.h>
#include <stdint.h>

#define EXPECTED_POSITION_BITS 48
#define EXPECTED_POSITION_MASK ((UINT64_C(1) << EXPECTED_POSITION_BITS) - 1)

struct expected {
	_Atomic uint64_t *shared;
	uint64_t history; /* the tag of the current one */
};

/* Positions belong to the history with that hash from now on. */
static inline void expected_begin(struct expected *e, uint64_t hash) { e->history = hash << EXPECTED_POSITION_BITS; }

/* Returns the position; 0 if there is none in this history. */
static inline uint64_t expected_get(const struct expected *e)
{
	uint64_t known = atomic_load_explicit(e->shared, memory_order_acquire);
	return (known & ~EXPECTED_POSITION_MASK) == e->history ? known & EXPECTED_POSITION_MASK : 0;
}

/* Raises the position to pos, unless it is higher already. */
static inline void expected_raise(struct expected *e, uint64_t pos)
{
	uint64_t known = atomic_load_explicit(e->shared, memory_order_relaxed),
		 next = e->history | (pos & EXPECTED_POSITION_MASK);
	while (((known & ~EXPECTED_POSITION_MASK) != e->history || (known & EXPECTED_POSITION_MASK) < pos) &&
		!atomic_compare_exchange_weak_explicit(
			e->shared, &known, next, memory_order_release, memory_order_relaxed))
		;
}

#endif
