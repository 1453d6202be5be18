/* SPDX-License-Identifier: MIT
 * The route table, by resource. A row: method, path, scope, rate limit, handler, the handler's call, flags. A row with
 * call_handle() and one SQL function are the whole implementation of an endpoint; openapi.json describes it to clients,
 * and a test compares the two. */
#include "api/api.h"
#include "api/call.h"
#include "api/limit.h"
#include "api/pages.h"

#define RETENTION_MAX 1000000000 /* 31 years */

/* clang-format off */
#define ME { .from = FROM_ME }
#define CHAT { .from = FROM_VAR, .name = "chat", .type = TYPE_CHAT }
#define ID { .from = FROM_VAR, .name = "id", .type = TYPE_ID }
#define EMOJI(source) { .from = source, .name = "emoji", .type = TYPE_EMOJI }
#define NAME { .from = FROM_VAR, .name = "name", .type = TYPE_NAME }
#define CODE { .from = FROM_VAR, .name = "code", .type = TYPE_CODE }
#define LIMIT(most, usual) \
	{ .from = FROM_QUERY, .name = "limit", .type = TYPE_INT, .min = 1, .max = most, .preset = usual }
#define POSITION(source, n) \
	{ .from = source, .name = n, .type = TYPE_INT, .min = 0, .max = INT64_MAX - 1, .required = true }
#define ZERO_IS_NONE(n, most) \
	{ .from = FROM_BODY, .name = n, .type = TYPE_INT, .min = 0, .max = most, .null_is = "0" }
#define ADDING_LIMITS { .from = FROM_CHATS_MAX }, { .from = FROM_RATE_STRANGERS }
#define CURSOR(n) { .from = FROM_QUERY, .name = n, .type = TYPE_CURSOR }
#define NAME_CURSOR { .from = FROM_QUERY, .name = "cursor", .type = TYPE_TEXT, .max = 64 }
/* clang-format on */

static const char *const kinds[] = { "direct", "group", "channel", NULL };
static const char *const histories[] = { "all", "joined", NULL };
static const char *const presences[] = { "everybody", "contacts", "nobody", NULL };
static const char *const who_may_adds[] = { "everybody", "known", "nobody", NULL };
static const char *const presence_states[] = { "online", "away", NULL };
static const char *const system_messages[] = { "all", "none", NULL };
static const char *const orders[] = { "time", "rank", NULL };
static const char *const has[] = { "media", NULL };
static const char *const roles[] = { "owner", "admin", "member", NULL };
static const char *const posters[] = { "members", "admins", NULL };
static const char *const adders[] = { "members", "admins", "owner", NULL };
static const char *const states[] = { "joined", "left", "banned", NULL };
static const char *const report_actions[] = { "none", "delete_message", NULL };
static const char *const report_states[] = { "open", "resolved", NULL };
static const char *const listed[] = { "joined", "banned", NULL };

static const struct call me_get = { "select body from me_get($1)", { ME } };
static const struct call me_patch = { "select pos, body from me_patch($1, $2, $3, $4, $5)",
	{ ME, { .from = FROM_BODY, .name = "display_name", .type = TYPE_TEXT, .max = 100, .null_is = "" },
		{ .from = FROM_BODY, .name = "presence", .type = TYPE_TEXT, .max = 16, .one_of = presences },
		{ .from = FROM_BODY, .name = "about", .type = TYPE_TEXT, .max = 500, .null_is = "" },
		{ .from = FROM_BODY, .name = "who_may_add", .type = TYPE_TEXT, .max = 16, .one_of = who_may_adds } } };
static const struct call avatar_delete = { "select pos, body from avatar_delete($1)", { ME } };
static const struct call users = { "select body from users($1, $2, $3)",
	{ { .from = FROM_QUERY, .name = "q", .type = TYPE_TEXT, .max = 100 }, NAME_CURSOR, LIMIT(200, "50") } };
static const struct call user_get = { "select body from user_get($1)", { NAME } };
static const struct call token_list = { "select body from token_list($1, $2)", { ME, { .from = FROM_CREDENTIAL } } };
static const struct call admin_users = { "select body from admin_users($1, $2, $3)",
	{ ME, NAME_CURSOR, LIMIT(200, "50") } };
static const struct call admin_disable = { "select pos, body from admin_user_set_state($1, $2, 'disabled')",
	{ ME, NAME } };
static const struct call admin_enable = { "select pos, body from admin_user_set_state($1, $2, 'active')",
	{ ME, NAME } };
static const struct call admin_promote = { "select body from admin_user_set_admin($1, $2, true)", { ME, NAME } };
static const struct call admin_demote = { "select body from admin_user_set_admin($1, $2, false)", { ME, NAME } };
static const struct call admin_user_delete = { "select pos, body from admin_user_delete($1, $2)", { ME, NAME } };
static const struct call admin_avatar_delete = { "select pos, body from admin_avatar_delete($1, $2)", { ME, NAME } };
static const struct call admin_invites = { "select body from admin_invites($1)", { ME } };
static const struct call admin_invite_delete = { "select body from admin_invite_delete($1, $2)", { ME, ID } };
static const struct call admin_audit = { "select body from admin_audit_list($1, $2, $3)",
	{ ME, CURSOR("cursor"), LIMIT(200, "50") } };
static const struct call chats = { "select body from chats($1, $2, $3)", { ME, CURSOR("cursor"), LIMIT(200, "100") } };
static const struct call chat_create = {
	"select pos, status, body from chat_create($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
	{ ME, { .from = FROM_BODY, .name = "kind", .type = TYPE_TEXT, .max = 16, .one_of = kinds, .required = true },
		{ .from = FROM_BODY, .name = "title", .type = TYPE_TEXT, .max = 200 },
		{ .from = FROM_BODY, .name = "members", .type = TYPE_NAMES },
		{ .from = FROM_BODY, .name = "history", .type = TYPE_TEXT, .max = 16, .one_of = histories },
		{ .from = FROM_MEMBERS_MAX }, { .from = FROM_BODY, .name = "handle", .type = TYPE_TEXT, .max = 64 },
		{ .from = FROM_BODY,
			.name = "system_messages",
			.type = TYPE_TEXT,
			.max = 16,
			.one_of = system_messages },
		ADDING_LIMITS }
};
static const struct call chat_get = { "select body from chat_get($1, $2)", { ME, CHAT } };
static const struct call chat_patch = {
	"select pos, body from chat_patch($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
	{ ME, CHAT, { .from = FROM_BODY, .name = "title", .type = TYPE_TEXT, .max = 200 },
		{ .from = FROM_BODY, .name = "history", .type = TYPE_TEXT, .max = 16, .one_of = histories },
		{ .from = FROM_BODY, .name = "handle", .type = TYPE_TEXT, .max = 64, .null_is = "" },
		{ .from = FROM_BODY, .name = "posting", .type = TYPE_TEXT, .max = 16, .one_of = posters },
		{ .from = FROM_BODY, .name = "adding", .type = TYPE_TEXT, .max = 16, .one_of = adders },
		ZERO_IS_NONE("slow_mode", 86400), ZERO_IS_NONE("rate_limit", 100000),
		ZERO_IS_NONE("message_ttl", 31536000),
		{ .from = FROM_BODY,
			.name = "system_messages",
			.type = TYPE_TEXT,
			.max = 16,
			.one_of = system_messages } }
};
static const struct call chat_delete = { "select pos, body from chat_delete($1, $2)", { ME, CHAT } };
static const struct call members = { "select body from members($1, $2, $3, $4, $5)",
	{ ME, CHAT,
		{ .from = FROM_QUERY,
			.name = "state",
			.type = TYPE_TEXT,
			.max = 16,
			.one_of = listed,
			.preset = "joined" },
		NAME_CURSOR, LIMIT(1000, "200") } };
static const struct call members_change = { "select pos, body from members_change($1, $2, $3, $4, $5, $6, $7)",
	{ ME, CHAT, { .from = FROM_BODY, .name = "add", .type = TYPE_NAMES, .max = 10000 },
		{ .from = FROM_BODY, .name = "remove", .type = TYPE_NAMES, .max = 10000 }, { .from = FROM_MEMBERS_MAX },
		ADDING_LIMITS } };
static const struct call member_put = { "select pos, status, body from member_set($1, $2, $3, $4, $5, $6, $7, $8, $9)",
	{ ME, CHAT, NAME, { .from = FROM_BODY, .name = "role", .type = TYPE_TEXT, .max = 16, .one_of = roles },
		{ .from = FROM_BODY, .name = "muted_until", .type = TYPE_TIME, .null_is = "epoch" },
		{ .from = FROM_BODY, .name = "state", .type = TYPE_TEXT, .max = 16, .one_of = states },
		{ .from = FROM_MEMBERS_MAX }, ADDING_LIMITS } };
static const struct call member_delete = { "select pos, body from member_delete($1, $2, $3)", { ME, CHAT, NAME } };
static const struct call invite_create = { "select status, body from invite_create($1, $2, $3, $4)",
	{ ME, CHAT, { .from = FROM_BODY, .name = "expires_at", .type = TYPE_TIME },
		{ .from = FROM_BODY, .name = "max_uses", .type = TYPE_INT, .min = 1, .max = 1000000 } } };
static const struct call invites = { "select body from invites($1, $2)", { ME, CHAT } };
static const struct call invite_revoke = { "select body from invite_revoke($1, $2, $3)", { ME, CHAT, ID } };
static const struct call invite_get = { "select body from invite_get($1, $2)", { ME, CODE } };
static const struct call invite_join = { "select pos, body from invite_join($1, $2, $3, $4)",
	{ ME, CODE, { .from = FROM_MEMBERS_MAX }, { .from = FROM_CHATS_MAX } } };
static const struct call chat_requests = { "select body from chat_requests($1)", { ME } };
static const struct call chat_request_accept = { "select pos, body from chat_request_accept($1, $2, $3, $4)",
	{ ME, ID, { .from = FROM_MEMBERS_MAX }, { .from = FROM_CHATS_MAX } } };
static const struct call chat_request_decline = { "select body from chat_request_decline($1, $2)", { ME, ID } };
static const struct call channels = { "select body from channels($1, $2, $3, $4)",
	{ ME, { .from = FROM_QUERY, .name = "q", .type = TYPE_TEXT, .max = 100 }, NAME_CURSOR, LIMIT(200, "50") } };
static const struct call channel_get = { "select body from channel_get($1, $2)", { ME, NAME } };
static const struct call channel_join = { "select pos, body from channel_join($1, $2, $3, $4)",
	{ ME, NAME, { .from = FROM_MEMBERS_MAX }, { .from = FROM_CHATS_MAX } } };
static const struct call audit_list = { "select body from audit_list($1, $2, $3, $4)",
	{ ME, CHAT, CURSOR("cursor"), LIMIT(200, "50") } };
static const struct call history = {
	"select older, newer, body from history($1, $2, $3, $4, $5, $6) where reaches($7, $8)",
	{ ME, CHAT, CURSOR("before"), CURSOR("after"), CURSOR("around"), LIMIT(200, "50") }
};
static const struct call message_get = { "select rev, body from message_get($1, $2, $3)", { ME, CHAT, ID } };
static const struct call message_edit = { "select pos, rev, body from message_edit($1, $2, $3, $4, $5, $6, $7)",
	{ ME, CHAT, ID, { .from = FROM_BODY, .name = "text", .type = TYPE_TEXT, .min = 1, .null_is = "" },
		{ .from = FROM_BODY, .name = "content", .type = TYPE_OBJECT }, { .from = FROM_IF_MATCH },
		{ .from = FROM_MENTIONS, .name = "text" } } };
static const struct call message_delete = { "select pos, body from message_delete($1, $2, $3)", { ME, CHAT, ID } };
const struct call call_delivered = { "select code, detail, body from mark($1, $2, $3, null)",
	{ ME, CHAT, POSITION(FROM_BODY, "up_to") } };
static const struct call mark_read = { "select code, detail, body from mark($1, $2, null, $3)",
	{ ME, CHAT, POSITION(FROM_BODY, "up_to") } };
static const struct call reaction_put = { "select pos, body from reaction_put($1, $2, $3, $4, $5)",
	{ ME, CHAT, ID, EMOJI(FROM_VAR), { .from = FROM_REACTIONS_MAX } } };
static const struct call reaction_delete = { "select pos, body from reaction_delete($1, $2, $3, $4)",
	{ ME, CHAT, ID, EMOJI(FROM_VAR) } };
static const struct call reactions = { "select body from reactions($1, $2, $3, $4, $5, $6)",
	{ ME, CHAT, ID, EMOJI(FROM_QUERY), CURSOR("cursor"), LIMIT(1000, "200") } };
static const struct call pin_put = { "select pos, body from pin_put($1, $2, $3)", { ME, CHAT, ID } };
static const struct call pin_delete = { "select pos, body from pin_delete($1, $2, $3)", { ME, CHAT, ID } };
static const struct call pins = { "select body from pins($1, $2, $3, $4)",
	{ ME, CHAT, CURSOR("cursor"), LIMIT(200, "50") } };
static const struct call threads = { "select body from threads($1, $2, $3, $4)",
	{ ME, CHAT, CURSOR("cursor"), LIMIT(200, "50") } };
static const struct call thread_get = { "select body from thread_get($1, $2, $3, $4, $5)",
	{ ME, CHAT, ID, CURSOR("cursor"), LIMIT(200, "50") } };
static const struct call thread_read = { "select body from thread_read($1, $2, $3, $4)",
	{ ME, CHAT, ID, POSITION(FROM_BODY, "up_to") } };
static const struct call mentions = { "select body from mentions($1, $2, $3)",
	{ ME, CURSOR("cursor"), LIMIT(200, "50") } };
static const struct call edits = { "select body from edits($1, $2, $3)", { ME, CHAT, ID } };
static const struct call report_add = { "select body from report_add($1, $2, $3, $4)",
	{ ME, CHAT, ID, { .from = FROM_BODY, .name = "reason", .type = TYPE_TEXT, .max = 1000 } } };
static const struct call reports = { "select body from reports($1, $2, $3, $4)",
	{ ME, { .from = FROM_QUERY, .name = "state", .type = TYPE_TEXT, .max = 16, .one_of = report_states },
		CURSOR("cursor"), LIMIT(200, "50") } };
static const struct call report_resolve = { "select pos, body from report_resolve($1, $2, $3)",
	{ ME, ID,
		{ .from = FROM_BODY,
			.name = "action",
			.type = TYPE_TEXT,
			.max = 16,
			.one_of = report_actions,
			.preset = "none" } } };
static const struct call search = {
	"select body from search($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) where reaches($11, $12)",
	{ ME, { .from = FROM_QUERY, .name = "q", .type = TYPE_TEXT, .min = 1, .max = 200, .required = true },
		{ .from = FROM_QUERY, .name = "chat", .type = TYPE_CHAT },
		{ .from = FROM_QUERY, .name = "from", .type = TYPE_NAME },
		{ .from = FROM_QUERY, .name = "before", .type = TYPE_TEXT, .max = 40 },
		{ .from = FROM_QUERY, .name = "after", .type = TYPE_TEXT, .max = 40 },
		{ .from = FROM_QUERY, .name = "has", .type = TYPE_TEXT, .max = 16, .one_of = has },
		{ .from = FROM_QUERY,
			.name = "order",
			.type = TYPE_TEXT,
			.max = 16,
			.one_of = orders,
			.preset = "time" },
		{ .from = FROM_QUERY, .name = "cursor", .type = TYPE_TEXT, .max = 80 }, LIMIT(100, "20") }
};
static const struct call receipts = { "select body from receipts($1, $2)", { ME, CHAT } };
static const struct call message_receipts = { "select body from message_receipts($1, $2, $3)", { ME, CHAT, ID } };

static const struct call typing = { "select code, detail, body from typing($1, $2, $3)",
	{ ME, CHAT, { .from = FROM_THROTTLE, .name = "typing", .max = 3000 } } };
static const struct call signal = { "select code, detail, body from signal($1, $2, $3, $4, $5)",
	{ ME, CHAT, { .from = FROM_BODY, .name = "type", .type = TYPE_TEXT, .min = 1, .max = 64, .required = true },
		{ .from = FROM_BODY, .name = "data", .type = TYPE_OBJECT, .max = 32768, .required = true },
		{ .from = FROM_BODY, .name = "to", .type = TYPE_NAME } } };
static const struct call contacts = { "select body from contacts($1, $2, $3)", { ME, NAME_CURSOR, LIMIT(200, "100") } };
static const struct call contact_put = { "select body from contact_put($1, $2)", { ME, NAME } };
static const struct call contact_delete = { "select body from contact_delete($1, $2)", { ME, NAME } };
static const struct call blocks = { "select body from blocks($1, $2, $3)", { ME, NAME_CURSOR, LIMIT(200, "100") } };
static const struct call block_put = { "select body from block_put($1, $2)", { ME, NAME } };
static const struct call block_delete = { "select body from block_delete($1, $2)", { ME, NAME } };
static const struct call presence_get = { "select body from presence_get($1, $2)",
	{ ME, { .from = FROM_QUERY, .name = "users", .type = TYPE_TEXT, .max = 4000, .required = true } } };
static const struct call presence_put = { "select body from presence_put($1, $2)",
	{ ME,
		{ .from = FROM_BODY,
			.name = "state",
			.type = TYPE_TEXT,
			.max = 16,
			.one_of = presence_states,
			.required = true } } };

/* for administrators */
static const struct call announcements = { "select body from announcements()", { { .from = FROM_END } } };
static const struct call announcement_add = { "select status, body from announcement_add($1, $2, $3)",
	{ ME, { .from = FROM_BODY, .name = "text", .type = TYPE_TEXT, .min = 1, .required = true },
		{ .from = FROM_BODY, .name = "until", .type = TYPE_TIME } } };
static const struct call announcement_delete = { "select body from announcement_delete($1, $2)", { ME, ID } };
static const struct call maintenance_get = { "select body from maintenance_get($1)", { ME } };
static const struct call maintenance_on = { "select body from maintenance_set($1, $2)",
	{ ME, { .from = FROM_BODY, .name = "text", .type = TYPE_TEXT, .min = 1, .max = 1000, .required = true } } };
static const struct call maintenance_off = { "select body from maintenance_set($1, null)", { ME } };
static const struct call admin_chats = { "select body from admin_chats($1, $2, $3)",
	{ ME, CURSOR("cursor"), LIMIT(200, "100") } };
static const struct call admin_chat_get = { "select body from admin_chat_get($1, $2)", { ME, ID } };
static const struct call admin_chat_members = { "select body from admin_chat_members($1, $2, $3, $4, $5)",
	{ ME, ID,
		{ .from = FROM_QUERY,
			.name = "state",
			.type = TYPE_TEXT,
			.max = 16,
			.one_of = listed,
			.preset = "joined" },
		NAME_CURSOR, LIMIT(1000, "200") } };
static const struct call admin_chat_patch = { "select pos, body from admin_chat_patch($1, $2, $3)",
	{ ME, ID, ZERO_IS_NONE("retention", RETENTION_MAX) } };
static const struct call retention_get = { "select body from retention_get($1)", { ME } };
static const struct call retention_set = { "select body from retention_set($1, $2)",
	{ ME,
		{ .from = FROM_BODY,
			.name = "retention",
			.type = TYPE_INT,
			.min = 0,
			.max = RETENTION_MAX,
			.null_is = "0",
			.required = true } } };
static const struct call admin_chat_delete = { "select pos, body from admin_chat_delete($1, $2)", { ME, ID } };

const struct route api_routes[] = {
	/* sessions and tokens */
	{ "POST", "/v1/accounts", SCOPE_NONE, LIMIT_LOGINS, account_register, NULL, ROUTE_PUBLIC | ROUTE_BODY },
	{ "POST", "/v1/me/password", SCOPE_WRITE, LIMIT_LOGINS, password_change, NULL, ROUTE_BODY | ROUTE_ALWAYS },
	{ "POST", "/v1/password-reset", SCOPE_NONE, LIMIT_LOGINS, password_redeem, NULL,
		ROUTE_PUBLIC | ROUTE_BODY | ROUTE_ALWAYS },
	{ "POST", "/v1/session", SCOPE_NONE, LIMIT_LOGINS, session_create, NULL,
		ROUTE_PUBLIC | ROUTE_BODY | ROUTE_ALWAYS },
	{ "DELETE", "/v1/session", SCOPE_WRITE, LIMIT_NONE, session_delete, NULL, ROUTE_ALWAYS },
	{ "POST", "/v1/stream-tickets", SCOPE_WRITE, LIMIT_ACTIONS, ticket_create, NULL, ROUTE_ALWAYS },
	{ "GET", "/v1/tokens", SCOPE_READ, LIMIT_NONE, call_handle, &token_list, 0 },
	{ "POST", "/v1/tokens", SCOPE_WRITE, LIMIT_ACTIONS, token_create, NULL, ROUTE_BODY },
	{ "DELETE", "/v1/tokens/{id}", SCOPE_WRITE, LIMIT_NONE, token_delete, NULL, 0 },

	/* the caller */
	{ "GET", "/v1/announcements", SCOPE_READ, LIMIT_NONE, call_handle, &announcements, 0 },
	{ "GET", "/v1/me", SCOPE_READ, LIMIT_NONE, call_handle, &me_get, 0 },
	{ "PATCH", "/v1/me", SCOPE_WRITE, LIMIT_ACTIONS, call_handle, &me_patch, ROUTE_BODY },
	{ "DELETE", "/v1/me", SCOPE_WRITE, LIMIT_LOGINS, account_delete, NULL, ROUTE_BODY },
	{ "PUT", "/v1/me/avatar", SCOPE_WRITE, LIMIT_ACTIONS, avatar_put, NULL, ROUTE_BODY },
	{ "DELETE", "/v1/me/avatar", SCOPE_WRITE, LIMIT_ACTIONS, call_handle, &avatar_delete, 0 },
	{ "GET", "/v1/me/export", SCOPE_READ, LIMIT_EXPORTS, export_get, NULL, 0 },
	{ "GET", "/v1/mentions", SCOPE_READ, LIMIT_NONE, call_handle, &mentions, 0 },

	/* people */
	{ "GET", "/v1/blocks", SCOPE_READ, LIMIT_NONE, call_handle, &blocks, 0 },
	{ "PUT", "/v1/blocks/{name}", SCOPE_WRITE, LIMIT_ACTIONS, call_handle, &block_put, 0 },
	{ "DELETE", "/v1/blocks/{name}", SCOPE_WRITE, LIMIT_ACTIONS, call_handle, &block_delete, 0 },
	{ "GET", "/v1/contacts", SCOPE_READ, LIMIT_NONE, call_handle, &contacts, 0 },
	{ "PUT", "/v1/contacts/{name}", SCOPE_WRITE, LIMIT_ACTIONS, call_handle, &contact_put, 0 },
	{ "DELETE", "/v1/contacts/{name}", SCOPE_WRITE, LIMIT_ACTIONS, call_handle, &contact_delete, 0 },
	{ "GET", "/v1/presence", SCOPE_READ, LIMIT_NONE, call_handle, &presence_get, 0 },
	{ "PUT", "/v1/presence", SCOPE_WRITE, LIMIT_ACTIONS, call_handle, &presence_put, ROUTE_BODY },
	{ "GET", "/v1/users", SCOPE_READ, LIMIT_ACTIONS, call_handle, &users, 0 },
	{ "GET", "/v1/users/{name}", SCOPE_READ, LIMIT_NONE, call_handle, &user_get, 0 },
	{ "GET", "/v1/users/{name}/avatar", SCOPE_READ, LIMIT_NONE, avatar_get, NULL, ROUTE_TICKET },

	/* chats */
	{ "GET", "/v1/channels", SCOPE_READ, LIMIT_ACTIONS, call_handle, &channels, 0 },
	{ "GET", "/v1/channels/{name}", SCOPE_READ, LIMIT_NONE, call_handle, &channel_get, 0 },
	{ "POST", "/v1/channels/{name}", SCOPE_WRITE, LIMIT_JOINS, call_handle, &channel_join, 0 },
	{ "GET", "/v1/chat-requests", SCOPE_READ, LIMIT_NONE, call_handle, &chat_requests, 0 },
	{ "POST", "/v1/chat-requests/{chat}/accept", SCOPE_WRITE, LIMIT_ACTIONS, call_handle, &chat_request_accept, 0 },
	{ "DELETE", "/v1/chat-requests/{chat}", SCOPE_WRITE, LIMIT_ACTIONS, call_handle, &chat_request_decline, 0 },
	{ "GET", "/v1/chats", SCOPE_READ, LIMIT_NONE, call_handle, &chats, 0 },
	{ "POST", "/v1/chats", SCOPE_WRITE, LIMIT_ACTIONS, call_handle, &chat_create, ROUTE_BODY },
	{ "GET", "/v1/chats/{chat}", SCOPE_READ, LIMIT_NONE, call_handle, &chat_get, 0 },
	{ "PATCH", "/v1/chats/{chat}", SCOPE_WRITE, LIMIT_ACTIONS, call_handle, &chat_patch, ROUTE_BODY },
	{ "DELETE", "/v1/chats/{chat}", SCOPE_WRITE, LIMIT_NONE, call_handle, &chat_delete, 0 },
	{ "GET", "/v1/chats/{chat}/audit", SCOPE_READ, LIMIT_NONE, call_handle, &audit_list, 0 },
	{ "GET", "/v1/chats/{chat}/pins", SCOPE_READ, LIMIT_NONE, call_handle, &pins, 0 },
	{ "GET", "/v1/chats/{chat}/receipts", SCOPE_READ, LIMIT_NONE, call_handle, &receipts, 0 },
	{ "GET", "/v1/chats/{chat}/threads", SCOPE_READ, LIMIT_NONE, call_handle, &threads, 0 },
	{ "GET", "/v1/sync", SCOPE_READ, LIMIT_NONE, sync_get, NULL, 0 },

	/* members and invites */
	{ "GET", "/v1/chats/{chat}/invites", SCOPE_READ, LIMIT_NONE, call_handle, &invites, 0 },
	{ "POST", "/v1/chats/{chat}/invites", SCOPE_WRITE, LIMIT_ACTIONS, call_handle, &invite_create, ROUTE_BODY },
	{ "DELETE", "/v1/chats/{chat}/invites/{id}", SCOPE_WRITE, LIMIT_NONE, call_handle, &invite_revoke, 0 },
	{ "GET", "/v1/chats/{chat}/members", SCOPE_READ, LIMIT_NONE, call_handle, &members, 0 },
	{ "POST", "/v1/chats/{chat}/members", SCOPE_WRITE, LIMIT_ACTIONS, call_handle, &members_change, ROUTE_BODY },
	{ "PUT", "/v1/chats/{chat}/members/{name}", SCOPE_WRITE, LIMIT_ACTIONS, call_handle, &member_put, ROUTE_BODY },
	{ "DELETE", "/v1/chats/{chat}/members/{name}", SCOPE_WRITE, LIMIT_NONE, call_handle, &member_delete, 0 },
	{ "GET", "/v1/invites/{code}", SCOPE_READ, LIMIT_JOINS, call_handle, &invite_get, 0 },
	{ "POST", "/v1/invites/{code}", SCOPE_WRITE, LIMIT_INVITE, call_handle, &invite_join, 0 },

	/* messages */
	{ "POST", "/v1/chats/{chat}/messages", SCOPE_WRITE, LIMIT_SENDS, messages_send, NULL, ROUTE_BODY | ROUTE_BULK },
	{ "GET", "/v1/chats/{chat}/messages", SCOPE_READ, LIMIT_NONE, pages_get, &history, ROUTE_REPLICA },
	{ "GET", "/v1/chats/{chat}/messages/{id}", SCOPE_READ, LIMIT_NONE, call_handle, &message_get, 0 },
	{ "PATCH", "/v1/chats/{chat}/messages/{id}", SCOPE_WRITE, LIMIT_ACTIONS, call_handle, &message_edit,
		ROUTE_BODY },
	{ "DELETE", "/v1/chats/{chat}/messages/{id}", SCOPE_WRITE, LIMIT_NONE, call_handle, &message_delete, 0 },
	{ "GET", "/v1/chats/{chat}/messages/{id}/edits", SCOPE_READ, LIMIT_NONE, call_handle, &edits, 0 },
	{ "PUT", "/v1/chats/{chat}/messages/{id}/pin", SCOPE_WRITE, LIMIT_ACTIONS, call_handle, &pin_put, 0 },
	{ "DELETE", "/v1/chats/{chat}/messages/{id}/pin", SCOPE_WRITE, LIMIT_ACTIONS, call_handle, &pin_delete, 0 },
	{ "GET", "/v1/chats/{chat}/messages/{id}/reactions", SCOPE_READ, LIMIT_NONE, call_handle, &reactions, 0 },
	{ "PUT", "/v1/chats/{chat}/messages/{id}/reactions/{emoji}", SCOPE_WRITE, LIMIT_ACTIONS, call_handle,
		&reaction_put, 0 },
	{ "DELETE", "/v1/chats/{chat}/messages/{id}/reactions/{emoji}", SCOPE_WRITE, LIMIT_ACTIONS, call_handle,
		&reaction_delete, 0 },
	{ "GET", "/v1/chats/{chat}/messages/{id}/receipts", SCOPE_READ, LIMIT_NONE, call_handle, &message_receipts, 0 },
	{ "POST", "/v1/chats/{chat}/messages/{id}/report", SCOPE_WRITE, LIMIT_ACTIONS, call_handle, &report_add,
		ROUTE_BODY },
	{ "GET", "/v1/chats/{chat}/messages/{id}/thread", SCOPE_READ, LIMIT_NONE, call_handle, &thread_get, 0 },
	{ "POST", "/v1/chats/{chat}/messages/{id}/thread/read", SCOPE_WRITE, LIMIT_ACTIONS, call_handle, &thread_read,
		ROUTE_BODY },

	/* signals and marks */
	{ "POST", "/v1/chats/{chat}/delivered", SCOPE_WRITE, LIMIT_NONE, call_handle, &call_delivered,
		ROUTE_BODY | ROUTE_GATHERED },
	{ "POST", "/v1/chats/{chat}/read", SCOPE_WRITE, LIMIT_NONE, call_handle, &mark_read,
		ROUTE_BODY | ROUTE_GATHERED },
	{ "POST", "/v1/chats/{chat}/signal", SCOPE_WRITE, LIMIT_ACTIONS, call_handle, &signal,
		ROUTE_BODY | ROUTE_GATHERED },
	{ "POST", "/v1/chats/{chat}/typing", SCOPE_WRITE, LIMIT_ACTIONS, call_handle, &typing, ROUTE_GATHERED },

	/* search and streams */
	{ "GET", "/v1/poll", SCOPE_READ, LIMIT_NONE, streams_poll, NULL, ROUTE_TICKET },
	{ "GET", "/v1/search", SCOPE_READ, LIMIT_SEARCHES, call_handle, &search, ROUTE_REPLICA },
	{ "GET", "/v1/stream", SCOPE_READ, LIMIT_NONE, streams_open, NULL, ROUTE_TICKET | ROUTE_LASTING },

	/* administration */
	{ "POST", "/v1/admin/announcements", SCOPE_ADMIN, LIMIT_NONE, call_handle, &announcement_add, ROUTE_BODY },
	{ "DELETE", "/v1/admin/announcements/{id}", SCOPE_ADMIN, LIMIT_NONE, call_handle, &announcement_delete, 0 },
	{ "GET", "/v1/admin/audit", SCOPE_ADMIN, LIMIT_NONE, call_handle, &admin_audit, 0 },
	{ "GET", "/v1/admin/chats", SCOPE_ADMIN, LIMIT_NONE, call_handle, &admin_chats, 0 },
	{ "GET", "/v1/admin/chats/{chat}", SCOPE_ADMIN, LIMIT_NONE, call_handle, &admin_chat_get, 0 },
	{ "PATCH", "/v1/admin/chats/{chat}", SCOPE_ADMIN, LIMIT_NONE, call_handle, &admin_chat_patch, ROUTE_BODY },
	{ "DELETE", "/v1/admin/chats/{chat}", SCOPE_ADMIN, LIMIT_NONE, call_handle, &admin_chat_delete, 0 },
	{ "GET", "/v1/admin/chats/{chat}/members", SCOPE_ADMIN, LIMIT_NONE, call_handle, &admin_chat_members, 0 },
	{ "GET", "/v1/admin/invites", SCOPE_ADMIN, LIMIT_NONE, call_handle, &admin_invites, 0 },
	{ "POST", "/v1/admin/invites", SCOPE_ADMIN, LIMIT_NONE, admin_invite_create, NULL, ROUTE_BODY },
	{ "DELETE", "/v1/admin/invites/{id}", SCOPE_ADMIN, LIMIT_NONE, call_handle, &admin_invite_delete, 0 },
	{ "GET", "/v1/admin/maintenance", SCOPE_ADMIN, LIMIT_NONE, call_handle, &maintenance_get, 0 },
	{ "PUT", "/v1/admin/maintenance", SCOPE_ADMIN, LIMIT_NONE, call_handle, &maintenance_on, ROUTE_BODY },
	{ "DELETE", "/v1/admin/maintenance", SCOPE_ADMIN, LIMIT_NONE, call_handle, &maintenance_off, 0 },
	{ "GET", "/v1/admin/reports", SCOPE_ADMIN, LIMIT_NONE, call_handle, &reports, 0 },
	{ "POST", "/v1/admin/reports/{id}/resolve", SCOPE_ADMIN, LIMIT_NONE, call_handle, &report_resolve, ROUTE_BODY },
	{ "GET", "/v1/admin/retention", SCOPE_ADMIN, LIMIT_NONE, call_handle, &retention_get, 0 },
	{ "PATCH", "/v1/admin/retention", SCOPE_ADMIN, LIMIT_NONE, call_handle, &retention_set, ROUTE_BODY },
	{ "GET", "/v1/admin/users", SCOPE_ADMIN, LIMIT_NONE, call_handle, &admin_users, 0 },
	{ "POST", "/v1/admin/users", SCOPE_ADMIN, LIMIT_NONE, admin_user_create, NULL, ROUTE_BODY },
	{ "DELETE", "/v1/admin/users/{name}", SCOPE_ADMIN, LIMIT_NONE, call_handle, &admin_user_delete, 0 },
	{ "DELETE", "/v1/admin/users/{name}/avatar", SCOPE_ADMIN, LIMIT_NONE, call_handle, &admin_avatar_delete, 0 },
	{ "POST", "/v1/admin/users/{name}/demote", SCOPE_ADMIN, LIMIT_NONE, call_handle, &admin_demote, 0 },
	{ "POST", "/v1/admin/users/{name}/disable", SCOPE_ADMIN, LIMIT_NONE, call_handle, &admin_disable, 0 },
	{ "POST", "/v1/admin/users/{name}/enable", SCOPE_ADMIN, LIMIT_NONE, call_handle, &admin_enable, 0 },
	{ "POST", "/v1/admin/users/{name}/promote", SCOPE_ADMIN, LIMIT_NONE, call_handle, &admin_promote, 0 },
	{ "POST", "/v1/admin/users/{name}/reset", SCOPE_ADMIN, LIMIT_NONE, admin_user_reset, NULL, 0 },

	/* operation */
	{ "GET", "/healthz", SCOPE_NONE, LIMIT_NONE, ops_health, NULL, ROUTE_PUBLIC | ROUTE_OPERATOR },
	{ "GET", "/metrics", SCOPE_NONE, LIMIT_NONE, ops_metrics, NULL, ROUTE_PUBLIC | ROUTE_OPERATOR },
	{ "GET", "/readyz", SCOPE_NONE, LIMIT_NONE, ops_ready, NULL, ROUTE_PUBLIC | ROUTE_OPERATOR },
	{ 0 },
};
