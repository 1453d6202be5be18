/* SPDX-License-Identifier: MIT
 * See auth.h. */
#include "api/auth.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "api/jws.h"
#include "api/jwt.h"
#include "api/lane.h"
#include "api/limit.h"
#include "api/uses.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/owner.h"
#include "base/secret.h"
#include "conf/conf.h"
#include "hub/hub.h"
#include "log/tail.h"
#include "pg/pool.h"

#define KNOWN_MAX 16384
#define TOKEN_MAX JWT_MAX
#define UNKNOWN_MAX 1024
/* An unknown token is looked up UNKNOWN_COUNT times, because a node of an earlier version may enable its account; then
 * not for UNKNOWN_MS. */
#define UNKNOWN_COUNT 8
#define UNKNOWN_MS 10000
#define UNKNOWN_DETAIL "The token is unknown, has expired or was revoked."
#define FORGOTTEN_MAX 64

struct known {
	struct list link; /* ordered by last use, the oldest first */
	unsigned char hash[SECRET_HASH_LEN];
	uint64_t credential, expires_ms;
	uint32_t noted_s; /* see uses_due() */
	bool admin;
	char name[];
};

struct auth {
	struct api *api;
	struct map known; /* the first 8 bytes of the hash → struct known */
	struct list order;
	struct jws_keys *keys; /* of JWTs */
	struct lane *lane;
	/* Tokens that the database didn't know, by their hash, and how often within UNKNOWN_MS. A collision replaces
	 * the older one. */
	struct {
		uint64_t key, generation, until_ms;
		unsigned count;
	} unknown[UNKNOWN_MAX];
	uint64_t generation; /* incremented by auth_forget(): results of queries from before it aren't cached */
	struct {
		char name[33];
		uint64_t credential;
	} forgotten[FORGOTTEN_MAX]; /* the latest, by generation; "": all users */
};

/* A look-up that waits for its turn or is in flight. */
struct lookup {
	struct auth *auth;
	struct request *req;
	void (*next)(struct request *req);
	unsigned char hash[SECRET_HASH_LEN];
	char hex[SECRET_HASH_HEX + 1];
	char *jwt; /* NULL: of another kind */
	bool by_cookie, has_waited;
	enum metric_sign_in how;
	uint64_t generation;
	uint64_t rate_key; /* of LIMIT_TOKENS, refunded unless the credential is unknown or has waited */
	unsigned retry_s;  /* if it has waited */
	struct lane_turn turn;
};

/* Returns 0 for never. A time after 2106 is the last second that fits. */
static uint32_t expires_s(uint64_t expires_ms)
{
	uint64_t s = (expires_ms + 999) / 1000;
	return s < UINT32_MAX ? (uint32_t)s : UINT32_MAX;
}

static uint64_t key_of(const unsigned char hash[SECRET_HASH_LEN])
{
	uint64_t key;
	memcpy(&key, hash, sizeof(key));
	return key;
}

static void forget(struct auth *a, struct known *k)
{
	list_remove(&k->link);
	map_remove(&a->known, key_of(k->hash));
	free(k);
}

static void remember(
	struct auth *a, const unsigned char hash[SECRET_HASH_LEN], const struct caller *c, uint64_t expires_ms)
{
	size_t len = strlen(c->name) + 1;
	struct known *k = mem_alloc(sizeof(*k) + len);
	*k = (struct known) { .credential = c->credential, .expires_ms = expires_ms, .admin = c->admin };
	uses_due(&k->noted_s); /* on_found() notes this use */
	memcpy(k->hash, hash, SECRET_HASH_LEN);
	memcpy(k->name, c->name, len);
	struct known *old = map_get(&a->known, key_of(hash));
	if (old != NULL)
		forget(a, old);
	if (a->known.count >= KNOWN_MAX)
		forget(a, container_of(a->order.next, struct known, link));
	map_set(&a->known, key_of(hash), k);
	list_init(&k->link);
	list_append(&a->order, &k->link);
}

static bool is_known_unknown(const struct auth *a, uint64_t key)
{
	unsigned place = key % UNKNOWN_MAX;
	return a->unknown[place].key == key && a->unknown[place].generation == a->generation &&
		a->unknown[place].count >= UNKNOWN_COUNT && a->unknown[place].until_ms > clock_mono_ms();
}

static void remember_unknown(struct auth *a, uint64_t key, uint64_t generation)
{
	unsigned place = key % UNKNOWN_MAX;
	uint64_t now = clock_mono_ms();
	bool again = a->unknown[place].key == key && a->unknown[place].generation == generation &&
		a->unknown[place].until_ms > now;
	a->unknown[place].key = key;
	a->unknown[place].generation = generation;
	a->unknown[place].count = again ? a->unknown[place].count + 1 : 1;
	a->unknown[place].until_ms = now + UNKNOWN_MS;
}

void auth_forget(struct auth *a, const char *name, uint64_t credential)
{
	unsigned place = ++a->generation % FORGOTTEN_MAX;
	snprintf(a->forgotten[place].name, sizeof(a->forgotten[place].name), "%s", name ? name : "");
	a->forgotten[place].credential = credential;
	for (struct list *l = a->order.next, *next; l != &a->order; l = next) {
		struct known *k = container_of(l, struct known, link);
		next = l->next;
		if (name == NULL || (strcmp(k->name, name) == 0 && (credential == 0 || credential == k->credential)))
			forget(a, k);
	}
}

static void refuse(struct request *req, const char *detail) { request_problem(req, PROBLEM_UNAUTHORIZED, detail, ""); }

void auth_password_refused(struct request *req, const char *user)
{
	struct metrics *m = api_of(req)->metrics;
	char address[64];
	metrics_count(m, M_LOGINS_FAILED, 1);
	metrics_sign_in(m, SIGN_IN_PASSWORD, false);
	request_client(req, address, sizeof(address));
	log_event_each(LOG_WARN, "sign-in failed", F("addr", address), F("user", user), F("request", request_id(req)));
}

bool auth_require_origin(struct request *req)
{
	bool says_so;
	if (request_is_same_origin(req, &says_so))
		return true;
	if (says_so)
		request_problem(req, PROBLEM_BAD_ORIGIN, "The Origin isn't this server's own (see public_url).", "");
	else
		request_problem(req, PROBLEM_ORIGIN_REQUIRED,
			"Send an Origin header with this server's address, or Sec-Fetch-Site: same-origin; a script "
			"is better off with a token.",
			"");
	return false;
}

static void accept_caller(struct request *req, const struct caller *found, void (*next)(struct request *req))
{
	struct caller *c = mem_alloc(sizeof(*c));
	*c = *found;
	request_set_user(req, c->name);
	request_set_data(req, c, free);
	if (c->by_cookie && strcmp(request_method(req), "GET") != 0 && !auth_require_origin(req))
		return;
	next(req);
}

/* Refuses a credential that isn't valid, by why; one that had to wait because there were too many of them before it, by
 * their rate. */
static void refuse_lookup(const struct lookup *l, const char *why)
{
	metrics_sign_in(l->auth->api->metrics, l->how, false);
	if (l->has_waited)
		limit_refuse(l->req, LIMIT_TOKENS, l->retry_s);
	else
		refuse(l->req, why);
}

static void free_lookup(struct lookup *l)
{
	free(l->jwt);
	free(l);
}

static void on_found(void *arg, const struct pg_result *r)
{
	struct lookup *l = arg;
	if (!l->has_waited && (!pg_ok(r) || pg_rows(r) > 0))
		limit_refund(l->auth->api, LIMIT_TOKENS, l->rate_key);
	if (!pg_ok(r)) {
		if (!pg_away(r))
			log_error("can't look up a credential: %s %s", pg_sqlstate(r), pg_message(r));
		request_problem(l->req, PROBLEM_DATABASE_AWAY, AUTH_UNAVAILABLE_DETAIL, "");
	} else if (pg_rows(r) == 0) {
		if (l->how != SIGN_IN_TICKET && l->how != SIGN_IN_JWT) /* a JWT's account may be created at any time */
			remember_unknown(l->auth, key_of(l->hash), l->generation);
		refuse_lookup(l, l->how == SIGN_IN_TICKET ? "The ticket is unknown, used or too old." : UNKNOWN_DETAIL);
	} else {
		struct caller c = { .credential = (uint64_t)pg_int(r, 0, 0),
			.admin = *pg_text(r, 0, 2) == 't',
			.by_cookie = l->by_cookie,
			.generation = l->generation };
		uint64_t expires_ms = (uint64_t)pg_int(r, 0, 3);
		metrics_sign_in(l->auth->api->metrics, l->how, true);
		snprintf(c.name, sizeof(c.name), "%s", pg_text(r, 0, 1));
		c.expires_s = (uint32_t)((expires_ms + 999) / 1000);
		bool once = l->how == SIGN_IN_TICKET || (request_route(l->req)->flags & ROUTE_LASTING);
		if (!once && l->generation == l->auth->generation)
			remember(l->auth, l->hash, &c, expires_ms);
		uses_note(l->auth->api->uses, l->req, c.credential);
		accept_caller(l->req, &c, l->next);
	}
	free_lookup(l);
}

/* Asks the database. The user isn't known yet, so the call counts for the client's address. */
static void query(struct lookup *l, const char *sql, unsigned n, const char *const values[])
{
	uint64_t before = owner_enter(l->rate_key);
	pg_pool_call(l->auth->api->pool, sql, n, values, on_found, l);
	owner_enter(before);
}

static void ask_for_jwt(struct lookup *l)
{
	char expires[24], issued[24];
	struct jwt_claims claims;
	const struct conf *conf = l->auth->api->conf;
	const char *why = jwt_verify(l->auth->keys, conf, l->jwt, clock_real_us() / 1000000, &claims);
	if (why != NULL) {
		refuse_lookup(l, why);
		free_lookup(l);
		return;
	}
	snprintf(expires, sizeof(expires), "%" PRIu64, claims.expires_s);
	snprintf(issued, sizeof(issued), "%" PRIu64, claims.issued_s);
	query(l, "select id, name, admin, expires_ms from jwt_authenticate($1, $2, $3, $4, $5, $6)", 6,
		(const char *[]) { l->hex, claims.identity, claims.name, expires, claims.issued_s ? issued : NULL,
			conf->jwt_create ? "t" : "f" });
}

static void ask(struct lookup *l)
{
	l->generation = l->auth->generation;
	metrics_count(l->auth->api->metrics, M_TOKEN_MISSES, 1);
	if (l->jwt != NULL)
		ask_for_jwt(l);
	else
		query(l,
			l->how == SIGN_IN_TICKET ? "select id, name, admin, expires_ms from ticket_redeem($1)"
						 : "select id, name, admin, expires_ms from authenticate($1)",
			1, (const char *[]) { l->hex });
}

static void on_turn(struct lane_turn *t) { ask(container_of(t, struct lookup, turn)); }

static bool has_token_form(const char *secret)
{
	return strncmp(secret, "pt_", 3) == 0 && strlen(secret) == SECRET_TOKEN_LEN;
}

/* Looks up a credential that isn't cached. Unknown ones count for the client's address. If there were too many of
 * those, one that may be valid waits for its turn in the slow lane: other users may share the address. */
static void look_up(struct auth *a, struct request *req, const char *secret, enum metric_sign_in how, bool by_cookie,
	void (*next)(struct request *))
{
	char network[64];
	struct lookup *l = mem_zeroed(1, sizeof(*l));
	*l = (struct lookup) { .auth = a, .req = req, .next = next, .how = how, .by_cookie = by_cookie };
	request_set_offered(req);
	secret_hash(secret, strlen(secret), l->hash);
	secret_hash_hex(secret, strlen(secret), l->hex);
	l->jwt = how == SIGN_IN_JWT ? mem_strdup(secret) : NULL;
	request_client_network(req, network, sizeof(network));
	l->rate_key = limit_key(LIMIT_TOKENS, "address", network);
	if (limit_try(a->api, LIMIT_TOKENS, l->rate_key, &l->retry_s)) {
		ask(l);
		return;
	}
	l->has_waited = true;
	l->turn = (struct lane_turn) { .owner = l->rate_key, .on_turn = on_turn };
	if ((l->jwt != NULL || has_token_form(secret)) && lane_add(a->lane, &l->turn))
		return;
	refuse_lookup(l, NULL);
	free_lookup(l);
}

static void by_token(
	struct auth *a, struct request *req, const char *token, bool by_cookie, void (*next)(struct request *))
{
	unsigned char hash[SECRET_HASH_LEN];
	size_t len = strlen(token);
	request_set_offered(req);
	if (len == 0 || len > TOKEN_MAX) {
		refuse(req, "That is no token.");
		return;
	}
	secret_hash(token, len, hash);
	struct known *k = map_get(&a->known, key_of(hash));
	if (k == NULL || memcmp(k->hash, hash, SECRET_HASH_LEN) != 0) {
		if (is_known_unknown(a, key_of(hash)))
			refuse(req, UNKNOWN_DETAIL);
		else if (!jwt_is_one(token))
			look_up(a, req, token, by_cookie ? SIGN_IN_SESSION : SIGN_IN_TOKEN, by_cookie, next);
		else if (a->api->conf->jwt_keys != NULL)
			look_up(a, req, token, SIGN_IN_JWT, by_cookie, next);
		else
			refuse(req,
				"JWTs aren't accepted by this server."); /* even one that is stored as a credential */
		return;
	}
	if (k->expires_ms != 0 && k->expires_ms <= clock_real_us() / 1000) {
		forget(a, k);
		refuse(req, "The token has expired.");
		return;
	}
	struct caller c = { .credential = k->credential,
		.expires_s = expires_s(k->expires_ms),
		.admin = k->admin,
		.by_cookie = by_cookie,
		.generation = a->generation };
	snprintf(c.name, sizeof(c.name), "%s", k->name);
	list_remove(&k->link);
	list_append(&a->order, &k->link);
	metrics_count(a->api->metrics, M_TOKEN_HITS, 1);
	if (uses_due(&k->noted_s))
		uses_note(a->api->uses, req, k->credential);
	accept_caller(req, &c, next);
}

/* Decodes Base64 (RFC 4648), and returns the password of "name:password". */
static bool basic_password(const char *encoded, char *out, size_t size)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	unsigned bits = 0, value = 0;
	size_t n = 0;
	for (const char *s = encoded; *s != '\0' && *s != '='; s++) {
		const char *at = strchr(alphabet, *s);
		if (at == NULL || n + 1 >= size)
			return false;
		value = (value << 6 | (unsigned)(at - alphabet)) & 0xffffff;
		bits += 6;
		if (bits >= 8) {
			bits -= 8;
			out[n++] = (char)(value >> bits & 0xff);
		}
	}
	out[n] = '\0';
	char *colon = strchr(out, ':');
	if (colon == NULL || strlen(out) != n)
		return false;
	memmove(out, colon + 1, strlen(colon + 1) + 1);
	return true;
}

void auth_request(struct auth *a, struct request *req, void (*next)(struct request *))
{
	const char *header = request_header(req, "Authorization"), *value;
	char password[TOKEN_MAX + 64];
	if (header != NULL && strncasecmp(header, "Bearer ", 7) == 0) {
		by_token(a, req, header + 7 + strspn(header + 7, " "), false, next);
	} else if (header != NULL && strncasecmp(header, "Basic ", 6) == 0) {
		if (basic_password(header + 6, password, sizeof(password)))
			by_token(a, req, password, false, next);
		else
			refuse(req, "The Authorization header can't be read.");
	} else if (header != NULL) {
		refuse(req, "Use Authorization: Bearer TOKEN, or Basic with the token as password.");
	} else if ((request_route(req)->flags & ROUTE_TICKET) && (value = request_param(req, "ticket")) != NULL) {
		look_up(a, req, value, SIGN_IN_TICKET, false, next);
	} else if ((request_route(req)->flags & ROUTE_TICKET) && (value = request_param(req, "access_token")) != NULL) {
		by_token(a, req, value, false, next);
	} else if ((value = request_cookie(req, AUTH_COOKIE)) != NULL) {
		by_token(a, req, value, true, next);
	} else {
		refuse(req, "Send Authorization: Bearer TOKEN.");
	}
}

/* ---- checking again ---- */

bool auth_is_current(const struct auth *a, const struct caller *c)
{
	if (a->generation - c->generation > FORGOTTEN_MAX)
		return false;
	for (uint64_t g = c->generation + 1; g <= a->generation; g++) {
		const char *name = a->forgotten[g % FORGOTTEN_MAX].name;
		uint64_t credential = a->forgotten[g % FORGOTTEN_MAX].credential;
		if (*name == '\0' || (strcmp(name, c->name) == 0 && (credential == 0 || credential == c->credential)))
			return false;
	}
	return true;
}

struct confirmation {
	struct auth *auth;
	struct caller *caller;
	void (*then)(void *arg, enum auth_validity validity);
	void *arg;
};

static void on_confirmed(void *arg, const struct pg_result *r);

static void confirm(struct confirmation *c)
{
	char id[24];
	snprintf(id, sizeof(id), "{%" PRIu64 "}", c->caller->credential);
	c->caller->generation = c->auth->generation;
	pg_pool_call(c->auth->api->pool, "select id from revoked($1)", 1, (const char *[]) { id }, on_confirmed, c);
}

static void on_confirmed(void *arg, const struct pg_result *r)
{
	struct confirmation *c = arg;
	if (pg_ok(r) && pg_rows(r) == 0 && !auth_is_current(c->auth, c->caller)) {
		confirm(c);
		return;
	}
	c->then(c->arg, !pg_ok(r) ? AUTH_UNAVAILABLE : pg_rows(r) > 0 ? AUTH_REVOKED : AUTH_VALID);
	free(c);
}

void auth_revalidate(struct auth *a, struct caller *caller, void (*then)(void *, enum auth_validity), void *arg)
{
	if (auth_is_current(a, caller)) {
		then(arg, AUTH_VALID);
		return;
	}
	struct confirmation *c = mem_alloc(sizeof(*c));
	*c = (struct confirmation) { .auth = a, .caller = caller, .then = then, .arg = arg };
	confirm(c);
}

#define RECHECK_CHUNK 1000

struct recheck {
	struct auth *auth;
	struct buf ids; /* an array in PostgreSQL's text form */
	unsigned count;
};

static void on_rechecked(void *arg, const struct pg_result *r)
{
	struct auth *a = arg;
	if (!pg_ok(r)) /* away again: the next check follows when it is back */
		return;
	for (int i = 0; i < pg_rows(r); i++)
		hub_end(a->api->hub, NULL, (uint64_t)pg_int(r, i, 0), END_DENIED);
}

static void recheck_ask(struct recheck *c)
{
	if (c->count == 0)
		return;
	buf_addc(&c->ids, '}');
	pg_pool_call(c->auth->api->pool, "select id from revoked($1)", 1, (const char *[]) { c->ids.data },
		on_rechecked, c->auth);
	buf_reset(&c->ids);
	c->count = 0;
}

static void on_credential(void *arg, uint64_t credential)
{
	struct recheck *c = arg;
	buf_addc(&c->ids, c->count++ ? ',' : '{');
	buf_addu(&c->ids, credential);
	if (c->count == RECHECK_CHUNK)
		recheck_ask(c);
}

/* For the case that notifications of revocations were missed: asks the database which credentials of open streams are
 * still valid, and ends the others. */
static void recheck(struct auth *a)
{
	struct recheck c = { .auth = a };
	buf_init(&c.ids, 1 << 20);
	hub_each_credential(a->api->hub, on_credential, &c);
	recheck_ask(&c);
	buf_release(&c.ids);
}

static void on_control(void *arg, const char *name, uint64_t credential)
{
	auth_forget(arg, name, credential);
	if (name == NULL)
		recheck(arg);
}

static const struct tail_events tail_events = { .on_control = on_control };

struct auth *auth_new(struct api *api)
{
	struct auth *a = mem_zeroed(1, sizeof(*a));
	a->api = api;
	a->keys = jws_keys_new(api->conf->jwt_keys, api->broker);
	a->lane = lane_new(api->loop);
	list_init(&a->order);
	tail_listen(api->tail, &tail_events, a);
	return a;
}

void auth_set_keys(struct auth *a)
{
	jws_keys_set_path(a->keys, a->api->conf->jwt_keys);
	jws_keys_reload(a->keys, true);
	auth_forget(a, NULL, 0);
}

void auth_reload_keys(struct auth *a, bool always)
{
	if (jws_keys_reload(a->keys, always))
		auth_forget(a, NULL, 0); /* tokens of a removed key are refused from now on */
}

void auth_free(struct auth *a)
{
	auth_forget(a, NULL, 0);
	map_release(&a->known);
	jws_keys_free(a->keys);
	lane_free(a->lane);
	free(a);
}
