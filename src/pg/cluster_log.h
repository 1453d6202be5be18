/* SPDX-License-Identifier: MIT
 * STATE/postgres.log: where the private PostgreSQL's programs write, and where we read why one of them failed. */
#ifndef PG_CLUSTER_LOG_H
#define PG_CLUSTER_LOG_H

#include <sys/types.h>

#include "base/buf.h"

/* For appending; a large one is set aside as postgres.log.1 first. *ret_from is the offset where new lines begin. -1:
 * errno says why not. */
int cluster_log_open(const char *path, off_t *ret_from);
/* Adds the last error after `from`, and where to read more. */
void cluster_log_reason(const char *path, off_t from, struct buf *why);
/* Logs what has been added since *at, which moves on: FATAL as a warning, PANIC as an error, the rest as debug. */
void cluster_log_follow(const char *path, off_t *at);

#endif
