/* SPDX-License-Identifier: MIT
 * See frame.h. A frame is one block of memory. */
#include "log/frame.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/linesafe.h"
#include "base/mem.h"
#include "base/secret.h"
#include "log/live.h"

const char *const frame_kind_names[FRAME_KINDS] = {
	"message",
	"deleted",
	"reaction",
	"chat",
	"member",
	"user",
	"delivered",
	"read",
	"typing",
	"presence",
	"signal",
	"announcement",
	"chat_request",
};

/* The parts of a line, before memory is allocated for the frame. */
struct parsed {
	uint64_t pos;
	struct position cursor; /* pos with its check; for a frame that isn't in the log, the head it was made at */
	const char *kind, *chats, *user, *json;
	size_t kind_len, chats_len, user_len, json_len;
	unsigned chats_count;
	bool to_user_only;
	int64_t a, b;
};

static bool kind_parse(const char *s, size_t len, enum frame_kind *ret_kind)
{
	for (unsigned i = 0; i < FRAME_KINDS; i++)
		if (strlen(frame_kind_names[i]) == len && memcmp(frame_kind_names[i], s, len) == 0) {
			*ret_kind = (enum frame_kind)i;
			return true;
		}
	return false;
}

static size_t join(char *out, const char *const *parts)
{
	char *to = out;
	for (; *parts != NULL; parts++)
		to = stpcpy(to, *parts);
	return (size_t)(to - out);
}

static void set_details(struct frame *f, const struct parsed *p)
{
	uint64_t a = (uint64_t)p->a, b = (uint64_t)p->b;
	switch (f->kind) {
	case FRAME_MESSAGE:
	case FRAME_DELETED:
		f->message.id = a;
		f->message.received_us = b;
		break;
	case FRAME_REACTION:
		f->reaction.message_id = a;
		f->reaction.emoji_hash = b;
		break;
	case FRAME_MEMBER:
		f->member.since = a;
		f->member.floor = b;
		break;
	case FRAME_CHAT: f->chat.is_deleted = b == 1; break;
	default: break;
	}
}

static struct frame *build(const struct parsed *p, const char *epoch)
{
	enum frame_kind kind;
	if (!kind_parse(p->kind, p->kind_len, &kind))
		return NULL;
	char cursor[CURSOR_MAX], sse_head[CURSOR_MAX + 64], nd_head[CURSOR_MAX + 64];
	cursor_print(epoch, p->cursor, cursor);
	const char *name = frame_kind_names[kind];
	size_t sse_n = p->pos == 0
		? join(sse_head, (const char *[]) { "event: ", name, "\ndata: ", NULL })
		: join(sse_head, (const char *[]) { "id: ", cursor, "\nevent: ", name, "\ndata: ", NULL });
	size_t nd_n = join(
		nd_head, (const char *[]) { "{\"event\":\"", name, "\",\"cursor\":\"", cursor, "\",\"data\":", NULL });
	size_t user_size = p->user_len ? p->user_len + 1 : 0;
	size_t growth = linesafe_growth(p->json, p->json_len), json_len = p->json_len + growth,
	       sse_len = sse_n + json_len + 2;
	size_t arrays = p->chats_count * sizeof(uint64_t) + (p->chats_count + 1) * sizeof(struct frame_thread);
	if (p->chats_count == 0 && p->user_len == 0)
		arrays = 0;
	struct frame *f = mem_alloc(sizeof(*f) + arrays + user_size + sse_len + nd_n);
	char *at = (char *)(f + 1) + arrays;
	*f = (struct frame) { .refs = 1,
		.kind = kind,
		.pos = p->pos,
		.check = p->cursor.check,
		.chats_count = p->chats_count,
		.to_user_only = p->to_user_only };
	set_details(f, p);
	f->threads = arrays ? (struct frame_thread *)(f + 1) : NULL;
	f->chats = arrays ? (uint64_t *)(f->threads + p->chats_count + 1) : NULL;
	if (p->user_len > 0) {
		f->user = memcpy(at, p->user, p->user_len);
		at[p->user_len] = '\0';
		f->user_len = p->user_len;
		f->user_key = secret_keyed_hash(p->user, p->user_len);
		at += user_size;
	}
	f->sse = at;
	f->sse_len = (unsigned)sse_len;
	f->json = at + sse_n;
	f->json_len = (unsigned)json_len;
	memcpy(at, sse_head, sse_n);
	if (growth > 0)
		linesafe_copy(at + sse_n, p->json, p->json_len);
	else
		memcpy(at + sse_n, p->json, p->json_len);
	memcpy(at + sse_len - 2, "\n\n", 2);
	at += sse_len;
	f->ndjson_head = memcpy(at, nd_head, nd_n);
	f->ndjson_head_len = (unsigned)nd_n;
	return f;
}

/* Returns the place of f's chats, which build() leaves to its caller to fill. */
static uint64_t *frame_chats(const struct frame *f) { return (uint64_t *)(f->threads + f->chats_count + 1); }

/* Reads a word and the space after it. */
static bool word(const char **at, const char *end, const char **ret, size_t *ret_len)
{
	const char *space = memchr(*at, ' ', (size_t)(end - *at));
	if (space == NULL || space == *at)
		return false;
	*ret = *at;
	*ret_len = (size_t)(space - *at);
	*at = space + 1;
	return true;
}

static bool number(const char **at, const char *end, int64_t *ret)
{
	const char *s;
	size_t len;
	char *stop;
	if (!word(at, end, &s, &len))
		return false;
	*ret = strtoll(s, &stop, 10);
	return stop == s + len;
}

static unsigned count_chats(const char *s, size_t len)
{
	unsigned n = 1;
	for (size_t i = 0; i < len; i++)
		n += s[i] == ',';
	return n;
}

static void read_chats(struct frame *f, const char *s)
{
	uint64_t *chats = f->chats_count > 0 ? frame_chats(f) : NULL;
	for (unsigned i = 0; i < f->chats_count; i++) {
		char *stop;
		chats[i] = strtoull(s, &stop, 10);
		s = stop + 1;
	}
}

static bool parse_line(const char *line, size_t len, struct parsed *ret)
{
	const char *at = line, *end = line + len;
	int64_t pos;
	*ret = (struct parsed) { 0 };
	if (!number(&at, end, &pos) || pos <= 0 || !word(&at, end, &ret->kind, &ret->kind_len) ||
		!word(&at, end, &ret->chats, &ret->chats_len) || !word(&at, end, &ret->user, &ret->user_len) ||
		!number(&at, end, &ret->a) || !number(&at, end, &ret->b))
		return false;
	ret->pos = (uint64_t)pos;
	ret->json = at;
	ret->json_len = (size_t)(end - at);
	return true;
}

bool frame_parse_checks(const char *line, size_t len, uint32_t *ret_check, uint32_t *ret_before)
{
	struct parsed p;
	if (!parse_line(line, len, &p) || p.json_len > 0 || *p.user != '-' || *p.chats != '-')
		return false;
	*ret_check = (uint32_t)p.a;
	*ret_before = (uint32_t)p.b;
	return true;
}

struct frame *frame_parse(const char *line, size_t len, const char *epoch, uint32_t check)
{
	struct parsed p;
	if (!parse_line(line, len, &p))
		return NULL;
	p.cursor = (struct position) { p.pos, check };
	if (p.user_len == 1 && *p.user == '-')
		p.user_len = 0;
	if (*p.chats == '~') {
		p.to_user_only = true;
		p.chats++;
		p.chats_len--;
	}
	if (p.chats_len != 1 || *p.chats != '-')
		p.chats_count = count_chats(p.chats, p.chats_len);
	struct frame *f = build(&p, epoch);
	if (f != NULL)
		read_chats(f, p.chats);
	return f;
}

bool live_parse(const char *line, size_t len, const char *epoch, struct position cursor, struct live *ret)
{
	const char *at = line, *end = line + len, *except;
	struct parsed p = { .cursor = cursor };
	size_t except_len;
	if (!word(&at, end, &p.kind, &p.kind_len) || !word(&at, end, &p.chats, &p.chats_len) ||
		!word(&at, end, &ret->users, &ret->users_len) || !word(&at, end, &except, &except_len))
		return false;
	p.json = at;
	p.json_len = (size_t)(end - at);
	if (p.chats_len != 1 || *p.chats != '-')
		p.chats_count = count_chats(p.chats, p.chats_len);
	if (ret->users_len == 1 && *ret->users == '-')
		ret->users_len = 0;
	ret->except = except_len == 1 && *except == '-' ? 0 : secret_keyed_hash(except, except_len);
	ret->f = build(&p, epoch);
	if (ret->f != NULL)
		read_chats(ret->f, p.chats);
	return ret->f != NULL;
}

bool live_is_for_all(const struct live *l) { return l->users_len == 1 && *l->users == '*'; }

uint64_t live_next_user(struct live *l)
{
	if (l->users_len == 0)
		return 0;
	const char *comma = memchr(l->users, ',', l->users_len);
	size_t n = comma ? (size_t)(comma - l->users) : l->users_len;
	uint64_t key = secret_keyed_hash(l->users, n);
	n += comma != NULL;
	l->users += n;
	l->users_len -= n;
	return key;
}

struct frame *frame_message(uint64_t id, uint64_t chat, const char *sender, uint64_t received_us, const char *json,
	size_t json_len, const char *epoch, uint32_t check)
{
	const char *kind = frame_kind_names[FRAME_MESSAGE];
	struct parsed p = { .pos = id,
		.cursor = { id, check },
		.kind = kind,
		.kind_len = strlen(kind),
		.user = sender,
		.user_len = strlen(sender),
		.chats_count = 1,
		.a = (int64_t)id,
		.b = (int64_t)received_us,
		.json = json,
		.json_len = json_len };
	struct frame *f = build(&p, epoch);
	*frame_chats(f) = chat;
	return f;
}

struct frame *frame_new(const char *kind, struct position at, const char *json, size_t json_len, const char *epoch)
{
	struct parsed p = {
		.pos = at.pos, .cursor = at, .kind = kind, .kind_len = strlen(kind), .json = json, .json_len = json_len
	};
	return build(&p, epoch);
}

struct frame *frame_raw(struct position at, const char *bytes, size_t len)
{
	struct frame *f = mem_alloc(sizeof(*f) + len);
	*f = (struct frame) {
		.refs = 1, .kind = FRAME_KINDS, .pos = at.pos, .check = at.check, .sse_len = (unsigned)len
	};
	f->sse = memcpy(f + 1, bytes, len);
	return f;
}

void frame_unref(struct frame *f)
{
	if (f == NULL)
		return;
	assert(f->refs > 0);
	if (--f->refs == 0)
		free(f);
}

size_t frame_size(const struct frame *f)
{
	return sizeof(*f) + f->sse_len + f->ndjson_head_len + f->user_len + 1 +
		(f->threads ? f->chats_count * sizeof(uint64_t) + (f->chats_count + 1) * sizeof(struct frame_thread)
			    : 0);
}
