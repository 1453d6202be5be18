/* SPDX-License-Identifier: MIT
 * The listening sockets of a node. The supervisor makes them while it may still be root, and keeps them: what arrives
 * while a worker is being replaced waits in its queue. */
#ifndef SERVE_LISTEN_H
#define SERVE_LISTEN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/status.h"
#include "serve/socket_file.h"

struct conf;
struct service;

struct listen {
	unsigned workers;
	size_t count; /* of addresses */
	int *fds;     /* [worker * count + i]: TCP sockets are each worker's own (SO_REUSEPORT); Unix sockets and passed
			 ones are shared */
	int *metrics_fds;             /* [worker]; -1: none */
	bool passed, metrics_passed;  /* they are the service manager's */
	bool *shared, metrics_shared; /* of each address: whether several workers accept from one socket */
	char *url;       /* of the first address, with the real port: "http://127.0.0.1:8080", or "unix:PATH" */
	char *local_url; /* an http address that works on this machine; NULL: there are only Unix sockets */
	struct socket_files files; /* of the Unix sockets that we have made */
};

/* Takes the sockets that the service manager has passed, and else binds every address of conf; or does neither and says
 * why not: in use, not allowed, … */
enum status listen_open(
	struct listen *l, const struct conf *conf, const struct service *service, struct buf *why) MUST_CHECK;
/* From now on connections are refused, in every process, instead of waiting in a queue that nobody takes them from.
 * Passed sockets aren't touched: the next start takes what waits there. */
void listen_stop(struct listen *l);
/* Closes them all, and removes the names of Unix sockets that we have made. */
void listen_close(struct listen *l);
/* In a worker: closes what belongs to the others. */
void listen_keep(struct listen *l, unsigned worker);

#endif
