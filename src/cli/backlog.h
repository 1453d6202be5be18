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
	int code;     /* the exit status after a lasting failure; 0: none. Passing failures are retried */
};

/* only: one chat's number; NULL: all of one's chats. Returns 0, or prints the reason and returns the exit status. The
 * caller releases it in either case. */
int backlog_open(struct backlog *b, struct client *client, const char *only);
void backlog_release(struct backlog *b);

/* Set the start; one of them must be called first. They return as above. */
int backlog_after_id(struct backlog *b, uint64_t id);
int backlog_from_time(struct backlog *b, const char *at); /* RFC 3339 as the server writes it; inclusive */
int backlog_latest(struct backlog *b, unsigned count);
/* Starts after the latest mark whose message still exists unchanged, and drops the marks after it. If there is none,
 * starts at the time of the oldest mark. */
int backlog_after_marks(struct backlog *b, struct bookmark *marks);

/* Marks the latest messages of the snapshot. */
void backlog_mark(const struct backlog *b, struct bookmark *marks);

/* Calls print for each message; it returns 0, or an exit status that ends the backlog and is returned. */
int backlog_print(struct backlog *b, int (*print)(void *arg, struct json_object *message), void *arg);

/* Returns the latest message of that chat that was printed; 0: none. */
uint64_t backlog_printed(const struct backlog *b, uint64_t chat);

#endif
