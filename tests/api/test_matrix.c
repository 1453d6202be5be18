/* SPDX-License-Identifier: MIT
 * Permissions: every route, requested by each kind of user, on a chat created for that one request. A route of
 * openapi.json without a row fails. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/client.h"
#include "../lib/database.h"
#include "../lib/suite.h"

/* Kinds of users. The last three get no access at all. */
enum who { STRANGER, SERVER_ADMIN, FORMER, BANNED, MUTED, MEMBER, ADMIN, OWNER, DISABLED, EXPIRED, NOBODY, ALL };
static const char *const names[ALL] = { "stranger", "server administrator", "former member", "banned member",
	"muted member", "member", "admin", "owner", "disabled user", "expired token", "nobody" };
static struct client *people[ALL], *extra;
static char token[24]; /* the id of another user's token */

/* Non-members get 404; then the statuses for muted members, members, admins and the owner. */
#define INSIDE(muted, member, admin, owner) \
	{ \
		404, 404, 404, 404, muted, member, admin, owner \
	}
#define EVERYBODY(status) \
	{ \
		status, status, status, status, status, status, status, status \
	}
#define ALL_BUT_BANNED(status) \
	{ \
		status, status, status, 404, status, status, status, status \
	}
#define TINY_GIF "GIF89a\1\1\1\1\1" /* as much of an image as the server looks at */
#define SERVER(status) \
	{ \
		403, status, 403, 403, 403, 403, 403, 403 \
	} /* for administrators only */

/* In paths: {chat}; {id}, the owner's message; {mine}, the user's own (the owner's for users without one); {gone}, a
 * deleted one; {name}, another plain member. */
static const struct row {
	const char *method, *path, *body;
	int expected[DISABLED]; /* of STRANGER … OWNER */
	int deleted;            /* for the owner of a deleted chat; 0: not about a chat */
} table[] = {
	{ "GET", "/v1/chats/{chat}", NULL, INSIDE(200, 200, 200, 200), 404 },
	{ "PATCH", "/v1/chats/{chat}", "{'title':'new'}", INSIDE(403, 403, 200, 200), 404 },
	{ "DELETE", "/v1/chats/{chat}", NULL, INSIDE(403, 403, 403, 204), 404 },
	{ "GET", "/v1/chats/{chat}/members", NULL, INSIDE(200, 200, 200, 200), 404 },
	{ "PUT", "/v1/chats/{chat}/members/{name}", "{'role':'admin'}", INSIDE(403, 403, 403, 200), 404 },
	{ "PUT", "/v1/chats/{chat}/members/{name}", "{'muted_until':'2999-01-01T00:00:00Z'}",
		INSIDE(403, 403, 200, 200), 404 },
	{ "PUT", "/v1/chats/{chat}/members/{new}", "{}", INSIDE(403, 403, 200, 200), 404 },
	{ "DELETE", "/v1/chats/{chat}/members/{name}", NULL, INSIDE(403, 403, 204, 204), 404 },
	{ "DELETE", "/v1/chats/{chat}/members/{me}", NULL, INSIDE(204, 204, 204, 204), 404 },
	{ "POST", "/v1/chats/{chat}/messages", "{'text':'hi'}", INSIDE(403, 201, 201, 201), 404 },
	{ "POST", "/v1/chats/{chat}/messages", "{'text':'hi','reply_to':{id}}", INSIDE(403, 201, 201, 201), 404 },
	{ "GET", "/v1/chats/{chat}/messages", NULL, INSIDE(200, 200, 200, 200), 404 },
	{ "GET", "/v1/chats/{chat}/messages/{id}", NULL, INSIDE(200, 200, 200, 200), 404 },
	{ "GET", "/v1/chats/{chat}/messages/{gone}", NULL, INSIDE(410, 410, 410, 410), 404 },
	{ "PATCH", "/v1/chats/{chat}/messages/{id}", "{'text':'new'}", INSIDE(403, 403, 403, 200), 404 },
	{ "PATCH", "/v1/chats/{chat}/messages/{mine}", "{'text':'new'}", INSIDE(403, 200, 200, 200), 404 },
	{ "PATCH", "/v1/chats/{chat}/messages/{gone}", "{'text':'new'}", INSIDE(410, 410, 410, 410), 404 },
	{ "DELETE", "/v1/chats/{chat}/messages/{id}", NULL, INSIDE(403, 403, 204, 204), 404 },
	{ "DELETE", "/v1/chats/{chat}/messages/{mine}", NULL, INSIDE(204, 204, 204, 204), 404 },
	{ "DELETE", "/v1/chats/{chat}/messages/{gone}", NULL, INSIDE(204, 204, 204, 204), 404 },
	{ "GET", "/v1/chats/{chat}/messages/{id}/receipts", NULL, INSIDE(403, 403, 403, 200), 404 },
	{ "GET", "/v1/chats/{chat}/messages/{mine}/receipts", NULL, INSIDE(200, 200, 200, 200), 404 },
	{ "GET", "/v1/chats/{chat}/messages/{gone}/receipts", NULL, INSIDE(410, 410, 410, 410), 404 },
	{ "POST", "/v1/chats/{chat}/delivered", "{'up_to':{id}}", INSIDE(204, 204, 204, 204), 404 },
	{ "POST", "/v1/chats/{chat}/read", "{'up_to':{id}}", INSIDE(204, 204, 204, 204), 404 },
	{ "GET", "/v1/chats/{chat}/receipts", NULL, INSIDE(200, 200, 200, 200), 404 },
	{ "POST", "/v1/chats/{chat}/typing", NULL, INSIDE(403, 204, 204, 204), 404 },
	{ "POST", "/v1/chats/{chat}/signal", "{'type':'offer','data':{}}", INSIDE(204, 204, 204, 204), 404 },
	{ "GET", "/v1/chats/{chat}/messages/{id}/reactions", NULL, INSIDE(200, 200, 200, 200), 404 },
	{ "GET", "/v1/chats/{chat}/messages/{gone}/reactions", NULL, INSIDE(410, 410, 410, 410), 404 },
	{ "PUT", "/v1/chats/{chat}/messages/{id}/reactions/{emoji}", NULL, INSIDE(403, 200, 200, 200), 404 },
	{ "PUT", "/v1/chats/{chat}/messages/{gone}/reactions/{emoji}", NULL, INSIDE(410, 410, 410, 410), 404 },
	{ "DELETE", "/v1/chats/{chat}/messages/{id}/reactions/{emoji}", NULL, INSIDE(204, 204, 204, 204), 404 },
	{ "PUT", "/v1/chats/{chat}/messages/{id}/pin", NULL, INSIDE(403, 403, 200, 200), 404 },
	{ "PUT", "/v1/chats/{chat}/messages/{gone}/pin", NULL, INSIDE(403, 403, 410, 410), 404 },
	{ "DELETE", "/v1/chats/{chat}/messages/{id}/pin", NULL, INSIDE(403, 403, 204, 204), 404 },
	{ "GET", "/v1/chats/{chat}/pins", NULL, INSIDE(200, 200, 200, 200), 404 },
	{ "GET", "/v1/chats/{chat}/messages/{id}/thread", NULL, INSIDE(200, 200, 200, 200), 404 },
	{ "GET", "/v1/chats/{chat}/messages/{gone}/thread", NULL, INSIDE(410, 410, 410, 410), 404 },
	{ "POST", "/v1/chats/{chat}/messages/{id}/thread/read", "{'up_to':{id}}", INSIDE(204, 204, 204, 204), 404 },
	{ "GET", "/v1/chats/{chat}/threads", NULL, INSIDE(200, 200, 200, 200), 404 },
	{ "GET", "/v1/chats/{chat}/messages/{id}/edits", NULL, INSIDE(200, 200, 200, 200), 404 },
	{ "GET", "/v1/chats/{chat}/messages/{gone}/edits", NULL, INSIDE(410, 410, 410, 410), 404 },
	{ "POST", "/v1/chats/{chat}/messages/{id}/report", "{'reason':'spam'}", INSIDE(204, 204, 204, 204), 404 },
	{ "POST", "/v1/chats/{chat}/messages/{gone}/report", "{'reason':'spam'}", INSIDE(410, 410, 410, 410), 404 },
	{ "PUT", "/v1/chats/{chat}/members/{name}", "{'state':'banned'}", INSIDE(403, 403, 200, 200), 404 },
	{ "POST", "/v1/chats/{chat}/members", "{'add':['matrix.new']}", INSIDE(403, 403, 200, 200), 404 },
	{ "POST", "/v1/chats/{chat}/members", "{'remove':['matrix.extra']}", INSIDE(403, 403, 200, 200), 404 },
	{ "GET", "/v1/chats/{chat}/invites", NULL, INSIDE(403, 403, 200, 200), 404 },
	{ "POST", "/v1/chats/{chat}/invites", "{}", INSIDE(403, 403, 201, 201), 404 },
	{ "DELETE", "/v1/chats/{chat}/invites/{absent}", NULL, INSIDE(403, 403, 404, 404), 404 },
	{ "GET", "/v1/chats/{chat}/audit", NULL, INSIDE(403, 403, 200, 200), 404 },
	{ "PATCH", "/v1/chats/{chat}", "{'title':'x'}", INSIDE(403, 403, 200, 200), 404 },
	{ "PATCH", "/v1/chats/{chat}", "{'history':'joined'}", INSIDE(403, 403, 200, 200), 404 },
	{ "PATCH", "/v1/chats/{chat}", "{'posting':'admins'}", INSIDE(403, 403, 200, 200), 404 },
	{ "PATCH", "/v1/chats/{chat}", "{'slow_mode':5}", INSIDE(403, 403, 200, 200), 404 },
	{ "PATCH", "/v1/chats/{chat}", "{'rate_limit':5}", INSIDE(403, 403, 200, 200), 404 },
	{ "PATCH", "/v1/chats/{chat}", "{'adding':'members'}", INSIDE(403, 403, 403, 200), 404 },
	{ "GET", "/v1/chats/{chat}/members?state=banned", NULL, INSIDE(403, 403, 200, 200), 404 },
	{ "PUT", "/v1/chats/{chat}/members/{new}", "{'role':'admin'}", INSIDE(403, 403, 403, 200), 404 },
	{ "PUT", "/v1/chats/{chat}/members/{name}", "{'role':'owner'}", INSIDE(403, 403, 403, 200), 404 },
	{ "PUT", "/v1/chats/{chat}/members/{former}", "{'state':'banned'}", INSIDE(403, 403, 200, 200), 404 },
	{ "PUT", "/v1/chats/{chat}/members/{new}", "{'state':'banned'}", INSIDE(403, 403, 404, 404), 404 },
	{ "PUT", "/v1/chats/{chat}/members/{owner}", "{'state':'banned'}", INSIDE(403, 403, 403, 403), 404 },
	{ "PUT", "/v1/chats/{chat}/members/{banned}", "{'state':'left'}", INSIDE(403, 403, 200, 200), 404 },
	{ "PUT", "/v1/chats/{chat}/members/{banned}", "{}", INSIDE(403, 403, 403, 403), 404 },
	{ "DELETE", "/v1/chats/{chat}/members/{owner}", NULL, INSIDE(403, 403, 403, 204), 404 },
	{ "POST", "/v1/chats/{chat}/messages", "{'text':'x'}", INSIDE(403, 201, 201, 201), 404 },
	/* invites and public channels */
	{ "GET", "/v1/invites/{code}", NULL, ALL_BUT_BANNED(200), 0 },
	{ "POST", "/v1/invites/{code}", NULL, ALL_BUT_BANNED(200), 0 },
	{ "GET", "/v1/channels", NULL, EVERYBODY(200), 0 },
	{ "GET", "/v1/channels/{handle}", NULL, ALL_BUT_BANNED(200), 0 },
	{ "POST", "/v1/channels/{handle}", NULL, ALL_BUT_BANNED(200), 0 },
	/* about the caller */
	{ "GET", "/v1/me", NULL, EVERYBODY(200), 0 },
	{ "GET", "/v1/me/export", NULL, EVERYBODY(200), 0 },
	{ "PATCH", "/v1/me", "{'display_name':'me'}", EVERYBODY(200), 0 },
	{ "PUT", "/v1/me/avatar", TINY_GIF, EVERYBODY(200), 0 },
	{ "DELETE", "/v1/me/avatar", NULL, EVERYBODY(204), 0 },
	{ "GET", "/v1/tokens", NULL, EVERYBODY(200), 0 },
	{ "POST", "/v1/tokens", "{}", EVERYBODY(201), 0 },
	{ "DELETE", "/v1/tokens/{token}", NULL, INSIDE(404, 404, 404, 404), 0 }, /* another user's */
	{ "POST", "/v1/stream-tickets", NULL, EVERYBODY(201), 0 },
	{ "GET", "/v1/sync", NULL, EVERYBODY(200), 0 },
	{ "GET", "/v1/chats", NULL, EVERYBODY(200), 0 },
	{ "POST", "/v1/chats", "{'kind':'group','title':'t'}", EVERYBODY(201), 0 },
	{ "GET", "/v1/chat-requests", NULL, EVERYBODY(200), 0 },
	{ "POST", "/v1/chat-requests/{chat}/accept", NULL, INSIDE(404, 404, 404, 404), 404 },
	{ "DELETE", "/v1/chat-requests/{chat}", NULL, EVERYBODY(204), 0 },
	{ "GET", "/v1/contacts", NULL, EVERYBODY(200), 0 },
	{ "PUT", "/v1/contacts/{name}", NULL, EVERYBODY(200), 0 },
	{ "DELETE", "/v1/contacts/{name}", NULL, EVERYBODY(204), 0 },
	{ "GET", "/v1/blocks", NULL, EVERYBODY(200), 0 },
	{ "PUT", "/v1/blocks/{name}", NULL, EVERYBODY(204), 0 },
	{ "DELETE", "/v1/blocks/{name}", NULL, EVERYBODY(204), 0 },
	{ "GET", "/v1/presence?users={name}", NULL, EVERYBODY(200), 0 },
	{ "PUT", "/v1/presence", "{'state':'online'}", EVERYBODY(200), 0 },
	{ "GET", "/v1/poll?wait=0", NULL, EVERYBODY(200), 0 },
	{ "GET", "/v1/mentions", NULL, EVERYBODY(200), 0 },
	{ "GET", "/v1/search?q=owner", NULL, EVERYBODY(200), 0 },
	{ "GET", "/v1/search?q=owner&chat={chat}", NULL, INSIDE(200, 200, 200, 200), 0 },
	/* for administrators of the server */
	{ "GET", "/v1/admin/users", NULL, SERVER(200), 0 },
	{ "POST", "/v1/admin/users", "{'name':'made.by.{me}'}", SERVER(201), 0 },
	{ "DELETE", "/v1/admin/users/{doomed}", NULL, SERVER(204), 0 },
	{ "DELETE", "/v1/admin/users/{other}/avatar", NULL, SERVER(204), 0 },
	{ "DELETE", "/v1/admin/users/nobody.here/avatar", NULL, SERVER(404), 0 },
	{ "POST", "/v1/admin/users/{other}/disable", NULL, SERVER(200), 0 },
	{ "POST", "/v1/admin/users/{other}/enable", NULL, SERVER(200), 0 },
	{ "POST", "/v1/admin/users/{other}/promote", NULL, SERVER(200), 0 },
	{ "POST", "/v1/admin/users/{other}/demote", NULL, SERVER(200), 0 },
	{ "POST", "/v1/admin/users/{other}/reset", NULL, SERVER(201), 0 },
	{ "GET", "/v1/admin/invites", NULL, SERVER(200), 0 },
	{ "POST", "/v1/admin/invites", "{}", SERVER(201), 0 },
	{ "DELETE", "/v1/admin/invites/{absent}", NULL, { 403, 404, 403, 403, 403, 403, 403, 403 }, 0 },
	{ "GET", "/v1/admin/audit", NULL, SERVER(200), 0 },
	{ "GET", "/v1/admin/reports", NULL, SERVER(200), 0 },
	{ "POST", "/v1/admin/announcements", "{'text':'x'}", SERVER(201), 0 },
	{ "DELETE", "/v1/admin/announcements/{absent}", NULL, SERVER(404), 0 },
	{ "GET", "/v1/admin/maintenance", NULL, SERVER(200), 0 },
	{ "DELETE", "/v1/admin/maintenance", NULL, SERVER(200), 0 },
	{ "GET", "/v1/admin/chats", NULL, SERVER(200), 0 },
	{ "GET", "/v1/admin/chats/{chat}", NULL, SERVER(200), 0 },
	{ "GET", "/v1/admin/chats/{absent}", NULL, SERVER(404), 0 },
	{ "PATCH", "/v1/admin/chats/{chat}", "{'retention':31536000}", SERVER(200), 0 },
	{ "PATCH", "/v1/admin/chats/{absent}", "{'retention':31536000}", SERVER(404), 0 },
	{ "GET", "/v1/admin/chats/{chat}/members", NULL, SERVER(200), 0 },
	{ "GET", "/v1/admin/chats/{absent}/members", NULL, SERVER(404), 0 },
	{ "GET", "/v1/admin/retention", NULL, SERVER(200), 0 },
	{ "PATCH", "/v1/admin/retention", "{'retention':0}", SERVER(200), 0 },
	{ "POST", "/v1/admin/reports/{absent}/resolve", NULL, SERVER(404), 0 },
	{ "POST", "/v1/admin/reports/{absent}/resolve", "{'action':'delete_message'}", SERVER(404), 0 },
	{ "DELETE", "/v1/admin/chats/{chat}", NULL, SERVER(204), 0 },
	/* for every user */
	{ "GET", "/v1/announcements", NULL, EVERYBODY(200), 0 },
	{ "GET", "/v1/users", NULL, EVERYBODY(200), 0 },
	{ "GET", "/v1/users/{name}", NULL, EVERYBODY(200), 0 },
	{ "GET", "/v1/users/{name}/avatar", NULL, EVERYBODY(200), 0 },
	{ "GET", "/v1/users/{other}/avatar", NULL, EVERYBODY(404), 0 },
};

enum { ROWS = sizeof(table) / sizeof(table[0]) };

/* Routes without permissions, tested elsewhere. */
static const char *const elsewhere[] = { "POST /v1/session", "DELETE /v1/session", "GET /v1/stream", "GET /healthz",
	"GET /readyz", "GET /metrics", "GET /openapi.json", "PUT /v1/admin/maintenance", "POST /v1/accounts",
	"DELETE /v1/me", "POST /v1/me/password", "POST /v1/password-reset", NULL };

static void make_people(void)
{
	if (extra != NULL)
		return;
	PGconn *db = database_open(test_server());
	for (int i = 0; i < ALL; i++)
		people[i] = user(format("matrix%d", i));
	extra = user("matrix.extra");
	expect_status(put(extra, "/v1/me/avatar", TINY_GIF), 200);
	user("matrix.new");
	user("matrix.other");
	user("matrix.doomed");
	snprintf(token, sizeof(token), "%s",
		sql(db, "select id from postern.credential where name = '%s'", extra->name));
	sql(db, "update postern.account set admin = true where name = '%s'", people[SERVER_ADMIN]->name);
	sql(db, "update postern.credential set expires_at = clock_timestamp() - interval '1 minute' where name = '%s'",
		people[EXPIRED]->name);
	struct answer channel = expect_status(post(extra, "/v1/chats", "{'kind':'channel','title':'Channel'}"), 201);
	expect_status(
		patch(extra, format("/v1/chats/%lld", json_num(channel.json, "id")), "{'handle':'matrix-channel'}"),
		200);
	expect_status(put(extra, member_path(json_num(channel.json, "id"), people[BANNED]), NULL), 200);
	expect_status(put(extra, member_path(json_num(channel.json, "id"), people[BANNED]), "{'state':'banned'}"), 200);
	server_command(test_server(), NULL, "user", "disable", people[DISABLED]->name);
	static struct client none; /* a request without credentials */
	none = *people[NOBODY];
	none.token = NULL;
	people[NOBODY] = &none;
}

struct fixture {
	long long chat, id, gone, mine[ALL];
};

/* Creates a group for one request, in which each user has the role that their name says. */
static struct fixture make_fixture(void)
{
	struct fixture p = { 0 };
	struct client *owner = people[OWNER];
	p.chat = make_group(owner, people[FORMER], people[BANNED], people[MUTED], people[MEMBER], people[ADMIN], extra);
	p.id = say(owner, p.chat, "of the owner");
	p.gone = say(owner, p.chat, "gone");
	for (int i = 0; i < ALL; i++)
		p.mine[i] = i == FORMER || i == BANNED || i == MUTED || i == MEMBER || i == ADMIN
			? say(people[i], p.chat, "mine")
			: p.id;
	expect_status(del(owner, "%s", message_path(p.chat, p.gone)), 204);
	expect_status(put(owner, member_path(p.chat, people[ADMIN]), "{'role':'admin'}"), 200);
	expect_status(put(owner, member_path(p.chat, people[MUTED]), "{'muted_until':'2999-01-01T00:00:00Z'}"), 200);
	expect_status(del(owner, "%s", member_path(p.chat, people[FORMER])), 204);
	expect_status(put(owner, member_path(p.chat, people[BANNED]), "{'state':'banned'}"), 200);
	return p;
}

static char *replace_first(char *text, const char *what, const char *by)
{
	char *at = text != NULL ? strstr(text, what) : NULL;
	return at == NULL ? text : format("%.*s%s%s", (int)(at - text), text, by, at + strlen(what));
}

static char *fill_in(const char *text, const struct fixture *p, enum who who)
{
	char *s = text ? format("%s", text) : NULL;
	s = replace_first(s, "{chat}", format("%lld", p->chat));
	s = replace_first(s, "{id}", format("%lld", p->id));
	s = replace_first(s, "{mine}", format("%lld", p->mine[who]));
	s = replace_first(s, "{gone}", format("%lld", p->gone));
	s = replace_first(s, "{name}", extra->name);
	s = replace_first(s, "{new}", "matrix.new");
	s = replace_first(s, "{other}", "matrix.other");
	s = replace_first(s, "{doomed}", "matrix.doomed");
	s = replace_first(s, "{former}", people[FORMER]->name);
	s = replace_first(s, "{banned}", people[BANNED]->name);
	s = replace_first(s, "{owner}", people[OWNER]->name);
	s = replace_first(s, "{me}", people[who]->name);
	s = replace_first(s, "{absent}", "999999999");
	s = replace_first(s, "{emoji}", "%F0%9F%91%8D");
	s = replace_first(s, "{handle}", "matrix-channel");
	if (s != NULL && strstr(s, "{code}") != NULL)
		s = replace_first(s, "{code}",
			json_str(
				expect_status(post(people[OWNER], format("/v1/chats/%lld/invites", p->chat), "{}"), 201)
					.json,
				"code"));
	return replace_first(s, "{token}", token);
}

static struct answer send_row(const struct row *r, const struct fixture *p, enum who who)
{
	char *body = fill_in(r->body, p, who);
	for (char *c = body; c != NULL && *c != '\0'; c++)
		*c = *c == '\'' ? '"' : *c;
	return send_request(people[who], r->method, fill_in(r->path, p, who), body ? "application/json" : NULL, body,
		body ? strlen(body) : 0);
}

static char *complaints;

/* Reports every wrong status, not only the first. */
static void check(const struct row *r, struct answer a, enum who who, int expected, const char *where)
{
	if (a.status != expected)
		complaints = format("%s%s %s by %s%s: %d, not %d: %.200s\n", complaints, r->method, r->path, names[who],
			where, a.status, expected, a.body);
	test_restart_timeout();
}

static const char *without_id(struct answer a)
{
	char *s = format("%s", a.body), *id = strstr(s, "\"request_id\"");
	if (id != NULL)
		*id = '\0';
	return s;
}

static void check_row(const struct row *r)
{
	bool about_chat = strncmp(r->path, "/v1/chats/{chat}", 16) == 0;
	struct fixture p = make_fixture(), absent = p;
	absent.chat = 999999999;
	for (int who = 0; who < DISABLED; who++) {
		struct answer a = send_row(r, &p, (enum who)who);
		check(r, a, (enum who)who, r->expected[who], "");
		if (about_chat && who <= BANNED) { /* as if the chat were absent */
			struct answer none = send_row(r, &absent, (enum who)who);
			check(r, none, (enum who)who, 404, ", of an absent chat");
			ck_assert_str_eq(without_id(a), without_id(none));
		}
		if (about_chat && a.status / 100 == 2 && strcmp(r->method, "GET") != 0)
			p = make_fixture();
	}
	for (int who = DISABLED; who < ALL; who++)
		check(r, send_row(r, &p, (enum who)who), (enum who)who, 401, "");
	if (about_chat) {
		expect_status(del(people[OWNER], "/v1/chats/%lld", p.chat), 204);
		check(r, send_row(r, &p, OWNER), OWNER, r->deleted, ", of a deleted chat");
	}
}

START_TEST(permissions_match_the_table)
{
	make_people();
	complaints = format("%s", "");
	for (int i = 0; i < ROWS; i++)
		check_row(&table[i]);
	ck_assert_msg(*complaints == '\0', "%s", complaints);
}
END_TEST

/* Normalizes a path to that of openapi.json: without query, {new}, {me}, {mine} and {gone} as {name} or {id}. */
static char *route_of(const struct row *r)
{
	char *path = format("%s", r->path);
	static const char *const same[][2] = { { "{new}", "{name}" }, { "{other}", "{name}" }, { "{doomed}", "{name}" },
		{ "{me}", "{name}" }, { "{former}", "{name}" }, { "{banned}", "{name}" }, { "{owner}", "{name}" },
		{ "{mine}", "{id}" }, { "{gone}", "{id}" }, { "{token}", "{id}" }, { "{absent}", "{id}" },
		{ "{handle}", "{name}" } };
	for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++)
		path = replace_first(path, same[i][0], same[i][1]);
	path[strcspn(path, "?")] = '\0';
	return format("%s %s", r->method, path);
}

static bool has_row(const char *route)
{
	for (int i = 0; i < ROWS; i++)
		if (strcmp(route_of(&table[i]), route) == 0)
			return true;
	for (int i = 0; elsewhere[i] != NULL; i++)
		if (strcmp(elsewhere[i], route) == 0)
			return true;
	return false;
}

START_TEST(permissions_table_covers_every_route)
{
	struct answer a = expect_status(get(anonymous(), "/openapi.json"), 200);
	char *missing = format("%s", "");
	json_object_object_foreach(json_at(a.json, "paths"), path, item)
	{
		json_object_object_foreach(item, method, operation)
		{
			(void)operation;
			char *name = format("%s %s", method, path);
			for (char *c = name; *c != ' '; c++)
				*c = (char)(*c >= 'a' && *c <= 'z' ? *c - 32 : *c);
			if (strcmp(method, "parameters") != 0)
				missing = has_row(name) ? missing : format("%s, %s", missing, name);
		}
	}
	ck_assert_msg(*missing == '\0', "without a row%s", missing);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = { permissions_match_the_table, permissions_table_covers_every_route, NULL };
	return suite_run("matrix", tests, NULL);
}
