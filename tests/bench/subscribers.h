/* SPDX-License-Identifier: MIT
 * Many open streams of any server. Opens and counts them, and measures the delay of every message with a marker. */
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
	unsigned window; /* how many may be opening at the same time; 0: no limit */
	/* Writes the request of the number-th stream, from 0. Returns its length. NULL: nothing is sent. */
	size_t (*write)(void *arg, unsigned number, char *out, size_t size);
	void *arg;
	const char *greeting; /* the text after which a stream is open; NULL: once connected */
	bool is_stalled;      /* nothing is read after the greeting, until subscribers_start_reading() */
	unsigned expect;      /* messages after which a stream is complete */

	/* The state and the results. */
	unsigned opening, opened, complete, lost;
	uint64_t deliveries, bytes, last_at, last_opened_at; /* the last message; the last greeting */
	struct histogram delays;                             /* µs from the time in the message to its arrival */
	struct subscriber *all;
	unsigned next;
};

/* Begins to open the streams; the engine continues. */
void subscribers_begin(struct subscribers *s);
/* Opens the streams and waits until all are open; dies if that takes more than a minute. */
void subscribers_open(struct subscribers *s);
/* Runs the engine until that many messages have been delivered in all. Returns false after the timeout. */
bool subscribers_await(struct subscribers *s, uint64_t deliveries, uint64_t timeout_us);
/* Resets the counts and delays of deliveries. */
void subscribers_reset(struct subscribers *s);
/* Ends is_stalled: all streams are read. */
void subscribers_start_reading(struct subscribers *s);
void subscribers_close(struct subscribers *s);

#endif
