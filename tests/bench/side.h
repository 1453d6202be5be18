/* SPDX-License-Identifier: MIT
 * One interface for the servers that can broadcast, so that a scenario is written once: Postern, Nchan, bare send(). */
#ifndef BENCH_SIDE_H
#define BENCH_SIDE_H

#include "http.h"
#include "subscribers.h"

struct side {
	const char *name;
	int port;
	const char *greeting;
	/* Writes the request for a stream of user number + 1. */
	size_t (*subscribe)(void *arg, unsigned number, char *out, size_t size);
	void *arg;
	/* Submits a message to all streams and returns without waiting for the response. */
	void (*publish)(struct side *s, uint64_t at_us);
	double (*cpu)(const struct side *s);
	double (*dirty)(const struct side *s);
	void *server;
	struct http_client http; /* used by publish */
	unsigned number;
};

/* Broadcasts to count streams, for at most settings.seconds and at most `times` times; each message waits until the one
 * before it has arrived everywhere. Adds the delays and the CPU per delivery to the results, under names that begin
 * with what. */
void side_broadcast(struct side *s, const char *what, unsigned count, unsigned times);

#endif
