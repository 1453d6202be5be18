/* SPDX-License-Identifier: MIT
 * See pages.h. Only members who see all of a chat share its pages; for others the database makes the page. */
#include "api/pages.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "api/auth.h"
#include "api/call.h"
#include "base/decimal.h"
#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/secret.h"
#include "log/frame.h"
#include "log/tail.h"
#include "pg/replica.h"

#define CHATS_MAX 1024
#define READERS_MAX 16384 /* a chat */
#define BYTES_MAX ((size_t)16 << 20)
#define LIMITS 2 /* pages of a chat, by their limit */
#define LIMIT_PRESET 50
#define LIMIT_MAX 200

struct page {
	unsigned limit; /* 0: free */
	char *body;     /* NULL: not cached */
	size_t len;
	char older[24];    /* "" when there is none */
	struct load *load; /* the read in flight, for all who may see the page */
};

struct chat {
	struct list link; /* ordered by last use, the oldest first */
	uint64_t id;
	uint64_t version;   /* changes with every event of the chat; never repeated */
	struct map readers; /* user key → itself: members who see all */
	struct page pages[LIMITS];
};

/* A read in flight, and the requests that wait for it. */
struct load {
	struct pages *pages;
	uint64_t chat, version;
	unsigned limit, count;
	struct request **requests;
};

struct pages {
	struct api *api;
	struct map chats; /* id → struct chat */
	struct list order;
	size_t bytes;
	uint64_t versions;
};

static void drop_page(struct pages *p, struct page *page)
{
	p->bytes -= page->body ? page->len : 0;
	free(page->body);
	page->body = NULL;
	page->load = NULL;
}

static void drop_chat(struct pages *p, struct chat *c)
{
	for (unsigned i = 0; i < LIMITS; i++)
		drop_page(p, &c->pages[i]);
	list_remove(&c->link);
	map_remove(&p->chats, c->id);
	map_release(&c->readers);
	free(c);
}

static struct chat *oldest(struct pages *p) { return container_of(p->order.next, struct chat, link); }

static struct chat *chat_of(struct pages *p, uint64_t id)
{
	struct chat *c = map_get(&p->chats, id);
	if (c == NULL) {
		if (p->chats.count >= CHATS_MAX)
			drop_chat(p, oldest(p));
		c = mem_zeroed(1, sizeof(*c));
		c->id = id;
		c->version = ++p->versions;
		list_init(&c->link);
		map_set(&p->chats, id, c);
	}
	list_remove(&c->link);
	list_append(&p->order, &c->link);
	return c;
}

/* Returns the place for pages of that size. */
static struct page *page_of(struct pages *p, struct chat *c, unsigned limit)
{
	unsigned i = 0;
	while (i < LIMITS && c->pages[i].limit != limit && c->pages[i].limit != 0)
		i++;
	if (i == LIMITS) {
		i = limit == LIMIT_PRESET ? 0 : LIMITS - 1;
		drop_page(p, &c->pages[i]);
	}
	c->pages[i].limit = limit;
	return &c->pages[i];
}

/* ---- the tail's events ---- */

static void chat_changed(struct pages *p, const struct frame *f, uint64_t id)
{
	struct chat *c = map_get(&p->chats, id);
	if (c == NULL)
		return;
	c->version = ++p->versions;
	if (f->kind == FRAME_MEMBER)
		map_remove(&c->readers, f->user_key);
	else if (frame_is_chat_deletion(f))
		drop_chat(p, c);
	else
		for (unsigned i = 0; i < LIMITS; i++)
			drop_page(p, &c->pages[i]);
}

static void on_frame(void *arg, struct frame *f, bool own)
{
	struct pages *p = arg;
	(void)own;
	if (p->chats.count > 0 && f->kind != FRAME_USER)
		for (unsigned i = 0; i < f->chats_count; i++)
			chat_changed(p, f, f->chats[i]);
}

static void drop_all(struct pages *p)
{
	while (!list_empty(&p->order))
		drop_chat(p, oldest(p));
}

static void on_rewind(void *arg, uint64_t common, bool foreign)
{
	(void)common;
	(void)foreign;
	drop_all(arg);
}

static const struct tail_events tail_events = { .on_frame = on_frame, .on_rewind = on_rewind };

/* ---- answering ---- */

static void answer(struct request *req, const char *body, size_t len, const char *older)
{
	call_add_links(req, *older ? older : NULL, NULL);
	request_reply_copy(req, 200, "application/json", body, len);
}

static uint64_t user_key(const struct request *req)
{
	const char *name = caller_of(req)->name;
	return secret_keyed_hash(name, strlen(name));
}

/* A page is current if the chat has had no event since it was read. */
static void remember(struct pages *p, struct chat *c, const struct load *l, const struct pg_result *r)
{
	struct page *page = page_of(p, c, l->limit);
	if (c->readers.count >= READERS_MAX)
		map_release(&c->readers);
	map_set(&c->readers, user_key(l->requests[0]), c);
	drop_page(p, page);
	page->len = pg_size(r, 0, 2);
	page->body = mem_alloc(page->len);
	memcpy(page->body, pg_text(r, 0, 2), page->len);
	snprintf(page->older, sizeof(page->older), "%s", pg_null(r, 0, 0) ? "" : pg_text(r, 0, 0));
	p->bytes += page->len;
	while (p->bytes > BYTES_MAX && oldest(p) != c)
		drop_chat(p, oldest(p));
}

static void on_loaded(void *arg, const struct pg_result *r)
{
	struct load *l = arg;
	bool found = pg_ok(r) && pg_rows(r) == 1;
	struct chat *c = map_get(&l->pages->chats, l->chat);
	for (unsigned i = 0; c != NULL && i < LIMITS; i++)
		if (c->pages[i].load == l)
			c->pages[i].load = NULL;
	if (found && c != NULL && c->version == l->version && pg_int(r, 0, 1) == 0)
		remember(l->pages, c, l, r);
	for (unsigned i = 0; i < l->count; i++) {
		if (found)
			answer(l->requests[i], pg_text(r, 0, 2), pg_size(r, 0, 2),
				pg_null(r, 0, 0) ? "" : pg_text(r, 0, 0));
		else
			call_refuse(l->requests[i], r);
	}
	free(l->requests);
	free(l);
}

static void join(struct load *l, struct request *req)
{
	if ((l->count & (l->count - 1)) == 0)
		l->requests = mem_resize(l->requests, l->count ? l->count * 2 : 1, sizeof(struct request *));
	l->requests[l->count++] = req;
}

static struct load *load(struct pages *p, struct request *req, const struct chat *c, unsigned limit)
{
	char chat[24], most[12];
	struct load *l = mem_zeroed(1, sizeof(*l));
	*l = (struct load) { .pages = p, .chat = c->id, .version = c->version, .limit = limit };
	join(l, req);
	snprintf(chat, sizeof(chat), "%" PRIu64, c->id);
	snprintf(most, sizeof(most), "%u", limit);
	replica_call(p->api->replica,
		"select older, floor, body from history($1, $2, null, null, null, $3) where reaches($4, $5)", 3,
		(const char *[]) { caller_of(req)->name, chat, most }, on_loaded, l);
	return l;
}

static void from_page(struct pages *p, struct request *req, uint64_t id, unsigned limit)
{
	struct chat *c = chat_of(p, id);
	struct page *page = page_of(p, c, limit);
	bool sees_all = map_get(&c->readers, user_key(req)) != NULL;
	metrics_count(p->api->metrics, sees_all && page->body != NULL ? M_PAGE_HITS : M_PAGE_MISSES, 1);
	if (!sees_all)
		load(p, req, c, limit);
	else if (page->body != NULL)
		answer(req, page->body, page->len, page->older);
	else if (page->load != NULL)
		join(page->load, req);
	else
		page->load = load(p, req, c, limit);
}

void pages_get(struct request *req)
{
	static const char *const known[] = { "limit", NULL };
	struct api *api = api_of(req);
	const char *limit = request_param(req, "limit");
	uint64_t id, most = LIMIT_PRESET;
	bool is_usual = decimal_parse(request_var(req, 0), &id) && id > 0 && id != UINT64_MAX &&
		(limit == NULL || decimal_parse(limit, &most)) && most > 0 && most <= LIMIT_MAX;
	if (!is_usual || request_unknown_param(req, known) != NULL || !tail_live(api->tail) ||
		tail_is_behind(api->tail))
		call_handle(req);
	else
		from_page(api->pages, req, id, (unsigned)most);
}

struct pages *pages_new(struct api *api)
{
	struct pages *p = mem_zeroed(1, sizeof(*p));
	p->api = api;
	list_init(&p->order);
	tail_listen(api->tail, &tail_events, p);
	return p;
}

void pages_free(struct pages *p)
{
	drop_all(p);
	map_release(&p->chats);
	free(p);
}
