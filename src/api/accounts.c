/* SPDX-License-Identifier: MIT
 * Creating accounts and changing passwords: the requests that need an Argon2id hash, which a thread of the pool
 * computes. Passwords and secrets are in memory only until they are hashed or answered. */
#include <inttypes.h>
#include <sodium.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "api/auth.h"
#include "api/body.h"
#include "api/call.h"
#include "api/limit.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/secret.h"
#include "conf/conf.h"
#include "log/tail.h"
#include "loop/loop.h"
#include "pg/pool.h"

enum { OLD_MAX = 1024, NEW_MIN = 8, NEW_MAX = 1024, NAME_MAX_BYTES = 63, SECRET_MAX = 512, USES_MAX = 100000 };

/* A request that needs hashing. */
struct change {
	struct request *req;
	void (*store)(struct change *c); /* called once new_hash is known */
	char name[NAME_MAX_BYTES + 1];
	char old[OLD_MAX + 1], password[NEW_MAX + 1]; /* "": no old password is required, no new one is set */
	char old_hash[PASSWORD_HASH_MAX], new_hash[PASSWORD_HASH_MAX], secret_hash[SECRET_HASH_HEX + 1];
	bool has_secret, admin, end_tokens, known, right, hashed;
	enum limit rate; /* the limit to refund on success, and its key; 0: none */
	uint64_t rate_key;
};

/* A secret that an administrator creates for another user; kept until it is answered. */
struct grant {
	struct request *req;
	const char *member;
	char secret[SECRET_TOKEN_LEN + 1];
};

static void wipe(void *p, size_t size)
{
	sodium_memzero(p, size);
	free(p);
}

/* Counts an attempt from the client's address. Returns false if there were too many; the request is answered then. */
static bool count_attempt(struct request *req, enum limit limit, const char *what, uint64_t *ret_key)
{
	char address[64];
	request_client_network(req, address, sizeof(address));
	*ret_key = limit_key(limit, what, address);
	return limit_take(req, limit, *ret_key);
}

/* The same for a secret. The right one is refunded, so that a whole office can use the invitations it has. */
static bool count_secret(struct change *c, const char *what)
{
	c->rate = LIMIT_SECRETS;
	return count_attempt(c->req, LIMIT_SECRETS, what, &c->rate_key);
}

/* The same for a password of the caller, whom failures of strangers don't concern. */
static bool count_password(struct change *c)
{
	c->rate = LIMIT_PASSWORDS;
	c->rate_key = limit_key(LIMIT_PASSWORDS, "account", c->name);
	return limit_take(c->req, LIMIT_PASSWORDS, c->rate_key);
}

/* Returns true if the caller was an administrator when they were authenticated. The SQL functions check again. */
static bool require_admin(struct request *req)
{
	if (!caller_of(req)->admin)
		request_problem(req, PROBLEM_FORBIDDEN, "That is for administrators.", "");
	return caller_of(req)->admin;
}

/* The members of the bodies. */
struct account_body {
	const char *name, *old_password, *password, *invite, *token;
	char expires_at[RFC3339_UTC_LEN + 1];
	int64_t uses;
	bool admin, end_tokens;
};

#define NAME(is_required) BODY_FIELD(account_body, name, BODY_TEXT, .max = NAME_MAX_BYTES, .required = is_required)
#define END_TOKENS BODY_FIELD(account_body, end_tokens, BODY_BOOL, .required = false)
#define NEW_PASSWORD(is_required) \
	BODY_FIELD(account_body, password, BODY_TEXT, .min = NEW_MIN, .max = NEW_MAX, .required = is_required)

/* Makes a change from a body that `fields` describe; the body's texts are copied. end_tokens: if the body doesn't say.
 * NULL: the request was refused. */
static struct change *new_change(
	struct request *req, const struct body_field fields[], bool end_tokens, void (*store)(struct change *c))
{
	struct body_error e = { 0 };
	struct account_body b = { .end_tokens = end_tokens };
	struct json_object *o = body_read(request_body(req), fields, &b, &e);
	if (o == NULL) {
		request_problem(req, e.code, e.detail, "");
		return NULL;
	}
	struct change *c = mem_zeroed(1, sizeof(*c));
	const char *secret = b.invite != NULL ? b.invite : b.token;
	*c = (struct change) {
		.req = req, .store = store, .admin = b.admin, .end_tokens = b.end_tokens, .has_secret = secret != NULL
	};
	snprintf(c->name, sizeof(c->name), "%s", b.name != NULL ? b.name : "");
	snprintf(c->old, sizeof(c->old), "%s", b.old_password != NULL ? b.old_password : "");
	snprintf(c->password, sizeof(c->password), "%s", b.password != NULL ? b.password : "");
	if (secret != NULL)
		secret_hash_hex(secret, strlen(secret), c->secret_hash);
	json_object_put(o);
	return c;
}

/* ---- hashing ---- */

static void on_stored(void *arg, const struct pg_result *r)
{
	struct change *c = arg;
	struct api *api = api_of(c->req);
	if (!pg_ok(r)) {
		call_refuse(c->req, r);
		wipe(c, sizeof(*c));
		return;
	}
	int pos = pg_column(r, "pos"), name = pg_column(r, "name"), body = pg_column(r, "body");
	if (pos >= 0)
		tail_expect(api->tail, (uint64_t)pg_int(r, 0, pos));
	if (name >= 0) /* every worker is notified; this one forgets at once */
		auth_forget(api->auth, pg_text(r, 0, name), 0);
	if (c->rate_key != 0)
		limit_refund(api, c->rate, c->rate_key);
	call_reply(c->req, 201, r, 0, body);
	wipe(c, sizeof(*c));
}

static void work(void *arg)
{
	struct change *c = arg;
	c->right = *c->old == '\0' || (c->known && password_verify(c->old, strlen(c->old), c->old_hash));
	c->hashed = c->right && (*c->password == '\0' || password_hash(c->password, strlen(c->password), c->new_hash));
}

static void on_worked(void *arg)
{
	struct change *c = arg;
	sodium_memzero(c->old, sizeof(c->old)); /* now, since storing may take long */
	sodium_memzero(c->password, sizeof(c->password));
	if (c->hashed) {
		c->store(c);
		return;
	}
	if (c->right) { /* the old password is right, but there was no memory for the new hash */
		request_problem(c->req, PROBLEM_OVERLOADED, NULL, "");
	} else {
		auth_password_refused(c->req, caller_of(c->req)->name);
		request_problem(c->req, PROBLEM_BAD_CREDENTIALS, "The password is wrong.", "");
	}
	wipe(c, sizeof(*c));
}

static void hash(struct change *c)
{
	if (loop_job(api_of(c->req)->loop, work, on_worked, c) == ST_OK)
		return;
	request_problem(c->req, PROBLEM_OVERLOADED, NULL, "");
	wipe(c, sizeof(*c));
}

/* ---- POST /v1/accounts ---- */

static void store_registration(struct change *c)
{
	bool invited = api_of(c->req)->conf->registration == REGISTRATION_INVITE;
	pg_pool_call(api_of(c->req)->pool, "select pos, body from account_register($1, $2, $3, $4)", 4,
		(const char *[]) {
			c->name, c->new_hash, c->has_secret ? c->secret_hash : NULL, invited ? "true" : "false" },
		on_stored, c);
}

void account_register(struct request *req)
{
	static const struct body_field fields[] = { NAME(true), NEW_PASSWORD(true),
		BODY_FIELD(account_body, invite, BODY_TEXT, .max = SECRET_MAX), { .type = BODY_END } };
	if (!call_allow_parameters(req, NULL))
		return;
	if (api_of(req)->conf->registration == REGISTRATION_CLOSED) {
		request_problem(req, PROBLEM_REGISTRATION_CLOSED, "Accounts are made by administrators here.", "");
		return;
	}
	struct change *c = new_change(req, fields, false, store_registration);
	bool by_invitation = api_of(req)->conf->registration == REGISTRATION_INVITE;
	uint64_t key;
	if (c == NULL)
		return;
	if (!c->has_secret && by_invitation) {
		request_problem(req, PROBLEM_INVITE_REQUIRED, "Registering here needs an invitation.", "");
	} else if (by_invitation ? count_secret(c, "invitation")
				 : count_attempt(req, LIMIT_REGISTRATIONS, "address", &key)) {
		hash(c);
		return;
	}
	wipe(c, sizeof(*c));
}

/* ---- POST /v1/me/password ---- */

static void store_password(struct change *c)
{
	char id[24];
	snprintf(id, sizeof(id), "%" PRIu64, caller_of(c->req)->credential);
	pg_pool_call(api_of(c->req)->pool, "select name, body from password_change($1, $2, $3, $4, $5)", 5,
		(const char *[]) { c->name, id, c->old_hash, c->new_hash, c->end_tokens ? "t" : "f" }, on_stored, c);
}

static void on_old_hash(void *arg, const struct pg_result *r)
{
	struct change *c = arg;
	if (!pg_ok(r)) {
		call_refuse(c->req, r);
		wipe(c, sizeof(*c));
		return;
	}
	c->known = pg_rows(r) == 1;
	if (c->known)
		snprintf(c->old_hash, sizeof(c->old_hash), "%s", pg_text(r, 0, 0));
	hash(c);
}

void password_change(struct request *req)
{
	static const struct body_field fields[] = { BODY_FIELD(account_body, old_password, BODY_TEXT, .min = 1,
							    .max = OLD_MAX, .required = true),
		NEW_PASSWORD(true), END_TOKENS, { .type = BODY_END } };
	if (!call_allow_parameters(req, NULL))
		return;
	struct change *c = new_change(req, fields, false, store_password);
	if (c == NULL)
		return;
	snprintf(c->name, sizeof(c->name), "%s", caller_of(req)->name);
	if (count_password(c))
		pg_pool_call(api_of(req)->pool, "select password_hash from password_of($1, null)", 1,
			(const char *[]) { c->name }, on_old_hash, c);
	else
		wipe(c, sizeof(*c));
}

/* ---- POST /v1/password-reset ---- */

static void store_reset(struct change *c)
{
	pg_pool_call(api_of(c->req)->pool, "select name, body from password_reset_redeem($1, $2, $3)", 3,
		(const char *[]) { c->secret_hash, c->new_hash, c->end_tokens ? "t" : "f" }, on_stored, c);
}

void password_redeem(struct request *req)
{
	static const struct body_field fields[] = { BODY_FIELD(account_body, token, BODY_TEXT, .max = SECRET_MAX,
							    .required = true),
		NEW_PASSWORD(true), END_TOKENS, { .type = BODY_END } };
	if (!call_allow_parameters(req, NULL))
		return;
	struct change *c = new_change(req, fields, true, store_reset);
	if (c == NULL)
		return;
	if (count_secret(c, "reset"))
		hash(c);
	else
		wipe(c, sizeof(*c));
}

/* ---- DELETE /v1/me ---- */

static void store_deletion(struct change *c)
{
	char id[24];
	snprintf(id, sizeof(id), "%" PRIu64, caller_of(c->req)->credential);
	if (caller_of(c->req)->by_cookie)
		request_add_header(c->req, "Set-Cookie", AUTH_COOKIE "=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0");
	pg_pool_call(api_of(c->req)->pool, "select pos, name, body from me_delete($1, $2, $3)", 3,
		(const char *[]) { c->name, id, *c->old_hash ? c->old_hash : NULL }, on_stored, c);
}

static void on_needs(void *arg, const struct pg_result *r)
{
	struct change *c = arg;
	if (!pg_ok(r)) {
		call_refuse(c->req, r);
	} else if (pg_rows(r) == 0) {
		request_problem(c->req, PROBLEM_UNAUTHORIZED, "The token is unknown, has expired or was revoked.", "");
	} else if (*c->old == '\0' && *pg_text(r, 0, 0) == 't') {
		request_problem(
			c->req, PROBLEM_MISSING_FIELD, "password is missing: whoever has signed in says it again.", "");
	} else if (*c->old == '\0') {
		store_deletion(c);
		return;
	} else {
		c->known = !pg_null(r, 0, 1);
		if (c->known)
			snprintf(c->old_hash, sizeof(c->old_hash), "%s", pg_text(r, 0, 1));
		hash(c);
		return;
	}
	wipe(c, sizeof(*c));
}

void account_delete(struct request *req)
{
	static const struct body_field fields[] = { { .name = "password",
							    .type = BODY_TEXT,
							    .offset = offsetof(struct account_body, old_password),
							    .min = 1,
							    .max = OLD_MAX },
		{ .type = BODY_END } };
	char id[24];
	if (!call_allow_parameters(req, NULL))
		return;
	struct change *c = new_change(req, fields, false, store_deletion);
	if (c == NULL)
		return;
	snprintf(c->name, sizeof(c->name), "%s", caller_of(req)->name);
	snprintf(id, sizeof(id), "%" PRIu64, caller_of(req)->credential);
	if (*c->old == '\0' || count_password(c))
		pg_pool_call(api_of(req)->pool, "select needed, password_hash from me_delete_needs($1, $2)", 2,
			(const char *[]) { c->name, id }, on_needs, c);
	else
		wipe(c, sizeof(*c));
}

/* ---- POST /v1/admin/users ---- */

static void store_user(struct change *c)
{
	pg_pool_call(api_of(c->req)->pool, "select pos, body from admin_user_add($1, $2, $3, $4)", 4,
		(const char *[]) { caller_of(c->req)->name, c->name, *c->new_hash ? c->new_hash : NULL,
			c->admin ? "true" : "false" },
		on_stored, c);
}

void admin_user_create(struct request *req)
{
	static const struct body_field fields[] = { NAME(true), NEW_PASSWORD(false),
		BODY_FIELD(account_body, admin, BODY_BOOL, .required = false), { .type = BODY_END } };
	if (!call_allow_parameters(req, NULL) || !require_admin(req))
		return;
	struct change *c = new_change(req, fields, false, store_user);
	if (c != NULL)
		hash(c);
}

/* ---- POST /v1/admin/users/NAME/reset, POST /v1/admin/invites ---- */

static void on_granted(void *arg, const struct pg_result *r)
{
	struct grant *g = arg;
	if (!pg_ok(r)) {
		call_refuse(g->req, r);
	} else {
		struct buf out;
		size_t len;
		buf_init(&out, 65536);
		buf_addf(&out, "{\"%s\":\"%s\",%s", g->member, g->secret, pg_text(r, 0, 0) + 1);
		request_add_header(g->req, "Cache-Control", "no-store");
		char *body = buf_detach(&out, &len);
		request_reply(g->req, 201, "application/json", body, len);
	}
	wipe(g, sizeof(*g));
}

static struct grant *new_grant(struct request *req, const char *member, char hex[SECRET_HASH_HEX + 1])
{
	struct grant *g = mem_zeroed(1, sizeof(*g));
	g->req = req;
	g->member = member;
	secret_token(g->secret);
	secret_hash_hex(g->secret, SECRET_TOKEN_LEN, hex);
	return g;
}

void admin_user_reset(struct request *req)
{
	char hex[SECRET_HASH_HEX + 1];
	if (!call_allow_parameters(req, NULL) || !require_admin(req))
		return;
	struct grant *g = new_grant(req, "token", hex);
	pg_pool_call(api_of(req)->pool, "select body from admin_user_reset($1, $2, $3)", 3,
		(const char *[]) { caller_of(req)->name, request_var(req, 0), hex }, on_granted, g);
}

void admin_invite_create(struct request *req)
{
	static const struct body_field fields[] = { BODY_FIELD(account_body, uses, BODY_INT, .min = 1, .max = USES_MAX),
		BODY_FIELD(account_body, expires_at, BODY_TIME, .required = false), { .type = BODY_END } };
	struct body_error e = { 0 };
	struct account_body b = { .uses = 1 };
	char hex[SECRET_HASH_HEX + 1], number[24];
	if (!call_allow_parameters(req, NULL) || !require_admin(req))
		return;
	struct json_object *o = body_read(request_body(req), fields, &b, &e);
	if (e.code != PROBLEM_NONE) {
		request_problem(req, e.code, e.detail, "");
	} else {
		struct grant *g = new_grant(req, "invite", hex);
		snprintf(number, sizeof(number), "%" PRId64, b.uses);
		pg_pool_call(api_of(req)->pool, "select body from admin_invite_add($1, $2, $3, $4)", 4,
			(const char *[]) { caller_of(req)->name, hex, number, *b.expires_at ? b.expires_at : NULL },
			on_granted, g);
	}
	json_object_put(o);
}
