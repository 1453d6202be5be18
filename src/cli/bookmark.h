/* SPDX-License-Identifier: MIT
 * How far `postern tail` has come: the cursor, and some of the messages that it has printed. When the server can't
 * go on from the cursor, the latest of them that is still there says from where on history is read.
 *
 * Of the latest messages all are kept, of older ones fewer and fewer, so that one of them survives however far the
 * database was put back. (The block locators of Bitcoin's protocol are thinned out in the same way.) */
#ifndef CLI_BOOKMARK_H
#define CLI_BOOKMARK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"

enum { BOOKMARK_MARKS = 64 };

struct mark {
	uint64_t id, chat;
	char at[CLOCK_RFC3339_LEN + 1];
};

struct bookmark {
	char *cursor;                      /* NULL: none yet */
	struct mark marks[BOOKMARK_MARKS]; /* ascending by id */
	size_t count;
	const char *path; /* of the file that keeps it; NULL: none */
	const char *chat; /* the only one that is followed, a number; NULL: all */
	bool is_new;      /* differs from what the file says */
	uint64_t saved_ms;
};

/* Reads path (NULL: none; it is kept as it is), if it is there. Returns 0, or says what is wrong and returns the exit
 * status. Release it in either case. */
int bookmark_open(struct bookmark *b, const char *path, const char *chat);
/* The server doesn't know such a cursor. Says so and returns the exit status. */
int bookmark_is_damaged(const struct bookmark *b);
void bookmark_release(struct bookmark *b);

void bookmark_set_cursor(struct bookmark *b, const char *cursor); /* copied */
/* A message was printed. One below the latest mark is no mark. at is copied. */
void bookmark_add(struct bookmark *b, uint64_t id, uint64_t chat, const char *at);
/* Only the first marks are good: those of that count. With 0, the time of the first stays, as that of the message 0. */
void bookmark_shorten(struct bookmark *b, size_t count);

/* Writes the file anew, whole or not at all, if there is something new. Returns 0, or says why not and returns the exit
 * status. */
int bookmark_save(struct bookmark *b);

#endif
