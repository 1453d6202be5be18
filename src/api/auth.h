/* SPDX-License-Identifier: MIT
 * Authentication: bearer token, Basic with the token as password, session cookie, ticket. Callers are cached by the
 * hash of their credential until a control notification reports a change, the credential expires, or the cache is full
 * and it is the least recently used. */
#ifndef API_AUTH_H
#define API_AUTH_H

#include "api/api.h"

struct caller {
	char name[33];
	uint64_t credential;
	uint32_t expires_s; /* 0: never */
	bool admin, by_cookie;
	uint64_t generation; /* of the cache when the caller was looked up or revalidated */
};

struct auth *auth_new(struct api *api); /* listens to the tail */
void auth_free(struct auth *a);
/* Applies changed settings jwt_keys, jwt_issuer and jwt_audience, and drops all cached callers. */
void auth_set_keys(struct auth *a);
void auth_reload_keys(struct auth *a, bool always); /* see jws_keys_reload() */

/* Authenticates the request: refuses it (401, 403), or calls next with request_data() being its struct caller. */
void auth_request(struct auth *a, struct request *req, void (*next)(struct request *req));
static inline const struct caller *caller_of(const struct request *req) { return request_data(req); }

/* Drops cached callers: those of a user's credential, of all the user's credentials (credential 0), or of all users
 * (name NULL). */
void auth_forget(struct auth *a, const char *name, uint64_t credential);

/* Returns true if nothing was dropped from the cache that could concern the caller since they were looked up. */
bool auth_is_current(const struct auth *a, const struct caller *caller);
/* Re-validates a caller whose stream is being opened, against the database if auth_is_current() is false. then is
 * called exactly once, possibly before this returns. */
enum auth_validity { AUTH_VALID, AUTH_REVOKED, AUTH_UNAVAILABLE };
void auth_revalidate(
	struct auth *a, struct caller *caller, void (*then)(void *arg, enum auth_validity validity), void *arg);

/* Counts a failed sign-in, and logs the line that doc/fail2ban matches. user is the given name. */
void auth_password_refused(struct request *req, const char *user);

#define AUTH_COOKIE "postern_session"
/* The detail of the 503 for a credential that couldn't be checked. */
#define AUTH_UNAVAILABLE_DETAIL "The credential can't be checked. Nothing has happened: try again."

/* Refuses a write that is authenticated by a cookie, unless it comes from Postern's own page (Origin, Sec-Fetch-Site).
 * Returns false if it has answered the request. */
bool auth_require_origin(struct request *req);

#endif
