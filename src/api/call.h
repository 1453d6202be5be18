/* SPDX-License-Identifier: MIT
 * An operation that is one SQL function: its row says where each argument comes from and what is valid. The function's
 * columns are the answer: body (null: 204), and if they exist, status, pos (of what was written), rev (ETag), older and
 * newer (Link). */
#ifndef API_CALL_H
#define API_CALL_H

#include "api/api.h"

enum field_source {
	FROM_END,        /* ends the array */
	FROM_ME,         /* the caller's name */
	FROM_CREDENTIAL, /* the number of the caller's credential */
	FROM_VAR,        /* the next path variable */
	FROM_QUERY,
	FROM_BODY,
	FROM_IF_MATCH,       /* a rev; absent: null */
	FROM_MENTIONS,       /* the names that a text of the body mentions: see base/mentions.h; none: null */
	FROM_MEMBERS_MAX,    /* the setting */
	FROM_CHATS_MAX,      /* the setting */
	FROM_RATE_STRANGERS, /* the setting */
	FROM_THROTTLE,       /* t if the caller has done this to the first path variable less than max ms ago, else f */
	FROM_REACTIONS_MAX,  /* the setting */
};

enum field_type {
	TYPE_TEXT,   /* min..max: bytes; 0 max: text_max */
	TYPE_INT,    /* min..max, not negative */
	TYPE_CURSOR, /* a position or number from an earlier answer */
	TYPE_TIME,   /* RFC 3339; passed in UTC */
	TYPE_NAMES,  /* JSON array of strings, up to max */
	TYPE_OBJECT, /* JSON object, up to max bytes; 0 max: the body's */
	TYPE_CHAT,   /* a number, or @name */
	TYPE_ID,     /* a positive number; anything else is 404 */
	TYPE_NAME,   /* of a user */
	TYPE_CODE,   /* of an invite; anything else is 404 */
	TYPE_EMOJI,  /* one emoji; passed in its canonical form */
};

struct field {
	enum field_source from;
	const char *name;
	enum field_type type;
	int64_t min, max;
	const char *preset;        /* the value if it is absent */
	const char *null_is;       /* of a member that null clears: the value that clears it; NULL: null is absent */
	const char *const *one_of; /* TYPE_TEXT: NULL-terminated */
	bool required;
};

#define CALL_FIELDS_MAX 16

struct call {
	const char *sql;
	struct field fields[CALL_FIELDS_MAX];
};

void call_handle(struct request *req); /* the route's spec is a struct call */

/* Refuses the request if its query has other parameters than these (NULL-terminated; NULL: none). Returns false if it
 * has answered the request. */
bool call_allow_parameters(struct request *req, const char *const known[]);
/* Returns true if s can be the name of a user: see user_add() in sql/functions/accounts/accounts.sql for the rule. */
bool call_is_name(const char *s);

/* Adds the Link header (RFC 8288): older is rel="prev", newer rel="next"; the query's other parameters are kept. NULL:
 * none. */
void call_add_links(struct request *req, const char *older, const char *newer);

struct pg_result;
/* Answers with that field's JSON; null: 204 without a body. */
void call_reply(struct request *req, int status, const struct pg_result *r, int row, int col);
/* Answers for a failed call: a refusal of the functions, or the database's failure. */
void call_refuse(struct request *req, const struct pg_result *r);
/* Answers with a refusal of the functions: see refuse() in sql/functions/log/base.sql. detail "": the default. */
void call_refuse_by(struct request *req, const char *code, const char *detail);
/* Answers with the result of any call, as call_handle() does. */
void call_answer(struct request *req, const struct pg_result *r);

#endif
