/* SPDX-License-Identifier: MIT
 * STATE/postgres.log: the output of the private PostgreSQL's programs. Postern reads there why one of them failed. */
#ifndef PG_CLUSTER_LOG_H
#define PG_CLUSTER_LOG_H

#include <sys/types.h>

#include "base/buf.h"

/* Opens the file for appending, after renaming a large one to postgres.log.1. *ret_from is the offset where new lines
 * begin. -1: failed, errno is set. */
int cluster_log_open(const char *path, off_t *ret_from);
/* Adds the last error after `from`, and where to read more. */
void cluster_log_reason(const char *path, off_t from, struct buf *why);
/* Logs what was added since *at, and advances *at: FATAL as a warning, PANIC as an error, the rest as debug. */
void cluster_log_follow(const char *path, off_t *at);

#endif
