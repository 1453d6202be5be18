/* SPDX-License-Identifier: MIT
 * The latest page of a chat, which workers cache: it must always equal what the database returns. */
#include <stdio.h>
#include <string.h>

#include "../lib/client.h"
#include "../lib/stream.h"
#include "../lib/suite.h"
#include "base/clock.h"

static double cache_hits(void)
{
	const char *at = strstr(
		expect_status(get(anonymous(), "/metrics"), 200).body, "postern_page_cache_total{result=\"hit\"} ");
	double n = 0;
	ck_assert(at != NULL && sscanf(strchr(at, ' '), "%lf", &n) == 1);
	return n;
}

/* Reads the page, at least twice from the cache, and asserts that it equals the database's. */
static struct answer read_page(const struct client *who, long long chat)
{
	struct answer a = expect_status(get(who, "%s", messages_path(chat)), 200);
	double before = cache_hits();
	unsigned long long until = clock_mono_ms() + PATIENCE;
	/* For a moment after a write the page is read from the database. */
	for (int i = 0; i < 2 || cache_hits() < before + 2; i++) {
		struct answer again = expect_status(get(who, "%s", messages_path(chat)), 200);
		time_left(until, "a page from the cache");
		ck_assert_msg(strcmp(again.body, a.body) == 0, "another page: %.2000s", again.body);
		const char *link = answer_header(a, "Link");
		ck_assert_str_eq(answer_header(again, "Link") ? answer_header(again, "Link") : "", link ? link : "");
	}
	ck_assert(strcmp(expect_status(get(who, "%s?before=", messages_path(chat)), 200).body, a.body) == 0);
	return a;
}

START_TEST(page_reflects_sends_edits_and_deletes)
{
	struct client *ann = new_user(), *ben = new_user();
	long long chat = make_group(ann, ben), ids[61];
	ck_assert_uint_eq(json_count(read_page(ann, chat).json, "messages"), 0);
	for (int i = 1; i <= 60; i++)
		ids[i] = say(ann, chat, format("%d", i));
	struct answer a = read_page(ben, chat);
	ck_assert_uint_eq(json_count(a.json, "messages"), 50);
	ck_assert_str_eq(json_str(a.json, "messages.0.text"), "11");
	ck_assert_str_eq(json_str(a.json, "older"), format("%lld", ids[11]));
	ck_assert_str_eq(
		json_str(expect_status(get(ben, "%s?limit=3", messages_path(chat)), 200).json, "messages.2.text"),
		"60");
	expect_status(patch(ann, message_path(chat, ids[60]), "{'text':'edited'}"), 200);
	ck_assert_str_eq(json_str(read_page(ben, chat).json, "messages.49.text"), "edited");
	expect_status(del(ann, "%s", message_path(chat, ids[60])), 204);
	a = read_page(ben, chat);
	ck_assert_str_eq(json_str(a.json, "messages.49.text"), "59");
	ck_assert_str_eq(json_str(a.json, "messages.0.text"), "10");
	ck_assert_str_eq(
		json_str(expect_status(get(ben, "%s?limit=3", messages_path(chat)), 200).json, "messages.2.text"),
		"59");
}
END_TEST

START_TEST(page_after_send_includes_the_message)
{
	struct client *ann = new_user();
	long long chat = make_group(ann);
	for (int i = 0; i < 100; i++) {
		long long id = say(ann, chat, "mine");
		struct answer a = expect_status(get(ann, "%s?limit=1", messages_path(chat)), 200);
		ck_assert_int_eq(json_num(a.json, "messages.0.id"), id);
	}
}
END_TEST

START_TEST(page_of_non_member_is_refused)
{
	struct client *ann = new_user(), *ben = new_user(), *cem = new_user();
	long long chat = make_group(ann, ben);
	say(ann, chat, "before cem");
	read_page(ann, chat);
	read_page(ben, chat);
	expect_problem(get(cem, "%s", messages_path(chat)), 404, "not_found");
	expect_status(patch(ann, format("/v1/chats/%lld", chat), "{'history':'joined'}"), 200);
	expect_status(put(ann, member_path(chat, cem), NULL), 200);
	say(ann, chat, "after cem");
	ck_assert_uint_eq(json_count(read_page(ann, chat).json, "messages"), 2);
	for (int i = 0; i < 3; i++)
		ck_assert_uint_eq(
			json_count(expect_status(get(cem, "%s", messages_path(chat)), 200).json, "messages"), 1);
	expect_status(del(ann, "%s", member_path(chat, ben)), 204);
	expect_problem(get(ben, "%s", messages_path(chat)), 404, "not_found");
	/* A member who is added again sees messages by the chat's current setting, not those they saw before. */
	expect_status(put(ann, member_path(chat, ben), NULL), 200);
	for (int i = 0; i < 3; i++)
		ck_assert_uint_eq(
			json_count(expect_status(get(ben, "%s", messages_path(chat)), 200).json, "messages"), 0);
	expect_status(del(ann, "/v1/chats/%lld", chat), 204);
	expect_problem(get(ann, "%s", messages_path(chat)), 404, "not_found");
}
END_TEST

START_TEST(page_reflects_changes_on_other_nodes)
{
	struct server *node = server_join(test_server(), NULL);
	struct client *ann = new_user(), *ben = new_user();
	long long chat = make_group(ann, ben);
	struct stream *s = stream_from_now(ann);
	for (int i = 0; i < 20; i++) {
		read_page(ann, chat);
		long long id = say(on_server(ben, node), chat, format("%d", i));
		expect_message(s, id);
		ck_assert_int_eq(
			json_num(expect_status(get(ann, "%s?limit=1", messages_path(chat)), 200).json, "messages.0.id"),
			id);
		ck_assert_str_eq(json_str(read_page(ann, chat).json, format("messages.%d.text", i)), format("%d", i));
	}
	server_stop(node);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = { page_reflects_sends_edits_and_deletes, page_after_send_includes_the_message,
		page_of_non_member_is_refused, page_reflects_changes_on_other_nodes, NULL };
	return suite_run("pages", tests, (const char *const[]) { "--rate-sends", "0", "--rate-actions", "0", NULL });
}
