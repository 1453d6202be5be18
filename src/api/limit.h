/* SPDX-License-Identifier: MIT
 * Rate limits: how often somebody may do something a minute. This is the one place that takes from them; what is
 * counted is shared by the workers of a node (base/shared.h). A limit whose setting is 0 is off. */
#ifndef API_LIMIT_H
#define API_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

struct api;
struct request;

/* The rate limit that a route takes from: a column of the route table (api/routes.c). */
enum limit {
	LIMIT_NONE,
	LIMIT_SENDS,    /* rate_sends, each message of a bulk; taken by api/messages.c */
	LIMIT_ACTIONS,  /* rate_actions */
	LIMIT_SEARCHES, /* rate_searches */
	LIMIT_EXPORTS,  /* rate_exports */
	LIMIT_JOINS,    /* rate_joins */
	LIMIT_INVITE,   /* rate_joins of the caller, then rate_invite of the code in the path */
	LIMIT_LOGINS,   /* rate_logins of the account or the address; taken by api/session.c and api/accounts.c */
};

/* Takes one from the limit of the request's route, for its caller. Returns false if the limit is exceeded: the request
 * has been answered then, with 429. */
bool limit_route(struct request *req);

/* The key under which a subject is counted: who it is, and of what kind ("account", "address", …). Never 0. */
uint64_t limit_key(enum limit limit, const char *kind, const char *subject);

/* Takes one from the limit of that key. Returns false if it is exceeded: nothing was taken then, and ret_retry_s says
 * in how many seconds it will do. */
bool limit_try(struct api *api, enum limit limit, uint64_t key, unsigned *ret_retry_s);

/* The same; a request that exceeds the limit is answered with 429. */
bool limit_take(struct request *req, enum limit limit, uint64_t key);

/* Gives one back that was taken. */
void limit_refund(struct api *api, enum limit limit, uint64_t key);

/* Answers a request that exceeds the limit, with 429. */
void limit_refuse(struct request *req, enum limit limit, unsigned retry_s);

/* Writes what limit_refuse() says into out, for answers about a part of a request. */
void limit_detail(const struct api *api, enum limit limit, unsigned retry_s, char *out, unsigned size);

/* Returns whether the caller has not done that to that object during the last interval_ms. It counts as done then. */
bool limit_once(struct request *req, const char *what, const char *object, unsigned interval_ms);

#endif
