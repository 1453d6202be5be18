/* SPDX-License-Identifier: MIT
 * Who is refused: a line for each client, user and status (401, 403, 429) when it happens, and another a minute later
 * with the number of those that came meanwhile. So a mistake shows at once, and an attack isn't a flood. */
#ifndef HTTP_REFUSALS_H
#define HTTP_REFUSALS_H

#include "http/request.h"

struct loop;
struct refusals;

struct refusals *refusals_new(struct loop *loop);
void refusals_free(struct refusals *r); /* writes what has gathered */

/* offered: the request came with a credential. */
void refusals_note(struct refusals *r, const struct request *req, enum problem p, bool offered);

#endif
