/* SPDX-License-Identifier: MIT
 * See manifest.h. */
#include "cli/manifest.h"

#include <json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static struct json_object *text_or_null(const char *text)
{
	return *text != '\0' ? json_object_new_string(text) : NULL;
}

static struct json_object *format_parts(const struct manifest *m)
{
	struct json_object *parts = json_object_new_array();
	for (unsigned i = 0; i < m->part_count; i++) {
		struct json_object *o = json_object_new_object();
		json_object_object_add(o, "name", json_object_new_string(m->parts[i].name));
		json_object_object_add(o, "size", json_object_new_int64((int64_t)m->parts[i].size));
		json_object_object_add(o, "sha256", json_object_new_string(m->parts[i].sha256));
		json_object_array_add(parts, o);
	}
	return parts;
}

char *manifest_format(const struct manifest *m)
{
	struct json_object *o = json_object_new_object(), *postern = json_object_new_object();
	struct json_object *postgresql = json_object_new_object(), *database = json_object_new_object();
	json_object_object_add(o, "format", json_object_new_int(MANIFEST_FORMAT));
	json_object_object_add(o, "kind", json_object_new_string(m->kind));
	json_object_object_add(o, "made_at", json_object_new_string(m->made_at));
	json_object_object_add(postern, "version", json_object_new_string(m->version));
	json_object_object_add(postern, "build", json_object_new_string(m->build));
	json_object_object_add(o, "postern", postern);
	json_object_object_add(postgresql, "major", json_object_new_int(m->major));
	json_object_object_add(postgresql, "version", json_object_new_string(m->server_version));
	json_object_object_add(o, "postgresql", postgresql);
	json_object_object_add(database, "epoch", json_object_new_string(m->epoch));
	json_object_object_add(database, "system_identifier", text_or_null(m->system_identifier));
	json_object_object_add(database, "private", json_object_new_boolean(m->is_private));
	json_object_object_add(o, "database", database);
	json_object_object_add(o, "parts", format_parts(m));
	char *text = mem_format(
		"%s\n", json_object_to_json_string_ext(o, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(o);
	return text;
}

static struct json_object *member(struct json_object *o, const char *name, enum json_type type)
{
	struct json_object *v = NULL;
	return json_object_object_get_ex(o, name, &v) && json_object_is_type(v, type) ? v : NULL;
}

/* Returns false unless the text is printable ASCII, since people are shown it, and short enough. */
static bool read_text(struct json_object *o, const char *name, char *out, size_t size)
{
	struct json_object *v = member(o, name, json_type_string);
	const char *text = v != NULL ? json_object_get_string(v) : NULL;
	if (text == NULL || strlen(text) >= size || strlen(text) != (size_t)json_object_get_string_len(v))
		return false;
	for (const char *c = text; *c != '\0'; c++)
		if ((unsigned char)*c < 0x20 || (unsigned char)*c >= 0x7f)
			return false;
	snprintf(out, size, "%s", text);
	return true;
}

static bool read_part(struct json_object *o, struct manifest_part *ret)
{
	struct json_object *size = member(o, "size", json_type_int);
	if (size == NULL || json_object_get_int64(size) < 0 || !read_text(o, "name", ret->name, sizeof(ret->name)) ||
		!read_text(o, "sha256", ret->sha256, sizeof(ret->sha256)))
		return false;
	ret->size = (uint64_t)json_object_get_int64(size);
	return strlen(ret->sha256) == DIGEST_HEX && strspn(ret->sha256, "0123456789abcdef") == DIGEST_HEX;
}

static bool read_parts(struct json_object *o, struct manifest *ret)
{
	struct json_object *parts = member(o, "parts", json_type_array);
	size_t count = parts != NULL ? json_object_array_length(parts) : 0;
	if (count == 0 || count > MANIFEST_PARTS_MAX)
		return false;
	ret->part_count = (unsigned)count;
	for (size_t i = 0; i < count; i++)
		if (!read_part(json_object_array_get_idx(parts, i), &ret->parts[i]))
			return false;
	return true;
}

static bool read_all(struct json_object *o, struct manifest *ret)
{
	struct json_object *postern = member(o, "postern", json_type_object);
	struct json_object *postgresql = member(o, "postgresql", json_type_object);
	struct json_object *database = member(o, "database", json_type_object);
	struct json_object *major = postgresql != NULL ? member(postgresql, "major", json_type_int) : NULL;
	struct json_object *is_private = database != NULL ? member(database, "private", json_type_boolean) : NULL;
	if (postern == NULL || major == NULL || is_private == NULL)
		return false;
	ret->major = json_object_get_int(major);
	ret->is_private = json_object_get_boolean(is_private);
	if (!read_text(database, "system_identifier", ret->system_identifier, sizeof(ret->system_identifier)))
		ret->system_identifier[0] = '\0';
	return read_text(o, "kind", ret->kind, sizeof(ret->kind)) &&
		read_text(o, "made_at", ret->made_at, sizeof(ret->made_at)) &&
		read_text(postern, "version", ret->version, sizeof(ret->version)) &&
		read_text(postern, "build", ret->build, sizeof(ret->build)) &&
		read_text(postgresql, "version", ret->server_version, sizeof(ret->server_version)) &&
		read_text(database, "epoch", ret->epoch, sizeof(ret->epoch)) && read_parts(o, ret);
}

static struct json_object *parse(const char *text, size_t len)
{
	enum json_tokener_error error = json_tokener_continue;
	struct json_tokener *t = len <= MANIFEST_TEXT_MAX ? json_tokener_new() : NULL;
	struct json_object *o = NULL;
	if (t == NULL)
		return NULL;
	json_tokener_set_flags(t, JSON_TOKENER_STRICT | JSON_TOKENER_ALLOW_TRAILING_CHARS);
	o = json_tokener_parse_ex(t, text, (int)len);
	error = json_tokener_get_error(t);
	size_t end = json_tokener_get_parse_end(t);
	json_tokener_free(t);
	while (end < len && text[end] == '\n')
		end++;
	if (error == json_tokener_success && end == len && json_object_is_type(o, json_type_object))
		return o;
	json_object_put(o);
	return NULL;
}

enum status manifest_parse(const char *text, size_t len, struct manifest *ret, struct buf *why)
{
	struct json_object *o = parse(text, len), *format = o != NULL ? member(o, "format", json_type_int) : NULL;
	enum status st = ST_OK;
	*ret = (struct manifest) { 0 };
	if (format == NULL)
		st = ST_INVALID;
	else if (json_object_get_int(format) != MANIFEST_FORMAT) {
		buf_addf(why,
			"it has format %lld, and this version of Postern reads format %d: use the version that wrote "
			"it, "
			"or a newer one",
			(long long)json_object_get_int64(format), MANIFEST_FORMAT);
		st = ST_REFUSED;
	} else if (!read_all(o, ret))
		st = ST_INVALID;
	if (st == ST_INVALID)
		buf_adds(why, "its manifest.json isn't the manifest of a backup");
	json_object_put(o);
	return st;
}
