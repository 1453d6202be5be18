/* SPDX-License-Identifier: MIT
 * Connecting, host by host. libpq's asynchronous connect has no time limit for each host and resolves names itself, so
 * that one silent host before the leader, or a slow name server, would use up all the time. Here each address of each
 * host has its own time limit, and the host that was connected last is tried first. The resulting connection is set up
 * (session.h) and blocking.
 *
 * A state machine without a loop: the caller waits for dial_fd() as the last status says, at most until
 * dial_until_ms(). */
#ifndef PG_DIAL_H
#define PG_DIAL_H

#include <libpq-fe.h>
#include <stdint.h>

#include "pg/session.h"

struct dial;

enum dial_next {
	DIAL_READ,   /* wait until the descriptor is readable: it may be another one each time */
	DIAL_WRITE,  /* or writable */
	DIAL_UP,     /* connected: dial_take() */
	DIAL_FAILED, /* no host could be connected: dial_why() */
};

/* An invalid conninfo fails when it is dialled. deadline_ms: see session_sql(). Exits when there is no memory. */
struct dial *dial_new(const char *conninfo, enum session_kind kind, unsigned deadline_ms);
void dial_free(struct dial *d); /* NULL is allowed */

enum dial_next dial_start(struct dial *d);   /* starts a new round */
enum dial_next dial_ready(struct dial *d);   /* the descriptor is ready: continues */
enum dial_next dial_give_up(struct dial *d); /* dial_until_ms() has passed: tries the next address */
void dial_stop(struct dial *d);              /* ends a round early */
int dial_fd(const struct dial *d);
uint64_t dial_until_ms(const struct dial *d); /* of clock_mono_ms() */

PGconn *dial_take(struct dial *d);          /* PQfinish() it */
const char *dial_why(const struct dial *d); /* the result of each host, in one line; valid until the next round */

#endif
