/* SPDX-License-Identifier: MIT
 * JSON bodies: parsed strictly, with errors that say what is wrong and where. Values are valid UTF-8 without NUL. */
#ifndef API_BODY_H
#define API_BODY_H

#include <json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/problem.h"
#include "base/rfc3339.h"

struct body_error {
	enum problem code; /* PROBLEM_NONE: no error */
	char detail[256];
};

/* Returns an object, which the caller puts with json_object_put(); NULL with the error filled. */
struct json_object *body_parse(const char *text, size_t len, struct body_error *e);
void body_fail(struct body_error *e, enum problem code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* A member of an object: its type, its limits, and the place for its value. */
enum body_type {
	BODY_END,    /* ends the array */
	BODY_TEXT,   /* const char *, which belongs to the object; min..max bytes, 0 max: any */
	BODY_INT,    /* int64_t; min..max */
	BODY_BOOL,   /* bool */
	BODY_TIME,   /* char[RFC3339_UTC_LEN + 1]: RFC 3339, in UTC */
	BODY_OBJECT, /* struct json_object *, which belongs to the object */
};
struct body_field {
	const char *name;
	enum body_type type;
	size_t offset; /* of the value in the struct that body_fill() fills */
	int64_t min, max;
	bool required;
};

/* clang-format off */
#define BODY_FIELD(body, member, kind, ...) \
	{ .name = #member, .type = kind, .offset = offsetof(struct body, member), __VA_ARGS__ }
/* clang-format on */

/* The detail of a problem with a time; %s: the member's name. */
#define BODY_TIME_DETAIL "%s must be a time like 2026-01-31T12:00:00Z, from 1970 to 9999."

/* Fills `out` with the members of o, in one pass; a member that is absent or null leaves its value as it was. Fills e
 * for a member that isn't in fields, has another type, is out of range, or is required and absent. */
void body_fill(struct json_object *o, const struct body_field fields[], void *out, struct body_error *e);

/* Returns true for a body without a byte, and for null: they count as an object without members. */
bool body_is_absent(const struct buf *body);

/* The same with a body. Returns the object that the texts belong to,
 * which the caller puts with json_object_put(); NULL with e filled. */
struct json_object *body_read(
	const struct buf *body, const struct body_field fields[], void *out, struct body_error *e);

/* Return a member; NULL if it is absent or null, which are the same, or if e is filled already. They fill e if it has
 * another type. */
const char *body_text(struct json_object *o, const char *name, size_t max_bytes, struct body_error *e);
bool body_int(struct json_object *o, const char *name, int64_t min, int64_t max, int64_t *ret,
	struct body_error *e); /* false: absent */
/* Refuses members that aren't in known (NULL-terminated). */
void body_only(struct json_object *o, const char *const known[], struct body_error *e);
/* Returns true if every number in o has the value that was written: json-c clamps numbers that are too large. */
bool body_numbers_fit(struct json_object *o);

#endif
