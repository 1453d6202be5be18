/* SPDX-License-Identifier: MIT
 * Rate limits: events a minute for a user, an address or another subject. All of them are applied here; the workers of
 * a node share the counts (base/shared.h). A limit whose setting is 0 is off. */
#ifndef API_LIMIT_H
#define API_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

struct api;
struct request;

/* The rate limit of a route: a column of the route table (api/routes.c). */
enum limit {
	LIMIT_NONE,
	LIMIT_SENDS,    /* rate_sends, each message of a bulk; applied by api/messages.c */
	LIMIT_ACTIONS,  /* rate_actions */
	LIMIT_SEARCHES, /* rate_searches */
	LIMIT_EXPORTS,  /* rate_exports */
	LIMIT_JOINS,    /* rate_joins */
	LIMIT_INVITE,   /* rate_joins of the caller, then rate_invite of the code in the path */
	LIMIT_TOKENS,   /* rate_tokens of the address; applied by api/auth.c */
	/* rate_logins, applied by api/session.c and api/accounts.c. A column of the table has the first one only. */
	LIMIT_LOGINS,         /* sign-ins of an account from an address */
	LIMIT_LOGINS_ADDRESS, /* of any account from an address: ten times as many */
	LIMIT_LOGINS_ACCOUNT, /* of an account from addresses that aren't known for it: twenty times as many */
	LIMIT_PASSWORDS,      /* passwords of a caller who has signed in */
	LIMIT_REGISTRATIONS,  /* open registrations from an address */
	LIMIT_SECRETS,        /* invitations and reset links from an address: ten times as many */
};

/* Counts the request for its route's limit and its caller. Returns false if the limit is exceeded; the request is
 * answered then, with 429. */
bool limit_route(struct request *req);

/* Returns the key under which a subject is counted, of a kind such as "account" or "address". Never 0. */
uint64_t limit_key(enum limit limit, const char *kind, const char *subject);

/* Counts an event for that key. Returns false if the limit is exceeded: then the event isn't counted, and *ret_retry_s
 * is the number of seconds until one is admitted again. */
bool limit_try(struct api *api, enum limit limit, uint64_t key, unsigned *ret_retry_s);

/* The same; a request that exceeds the limit is answered with 429. */
bool limit_take(struct request *req, enum limit limit, uint64_t key);

/* Takes back an event that was counted. */
void limit_refund(struct api *api, enum limit limit, uint64_t key);

/* Answers a request that exceeds the limit, with 429. */
void limit_refuse(struct request *req, enum limit limit, unsigned retry_s);

/* Writes the detail of limit_refuse() to out, for answers about a part of a request. */
void limit_detail(const struct api *api, enum limit limit, unsigned retry_s, char *out, unsigned size);

/* Returns true if the caller has not done that to that object during the last interval_ms, and counts it as done. */
bool limit_once(struct request *req, const char *what, const char *object, unsigned interval_ms);

#endif
