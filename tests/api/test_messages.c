/* SPDX-License-Identifier: MIT
 * Messages over REST: sending in every form, replies, history, and which requests are refused. test_edits.c has keys,
 * edits and deletes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/client.h"
#include "../lib/stream.h"
#include "../lib/suite.h"

static char *repeat(char c, size_t n)
{
	char *text = on_teardown(free, malloc(n + 1));
	memset(text, c, n);
	text[n] = '\0';
	return text;
}

START_TEST(message_sent_can_be_read)
{
	struct client *alice = user("alice"), *bob = user("bob");
	long long chat = make_group(alice, bob);
	struct answer sent = expect_status(post(alice, messages_path(chat), "{'text':'hi'}"), 201);
	ck_assert_int_eq(json_num(sent.json, "chat"), chat);
	ck_assert_str_eq(json_str(sent.json, "from"), "alice");
	ck_assert_str_eq(json_str(sent.json, "text"), "hi");
	ck_assert_int_eq(json_num(sent.json, "rev"), json_num(sent.json, "id"));
	ck_assert(json_has(sent.json, "key"));
	ck_assert(
		!json_has(sent.json, "type") && !json_has(sent.json, "edited_at") && !json_has(sent.json, "reply_to"));
	const char *when = json_str(sent.json, "at");
	ck_assert_msg(strlen(when) == 24 && when[10] == 'T' && when[19] == '.' && when[23] == 'Z', "%s", when);

	struct answer read = expect_status(get(bob, "%s", message_path(chat, json_num(sent.json, "id"))), 200);
	ck_assert_str_eq(json_str(read.json, "text"), "hi");
	ck_assert_str_eq(json_str(read.json, "at"), when);
	ck_assert_msg(!json_has(read.json, "key"), "another user sees the key: %s", read.body);
}
END_TEST

START_TEST(send_with_media_type_other_than_json_takes_body_as_text)
{
	struct client *alice = user("alice");
	long long chat = make_group(alice);
	const char *const types[] = { "text/plain", "text/plain; charset=utf-8", "application/x-www-form-urlencoded",
		"application/octet-stream", NULL };
	const char *text = "{\"text\":\"not JSON here\"} a=1&b=%20+\nsecond line";
	for (size_t i = 0; types[i] != NULL; i++) {
		struct answer sent = expect_status(post_as(alice, messages_path(chat), types[i], text), 201);
		ck_assert_str_eq(json_str(sent.json, "text"), text);
	}
	struct answer sent = expect_status(
		post_as(alice, messages_path(chat), "application/json; charset=utf-8", "{\"text\":\"JSON\"}"), 201);
	ck_assert_str_eq(json_str(sent.json, "text"), "JSON");
}
END_TEST

START_TEST(text_of_any_characters_is_unchanged)
{
	struct client *alice = user("alice"), *bob = user("bob");
	long long chat = make_group(alice, bob);
	struct stream *s = stream_from_now(bob);
	const char *const texts[] = {
		"\"quoted\" \\back\\slash/ <b>&amp;</b>",
		"tab\there\nand a new line\r\nand another\rkind",
		"\x01\x08\x0c\x1f\x7f",
		"e\xcc\x81 \xc3\xa9 \xd7\xa9\xd7\x9c\xd7\x95\xd7\x9d \xe4\xbd\xa0\xe5\xa5\xbd",
		"\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x9a\x80 \xf0\x9f\x8f\xb4",
		"\xe2\x80\xa8line\xe2\x80\xa9paragraph\xc2\x85",
		"\xef\xbb\xbf\xef\xbf\xbd\xef\xbf\xbf\xf4\x8f\xbf\xbf",
		"data: x\n\nid: 1\n\nevent: bye\n",
		" ",
		"0",
	};
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct json_object *body = json_object_new_object();
		json_object_object_add(body, "text", json_object_new_string(texts[i]));
		struct answer as_json = expect_status(
			post_as(alice, messages_path(chat), "application/json", json_object_to_json_string(body)), 201);
		json_object_put(body);
		struct answer as_text = expect_status(post_as(alice, messages_path(chat), "text/plain", texts[i]), 201);
		ck_assert_str_eq(json_str(as_json.json, "text"), texts[i]);
		ck_assert_str_eq(json_str(as_text.json, "text"), texts[i]);
		ck_assert_str_eq(json_str(expect_message(s, json_num(as_json.json, "id")), "text"), texts[i]);
		ck_assert_str_eq(json_str(expect_message(s, json_num(as_text.json, "id")), "text"), texts[i]);
		ck_assert_str_eq(
			json_str(expect_status(get(bob, "%s", message_path(chat, json_num(as_json.json, "id"))), 200)
					 .json,
				"text"),
			texts[i]);
	}
	/* The same character as a JSON escape. */
	struct answer a = expect_status(
		post_as(alice, messages_path(chat), "application/json", "{\"text\":\"\\ud83d\\ude80 \\u00e9\\/\"}"),
		201);
	ck_assert_str_eq(json_str(a.json, "text"), "\xf0\x9f\x9a\x80 \xc3\xa9/");
}
END_TEST

START_TEST(message_ids_ascend_and_times_do_not_decrease)
{
	struct client *alice = user("alice"), *bob = user("bob");
	long long chat = make_group(alice, bob), last = 0;
	char when[32] = "";
	for (int i = 0; i < 20; i++) {
		struct answer a =
			expect_status(post(i % 2 ? alice : bob, messages_path(chat), "{'text':'%d'}", i), 201);
		ck_assert_int_gt(json_num(a.json, "id"), last);
		ck_assert_str_ge(json_str(a.json, "at"), when);
		last = json_num(a.json, "id");
		snprintf(when, sizeof(when), "%s", json_str(a.json, "at"));
	}
}
END_TEST

/* Returns line n of an NDJSON answer. */
static struct json_object *line_of(struct answer a, int n)
{
	const char *line = a.body;
	while (n-- > 0 && (line = strchr(line, '\n')) != NULL)
		line++;
	ck_assert_msg(line != NULL, "there is no such line: %s", a.body);
	struct json_object *json = json_path_parse(line, strcspn(line, "\n"));
	ck_assert_msg(json != NULL, "a line isn't JSON: %s", line);
	on_teardown((void (*)(void *))(uintptr_t)json_object_put, json);
	return json;
}

static size_t count_lines(const char *text)
{
	size_t n = 0;
	for (; (text = strchr(text, '\n')) != NULL; text++)
		n++;
	return n;
}

START_TEST(batch_answers_each_line)
{
	struct client *alice = user("alice"), *bob = user("bob");
	long long chat = make_group(alice, bob), last = 0;
	struct stream *s = stream_from_now(bob);
	char *body = format("{\"text\":\"one\"}\n{\"text\":\"two\"}\n{\"text\":\"\"}\n{\"txt\":\"?\"}\n{broken\n"
			    "{\"text\":\"three\",\"key\":\"k\"}\n"
			    "{\"text\":\"three\",\"key\":\"k\"}\n{\"text\":\"other\",\"key\":\"k\"}\n"
			    "{\"text\":\"four\",\"reply_to\":1}\n{\"text\":\"five\"}");
	struct answer a = expect_status(post_as(alice, messages_path(chat), "application/x-ndjson", body), 200);
	ck_assert_str_eq(answer_header(a, "Content-Type"), "application/x-ndjson");
	ck_assert_uint_eq(count_lines(a.body), 10);
	const int expected[] = { 201, 201, 422, 422, 400, 201, 201, 409, 422, 201 };
	for (int i = 0; i < 10; i++)
		ck_assert_msg(json_num(line_of(a, i), "status") == expected[i], "line %d is %s", i,
			json_object_to_json_string(line_of(a, i)));
	ck_assert_str_eq(json_str(line_of(a, 2), "code"), "empty_text");
	ck_assert_str_eq(json_str(line_of(a, 3), "code"), "unknown_field");
	ck_assert_str_eq(json_str(line_of(a, 4), "code"), "bad_json");
	ck_assert_str_eq(json_str(line_of(a, 7), "code"), "key_conflict");
	ck_assert_str_eq(json_str(line_of(a, 8), "code"), "unknown_reply_to");
	ck_assert_int_eq(json_num(line_of(a, 5), "message.id"), json_num(line_of(a, 6), "message.id"));

	const char *const texts[] = { "one", "two", "three", "five" };
	for (size_t i = 0; i < 4; i++) {
		struct json_object *m = expect(s, "message");
		ck_assert_str_eq(json_str(m, "text"), texts[i]);
		ck_assert_int_gt(json_num(m, "id"), last);
		last = json_num(m, "id");
	}
	expect_quiet(s);
}
END_TEST

START_TEST(media_type_in_any_case_is_recognized)
{
	struct client *alice = user("alice");
	long long chat = make_group(alice);
	static const char json[] = "{\"text\":\"hi\"}";
	const char *const types[] = { "Application/JSON", "application/json;charset=UTF-8", "application/json ; x=y" };
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		ck_assert_str_eq(
			json_str(expect_status(post_as(alice, messages_path(chat), types[i], json), 201).json, "text"),
			"hi");
	ck_assert_str_eq(
		json_str(expect_status(post_as(alice, messages_path(chat), "application/json-seq", json), 201).json,
			"text"),
		json);
	ck_assert_int_eq(
		json_num(line_of(expect_status(post_as(alice, messages_path(chat), "APPLICATION/X-NDJSON", json), 200),
				 0),
			"status"),
		201);
}
END_TEST

START_TEST(batch_of_invalid_messages_creates_no_direct_chat)
{
	struct client *ann = new_user(), *ben = new_user();
	char *path = format("/v1/chats/@%s/messages", ben->name);
	ck_assert_int_eq(json_num(line_of(expect_status(post_as(ann, path, "application/x-ndjson", "{bad\n"), 200), 0),
				 "status"),
		400);
	expect_status(post_as(ann, path, "application/x-ndjson", ""), 200);
	expect_problem(post(ann, path, "{'text':''}"), 422, "empty_text");
	expect_problem(get(ann, "/v1/chats/@%s", ben->name), 404, "not_found");
	expect_status(post_as(ann, path, "application/x-ndjson", "{bad\n{\"text\":\"good\"}\n"), 200);
	expect_status(get(ann, "/v1/chats/@%s", ben->name), 200);
}
END_TEST

START_TEST(batch_of_non_member_is_refused)
{
	long long chat = make_group(user("alice"));
	struct answer a = post_as(user("mallory"), messages_path(chat), "application/x-ndjson",
		"{\"text\":\"one\"}\n{\"text\":\"two\"}\n");
	if (a.status == 200) {
		ck_assert_int_eq(json_num(line_of(a, 0), "status"), 404);
		ck_assert_int_eq(json_num(line_of(a, 1), "status"), 404);
	} else {
		expect_problem(a, 404, "not_found");
	}
	ck_assert_uint_eq(
		json_count(expect_status(get(user("alice"), "%s", messages_path(chat)), 200).json, "messages"), 0);
}
END_TEST

START_TEST(reply_to_message_of_another_chat_is_refused)
{
	struct client *alice = user("alice"), *bob = user("bob");
	long long chat = make_group(alice, bob), elsewhere = say(alice, make_group(alice), "elsewhere"),
		  id = say(alice, chat, "question");
	struct answer reply =
		expect_status(post(bob, messages_path(chat), "{'text':'answer','reply_to':%lld}", id), 201);
	ck_assert_int_eq(json_num(reply.json, "reply_to"), id);
	expect_problem(
		post(bob, messages_path(chat), "{'text':'x','reply_to':%lld}", elsewhere), 422, "unknown_reply_to");
	expect_problem(
		post(bob, messages_path(chat), "{'text':'x','reply_to':%lld}", id + 1000000), 422, "unknown_reply_to");
}
END_TEST

START_TEST(message_of_custom_type_keeps_its_content)
{
	struct client *alice = user("alice"), *bob = user("bob");
	long long chat = make_group(alice, bob);
	struct stream *s = stream_from_now(bob);
	struct answer a =
		expect_status(post(alice, messages_path(chat),
				      "{'type':'encrypted','content':{'to':{'bob':'c2VjcmV0'},'n':[1,2.5,null,true]}}"),
			201);
	struct json_object *m = expect_message(s, json_num(a.json, "id"));
	ck_assert_str_eq(json_str(m, "type"), "encrypted");
	ck_assert_str_eq(json_str(m, "content.to.bob"), "c2VjcmV0");
	ck_assert_uint_eq(json_count(m, "content.n"), 4);
}
END_TEST

/* Sends 1 … 10 as alice into a new chat; returns the chat, and the ids in ids[1] to ids[10]. */
static long long send_ten(long long ids[11])
{
	long long chat = make_group(user("alice"), user("bob"));
	for (int i = 1; i <= 10; i++)
		ids[i] = say(user("alice"), chat, format("%d", i));
	return chat;
}

/* Asserts that the page has the texts first … last. */
static void expect_texts(struct answer a, int first, int last)
{
	expect_status(a, 200);
	ck_assert_msg(
		json_count(a.json, "messages") == (size_t)(last - first + 1), "not %d to %d: %s", first, last, a.body);
	for (int i = first; i <= last; i++)
		ck_assert_str_eq(json_str(a.json, format("messages.%d.text", i - first)), format("%d", i));
}

START_TEST(history_is_paginated)
{
	struct client *bob = user("bob");
	long long ids[11], chat = send_ten(ids);
	expect_texts(get(bob, "%s", messages_path(chat)), 1, 10);
	struct answer page = get(bob, "%s?limit=4", messages_path(chat));
	expect_texts(page, 7, 10);
	ck_assert(!json_has(page.json, "newer"));
	ck_assert_ptr_nonnull(strstr(expect_header(page, "Link"), format("before=%s", json_str(page.json, "older"))));
	page = get(bob, "%s?limit=4&before=%s", messages_path(chat), json_str(page.json, "older"));
	expect_texts(page, 3, 6);
	ck_assert_ptr_nonnull(strstr(expect_header(page, "Link"), format("after=%s", json_str(page.json, "newer"))));
	struct answer oldest = get(bob, "%s?limit=4&before=%s", messages_path(chat), json_str(page.json, "older"));
	expect_texts(oldest, 1, 2);
	ck_assert(!json_has(oldest.json, "older"));
	expect_texts(get(bob, "%s?limit=4&after=%s", messages_path(chat), json_str(page.json, "newer")), 7, 10);
}
END_TEST

/* A client behind the proxy follows links below the path of public_url. */
START_TEST(history_links_begin_with_public_url_path)
{
	const char *const flags[] = { "--public-url", "http://chat.example/talk", NULL };
	struct server *node = server_join(test_server(), flags);
	long long ids[11], chat = send_ten(ids);
	const char *link = expect_header(
		expect_status(get(on_server(user("bob"), node), "%s?limit=4", messages_path(chat)), 200), "Link");
	ck_assert_msg(
		strncmp(link, format("</talk%s?before=", messages_path(chat)), strlen(messages_path(chat)) + 14) == 0,
		"the link is %s", link);
	server_stop(node);
}
END_TEST

START_TEST(history_before_and_after_accept_message_id)
{
	struct client *bob = user("bob");
	long long ids[11], chat = send_ten(ids);
	expect_texts(get(bob, "%s?before=%lld", messages_path(chat), ids[5]), 1, 4);
	expect_texts(get(bob, "%s?limit=2&before=%lld", messages_path(chat), ids[5]), 3, 4);
	expect_texts(get(bob, "%s?after=%lld", messages_path(chat), ids[5]), 6, 10);
	expect_texts(get(bob, "%s?limit=2&after=%lld", messages_path(chat), ids[5]), 6, 7);
	expect_texts(get(bob, "%s?limit=1&after=%lld", messages_path(chat), ids[9]), 10, 10);
	struct answer none = expect_status(get(bob, "%s?after=%lld", messages_path(chat), ids[10]), 200);
	ck_assert_uint_eq(json_count(none.json, "messages"), 0);
	ck_assert(!json_has(none.json, "newer"));
	none = expect_status(get(bob, "%s?before=%lld", messages_path(chat), ids[1]), 200);
	ck_assert_uint_eq(json_count(none.json, "messages"), 0);
	ck_assert(!json_has(none.json, "older"));
}
END_TEST

START_TEST(history_around_a_message_includes_it)
{
	struct client *bob = user("bob");
	long long ids[11], chat = send_ten(ids);
	struct answer a = expect_status(get(bob, "%s?limit=5&around=%lld", messages_path(chat), ids[5]), 200);
	ck_assert_uint_eq(json_count(a.json, "messages"), 5);
	bool there = false;
	for (size_t i = 0; i < 5; i++)
		there = there || json_num(a.json, format("messages.%zu.id", i)) == ids[5];
	ck_assert_msg(there, "the message itself is missing: %s", a.body);
	ck_assert(json_has(a.json, "older") && json_has(a.json, "newer"));
	expect_texts(get(bob, "%s?limit=1&around=%lld", messages_path(chat), ids[5]), 5, 5);
	expect_texts(get(bob, "%s?around=%lld", messages_path(chat), ids[1]), 1, 10);

	/* Around a deleted message the page has its neighbours. */
	expect_status(del(user("alice"), "%s", message_path(chat, ids[5])), 204);
	a = expect_status(get(bob, "%s?limit=2&around=%lld", messages_path(chat), ids[5]), 200);
	ck_assert_str_eq(json_str(a.json, "messages.0.text"), "4");
	ck_assert_str_eq(json_str(a.json, "messages.1.text"), "6");
}
END_TEST

START_TEST(history_with_invalid_parameters_is_refused)
{
	struct client *bob = user("bob");
	long long ids[11], chat = send_ten(ids);
	const char *const unreadable[] = { "limit=x", "limit=", "limit=5x", "limit=1.5", "limit=%20", "lmit=5" };
	for (size_t i = 0; i < sizeof(unreadable) / sizeof(unreadable[0]); i++)
		expect_problem(get(bob, "%s?%s", messages_path(chat), unreadable[i]), 400, "bad_parameter");
	const char *const beyond[] = { "limit=0", "limit=201", "limit=99999999999999999999" };
	for (size_t i = 0; i < sizeof(beyond) / sizeof(beyond[0]); i++)
		expect_problem(get(bob, "%s?%s", messages_path(chat), beyond[i]), 422, "out_of_range");
	const char *const cursors[] = { "before=x", "after=-5", "around=1e3", "before=99999999999999999999",
		"after=%00" };
	for (size_t i = 0; i < sizeof(cursors) / sizeof(cursors[0]); i++) {
		struct answer a = expect_status(get(bob, "%s?%s", messages_path(chat), cursors[i]), 400);
		expect_problem(
			a, 400, strcmp(json_str(a.json, "code"), "bad_cursor") == 0 ? "bad_cursor" : "bad_parameter");
	}
	expect_texts(get(bob, "%s?limit=1", messages_path(chat)), 10, 10);
	expect_texts(get(bob, "%s?limit=200", messages_path(chat)), 1, 10);
}
END_TEST

START_TEST(chat_absent_and_hidden_answers_are_identical)
{
	struct client *alice = user("alice"), *mallory = user("mallory");
	long long chat = make_group(alice), id = say(alice, chat, "secret");
	struct answer absent = expect_problem(get(mallory, "/v1/chats/987654321/messages"), 404, "not_found");
	struct answer hidden[] = {
		get(mallory, "%s", messages_path(chat)),
		get(mallory, "%s", message_path(chat, id)),
		post(mallory, messages_path(chat), "{'text':'hi'}"),
		post_as(mallory, messages_path(chat), "text/plain", "hi"),
		patch(mallory, message_path(chat, id), "{'text':'hi'}"),
		del(mallory, "%s", message_path(chat, id)),
		post(mallory, format("/v1/chats/%lld/read", chat), "{'up_to':%lld}", id),
	};
	for (size_t i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++) {
		expect_problem(hidden[i], 404, "not_found");
		ck_assert_str_eq(json_str(hidden[i].json, "detail"), json_str(absent.json, "detail"));
		ck_assert_str_eq(json_str(hidden[i].json, "title"), json_str(absent.json, "title"));
	}
}
END_TEST

START_TEST(text_empty_or_too_long_is_refused)
{
	struct client *alice = user("alice");
	long long chat = make_group(alice);
	char *path = messages_path(chat);
	expect_problem(post(alice, path, "{'text':''}"), 422, "empty_text");
	expect_problem(post(alice, path, "{}"), 422, "empty_text");
	expect_problem(post(alice, path, "{'text':null}"), 422, "empty_text");
	expect_problem(post_as(alice, path, "text/plain", ""), 422, "empty_text");
	expect_status(post(alice, path, "{'text':'%s'}", repeat('x', 16384)), 201);
	expect_problem(post(alice, path, "{'text':'%s'}", repeat('x', 16385)), 413, "text_too_long");
	expect_status(post_as(alice, path, "text/plain", repeat('x', 16384)), 201);
	struct answer a = expect_status(post_as(alice, path, "text/plain", repeat('x', 16385)), 413);
	expect_problem(
		a, 413, strcmp(json_str(a.json, "code"), "body_too_large") == 0 ? "body_too_large" : "text_too_long");
	/* Bytes are counted, not characters. */
	char *wide = repeat('x', 16385);
	memcpy(wide, "\xc3\xa9", 2);
	expect_problem(
		post_as(alice, path, "application/json", format("{\"text\":\"%s\"}", wide)), 413, "text_too_long");
	expect_problem(post(alice, path, "{'text':'%s'}", repeat('x', 300000)), 413, "body_too_large");
	ck_assert_uint_eq(json_count(expect_status(get(alice, "%s", path), 200).json, "messages"), 2);
}
END_TEST

START_TEST(text_with_invalid_utf8_is_refused)
{
	struct client *alice = user("alice");
	char *path = messages_path(make_group(alice));
	const char *const bad[] = { "\xff", "a\x80z", "\xc3", "\xc0\xaf", "\xe2\x28\xa1", "\xed\xa0\x80",
		"\xf4\x90\x80\x80", "\xf8\x88\x80\x80\x80" };
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		expect_problem(post_as(alice, path, "text/plain", bad[i]), 400, "bad_utf8");
		expect_problem(
			post_as(alice, path, "application/json", format("{\"text\":\"%s\"}", bad[i])), 400, "bad_utf8");
	}
	expect_problem(send_request(alice, "POST", path, "text/plain", "a\0b", 3), 422, "bad_text");
	expect_problem(post(alice, path, "{'text':'a\\u0000b'}"), 422, "bad_text");
	ck_assert_uint_eq(json_count(expect_status(get(alice, "%s", path), 200).json, "messages"), 0);
}
END_TEST

START_TEST(text_with_lone_surrogate_is_refused)
{
	struct client *alice = user("alice");
	char *path = messages_path(make_group(alice));
	const char *const bad[] = { "\\ud800", "\\udc00", "\\ud800x", "\\ud83d\\u0041", "\\ude80\\ud83d",
		"\\ud83d\\ud83d\\ude80" };
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct answer a = post(alice, path, "{'text':'%s'}", bad[i]);
		ck_assert_msg(a.status == 400 || a.status == 422, "%s is answered %d: %s", bad[i], a.status, a.body);
		expect_problem(a, a.status, json_str(a.json, "code"));
	}
}
END_TEST

/* Asserts that each of the bodies (single quotes stand for double ones) is refused with this status and code. */
static void expect_all_refused(
	struct client *who, const char *path, const char *const bodies[], int status, const char *code)
{
	char wrong[2048] = "";
	for (size_t i = 0; bodies[i] != NULL; i++) {
		struct answer a = post(who, path, "%s", bodies[i]);
		if (a.status == status && json_has(a.json, "code") && strcmp(json_str(a.json, "code"), code) == 0)
			expect_problem(a, status, code);
		else
			snprintf(wrong + strlen(wrong), sizeof(wrong) - strlen(wrong), "\n#   %s is answered %d %.120s",
				bodies[i], a.status, a.body);
		if (status == 400 && a.status == 400)
			ck_assert_msg(
				strpbrk(json_str(a.json, "detail"), "0123456789") != NULL, "no position in %s", a.body);
	}
	ck_assert_msg(*wrong == '\0', "not %d %s:%s", status, code, wrong);
}

START_TEST(json_malformed_is_refused_with_its_position)
{
	struct client *alice = user("alice");
	char *path = messages_path(make_group(alice));
	const char *const bad[] = { "{", "{'text':'hi'", "{'text':'hi'}}", "{'text':'hi',}", "{'text' 'hi'}",
		"{text:'hi'}", "{'text':'hi'} {'text':'ho'}", "nul", "{'text':'a\nb'}", "{'text':'a\x01z'}",
		"{'text':'\\x'}", "{'text':'\\u12g4'}", "{'text':NaN}", "{'text':Infinity}", "{'text':'hi'/*?*/}",
		"{'text':'x','reply_to':01}", "{'text':'x','reply_to':1.}", "{'text':'x','reply_to':+1}",
		"{'text':'x','reply_to':.5}", "{'text':'x','reply_to':0x1}", "{'text':True}", "{'text':'hi'}x",
		"{,'text':'hi'}", "{'a':1 'text':'hi'}", NULL };
	expect_all_refused(alice, path, bad, 400, "bad_json");
	struct answer a =
		expect_problem(post_as(alice, path, "application/json", "{\"text\":\"hi\", oops}"), 400, "bad_json");
	ck_assert_msg(strstr(json_str(a.json, "detail"), "14") != NULL, "not position 14: %s", a.body);
	expect_problem(post_as(alice, path, "application/json", ""), 400, "bad_json");
	ck_assert_uint_eq(json_count(expect_status(get(alice, "%s", path), 200).json, "messages"), 0);
}
END_TEST

START_TEST(json_of_wrong_types_is_refused)
{
	struct client *alice = user("alice");
	char *path = messages_path(make_group(alice));
	const char *const wrong[] = { "[]", "'hi'", "5", "null", "true", "{'text':5}", "{'text':['hi']}", "{'text':{}}",
		"{'text':true}", "{'text':'x','reply_to':'1'}", "{'text':'x','reply_to':1.5}",
		"{'text':'x','reply_to':true}", "{'text':'x','key':5}", "{'type':5,'content':{}}",
		"{'type':'encrypted','content':'x'}", "{'type':'encrypted','content':[]}", NULL };
	expect_all_refused(alice, path, wrong, 422, "wrong_type");
	const char *const unknown[] = { "{'text':'x','id':5}", "{'text':'x','from':'bob'}", "{'Text':'x'}",
		"{'text':'x','':1}", "{'text':'x','at':'2020-01-01T00:00:00Z'}", NULL };
	expect_all_refused(alice, path, unknown, 422, "unknown_field");
	const char *const range[] = { "{'text':'x','reply_to':-1}", "{'text':'x','reply_to':0}",
		"{'text':'x','reply_to':9223372036854775808}", "{'text':'x','reply_to':99999999999999999999999}",
		"{'text':'x','reply_to':-9223372036854775809}",
		/* PostgreSQL expands these to 131,072 digits. */
		"{'type':'x','content':{'a':1e131071}}", "{'type':'x','content':{'a':[1E-4000,1e+200]}}",
		"{'type':'x','content':{'a':1e99999999999999999999}}", NULL };
	expect_all_refused(alice, path, range, 422, "out_of_range");
	ck_assert_uint_eq(json_count(expect_status(get(alice, "%s", path), 200).json, "messages"), 0);
	expect_status(
		post(alice, path, "{'type':'x','content':{'a':[1.5e300,-2E-300,0e0],'e9':'1e131071','text':'\\\\'}}"),
		201);
}
END_TEST

START_TEST(id_malformed_is_refused)
{
	struct client *alice = user("alice");
	long long chat = make_group(alice);
	const char *const ids[] = { "0", "x", "-1", "1x", "01x", "99999999999999999999999", "1.5", "%31%00", "+1" };
	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		struct answer a = get(alice, "%s/%s", messages_path(chat), ids[i]);
		ck_assert_msg(a.status == 404 || a.status == 400, "id %s: %d %s", ids[i], a.status, a.body);
		a = get(alice, "/v1/chats/%s/messages", ids[i]);
		ck_assert_msg(a.status == 404 || a.status == 400, "chat %s: %d %s", ids[i], a.status, a.body);
	}
}
END_TEST

START_TEST(method_not_allowed_is_refused)
{
	struct client *alice = user("alice");
	long long chat = make_group(alice), id = say(alice, chat, "hi");
	struct answer a = expect_problem(put(alice, messages_path(chat), "{}"), 405, "method_not_allowed");
	ck_assert_ptr_nonnull(strstr(expect_header(a, "Allow"), "GET"));
	ck_assert_ptr_nonnull(strstr(expect_header(a, "Allow"), "POST"));
	a = expect_problem(post(alice, message_path(chat, id), "{'text':'x'}"), 405, "method_not_allowed");
	ck_assert_ptr_nonnull(strstr(expect_header(a, "Allow"), "PATCH"));
	expect_problem(get(alice, "/v1/nothing/here"), 404, "not_found");
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		message_sent_can_be_read,
		send_with_media_type_other_than_json_takes_body_as_text,
		text_of_any_characters_is_unchanged,
		message_ids_ascend_and_times_do_not_decrease,
		batch_answers_each_line,
		batch_of_non_member_is_refused,
		media_type_in_any_case_is_recognized,
		batch_of_invalid_messages_creates_no_direct_chat,
		reply_to_message_of_another_chat_is_refused,
		message_of_custom_type_keeps_its_content,
		history_is_paginated,
		history_links_begin_with_public_url_path,
		history_before_and_after_accept_message_id,
		history_around_a_message_includes_it,
		history_with_invalid_parameters_is_refused,
		chat_absent_and_hidden_answers_are_identical,
		text_empty_or_too_long_is_refused,
		text_with_invalid_utf8_is_refused,
		text_with_lone_surrogate_is_refused,
		json_malformed_is_refused_with_its_position,
		json_of_wrong_types_is_refused,
		id_malformed_is_refused,
		method_not_allowed_is_refused,
		NULL,
	};
	return suite_run("messages", tests, NULL);
}
