/* SPDX-License-Identifier: MIT
 * The route table. A row: method, path, handler, what its call is, what it takes. With a row of call_handle() everything
 * about the endpoint is here and in one SQL function; openapi.json says the same to outsiders, and a test holds them together. */
#include "api/api.h"
#include "api/call.h"
#include "api/pages.h"

#define ME { .from = FROM_ME }
#define CHAT { .from = FROM_VAR, .name = "chat", .type = TYPE_CHAT }
#define ID { .from = FROM_VAR, .name = "id", .type = TYPE_ID }
#define NAME { .from = FROM_VAR, .name = "name", .type = TYPE_NAME }
#define LIMIT(most, usual) { .from = FROM_QUERY, .name = "limit", .type = TYPE_INT, .min = 1, .max = most, .preset = usual }
#define POSITION(source, n) { .from = source, .name = n, .type = TYPE_INT, .min = 0, .max = INT64_MAX - 1, .required = true }
#define CURSOR(n) { .from = FROM_QUERY, .name = n, .type = TYPE_CURSOR }
#define NAME_CURSOR { .from = FROM_QUERY, .name = "cursor", .type = TYPE_TEXT, .max = 64 }

static const char *const kinds[] = { "direct", "group", "channel", NULL };
static const char *const histories[] = { "all", "joined", NULL };
static const char *const roles[] = { "owner", "admin", "member", NULL };

static const struct call me_get = { "select body from me_get($1)", { ME } };
static const struct call me_patch = { "select pos, body from me_patch($1, $2, $3)", { ME,
	{ .from = FROM_BODY, .name = "display_name", .type = TYPE_TEXT, .max = 100 },
	{ .from = FROM_BODY, .name = "about", .type = TYPE_TEXT, .max = 500 } } };
static const struct call users = { "select body from users($1, $2, $3)", {
	{ .from = FROM_QUERY, .name = "q", .type = TYPE_TEXT, .max = 100 }, NAME_CURSOR, LIMIT(200, "50") } };
static const struct call user_get = { "select body from user_get($1)", { NAME } };
static const struct call token_list = { "select body from token_list($1, $2)", { ME, { .from = FROM_CREDENTIAL } } };
static const struct call admin_users = { "select body from admin_users($1, $2, $3)", { ME, NAME_CURSOR, LIMIT(200, "50") } };
static const struct call admin_disable = { "select pos, body from admin_user_set_state($1, $2, 'disabled')", { ME, NAME } };
static const struct call admin_enable = { "select pos, body from admin_user_set_state($1, $2, 'active')", { ME, NAME } };
static const struct call admin_invites = { "select body from admin_invites($1)", { ME } };
static const struct call admin_invite_delete = { "select body from admin_invite_delete($1, $2)", { ME, ID } };
static const struct call admin_audit = { "select body from admin_audit_list($1, $2, $3)", { ME, CURSOR("cursor"), LIMIT(200, "50") } };
static const struct call chats = { "select body from chats($1, $2, $3)", { ME, CURSOR("cursor"), LIMIT(200, "100") } };
static const struct call chat_create = { "select pos, status, body from chat_create($1, $2, $3, $4, $5, $6)", { ME,
	{ .from = FROM_BODY, .name = "kind", .type = TYPE_TEXT, .max = 16, .one_of = kinds, .required = true },
	{ .from = FROM_BODY, .name = "title", .type = TYPE_TEXT, .max = 200 },
	{ .from = FROM_BODY, .name = "members", .type = TYPE_NAMES },
	{ .from = FROM_BODY, .name = "history", .type = TYPE_TEXT, .max = 16, .one_of = histories },
	{ .from = FROM_MEMBERS_MAX } } };
static const struct call chat_get = { "select body from chat_get($1, $2)", { ME, CHAT } };
static const struct call chat_patch = { "select pos, body from chat_patch($1, $2, $3, $4)", { ME, CHAT,
	{ .from = FROM_BODY, .name = "title", .type = TYPE_TEXT, .max = 200 },
	{ .from = FROM_BODY, .name = "history", .type = TYPE_TEXT, .max = 16, .one_of = histories } } };
static const struct call chat_delete = { "select pos, body from chat_delete($1, $2)", { ME, CHAT } };
static const struct call members = { "select body from members($1, $2, $3, $4)", { ME, CHAT, NAME_CURSOR, LIMIT(1000, "200") } };
static const struct call member_put = { "select pos, body from member_put($1, $2, $3, $4, $5, $6)", { ME, CHAT, NAME,
	{ .from = FROM_BODY, .name = "role", .type = TYPE_TEXT, .max = 16, .one_of = roles },
	{ .from = FROM_BODY, .name = "muted_until", .type = TYPE_TIME },
	{ .from = FROM_MEMBERS_MAX } } };
static const struct call member_delete = { "select pos, body from member_delete($1, $2, $3)", { ME, CHAT, NAME } };
static const struct call history = { "select older, newer, body from history($1, $2, $3, $4, $5, $6)", { ME, CHAT,
	CURSOR("before"), CURSOR("after"), CURSOR("around"), LIMIT(200, "50") } };
static const struct call message_get = { "select rev, body from message_get($1, $2, $3)", { ME, CHAT, ID } };
static const struct call message_edit = { "select pos, rev, body from message_edit($1, $2, $3, $4, $5, $6)", { ME, CHAT, ID,
	{ .from = FROM_BODY, .name = "text", .type = TYPE_TEXT, .min = 1 },
	{ .from = FROM_BODY, .name = "content", .type = TYPE_OBJECT },
	{ .from = FROM_IF_MATCH } } };
static const struct call message_delete = { "select pos, body from message_delete($1, $2, $3)", { ME, CHAT, ID } };
static const struct call mark_delivered = { "select body from mark($1, $2, $3, null)", { ME, CHAT, POSITION(FROM_BODY, "up_to") } };
static const struct call mark_read = { "select body from mark($1, $2, null, $3)", { ME, CHAT, POSITION(FROM_BODY, "up_to") } };
static const struct call receipts = { "select body from receipts($1, $2)", { ME, CHAT } };

const struct route api_routes[] = {
	{ "POST", "/v1/session", session_create, NULL, ROUTE_PUBLIC | ROUTE_BODY },
	{ "DELETE", "/v1/session", session_delete, NULL, 0 },
	{ "GET", "/v1/me", call_handle, &me_get, 0 },
	{ "PATCH", "/v1/me", call_handle, &me_patch, ROUTE_BODY },
	{ "GET", "/v1/users", call_handle, &users, 0 },
	{ "GET", "/v1/users/{name}", call_handle, &user_get, 0 },
	{ "GET", "/v1/tokens", call_handle, &token_list, 0 },
	{ "POST", "/v1/tokens", token_create, NULL, ROUTE_BODY },
	{ "DELETE", "/v1/tokens/{id}", token_delete, NULL, 0 },
	{ "POST", "/v1/stream-tickets", ticket_create, NULL, 0 },
	{ "POST", "/v1/accounts", account_register, NULL, ROUTE_PUBLIC | ROUTE_BODY },
	{ "POST", "/v1/me/password", password_change, NULL, ROUTE_BODY },
	{ "POST", "/v1/password-reset", password_redeem, NULL, ROUTE_PUBLIC | ROUTE_BODY },
	{ "GET", "/v1/admin/users", call_handle, &admin_users, 0 },
	{ "POST", "/v1/admin/users", admin_user_create, NULL, ROUTE_BODY },
	{ "POST", "/v1/admin/users/{name}/disable", call_handle, &admin_disable, 0 },
	{ "POST", "/v1/admin/users/{name}/enable", call_handle, &admin_enable, 0 },
	{ "POST", "/v1/admin/users/{name}/reset", admin_user_reset, NULL, 0 },
	{ "GET", "/v1/admin/invites", call_handle, &admin_invites, 0 },
	{ "POST", "/v1/admin/invites", admin_invite_create, NULL, ROUTE_BODY },
	{ "DELETE", "/v1/admin/invites/{id}", call_handle, &admin_invite_delete, 0 },
	{ "GET", "/v1/admin/audit", call_handle, &admin_audit, 0 },
	{ "GET", "/v1/sync", sync_get, NULL, 0 },
	{ "GET", "/v1/chats", call_handle, &chats, 0 },
	{ "POST", "/v1/chats", call_handle, &chat_create, ROUTE_BODY },
	{ "GET", "/v1/chats/{chat}", call_handle, &chat_get, 0 },
	{ "PATCH", "/v1/chats/{chat}", call_handle, &chat_patch, ROUTE_BODY },
	{ "DELETE", "/v1/chats/{chat}", call_handle, &chat_delete, 0 },
	{ "GET", "/v1/chats/{chat}/members", call_handle, &members, 0 },
	{ "PUT", "/v1/chats/{chat}/members/{name}", call_handle, &member_put, ROUTE_BODY },
	{ "DELETE", "/v1/chats/{chat}/members/{name}", call_handle, &member_delete, 0 },
	{ "POST", "/v1/chats/{chat}/messages", messages_send, NULL, ROUTE_BODY | ROUTE_BULK },
	{ "GET", "/v1/chats/{chat}/messages", pages_get, &history, 0 },
	{ "GET", "/v1/chats/{chat}/messages/{id}", call_handle, &message_get, 0 },
	{ "PATCH", "/v1/chats/{chat}/messages/{id}", call_handle, &message_edit, ROUTE_BODY },
	{ "DELETE", "/v1/chats/{chat}/messages/{id}", call_handle, &message_delete, 0 },
	{ "POST", "/v1/chats/{chat}/delivered", call_handle, &mark_delivered, ROUTE_BODY },
	{ "POST", "/v1/chats/{chat}/read", call_handle, &mark_read, ROUTE_BODY },
	{ "GET", "/v1/chats/{chat}/receipts", call_handle, &receipts, 0 },
	{ "GET", "/v1/stream", streams_open, NULL, ROUTE_TICKET | ROUTE_STREAM },
	{ "GET", "/v1/poll", streams_poll, NULL, ROUTE_TICKET | ROUTE_STREAM },
	{ "GET", "/healthz", ops_health, NULL, ROUTE_PUBLIC },
	{ "GET", "/readyz", ops_ready, NULL, ROUTE_PUBLIC },
	{ "GET", "/metrics", ops_metrics, NULL, ROUTE_PUBLIC },
	{ 0 },
};
