/* SPDX-License-Identifier: MIT
 * GET /v1/chats/C/messages, and the latest pages of the chats that are read most, kept in memory.
 *
 * A chat's event drops its cached pages, and an event about a member drops the cached permission of that member.
 * Concurrent requests for a page that isn't cached share one call of the database. */
#ifndef API_PAGES_H
#define API_PAGES_H

struct api;
struct pages;
struct request;

struct pages *pages_new(struct api *api); /* listens to the tail */
void pages_free(struct pages *p);

void pages_get(struct request *req); /* the route's handler */

#endif
