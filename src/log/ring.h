/* SPDX-License-Identifier: MIT
 * The last frames of the log, in memory: new ones are added at the end, the oldest are dropped when the ring is full.
 * Each chat and each user has a thread through it, so that a reconnect walks only the frames it needs. */
#ifndef LOG_RING_H
#define LOG_RING_H

#include "log/frame.h"

struct ring;

struct ring *ring_new(size_t max_bytes); /* ends the process if there is no memory */
void ring_free(struct ring *r);

static inline uint64_t ring_chat_key(uint64_t chat) { return chat << 1; }
static inline uint64_t ring_user_key(uint64_t user_key) { return user_key << 1 | 1; }

/* Empties the ring; from then on it covers everything above pos. */
void ring_reset(struct ring *r, uint64_t pos);

/* Adds f with a reference of the ring's own. Frames come in ascending (not strictly) order of pos. */
void ring_add(struct ring *r, struct frame *f);

/* Returns the position above which the ring has everything: a cursor at or above it can be served from here. */
uint64_t ring_floor(const struct ring *r);

/* Changes how many bytes the ring may hold, and drops the oldest frames beyond that. */
void ring_set_max(struct ring *r, size_t max_bytes);
size_t ring_max(const struct ring *r);
size_t ring_bytes(const struct ring *r); /* in use */
size_t ring_count(const struct ring *r); /* frames */

/* Calls on_frame for each frame of a thread whose position is above after, newest first. f is borrowed. */
typedef void ring_frame_fn(void *arg, struct frame *f);
void ring_walk(const struct ring *r, uint64_t key, uint64_t after, ring_frame_fn *on_frame, void *arg);

#endif
