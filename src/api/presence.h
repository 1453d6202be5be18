/* SPDX-License-Identifier: MIT
 * Presence: publishes which users have streams on this worker. Changes within a quarter of a second are published
 * together. A user who returns before their absence was published (a page that is reloaded, the gap between two polls)
 * is not shown as away. */
#ifndef API_PRESENCE_H
#define API_PRESENCE_H

#include "api/api.h"

struct presence;

struct presence *presence_new(struct api *api); /* listens to the tail, and watches the hub's users */
void presence_stop(struct presence *p);         /* publishes that all of this worker's users are away */
void presence_free(struct presence *p);

#endif
