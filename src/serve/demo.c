/* SPDX-License-Identifier: MIT
 * See demo.h. */
#include "serve/demo.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/secret.h"
#include "pg/sync.h"

enum { USERS = 3, PASSWORD_LEN = 12, TOKEN_DAYS = 30 };

static const char *const names[USERS] = { "alice", "bob", "carol" };
static const char title[] = "Demo";

struct demo {
	char chat[24]; /* the group's id; "" if there is none any more */
	struct {
		char password[PASSWORD_LEN + 1];  /* "" if the user existed before */
		char token[SECRET_TOKEN_LEN + 1]; /* "" if the user doesn't exist */
	} users[USERS];
};

static enum status failed(struct sync *db, struct buf *why)
{
	buf_addf(why, "creating the demo: %s", sync_error(db));
	return ST_REFUSED;
}

static enum status make_users(struct demo *d, struct sync *db, struct buf *why)
{
	for (unsigned i = 0; i < USERS; i++) {
		char hash[PASSWORD_HASH_MAX];
		secret_random_name(d->users[i].password, PASSWORD_LEN);
		if (!password_hash(d->users[i].password, PASSWORD_LEN, hash)) {
			buf_adds(why, "creating the demo: out of memory");
			return ST_NOMEM;
		}
		struct sync_rows *r =
			sync_call(db, "select body from user_add($1, $2, false)", names[i], hash, SYNC_END);
		if (r == NULL)
			return failed(db, why);
		sync_rows_free(r);
	}
	struct sync_rows *r = sync_call(
		db, "select body from chat_create($1, 'group', $2, $3)", names[0], title, "{bob,carol}", SYNC_END);
	if (r == NULL)
		return failed(db, why);
	sync_rows_free(r);
	return ST_OK;
}

/* The tokens expire, so that a demo that is started every day doesn't accumulate valid ones. */
static enum status make_token(struct demo *d, unsigned i, struct sync *db, struct buf *why)
{
	char hash[SECRET_HASH_HEX + 1], expires[CLOCK_RFC3339_LEN + 1];
	clock_rfc3339(clock_real_us() + TOKEN_DAYS * UINT64_C(86400000000), expires);
	secret_token(d->users[i].token);
	secret_hash_hex(d->users[i].token, SECRET_TOKEN_LEN, hash);
	struct sync_rows *r =
		sync_call(db, "select body from token_add($1, $2, 'demo', $3)", names[i], hash, expires, SYNC_END);
	if (r == NULL)
		return failed(db, why);
	sync_rows_free(r);
	return ST_OK;
}

static bool is_there(struct sync_rows *users, const char *name)
{
	for (int i = 0; i < sync_count(users); i++)
		if (sync_is(users, i, 0, name) && sync_is(users, i, 1, "active"))
			return true;
	return false;
}

static enum status fill(struct demo *d, struct sync *db, struct buf *why)
{
	static const char list[] = "select name, state from user_list()";
	enum status st = ST_OK;
	struct sync_rows *users = sync_call(db, list, SYNC_END);
	if (users != NULL && sync_count(users) == 0) {
		sync_rows_free(users);
		if ((st = make_users(d, db, why)) != ST_OK)
			return st;
		users = sync_call(db, list, SYNC_END);
	}
	if (users == NULL)
		return failed(db, why);
	for (unsigned i = 0; i < USERS && st == ST_OK; i++)
		if (is_there(users, names[i]))
			st = make_token(d, i, db, why);
	sync_rows_free(users);
	if (st == ST_OK &&
		!sync_ask(db,
			"select c->>'id' from chats($1, null, 200) l, jsonb_array_elements(l.body::jsonb->'chats') c"
			" where c->>'title' = 'Demo' order by (c->>'id')::bigint limit 1",
			names[0], d->chat, sizeof(d->chat)))
		st = failed(db, why);
	return st;
}

enum status demo_prepare(const char *conninfo, struct demo **ret, struct buf *why)
{
	struct demo *d = mem_zeroed(1, sizeof(*d));
	struct sync *db = sync_open(conninfo, why);
	enum status st = db != NULL ? fill(d, db, why) : ST_AWAY;
	sync_close(db);
	if (st == ST_OK)
		*ret = d;
	else
		demo_free(d);
	return st;
}

void demo_print(const struct demo *d, const char *url, FILE *out)
{
	char where[512];
	bool new = false, any = false;
	if (strncmp(url, "unix:", 5) == 0)
		snprintf(where, sizeof(where), "--unix-socket %s http://localhost", url + 5);
	else
		snprintf(where, sizeof(where), "%s", url);
	for (unsigned i = 0; i < USERS; i++) {
		any |= *d->users[i].token != '\0';
		new |= *d->users[i].password != '\0';
	}
	if (!any) {
		fputs("\nThis database already has users, and none of them is a demo user.\n", out);
		return;
	}
	fprintf(out, "\nOpen %s and sign in, or stay at the command line: receive in one terminal, send in another.\n",
		url);
	for (unsigned i = 0; i < USERS; i++) {
		const char *token = d->users[i].token;
		if (*token == '\0')
			continue;
		fprintf(out, "\n%s\n", names[i]);
		if (*d->users[i].password != '\0')
			fprintf(out, "  password  %s\n", d->users[i].password);
		fprintf(out, "  token     %s\n  receive   curl -N -u :%s %s/v1/stream\n", token, token, where);
		if (*d->chat != '\0')
			fprintf(out,
				"  send      curl -u :%s -H 'Content-Type: text/plain' -d 'hello from %s' "
				"%s/v1/chats/%s/messages\n",
				token, names[i], where, d->chat);
	}
	if (!new)
		fputs("\nTheir passwords were printed at the first start; `postern user passwd NAME` sets a new one.\n",
			out);
	fputc('\n', out);
}

void demo_free(struct demo *d)
{
	if (d != NULL)
		explicit_bzero(d, sizeof(*d));
	free(d);
}
