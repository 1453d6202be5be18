/* SPDX-License-Identifier: MIT
 * Events that are not in the log: typing, presence, receipts, signals. They have no position, go to whoever is
 * connected and caught up, and are never replayed. Each is a line of a notification on postern_live, made by
 * live_line(); doc/protocols.md describes it. */
#ifndef LOG_LIVE_H
#define LOG_LIVE_H

#include "log/frame.h"

struct live {
	struct frame *f;   /* pos is 0; the members of its chats receive it */
	const char *users; /* further recipients, separated by commas, not NUL-terminated; "*": everybody */
	size_t users_len;
	uint64_t except; /* the user_key of a user who doesn't receive it; 0: none */
};

/* Parses a line of live_line(), without its newline. epoch and at, the head, go into the cursors. Returns false if the
 * line is malformed. ret->users points into line; the caller has the reference to ret->f. */
bool live_parse(const char *line, size_t len, const char *epoch, struct position at, struct live *ret);

/* Returns true if everybody who is connected receives it. */
bool live_is_for_all(const struct live *l);

/* Takes the first name off l->users and returns its user_key; 0 if there is none left. */
uint64_t live_next_user(struct live *l);

#endif
