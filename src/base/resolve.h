/* SPDX-License-Identifier: MIT
 * Resolves a host name on a thread of its own, so that a slow name server blocks neither a loop nor the threads that
 * hash passwords. The process may end meanwhile. */
#ifndef BASE_RESOLVE_H
#define BASE_RESOLVE_H

#include <stdbool.h>

enum { RESOLVE_ADDRESSES = 8, RESOLVE_ADDRESS_SIZE = 64 };

struct resolve;

struct resolve *resolve_start(const char *host); /* NULL: no thread or no descriptor could be made */
int resolve_fd(const struct resolve *r);         /* becomes readable at the end; closed by resolve_free() */
bool resolve_ended(const struct resolve *r);
/* At the end: the numeric addresses, in the order of preference. Returns how many; 0: none, and *ret_why says why. */
unsigned resolve_addresses(
	const struct resolve *r, char out[RESOLVE_ADDRESSES][RESOLVE_ADDRESS_SIZE], const char **ret_why);
void resolve_free(struct resolve *r); /* at any time; NULL is allowed */

#endif
