/* SPDX-License-Identifier: MIT
 * Values in JSON by paths such as "chats.0.title". A value that is absent or of another type fails the test. */
#ifndef LIB_JSON_PATH_H
#define LIB_JSON_PATH_H

#include <json.h>
#include <stdbool.h>
#include <stddef.h>

#define json_num(json, path) json_path_num(__FILE__, __LINE__, json, path)
#define json_str(json, path) json_path_str(__FILE__, __LINE__, json, path)
#define json_true(json, path) json_path_true(__FILE__, __LINE__, json, path)
#define json_count(json, path) json_path_count(__FILE__, __LINE__, json, path)

long long json_path_num(const char *file, int line, struct json_object *json, const char *path);
const char *json_path_str(const char *file, int line, struct json_object *json, const char *path);
bool json_path_true(const char *file, int line, struct json_object *json, const char *path);
size_t json_path_count(const char *file, int line, struct json_object *json, const char *path); /* of an array */

struct json_object *json_at(struct json_object *json, const char *path); /* NULL: absent */
bool json_has(struct json_object *json, const char *path);               /* present and not null */

/* Parses one value of valid UTF-8 with nothing after it. NULL: not JSON. Release with json_object_put(). */
struct json_object *json_path_parse(const char *text, size_t len);

#endif
