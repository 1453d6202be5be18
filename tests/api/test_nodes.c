/* SPDX-License-Identifier: MIT
 * Two nodes of two workers on one database: every client sees the same in the same order, whichever worker it is
 * connected to. */
#include <stdio.h>
#include <string.h>

#include "../lib/client.h"
#include "../lib/stream.h"
#include "../lib/suite.h"

enum { STREAMS = 8 };

static const char *const flags[] = { "--workers", "2", "--rate-sends", "0", "--rate-actions", "0", "--streams-per-user",
	"0", NULL };

static struct server *second_node(void)
{
	static struct server *node;
	if (node == NULL)
		node = server_join(test_server(), flags);
	return node;
}

static struct server *node(int i) { return i % 2 ? second_node() : test_server(); }

/* Returns a client that opens a connection for each request, so that any worker of the node may accept it. */
static struct client *on_new_connection(const struct client *who, int i)
{
	return with_header(on_server(who, node(i)), "Connection: close");
}

START_TEST(nodes_are_both_ready)
{
	pid_t pids[8];
	ck_assert_uint_eq(server_workers(test_server(), pids, 8), 2);
	ck_assert_uint_eq(server_workers(second_node(), pids, 8), 2);
	for (int i = 0; i < 2; i++) {
		expect_status(get(on_server(anonymous(), node(i)), "/readyz"), 200);
		await_metric(node(i), "postern_workers_live", 2);
	}
	ck_assert_str_ne(json_str(expect(stream_open(on_new_connection(user("bob"), 0), NULL), "hello"), "node"),
		json_str(expect(stream_open(on_new_connection(user("bob"), 1), NULL), "hello"), "node"));
}
END_TEST

START_TEST(message_is_delivered_on_every_node)
{
	struct client *alice = user("alice"), *bob = user("bob");
	long long chat = make_group(alice, bob);
	struct stream *s[STREAMS];
	for (int i = 0; i < STREAMS; i++)
		s[i] = stream_from_now(on_server(bob, node(i)));
	for (int n = 0; n < 40; n++) {
		long long id = say(on_new_connection(n % 3 ? alice : bob, n), chat, format("%d", n));
		for (int i = 0; i < STREAMS; i++)
			expect_message(s[i], id);
	}
}
END_TEST

/* A notification holds 8,000 bytes: longer texts are sent in parts, cut between characters of one to four bytes. */
START_TEST(long_text_is_delivered_whole_between_nodes)
{
	static const char *const letters[] = { "a", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x9a\xaa" };
	struct client *alice = user("alice"), *bob = user("bob");
	long long chat = make_group(alice, bob);
	struct stream *s[STREAMS];
	for (int i = 0; i < STREAMS; i++)
		s[i] = stream_from_now(on_server(bob, node(i)));
	for (int n = 0; n < 8; n++) {
		char text[16384 + 1] = "";
		size_t len = 0;
		for (int i = n; len + 4 <= 16384; i += n % 4 + 1, len = strlen(text))
			strcpy(text + len, letters[i % 4]);
		long long id = say(alice, chat, text);
		for (int i = 0; i < STREAMS; i++)
			ck_assert_str_eq(json_str(expect_message(s[i], id), "text"), text);
	}
}
END_TEST

START_TEST(messages_have_one_order_on_every_node)
{
	struct client *alice = user("alice"), *bob = user("bob");
	long long chat = make_group(alice, bob);
	struct stream *s[STREAMS];
	for (int i = 0; i < STREAMS; i++)
		s[i] = stream_from_now(on_server(i % 3 ? alice : bob, node(i)));
	/* Eight users send concurrently on both nodes. */
	struct wire *w[8];
	for (int i = 0; i < 8; i++)
		w[i] = wire_open(node(i));
	for (int round = 0; round < 20; round++) {
		for (int i = 0; i < 8; i++)
			wire_send(w[i],
				"POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: 2\r\n\r\n"
				"%02d",
				messages_path(chat), (i % 3 ? alice : bob)->token, i);
		for (int i = 0; i < 8; i++)
			expect_status(wire_answer(w[i]), 201);
	}
	struct answer page = expect_status(get(bob, "%s?limit=200", messages_path(chat)), 200);
	ck_assert_uint_eq(json_count(page.json, "messages"), 160);
	for (int n = 0; n < 160; n++)
		for (int i = 0; i < STREAMS; i++)
			expect_message(s[i], json_num(page.json, format("messages.%d.id", n)));
}
END_TEST

START_TEST(cursor_of_one_node_resumes_on_the_other)
{
	struct client *alice = user("alice"), *bob = user("bob");
	long long chat = make_group(alice, bob);
	struct stream *s = stream_from_now(on_server(bob, node(0)));
	for (int i = 1; i < 9; i++) {
		expect_message(s, say(on_new_connection(alice, i), chat, "live"));
		stream_cut(s);
		long long missed = say(on_new_connection(alice, i), chat, "missed");
		s = stream_since(on_server(bob, node(i)), stream_cursor(s));
		expect_message(s, missed);
	}
	expect_quiet(s);
}
END_TEST

START_TEST(kick_on_one_node_takes_effect_on_the_other)
{
	struct client *alice = user("alice"), *bob = user("bob");
	long long chat = make_group(alice, bob);
	struct stream *there = stream_from_now(on_server(bob, second_node()));
	expect_status(get(on_server(bob, second_node()), "/v1/chats/%lld", chat), 200);
	expect_status(del(alice, "%s", member_path(chat, bob)), 204);
	expect_problem(post(on_server(bob, second_node()), messages_path(chat), "{'text':'me?'}"), 404, "not_found");
	say(alice, chat, "not for bob");
	ck_assert_str_eq(json_str(expect(there, "member"), "state"), "kicked");
	expect_quiet(there);
}
END_TEST

START_TEST(key_used_on_one_node_is_known_on_the_other)
{
	struct client *alice = user("alice");
	long long chat = make_group(alice), id = 0;
	for (int i = 0; i < 6; i++) {
		long long again = json_num(
			expect_status(say_with_key(on_new_connection(alice, i), chat, "k", "once"), 201).json, "id");
		ck_assert(id == 0 || again == id);
		id = again;
	}
	expect_status(del(on_new_connection(alice, 1), "%s", message_path(chat, id)), 204);
	expect_problem(say_with_key(on_new_connection(alice, 0), chat, "k", "once"), 410, "gone");
}
END_TEST

START_TEST(direct_chat_created_on_both_nodes_is_one_chat)
{
	struct client *ann = new_user(), *ben = new_user();
	struct stream *s = stream_from_now(on_server(ben, second_node()));
	long long chat = json_num(
		expect_status(post(ann, format("/v1/chats/@%s/messages", ben->name), "{'text':'psst'}"), 201).json,
		"chat");
	ck_assert_int_eq(json_num(expect_status(post(on_server(ben, second_node()),
							format("/v1/chats/@%s/messages", ann->name), "{'text':'yes?'}"),
					  201)
					  .json,
				 "chat"),
		chat);
	struct json_object *m;
	do
		expect(s, stream_peek(s));
	while (strcmp(stream_peek(s), "message") != 0);
	m = expect(s, "message");
	ck_assert_str_eq(json_str(m, "text"), "psst");
	ck_assert_str_eq(json_str(expect(s, "message"), "text"), "yes?");
}
END_TEST

/* Workers cache the latest pages: an acknowledged write must be visible on every worker of the node. */
START_TEST(write_answered_by_one_worker_is_read_from_any_worker)
{
	struct client *alice = user("alice"), *bob = user("bob");
	long long chat = make_group(alice, bob), last = say(alice, chat, "stays");
	for (int i = 0; i < 60; i++) {
		long long id = say(on_new_connection(alice, 0), chat, format("%d", i));
		ck_assert_int_eq(
			json_num(expect_status(get(on_new_connection(bob, 0), "%s?limit=1", messages_path(chat)), 200)
					 .json,
				"messages.0.id"),
			id);
		expect_status(del(on_new_connection(alice, 0), "%s/%lld", messages_path(chat), id), 204);
		ck_assert_int_eq(
			json_num(expect_status(get(on_new_connection(bob, 0), "%s?limit=1", messages_path(chat)), 200)
					 .json,
				"messages.0.id"),
			last);
		expect_status(del(on_new_connection(alice, 0), "%s", member_path(chat, bob)), 204);
		expect_problem(get(on_new_connection(bob, 0), "%s?limit=1", messages_path(chat)), 404, "not_found");
		expect_status(put(on_new_connection(alice, 0), member_path(chat, bob), NULL), 200);
	}
}
END_TEST

START_TEST(node_stop_leaves_the_other_serving)
{
	struct client *alice = user("alice"), *bob = user("bob");
	long long chat = make_group(alice, bob);
	struct stream *here = stream_from_now(bob), *there = stream_from_now(on_server(bob, second_node()));
	expect_message(there, say(alice, chat, "1"));
	server_stop(second_node());
	long long id = say(alice, chat, "2");
	expect_end(there);
	expect(here, "message");
	expect_message(here, id);
	expect_message(stream_since(bob, stream_cursor(there)), id);
	server_restart(second_node());
	expect_message(stream_since(on_server(bob, second_node()), stream_cursor(there)), id);
}
END_TEST

START_TEST(teardown_second_node_stops) { server_stop(second_node()); }
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		nodes_are_both_ready,
		message_is_delivered_on_every_node,
		long_text_is_delivered_whole_between_nodes,
		messages_have_one_order_on_every_node,
		cursor_of_one_node_resumes_on_the_other,
		kick_on_one_node_takes_effect_on_the_other,
		key_used_on_one_node_is_known_on_the_other,
		direct_chat_created_on_both_nodes_is_one_chat,
		write_answered_by_one_worker_is_read_from_any_worker,
		node_stop_leaves_the_other_serving,
		teardown_second_node_stops,
		NULL,
	};
	return suite_run("nodes", tests, flags);
}
