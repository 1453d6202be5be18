/* SPDX-License-Identifier: MIT
 * A confined process can't open files: it asks the one that started it, which opens what its own settings name and
 * passes the descriptor. A request says which file by one byte, never by a name, so that a process that has been taken
 * over gets no file that it didn't have anyway.
 *
 * A request is a message with a socket for the answer, so that threads may ask at the same time and a late answer
 * belongs to nobody. */
#ifndef BASE_BROKER_H
#define BASE_BROKER_H

#include <stdbool.h>

enum broker_file { BROKER_ACCESS_LOG = 'a', BROKER_JWT_KEYS = 'j' };

/* Makes the two ends, which are closed on exec. Returns -1 with errno set on failure. */
int broker_pair(int *ret_owner, int *ret_client);

/* Returns a descriptor, which the caller closes, or -1 with errno set. Waits for a second, then fails with ETIMEDOUT.
 * For any thread. */
int broker_ask(int client, enum broker_file file);

/* Answers the next request, if there is any. open_file() returns a descriptor, which is closed then, or -1 with errno
 * set; it must not trust that the file is one of the above. Never blocks. Returns false if there will be no more. */
bool broker_answer(int owner, int (*open_file)(void *arg, enum broker_file file), void *arg);

#endif
