/* SPDX-License-Identifier: MIT
 * Gathers the calls of one SQL function that arrive while its previous statement is in flight, and submits them as one
 * statement: receipts, typing, signals. So a burst of a thousand calls needs a few transactions, and a single call is
 * submitted at once.
 *
 * The function takes arrays of text with an element for each call, and returns a row for each call, in order: code and
 * detail of a refusal (null: none), and the answer's body (null: 204). */
#ifndef API_GATHER_H
#define API_GATHER_H

#include "api/call.h"

struct gatherer;

struct gatherer *gatherer_new(struct api *api);
void gatherer_stop(struct gatherer *g); /* refuses what is queued */
void gatherer_free(struct gatherer *g); /* after the pool's calls have ended */

/* Queues a call. The n values, as many as the call has fields, are copied. req is answered later; NULL: the result is
 * ignored. */
void gather(struct gatherer *g, const struct call *call, struct request *req, unsigned n, const char *const values[]);

#endif
