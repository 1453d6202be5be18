/* SPDX-License-Identifier: MIT
 * Servers that an earlier life has left on a cluster's directory. */
#ifndef PG_EVICT_H
#define PG_EVICT_H

#include "base/buf.h"
#include "base/status.h"

/* Returns when no PostgreSQL process of this user works in the directory any more: asked to stop at once, forced after
 * a while. Removes a postmaster.pid and a socket's lock file that name a stranger by now, or a dead process, as happens
 * in containers. */
enum status evict_servers(const char *data, const char *socket_lock, struct buf *why) MUST_CHECK;

#endif
