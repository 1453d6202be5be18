/* SPDX-License-Identifier: MIT
 * Values of JSON by path. See json_path.h. */
#include "json_path.h"

#include <stdlib.h>
#include <string.h>

#include "suite.h"

struct json_object *json_at(struct json_object *json, const char *path)
{
	while (json != NULL && *path != '\0') {
		char step[64];
		size_t len = strcspn(path, ".");
		ck_assert_uint_lt(len, sizeof(step));
		memcpy(step, path, len);
		step[len] = '\0';
		if (json_object_is_type(json, json_type_array))
			json = json_object_array_get_idx(json, strtoul(step, NULL, 10));
		else if (!json_object_is_type(json, json_type_object) || !json_object_object_get_ex(json, step, &json))
			json = NULL;
		path += len + (path[len] == '.');
	}
	return json;
}

bool json_has(struct json_object *json, const char *path) { return json_at(json, path) != NULL; }

static struct json_object *typed(
	const char *file, int line, struct json_object *json, const char *path, enum json_type type)
{
	struct json_object *it = json_at(json, path);
	if (it == NULL || !json_object_is_type(it, type))
		fail_at(file, line, "no %s %s in %s", json_type_to_name(type), path,
			json != NULL ? json_object_to_json_string(json) : "(no JSON)");
	return it;
}

long long json_path_num(const char *file, int line, struct json_object *json, const char *path)
{
	return json_object_get_int64(typed(file, line, json, path, json_type_int));
}

const char *json_path_str(const char *file, int line, struct json_object *json, const char *path)
{
	return json_object_get_string(typed(file, line, json, path, json_type_string));
}

bool json_path_true(const char *file, int line, struct json_object *json, const char *path)
{
	return json_object_get_boolean(typed(file, line, json, path, json_type_boolean));
}

size_t json_path_count(const char *file, int line, struct json_object *json, const char *path)
{
	return json_object_array_length(typed(file, line, json, path, json_type_array));
}

struct json_object *json_path_parse(const char *text, size_t len)
{
	struct json_tokener *tokener = json_tokener_new();
	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	struct json_object *json = len > 0 ? json_tokener_parse_ex(tokener, text, (int)len) : NULL;
	/* The tokener accepts a number only when another character follows. */
	if (json == NULL && json_tokener_get_error(tokener) == json_tokener_continue)
		json = json_tokener_parse_ex(tokener, "", 1);
	size_t used = json_tokener_get_parse_end(tokener);
	bool rest = false;
	for (size_t i = used; i < len; i++)
		rest = rest || strchr(" \t\r\n", text[i]) == NULL;
	json_tokener_free(tokener);
	if (json != NULL && rest) {
		json_object_put(json);
		json = NULL;
	}
	return json;
}
