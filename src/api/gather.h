/* SPDX-License-Identifier: MIT
 * Calls of one function that come while it is under way go into its next statement together: receipts, typing, signals.
 * A burst of a thousand is a handful of transactions, and one alone waits for nothing.
 *
 * Such a function takes arrays of text, an entry a call, and gives a row a call, in their order: code and detail of a
 * refusal (null: none) and the answer's body (null: 204). */
#ifndef API_GATHER_H
#define API_GATHER_H

#include "api/call.h"

struct gatherer;

struct gatherer *gatherer_new(struct api *api);
void gatherer_stop(struct gatherer *g); /* what waits is refused */
void gatherer_free(struct gatherer *g); /* no call is under way any more */

/* Copies the values, as many as the call has fields. req NULL: nobody waits for what becomes of it. */
void gather(struct gatherer *g, const struct call *call, struct request *req, unsigned n, const char *const values[]);

#endif
