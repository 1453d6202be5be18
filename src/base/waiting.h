/* SPDX-License-Identifier: MIT
 * Waiting before anything is served: for a lock, a database, a child. Whoever waits says what for, hears of a SIGTERM
 * or SIGINT that is blocked and pending, and lets the process that supervises us know that this start is still under
 * way.
 *
 * Process-wide, like signals and the log: the places that wait lie far below the one that knows whom to tell. A command
 * blocks no signals and sets nothing up, so that a signal ends it. Never in a worker. */
#ifndef BASE_WAITING_H
#define BASE_WAITING_H

#include <stdbool.h>

/* on_wait is called while something is waited for, at most once a second; what is like "the database". */
void waiting_setup(void (*on_wait)(void *arg, const char *what), void *arg);

/* Waits that long. False: told to stop, and it returned at once. */
bool waiting_pause(const char *what, unsigned ms);

/* Waits until events (of poll(2)) happen on fd, for as long as it takes. False: told to stop. */
bool waiting_for(const char *what, int fd, short events);

/* The same with a limit. 1: there are events, 0: the time is up, -1: told to stop. */
int waiting_until(const char *what, int fd, short events, unsigned ms);

#endif
