/* SPDX-License-Identifier: MIT
 * The state directory: its owner, and a lock so that one process at a time owns its database cluster. */
#ifndef PG_STATE_H
#define PG_STATE_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/status.h"

struct identity;

/* As root: makes the directory (0700) and its parents if need be, and gives it to owner. A directory that
 * belongs to another user is refused. Unless the process is root, owner is ignored. Returns its descriptor; -1: the
 * reason is added to why. */
int state_make(const char *dir, const struct identity *owner, struct buf *why);

/* Returns its absolute name, to be called as the user that will use it. Root may have made it inside a directory that
 * this user can't enter: then returns a name through this process (/proc/PID/fd/N), which its children can use too. The
 * caller frees it; NULL: the reason is added to why. */
char *state_name(const char *dir, int fd, struct buf *why);

/* Sets *ret to the user of the directory: the one named user; if that is NULL, the directory's owner; if that is root,
 * postern, else postgres, whichever exists. Refuses root. */
enum status state_owner(const char *dir, const char *user, struct identity *ret, struct buf *why) MUST_CHECK;

enum state_holder { STATE_FREE, STATE_SERVER, STATE_COMMAND, STATE_ERROR };

/* Tries to lock the directory for as long as the process lives, or until state_unlock(). STATE_FREE: this process has
 * the lock now, and *ret_fd holds it (to be closed in children). Otherwise *ret_pid has it: a server, or a command that
 * will end soon. */
enum state_holder state_lock(const char *dir, bool as_server, int *ret_fd, long *ret_pid, struct buf *why);
void state_unlock(int fd);

#endif
