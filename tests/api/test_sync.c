/* SPDX-License-Identifier: MIT
 * Pages of /v1/sync and /v1/chats: every chat once, by its last activity, and bounded in bytes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/client.h"
#include "../lib/stream.h"
#include "../lib/suite.h"

enum { CHATS = 130, LIMIT = 50, PAGE_BYTES = 1 << 20, TEXT = 16000 };

struct list {
	long long ids[CHATS + 1];
	int count, pages;
};

static long long make_chat(const struct client *who, const char *title)
{
	return json_num(expect_status(post(who, "/v1/chats", "{'kind':'group','title':'%s'}", title), 201).json, "id");
}

static void add_page(struct list *l, struct answer a)
{
	size_t n = json_count(a.json, "chats");
	ck_assert_uint_gt(n, 0);
	for (size_t i = 0; i < n; i++) {
		ck_assert_int_le(l->count, CHATS);
		l->ids[l->count++] = json_num(a.json, format("chats.%zu.id", i));
	}
	l->pages++;
}

/* Reads the pages from that path on. Each has the first one's stream cursor. */
static struct answer read_page(struct list *l, const struct client *who, const char *path, const char *cursor)
{
	struct answer a = expect_status(get(who, "%s", path), 200);
	if (cursor != NULL)
		ck_assert_str_eq(json_str(a.json, "cursor"), cursor);
	add_page(l, a);
	return a;
}

static void read_others(struct list *l, const struct client *who, struct answer a)
{
	const char *cursor = json_str(a.json, "cursor");
	while (json_has(a.json, "next"))
		a = read_page(l, who, format("/v1/sync?limit=%d&cursor=%s", LIMIT, json_str(a.json, "next")), cursor);
}

static int times(const struct list *l, long long id)
{
	int n = 0;
	for (int i = 0; i < l->count; i++)
		n += l->ids[i] == id;
	return n;
}

static void expect_once(const struct list *l, const long long *ids)
{
	ck_assert_int_eq(l->count, CHATS);
	for (int i = 0; i < CHATS; i++)
		ck_assert_int_eq(times(l, ids[i]), 1);
}

START_TEST(sync_pages_have_every_chat_once_by_last_activity)
{
	struct client *ann = new_user();
	long long ids[CHATS];
	struct list l = { 0 };
	for (int i = 0; i < CHATS; i++)
		ids[i] = make_chat(ann, format("%d", i));
	say(ann, ids[3], "hello");
	say(ann, ids[90], "hello");
	struct answer a = read_page(&l, ann, format("/v1/sync?limit=%d", LIMIT), NULL);
	ck_assert_int_eq(l.count, LIMIT);
	ck_assert(json_has(a.json, "chat_requests"));
	read_others(&l, ann, a);
	ck_assert_int_eq(l.pages, (CHATS + LIMIT - 1) / LIMIT);
	expect_once(&l, ids);
	ck_assert_int_eq(l.ids[0], ids[90]);
	ck_assert_int_eq(l.ids[1], ids[3]);
	ck_assert_int_eq(l.ids[2], ids[CHATS - 1]);
	ck_assert_int_eq(l.ids[CHATS - 1], ids[0]);

	a = expect_status(get(ann, "/v1/sync"), 200);
	ck_assert_uint_eq(json_count(a.json, "chats"), CHATS);
	ck_assert(!json_has(a.json, "next"));
}
END_TEST

START_TEST(sync_pages_miss_nothing_that_happens_between_them)
{
	struct client *ann = new_user(), *ben = new_user();
	long long ids[CHATS];
	struct list l = { 0 };
	for (int i = 0; i < CHATS; i++)
		ids[i] = make_chat(ann, format("%d", i));
	struct answer a = read_page(&l, ann, format("/v1/sync?limit=%d", LIMIT), NULL);
	long long message = say(ann, ids[0], "this chat is on the last page"), other = make_group(ben, ann);
	expect_status(del(ann, "/v1/chats/%lld", ids[CHATS - 1]), 204); /* it was on the first page */
	read_others(&l, ann, a);
	expect_once(&l, ids);
	ck_assert_int_eq(l.ids[CHATS - 1], ids[0]);
	struct stream *s = stream_since(ann, json_str(a.json, "cursor"));
	expect_message(s, message);
	ck_assert_int_eq(json_num(expect(s, "member"), "chat"), other);
}
END_TEST

START_TEST(pages_of_chats_are_bounded_in_bytes)
{
	struct client *ann = new_user();
	long long ids[CHATS];
	char *text = format("%0*d", TEXT, 1);
	struct list synced = { 0 }, listed = { 0 };
	for (int i = 0; i < CHATS; i++)
		say(ann, ids[i] = make_chat(ann, format("%d", i)), text);
	struct answer a = read_page(&synced, ann, "/v1/sync", NULL);
	ck_assert_uint_le(a.len, PAGE_BYTES + TEXT);
	read_others(&synced, ann, a);
	expect_once(&synced, ids);
	for (const char *path = "/v1/chats?limit=200"; path != NULL;) {
		a = expect_status(get(ann, "%s", path), 200);
		ck_assert_uint_le(a.len, PAGE_BYTES + TEXT);
		add_page(&listed, a);
		path = json_has(a.json, "next") ? format("/v1/chats?limit=200&cursor=%s", json_str(a.json, "next"))
						: NULL;
	}
	ck_assert_int_gt(listed.pages, 1);
	expect_once(&listed, ids);
}
END_TEST

START_TEST(sync_refuses_bad_pages)
{
	struct client *ann = new_user();
	make_chat(ann, "one");
	make_chat(ann, "two");
	const char *next = json_str(expect_status(get(ann, "/v1/sync?limit=1"), 200).json, "next");
	expect_problem(get(ann, "/v1/sync?cursor=7"), 400, "bad_cursor");
	expect_problem(get(ann, "/v1/sync?cursor=x%s", next), 400, "bad_cursor");
	expect_problem(get(ann, "/v1/sync?cursor=%s.1", next), 400, "bad_cursor");
	expect_problem(get(ann, "/v1/sync?limit=0"), 422, "out_of_range");
	expect_problem(get(ann, "/v1/sync?limit=1001"), 422, "out_of_range");
	expect_problem(get(ann, "/v1/sync?limit=x"), 400, "bad_parameter");
	expect_status(get(ann, "/v1/sync?limit=1000&cursor="), 200);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = { sync_pages_have_every_chat_once_by_last_activity,
		sync_pages_miss_nothing_that_happens_between_them, pages_of_chats_are_bounded_in_bytes,
		sync_refuses_bad_pages, NULL };
	return suite_run("sync", tests, NULL);
}
