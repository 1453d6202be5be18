/* SPDX-License-Identifier: MIT
 * Problems: the one table of the errors that a request can be answered with, and how they are rendered (RFC 9457). The
 * functions in sql/ raise the codes (refuse()); openapi.json and postern-api(7) list them; tests/unit/test_openapi
 * and tests/problems compare them. */
#ifndef BASE_PROBLEM_H
#define BASE_PROBLEM_H

#include "base/buf.h"

/* clang-format off */
/* name, code, status, title, default detail */
#define PROBLEMS(X) \
	/* malformed */ \
	X(BAD_JSON, "bad_json", 400, "The body isn't valid JSON", NULL) \
	X(BAD_UTF8, "bad_utf8", 400, "The text isn't valid UTF-8", NULL) \
	X(BAD_PARAMETER, "bad_parameter", 400, "A parameter is malformed", NULL) \
	X(BAD_CURSOR, "bad_cursor", 400, "Not a cursor of this server", NULL) \
	X(BAD_PATH, "bad_path", 400, "The path is malformed", NULL) \
	X(BAD_REQUEST, "bad_request", 400, "The request is malformed", NULL) \
	X(BODY_NOT_ALLOWED, "body_not_allowed", 400, "This request takes no body", NULL) \
	/* authentication and permission */ \
	X(UNAUTHORIZED, "unauthorized", 401, "Not authenticated", \
		"The credential is unknown, has expired or was revoked.") \
	X(BAD_CREDENTIALS, "bad_credentials", 401, "Wrong name or password", "Unknown name or wrong password.") \
	X(FORBIDDEN, "forbidden", 403, "Not allowed", "Your role doesn't allow this.") \
	X(MUTED, "muted", 403, "Muted in this chat", "You are muted in this chat.") \
	X(BLOCKED, "blocked", 403, "One of the two users has blocked the other", \
		"One of the two users has blocked the other.") \
	X(USER_DELETED, "user_deleted", 403, "The other user has deleted their account", NULL) \
	X(BANNED, "banned", 403, "Banned from this chat", NULL) \
	X(REGISTRATION_CLOSED, "registration_closed", 403, "Registration is closed", NULL) \
	X(INVITE_REQUIRED, "invite_required", 403, "Registration needs an invitation", NULL) \
	X(ORIGIN_REQUIRED, "origin_required", 403, "A write with a cookie needs an Origin", NULL) \
	X(BAD_ORIGIN, "bad_origin", 403, "This origin may not write with a cookie", NULL) \
	/* existence and state */ \
	X(NOT_FOUND, "not_found", 404, "Not found", \
		"There is no such resource, or you have no access to it.") \
	X(METHOD_NOT_ALLOWED, "method_not_allowed", 405, "This path doesn't take the method", NULL) \
	X(NAME_TAKEN, "name_taken", 409, "The name is taken", NULL) \
	X(LAST_ADMINISTRATOR, "last_administrator", 409, "The last administrator can't be removed", NULL) \
	X(KEY_CONFLICT, "key_conflict", 409, "The key was used for another message", \
		"This key was already used for another message.") \
	X(GONE, "gone", 410, "Deleted", "The message was deleted.") \
	X(STALE, "stale", 412, "The message has changed", NULL) \
	X(TEXT_TOO_LONG, "text_too_long", 413, "The text is too long", NULL) \
	X(BODY_TOO_LARGE, "body_too_large", 413, "The body is too large", NULL) \
	X(ADDRESS_TOO_LONG, "address_too_long", 414, "The request target is too long", NULL) \
	X(UNSUPPORTED_TYPE, "unsupported_type", 415, "The media type isn't supported", NULL) \
	/* well-formed, but refused */ \
	X(UNKNOWN_FIELD, "unknown_field", 422, "Unknown field", NULL) \
	X(MISSING_FIELD, "missing_field", 422, "A field is missing", NULL) \
	X(WRONG_TYPE, "wrong_type", 422, "A field has the wrong type", NULL) \
	X(OUT_OF_RANGE, "out_of_range", 422, "A value is out of range", NULL) \
	X(EMPTY_TEXT, "empty_text", 422, "The text is empty", NULL) \
	X(BAD_TEXT, "bad_text", 422, "The text has characters that are not allowed", NULL) \
	X(BAD_NAME, "bad_name", 422, "Not a valid name", NULL) \
	X(BAD_CHAT, "bad_chat", 422, "Not valid for this kind of chat", NULL) \
	X(BAD_ROLE, "bad_role", 422, "The role can't be given", NULL) \
	X(UNKNOWN_USER, "unknown_user", 422, "Unknown user", NULL) \
	X(UNKNOWN_REPLY_TO, "unknown_reply_to", 422, "Unknown message to reply to", \
		"The message in reply_to isn't in this chat, was deleted, or isn't visible to you.") \
	X(UNKNOWN_FORWARD, "unknown_forward", 422, "Unknown message to forward", \
		"The message in forward doesn't exist, isn't visible to you, or can't be forwarded.") \
	X(BAD_EMOJI, "bad_emoji", 422, "Not one emoji", NULL) \
	X(TOO_MANY_TOKENS, "too_many_tokens", 422, "Too many tokens", NULL) \
	X(TOO_MANY_REACTIONS, "too_many_reactions", 422, "Too many kinds of reactions", NULL) \
	X(TOO_MANY_CHATS, "too_many_chats", 422, "Too many chats", NULL) \
	X(TOO_MANY_MEMBERS, "too_many_members", 422, "Too many members", NULL) \
	X(TOO_MANY_INVITES, "too_many_invites", 422, "Too many invites", NULL) \
	/* limits */ \
	X(RATE_LIMITED, "rate_limited", 429, "Too many requests", NULL) \
	X(TOO_MANY_STREAMS, "too_many_streams", 429, "Too many streams", NULL) \
	X(SLOW_MODE, "slow_mode", 429, "The chat is in slow mode", \
		"This chat is in slow mode. Wait before you send another message.") \
	X(CHAT_RATE_LIMITED, "chat_rate_limited", 429, "Too many messages in this chat", \
		"This chat limits how many messages a member sends a minute.") \
	X(HEADER_TOO_LARGE, "header_too_large", 431, "The header is too large", NULL) \
	/* failures of the server */ \
	X(INTERNAL, "internal", 500, "Internal error", NULL) \
	X(NOT_IMPLEMENTED, "not_implemented", 501, "Not implemented", NULL) \
	X(DATABASE_AWAY, "database_away", 503, "The database is not available", \
		"Not confirmed: it is not known whether this took effect. Try again.") \
	X(MAINTENANCE, "maintenance", 503, "Maintenance", NULL) \
	X(OVERLOADED, "overloaded", 503, "Overloaded", \
		"The server is overloaded. Nothing has happened: try again.") \
	X(STOPPING, "stopping", 503, "The server is stopping", NULL) \
	X(VERSION_NOT_SUPPORTED, "version_not_supported", 505, "HTTP version not supported", NULL)
/* clang-format on */

enum problem {
	PROBLEM_NONE,
#define PROBLEM_ENUM(name, code, status, title, detail) PROBLEM_##name,
	PROBLEMS(PROBLEM_ENUM)
#undef PROBLEM_ENUM
		PROBLEM_COUNT,
};

/* Codes are stable: clients act on them. PROBLEM_NONE has the code "" and the status 0. */
const char *problem_code(enum problem p);
int problem_status(enum problem p);
const char *problem_title(enum problem p);
const char *problem_detail(enum problem p); /* the default; NULL: none */

/* Returns the problem with that code, which comes from the database; PROBLEM_NONE for "", PROBLEM_INTERNAL for a code
 * that isn't in the table. */
enum problem problem_find(const char *code);

/* Adds {"type","title","status","detail","code","request_id"}. detail NULL: the default. extra is "" or further
 * members, each with a comma before it. */
void problem_render(struct buf *out, enum problem p, const char *detail, const char *request_id, const char *extra);

#endif
