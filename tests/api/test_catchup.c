/* SPDX-License-Identifier: MIT
 * Start and catch-up with large messages or a slow database: pages are bounded in bytes, and so is memory. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/client.h"
#include "../lib/database.h"
#include "../lib/proc.h"
#include "../lib/stream.h"
#include "../lib/suite.h"
#include "base/clock.h"

enum { MESSAGES = 400, CONTENT = 200 << 10 };

/* Returns hexadecimal digits that compress badly and differ for each number. */
static const char *blob(unsigned number, size_t len)
{
	char *text = on_teardown(free, malloc(len + 1));
	unsigned long long state = number * 2654435761ULL + 1;
	for (size_t i = 0; i < len; i++) {
		state = state * 6364136223846793005ULL + 1442695040888963407ULL;
		text[i] = "0123456789abcdef"[state >> 60];
	}
	text[len] = '\0';
	return text;
}

static long long say_blob(const struct client *who, long long chat, unsigned number, size_t len)
{
	struct answer a = post(
		who, messages_path(chat), "{'type':'blob','content':{'n':%u,'data':'%s'}}", number, blob(number, len));
	return json_num(expect_status(a, 201).json, "id");
}

static void expect_blob(struct stream *s, unsigned number, size_t len)
{
	struct json_object *m = expect(s, "message");
	ck_assert_int_eq(json_num(m, "content.n"), number);
	ck_assert(strcmp(json_str(m, "content.data"), blob(number, len)) == 0);
}

static const char *current_cursor(const struct client *who)
{
	return json_str(expect_status(get(who, "/v1/sync"), 200).json, "cursor");
}

/* Returns the peak memory of the node's worker. */
static unsigned peak_mib(const struct server *node)
{
	pid_t worker;
	ck_assert_uint_eq(server_workers(node, &worker, 1), 1);
	return proc_peak_kib(worker) >> 10;
}

static struct server *join_node(void)
{
	static const char *const flags[] = { "--workers", "1", "--ring-bytes", "1M", "--database-timeout", "2",
		"--body-max", "4M", NULL };
	return server_join(test_server(), flags);
}

START_TEST(start_and_catch_up_with_large_messages_use_bounded_memory)
{
	struct client *ann = new_user(), *ben = new_user();
	long long chat = make_group(ann, ben);
	const char *cursor = current_cursor(ben);
	struct server *before = join_node();
	unsigned idle = peak_mib(before);
	server_stop(before);
	for (unsigned i = 0; i < MESSAGES; i++)
		say_blob(ann, chat, i, CONTENT);
	struct server *node = join_node();
	unsigned started = peak_mib(node);
	ck_assert_msg(started < idle + 24, "%u MiB after a start among large messages, %u without", started, idle);
	struct stream *s = stream_since(on_server(ben, node), cursor);
	for (unsigned i = 0; i < MESSAGES; i++)
		expect_blob(s, i, CONTENT);
	expect_blob(stream_since(on_server(ben, node), cursor), 0, CONTENT);
	ck_assert_msg(peak_mib(node) < idle + 48, "%u MiB after catching up, %u before", peak_mib(node), idle);
	server_stop(node);
}
END_TEST

START_TEST(catch_up_delivers_message_larger_than_a_page)
{
	enum { LARGE = 3 << 20 };
	struct client *ann = new_user(), *ben = new_user();
	struct server *node = join_node();
	long long chat = make_group(ann, ben);
	const char *cursor = current_cursor(ben);
	say(ann, chat, "before");
	for (unsigned i = 0; i < 2; i++)
		say_blob(on_server(ann, node), chat, i, LARGE);
	long long last = say(ann, chat, "after");
	struct server *again = join_node();
	for (int i = 0; i < 2; i++) {
		struct stream *s = stream_since(on_server(ben, i == 0 ? again : test_server()), cursor);
		ck_assert_str_eq(json_str(expect(s, "message"), "text"), "before");
		expect_blob(s, 0, LARGE);
		expect_blob(s, 1, LARGE);
		expect_message(s, last);
	}
	server_stop(again);
	server_stop(node);
}
END_TEST

/* There are more changes of each kind than a page has rows. */
START_TEST(catch_up_over_many_pages_keeps_order)
{
	enum { CHANGES = 700 };
	struct client *ann = new_user(), *ben = new_user();
	long long chat = make_group(ann, ben), ids[CHANGES];
	const char *cursor = current_cursor(ben);
	for (int i = 0; i < CHANGES; i++)
		ids[i] = say(ann, chat, format("m%d", i));
	for (int i = 0; i < CHANGES; i += 2)
		expect_status(put(ben, format("%s/reactions/%%F0%%9F%%91%%8D", message_path(chat, ids[i])), NULL), 200);
	for (int i = 1; i < CHANGES; i += 7)
		expect_status(del(ann, "%s", message_path(chat, ids[i])), 204);
	struct server *node = join_node();
	struct stream *s = stream_since(on_server(ben, node), cursor);
	for (int i = 0; i < CHANGES; i++)
		if (i % 7 != 1)
			expect_message(s, ids[i]);
	for (int i = 0; i < CHANGES; i += 2)
		if (i % 7 != 1)
			ck_assert_int_eq(json_num(expect(s, "reaction"), "id"), ids[i]);
	for (int i = 1; i < CHANGES; i += 7)
		ck_assert_int_eq(json_num(expect(s, "deleted"), "id"), ids[i]);
	server_stop(node);
}
END_TEST

/* The lock stops the catch-up query, as an overloaded disk would. */
START_TEST(start_with_slow_catch_up_query_still_serves)
{
	struct client *ann = new_user(), *ben = new_user();
	long long chat = make_group(ann, ben);
	const char *cursor = current_cursor(ben);
	long long first = say(ann, chat, "before the start");
	PGconn *pg = database_open(test_server());
	sql(pg, "begin");
	sql(pg, "lock table postern.tombstone in access exclusive mode");
	struct server *node = join_node(); /* returns when the server is ready */
	ck_assert(server_logged(node, "the database is slow to read"));
	sql(pg, "rollback");
	struct stream *s = stream_since(on_server(ben, node), cursor);
	expect_message(s, first);
	expect_message(s, say(on_server(ann, node), chat, "after it"));
	server_stop(node);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		start_and_catch_up_with_large_messages_use_bounded_memory,
		catch_up_delivers_message_larger_than_a_page,
		catch_up_over_many_pages_keeps_order,
		start_with_slow_catch_up_query_still_serves,
		NULL,
	};
	return suite_run("catchup", tests, NULL);
}
