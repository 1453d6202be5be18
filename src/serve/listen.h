/* SPDX-License-Identifier: MIT
 * The listening sockets of a node. The supervisor creates them while it may still be root, and keeps them open, so
 * that connections wait in a socket's queue while its worker is being replaced. */
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
	bool passed, metrics_passed;  /* the service manager has passed them */
	bool *shared, metrics_shared; /* for each address: whether several workers accept from one socket */
	char *url;       /* of the first address, with the real port: "http://127.0.0.1:8080", or "unix:PATH" */
	char *local_url; /* an HTTP address that can be reached on this machine; NULL: there are only Unix sockets */
	struct socket_files files; /* the Unix sockets that were created */
};

/* Fills *l with the sockets that the service manager has passed, or if there are none, with one for each address of
 * conf and worker. On failure *l is zero, and why says what went wrong: an address in use, no permission, … */
enum status listen_open(
	struct listen *l, const struct conf *conf, const struct service *service, struct buf *why) MUST_CHECK;
/* Makes new connections refused, in every process, instead of waiting in a queue that is never accepted from. Doesn't
 * touch passed sockets: the next start accepts what waits there. */
void listen_stop(struct listen *l);

/* Closes all sockets, and removes the files of Unix sockets that were created. *l is zero then. */
void listen_close(struct listen *l);

/* To be called in a worker: closes the sockets that belong to other workers. */
void listen_keep(struct listen *l, unsigned worker);

#endif
