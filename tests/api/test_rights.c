/* SPDX-License-Identifier: MIT
 * Who may what in a group: every route of it, asked by everyone. One table says what is right. */
#include <stdio.h>
#include <string.h>

#include "../lib/client.h"
#include "../lib/database.h"
#include "../lib/suite.h"

enum who { STRANGER, FORMER, BANNED, MUTED, MEMBER, ADMIN, OWNER, SERVER_ADMIN, DISABLED, EXPIRED, EVERYONE };
static const char *const names[EVERYONE] = { "stranger", "former", "banned", "muted", "member", "admin", "owner", "server-admin", "disabled", "expired" };

/* Those who aren't members, then what the muted, members, admins and the owner get, then the server's administrator and whoever isn't let in. */
#define OUTSIDE 404, 404, 404
#define INSIDE(muted, member, admin, owner) { OUTSIDE, muted, member, admin, owner, 404, 401, 401 }
#define COMES_IN { 200, 200, 404, 200, 200, 200, 200, 200, 401, 401 }

/* In a path: C is the chat, I an invite's code, H the channel's public name. */
static const struct right {
	const char *method, *path, *body;
	int status[EVERYONE];
} rights[] = {
	{ "GET", "/v1/chats/C", NULL, INSIDE(200, 200, 200, 200) },
	{ "PATCH", "/v1/chats/C", "{\"title\":\"x\"}", INSIDE(403, 403, 200, 200) },
	{ "PATCH", "/v1/chats/C", "{\"history\":\"joined\"}", INSIDE(403, 403, 200, 200) },
	{ "PATCH", "/v1/chats/C", "{\"posting\":\"admins\"}", INSIDE(403, 403, 200, 200) },
	{ "PATCH", "/v1/chats/C", "{\"slow_mode\":5}", INSIDE(403, 403, 200, 200) },
	{ "PATCH", "/v1/chats/C", "{\"rate_limit\":5}", INSIDE(403, 403, 200, 200) },
	{ "PATCH", "/v1/chats/C", "{\"adding\":\"members\"}", INSIDE(403, 403, 403, 200) },
	{ "DELETE", "/v1/chats/C", NULL, INSIDE(403, 403, 403, 204) },
	{ "GET", "/v1/chats/C/members", NULL, INSIDE(200, 200, 200, 200) },
	{ "GET", "/v1/chats/C/members?state=banned", NULL, INSIDE(403, 403, 200, 200) },
	{ "POST", "/v1/chats/C/members", "{\"add\":[\"newcomer\"]}", INSIDE(403, 403, 200, 200) },
	{ "POST", "/v1/chats/C/members", "{\"remove\":[\"other\"]}", INSIDE(403, 403, 200, 200) },
	{ "PUT", "/v1/chats/C/members/newcomer", "{}", INSIDE(403, 403, 200, 200) },
	{ "PUT", "/v1/chats/C/members/newcomer", "{\"role\":\"admin\"}", INSIDE(403, 403, 403, 200) },
	{ "PUT", "/v1/chats/C/members/other", "{\"role\":\"admin\"}", INSIDE(403, 403, 403, 200) },
	{ "PUT", "/v1/chats/C/members/other", "{\"role\":\"owner\"}", INSIDE(403, 403, 403, 200) },
	{ "PUT", "/v1/chats/C/members/other", "{\"muted_until\":\"2100-01-01T00:00:00Z\"}", INSIDE(403, 403, 200, 200) },
	{ "PUT", "/v1/chats/C/members/other", "{\"state\":\"banned\"}", INSIDE(403, 403, 200, 200) },
	{ "PUT", "/v1/chats/C/members/former", "{\"state\":\"banned\"}", INSIDE(403, 403, 200, 200) },
	{ "PUT", "/v1/chats/C/members/newcomer", "{\"state\":\"banned\"}", INSIDE(403, 403, 404, 404) },
	{ "PUT", "/v1/chats/C/members/owner", "{\"state\":\"banned\"}", INSIDE(403, 403, 403, 403) },
	{ "PUT", "/v1/chats/C/members/banned", "{\"state\":\"left\"}", INSIDE(403, 403, 200, 200) },
	{ "PUT", "/v1/chats/C/members/banned", "{}", INSIDE(403, 403, 403, 403) },
	{ "DELETE", "/v1/chats/C/members/other", NULL, INSIDE(403, 403, 204, 204) },
	{ "DELETE", "/v1/chats/C/members/owner", NULL, INSIDE(403, 403, 403, 204) },
	{ "GET", "/v1/chats/C/invites", NULL, INSIDE(403, 403, 200, 200) },
	{ "POST", "/v1/chats/C/invites", "{}", INSIDE(403, 403, 201, 201) },
	{ "DELETE", "/v1/chats/C/invites/999999", NULL, INSIDE(403, 403, 404, 404) },
	{ "GET", "/v1/chats/C/audit", NULL, INSIDE(403, 403, 200, 200) },
	{ "POST", "/v1/chats/C/messages", "{\"text\":\"x\"}", INSIDE(403, 201, 201, 201) },
	{ "GET", "/v1/chats/C/messages", NULL, INSIDE(200, 200, 200, 200) },
	{ "GET", "/v1/invites/I", NULL, COMES_IN },
	{ "POST", "/v1/invites/I", NULL, COMES_IN },
	{ "GET", "/v1/channels/H", NULL, COMES_IN },
	{ "POST", "/v1/channels/H", NULL, COMES_IN },
	{ "GET", "/v1/channels", NULL, { 200, 200, 200, 200, 200, 200, 200, 200, 401, 401 } },
};
enum { RIGHTS = sizeof(rights) / sizeof(rights[0]) };

static struct client *people[EVERYONE];

static struct client *with_token(const char *name, bool admin)
{
	static struct client made[2];
	struct client *c = &made[admin];
	if (admin)
		server_command(house(), PASSWORD "\n", "user", "add", name, "--admin");
	*c = (struct client) { .name = name, .token = strdup(server_command(house(), NULL, "token", name, "--label", "rights")), .server = house() };
	return c;
}

static void gather_people(void)
{
	for (int i = 0; i < EVERYONE; i++)
		people[i] = i == SERVER_ADMIN ? with_token(names[i], true) : user(names[i]);
	user("other"), user("newcomer");
	server_command(house(), NULL, "user", "disable", names[DISABLED]);
	people[EXPIRED] = with_token(names[EXPIRED], false);
	sql(database(house()), "update postern.credential set expires_at = now() - interval '1 h' where name = '%s'", names[EXPIRED]);
}

/* A chat in which everybody is what his name says. */
static long long assemble(const char *kind)
{
	const struct client *owner = people[OWNER];
	long long chat = num(is(post(owner, "/v1/chats", "{'kind':'%s','title':'x','members':['former','banned','muted','member','admin','other','expired']}", kind), 201).json, "id");
	is(put(owner, member(chat, people[ADMIN]), "{'role':'admin'}"), 200);
	is(put(owner, member(chat, people[MUTED]), "{'muted_until':'2100-01-01T00:00:00Z'}"), 200);
	is(put(owner, member(chat, people[BANNED]), "{'state':'banned'}"), 200);
	is(del(people[FORMER], "%s", member(chat, people[FORMER])), 204);
	return chat;
}

static char *path_of(const struct right *r, long long chat)
{
	if (strstr(r->path, "/I") != NULL)
		return format("/v1/invites/%s", str(is(post(people[OWNER], to("/v1/chats/%lld/invites", chat), "{}"), 201).json, "code"));
	if (strstr(r->path, "/H") != NULL) {
		is(patch(people[OWNER], to("/v1/chats/%lld", chat), "{'handle':'rights-%lld'}", chat), 200);
		return format("/v1/channels/rights-%lld", chat);
	}
	const char *c = strstr(r->path, "/C");
	return c != NULL ? format("%.*s/%lld%s", (int)(c - r->path), r->path, chat, c + 2) : format("%s", r->path);
}

static struct answer ask_for(const struct right *r, const struct client *who, const char *path)
{
	return ask(who, r->method, path, r->body ? "application/json" : NULL, r->body, r->body ? strlen(r->body) : 0);
}

START_TEST(everyone_gets_what_is_his)
{
	gather_people();
	for (const struct right *r = rights; r < rights + RIGHTS; r++) {
		test_moves();
		for (int i = 0; i < EVERYONE; i++) {
			char *path = path_of(r, assemble(strstr(r->path, "/H") ? "channel" : "group"));
			struct answer a = ask_for(r, people[i], path);
			ck_assert_msg(a.status == r->status[i], "%s %s %s by %s: %d, not %d: %s", r->method, r->path, r->body ? r->body : "", names[i], a.status,
				r->status[i], a.body);
		}
	}
}
END_TEST

/* Of a chat that is gone nobody gets anything. */
START_TEST(what_is_gone_is_nobodys)
{
	for (const struct right *r = rights; r < rights + RIGHTS; r++) {
		if (strcmp(r->path, "/v1/channels") == 0)
			continue;
		test_moves();
		long long chat = assemble(strstr(r->path, "/H") ? "channel" : "group");
		char *path = path_of(r, chat);
		is(del(people[OWNER], "/v1/chats/%lld", chat), 204);
		for (int i = 0; i < DISABLED; i++) {
			struct answer a = ask_for(r, people[i], path);
			ck_assert_msg(a.status == 404, "%s %s by %s: %d: %s", r->method, r->path, names[i], a.status, a.body);
		}
	}
}
END_TEST

int main(void)
{
	static const char *const flags[] = { "--rate-sends", "0", "--rate-joins", "0", NULL };
	const TTest *const tests[] = { everyone_gets_what_is_his, what_is_gone_is_nobodys, NULL };
	return suite_run("rights", tests, flags);
}
