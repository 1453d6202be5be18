/* SPDX-License-Identifier: MIT
 * See body.h. Even in strict mode json-c accepts more than RFC 8259, and values that the database can't store: NUL, and
 * lone surrogates, which it replaces. So the text is checked for these. */
#include "api/body.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"

#define DEPTH_MAX 32
#define VALUES_MAX 15000   /* about 5 ms */
#define EXPONENTS_MAX 4096 /* for all numbers of a body together: PostgreSQL writes 1e1000 with a thousand digits */

void body_fail(struct body_error *e, enum problem code, const char *fmt, ...)
{
	va_list ap;
	if (e->code != PROBLEM_NONE)
		return;
	e->code = code;
	va_start(ap, fmt);
	vsnprintf(e->detail, sizeof(e->detail), fmt, ap);
	va_end(ap);
}

/* Returns the value of \uXXXX at s; -1: no such escape. */
static int unit(const char *s, const char *end)
{
	int value = 0;
	if (end - s < 6 || s[0] != '\\' || s[1] != 'u')
		return -1;
	for (int i = 2; i < 6; i++) {
		if (!isxdigit((unsigned char)s[i]))
			return -1;
		value = value * 16 +
			(isdigit((unsigned char)s[i]) ? s[i] - '0' : tolower((unsigned char)s[i]) - 'a' + 10);
	}
	return value;
}

/* Checks the escape sequence whose backslash is at s. Returns its length; 0 and *e if it is malformed. */
static size_t check_escape(const char *s, const char *end, const char *text, struct body_error *e)
{
	int u = unit(s, end);
	if (u == 0)
		body_fail(e, PROBLEM_BAD_TEXT, "\\u0000 at byte %zu: a text can't hold NUL.", (size_t)(s - text));
	if (u >= 0xd800 && u <= 0xdbff) {
		int low = unit(s + 6, end);
		if (low < 0xdc00 || low > 0xdfff)
			body_fail(e, PROBLEM_BAD_JSON, "At byte %zu: a lone surrogate.", (size_t)(s - text));
		return 12;
	}
	if (u >= 0xdc00 && u <= 0xdfff)
		body_fail(e, PROBLEM_BAD_JSON, "At byte %zu: a lone surrogate.", (size_t)(s - text));
	return 2;
}

/* Returns the exponent after s, if s is the "e" of a number. */
static unsigned long exponent(const char *s, const char *text, const char *end)
{
	unsigned long n = 0;
	if ((*s != 'e' && *s != 'E') || s == text || !isdigit((unsigned char)s[-1]))
		return 0;
	for (s += s + 1 < end && (s[1] == '+' || s[1] == '-') ? 2 : 1;
		s < end && isdigit((unsigned char)*s) && n <= EXPONENTS_MAX; s++)
		n = n * 10 + (unsigned long)(*s - '0');
	return n;
}

/* Checks a text that json-c has parsed for control characters, NUL and lone surrogates in its strings; for NaN,
 * Infinity and "1." outside of them; and for numbers that are short here and long in the database. */
static void check_strictly(const char *text, size_t len, struct body_error *e)
{
	const char *s = text, *end = text + len;
	unsigned long exponents = 0;
	bool in_string = false;
	while (s < end && e->code == PROBLEM_NONE) {
		if (in_string && (unsigned char)*s < 0x20)
			body_fail(e, PROBLEM_BAD_JSON, "At byte %zu: a control character in a string.",
				(size_t)(s - text));
		else if (!in_string &&
			(*s == 'N' || *s == 'I' || (*s == '.' && !(s + 1 < end && isdigit((unsigned char)s[1])))))
			body_fail(e, PROBLEM_BAD_JSON, "At byte %zu: no number looks like that.", (size_t)(s - text));
		else if (!in_string && (exponents += exponent(s, text, end)) > EXPONENTS_MAX)
			body_fail(e, PROBLEM_OUT_OF_RANGE,
				"At byte %zu: a number, or all of them together, with too large an exponent.",
				(size_t)(s - text));
		in_string ^= *s == '"';
		s += in_string && *s == '\\' ? check_escape(s, end, text, e) : 1;
	}
}

/* Returns true if the text has more values than a body may have: parsing and freeing those would hold the loop too
 * long. The text isn't known to be JSON yet. */
static bool has_too_many_values(const char *text, size_t len)
{
	bool in_string = false;
	unsigned values = 1;
	for (const char *s = text, *end = text + len; s < end && values <= VALUES_MAX; s++)
		if (in_string && *s == '\\')
			s++;
		else if (*s == '"')
			in_string = !in_string;
		else if (!in_string)
			values += *s == ',' || *s == '[' || *s == '{';
	return values > VALUES_MAX;
}

struct json_object *body_parse(const char *text, size_t len, struct body_error *e)
{
	*e = (struct body_error) { 0 };
	if (len == 0) {
		body_fail(e, PROBLEM_BAD_JSON, "At byte 0: the body is empty; it must be a JSON object.");
		return NULL;
	}
	if (!utf8_valid(text, len)) {
		body_fail(e, PROBLEM_BAD_UTF8, "The body isn't valid UTF-8.");
		return NULL;
	}
	if (memchr(text, '\0', len) != NULL) {
		body_fail(e, PROBLEM_BAD_JSON, "A NUL byte in the body.");
		return NULL;
	}
	if (has_too_many_values(text, len)) {
		body_fail(e, PROBLEM_BAD_JSON, "The body has more than %d values.", VALUES_MAX);
		return NULL;
	}
	struct json_tokener *t = json_tokener_new_ex(DEPTH_MAX);
	json_tokener_set_flags(t, JSON_TOKENER_STRICT);
	struct json_object *o = json_tokener_parse_ex(t, text, (int)len);
	enum json_tokener_error error = json_tokener_get_error(t);
	size_t at = json_tokener_get_parse_end(t);
	if (error == json_tokener_continue && o == NULL) { /* a number at the end needs one more byte */
		o = json_tokener_parse_ex(t, " ", 1);
		error = json_tokener_get_error(t);
		at = len;
	}
	while (error == json_tokener_success && at < len && strchr(" \t\r\n", text[at]) != NULL)
		at++;
	if (error != json_tokener_success)
		body_fail(e, PROBLEM_BAD_JSON, "At byte %zu: %s.", at > len ? len : at, json_tokener_error_desc(error));
	else if (at < len)
		body_fail(e, PROBLEM_BAD_JSON, "At byte %zu: something follows the object.", at);
	else if (!json_object_is_type(o, json_type_object))
		body_fail(e, PROBLEM_WRONG_TYPE, "The body must be a JSON object.");
	else
		check_strictly(text, len, e);
	json_tokener_free(t);
	if (e->code != PROBLEM_NONE) {
		json_object_put(o);
		return NULL;
	}
	return o;
}

/* Returns the text of v; NULL with e filled if v isn't one. */
static const char *text_in(struct json_object *v, const char *name, size_t max_bytes, struct body_error *e)
{
	if (!json_object_is_type(v, json_type_string)) {
		body_fail(e, PROBLEM_WRONG_TYPE, "%s must be a string.", name);
		return NULL;
	}
	if (max_bytes > 0 && (size_t)json_object_get_string_len(v) > max_bytes) {
		body_fail(e, strcmp(name, "text") == 0 ? PROBLEM_TEXT_TOO_LONG : PROBLEM_OUT_OF_RANGE,
			"%s may have %zu bytes, this has %d.", name, max_bytes, json_object_get_string_len(v));
		return NULL;
	}
	return json_object_get_string(v);
}

static bool int_in(
	struct json_object *v, const char *name, int64_t min, int64_t max, int64_t *ret, struct body_error *e)
{
	if (!json_object_is_type(v, json_type_int)) {
		body_fail(e, PROBLEM_WRONG_TYPE, "%s must be a whole number.", name);
		return false;
	}
	*ret = json_object_get_int64(v);
	if (*ret < min || *ret > max || !body_numbers_fit(v)) {
		body_fail(e, PROBLEM_OUT_OF_RANGE, "%s must be %lld to %lld.", name, (long long)min, (long long)max);
		return false;
	}
	return true;
}

const char *body_text(struct json_object *o, const char *name, size_t max_bytes, struct body_error *e)
{
	struct json_object *v;
	if (e->code != PROBLEM_NONE || !json_object_object_get_ex(o, name, &v) || v == NULL)
		return NULL;
	return text_in(v, name, max_bytes, e);
}

bool body_int(struct json_object *o, const char *name, int64_t min, int64_t max, int64_t *ret, struct body_error *e)
{
	struct json_object *v;
	if (e->code != PROBLEM_NONE || !json_object_object_get_ex(o, name, &v) || v == NULL)
		return false;
	return int_in(v, name, min, max, ret, e);
}

static void fill_one(const struct body_field *f, struct json_object *v, char *at, struct body_error *e)
{
	switch (f->type) {
	case BODY_TEXT: {
		const char *s = text_in(v, f->name, f->max > 0 ? (size_t)f->max : 0, e);
		if (s != NULL && json_object_get_string_len(v) < f->min)
			body_fail(e, PROBLEM_OUT_OF_RANGE, "%s must have %lld to %lld bytes.", f->name,
				(long long)f->min, (long long)f->max);
		memcpy(at, &s, sizeof(s));
		break;
	}
	case BODY_INT: {
		int64_t n;
		if (int_in(v, f->name, f->min, f->max, &n, e))
			memcpy(at, &n, sizeof(n));
		break;
	}
	case BODY_BOOL: {
		bool yes = json_object_get_boolean(v);
		if (!json_object_is_type(v, json_type_boolean))
			body_fail(e, PROBLEM_WRONG_TYPE, "%s must be true or false.", f->name);
		memcpy(at, &yes, sizeof(yes));
		break;
	}
	case BODY_TIME: {
		const char *s = text_in(v, f->name, 0, e);
		if (s != NULL && !rfc3339_utc(s, at))
			body_fail(e, PROBLEM_OUT_OF_RANGE, BODY_TIME_DETAIL, f->name);
		break;
	}
	case BODY_OBJECT:
		if (!json_object_is_type(v, json_type_object))
			body_fail(e, PROBLEM_WRONG_TYPE, "%s must be an object.", f->name);
		else if (!body_numbers_fit(v))
			body_fail(e, PROBLEM_OUT_OF_RANGE, "A number in %s is too large.", f->name);
		else
			memcpy(at, &v, sizeof(v));
		break;
	case BODY_END: break;
	}
}

void body_fill(struct json_object *o, const struct body_field fields[], void *out, struct body_error *e)
{
	uint64_t seen = 0;
	struct body_error unknown = { 0 };
	json_object_object_foreach(o, name, v)
	{
		const struct body_field *f = fields;
		while (f->type != BODY_END && strcmp(f->name, name) != 0)
			f++;
		if (f->type == BODY_END)
			body_fail(&unknown, PROBLEM_UNKNOWN_FIELD, "There is no field \"%.64s\" here.", name);
		if (f->type == BODY_END || v == NULL)
			continue;
		seen |= UINT64_C(1) << (f - fields);
		fill_one(f, v, (char *)out + f->offset, e);
	}
	if (unknown.code != PROBLEM_NONE) /* most likely misspelled, which explains the other errors */
		*e = unknown;
	for (const struct body_field *f = fields; f->type != BODY_END; f++)
		if (f->required && !(seen & UINT64_C(1) << (f - fields)))
			body_fail(e, PROBLEM_MISSING_FIELD, "%s is missing.", f->name);
}

bool body_is_absent(const struct buf *body)
{
	size_t at = 0, len = body->len;
	while (at < len && strchr(" \t\r\n", body->data[at]) != NULL && body->data[at] != '\0')
		at++;
	while (len > at && strchr(" \t\r\n", body->data[len - 1]) != NULL && body->data[len - 1] != '\0')
		len--;
	return body->len == 0 || (len - at == 4 && memcmp(body->data + at, "null", 4) == 0);
}

struct json_object *body_read(const struct buf *body, const struct body_field fields[], void *out, struct body_error *e)
{
	struct json_object *o = body_is_absent(body) ? json_object_new_object() : body_parse(body->data, body->len, e);
	if (o != NULL)
		body_fill(o, fields, out, e);
	if (e->code == PROBLEM_NONE)
		return o;
	json_object_put(o);
	return NULL;
}

void body_only(struct json_object *o, const char *const known[], struct body_error *e)
{
	json_object_object_foreach(o, name, value)
	{
		unsigned i = 0;
		(void)value;
		while (known[i] != NULL && strcmp(known[i], name) != 0)
			i++;
		if (known[i] == NULL)
			body_fail(e, PROBLEM_UNKNOWN_FIELD, "There is no field \"%.64s\" here.", name);
	}
}

bool body_numbers_fit(struct json_object *o)
{
	switch (json_object_get_type(o)) {
	case json_type_int:
		return json_object_get_uint64(o) <= INT64_MAX && json_object_get_int64(o) < INT64_MAX &&
			json_object_get_int64(o) > INT64_MIN;
	case json_type_object: {
		json_object_object_foreach(o, name, value)
		{
			(void)name;
			if (!body_numbers_fit(value))
				return false;
		}
		return true;
	}
	case json_type_array:
		for (size_t i = 0; i < json_object_array_length(o); i++)
			if (!body_numbers_fit(json_object_array_get_idx(o, i)))
				return false;
		return true;
	default: return true;
	}
}
