/* SPDX-License-Identifier: MIT
 * Servers that an earlier life has left on a cluster's directory. */
#ifndef PG_EVICT_H
#define PG_EVICT_H

#include "base/buf.h"
#include "base/status.h"

/* Returns when no PostgreSQL process of this user works in the directory any more: asked to stop at once, forced after a
 * while. Removes a postmaster.pid whose number belongs to a stranger by now, as happens in containers. */
enum status evict_servers(const char *data, struct buf *why) MUST_CHECK;

#endif
