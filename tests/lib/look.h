/* SPDX-License-Identifier: MIT
 * Looking into JSON by paths like "chats.0.title". What isn't there, or is of another type, fails the test. */
#ifndef LIB_LOOK_H
#define LIB_LOOK_H

#include <json.h>
#include <stdbool.h>
#include <stddef.h>

#define num(json, path) look_num(__FILE__, __LINE__, json, path)
#define str(json, path) look_str(__FILE__, __LINE__, json, path)
#define yes(json, path) look_yes(__FILE__, __LINE__, json, path)
#define count(json, path) look_count(__FILE__, __LINE__, json, path)

long long look_num(const char *file, int line, struct json_object *json, const char *path);
const char *look_str(const char *file, int line, struct json_object *json, const char *path);
bool look_yes(const char *file, int line, struct json_object *json, const char *path);
size_t look_count(const char *file, int line, struct json_object *json, const char *path); /* of an array */

struct json_object *at(struct json_object *json, const char *path); /* NULL: absent */
bool has(struct json_object *json, const char *path);               /* there, and not null */

/* Strictly: one value, valid UTF-8, nothing behind it. NULL: it isn't JSON. json_object_put() it. */
struct json_object *look_parse(const char *text, size_t len);

#endif
