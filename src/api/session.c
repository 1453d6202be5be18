/* SPDX-License-Identifier: MIT
 * Signing in and out, tokens, stream tickets. Passwords are hashed on a thread of the pool; plain tokens are in memory
 * only until they are answered. */
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "api/auth.h"
#include "api/body.h"
#include "api/call.h"
#include "api/limit.h"
#include "base/clock.h"
#include "base/decimal.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/secret.h"
#include "conf/conf.h"
#include "loop/loop.h"
#include "pg/pool.h"

#define PASSWORD_MAX 1024
#define NAME_BYTES_MAX 63

/* A request whose answer contains a secret. */
struct issue {
	struct request *req;
	char secret[SECRET_TOKEN_LEN + 1];
	const char *member; /* its name in the answer */
	bool cookie;
	/* signing in */
	char name[NAME_BYTES_MAX + 1], password[PASSWORD_MAX + 1], hash[PASSWORD_HASH_MAX],
		expires_at[CLOCK_RFC3339_LEN + 1];
	size_t password_len;
	bool known, right;
	uint64_t own_key, address_key, account_key; /* account_key 0: not counted */
};

static struct issue *new_issue(struct request *req, const char *member)
{
	struct issue *i = mem_zeroed(1, sizeof(*i));
	i->req = req;
	i->member = member;
	secret_token(i->secret);
	return i;
}

static void free_issue(struct issue *i)
{
	sodium_memzero(i, sizeof(*i));
	free(i);
}

static void add_cookie(struct request *req, const char *value, unsigned max_age)
{
	char cookie[256];
	snprintf(cookie, sizeof(cookie), AUTH_COOKIE "=%s; Path=/; HttpOnly; SameSite=Lax; Max-Age=%u%s", value,
		max_age, request_is_https(req) ? "; Secure" : "");
	request_add_header(req, "Set-Cookie", cookie);
}

/* Answers with the function's JSON object, and the secret as its first member. */
static void on_issued(void *arg, const struct pg_result *r)
{
	struct issue *i = arg;
	if (!pg_ok(r)) {
		call_refuse(i->req, r);
	} else {
		struct buf out;
		size_t len;
		buf_init(&out, 65536);
		buf_addf(&out, "{\"%s\":\"%s\",%s", i->member, i->secret, pg_text(r, 0, 0) + 1);
		if (i->cookie)
			add_cookie(i->req, i->secret, http_conf(request_server(i->req))->session_ttl);
		request_add_header(i->req, "Cache-Control", "no-store");
		char *body = buf_detach(&out, &len);
		request_reply(i->req, 201, "application/json", body, len);
	}
	free_issue(i);
}

/* ---- POST /v1/session ---- */

static void refund_attempt(struct issue *i)
{
	limit_refund(api_of(i->req), LIMIT_LOGINS, i->own_key);
	limit_refund(api_of(i->req), LIMIT_LOGINS_ADDRESS, i->address_key);
	if (i->account_key != 0)
		limit_refund(api_of(i->req), LIMIT_LOGINS_ACCOUNT, i->account_key);
}

static void verify(void *arg)
{
	/* An unknown user takes as long as a known one: this is a hash that no password has. */
	static const char nobody[] =
		"$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
	struct issue *i = arg;
	i->right = password_verify(i->password, i->password_len, i->known ? i->hash : nobody) && i->known;
}

static void on_verified(void *arg)
{
	struct issue *i = arg;
	struct api *api = api_of(i->req);
	char hex[SECRET_HASH_HEX + 1], address[64];
	sodium_memzero(i->password, sizeof(i->password));
	if (!i->right) {
		auth_password_refused(i->req, i->name);
		request_problem(i->req, PROBLEM_BAD_CREDENTIALS, "Unknown name or wrong password.", "");
		free_issue(i);
		return;
	}
	refund_attempt(i);
	metrics_sign_in(api->metrics, SIGN_IN_PASSWORD, true);
	secret_hash_hex(i->secret, SECRET_TOKEN_LEN, hex);
	clock_rfc3339(clock_real_us() + (uint64_t)api->conf->session_ttl * 1000000, i->expires_at);
	request_client(i->req, address, sizeof(address));
	pg_pool_call(api->pool, "select body from session_add($1, $2, $3, $4, $5)", 5,
		(const char *[]) { i->name, i->hash, hex, i->expires_at, address }, on_issued, i);
}

/* Counts the attempt for the account, unless it comes from an address that is known for it: failures of strangers don't
 * concern its user there. An account that doesn't exist is known from nowhere. Returns false if there were too many;
 * the request is answered then. */
static bool count_for_account(struct issue *i, bool is_known_address)
{
	uint64_t key = limit_key(LIMIT_LOGINS_ACCOUNT, "account", i->name);
	if (is_known_address)
		return true;
	if (!limit_take(i->req, LIMIT_LOGINS_ACCOUNT, key)) {
		refund_attempt(i);
		return false;
	}
	i->account_key = key;
	return true;
}

static void on_hash_found(void *arg, const struct pg_result *r)
{
	struct issue *i = arg;
	if (!pg_ok(r)) {
		refund_attempt(i);
		call_refuse(i->req, r);
		free_issue(i);
		return;
	}
	i->known = pg_rows(r) == 1;
	if (i->known)
		snprintf(i->hash, sizeof(i->hash), "%s", pg_text(r, 0, 0));
	if (!count_for_account(i, i->known && *pg_text(r, 0, 1) == 't')) {
		free_issue(i);
	} else if (loop_job(api_of(i->req)->loop, verify, on_verified, i) != ST_OK) {
		refund_attempt(i);
		request_problem(i->req, PROBLEM_OVERLOADED, NULL, "");
		free_issue(i);
	}
}

/* Counts an attempt by address, and by account and address; a successful one is refunded. Returns false if there were
 * too many; the request is answered then. */
static bool count_attempt(struct issue *i, const char *network)
{
	struct api *api = api_of(i->req);
	char both[128];
	unsigned retry_s;
	snprintf(both, sizeof(both), "%s %s", i->name, network);
	i->own_key = limit_key(LIMIT_LOGINS, "account and address", both);
	i->address_key = limit_key(LIMIT_LOGINS_ADDRESS, "address", network);
	if (!limit_take(i->req, LIMIT_LOGINS_ADDRESS, i->address_key))
		return false;
	if (limit_try(api, LIMIT_LOGINS, i->own_key, &retry_s))
		return true;
	limit_refund(api, LIMIT_LOGINS_ADDRESS, i->address_key);
	limit_refuse(i->req, LIMIT_LOGINS, retry_s);
	return false;
}

struct session_body {
	const char *name, *password;
};

void session_create(struct request *req)
{
	static const struct body_field fields[] = { BODY_FIELD(session_body, name, BODY_TEXT, .max = NAME_BYTES_MAX,
							    .required = true),
		BODY_FIELD(session_body, password, BODY_TEXT, .max = PASSWORD_MAX, .required = true),
		{ .type = BODY_END } };
	const struct buf *body = request_body(req);
	char network[64];
	struct body_error e = { 0 };
	struct session_body b = { 0 };
	if (!call_allow_parameters(req, NULL) || !auth_require_origin(req))
		return;
	struct json_object *o = body_parse(body->len ? body->data : "", body->len, &e);
	if (o != NULL)
		body_fill(o, fields, &b, &e);
	if (e.code != PROBLEM_NONE) {
		request_problem(req, e.code, e.detail, "");
		json_object_put(o);
		return;
	}
	struct issue *i = new_issue(req, "token");
	i->cookie = true;
	snprintf(i->name, sizeof(i->name), "%s", b.name);
	request_set_user(req, b.name);
	i->password_len = strlen(b.password);
	memcpy(i->password, b.password, i->password_len);
	json_object_put(o);
	request_client_network(req, network, sizeof(network));
	if (count_attempt(i, network))
		pg_pool_call(api_of(req)->pool, "select password_hash, is_known_network from password_of($1, $2)", 2,
			(const char *[]) { i->name, network }, on_hash_found, i);
	else
		free_issue(i);
}

/* Every worker is notified; this one forgets at once, so that the change is in effect when the caller gets the answer.
 * Returns false if the request was answered with an error. */
static bool forget_deleted(struct request *req, const struct pg_result *r)
{
	if (pg_ok(r))
		auth_forget(api_of(req)->auth, caller_of(req)->name, 0);
	else
		call_refuse(req, r);
	return pg_ok(r);
}

static void on_token_deleted(void *arg, const struct pg_result *r)
{
	if (forget_deleted(arg, r))
		request_reply(arg, 204, NULL, NULL, 0);
}

static void on_session_deleted(void *arg, const struct pg_result *r)
{
	if (!forget_deleted(arg, r))
		return;
	add_cookie(arg, "", 0);
	request_reply(arg, 204, NULL, NULL, 0);
}

static void delete_credential(struct request *req, const char *id, void (*on_deleted)(void *, const struct pg_result *))
{
	pg_pool_call(api_of(req)->pool, "select body from credential_delete($1, $2)", 2,
		(const char *[]) { caller_of(req)->name, id }, on_deleted, req);
}

/* DELETE /v1/session: ends the request's credential, of whatever kind. */
void session_delete(struct request *req)
{
	char id[24];
	if (!call_allow_parameters(req, NULL))
		return;
	snprintf(id, sizeof(id), "%" PRIu64, caller_of(req)->credential);
	delete_credential(req, id, on_session_deleted);
}

/* DELETE /v1/tokens/ID */
void token_delete(struct request *req)
{
	const char *id = request_var(req, 0);
	if (!call_allow_parameters(req, NULL))
		return;
	if (!decimal_is_bigint(id))
		request_problem(req, PROBLEM_NOT_FOUND, NULL, "");
	else
		delete_credential(req, id, on_token_deleted);
}

/* ---- POST /v1/tokens, POST /v1/stream-tickets ---- */

struct token_body {
	const char *label;
	char expires_at[RFC3339_UTC_LEN + 1];
};

void token_create(struct request *req)
{
	static const struct body_field fields[] = { BODY_FIELD(token_body, label, BODY_TEXT, .max = 100),
		BODY_FIELD(token_body, expires_at, BODY_TIME, .required = false), { .type = BODY_END } };
	char hex[SECRET_HASH_HEX + 1], id[24];
	struct body_error e = { 0 };
	struct token_body b = { 0 };
	if (!call_allow_parameters(req, NULL))
		return;
	struct json_object *o = body_read(request_body(req), fields, &b, &e);
	if (e.code != PROBLEM_NONE) {
		request_problem(req, e.code, e.detail, "");
	} else if (limit_route(req)) {
		struct issue *i = new_issue(req, "token");
		secret_hash_hex(i->secret, SECRET_TOKEN_LEN, hex);
		snprintf(id, sizeof(id), "%" PRIu64, caller_of(req)->credential);
		pg_pool_call(api_of(req)->pool, "select body from token_add($1, $2, $3, $4, $5)", 5,
			(const char *[]) {
				caller_of(req)->name, hex, b.label, *b.expires_at ? b.expires_at : NULL, id },
			on_issued, i);
	}
	json_object_put(o);
}

void ticket_create(struct request *req)
{
	char hex[SECRET_HASH_HEX + 1], id[24];
	if (!call_allow_parameters(req, NULL) || !limit_route(req))
		return;
	struct issue *i = new_issue(req, "ticket");
	secret_hash_hex(i->secret, SECRET_TOKEN_LEN, hex);
	snprintf(id, sizeof(id), "%" PRIu64, caller_of(req)->credential);
	pg_pool_call(api_of(req)->pool, "select body from ticket_add($1, $2)", 2, (const char *[]) { id, hex },
		on_issued, i);
}
