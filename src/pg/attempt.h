/* SPDX-License-Identifier: MIT
 * Pinging at the start, where a signal must end the wait. libpq resolves names in its own time, and waits for each
 * host inside one call: so the call runs in a thread, which is left behind with what belongs to it when the wait ends
 * early. */
#ifndef PG_ATTEMPT_H
#define PG_ATTEMPT_H

#include <libpq-fe.h>

/* PQping(); PQPING_NO_RESPONSE after 10 s, PQPING_NO_ATTEMPT if a stop is requested. */
PGPing attempt_ping(const char *conninfo);

#endif
