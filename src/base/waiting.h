/* SPDX-License-Identifier: MIT
 * Waiting before anything is served: for a lock, a database, a child. A wait logs what it waits for,
 * notices a SIGTERM or SIGINT that is blocked and pending, and tells the service manager that the start continues.
 *
 * Process-wide, like signals and the log: the functions that wait lie far below the one that knows the service manager.
 * A command blocks no signals and sets nothing up, so that a signal ends it. Never in a worker. */
#ifndef BASE_WAITING_H
#define BASE_WAITING_H

#include <stdbool.h>

/* on_wait is called while something is waited for, at most once a second; what is like "the database". */
void waiting_setup(void (*on_wait)(void *arg, const char *what), void *arg);

/* Waits that long. Returns false at once if a stop is requested. */
bool waiting_pause(const char *what, unsigned ms);

/* Waits until events (of poll(2)) happen on fd, without a limit. Returns false if a stop is requested. */
bool waiting_for(const char *what, int fd, short events);

/* The same with a limit. Returns 1 if there are events, 0 after the time, -1 if a stop is requested. */
int waiting_until(const char *what, int fd, short events, unsigned ms);

#endif
