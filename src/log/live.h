/* SPDX-License-Identifier: MIT
 * What happens now and isn't in the log: typing, presence, receipts, signals. It has no position, is told to whoever is
 * connected, and is never replayed. Its lines come by notifications on postern_live, made by live_line() in
 * sql/functions/03_live.sql. */
#ifndef LOG_LIVE_H
#define LOG_LIVE_H

#include "log/frame.h"

struct live {
	struct frame *f;   /* position 0; its chats are those whose members hear of it */
	const char *users; /* who else does, with commas between; not terminated; * is everybody */
	size_t users_len;
	uint64_t except; /* the user_key of who doesn't; 0: nobody */
};

/* A line of live_line(), without its newline; at is where a client is that has heard everything so far. users points
 * into line, f is the caller's. False: not such a line, or no memory. */
bool live_parse(const char *line, size_t len, const char *epoch, struct position at, struct live *ret);
bool live_is_for_all(const struct live *l);
/* The next of users: its key, 0 behind the last. */
uint64_t live_next_user(struct live *l);

#endif
