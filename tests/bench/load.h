/* SPDX-License-Identifier: MIT
 * A load of requests over keep-alive connections, in a closed loop (each connection sends the next request as soon as
 * it has a response) or in an open one (a schedule). In an open loop a response time counts from the time at which the
 * request was due, so that a stall of the server delays all requests that were due during it. */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include "histogram.h"
#include "http.h"

struct load {
	int ports[8]; /* of the servers to spread the connections over */
	unsigned ports_count;
	unsigned senders;
	double rate; /* requests a second; 0: a closed loop */
	uint64_t for_us;
	/* Writes the number-th request, which is due at that time. Returns its length. */
	size_t (*write)(void *arg, unsigned number, uint64_t at_us, char *out, size_t size);
	void *arg;
	size_t request_max;                                        /* 0: 4 KiB */
	void (*on_answer)(void *arg, const struct http_client *c); /* may be NULL */
	int expect; /* the expected status; responses with another one count as failed */

	/* The results. */
	uint64_t done, failed, unsent; /* unsent: due, but never sent */
	double took_us;
	struct histogram answers; /* µs from due to the response */

	struct sender *all, *idle;
	char *request;
	unsigned number;
	uint64_t began, next_due;
	double due_step;
};

/* Connects. load_run() may then be called repeatedly. */
void load_open(struct load *l);
void load_run(struct load *l);
void load_close(struct load *l);
/* Returns the successful requests per second. */
static inline double load_rate(const struct load *l) { return (double)l->done * 1e6 / l->took_us; }

#endif
