/* SPDX-License-Identifier: MIT
 * A message on its way from a request to the batcher, and how it is read from a body. Private to messages.c. */
#ifndef API_OUTGOING_H
#define API_OUTGOING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/body.h"
#include "base/arena.h"
#include "base/list.h"
#include "log/batch.h"

struct caller;
struct post;
struct request;
struct trace;

#define OUTGOING_HASH_HEX 32 /* half of BLAKE2b-256: it only has to distinguish bodies of one sender */

/* A message to send; its strings are in the post's arena. */
struct outgoing {
	struct send_item item;
	struct post *post;
	char hash[OUTGOING_HASH_HEX + 1];
	struct body_error error; /* why it was refused before sending */
	unsigned retry_s;        /* rate_limited: when to try again */
	char *answer;            /* bulk: its line of the answer */
};

/* A request that sends. */
struct post {
	struct request *req;
	bool bulk;
	unsigned count, left;
	uint64_t chat;
	struct outgoing *items;
	/* Bulk: */
	struct list link;    /* in bulks.reading */
	const char *at;      /* the next line to read */
	unsigned good;       /* lines without an error so far */
	struct trace *trace; /* held, while lines are left to read */
	uint64_t owner;      /* likewise */
	struct arena arena;  /* items and their strings */
};

/* Reads a body in JSON, or a raw text. Fills o->error if it isn't valid. */
void outgoing_read_json(struct outgoing *o, const char *json, size_t len);
void outgoing_read_text(struct outgoing *o, const char *text, size_t len);
/* Checks what was read, and sets its sender, its key (header_key: of the request; may be NULL) and its hash. */
void outgoing_complete(struct outgoing *o, const struct caller *caller, const char *header_key);

#endif
