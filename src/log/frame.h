/* SPDX-License-Identifier: MIT
 * A frame: an event of the log, or a line of a transport's own (hello, heartbeat), rendered once and shared by everyone
 * it goes to. Reference-counted; nothing in it changes after it was made. */
#ifndef LOG_FRAME_H
#define LOG_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "log/cursor.h"

enum frame_kind {
	FRAME_MESSAGE,
	FRAME_DELETED,
	FRAME_REACTION,
	FRAME_CHAT,
	FRAME_MEMBER,
	FRAME_USER,
	FRAME_DELIVERED,
	FRAME_READ,
	FRAME_TYPING,
	FRAME_PRESENCE,
	FRAME_SIGNAL,
	FRAME_ANNOUNCEMENT, /* not in the log: see live.h */
	FRAME_KINDS
};

/* What it is in the ring: the frame before it in the thread of one of its audiences. */
struct frame_thread {
	uint64_t key;  /* ring_chat_key(), ring_user_key() */
	uint64_t prev; /* sequence number in the ring, 0: none */
};

struct frame {
	unsigned refs;
	enum frame_kind kind;
	uint64_t pos;
	uint64_t seq;     /* the ring's */
	int64_t a, b;     /* see frame_line() in sql/functions/01_log.sql */
	const char *user; /* whom it is about; NULL: nobody */
	size_t user_len;
	uint64_t user_key; /* hash of user, 0 without one */
	uint32_t check;    /* of pos: see struct position */
	bool to_user_only; /* a member's, in a large chat: chats[0] is whose member he is, and its other members don't
			      hear of it */
	const uint64_t *chats; /* whose members it goes to */
	unsigned chats_count, threads_count;
	struct frame_thread *threads; /* room for chats_count + 1 */
	/* The renderings share the JSON: SSE is sse[0..sse_len), NDJSON is head + json + "}\n". */
	const char *sse, *json, *ndjson_head;
	unsigned sse_len, json_len, ndjson_head_len;
};

extern const char *const frame_kind_names[FRAME_KINDS];

/* Parses a line of frame_line(), without its newline. epoch and check (the position's) go into the cursors. NULL: not a
 * frame (or no memory). */
struct frame *frame_parse(const char *line, size_t len, const char *epoch, uint32_t check);
/* Parses the first line of a batch: see log_append(). False: it isn't one, as from nodes that know no checks. */
bool frame_parse_checks(const char *line, size_t len, uint32_t *ret_check, uint32_t *ret_before);
/* A message's frame, as send() notifies it: id is its position, received_us the request's real time. NULL: no memory.
 */
struct frame *frame_message(uint64_t id, uint64_t chat, const char *sender, uint64_t received_us, const char *json,
	size_t json_len, const char *epoch, uint32_t check);
/* From a row of replay(): has no audience, is only there to be written. */
struct frame *frame_new(const char *kind, struct position at, const char *json, size_t json_len, const char *epoch);
/* Bytes of a transport's own, that take a client to at. */
struct frame *frame_raw(struct position at, const char *bytes, size_t len);
static inline struct position frame_at(const struct frame *f) { return (struct position) { f->pos, f->check }; }
static inline struct frame *frame_ref(struct frame *f)
{
	f->refs++;
	return f;
}
void frame_unref(struct frame *f);        /* NULL is fine */
size_t frame_size(const struct frame *f); /* bytes of memory */

#endif
