/* SPDX-License-Identifier: MIT
 * The progress of `postern tail`: the cursor, and marks: some of the messages that it has printed. When the server
 * can't resume from the cursor, history is read from the latest mark whose message still exists.
 *
 * All of the latest messages are marks, and fewer and fewer of older ones, so that some mark exists however old the
 * backup is that the database was restored from. (Block locators of Bitcoin's protocol are thinned out in the same
 * way.) */
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
	const char *path; /* the cursor file; NULL: none */
	const char *chat; /* the number of the only chat that is followed; NULL: all */
	bool is_new;      /* differs from the file */
	uint64_t saved_ms;
};

/* Reads the file path, if it exists (NULL: no file; path is borrowed). Returns 0, or prints what is wrong and returns
 * the exit status. The caller releases it in either case. */
int bookmark_open(struct bookmark *b, const char *path, const char *chat);
/* For a cursor that the server rejects. Prints that the file is damaged and returns the exit status. */
int bookmark_is_damaged(const struct bookmark *b);
void bookmark_release(struct bookmark *b);

void bookmark_set_cursor(struct bookmark *b, const char *cursor); /* copied */
/* Adds a message that was printed; does nothing if it is older than the latest mark. at is copied. */
void bookmark_add(struct bookmark *b, uint64_t id, uint64_t chat, const char *at);
/* Keeps only the first count marks. With 0, the first one's time is kept, for the message 0. */
void bookmark_shorten(struct bookmark *b, size_t count);

/* Replaces the file atomically, if anything changed. Returns 0, or prints why it can't and returns the exit status. */
int bookmark_save(struct bookmark *b);

#endif
