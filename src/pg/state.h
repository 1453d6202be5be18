/* SPDX-License-Identifier: MIT
 * The state directory: who may use it, and that one at a time owns its database cluster. */
#ifndef PG_STATE_H
#define PG_STATE_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/status.h"

struct identity;

/* As root: makes the directory (0700) and its parents if need be, and gives it to owner. A directory that
 * belongs to another user is refused. Unless the process is root, owner is ignored. Returns its descriptor; -1: why was
 * added to. */
int state_make(const char *dir, const struct identity *owner, struct buf *why);

/* Its absolute name, as the one who will use it. Root may have made it where its owner can't go by name: then a name
 * through this process (/proc/PID/fd/N), good for its children too. Free it; NULL: why was added to. */
char *state_name(const char *dir, int fd, struct buf *why);

/* Sets *ret to the user of the directory: its owner unless that is root, else the one that is named, else postern, else
 * postgres. */
enum status state_owner(const char *dir, const char *user, struct identity *ret, struct buf *why) MUST_CHECK;

enum state_holder { STATE_FREE, STATE_SERVER, STATE_COMMAND, STATE_ERROR };

/* Tries to lock the directory for as long as the process lives, or until state_unlock(). STATE_FREE: it is ours now,
 * and *ret_fd holds it (close it in children). Else *ret_pid has it: a server, or a command that will be done soon. */
enum state_holder state_lock(const char *dir, bool as_server, int *ret_fd, long *ret_pid, struct buf *why);
void state_unlock(int fd);

#endif
