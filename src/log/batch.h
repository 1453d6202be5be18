/* SPDX-License-Identifier: MIT
 * Group commit: gathers sends while the previous batch is in flight and commits them in one round trip.
 *
 * A send is reported as stored only after its commit. When the connection is lost with a batch in flight, its items are
 * sent again; their keys make sure that each is stored once. */
#ifndef LOG_BATCH_H
#define LOG_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "base/problem.h"

struct batcher;
struct loop;
struct send_item;
struct tail;
struct trace;

struct send_result {
	enum problem problem; /* PROBLEM_NONE: the message is stored, by this send or an earlier one with its key */
	uint64_t id;          /* the message's, when it is stored */
	const char *body;     /* the message's JSON, when it is stored */
	size_t body_len;
};

/* result is only valid during the call. The item is the caller's again. */
typedef void send_done_fn(struct send_item *item, const struct send_result *result);

/* A message to send. The item and its strings belong to the caller and must not change until on_done, which is called
 * exactly once. */
struct send_item {
	uint64_t chat;
	uint64_t reply_to;                 /* 0: none */
	uint64_t forward_chat, forward_id; /* the message whose text, type and content are sent; 0: none */
	uint64_t received_us;              /* real time */
	const char *sender, *key, *hash;
	const char *text, *type, *content; /* NULL: absent; valid UTF-8 without NUL; content is JSON */
	const char *names;                 /* that the text mentions: see base/mentions.h; NULL: none */
	send_done_fn *on_done;
	/* The batcher's. */
	struct list link;
	uint64_t since_ms;
	struct trace *trace;
	bool alone; /* it gets a batch of its own: it is a forward, or its batch has failed as a whole */
};

/* A batch of that many items was committed; took_us: since it was submitted. */
typedef void batch_commit_fn(void *arg, unsigned items, uint64_t took_us);

/* Creates a batcher, which begins to connect. It publishes what it commits to the tail. conninfo and node are copied.
 * An item waits for at most wait_ms before it is submitted, and then for at most deadline_ms. Ends the process if there
 * is no memory. */
struct batcher *batcher_new(struct loop *loop, struct tail *tail, const char *conninfo, const char *node,
	unsigned deadline_ms, unsigned wait_ms, batch_commit_fn *on_commit, void *arg);

/* Ends all items with 503, and frees the batcher. */
void batcher_free(struct batcher *b);

/* Takes in an item. on_done may be called before this returns: the batcher holds too many. */
void batcher_add(struct batcher *b, struct send_item *item);

void batcher_set_wait(struct batcher *b, unsigned wait_ms);

/* Says why a message would not be stored now, as the last send has found, or a probe every 2 s without sends. Returns a
 * constant string; NULL if a message would be stored. *ret_sqlstate is "" if there is none; it is valid until the loop
 * runs again. */
const char *batcher_trouble(const struct batcher *b, const char **ret_sqlstate);
bool batcher_connected(const struct batcher *b);

/* Returns the number of items that have no result yet, including those in flight. */
unsigned batcher_waiting(const struct batcher *b);

#endif
