/* SPDX-License-Identifier: MIT
 * See problem.h. */
#include "http/problem.h"

#include <string.h>

static const struct problem table[] = {
	/* malformed */
	{ "bad_json", 400, "The body isn't valid JSON" },
	{ "bad_utf8", 400, "The text isn't valid UTF-8" },
	{ "bad_parameter", 400, "A parameter can't be read" },
	{ "bad_cursor", 400, "That is no cursor" },
	{ "bad_path", 400, "The address can't be read" },
	{ "bad_request", 400, "The request can't be read" },
	{ "body_not_allowed", 400, "This request takes no body" },
	/* who, may */
	{ "unauthorized", 401, "Who are you?" },
	{ "bad_credentials", 401, "Unknown name or wrong password" },
	{ "forbidden", 403, "You may not do that" },
	{ "muted", 403, "You are muted in this chat" },
	{ "blocked", 403, "One of the two has blocked the other" },
	{ "user_deleted", 403, "The other user has deleted their account" },
	{ "banned", 403, "Banned from this chat" },
	{ "registration_closed", 403, "Nobody registers here" },
	{ "invite_required", 403, "Registering needs an invitation" },
	{ "origin_required", 403, "A write with a cookie must say where it comes from" },
	{ "bad_origin", 403, "This page may not write with your cookie" },
	/* there */
	{ "not_found", 404, "Not found" },
	{ "method_not_allowed", 405, "This address doesn't take that method" },
	{ "not_acceptable", 406, "No such format" },
	{ "timeout", 408, "The request took too long to come" },
	{ "name_taken", 409, "The name is taken" },
	{ "last_administrator", 409, "That is the last administrator" },
	{ "key_conflict", 409, "The key was used for another message" },
	{ "gone", 410, "It was deleted" },
	{ "cursor_expired", 410, "The cursor is too old" },
	{ "stale", 412, "It has changed since" },
	{ "text_too_long", 413, "The text is too long" },
	{ "body_too_large", 413, "The body is too large" },
	{ "address_too_long", 414, "The address is too long" },
	{ "unsupported_type", 415, "No such kind of body" },
	/* valid, but */
	{ "unknown_field", 422, "There is no such field" },
	{ "missing_field", 422, "A field is missing" },
	{ "wrong_type", 422, "A field has the wrong type" },
	{ "out_of_range", 422, "A value is out of range" },
	{ "empty_text", 422, "There is no text" },
	{ "bad_text", 422, "The text holds what no text may hold" },
	{ "bad_name", 422, "That can't be a name" },
	{ "bad_chat", 422, "That can't be a chat" },
	{ "bad_role", 422, "That role can't be given" },
	{ "unknown_user", 422, "There is no such user" },
	{ "unknown_reply_to", 422, "There is no such message to reply to" },
	{ "unknown_forward", 422, "There is no such message to forward" },
	{ "bad_emoji", 422, "That is no emoji" },
	{ "too_many_tokens", 422, "The user would have too many tokens" },
	{ "too_many_reactions", 422, "The message would have too many kinds of reactions" },
	{ "too_many_members", 422, "The chat would have too many members" },
	{ "too_many_invites", 422, "The chat would have too many invites" },
	/* too much */
	{ "rate_limited", 429, "Too many requests" },
	{ "too_many_streams", 429, "Too many streams" },
	{ "slow_mode", 429, "The chat is in slow mode" },
	{ "chat_rate_limited", 429, "Too many messages in this chat" },
	{ "header_too_large", 431, "The header is too large" },
	/* ours */
	{ "internal", 500, "Something is wrong on our side" },
	{ "not_implemented", 501, "No such method" },
	{ "database_away", 503, "The database is away" },
	{ "maintenance", 503, "The server is being looked after" },
	{ "overloaded", 503, "Too much to do" },
	{ "stopping", 503, "The server stops" },
	{ "version_not_supported", 505, "Speak HTTP/1.1 or HTTP/1.0" },
};

const struct problem *problem_find(const char *code)
{
	static const struct problem internal = { "internal", 500, "Something is wrong on our side" };
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (strcmp(table[i].code, code) == 0)
			return &table[i];
	return &internal;
}

void problem_render(
	struct buf *out, const struct problem *p, const char *detail, const char *request_id, const char *extra)
{
	buf_addf(out, "{\"type\":\"urn:postern:problem:%s\",\"title\":\"%s\",\"status\":%d,", p->code, p->title,
		p->status);
	if (detail != NULL && *detail != '\0') {
		buf_adds(out, "\"detail\":");
		buf_add_json(out, detail, strlen(detail));
		buf_addc(out, ',');
	}
	buf_addf(out, "\"code\":\"%s\",\"request_id\":\"%s\"%s}", p->code, request_id, extra);
}
