/* SPDX-License-Identifier: MIT
 * PQping() whose wait a signal can end. libpq resolves names and waits for each host inside that one call, so it runs
 * in a thread, which is left running if the wait ends early. */
#ifndef PG_ATTEMPT_H
#define PG_ATTEMPT_H

#include <libpq-fe.h>

/* Returns what PQping() does; PQPING_NO_RESPONSE after 10 s, PQPING_NO_ATTEMPT if a stop is requested. */
PGPing attempt_ping(const char *conninfo);

#endif
