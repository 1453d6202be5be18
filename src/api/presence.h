/* SPDX-License-Identifier: MIT
 * Presence: tells the database who has streams on this worker. Comings and goings of a quarter of a second go together,
 * and who is back before anybody was told has never been away: a page that is loaded again, the gap between two polls.
 */
#ifndef API_PRESENCE_H
#define API_PRESENCE_H

#include "api/api.h"

struct presence;

struct presence *presence_new(struct api *api); /* listens to the tail, and watches the hub's users */
void presence_stop(struct presence *p);         /* nobody is here any more */
void presence_free(struct presence *p);

#endif
