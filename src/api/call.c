/* SPDX-License-Identifier: MIT
 * See call.h. */
#include "api/call.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/auth.h"
#include "api/body.h"
#include "api/gather.h"
#include "api/limit.h"
#include "base/decimal.h"
#include "base/emoji.h"
#include "base/log.h"
#include "base/mentions.h"
#include "base/problem.h"
#include "base/rfc3339.h"
#include "base/utf8.h"
#include "conf/conf.h"
#include "http/access.h"
#include "log/tail.h"
#include "pg/fault.h"
#include "pg/pool.h"
#include "pg/replica.h"

/* The arguments of a call, while they are collected. */
struct arguments {
	struct request *req;
	struct json_object *body;
	struct body_error error;
	const char *values[PG_PARAMS_MAX];
	struct buf owned[PG_PARAMS_MAX]; /* the values that had to be made */
	unsigned count, vars;
};

bool call_is_name(const char *s)
{
	size_t n = strlen(s);
	return n >= 2 && n <= 32 && isalnum((unsigned char)s[0]) &&
		strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789_.-") == n;
}

static bool is_code(const char *s)
{
	size_t n = strlen(s);
	return n <= 64 && strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") == n;
}

/* Adds the allowed values. */
static void none_of(struct arguments *a, const struct field *f)
{
	char choices[128] = "";
	for (size_t i = 0, len = 0; f->one_of[i] != NULL && len < sizeof(choices); i++)
		len += (size_t)snprintf(choices + len, sizeof(choices) - len, "%s%s",
			i == 0                     ? ""
				: f->one_of[i + 1] ? ", "
						   : " or ",
			f->one_of[i]);
	body_fail(&a->error, PROBLEM_OUT_OF_RANGE, "%s must be %s.", f->name, choices);
}

/* Records a 404: what the path names doesn't exist. Every 404 has the same detail: see request_problem(). */
static const char *absent(struct arguments *a)
{
	body_fail(&a->error, PROBLEM_NOT_FOUND, "%s", problem_detail(PROBLEM_NOT_FOUND));
	return NULL;
}

/* Returns the time in UTC. */
static const char *moment(struct arguments *a, const struct field *f, const char *s, struct buf *out)
{
	char utc[RFC3339_UTC_LEN + 1];
	if (!rfc3339_utc(s, utc)) {
		body_fail(&a->error, PROBLEM_OUT_OF_RANGE, BODY_TIME_DETAIL, f->name);
		return NULL;
	}
	buf_adds(out, utc);
	return out->data;
}

static const char *checked(struct arguments *a, const struct field *f, const char *s, struct buf *out)
{
	size_t len = strlen(s), max = f->max ? (size_t)f->max : http_conf(request_server(a->req))->text_max;
	enum problem malformed = f->from == FROM_QUERY ? PROBLEM_BAD_PARAMETER : PROBLEM_WRONG_TYPE;
	switch (f->type) {
	case TYPE_CHAT: return decimal_is_bigint(s) || (*s == '@' && call_is_name(s + 1)) ? s : absent(a);
	case TYPE_ID: return decimal_is_bigint(s) ? s : absent(a);
	case TYPE_NAME:
		if (call_is_name(s))
			return s;
		if (f->from == FROM_VAR)
			return absent(a);
		body_fail(&a->error, PROBLEM_OUT_OF_RANGE, "%s is no user's name.", f->name);
		return NULL;
	case TYPE_CODE: return is_code(s) ? s : absent(a);
	case TYPE_CURSOR:
		return decimal_is_bigint(s)
			? s
			: (body_fail(&a->error, PROBLEM_BAD_CURSOR, "%s is no cursor of this server.", f->name), NULL);
	case TYPE_TIME: return moment(a, f, s, out);
	case TYPE_INT: {
		uint64_t n = 0;
		bool is_negative = *s == '-';
		if (!decimal_parse(s + is_negative, &n))
			body_fail(&a->error, malformed, "%s must be a whole number.", f->name);
		else if ((is_negative && n > 0) || n < (uint64_t)f->min || n > (uint64_t)f->max)
			body_fail(&a->error, PROBLEM_OUT_OF_RANGE, "%s must be %lld to %lld.", f->name,
				(long long)f->min, (long long)f->max);
		return s;
	}
	default:
		if (len < (size_t)f->min || (max > 0 && len > max))
			body_fail(&a->error,
				strcmp(f->name, "text") == 0 ? len == 0 ? PROBLEM_EMPTY_TEXT : PROBLEM_TEXT_TOO_LONG
							     : PROBLEM_OUT_OF_RANGE,
				"%s must have %lld to %zu bytes.", f->name, (long long)f->min, max);
		for (unsigned i = 0; f->one_of != NULL && f->one_of[i] != NULL; i++)
			if (strcmp(f->one_of[i], s) == 0)
				return s;
		if (f->one_of != NULL)
			none_of(a, f);
		return s;
	}
}

/* Returns the canonical form of a value from an address. */
static const char *emoji(struct arguments *a, const struct field *f, const char *s, struct buf *out)
{
	if (emoji_canonical(s, out))
		return out->data;
	body_fail(&a->error, PROBLEM_BAD_EMOJI, "%s must be one emoji and nothing else.", f->name);
	return NULL;
}

/* Writes a JSON array of strings as an array of PostgreSQL. */
static const char *names(struct arguments *a, const struct field *f, struct json_object *v, struct buf *out)
{
	if (!json_object_is_type(v, json_type_array)) {
		body_fail(&a->error, PROBLEM_WRONG_TYPE, "%s must be an array of strings.", f->name);
		return NULL;
	}
	size_t n = json_object_array_length(v);
	if (f->max > 0 && n > (size_t)f->max)
		body_fail(&a->error, PROBLEM_OUT_OF_RANGE, "%s may have %lld entries.", f->name, (long long)f->max);
	buf_addc(out, '{');
	for (size_t i = 0; i < n; i++) {
		struct json_object *s = json_object_array_get_idx(v, i);
		if (!json_object_is_type(s, json_type_string))
			body_fail(&a->error, PROBLEM_WRONG_TYPE, "%s must be an array of strings.", f->name);
		else if (!call_is_name(json_object_get_string(s)))
			body_fail(&a->error, PROBLEM_UNKNOWN_USER, "\"%.64s\" is no user's name.",
				json_object_get_string(s));
		else
			buf_addf(out, "%s%s", i ? "," : "", json_object_get_string(s));
	}
	buf_addc(out, '}');
	return out->data;
}

static const char *from_body(struct arguments *a, const struct field *f, struct buf *out)
{
	struct json_object *v;
	int64_t n;
	const char *s;
	if (a->body == NULL || !json_object_object_get_ex(a->body, f->name, &v))
		return NULL;
	if (v == NULL)
		return f->null_is;
	switch (f->type) {
	case TYPE_NAMES: return names(a, f, v, out);
	case TYPE_OBJECT:
		if (!json_object_is_type(v, json_type_object))
			body_fail(&a->error, PROBLEM_WRONG_TYPE, "%s must be an object.", f->name);
		else if (!body_numbers_fit(v))
			body_fail(&a->error, PROBLEM_OUT_OF_RANGE, "A number in %s is too large.", f->name);
		s = json_object_to_json_string_ext(v, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
		if (f->max > 0 && strlen(s) > (size_t)f->max)
			body_fail(
				&a->error, PROBLEM_OUT_OF_RANGE, "%s may have %lld bytes.", f->name, (long long)f->max);
		return s;
	case TYPE_INT:
		if (!body_int(a->body, f->name, f->min, f->max, &n, &a->error))
			return NULL;
		buf_addf(out, "%" PRId64, n);
		return out->data;
	default: s = body_text(a->body, f->name, 0, &a->error); return s ? checked(a, f, s, out) : NULL;
	}
}

/* Writes a list of "REV", W/"REV" or REV as an array of PostgreSQL, without the items that aren't revs. Returns NULL
 * for * and for an absent header. */
static const char *if_match(struct arguments *a, struct buf *out)
{
	const char *s = request_header(a->req, "If-Match");
	if (s == NULL || strcmp(s, "*") == 0)
		return NULL;
	buf_addc(out, '{');
	while (*s != '\0') {
		s += strspn(s, " \t,");
		s += strncmp(s, "W/", 2) == 0 ? 2 : 0;
		s += *s == '"';
		size_t n = strspn(s, "0123456789"), len = strcspn(s, ",");
		if (n > 0 && n <= 18 && strspn(s + n, "\" \t") == len - n)
			buf_addf(out, "%s%.*s", out->len > 1 ? "," : "", (int)n, s);
		s += len;
	}
	buf_addc(out, '}');
	return out->data;
}

static const char *names_in(struct arguments *a, const struct field *f, struct buf *out)
{
	const char *text = a->body != NULL ? body_text(a->body, f->name, 0, &a->error) : NULL;
	if (text != NULL)
		mentions_find(text, strlen(text), out);
	return out->data;
}

#define NO_SUCH_PARAM "There is no parameter \"%.64s\" here."

static void add(struct arguments *a, const struct field *f)
{
	const struct caller *caller = caller_of(a->req);
	struct buf *out = &a->owned[a->count];
	const char *s = NULL, *given;
	buf_init(out, 1 << 20);
	switch (f->from) {
	case FROM_ME: s = caller->name; break;
	case FROM_CREDENTIAL:
		buf_addu(out, caller->credential);
		s = out->data;
		break;
	case FROM_VAR:
		given = request_var(a->req, a->vars++);
		s = f->type == TYPE_EMOJI ? emoji(a, f, given, out) : checked(a, f, given, out);
		break;
	case FROM_QUERY:
		given = request_param(a->req, f->name);
		if (given != NULL && *given == '\0' &&
			f->type != TYPE_INT) /* forms send empty parameters: ?q=&cursor= */
			given = NULL;
		s = given == NULL               ? f->preset
			: f->type == TYPE_EMOJI ? emoji(a, f, given, out)
						: checked(a, f, given, out);
		break;
	case FROM_BODY:
		s = from_body(a, f, out);
		s = s ? s : f->preset;
		break;
	case FROM_IF_MATCH: s = if_match(a, out); break;
	case FROM_MENTIONS: s = names_in(a, f, out); break;
	case FROM_MEMBERS_MAX:
		buf_addu(out, http_conf(request_server(a->req))->members_max);
		s = out->data;
		break;
	case FROM_CHATS_MAX:
		buf_addu(out, http_conf(request_server(a->req))->chats_max);
		s = out->data;
		break;
	case FROM_RATE_STRANGERS:
		buf_addu(out, http_conf(request_server(a->req))->rate_strangers);
		s = out->data;
		break;
	case FROM_THROTTLE:
		s = limit_once(a->req, f->name, request_var(a->req, 0), (unsigned)f->max) ? "f" : "t";
		break;
	case FROM_REACTIONS_MAX:
		buf_addu(out, http_conf(request_server(a->req))->reactions_max);
		s = out->data;
		break;
	case FROM_END: break;
	}
	if (s == NULL && f->required)
		body_fail(&a->error,
			f->name && strcmp(f->name, "text") == 0 ? PROBLEM_EMPTY_TEXT : PROBLEM_MISSING_FIELD,
			"%s is missing.", f->name);
	a->values[a->count++] = s;
}

static void parse_body(struct arguments *a, const struct call *call)
{
	const char *known[CALL_FIELDS_MAX + 1];
	const struct buf *body = request_body(a->req);
	unsigned n = 0;
	for (const struct field *f = call->fields; f->from != FROM_END; f++)
		if (f->from == FROM_BODY)
			known[n++] = f->name;
	known[n] = NULL;
	if (n == 0 || body_is_absent(body)) /* all fields are absent */
		return;
	a->body = body_parse(body->data, body->len, &a->error);
	if (a->body != NULL)
		body_only(a->body, known, &a->error);
}

static void check_query(struct arguments *a, const struct call *call)
{
	const char *known[CALL_FIELDS_MAX + 4];
	unsigned n = 0;
	for (const struct field *f = call->fields; f->from != FROM_END; f++)
		if (f->from == FROM_QUERY)
			known[n++] = f->name;
	known[n] = NULL;
	const char *unknown = request_unknown_param(a->req, known);
	if (unknown != NULL)
		body_fail(&a->error, PROBLEM_BAD_PARAMETER, NO_SUCH_PARAM, unknown);
}

bool call_allow_parameters(struct request *req, const char *const known[])
{
	static const char *const none[] = { NULL };
	const char *unknown = request_unknown_param(req, known ? known : none);
	struct body_error e = { 0 };
	if (unknown == NULL)
		return true;
	body_fail(&e, PROBLEM_BAD_PARAMETER, NO_SUCH_PARAM, unknown);
	request_problem(req, e.code, e.detail, "");
	return false;
}

void call_refuse_by(struct request *req, const char *code, const char *detail)
{
	enum problem p = *code != '\0' ? problem_find(code) : PROBLEM_INTERNAL;
	const char *retry = strstr(detail, "Retry in ");
	unsigned seconds;
	if (p == PROBLEM_INTERNAL)
		log_error("the functions refuse with the unknown code %s", code);
	if (problem_status(p) == 429 && retry != NULL && sscanf(retry, "Retry in %u", &seconds) == 1)
		request_add_rate(req, http_conf(request_server(req))->rate_strangers, seconds);
	request_problem(req, p, *detail != '\0' ? detail : NULL, "");
}

void call_refuse(struct request *req, const struct pg_result *r)
{
	char path[256];
	if (fault_passes(fault_of(r))) {
		char text[1024], detail[256];
		if (!pg_away(r))
			log_warn("%s %s: %s request=%s", request_method(req), access_path(req, path, sizeof(path)),
				fault_text(r, text, sizeof(text)), request_id(req));
		snprintf(detail, sizeof(detail),
			"Not confirmed, %s. Try again: it is not known whether this took effect.", fault_of(r)->reason);
		request_problem(req, PROBLEM_DATABASE_AWAY, detail, "");
	} else if (strcmp(pg_sqlstate(r), "PTREF") == 0) {
		call_refuse_by(req, pg_hint(r), pg_message(r));
	} else if (strncmp(pg_sqlstate(r), "22", 2) == 0) {
		request_problem(req, PROBLEM_OUT_OF_RANGE, "The database can't keep this value.", "");
	} else {
		log_event(LOG_ERROR, "a call of the database failed", F("method", request_method(req)),
			F("path", access_path(req, path, sizeof(path))), F("sqlstate", pg_sqlstate(r)),
			F("error", pg_message(r)), F("request", request_id(req)));
		request_problem(req, PROBLEM_INTERNAL, NULL, "");
	}
}

void call_add_links(struct request *req, const char *older, const char *newer)
{
	const struct {
		const char *cursor, *param, *rel;
	} links[] = { { older, "before", "prev" }, { newer, "after", "next" } };
	struct buf out;
	const char *limit = request_param(req, "limit"), *base = conf_public_path(api_of(req)->conf);
	buf_init(&out, 8192);
	for (size_t i = 0; i < 2; i++)
		if (links[i].cursor != NULL)
			buf_addf(&out, "%s<%s%s?%s=%s%s%s>; rel=\"%s\"", out.len ? ", " : "", base, request_path(req),
				links[i].param, links[i].cursor, limit ? "&limit=" : "", limit ? limit : "",
				links[i].rel);
	if (out.len > 0)
		request_add_header(req, "Link", out.data);
	buf_release(&out);
}

/* Returns the value of the first row; NULL: none. */
static const char *value(const struct pg_result *r, const char *column)
{
	int col = pg_column(r, column);
	return col >= 0 && !pg_null(r, 0, col) ? pg_text(r, 0, col) : NULL;
}

void call_reply(struct request *req, int status, const struct pg_result *r, int row, int col)
{
	if (pg_null(r, row, col))
		request_reply(req, 204, NULL, NULL, 0);
	else
		request_reply_copy(req, status, "application/json", pg_text(r, row, col), pg_size(r, row, col));
}

static void on_result(void *arg, const struct pg_result *r)
{
	struct request *req = arg;
	if (!pg_ok(r)) {
		call_refuse(req, r);
		return;
	}
	int body = pg_column(r, "body"), status = pg_column(r, "status"), rev = pg_column(r, "rev"),
	    pos = pg_column(r, "pos");
	if (pg_rows(r) == 0) {
		request_problem(req, PROBLEM_NOT_FOUND, NULL, "");
		return;
	}
	if (rev >= 0 && !pg_null(r, 0, rev)) {
		char etag[32];
		snprintf(etag, sizeof(etag), "\"%s\"", pg_text(r, 0, rev));
		request_add_header(req, "ETag", etag);
	}
	if (pos >= 0 && !pg_null(r, 0, pos)) /* the client's next request must read what was written */
		tail_expect(api_of(req)->tail, (uint64_t)pg_int(r, 0, pos));
	call_add_links(req, value(r, "older"), value(r, "newer"));
	call_reply(req, status >= 0 ? (int)pg_int(r, 0, status) : 200, r, 0, body);
}

void call_answer(struct request *req, const struct pg_result *r) { on_result(req, r); }

void call_handle(struct request *req)
{
	const struct call *call = request_route(req)->spec;
	struct arguments a = { .req = req };
	check_query(&a, call);
	if (a.error.code == PROBLEM_NONE)
		parse_body(&a, call);
	for (const struct field *f = call->fields; f->from != FROM_END && a.error.code == PROBLEM_NONE; f++)
		add(&a, f);
	if (a.error.code != PROBLEM_NONE)
		request_problem(req, a.error.code, a.error.detail, "");
	else if (!limit_route(req))
		; /* the request is refused */
	else if (request_route(req)->flags & ROUTE_GATHERED)
		gather(api_of(req)->gatherer, call, req, a.count, a.values);
	else if (request_route(req)->flags & ROUTE_REPLICA)
		replica_call(api_of(req)->replica, call->sql, a.count, a.values, on_result, req);
	else
		pg_pool_call(api_of(req)->pool, call->sql, a.count, a.values, on_result, req);
	for (unsigned i = 0; i < a.count; i++)
		buf_release(&a.owned[i]);
	json_object_put(a.body);
}
