/* SPDX-License-Identifier: MIT
 * See shared.h. The tables have a fixed size and open addressing. A crash of the supervisor loses their content, which
 * does little harm. */
#include "base/shared.h"

#include <string.h>
#include <sys/mman.h>

#include "base/clock.h"

enum {
	GCRA_ENTRIES = 1 << 16,
	GCRA_WINDOW = 8, /* entries that a key may be in: two cache lines */
	STREAM_ENTRIES = 1 << 15,
};

/* The theoretical arrival time (TAT) lives in the upper 48 bits of `when`, in microseconds modulo 2^48; the lower 16
 * repeat bits of the key. An entry is reused in two steps: key first, then `when`. In between the tag doesn't match
 * the key; a process that finds this treats the entry as new and completes it. So no process waits for a worker that
 * was killed between the two steps. */
struct gcra {
	_Atomic uint64_t key; /* 0: free */
	_Atomic uint64_t when;
};

struct slot {
	_Alignas(64) _Atomic uint64_t beat;
	_Atomic uint64_t applied_post; /* the number of the post that was applied */
	_Atomic uint64_t counters[SHARED_COUNTERS];
	_Atomic uint64_t gauges[SHARED_GAUGES];
	_Atomic uint64_t routes[SHARED_ROUTES][SHARED_ROUTE_SLOTS];
	/* A user's streams: the upper 48 bits are the user's key's, the lower 16 the count. 0: never used, ends a
	 * probe; count 0: may be reused. */
	_Atomic uint64_t streams[STREAM_ENTRIES];
};

struct shared {
	size_t size;
	unsigned workers;
	_Alignas(64) _Atomic uint64_t position;
	_Alignas(64) struct gcra gcra[GCRA_ENTRIES];
	_Alignas(64) _Atomic uint64_t posted; /* twice the number; odd while it is being written */
	size_t post_len;
	char post[SHARED_POST_MAX];
	struct slot slots[]; /* the last one is the supervisor's */
};

struct shared *shared_new(unsigned workers)
{
	size_t size = sizeof(struct shared) + (workers + 1) * sizeof(struct slot);
	struct shared *s = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (s == MAP_FAILED)
		return NULL;
	s->size = size;
	s->workers = workers;
	return s;
}

void shared_free(struct shared *s)
{
	if (s != NULL)
		munmap(s, s->size);
}

void shared_beat(struct shared *s, unsigned index) { shared_set(&s->slots[index].beat, clock_mono_ms()); }

uint64_t shared_last_beat(const struct shared *s, unsigned index) { return atomic_load(&s->slots[index].beat); }

bool shared_post(struct shared *s, const char *text, size_t len)
{
	if (len > SHARED_POST_MAX)
		return false;
	atomic_fetch_add(&s->posted, 1);
	atomic_thread_fence(memory_order_seq_cst);
	memcpy(s->post, text, len);
	s->post_len = len;
	atomic_fetch_add(&s->posted, 1);
	return true;
}

uint64_t shared_posted(const struct shared *s) { return atomic_load(&s->posted) / 2; }

uint64_t shared_read_post(const struct shared *s, char out[SHARED_POST_MAX], size_t *ret_len)
{
	for (;;) {
		uint64_t before = atomic_load(&s->posted);
		size_t len = s->post_len;
		memcpy(out, s->post, len <= SHARED_POST_MAX ? len : 0);
		atomic_thread_fence(memory_order_seq_cst);
		if (before % 2 == 0 && atomic_load(&s->posted) == before) {
			*ret_len = len;
			return before / 2;
		}
	}
}

void shared_set_applied_post(struct shared *s, unsigned index, uint64_t number)
{
	atomic_store(&s->slots[index].applied_post, number);
}

uint64_t shared_applied_post(const struct shared *s, unsigned index)
{
	return atomic_load(&s->slots[index].applied_post);
}

void shared_reset_worker(struct shared *s, unsigned index)
{
	struct slot *slot = &s->slots[index];
	atomic_store(&slot->beat, 0);
	for (unsigned i = 0; i < SHARED_GAUGES; i++)
		atomic_store(&slot->gauges[i], 0);
	for (unsigned i = 0; i < STREAM_ENTRIES; i++)
		if (atomic_load(&slot->streams[i]) != 0)
			atomic_store(&slot->streams[i], 0);
}

_Atomic uint64_t *shared_counters(struct shared *s, unsigned index) { return s->slots[index].counters; }

_Atomic uint64_t *shared_gauges(struct shared *s, unsigned index) { return s->slots[index].gauges; }

uint64_t shared_sum_counter(const struct shared *s, unsigned i)
{
	uint64_t sum = 0;
	for (unsigned w = 0; w <= s->workers; w++)
		sum += atomic_load_explicit(&s->slots[w].counters[i], memory_order_relaxed);
	return sum;
}

uint64_t shared_sum_gauge(const struct shared *s, unsigned i)
{
	uint64_t sum = 0;
	for (unsigned w = 0; w < s->workers; w++)
		sum += atomic_load_explicit(&s->slots[w].gauges[i], memory_order_relaxed);
	return sum;
}

unsigned shared_supervisor(const struct shared *s) { return s->workers; }

uint64_t shared_gauge(const struct shared *s, unsigned index, unsigned i)
{
	return atomic_load_explicit(&s->slots[index].gauges[i], memory_order_relaxed);
}

_Atomic uint64_t *shared_routes(struct shared *s, unsigned index, unsigned route)
{
	return s->slots[index].routes[route];
}

uint64_t shared_sum_route(const struct shared *s, unsigned route, unsigned i)
{
	uint64_t sum = 0;
	for (unsigned w = 0; w < s->workers; w++)
		sum += atomic_load_explicit(&s->slots[w].routes[route][i], memory_order_relaxed);
	return sum;
}

_Atomic uint64_t *shared_position(struct shared *s) { return &s->position; }

static uint64_t tag_of(uint64_t key) { return key >> 48; }

/* Returns how far the entry's TAT is ahead of now, in microseconds; 0 if it has passed or the entry is new. */
static uint64_t ahead_of(uint64_t when, uint64_t key, uint64_t now_us)
{
	if ((when & 0xffff) != tag_of(key))
		return 0;
	int64_t ahead = (int64_t)((when & ~UINT64_C(0xffff)) - (now_us << 16)) >> 16;
	return ahead > 0 ? (uint64_t)ahead : 0;
}

static struct gcra *window_of(struct shared *s, uint64_t key, unsigned i) { return &s->gcra[(key + i) % GCRA_ENTRIES]; }

static struct gcra *gcra_find(struct shared *s, uint64_t key, unsigned *ret_at)
{
	for (unsigned i = 0; i < GCRA_WINDOW; i++)
		if (atomic_load(&window_of(s, key, i)->key) == key) {
			*ret_at = i;
			return window_of(s, key, i);
		}
	return NULL;
}

/* Returns a free entry, else the one with the oldest TAT. */
static unsigned gcra_victim(struct shared *s, uint64_t key, uint64_t now_us, uint64_t *ret_holder, uint64_t *ret_when)
{
	uint64_t least = UINT64_MAX;
	unsigned at = 0;
	for (unsigned i = 0; i < GCRA_WINDOW; i++) {
		struct gcra *e = window_of(s, key, i);
		uint64_t holder = atomic_load(&e->key), when = atomic_load(&e->when);
		/* One more than a passed TAT, so that a free entry wins. */
		uint64_t ahead = holder == 0 ? 0 : 1 + ahead_of(when, holder, now_us);
		if (ahead < least) {
			least = ahead;
			at = i;
			*ret_holder = holder;
			*ret_when = when;
		}
	}
	return at;
}

static bool gcra_advance(
	struct shared *s, uint64_t key, uint64_t now_us, uint64_t cost, uint64_t tolerance, uint64_t *ret_ahead);

/* Frees the second entry of a key and charges the first with what the second was charged. A process that charges the
 * second one later finds that its key is gone, and charges again. */
static void gcra_merge_into_first(struct shared *s, struct gcra *e, uint64_t key, uint64_t now_us)
{
	uint64_t mine = key, ahead;
	if (!atomic_compare_exchange_strong(&e->key, &mine, 0))
		return;
	uint64_t charged = ahead_of(atomic_load(&e->when), key, now_us);
	if (charged > 0)
		(void)gcra_advance(s, key, now_us, charged, UINT64_MAX, &ahead);
}

/* Returns the key's entry, and makes it if there is none. Two workers that make it at the same time may choose
 * different entries: each searches again after it has made one, and the one later in the window is merged into the
 * first. */
static struct gcra *gcra_entry(struct shared *s, uint64_t key, uint64_t now_us)
{
	for (;;) {
		unsigned at, first;
		uint64_t holder = 0, when = 0;
		struct gcra *e = gcra_find(s, key, &at);
		if (e != NULL)
			return e;
		at = gcra_victim(s, key, now_us, &holder, &when);
		e = window_of(s, key, at);
		if (!atomic_compare_exchange_strong(&e->key, &holder, key))
			continue;
		/* The previous key may have had the same tag. If this fails, another process has charged the new one
		 * already. */
		atomic_compare_exchange_strong(&e->when, &when, now_us << 16 | tag_of(key));
		if (gcra_find(s, key, &first) == e)
			return e;
		gcra_merge_into_first(s, e, key, now_us);
	}
}

/* Advances the TAT by cost if it is at most `tolerance` ahead of now. Returns whether it did; *ret_ahead is how far
 * ahead it is then. */
static bool gcra_advance(
	struct shared *s, uint64_t key, uint64_t now_us, uint64_t cost, uint64_t tolerance, uint64_t *ret_ahead)
{
	for (;;) {
		struct gcra *e = gcra_entry(s, key, now_us);
		uint64_t when = atomic_load(&e->when);
		if (atomic_load(&e->key) != key)
			continue;
		uint64_t ahead = ahead_of(when, key, now_us);
		*ret_ahead = ahead;
		if (ahead > tolerance)
			return false;
		uint64_t next = (now_us + ahead + cost) << 16 | tag_of(key);
		if (!atomic_compare_exchange_strong(&e->when, &when, next))
			continue;
		/* The entry was reused in between: charge the key's new one. At worst this key is charged twice. */
		if (atomic_load(&e->key) != key)
			continue;
		*ret_ahead = ahead + cost;
		return true;
	}
}

bool shared_gcra(struct shared *s, uint64_t key_hash, uint64_t now_us, uint64_t interval_us, unsigned burst,
	uint64_t *ret_retry_after_us, unsigned *ret_remaining)
{
	uint64_t ahead = 0;
	if (burst == 0)
		burst = 1;
	uint64_t tolerance = interval_us * (burst - 1);
	bool admitted =
		interval_us == 0 || gcra_advance(s, key_hash ? key_hash : 1, now_us, interval_us, tolerance, &ahead);
	if (ret_retry_after_us != NULL)
		*ret_retry_after_us = admitted ? 0 : ahead - tolerance;
	if (ret_remaining != NULL && interval_us == 0)
		*ret_remaining = burst;
	else if (ret_remaining != NULL)
		*ret_remaining = ahead > tolerance ? 0 : (unsigned)((tolerance + interval_us - ahead) / interval_us);
	return admitted;
}

void shared_gcra_charge(struct shared *s, uint64_t key_hash, uint64_t now_us, uint64_t interval_us, unsigned n)
{
	uint64_t ahead;
	if (interval_us > 0 && n > 0)
		(void)gcra_advance(s, key_hash ? key_hash : 1, now_us, interval_us * n, UINT64_MAX, &ahead);
}

static uint64_t stream_tag(uint64_t key_hash) { return (key_hash >> 16 ? key_hash >> 16 : 1) << 16; }
static unsigned stream_count(uint64_t entry) { return entry & 0xffff; }

/* Returns the key's entry in one worker's table; if there is none and reuse is true, an entry that a new key may use.
 * NULL: neither. */
static _Atomic uint64_t *streams_find(struct slot *slot, uint64_t key_hash, bool reuse)
{
	_Atomic uint64_t *idle = NULL;
	for (unsigned i = 0; i < STREAM_ENTRIES; i++) {
		_Atomic uint64_t *e = &slot->streams[(key_hash + i) % STREAM_ENTRIES];
		uint64_t entry = atomic_load(e);
		if ((entry & ~0xffffULL) == stream_tag(key_hash))
			return e;
		if (idle == NULL && stream_count(entry) == 0)
			idle = e;
		if (entry == 0)
			break;
	}
	return reuse ? idle : NULL;
}

unsigned shared_streams_add(struct shared *s, unsigned index, uint64_t key_hash)
{
	_Atomic uint64_t *e = streams_find(&s->slots[index], key_hash, true);
	if (e == NULL || stream_count(atomic_load(e)) == 0xffff)
		return 0;
	atomic_store(e, stream_tag(key_hash) | (stream_count(atomic_load(e)) + 1));
	unsigned sum = 0;
	for (unsigned w = 0; w < s->workers; w++) {
		_Atomic uint64_t *other = streams_find(&s->slots[w], key_hash, false);
		uint64_t entry = other != NULL ? atomic_load(other) : 0;
		if ((entry & ~0xffffULL) == stream_tag(key_hash)) /* its owner may have reused it for another key */
			sum += stream_count(entry);
	}
	return sum;
}

/* An idle entry at the end of a run isn't needed to continue a probe: frees it and the idle ones before it, so that
 * probes for absent users stay short. */
static void streams_trim(struct slot *slot, size_t at)
{
	if (atomic_load(&slot->streams[(at + 1) % STREAM_ENTRIES]) != 0)
		return;
	for (uint64_t entry; (entry = atomic_load(&slot->streams[at])) != 0 && stream_count(entry) == 0;
		at = (at + STREAM_ENTRIES - 1) % STREAM_ENTRIES)
		atomic_store(&slot->streams[at], 0);
}

void shared_streams_sub(struct shared *s, unsigned index, uint64_t key_hash)
{
	struct slot *slot = &s->slots[index];
	_Atomic uint64_t *e = streams_find(slot, key_hash, false);
	if (e == NULL || stream_count(atomic_load(e)) == 0)
		return;
	atomic_store(e, atomic_load(e) - 1);
	if (stream_count(atomic_load(e)) == 0)
		streams_trim(slot, (size_t)(e - slot->streams));
}

void shared_gcra_refund(struct shared *s, uint64_t key_hash, uint64_t interval_us)
{
	uint64_t key = key_hash ? key_hash : 1, now = clock_mono_us();
	for (;;) {
		unsigned at;
		struct gcra *e = gcra_find(s, key, &at);
		if (e == NULL || interval_us == 0)
			return;
		uint64_t when = atomic_load(&e->when), ahead = ahead_of(when, key, now);
		uint64_t next = (now + (ahead > interval_us ? ahead - interval_us : 0)) << 16 | tag_of(key);
		if (atomic_compare_exchange_strong(&e->when, &when, next))
			return;
	}
}
