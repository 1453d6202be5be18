/* SPDX-License-Identifier: MIT
 * JSON bodies: parsed strictly, with an error that says what is wrong and where. Values from here are valid UTF-8
 * without NUL. */
#ifndef API_BODY_H
#define API_BODY_H

#include <json.h>
#include <stdbool.h>
#include <stdint.h>

struct body_error {
	const char *code; /* NULL: none */
	char detail[256];
};

/* An object, to be put with json_object_put(); NULL with the error filled. */
struct json_object *body_parse(const char *text, size_t len, struct body_error *e);
void body_fail(struct body_error *e, const char *code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* A member, NULL when it is absent or null (the same thing) or e is filled already. They fill e for another type. */
const char *body_text(struct json_object *o, const char *name, size_t max_bytes, struct body_error *e);
bool body_int(struct json_object *o, const char *name, int64_t min, int64_t max, int64_t *ret,
	struct body_error *e); /* false: absent */
/* Refuses members that aren't in known (NULL-terminated). */
void body_only(struct json_object *o, const char *const known[], struct body_error *e);
/* Whether every number in o is what was written: json-c bends what is too large. */
bool body_numbers_fit(struct json_object *o);

#endif
