/* SPDX-License-Identifier: MIT
 * What `postern tail` prints from history: the messages of all chats from some point on, in their order. It begins
 * with a snapshot (GET /v1/sync), whose cursor continues where it ends. */
#ifndef CLI_BACKLOG_H
#define CLI_BACKLOG_H

#include <stdint.h>

struct bookmark;
struct client;
struct json_object;

struct backlog {
	struct client *client;
	struct backlog_chat *chats; /* ascending by their latest message */
	unsigned count;
	char *cursor; /* the snapshot's */
	int code;     /* the exit status after a failure that lasts; 0: none. What doesn't last is tried again */
};

/* only: one chat's number; NULL: all of one's chats. Returns 0, or says why not and returns the exit status. Release
 * it in either case. */
int backlog_open(struct backlog *b, struct client *client, const char *only);
void backlog_release(struct backlog *b);

/* Set where it begins; one of them must be called first. They return as above. */
int backlog_after_id(struct backlog *b, uint64_t id);
int backlog_from_time(struct backlog *b, const char *at); /* RFC 3339 as the server writes it; that instant included */
int backlog_latest(struct backlog *b, unsigned count);
/* After the latest mark that is still what it was; those behind it go. When none is, from the time of the oldest. */
int backlog_after_marks(struct backlog *b, struct bookmark *marks);

/* Marks the latest messages of the snapshot. */
void backlog_mark(const struct backlog *b, struct bookmark *marks);

/* Hands over each message. print returns 0, or an exit status that ends it. The same returns. */
int backlog_print(struct backlog *b, int (*print)(void *arg, struct json_object *message), void *arg);

/* The latest message of that chat that was handed over; 0: none. */
uint64_t backlog_printed(const struct backlog *b, uint64_t chat);

#endif
