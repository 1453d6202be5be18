/* SPDX-License-Identifier: MIT
 * Group commit: gathers sends while the previous batch is in flight and commits them in one round trip.
 *
 * An answer comes after the commit, or never as a success. When the connection is lost with a batch in flight, its
 * items are sent again: their keys make sure that each happens once. */
#ifndef LOG_BATCH_H
#define LOG_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"

struct loop;
struct tail;
struct batcher;

struct send_result {
	int status;       /* 201, a refusal's status, 503: the database is away, 500: it can't take this item */
	const char *code; /* problem code; "" with 201 */
	uint64_t id;      /* the message's, with 201 */
	const char *body; /* its JSON, with 201 */
	size_t body_len;
};

/* One message on its way. The memory and all strings stay the caller's and unchanged until on_done, which comes exactly
 * once. */
struct send_item {
	uint64_t chat;
	uint64_t reply_to; /* 0: none */
	uint64_t forward_chat,
		forward_id;   /* 0: nothing is forwarded; else that message's text, type and content are sent */
	uint64_t received_us; /* real time */
	const char *sender, *key, *hash;
	const char *text, *type, *content; /* NULL: absent; valid UTF-8 without NUL; content is JSON */
	void (*on_done)(struct send_item *item, const struct send_result *result);
	/* the batcher's */
	struct list link;
	uint64_t since_ms;
	bool alone; /* its batch failed as a whole, or it is a forward: it is tried by itself */
};

/* What it commits is told to the tail. A send is answered within wait_ms and deadline_ms together. */
struct batcher *batcher_new(struct loop *loop, struct tail *tail, const char *conninfo, const char *node,
	unsigned deadline_ms, unsigned wait_ms, void (*on_commit)(void *arg, unsigned items, uint64_t took_us),
	void *arg);
void batcher_free(struct batcher *b); /* items under way end with 503 */
void batcher_add(struct batcher *b, struct send_item *item);
void batcher_set_wait(struct batcher *b, unsigned wait_ms);
/* Why a message would not be stored now, as the last send or, without sends, a probe every 2 s has found; NULL: it
 * would. *ret_sqlstate is "" when there is none. */
const char *batcher_trouble(const struct batcher *b, const char **ret_sqlstate);
bool batcher_connected(const struct batcher *b);
unsigned batcher_waiting(const struct batcher *b); /* items, those in flight included */

#endif
