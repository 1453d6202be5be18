/* SPDX-License-Identifier: MIT
 * Looks a host name up on a thread of its own, which may take as long as it takes: a slow name server holds up neither
 * a loop nor the threads that hash passwords, and a process may end meanwhile. */
#ifndef BASE_RESOLVE_H
#define BASE_RESOLVE_H

#include <stdbool.h>

enum { RESOLVE_ADDRESSES = 8, RESOLVE_ADDRESS_SIZE = 64 };

struct resolve;

struct resolve *resolve_start(const char *host); /* NULL: there is no thread or no descriptor for it */
int resolve_fd(const struct resolve *r);         /* becomes readable when it has ended; closed by resolve_free() */
bool resolve_ended(const struct resolve *r);
/* After its end: the addresses in numbers, in the order of preference. 0: there are none, and *ret_why says why. */
unsigned resolve_addresses(
	const struct resolve *r, char out[RESOLVE_ADDRESSES][RESOLVE_ADDRESS_SIZE], const char **ret_why);
void resolve_free(struct resolve *r); /* at any time; NULL is fine */

#endif
