/* SPDX-License-Identifier: MIT
 * The last frames of the log, in memory: the newest at the end, the oldest dropped when the ring is full. Threaded by
 * audience (each chat, each user), so that a reconnect walks only what is its own. */
#ifndef LOG_RING_H
#define LOG_RING_H

#include "log/frame.h"

struct ring;

struct ring *ring_new(size_t max_bytes);
void ring_free(struct ring *r);

static inline uint64_t ring_chat_key(uint64_t chat) { return chat << 1; }
static inline uint64_t ring_user_key(uint64_t user_key) { return user_key << 1 | 1; }

/* Empties it: it then covers everything after pos. */
void ring_reset(struct ring *r, uint64_t pos);
/* Takes a reference. Frames come in ascending (not strictly) order of pos. */
void ring_add(struct ring *r, struct frame *f);
/* Every position above this one is covered: a cursor at or above it can be served from here. */
uint64_t ring_floor(const struct ring *r);
void ring_set_max(struct ring *r, size_t max_bytes); /* drops what is too much now */
size_t ring_max(const struct ring *r);               /* bytes it may hold */
size_t ring_bytes(const struct ring *r);
size_t ring_count(const struct ring *r);

/* Calls on_frame for the frames of one thread, newest first, down to above after. */
void ring_walk(
	const struct ring *r, uint64_t key, uint64_t after, void (*on_frame)(void *arg, struct frame *f), void *arg);

#endif
