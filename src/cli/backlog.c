/* SPDX-License-Identifier: MIT
 * See backlog.h. Ids are positions in the log, so that over all chats they ascend in time. */
#include "cli/backlog.h"

#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "cli/bookmark.h"
#include "cli/client.h"
#include "cli/command.h"
#include "cli/listing.h"

enum { PAGE = 100, PATH_SIZE = 160 };

struct backlog_chat {
	uint64_t id, latest; /* 0: no message in it */
	char latest_at[CLOCK_RFC3339_LEN + 1];
	uint64_t floor; /* messages after this one are printed */
	uint64_t printed;
	struct json_object *page; /* NULL: not read, or empty */
	size_t next;              /* of the page */
	uint64_t next_id;         /* its id; UINT64_MAX: nothing is left */
};

static uint64_t id_of(struct json_object *message) { return json_object_get_uint64(listing_get(message, "id")); }

/* Repeats the request until it is answered. NULL: the answer is 403, 404 or 410, or the failure lasts (b->code). */
static struct json_object *ask(struct backlog *b, const char *path)
{
	client_url(b->client, path);
	if (!client_perform_patiently(b->client)) {
		bool gone = b->client->status == 403 || b->client->status == 404 || b->client->status == 410;
		bool stopped = client_stopped(b->client) || b->client->code == CURLE_ABORTED_BY_CALLBACK;
		b->code = gone ? 0 : stopped ? CLIENT_STOPPED : client_failed(b->client);
		return NULL;
	}
	struct json_object *o = client_json(b->client);
	if (o == NULL)
		b->code = command_failed("the server's answer isn't understood");
	return o;
}

static int compare_chats(const void *x, const void *y)
{
	const struct backlog_chat *a = x, *b = y;
	return a->latest < b->latest ? -1 : a->latest > b->latest;
}

static void add_chat(struct backlog *b, struct json_object *o)
{
	struct json_object *latest = listing_get(o, "last_message");
	b->chats = mem_resize(b->chats, b->count + 1, sizeof(*b->chats));
	struct backlog_chat *c = &b->chats[b->count++];
	*c = (struct backlog_chat) { .id = id_of(o) };
	if (latest == NULL)
		return;
	c->latest = c->floor = id_of(latest);
	snprintf(c->latest_at, sizeof(c->latest_at), "%s",
		client_text(latest, "at") != NULL ? client_text(latest, "at") : "");
}

static void add_chats(struct backlog *b, struct json_object *chats, const char *only)
{
	for (size_t i = 0; i < json_object_array_length(chats); i++) {
		struct json_object *o = json_object_array_get_idx(chats, i);
		const char *id = client_text(o, "id");
		if (id != NULL && (only == NULL || strcmp(only, id) == 0))
			add_chat(b, o);
	}
}

/* Reads one page of the snapshot. Writes the path of the next one to path; empty: there is none. */
static void add_page(struct backlog *b, char path[PATH_SIZE], const char *only)
{
	struct json_object *sync = ask(b, path), *chats = listing_get(sync, "chats");
	const char *cursor = client_text(sync, "cursor"), *next = client_text(sync, "next");
	if (cursor != NULL && json_object_is_type(chats, json_type_array)) {
		if (b->cursor == NULL)
			b->cursor = mem_strdup(cursor);
		add_chats(b, chats, only);
	} else if (b->code == 0) {
		b->code = b->client->status != 200 ? client_failed(b->client)
						   : command_failed("the server's answer isn't understood");
	}
	*path = '\0';
	if (b->code == 0 && next != NULL)
		snprintf(path, PATH_SIZE, "/v1/sync?cursor=%s", next);
	json_object_put(sync);
}

int backlog_open(struct backlog *b, struct client *client, const char *only)
{
	char path[PATH_SIZE] = "/v1/sync";
	*b = (struct backlog) { .client = client };
	while (*path != '\0')
		add_page(b, path, only);
	if (b->count > 0)
		qsort(b->chats, b->count, sizeof(*b->chats), compare_chats);
	return b->code;
}

void backlog_release(struct backlog *b)
{
	for (unsigned i = 0; i < b->count; i++)
		json_object_put(b->chats[i].page);
	free(b->chats);
	free(b->cursor);
	*b = (struct backlog) { 0 };
}

void backlog_mark(const struct backlog *b, struct bookmark *marks)
{
	for (const struct backlog_chat *c = b->chats; c < b->chats + b->count; c++)
		if (c->latest > 0)
			bookmark_add(marks, c->latest, c->id, c->latest_at);
}

/* Visits a chat's messages from the newest to the oldest, until visit() returns true. */
static void visit_backwards(struct backlog *b, struct backlog_chat *c,
	bool (*visit)(void *arg, struct backlog_chat *c, struct json_object *message), void *arg)
{
	char before[24] = "";
	bool enough = false;
	do {
		char path[PATH_SIZE];
		snprintf(path, sizeof(path), "/v1/chats/%llu/messages?limit=%d%s%s", (unsigned long long)c->id, PAGE,
			*before != '\0' ? "&before=" : "", before);
		struct json_object *page = ask(b, path), *messages = listing_get(page, "messages");
		const char *older = client_text(page, "older");
		snprintf(before, sizeof(before), "%s", older != NULL ? older : "");
		for (size_t i = json_object_is_type(messages, json_type_array) ? json_object_array_length(messages) : 0;
			i > 0 && !enough; i--)
			enough = visit(arg, c, json_object_array_get_idx(messages, i - 1));
		json_object_put(page);
	} while (!enough && b->code == 0 && *before != '\0');
}

int backlog_after_id(struct backlog *b, uint64_t id)
{
	for (unsigned i = 0; i < b->count; i++)
		b->chats[i].floor = id;
	return b->code;
}

static bool is_earlier(void *at, struct backlog_chat *c, struct json_object *message)
{
	const char *its = client_text(message, "at");
	if (its != NULL && strcmp(its, at) >= 0)
		return false;
	c->floor = id_of(message);
	return true;
}

int backlog_from_time(struct backlog *b, const char *at)
{
	for (unsigned i = 0; i < b->count && b->code == 0; i++) {
		struct backlog_chat *c = &b->chats[i];
		if (c->latest == 0 || strcmp(c->latest_at, at) < 0)
			continue;
		c->floor = 0;
		visit_backwards(b, c, is_earlier, (void *)(uintptr_t)at);
	}
	return b->code;
}

/* The ids of the latest messages of the chats visited so far, descending. */
struct latest {
	uint64_t *ids;
	unsigned count, most, left; /* left: of this chat */
};

static bool insert_latest(void *arg, struct backlog_chat *c, struct json_object *message)
{
	struct latest *l = arg;
	uint64_t id = id_of(message);
	unsigned i = l->count;
	if (id > c->latest)
		return false;
	if (l->count == l->most && id < l->ids[i - 1])
		return true;
	if (l->count < l->most)
		l->count++;
	else
		i--;
	for (; i > 0 && l->ids[i - 1] < id; i--)
		l->ids[i] = l->ids[i - 1];
	l->ids[i] = id;
	return --l->left == 0;
}

int backlog_latest(struct backlog *b, unsigned count)
{
	struct latest l = { .ids = mem_zeroed(count + 1, sizeof(*l.ids)), .most = count };
	/* Chats with the latest messages come first: most of the others then need no request. */
	for (unsigned i = b->count; count > 0 && i > 0 && b->code == 0; i--) {
		struct backlog_chat *c = &b->chats[i - 1];
		l.left = count;
		if (c->latest > 0 && (l.count < count || c->latest > l.ids[count - 1]))
			visit_backwards(b, c, insert_latest, &l);
	}
	if (l.count > 0)
		backlog_after_id(b, l.ids[l.count - 1] - 1);
	free(l.ids);
	return b->code;
}

static bool is_unchanged(struct backlog *b, const struct mark *m)
{
	char path[PATH_SIZE];
	if (m->id == 0)
		return false;
	snprintf(path, sizeof(path), "/v1/chats/%llu/messages/%llu", (unsigned long long)m->chat,
		(unsigned long long)m->id);
	struct json_object *message = ask(b, path);
	const char *at = client_text(message, "at");
	bool is = at != NULL && strcmp(at, m->at) == 0;
	json_object_put(message);
	return is;
}

int backlog_after_marks(struct backlog *b, struct bookmark *marks)
{
	size_t good = marks->count;
	while (good > 0 && b->code == 0 && !is_unchanged(b, &marks->marks[good - 1]))
		good--;
	if (b->code != 0)
		return b->code;
	bookmark_shorten(marks, good);
	if (good > 0)
		return backlog_after_id(b, marks->marks[good - 1].id);
	return marks->count > 0 ? backlog_from_time(b, marks->marks[0].at) : backlog_after_id(b, 0);
}

static void read_page(struct backlog *b, struct backlog_chat *c, const char *after)
{
	char path[PATH_SIZE];
	snprintf(path, sizeof(path), "/v1/chats/%llu/messages?limit=%d&after=%s", (unsigned long long)c->id, PAGE,
		after);
	struct json_object *page = ask(b, path);
	json_object_put(c->page);
	c->page = page;
	c->next = 0;
}

static struct json_object *next_message(const struct backlog_chat *c)
{
	struct json_object *messages = listing_get(c->page, "messages");
	bool is_there = json_object_is_type(messages, json_type_array) && c->next < json_object_array_length(messages);
	return is_there ? json_object_array_get_idx(messages, c->next) : NULL;
}

/* Sets next_id, after reading another page if this one is at its end. Messages after the snapshot are left to the
 * stream: otherwise messages of one chat would be printed, and marked, before earlier ones of a chat whose page was
 * read before. */
static void look_ahead(struct backlog *b, struct backlog_chat *c)
{
	const char *newer;
	while (next_message(c) == NULL && (newer = client_text(c->page, "newer")) != NULL) {
		char after[24];
		snprintf(after, sizeof(after), "%s", newer);
		read_page(b, c, after);
	}
	struct json_object *message = next_message(c);
	c->next_id = message != NULL && id_of(message) <= c->latest ? id_of(message) : UINT64_MAX;
}

static void begin(struct backlog *b, struct backlog_chat *c)
{
	char after[24];
	c->next_id = UINT64_MAX;
	if (c->latest <= c->floor || b->code != 0)
		return;
	snprintf(after, sizeof(after), "%llu", (unsigned long long)c->floor);
	read_page(b, c, after);
	look_ahead(b, c);
}

static struct backlog_chat *earliest(struct backlog *b)
{
	struct backlog_chat *first = NULL;
	for (struct backlog_chat *c = b->chats; c < b->chats + b->count; c++)
		if (c->next_id < (first != NULL ? first->next_id : UINT64_MAX))
			first = c;
	return first;
}

int backlog_print(struct backlog *b, int (*print)(void *arg, struct json_object *message), void *arg)
{
	struct backlog_chat *c;
	for (unsigned i = 0; i < b->count; i++)
		begin(b, &b->chats[i]);
	while (b->code == 0 && (c = earliest(b)) != NULL) {
		b->code = print(arg, next_message(c));
		c->printed = c->next_id;
		c->next++;
		if (b->code == 0)
			look_ahead(b, c);
	}
	return b->code;
}

uint64_t backlog_printed(const struct backlog *b, uint64_t chat)
{
	for (const struct backlog_chat *c = b->chats; c < b->chats + b->count; c++)
		if (c->id == chat)
			return c->printed;
	return 0;
}
