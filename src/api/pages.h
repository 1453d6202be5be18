/* SPDX-License-Identifier: MIT
 * GET /v1/chats/C/messages, and the latest pages of the chats that are read most, kept in memory.
 *
 * The log keeps them true: whatever it tells of a chat drops the chat's pages, and of a member that they may read it.
 * When many ask at the same time for a page that isn't there, one reads it for all. */
#ifndef API_PAGES_H
#define API_PAGES_H

struct api;
struct pages;
struct request;

struct pages *pages_new(struct api *api); /* listens to the tail */
void pages_free(struct pages *p);

void pages_get(struct request *req); /* the route's handler */

#endif
