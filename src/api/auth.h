/* SPDX-License-Identifier: MIT
 * Who is asking: bearer token, Basic with the token as password, session cookie, ticket. Known credentials are
 * remembered by their hash until something about them changes (the control notifications) or nobody has used them for a
 * while. */
#ifndef API_AUTH_H
#define API_AUTH_H

#include "api/api.h"

struct caller {
	char name[33];
	uint64_t credential;
	uint32_t expires_s; /* 0: never */
	bool admin, by_cookie;
	uint64_t generation; /* of the cache when the caller was looked up, or confirmed */
};

struct auth *auth_new(struct api *api); /* listens to the tail */
void auth_free(struct auth *a);
/* jwt_keys, jwt_issuer and jwt_audience may be others now; what was found by the old ones is looked up again. */
void auth_set_keys(struct auth *a);
void auth_reload_keys(struct auth *a, bool always); /* see jws_keys_reload() */

/* Authenticates the request: refuses it (401, 403), or calls next with request_data() being its struct caller. */
void auth_request(struct auth *a, struct request *req, void (*next)(struct request *req));
static inline const struct caller *caller_of(const struct request *req) { return request_data(req); }

/* Drops what is cached of a user's credential (0: of all of theirs), or, with name NULL, of everybody's. */
void auth_forget(struct auth *a, const char *name, uint64_t credential);

/* Returns whether nothing was dropped of the caller since they were looked up. */
bool auth_is_sure(const struct auth *a, const struct caller *caller);
/* Makes sure, for who has been at it for a while: asks the database if something was. then may be called before this
 * returns. */
enum auth_still { AUTH_STILL_GOOD, AUTH_REVOKED, AUTH_AWAY };
void auth_confirm(struct auth *a, struct caller *caller, void (*then)(void *arg, enum auth_still still), void *arg);

/* A wrong password, wherever it was given: counts it, and logs one line, which blocklists are made of. */
void auth_password_refused(struct request *req, const char *user);

#define AUTH_COOKIE "postern_session"
/* The detail of the answer if the credential couldn't be checked: nothing has begun then. */
#define AUTH_AWAY_DETAIL "The credential can't be checked. Nothing has happened: try again."

/* A write with a cookie must come from our own page. Refuses it and returns false otherwise. */
bool auth_require_origin(struct request *req);

#endif
