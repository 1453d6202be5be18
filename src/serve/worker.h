/* SPDX-License-Identifier: MIT
 * One worker: a process with one thread and one event loop, which serves HTTP and streams. The supervisor forks it. */
#ifndef SERVE_WORKER_H
#define SERVE_WORKER_H

#include <stdbool.h>
#include <stdint.h>

struct conf;
struct shared;

struct worker_env {
	struct conf *conf;         /* this process's own; a SIGHUP changes it */
	struct shared *shared;     /* memory that all workers of this node share */
	uint64_t settings;         /* the number of the post in shared that conf was read from */
	unsigned index;            /* 0 … conf->workers-1: this worker's slot in shared */
	const int *listen_fds;     /* bound, listening, non-blocking; one for each address */
	const bool *listen_shared; /* for each: whether other workers accept from it, too (Unix sockets, passed ones);
				      else it is this worker's own (SO_REUSEPORT) */
	unsigned listen_count;
	int metrics_fd; /* a listening socket for metrics; -1: none */
	bool metrics_shared;
	const char *conninfo;      /* of the database, with the functions' schema already in search_path */
	const char *read_conninfo; /* the same of a standby; NULL: there is none */
	const char *state;         /* the state directory; NULL: there is none */
	const char *node;          /* this node's name: random, new at every start of the supervisor, [a-z2-7]{8} */
	int broker;                /* the supervisor opens files for it: base/broker.h */
	int ready_fd;              /* the worker writes one byte and closes it as soon as it accepts connections */
};

/* Serves until SIGTERM, which stops it gracefully within a few seconds. SIGHUP applies the settings that were posted in
 * shared. Returns the process's exit status. To be called in a new child, with signals at their defaults and unblocked,
 * and privileges dropped. Everything in env must outlive the call; ready_fd is closed. */
int worker_run(const struct worker_env *env);

#endif
