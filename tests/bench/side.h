/* SPDX-License-Identifier: MIT
 * What can be broadcast with: Postern, Nchan, bare send(). One shape for all of them, so that a scenario is written
 * once. */
#ifndef BENCH_SIDE_H
#define BENCH_SIDE_H

#include "http.h"
#include "subscribers.h"

struct side {
	const char *name;
	int port;
	const char *greeting;
	/* A stream of user number + 1; what it hears is the channel that the same number in publish means. */
	size_t (*subscribe)(void *arg, unsigned number, char *out, size_t size);
	void *arg;
	/* Gives a message to the server for everyone, and returns; answered requests are no concern of it. */
	void (*publish)(struct side *s, uint64_t at_us);
	double (*cpu)(const struct side *s);
	double (*dirty)(const struct side *s);
	void *server;
	struct http_client http; /* of publish */
	unsigned number;
};

/* Broadcasts to count streams, settings.seconds long at most and `times` times at most, the next when the last has
 * arrived everywhere; adds the delays and the CPU a delivery to the results, named after that. */
void side_broadcast(struct side *s, const char *what, unsigned count, unsigned times);

#endif
