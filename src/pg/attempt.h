/* SPDX-License-Identifier: MIT
 * Connecting at the start, where a signal must end the wait. libpq resolves names in its own time, and waits for each
 * host inside one call: so the call runs in a thread, which is left behind with what belongs to it when the wait ends
 * early. */
#ifndef PG_ATTEMPT_H
#define PG_ATTEMPT_H

#include <libpq-fe.h>

/* PQconnectdb(), whose failure is in the connection. NULL: told to stop (waiting.h), or no memory. */
PGconn *attempt_connect(const char *conninfo);

/* PQping(); PQPING_NO_ATTEMPT when told to stop. */
PGPing attempt_ping(const char *conninfo);

#endif
