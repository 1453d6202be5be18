/* SPDX-License-Identifier: MIT
 * Memory that the workers of a node share: heartbeats, metrics, the last acknowledged position, rate limits and counts
 * of streams.
 *
 * The supervisor makes it before it forks. No locks: a worker may be killed at any instruction, and the others
 * must be able to use what it leaves behind. Every function here is safe in any process at any time and never blocks.
 */
#ifndef BASE_SHARED_H
#define BASE_SHARED_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SHARED_COUNTERS = 256, SHARED_GAUGES = 64, SHARED_ROUTES = 256, SHARED_ROUTE_SLOTS = 64 };

struct shared;

struct shared *shared_new(unsigned workers); /* NULL: no memory */
void shared_free(struct shared *s);

/* A worker calls shared_beat() once a second; the supervisor kills one whose last beat (CLOCK_MONOTONIC, in ms; 0: none
 * yet) is too old. The supervisor calls shared_reset_worker() when that worker is dead: it has no beat then, and its
 * gauges and streams are 0. Its counters stay, and its successor continues them, so that a sum never decreases. */
void shared_beat(struct shared *s, unsigned index);
uint64_t shared_last_beat(const struct shared *s, unsigned index);
void shared_reset_worker(struct shared *s, unsigned index);

/* A post: bytes that the supervisor passes to all workers. Each post replaces the one before; they are numbered from 1.
 * Only the supervisor calls shared_post(). */
enum { SHARED_POST_MAX = 64 * 1024 };
bool shared_post(struct shared *s, const char *text, size_t len); /* false: too long */
uint64_t shared_posted(const struct shared *s);                   /* the number of the latest; 0: none */
/* Copies the latest post, of *ret_len bytes, and returns its number. */
uint64_t shared_read_post(const struct shared *s, char out[SHARED_POST_MAX], size_t *ret_len);
/* The number of the post that a worker has applied last; 0: none. */
void shared_set_applied_post(struct shared *s, unsigned index, uint64_t number);
uint64_t shared_applied_post(const struct shared *s, unsigned index);

/* Returns the index of the supervisor's counters and gauges: it has them as if it were one more worker. */
unsigned shared_supervisor(const struct shared *s);

/* The worker's own SHARED_COUNTERS counters (and buckets of histograms), which only grow, and SHARED_GAUGES gauges.
 * Only that worker writes them: shared_add() is enough, no read-modify-write instruction is needed. */
_Atomic uint64_t *shared_counters(struct shared *s, unsigned index);
_Atomic uint64_t *shared_gauges(struct shared *s, unsigned index);
uint64_t shared_sum_counter(const struct shared *s, unsigned i); /* over all workers of the node and the supervisor */
uint64_t shared_sum_gauge(const struct shared *s, unsigned i);   /* over the workers */
uint64_t shared_gauge(const struct shared *s, unsigned index, unsigned i);

/* Returns the worker's SHARED_ROUTE_SLOTS counters of one of SHARED_ROUTES routes. */
_Atomic uint64_t *shared_routes(struct shared *s, unsigned index, unsigned route);
uint64_t shared_sum_route(const struct shared *s, unsigned route, unsigned i);

static inline void shared_add(_Atomic uint64_t *slot, uint64_t n)
{
	atomic_store_explicit(slot, atomic_load_explicit(slot, memory_order_relaxed) + n, memory_order_relaxed);
}

static inline void shared_set(_Atomic uint64_t *slot, uint64_t n)
{
	atomic_store_explicit(slot, n, memory_order_relaxed);
}

/* The last position of the log that was sent to a client of this node, encoded as the tail does; 0: none. */
_Atomic uint64_t *shared_position(struct shared *s);

/* A rate limit of one event every interval_us with bursts of up to `burst` (0 counts as 1), by the generic cell rate
 * algorithm (virtual scheduling; ATM Forum Traffic Management 4.1, 4.4.2). Exact over all workers, which share the
 * state. key_hash identifies who and what is limited (secret_keyed_hash()); now_us is clock_mono_us(); interval_us 0
 * means no limit. Returns whether the event is admitted; a refused one costs nothing.
 * ret_retry_after_us (0 when admitted) and ret_remaining may be NULL. */
bool shared_gcra(struct shared *s, uint64_t key_hash, uint64_t now_us, uint64_t interval_us, unsigned burst,
	uint64_t *ret_retry_after_us, unsigned *ret_remaining);
/* Counts n events whether or not the limit admits them: those that another node has admitted. */
void shared_gcra_charge(struct shared *s, uint64_t key_hash, uint64_t now_us, uint64_t interval_us, unsigned n);

/* Takes back one admitted event that turned out not to count. */
void shared_gcra_refund(struct shared *s, uint64_t key_hash, uint64_t interval_us);

/* Streams that a user has open on this node. Only worker `index` calls these with its index. Add returns the count
 * over all workers, this one included; if that is too many, the caller subtracts it again. A worker counts at most
 * 32,768 users: for further ones 0 is returned. */
unsigned shared_streams_add(struct shared *s, unsigned index, uint64_t key_hash);
void shared_streams_sub(struct shared *s, unsigned index, uint64_t key_hash);

#endif
