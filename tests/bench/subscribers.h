/* SPDX-License-Identifier: MIT
 * Many open streams, of whatever server: opened, counted, and every marked message that arrives is timed. */
#ifndef BENCH_SUBSCRIBERS_H
#define BENCH_SUBSCRIBERS_H

#include <stdbool.h>
#include <stddef.h>

#include "engine.h"
#include "histogram.h"

struct subscriber;

struct subscribers {
	int ports[8];
	unsigned ports_count;
	unsigned count;
	unsigned window; /* how many may be opening at the same time; 0: all at once */
	/* Writes the request of the number-th stream, from 0; gives its length. NULL: nothing is sent. */
	size_t (*write)(void *arg, unsigned number, char *out, size_t size);
	void *arg;
	const char *greeting; /* the words that say that a stream is open; NULL: it is once connected */
	bool is_deaf;         /* after the greeting nothing is read, until subscribers_listen() */
	unsigned expect;      /* messages after which a stream has all that it waits for */

	/* What is known of them. */
	unsigned opening, opened, complete, lost;
	uint64_t deliveries, bytes, last_at, greeted_at; /* the last message; the last greeting */
	struct histogram delays;                         /* µs from the time in the message to its arrival */
	struct subscriber *all;
	unsigned next;
};

/* Begins to open them; the engine does the rest. */
void subscribers_begin(struct subscribers *s);
/* Begins, and waits until all are open; dies when that takes more than a minute. */
void subscribers_open(struct subscribers *s);
/* Turns until so many deliveries were made in all, or the time is over; false: it was. */
bool subscribers_await(struct subscribers *s, uint64_t deliveries, uint64_t timeout_us);
/* Forgets what was delivered so far. */
void subscribers_reset(struct subscribers *s);
/* The deaf begin to read. */
void subscribers_listen(struct subscribers *s);
void subscribers_close(struct subscribers *s);

#endif
