/* SPDX-License-Identifier: MIT
 * Stops servers that an earlier process left running on a cluster's directory. */
#ifndef PG_EVICT_H
#define PG_EVICT_H

#include "base/buf.h"
#include "base/status.h"

/* Returns when no PostgreSQL process of this user works in the directory any more: asks them to stop, and forces them
 * after a while. Removes a postmaster.pid and a socket's lock file whose process is dead or another program by now, as
 * happens in containers. */
enum status evict_servers(const char *data, const char *socket_lock, struct buf *why) MUST_CHECK;

#endif
