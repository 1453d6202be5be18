/* SPDX-License-Identifier: MIT
 * The log of refused requests: a line for each client, user and status (401, 403, 429) at once, and another one a
 * minute later with the number of further refusals. So a mistake is visible at once, and an attack doesn't flood the
 * log. */
#ifndef HTTP_REFUSALS_H
#define HTTP_REFUSALS_H

#include "http/request.h"

struct loop;
struct refusals;

struct refusals *refusals_new(struct loop *loop);
void refusals_free(struct refusals *r); /* logs the counts so far */

/* offered: the request had a credential. */
void refusals_note(struct refusals *r, const struct request *req, enum problem p, bool offered);

#endif
