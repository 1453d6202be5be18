/* SPDX-License-Identifier: MIT
 * Whose work the loop is doing: a hash of a user or an address, 0 for the server's own. Set while a request is being
 * handled. Work that continues later, such as a call to the database, keeps the owner and sets it again, so that a
 * layer that knows nothing of requests can share its resources fairly. Only the loop's thread may use this. */
#ifndef BASE_OWNER_H
#define BASE_OWNER_H

#include <stdint.h>

uint64_t owner_current(void);

/* Sets the current owner. Returns the previous one, which the caller sets again at the end. */
uint64_t owner_enter(uint64_t owner);

#endif
