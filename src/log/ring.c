/* SPDX-License-Identifier: MIT
 * See ring.h. A circular array, indexed by sequence number. A thread's links are sequence numbers, so that dropping the
 * oldest frames changes no link: one below the first sequence number ends the thread. */
#include "log/ring.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"

struct ring {
	struct frame **slots;
	size_t size;          /* a power of two */
	uint64_t first, next; /* the ring has first ≤ seq < next; the first number ever is 1 */
	uint64_t floor;
	size_t bytes, max_bytes;
	struct map last; /* key → the newest frame of that thread */
};

struct ring *ring_new(size_t max_bytes)
{
	struct ring *r = mem_zeroed(1, sizeof(*r));
	r->first = r->next = 1;
	r->max_bytes = max_bytes;
	return r;
}

static struct frame *slot(const struct ring *r, uint64_t seq) { return r->slots[seq & (r->size - 1)]; }

static void drop_oldest(struct ring *r)
{
	struct frame *f = slot(r, r->first++);
	for (unsigned i = 0; i < f->threads_count; i++)
		if (map_get(&r->last, f->threads[i].key) == f)
			map_remove(&r->last, f->threads[i].key);
	r->floor = f->pos;
	r->bytes -= frame_size(f);
	frame_unref(f);
}

void ring_reset(struct ring *r, uint64_t pos)
{
	while (r->first < r->next)
		drop_oldest(r);
	r->floor = pos;
}

void ring_free(struct ring *r)
{
	ring_reset(r, 0);
	map_release(&r->last);
	free(r->slots);
	free(r);
}

static void grow(struct ring *r)
{
	size_t size = r->size ? r->size * 2 : 1024;
	struct frame **slots = mem_zeroed(size, sizeof(struct frame *));
	for (uint64_t seq = r->first; seq < r->next; seq++)
		slots[seq & (size - 1)] = slot(r, seq);
	free(r->slots);
	r->slots = slots;
	r->size = size;
}

static void thread_in(struct ring *r, struct frame *f, uint64_t key)
{
	struct frame *prev = map_get(&r->last, key);
	if (prev == f)
		return;
	f->threads[f->threads_count++] = (struct frame_thread) { .key = key, .prev = prev ? prev->seq : 0 };
	map_set(&r->last, key, f);
}

static void shrink(struct ring *r)
{
	while (r->bytes > r->max_bytes && r->next - r->first > 1)
		drop_oldest(r);
}

void ring_add(struct ring *r, struct frame *f)
{
	if (r->next - r->first == r->size)
		grow(r);
	f->seq = r->next++;
	r->slots[f->seq & (r->size - 1)] = frame_ref(f);
	r->bytes += frame_size(f);
	for (unsigned i = 0; i < f->chats_count && !f->to_user_only; i++)
		thread_in(r, f, ring_chat_key(f->chats[i]));
	if (f->user != NULL && (f->kind == FRAME_MEMBER || f->kind == FRAME_USER))
		thread_in(r, f, ring_user_key(f->user_key));
	shrink(r);
}

void ring_set_max(struct ring *r, size_t max_bytes)
{
	r->max_bytes = max_bytes;
	shrink(r);
}

uint64_t ring_floor(const struct ring *r) { return r->floor; }
size_t ring_max(const struct ring *r) { return r->max_bytes; }
size_t ring_bytes(const struct ring *r) { return r->bytes; }
size_t ring_count(const struct ring *r) { return (size_t)(r->next - r->first); }

static const struct frame_thread *thread_of(const struct frame *f, uint64_t key)
{
	for (unsigned i = 0; i < f->threads_count; i++)
		if (f->threads[i].key == key)
			return &f->threads[i];
	return NULL;
}

void ring_walk(const struct ring *r, uint64_t key, uint64_t after, ring_frame_fn *on_frame, void *arg)
{
	struct frame *f = map_get(&r->last, key);
	while (f != NULL && f->pos > after) {
		const struct frame_thread *t = thread_of(f, key);
		on_frame(arg, f);
		f = t != NULL && t->prev >= r->first ? slot(r, t->prev) : NULL;
	}
}
