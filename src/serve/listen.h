/* SPDX-License-Identifier: MIT
 * The listening sockets of a node. The supervisor makes them while it may still be root, and keeps them: what arrives
 * while a worker is being replaced waits in its queue. */
#ifndef SERVE_LISTEN_H
#define SERVE_LISTEN_H

#include <stddef.h>

#include "base/buf.h"
#include "base/status.h"

struct conf;

struct listen {
	unsigned workers;
	size_t count;     /* conf->listen_count */
	int *fds;         /* [worker * count + i]: TCP sockets are each worker's own (SO_REUSEPORT), Unix sockets shared */
	int *metrics_fds; /* [worker]; -1: none */
	char *url;        /* of the first address, with the real port: "http://127.0.0.1:8080", or "unix:PATH" */
	char *local_url;  /* an http address that works on this machine; NULL: there are only Unix sockets */
	char **unix_paths; /* ended by NULL: to be removed at the end */
};

/* Binds every address of conf, or none and says why not: in use, not allowed, … */
enum status listen_open(struct listen *l, const struct conf *conf, struct buf *why) MUST_CHECK;
/* Closes them all; with `remove` the Unix sockets' names go too. */
void listen_close(struct listen *l, bool remove);
/* In a worker: closes what belongs to the others. */
void listen_keep(struct listen *l, unsigned worker);

#endif
