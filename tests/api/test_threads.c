/* SPDX-License-Identifier: MIT
 * Replies and threads, mentions and pins. test_forwards.c has forwards, edits, reports and expiring messages. */
#include <string.h>

#include "../lib/client.h"
#include "../lib/database.h"
#include "../lib/stream.h"
#include "../lib/suite.h"

static struct answer reply(const struct client *who, long long chat, long long to_id, const char *text)
{
	return expect_status(post(who, messages_path(chat), "{'text':'%s','reply_to':%lld}", text, to_id), 201);
}

/* ---- replies and threads ---- */

START_TEST(reply_includes_preview_of_its_message)
{
	struct client *alice = user("alice"), *bob = user("bob");
	long long chat = make_group(alice, bob), id = say(alice, chat, "question"),
		  answer = json_num(reply(bob, chat, id, "answer").json, "id");
	struct answer a = expect_status(get(alice, "%s", message_path(chat, answer)), 200);
	ck_assert_int_eq(json_num(a.json, "reply.id"), id);
	ck_assert_str_eq(json_str(a.json, "reply.from"), "alice");
	ck_assert_str_eq(json_str(a.json, "reply.text"), "question");
	ck_assert_str_eq(json_str(expect_status(get(alice, "%s?after=%lld", messages_path(chat), id), 200).json,
				 "messages.0.reply.text"),
		"question");
	expect_status(patch(alice, message_path(chat, id), "{'text':'better question'}"), 200);
	ck_assert_str_eq(json_str(expect_status(get(alice, "%s?after=%lld", messages_path(chat), id), 200).json,
				 "messages.0.reply.text"),
		"better question");
	expect_status(del(alice, "%s", message_path(chat, id)), 204);
	a = expect_status(get(alice, "%s", messages_path(chat)), 200);
	ck_assert_ptr_null(strstr(a.body, "question"));
	ck_assert(!json_has(a.json, "messages.0.reply"));
}
END_TEST

START_TEST(reply_preview_is_short_and_only_of_readable_messages)
{
	struct client *alice = user("alice"), *dave = user("dave");
	long long chat = json_num(
		expect_status(post(alice, "/v1/chats", "{'kind':'group','title':'x','history':'joined'}"), 201).json,
		"id");
	char text[1000] = "secret ";
	memset(text + 7, 'x', 900);
	long long id = say(alice, chat, text);
	expect_status(put(alice, member_path(chat, dave), "{}"), 200);
	long long answer = json_num(reply(alice, chat, id, "answer").json, "id");
	ck_assert_uint_eq(
		strlen(json_str(expect_status(get(alice, "%s", message_path(chat, answer)), 200).json, "reply.text")),
		120);
	struct answer a = expect_status(get(dave, "%s", message_path(chat, answer)), 200);
	ck_assert_ptr_null(strstr(a.body, "secret"));
	a = expect_status(get(dave, "%s?after=%lld", messages_path(chat), answer - 1), 200);
	ck_assert_ptr_null(strstr(a.body, "secret"));
	a = expect_status(get(dave, "%s/thread", message_path(chat, answer)), 200);
	ck_assert_ptr_null(strstr(a.body, "secret"));
	ck_assert_uint_eq(json_count(a.json, "messages"), 1);
	ck_assert_uint_eq(json_count(expect_status(get(dave, "/v1/chats/%lld/threads", chat), 200).json, "threads"), 0);
}
END_TEST

START_TEST(replies_form_a_thread)
{
	struct client *alice = user("alice"), *bob = user("bob"), *carol = user("carol");
	long long chat = make_group(alice, bob, carol), root = say(alice, chat, "root");
	struct stream *s = stream_from_now(carol);
	struct answer first = reply(bob, chat, root, "1");
	ck_assert_int_eq(json_num(first.json, "thread"), root);
	ck_assert_int_eq(json_num(expect(s, "message"), "thread"), root);
	struct answer second = reply(alice, chat, json_num(first.json, "id"), "2");
	ck_assert_int_eq(json_num(second.json, "thread"), root);
	struct answer many = expect_status(post_as(bob, messages_path(chat), "application/x-ndjson",
						   format("{\"text\":\"3\",\"reply_to\":%lld}\n{\"text\":\"aside\"}\n"
							  "{\"text\":\"4\",\"reply_to\":%lld}\n",
							   root, root)),
		200);
	ck_assert_ptr_nonnull(strstr(many.body, format("\"thread\":%lld", root)));
	ck_assert_int_eq(json_num(expect_status(get(carol, "%s", message_path(chat, root)), 200).json, "replies"), 4);

	struct answer a =
		expect_status(get(carol, "%s/thread?limit=3", message_path(chat, json_num(second.json, "id"))), 200);
	ck_assert_int_eq(json_num(a.json, "thread"), root);
	ck_assert_str_eq(json_str(a.json, "root.text"), "root");
	ck_assert_uint_eq(json_count(a.json, "messages"), 3);
	ck_assert_str_eq(json_str(a.json, "messages.0.text"), "1");
	ck_assert_str_eq(json_str(a.json, "messages.1.reply.text"), "1");
	a = expect_status(
		get(carol, "%s/thread?limit=3&cursor=%s", message_path(chat, root), json_str(a.json, "next")), 200);
	ck_assert_uint_eq(json_count(a.json, "messages"), 1);
	ck_assert_str_eq(json_str(a.json, "messages.0.text"), "4");
	ck_assert(!json_has(a.json, "next"));

	expect_status(del(bob, "%s", message_path(chat, json_num(first.json, "id"))), 204);
	ck_assert_int_eq(json_num(expect_status(get(carol, "%s", message_path(chat, root)), 200).json, "replies"), 3);
	expect_status(del(alice, "%s", message_path(chat, root)), 204);
	struct answer rootless = expect_status(get(carol, "%s/thread", message_path(chat, root)), 200);
	ck_assert(json_true(rootless.json, "deleted"));
	ck_assert_int_eq(json_num(rootless.json, "thread"), root);
	expect_status(post(carol, format("%s/thread/read", message_path(chat, root)), "{'up_to':%lld}", root), 204);
	a = expect_status(get(carol, "%s/thread", message_path(chat, json_num(second.json, "id"))), 200);
	ck_assert(!json_has(a.json, "root"));
	ck_assert_uint_eq(json_count(a.json, "messages"), 3);
	ck_assert_int_eq(json_num(reply(bob, chat, json_num(second.json, "id"), "5").json, "thread"), root);
}
END_TEST

START_TEST(thread_list_includes_unread_counts)
{
	struct client *alice = user("alice"), *bob = user("bob"), *mallory = user("mallory");
	long long chat = make_group(alice, bob), one = say(alice, chat, "one"), two = say(alice, chat, "two");
	char *path = format("/v1/chats/%lld/threads", chat);
	ck_assert_uint_eq(json_count(expect_status(get(bob, "%s", path), 200).json, "threads"), 0);
	reply(alice, chat, two, "2a");
	long long middle = json_num(reply(alice, chat, one, "1a").json, "id"),
		  last = json_num(reply(alice, chat, one, "1b").json, "id");
	struct answer a = expect_status(get(bob, "%s?limit=1", path), 200);
	ck_assert_uint_eq(json_count(a.json, "threads"), 1);
	ck_assert_int_eq(json_num(a.json, "threads.0.root.id"), one);
	ck_assert_int_eq(json_num(a.json, "threads.0.root.replies"), 2);
	ck_assert_int_eq(json_num(a.json, "threads.0.unread"), 2);
	ck_assert_int_eq(json_num(a.json, "threads.0.last_reply"), last);
	a = expect_status(get(bob, "%s?limit=1&cursor=%s", path, json_str(a.json, "next")), 200);
	ck_assert_int_eq(json_num(a.json, "threads.0.root.id"), two);
	ck_assert(!json_has(a.json, "next"));
	ck_assert_int_eq(json_num(expect_status(get(alice, "%s", path), 200).json, "threads.0.unread"),
		0); /* own messages don't count */

	expect_status(post(bob, format("%s/thread/read", message_path(chat, one)), "{'up_to':%lld}", middle), 204);
	ck_assert_int_eq(json_num(expect_status(get(bob, "%s", path), 200).json, "threads.0.unread"), 1);
	expect_status(post(bob, format("%s/thread/read", message_path(chat, last)), "{'up_to':%lld}", last), 204);
	expect_status(post(bob, format("%s/thread/read", message_path(chat, one)), "{'up_to':%lld}", middle),
		204); /* never moves back */
	ck_assert_int_eq(
		json_num(expect_status(get(bob, "%s/thread", message_path(chat, one)), 200).json, "unread"), 0);
	ck_assert_int_eq(json_num(expect_status(get(bob, "%s", path), 200).json, "threads.1.unread"), 1);
	expect_status(post(bob, format("/v1/chats/%lld/read", chat), "{'up_to':%lld}", last),
		204); /* reading the chat reads its threads */
	ck_assert_int_eq(json_num(expect_status(get(bob, "%s", path), 200).json, "threads.1.unread"), 0);

	expect_problem(get(mallory, "%s", path), 404, "not_found");
	expect_problem(get(mallory, "%s/thread", message_path(chat, one)), 404, "not_found");
	expect_problem(
		post(mallory, format("%s/thread/read", message_path(chat, one)), "{'up_to':1}"), 404, "not_found");
	expect_problem(
		post(bob, format("%s/thread/read", message_path(chat, one)), "{'up_to':-1}"), 422, "out_of_range");
}
END_TEST

START_TEST(thread_remains_when_its_first_message_is_deleted)
{
	struct client *ann = new_user(), *ben = new_user(), *cat = new_user(), *eve = new_user();
	long long chat = make_group(ann, ben, cat), root = say(ann, chat, "1"), other = say(ann, chat, "2");
	char *path = format("/v1/chats/%lld/threads", chat), *cursor;
	long long middle = json_num(reply(ben, chat, root, "1a").json, "id");
	reply(ben, chat, other, "2a");
	long long last = json_num(reply(ben, chat, middle, "1b").json, "id");
	expect_status(post(cat, format("%s/thread/read", message_path(chat, root)), "{'up_to':%lld}", middle), 204);
	expect_status(patch(ann, format("/v1/chats/%lld", chat), "{'history':'joined'}"), 200);
	expect_status(put(ann, member_path(chat, eve), "{}"), 200);
	expect_status(del(ann, "%s", message_path(chat, root)), 204);
	struct answer a = expect_status(get(cat, "%s?limit=1", path), 200);
	ck_assert_int_eq(json_num(a.json, "threads.0.thread"), root);
	ck_assert(json_true(a.json, "threads.0.deleted") && !json_has(a.json, "threads.0.root"));
	ck_assert_int_eq(json_num(a.json, "threads.0.last_reply"), last);
	ck_assert_int_eq(json_num(a.json, "threads.0.unread"), 1); /* the mark remains too */
	cursor = format("%s", json_str(a.json, "next"));
	a = expect_status(get(cat, "%s?limit=1&cursor=%s", path, cursor), 200);
	ck_assert_int_eq(json_num(a.json, "threads.0.thread"), other);
	ck_assert_int_eq(json_num(a.json, "threads.0.root.id"), other);
	ck_assert(!json_has(a.json, "threads.0.deleted") && !json_has(a.json, "next"));
	a = expect_status(get(cat, "%s/thread", message_path(chat, last)), 200);
	ck_assert(json_true(a.json, "deleted"));
	ck_assert_int_eq(json_num(a.json, "unread"), 1);
	ck_assert_uint_eq(json_count(expect_status(get(eve, "%s", path), 200).json, "threads"), 0);

	expect_status(del(ben, "%s", message_path(chat, last)), 204);
	ck_assert_int_eq(json_num(expect_status(get(cat, "%s", path), 200).json, "threads.1.last_reply"), middle);
	expect_status(del(ben, "%s", message_path(chat, middle)), 204);
	ck_assert_uint_eq(json_count(expect_status(get(cat, "%s", path), 200).json, "threads"), 1);
	PGconn *db = database_open(test_server());
	ck_assert_str_eq(sql(db, "select count(*) from postern.thread_rootless where chat_id = %lld", chat), "0");
	ck_assert_str_eq(sql(db, "select count(*) from postern.thread_mark where chat_id = %lld", chat), "0");
}
END_TEST

/* ---- mentions ---- */

static size_t mentions_of(const struct client *who)
{
	return json_count(expect_status(get(who, "/v1/mentions"), 200).json, "mentions");
}

START_TEST(mention_is_part_of_the_message_event)
{
	struct client *ann = new_user(), *ben = new_user(), *cay = new_user(), *mallory = new_user();
	long long chat = make_group(ann, ben, cay);
	struct stream *s = stream_from_now(ben);
	struct answer a = expect_status(
		post(ann, messages_path(chat), "{'text':'Hello @%s, and @%s.'}", ben->name, mallory->name), 201);
	ck_assert_uint_eq(json_count(a.json, "mentions"), 1);
	ck_assert_str_eq(json_str(a.json, "mentions.0"), ben->name);
	ck_assert_str_eq(json_str(expect(s, "message"), "mentions.0"), ben->name);
	struct answer inbox = expect_status(get(ben, "/v1/mentions"), 200);
	ck_assert_uint_eq(json_count(inbox.json, "mentions"), 1);
	ck_assert_int_eq(json_num(inbox.json, "mentions.0.id"), json_num(a.json, "id"));
	ck_assert_uint_eq(mentions_of(mallory) + mentions_of(cay) + mentions_of(ann), 0);

	const char *const plain[] = { "mail@%s", "nobody", "@" };
	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
		const char *name = strchr(plain[i], '%') != NULL ? ben->name : "";
		char *text = format("%.*s%s", (int)strcspn(plain[i], "%"), plain[i], name);
		ck_assert_msg(!json_has(expect_status(post(ann, messages_path(chat), "{'text':'%s'}", text), 201).json,
				      "mentions"),
			"`%s` is a mention", text);
	}
	char *many = format("{\"text\":\"(@%s)\"}\n{\"text\":\"none\"}\n{\"text\":\"@%s... @%s, @%s\"}\n", ben->name,
		cay->name, ben->name, ben->name);
	expect_status(post_as(ann, messages_path(chat), "application/x-ndjson", many), 200);
	ck_assert_uint_eq(mentions_of(ben), 3);
	ck_assert_uint_eq(mentions_of(cay), 1);
	inbox = expect_status(get(ben, "/v1/mentions?limit=2"), 200);
	ck_assert_uint_eq(json_count(inbox.json, "mentions"), 2);
	ck_assert_int_gt(json_num(inbox.json, "mentions.0.id"), json_num(inbox.json, "mentions.1.id"));
	inbox = expect_status(get(ben, "/v1/mentions?limit=2&cursor=%s", json_str(inbox.json, "next")), 200);
	ck_assert_uint_eq(json_count(inbox.json, "mentions"), 1);
	ck_assert(!json_has(inbox.json, "next"));
}
END_TEST

START_TEST(mention_is_of_the_member_with_the_longest_name)
{
	struct client *ann = new_user(), *ben = new_user(), *bens = user("ben-the-second");
	const char *n = ben->name;
	long long chat = make_group(ann, ben, bens, user("ben-the"));
	char *const texts[] = { format("\u8bf7@%s\u770b", n), format("@%s...ok", n), format("@%s.Please check", n),
		format("_@%s_", n), format("(@%s)", n), format("@@%s", n) };
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct answer a = expect_status(post(ann, messages_path(chat), "{'text':'%s'}", texts[i]), 201);
		ck_assert_msg(json_has(a.json, "mentions"), "`%s` is no mention", texts[i]);
		ck_assert_str_eq(json_str(a.json, "mentions.0"), n);
	}
	struct answer a = expect_status(post(ann, messages_path(chat), "{'text':'@ben-the-second-one'}"), 201);
	ck_assert_uint_eq(json_count(a.json, "mentions"), 1);
	ck_assert_str_eq(json_str(a.json, "mentions.0"), "ben-the-second");
	char *const none[] = { format("`@%s`", n), format("https://example.org/@%s", n), format("a@%s", n) };
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		ck_assert_msg(
			!json_has(expect_status(post(ann, messages_path(chat), "{'text':'%s'}", none[i]), 201).json,
				"mentions"),
			"`%s` is a mention", none[i]);
	long long id = say(ann, chat, "x");
	a = expect_status(patch(ann, message_path(chat, id), "{'text':'`@%s` @%s.'}", bens->name, n), 200);
	ck_assert_uint_eq(json_count(a.json, "mentions"), 1);
	ck_assert_str_eq(json_str(a.json, "mentions.0"), n);
}
END_TEST

START_TEST(mention_of_all_is_limited_to_owner_and_admins)
{
	struct client *ann = new_user(), *ben = new_user(), *cay = new_user();
	long long chat = make_group(ann, ben);
	ck_assert(!json_has(expect_status(post(ben, messages_path(chat), "{'text':'@all'}"), 201).json, "mentions"));
	struct answer a = expect_status(post(ann, messages_path(chat), "{'text':'@all: lunch'}"), 201);
	ck_assert_str_eq(json_str(a.json, "mentions.0"), "@all");
	expect_status(put(ann, member_path(chat, cay), "{}"), 200);
	ck_assert_uint_eq(mentions_of(ben), 1);
	ck_assert_uint_eq(mentions_of(ann), 0);
	ck_assert_uint_eq(mentions_of(cay), 0); /* cay wasn't a member yet */
	expect_status(put(ann, member_path(chat, ben), "{'role':'admin'}"), 200);
	expect_status(post(ben, messages_path(chat), "{'text':'@all'}"), 201);
	ck_assert_uint_eq(mentions_of(ann), 1);
	ck_assert_uint_eq(mentions_of(cay), 1);
}
END_TEST

START_TEST(mention_is_removed_with_its_message)
{
	struct client *ann = new_user(), *ben = new_user(), *cay = new_user();
	long long chat = make_group(ann, ben, cay), id = say(ann, chat, format("@%s", ben->name));
	ck_assert_uint_eq(mentions_of(ben), 1);
	struct answer a = expect_status(patch(ann, message_path(chat, id), "{'text':'@%s'}", cay->name), 200);
	ck_assert_str_eq(json_str(a.json, "mentions.0"), cay->name);
	ck_assert_uint_eq(mentions_of(ben), 0);
	ck_assert_uint_eq(mentions_of(cay), 1);
	expect_status(patch(ann, message_path(chat, id), "{'text':'nobody'}"), 200);
	ck_assert_uint_eq(mentions_of(cay), 0);
	long long again = say(ann, chat, format("@%s", cay->name));
	ck_assert_uint_eq(mentions_of(cay), 1);
	expect_status(del(ann, "%s", member_path(chat, cay)), 204); /* a former member reads nothing */
	ck_assert_uint_eq(mentions_of(cay), 0);
	expect_status(put(ann, member_path(chat, cay), "{}"), 200);
	ck_assert_uint_eq(mentions_of(cay), 1);
	expect_status(del(ann, "%s", message_path(chat, again)), 204);
	ck_assert_uint_eq(mentions_of(cay), 0);
	expect_problem(get(anonymous(), "/v1/mentions"), 401, "unauthorized");
}
END_TEST

START_TEST(mentions_unread_are_counted)
{
	struct client *ann = new_user(), *ben = new_user(), *cay = new_user();
	long long chat = make_group(ann, ben, cay);
	char *path = format("/v1/chats/%lld", chat);
	ck_assert(!json_has(expect_status(get(ben, "%s", path), 200).json, "unread_mentions"));
	say(cay, chat, "nobody");
	long long first = say(cay, chat, format("@%s", ben->name));
	say(ann, chat, format("@all and @%s too", ben->name)); /* one message */
	say(ben, chat, format("@%s", cay->name));
	ck_assert_int_eq(json_num(expect_status(get(ben, "%s", path), 200).json, "unread_mentions"), 2);
	ck_assert_int_eq(json_num(expect_status(get(cay, "%s", path), 200).json, "unread_mentions"), 2);
	ck_assert(!json_has(
		expect_status(get(ann, "%s", path), 200).json, "unread_mentions")); /* own messages aren't unread */
	expect_status(post(ben, format("%s/read", path), "{'up_to':%lld}", first), 204);
	ck_assert_int_eq(json_num(expect_status(get(ben, "/v1/sync"), 200).json, "chats.0.unread_mentions"), 1);
	expect_status(post(ben, format("%s/read", path), "{'up_to':%lld}", first + 1), 204);
	ck_assert(!json_has(expect_status(get(ben, "/v1/chats"), 200).json, "chats.0.unread_mentions"));
}
END_TEST

/* A text of nothing but @ must not delay other users. */
START_TEST(mentions_over_the_limit_are_ignored)
{
	struct client *ann = new_user(), *ben = new_user();
	long long chat = make_group(ann, ben);
	char *much = on_teardown(free, calloc(1, 300 * 5 + 50 * 10 + 64));
	for (size_t i = 0; i < 300; i++)
		strcat(much, "a@b, "); /* no mentions */
	for (size_t i = 0; i < 49; i++)
		sprintf(much + strlen(much), "@nobody%zu ", i);
	ck_assert_uint_eq(
		json_count(expect_status(post(ann, messages_path(chat), "{'text':'%s@%s'}", much, ben->name), 201).json,
			"mentions"),
		1);
	strcat(much, "@nobody49 ");
	ck_assert(
		!json_has(expect_status(post(ann, messages_path(chat), "{'text':'%s@%s'}", much, ben->name), 201).json,
			"mentions"));
	ck_assert_uint_eq(mentions_of(ben), 1);
}
END_TEST

/* ---- pins ---- */

START_TEST(pins_are_listed)
{
	struct client *alice = user("alice"), *bob = user("bob"), *mallory = user("mallory");
	long long chat = make_group(alice, bob), one = say(bob, chat, "1"), two = say(bob, chat, "2");
	struct stream *s = stream_from_now(bob);
	expect_problem(put(bob, format("%s/pin", message_path(chat, one)), NULL), 403, "forbidden");
	expect_problem(put(mallory, format("%s/pin", message_path(chat, one)), NULL), 404, "not_found");
	struct answer a = expect_status(put(alice, format("%s/pin", message_path(chat, one)), NULL), 200);
	ck_assert_str_eq(json_str(a.json, "pinned.by"), "alice");
	ck_assert(!json_has(a.json, "edited_at"));
	struct json_object *m = expect_message(s, one);
	ck_assert_str_eq(json_str(m, "pinned.by"), "alice");
	ck_assert_int_eq(json_num(m, "rev"), json_num(a.json, "rev"));
	expect_status(put(alice, format("%s/pin", message_path(chat, one)), NULL), 200);
	expect_status(put(alice, format("%s/pin", message_path(chat, two)), NULL), 200);
	expect_message(s, two);
	struct answer list = expect_status(get(bob, "/v1/chats/%lld/pins?limit=1", chat), 200);
	ck_assert_int_eq(json_num(list.json, "messages.0.id"), two);
	list = expect_status(get(bob, "/v1/chats/%lld/pins?cursor=%s", chat, json_str(list.json, "next")), 200);
	ck_assert_uint_eq(json_count(list.json, "messages"), 1);
	ck_assert_int_eq(json_num(list.json, "messages.0.id"), one);
	expect_problem(get(mallory, "/v1/chats/%lld/pins", chat), 404, "not_found");

	expect_problem(del(bob, "%s/pin", message_path(chat, one)), 403, "forbidden");
	expect_status(del(alice, "%s/pin", message_path(chat, one)), 204);
	ck_assert(!json_has(expect_message(s, one), "pinned"));
	expect_status(del(alice, "%s/pin", message_path(chat, one)), 204);
	expect_quiet(s);
	expect_status(del(bob, "%s", message_path(chat, two)), 204);
	ck_assert_uint_eq(json_count(expect_status(get(bob, "/v1/chats/%lld/pins", chat), 200).json, "messages"), 0);
	expect_problem(put(alice, format("%s/pin", message_path(chat, two)), NULL), 410, "gone");
}
END_TEST

START_TEST(pins_are_recorded_in_the_audit)
{
	struct client *ann = new_user();
	long long chat = make_group(ann), id = say(ann, chat, "hi");
	expect_status(put(ann, format("%s/pin", message_path(chat, id)), NULL), 200);
	expect_status(put(ann, format("%s/pin", message_path(chat, id)), NULL), 200); /* repeated: not recorded again */
	expect_status(del(ann, "%s/pin", message_path(chat, id)), 204);
	struct answer a = expect_status(get(ann, "/v1/chats/%lld/audit", chat), 200);
	ck_assert_uint_eq(json_count(a.json, "acts"), 2);
	ck_assert_str_eq(json_str(a.json, "acts.0.act"), "message_unpinned");
	ck_assert_str_eq(json_str(a.json, "acts.1.act"), "message_pinned");
	ck_assert_int_eq(json_num(a.json, "acts.1.details.id"), id);
}
END_TEST

START_TEST(pin_in_direct_chat_is_allowed_to_both_members)
{
	struct client *ann = new_user(), *ben = new_user();
	struct answer a = expect_status(post(ann, format("/v1/chats/@%s/messages", ben->name), "{'text':'hi'}"), 201);
	expect_status(
		put(ben, format("/v1/chats/@%s/messages/%lld/pin", ann->name, json_num(a.json, "id")), NULL), 200);
	ck_assert_uint_eq(
		json_count(expect_status(get(ann, "/v1/chats/@%s/pins", ben->name), 200).json, "messages"), 1);
}
END_TEST

/* ---- access ---- */

START_TEST(absent_hidden_and_former_chat_answers_are_identical)
{
	struct client *alice = user("alice"), *bob = user("bob"), *mallory = user("mallory");
	long long chat = make_group(alice, bob), id = say(alice, chat, "hi @bob"), gone = say(alice, chat, "gone");
	reply(alice, chat, id, "more");
	expect_status(put(alice, format("%s/pin", message_path(chat, id)), NULL), 200);
	expect_status(del(alice, "%s", message_path(chat, gone)), 204);
	expect_status(del(alice, "%s", member_path(chat, bob)), 204);
	const struct {
		const char *method, *path, *body;
	} asked[] = {
		{ "GET", "/messages/%lld/reactions", NULL },
		{ "PUT", "/messages/%lld/reactions/%F0%9F%91%8D", NULL },
		{ "DELETE", "/messages/%lld/reactions/%F0%9F%91%8D", NULL },
		{ "PUT", "/messages/%lld/pin", NULL },
		{ "DELETE", "/messages/%lld/pin", NULL },
		{ "GET", "/messages/%lld/thread", NULL },
		{ "POST", "/messages/%lld/thread/read", "{\"up_to\":1}" },
		{ "GET", "/messages/%lld/edits", NULL },
		{ "POST", "/messages/%lld/report", "{}" },
		{ "GET", "/pins", NULL },
		{ "GET", "/threads", NULL },
	};
	const long long chats[] = { 987654321, chat, chat, 0 };
	const char *ids[] = { format("%lld", id), format("%lld", id), format("%lld", gone), "5" };
	for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++)
		for (size_t who = 0; who < 2; who++) {
			const char *before = NULL, *at = strstr(asked[i].path, "%lld");
			for (size_t j = 0; j < 4; j++) {
				char *path = at == NULL
					? format("/v1/chats/%lld%s", chats[j], asked[i].path)
					: format("/v1/chats/%lld%.*s%s%s", chats[j], (int)(at - asked[i].path),
						  asked[i].path, ids[j], at + 4);
				struct answer a = expect_problem(
					send_request(with_header(who ? bob : mallory, "X-Request-Id: same"),
						asked[i].method, path, asked[i].body ? "application/json" : NULL,
						asked[i].body, asked[i].body ? strlen(asked[i].body) : 0),
					404, "not_found");
				ck_assert_msg(before == NULL || strcmp(before, a.body) == 0, "%s %s: %s, not %s",
					asked[i].method, path, a.body, before);
				before = a.body;
			}
		}
	ck_assert_uint_eq(json_count(expect_status(get(bob, "/v1/mentions?limit=200"), 200).json, "mentions"), 0);
}
END_TEST

/* ---- what upkeep removes ---- */

START_TEST(tombstones_of_reactions_and_mentions_are_removed_below_horizon)
{
	struct client *alice = user("alice"), *bob = user("bob");
	long long chat = make_group(alice, bob), id = say(alice, chat, "hi");
	char *thumb = format("%s/reactions/%%F0%%9F%%91%%8D", message_path(chat, id));
	expect_status(put(alice, thumb, NULL), 200);
	expect_status(put(bob, thumb, NULL), 200);
	expect_status(del(bob, "%s", thumb), 204);
	PGconn *pg = database_open(test_server());
	sql(pg, "select set_config('search_path', (select functions from postern.node limit 1) || ',postern', false)");
	sql(pg, "select messages_upkeep(%lld, 1000)", id);
	ck_assert_str_eq(sql(pg, "select count(*) from reaction where chat_id = %lld", chat), "2");
	sql(pg, "select messages_upkeep(log_head(), 1000)");
	ck_assert_str_eq(sql(pg, "select string_agg(name, ' ') from reaction where chat_id = %lld", chat), "alice");
	expect_status(patch(alice, message_path(chat, id), "{'text':'@bob'}"), 200);
	expect_status(del(alice, "/v1/chats/%lld", chat), 204);
	sql(pg, "select messages_upkeep(log_head(), 1000)");
	ck_assert_str_eq(
		sql(pg,
			"select (select count(*) from reaction where chat_id = %1$lld) + (select count(*) from "
			"mention where chat_id = %1$lld)"
			" + (select count(*) from message_version where chat_id = %1$lld)",
			chat),
		"0");
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		reply_includes_preview_of_its_message,
		reply_preview_is_short_and_only_of_readable_messages,
		replies_form_a_thread,
		thread_list_includes_unread_counts,
		thread_remains_when_its_first_message_is_deleted,
		mention_is_part_of_the_message_event,
		mention_is_of_the_member_with_the_longest_name,
		mention_of_all_is_limited_to_owner_and_admins,
		mention_is_removed_with_its_message,
		mentions_unread_are_counted,
		mentions_over_the_limit_are_ignored,
		pins_are_listed,
		pins_are_recorded_in_the_audit,
		pin_in_direct_chat_is_allowed_to_both_members,
		absent_hidden_and_former_chat_answers_are_identical,
		tombstones_of_reactions_and_mentions_are_removed_below_horizon,
		NULL,
	};
	return suite_run("threads", tests, NULL);
}
