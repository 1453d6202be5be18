/* SPDX-License-Identifier: MIT
 * Signals around a fork: resetting them in a child, and asking for those that a parent has blocked. */
#ifndef BASE_SIGNALS_H
#define BASE_SIGNALS_H

#include <stdbool.h>

/* In a child: sets every signal to its default and unblocks it, however it was inherited. (A shell makes
 * its background jobs ignore SIGINT, and that is inherited.) */
void signals_reset(int ignored); /* that one is ignored; 0: none */

/* Returns true if SIGTERM or SIGINT is blocked and pending. */
bool signals_stop_pending(void);

#endif
