/* SPDX-License-Identifier: MIT
 * See outgoing.h. */
#include "api/outgoing.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "api/api.h"
#include "api/auth.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/mentions.h"
#include "base/problem.h"
#include "base/secret.h"
#include "base/utf8.h"
#include "conf/conf.h"

#define KEY_MAX 200
#define TYPE_MAX 32

/* A copy that lives as long as the post. */
static const char *copy_text(struct outgoing *o, const char *s)
{
	return s != NULL ? arena_copy(&o->post->arena, s, strlen(s)) : NULL;
}

static bool is_type(const char *s)
{
	size_t n = strlen(s);
	return n >= 1 && n <= TYPE_MAX && s[0] >= 'a' && s[0] <= 'z' &&
		strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789_.-") == n && strcmp(s, "system") != 0;
}

static bool is_key(const char *s)
{
	size_t n = strlen(s);
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)s[i] < 0x20 || s[i] == 0x7f)
			return false;
	return n >= 1 && n <= KEY_MAX && utf8_valid(s, n);
}

/* The members of a message's body. */
struct draft {
	const char *text, *type, *key;
	struct json_object *content, *forward;
	int64_t reply_to;
};
struct source { /* of a message that is forwarded */
	int64_t chat, id;
};

static void check_type(struct outgoing *o, const struct draft *d)
{
	if (d->type != NULL && !is_type(d->type))
		body_fail(&o->error, PROBLEM_OUT_OF_RANGE,
			"type must be 1 to 32 of a-z, 0-9, \"_\", \".\" and \"-\", and not \"system\".");
	else if (d->content != NULL && d->type == NULL)
		body_fail(&o->error, PROBLEM_MISSING_FIELD, "A content needs a type.");
	else if (d->content == NULL && d->type != NULL)
		body_fail(&o->error, PROBLEM_MISSING_FIELD, "A message with a type needs a content.");
}

static void check_forward(struct outgoing *o, const struct draft *d)
{
	static const struct body_field fields[] = {
		BODY_FIELD(source, chat, BODY_INT, .min = 1, .max = INT64_MAX - 1, .required = true),
		BODY_FIELD(source, id, BODY_INT, .min = 1, .max = INT64_MAX - 1, .required = true),
		{ .type = BODY_END },
	};
	struct source source = { 0 };
	if (d->forward == NULL)
		return;
	body_fill(d->forward, fields, &source, &o->error);
	if (d->text != NULL || d->type != NULL)
		body_fail(&o->error, PROBLEM_UNKNOWN_FIELD, "What is forwarded has its own text, type and content.");
	o->item.forward_chat = (uint64_t)source.chat;
	o->item.forward_id = (uint64_t)source.id;
}

void outgoing_read_json(struct outgoing *o, const char *json, size_t len)
{
	const struct body_field fields[] = {
		BODY_FIELD(draft, text, BODY_TEXT, .max = http_conf(request_server(o->post->req))->text_max),
		BODY_FIELD(draft, type, BODY_TEXT, .max = TYPE_MAX),
		BODY_FIELD(draft, content, BODY_OBJECT, .required = false),
		BODY_FIELD(draft, forward, BODY_OBJECT, .required = false),
		BODY_FIELD(draft, reply_to, BODY_INT, .min = 1, .max = INT64_MAX - 1),
		BODY_FIELD(draft, key, BODY_TEXT, .required = false),
		{ .type = BODY_END },
	};
	struct draft d = { 0 };
	struct json_object *body = body_parse(json, len, &o->error);
	if (body == NULL)
		return;
	body_fill(body, fields, &d, &o->error);
	if (o->error.code == PROBLEM_NONE)
		check_type(o, &d);
	if (o->error.code == PROBLEM_NONE)
		check_forward(o, &d);
	o->item.text = copy_text(o, d.text);
	o->item.type = copy_text(o, d.type);
	o->item.key = copy_text(o, d.key);
	if (d.content != NULL)
		o->item.content = copy_text(o,
			json_object_to_json_string_ext(
				d.content, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
	o->item.reply_to = (uint64_t)d.reply_to;
	json_object_put(body);
}

void outgoing_read_text(struct outgoing *o, const char *text, size_t len)
{
	const struct conf *conf = http_conf(request_server(o->post->req));
	if (conf->text_max > 0 && len > conf->text_max)
		body_fail(&o->error, PROBLEM_TEXT_TOO_LONG, "A text may have %zu bytes, this has %zu.", conf->text_max,
			len);
	else if (len > 0 && memchr(text, '\0', len) != NULL)
		body_fail(&o->error, PROBLEM_BAD_TEXT, "A text can't hold NUL.");
	else if (!utf8_valid(text, len))
		body_fail(&o->error, PROBLEM_BAD_UTF8, "The text isn't valid UTF-8.");
	else
		o->item.text = len > 0 ? arena_copy(&o->post->arena, text, len) : "";
}

static void find_names(struct outgoing *o)
{
	struct buf names;
	buf_init(&names, SIZE_MAX / 2);
	mentions_find(o->item.text, strlen(o->item.text), &names);
	o->item.names = names.len > 0 ? copy_text(o, names.data) : NULL;
	buf_release(&names);
}

/* Checks the members of a message, and sets its key and the hash of its content. */
void outgoing_complete(struct outgoing *o, const struct caller *caller, const char *header_key)
{
	struct api *api = api_of(o->post->req);
	char made[64], hex[SECRET_HASH_HEX + 1];
	struct buf all;
	if (o->item.type == NULL && o->item.forward_id == 0 && (o->item.text == NULL || *o->item.text == '\0'))
		body_fail(&o->error, PROBLEM_EMPTY_TEXT, "A message needs a text.");
	if (header_key != NULL && o->item.key != NULL && strcmp(header_key, o->item.key) != 0)
		body_fail(&o->error, PROBLEM_OUT_OF_RANGE, "The key and the Idempotency-Key header differ.");
	if (header_key != NULL && o->item.key == NULL)
		o->item.key = copy_text(o, header_key);
	if (o->item.key != NULL && !is_key(o->item.key))
		body_fail(
			&o->error, PROBLEM_OUT_OF_RANGE, "A key has 1 to %d bytes and no control characters.", KEY_MAX);
	if (o->error.code != PROBLEM_NONE)
		return;
	if (o->item.key == NULL) {
		snprintf(made, sizeof(made), "~%s-%u-%" PRIx64 "-%" PRIx64, api->node, api->worker, clock_mono_us(),
			++api->keys);
		o->item.key = copy_text(o, made);
	}
	buf_init(&all, SIZE_MAX / 2);
	buf_addu(&all, o->item.reply_to);
	buf_addc(&all, '\n');
	buf_adds(&all, o->item.type ? o->item.type : "");
	buf_addc(&all, '\n');
	buf_adds(&all, o->item.content ? o->item.content : "");
	buf_addc(&all, '\n');
	buf_adds(&all, o->item.text ? o->item.text : "\x01");
	if (o->item.forward_id != 0)
		buf_addf(&all, "\x01%" PRIu64 " %" PRIu64, o->item.forward_chat, o->item.forward_id);
	secret_hash_hex(all.data, all.len, hex);
	memcpy(o->hash, hex, OUTGOING_HASH_HEX);
	buf_release(&all);
	o->item.hash = o->hash;
	if (o->item.text != NULL)
		find_names(o);
	o->item.sender = caller->name;
	o->item.received_us = request_received_us(o->post->req);
}
