/* SPDX-License-Identifier: MIT
 * A frame: an event of the log, or a transport's own line (hello, heartbeat), rendered once and shared by everyone it
 * goes to. Reference-counted. Nothing in a frame changes after it was made, except the ring's members. */
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
	FRAME_DELIVERED, /* from here on: not in the log, see live.h */
	FRAME_READ,
	FRAME_TYPING,
	FRAME_PRESENCE,
	FRAME_SIGNAL,
	FRAME_ANNOUNCEMENT,
	FRAME_CHAT_REQUEST,
	FRAME_KINDS /* also the kind of a transport's own line */
};

/* A link of the ring: each audience's frames (a chat's, a user's) form a thread, newest first. */
struct frame_thread {
	uint64_t key;  /* ring_chat_key(), ring_user_key() */
	uint64_t prev; /* the ring's sequence number of the frame before; 0: none */
};

struct frame {
	unsigned refs;
	enum frame_kind kind;
	uint64_t pos; /* 0: not in the log */
	uint64_t seq; /* the ring's */
	/* What the server itself needs to know of the event: A and B of a frame line in doc/protocols.md. All
	 * zero for the kinds that have no member here, and for what frame_new() and frame_raw() make. */
	union {
		struct {
			uint64_t id;
			uint64_t received_us; /* real time; 0 unless the message is new */
		} message;                    /* FRAME_MESSAGE, FRAME_DELETED */
		struct {
			uint64_t message_id;
			uint64_t emoji_hash;
		} reaction; /* FRAME_REACTION: user is who reacted */
		struct {
			uint64_t since; /* position of the join; 0: the user is no member any more */
			uint64_t floor; /* messages with an id up to this one are hidden from the user */
		} member;               /* FRAME_MEMBER: user's membership of chats[0] */
		struct {
			bool is_deleted;
		} chat; /* FRAME_CHAT */
	};
	const char *user; /* NUL-terminated; whom the event is about; NULL: nobody */
	size_t user_len;
	uint64_t user_key;     /* hash of user; 0 without one */
	uint32_t check;        /* of pos: see struct position */
	bool to_user_only;     /* a member frame of a large chat: it goes to user, not to the members of chats[0] */
	const uint64_t *chats; /* the chats whose members it goes to */
	unsigned chats_count, threads_count;
	struct frame_thread *threads; /* room for chats_count + 1 */
	/* The renderings share the JSON: SSE is sse[0..sse_len), NDJSON is head + json + "}\n". */
	const char *sse, *json, *ndjson_head;
	unsigned sse_len, json_len, ndjson_head_len;
};

extern const char *const frame_kind_names[FRAME_KINDS];

/* Parses a line of frame_line(), without its newline. epoch and check (of the position) go into the cursors. Returns a
 * frame with one reference, the caller's; NULL if the line is malformed. */
struct frame *frame_parse(const char *line, size_t len, const char *epoch, uint32_t check);

/* Parses the first line of a batch, which carries the batch's check and that of the batch before: see
 * doc/protocols.md. Returns false if it isn't such a line: nodes from before there were checks send none. */
bool frame_parse_checks(const char *line, size_t len, uint32_t *ret_check, uint32_t *ret_before);

/* Makes the frame of a new message, the same as frame_parse() makes of its notification. id is also the position,
 * received_us the real time of the request. The strings are copied. */
struct frame *frame_message(uint64_t id, uint64_t chat, const char *sender, uint64_t received_us, const char *json,
	size_t json_len, const char *epoch, uint32_t check);

/* Makes a frame of a row of replay(). It can be written to a client and nothing else: it has no audience. Returns NULL
 * if kind is unknown. */
struct frame *frame_new(const char *kind, struct position at, const char *json, size_t json_len, const char *epoch);

/* Makes a frame of a transport's own bytes, which are copied. A client that has received them is at position at.
 */
struct frame *frame_raw(struct position at, const char *bytes, size_t len);

static inline struct position frame_at(const struct frame *f) { return (struct position) { f->pos, f->check }; }

/* Returns the id of the message that the event is about, 0 if it is about none. */
static inline uint64_t frame_message_id(const struct frame *f)
{
	return f->kind == FRAME_MESSAGE || f->kind == FRAME_DELETED ? f->message.id
		: f->kind == FRAME_REACTION                         ? f->reaction.message_id
								    : 0;
}

/* Returns true if the frame is a message that was just sent, and not a change of one. */
static inline bool frame_is_new_message(const struct frame *f)
{
	return f->kind == FRAME_MESSAGE && f->message.id == f->pos;
}

static inline bool frame_is_chat_deletion(const struct frame *f) { return f->kind == FRAME_CHAT && f->chat.is_deleted; }

/* Adds a reference; returns f. */
static inline struct frame *frame_ref(struct frame *f)
{
	f->refs++;
	return f;
}

/* Drops a reference, and with the last one the frame. f may be NULL. */
void frame_unref(struct frame *f);

/* Returns the memory that f occupies, in bytes. */
size_t frame_size(const struct frame *f);

#endif
