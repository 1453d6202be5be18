/* SPDX-License-Identifier: MIT
 * What members make of messages: replies and threads, mentions, pins, forwards, versions, reports, and messages that
 * run out. */
#include <string.h>

#include "../lib/client.h"
#include "../lib/database.h"
#include "../lib/stream.h"
#include "../lib/suite.h"

static struct answer reply(const struct client *who, long long chat, long long to_id, const char *text)
{
	return is(post(who, messages(chat), "{'text':'%s','reply_to':%lld}", text, to_id), 201);
}

/* ---- replies and threads ---- */

START_TEST(a_reply_shows_what_it_replies_to)
{
	struct client *alice = user("alice"), *bob = user("bob");
	long long chat = group(alice, bob), id = say(alice, chat, "question"),
		  answer = num(reply(bob, chat, id, "answer").json, "id");
	struct answer a = is(get(alice, "%s", message(chat, answer)), 200);
	ck_assert_int_eq(num(a.json, "reply.id"), id);
	ck_assert_str_eq(str(a.json, "reply.from"), "alice");
	ck_assert_str_eq(str(a.json, "reply.text"), "question");
	ck_assert_str_eq(str(is(get(alice, "%s?after=%lld", messages(chat), id), 200).json, "messages.0.reply.text"),
		"question");
	is(patch(alice, message(chat, id), "{'text':'better question'}"), 200);
	ck_assert_str_eq(str(is(get(alice, "%s?after=%lld", messages(chat), id), 200).json, "messages.0.reply.text"),
		"better question");
	is(del(alice, "%s", message(chat, id)), 204);
	a = is(get(alice, "%s", messages(chat)), 200);
	ck_assert_ptr_null(strstr(a.body, "question"));
	ck_assert(!has(a.json, "messages.0.reply"));
}
END_TEST

START_TEST(a_preview_is_short_and_shows_only_what_one_may_read)
{
	struct client *alice = user("alice"), *dave = user("dave");
	long long chat =
		num(is(post(alice, "/v1/chats", "{'kind':'group','title':'x','history':'joined'}"), 201).json, "id");
	char text[1000] = "secret ";
	memset(text + 7, 'x', 900);
	long long id = say(alice, chat, text);
	is(put(alice, member(chat, dave), "{}"), 200);
	long long answer = num(reply(alice, chat, id, "answer").json, "id");
	ck_assert_uint_eq(strlen(str(is(get(alice, "%s", message(chat, answer)), 200).json, "reply.text")), 120);
	struct answer a = is(get(dave, "%s", message(chat, answer)), 200);
	ck_assert_ptr_null(strstr(a.body, "secret"));
	a = is(get(dave, "%s?after=%lld", messages(chat), answer - 1), 200);
	ck_assert_ptr_null(strstr(a.body, "secret"));
	a = is(get(dave, "%s/thread", message(chat, answer)), 200);
	ck_assert_ptr_null(strstr(a.body, "secret"));
	ck_assert_uint_eq(count(a.json, "messages"), 1);
	ck_assert_uint_eq(count(is(get(dave, "/v1/chats/%lld/threads", chat), 200).json, "threads"), 0);
}
END_TEST

START_TEST(replies_make_a_thread)
{
	struct client *alice = user("alice"), *bob = user("bob"), *carol = user("carol");
	long long chat = group(alice, bob, carol), root = say(alice, chat, "root");
	struct stream *s = live(carol);
	struct answer first = reply(bob, chat, root, "1");
	ck_assert_int_eq(num(first.json, "thread"), root);
	ck_assert_int_eq(num(expect(s, "message"), "thread"), root);
	struct answer second = reply(alice, chat, num(first.json, "id"), "2");
	ck_assert_int_eq(num(second.json, "thread"), root);
	struct answer many = is(post_as(bob, messages(chat), "application/x-ndjson",
					format("{\"text\":\"3\",\"reply_to\":%lld}\n{\"text\":\"aside\"}\n"
					       "{\"text\":\"4\",\"reply_to\":%lld}\n",
						root, root)),
		200);
	ck_assert_ptr_nonnull(strstr(many.body, format("\"thread\":%lld", root)));
	ck_assert_int_eq(num(is(get(carol, "%s", message(chat, root)), 200).json, "replies"), 4);

	struct answer a = is(get(carol, "%s/thread?limit=3", message(chat, num(second.json, "id"))), 200);
	ck_assert_int_eq(num(a.json, "thread"), root);
	ck_assert_str_eq(str(a.json, "root.text"), "root");
	ck_assert_uint_eq(count(a.json, "messages"), 3);
	ck_assert_str_eq(str(a.json, "messages.0.text"), "1");
	ck_assert_str_eq(str(a.json, "messages.1.reply.text"), "1");
	a = is(get(carol, "%s/thread?limit=3&cursor=%s", message(chat, root), str(a.json, "next")), 200);
	ck_assert_uint_eq(count(a.json, "messages"), 1);
	ck_assert_str_eq(str(a.json, "messages.0.text"), "4");
	ck_assert(!has(a.json, "next"));

	is(del(bob, "%s", message(chat, num(first.json, "id"))), 204);
	ck_assert_int_eq(num(is(get(carol, "%s", message(chat, root)), 200).json, "replies"), 3);
	is(del(alice, "%s", message(chat, root)), 204);
	refused(get(carol, "%s/thread", message(chat, root)), 410, "gone");
	a = is(get(carol, "%s/thread", message(chat, num(second.json, "id"))), 200);
	ck_assert(!has(a.json, "root"));
	ck_assert_uint_eq(count(a.json, "messages"), 3);
	ck_assert_int_eq(num(reply(bob, chat, num(second.json, "id"), "5").json, "thread"), root);
}
END_TEST

START_TEST(threads_are_listed_with_what_is_unread)
{
	struct client *alice = user("alice"), *bob = user("bob"), *mallory = user("mallory");
	long long chat = group(alice, bob), one = say(alice, chat, "one"), two = say(alice, chat, "two");
	char *path = format("/v1/chats/%lld/threads", chat);
	ck_assert_uint_eq(count(is(get(bob, "%s", path), 200).json, "threads"), 0);
	reply(alice, chat, two, "2a");
	long long middle = num(reply(alice, chat, one, "1a").json, "id"),
		  last = num(reply(alice, chat, one, "1b").json, "id");
	struct answer a = is(get(bob, "%s?limit=1", path), 200);
	ck_assert_uint_eq(count(a.json, "threads"), 1);
	ck_assert_int_eq(num(a.json, "threads.0.root.id"), one);
	ck_assert_int_eq(num(a.json, "threads.0.root.replies"), 2);
	ck_assert_int_eq(num(a.json, "threads.0.unread"), 2);
	ck_assert_int_eq(num(a.json, "threads.0.last_reply"), last);
	a = is(get(bob, "%s?limit=1&cursor=%s", path, str(a.json, "next")), 200);
	ck_assert_int_eq(num(a.json, "threads.0.root.id"), two);
	ck_assert(!has(a.json, "next"));
	ck_assert_int_eq(num(is(get(alice, "%s", path), 200).json, "threads.0.unread"), 0); /* one's own don't count */

	is(post(bob, to("%s/thread/read", message(chat, one)), "{'up_to':%lld}", middle), 204);
	ck_assert_int_eq(num(is(get(bob, "%s", path), 200).json, "threads.0.unread"), 1);
	is(post(bob, to("%s/thread/read", message(chat, last)), "{'up_to':%lld}", last), 204);
	is(post(bob, to("%s/thread/read", message(chat, one)), "{'up_to':%lld}", middle), 204); /* never goes back */
	ck_assert_int_eq(num(is(get(bob, "%s/thread", message(chat, one)), 200).json, "unread"), 0);
	ck_assert_int_eq(num(is(get(bob, "%s", path), 200).json, "threads.1.unread"), 1);
	is(post(bob, to("/v1/chats/%lld/read", chat), "{'up_to':%lld}", last),
		204); /* what is read in the chat is read */
	ck_assert_int_eq(num(is(get(bob, "%s", path), 200).json, "threads.1.unread"), 0);

	refused(get(mallory, "%s", path), 404, "not_found");
	refused(get(mallory, "%s/thread", message(chat, one)), 404, "not_found");
	refused(post(mallory, to("%s/thread/read", message(chat, one)), "{'up_to':1}"), 404, "not_found");
	refused(post(bob, to("%s/thread/read", message(chat, one)), "{'up_to':-1}"), 422, "out_of_range");
}
END_TEST

/* ---- mentions ---- */

static size_t mentions_of(const struct client *who)
{
	return count(is(get(who, "/v1/mentions"), 200).json, "mentions");
}

START_TEST(a_thread_outlives_its_first_message)
{
	struct client *ann = somebody(), *ben = somebody(), *cat = somebody(), *eve = somebody();
	long long chat = group(ann, ben, cat), root = say(ann, chat, "1"), other = say(ann, chat, "2");
	char *path = format("/v1/chats/%lld/threads", chat), *cursor;
	long long middle = num(reply(ben, chat, root, "1a").json, "id");
	reply(ben, chat, other, "2a");
	long long last = num(reply(ben, chat, middle, "1b").json, "id");
	is(post(cat, to("%s/thread/read", message(chat, root)), "{'up_to':%lld}", middle), 204);
	is(patch(ann, format("/v1/chats/%lld", chat), "{'history':'joined'}"), 200);
	is(put(ann, member(chat, eve), "{}"), 200);
	is(del(ann, "%s", message(chat, root)), 204);
	struct answer a = is(get(cat, "%s?limit=1", path), 200);
	ck_assert_int_eq(num(a.json, "threads.0.thread"), root);
	ck_assert(yes(a.json, "threads.0.deleted") && !has(a.json, "threads.0.root"));
	ck_assert_int_eq(num(a.json, "threads.0.last_reply"), last);
	ck_assert_int_eq(num(a.json, "threads.0.unread"), 1); /* the mark stays too */
	cursor = format("%s", str(a.json, "next"));
	a = is(get(cat, "%s?limit=1&cursor=%s", path, cursor), 200);
	ck_assert_int_eq(num(a.json, "threads.0.thread"), other);
	ck_assert_int_eq(num(a.json, "threads.0.root.id"), other);
	ck_assert(!has(a.json, "threads.0.deleted") && !has(a.json, "next"));
	a = is(get(cat, "%s/thread", message(chat, last)), 200);
	ck_assert(yes(a.json, "deleted"));
	ck_assert_int_eq(num(a.json, "unread"), 1);
	ck_assert_uint_eq(count(is(get(eve, "%s", path), 200).json, "threads"), 0);

	is(del(ben, "%s", message(chat, last)), 204);
	ck_assert_int_eq(num(is(get(cat, "%s", path), 200).json, "threads.1.last_reply"), middle);
	is(del(ben, "%s", message(chat, middle)), 204);
	ck_assert_uint_eq(count(is(get(cat, "%s", path), 200).json, "threads"), 1);
	PGconn *db = database(house());
	ck_assert_str_eq(sql(db, "select count(*) from postern.thread_rootless where chat_id = %lld", chat), "0");
	ck_assert_str_eq(sql(db, "select count(*) from postern.thread_mark where chat_id = %lld", chat), "0");
}
END_TEST

START_TEST(who_is_mentioned_is_told)
{
	struct client *ann = somebody(), *ben = somebody(), *cay = somebody(), *mallory = somebody();
	long long chat = group(ann, ben, cay);
	struct stream *s = live(ben);
	struct answer a =
		is(post(ann, messages(chat), "{'text':'Hello @%s, and @%s.'}", ben->name, mallory->name), 201);
	ck_assert_uint_eq(count(a.json, "mentions"), 1);
	ck_assert_str_eq(str(a.json, "mentions.0"), ben->name);
	ck_assert_str_eq(str(expect(s, "message"), "mentions.0"), ben->name);
	struct answer inbox = is(get(ben, "/v1/mentions"), 200);
	ck_assert_uint_eq(count(inbox.json, "mentions"), 1);
	ck_assert_int_eq(num(inbox.json, "mentions.0.id"), num(a.json, "id"));
	ck_assert_uint_eq(mentions_of(mallory) + mentions_of(cay) + mentions_of(ann), 0);

	const char *const plain[] = { "mail@%s", "nobody", "@", "x.@%s", "@@%s" };
	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
		const char *name = strchr(plain[i], '%') != NULL ? ben->name : "";
		char *text = format("%.*s%s", (int)strcspn(plain[i], "%"), plain[i], name);
		ck_assert_msg(!has(is(post(ann, messages(chat), "{'text':'%s'}", text), 201).json, "mentions"),
			"%s mentions him", text);
	}
	char *many = format("{\"text\":\"(@%s)\"}\n{\"text\":\"none\"}\n{\"text\":\"@%s... @%s, @%s\"}\n", ben->name,
		cay->name, ben->name, ben->name);
	a = is(post_as(ann, messages(chat), "application/x-ndjson", many), 200);
	ck_assert_uint_eq(mentions_of(ben), 3);
	ck_assert_uint_eq(mentions_of(cay), 1);
	inbox = is(get(ben, "/v1/mentions?limit=2"), 200);
	ck_assert_uint_eq(count(inbox.json, "mentions"), 2);
	ck_assert_int_gt(num(inbox.json, "mentions.0.id"), num(inbox.json, "mentions.1.id"));
	inbox = is(get(ben, "/v1/mentions?limit=2&cursor=%s", str(inbox.json, "next")), 200);
	ck_assert_uint_eq(count(inbox.json, "mentions"), 1);
	ck_assert(!has(inbox.json, "next"));
}
END_TEST

START_TEST(all_is_for_those_who_lead)
{
	struct client *ann = somebody(), *ben = somebody(), *cay = somebody();
	long long chat = group(ann, ben);
	ck_assert(!has(is(post(ben, messages(chat), "{'text':'@all'}"), 201).json, "mentions"));
	struct answer a = is(post(ann, messages(chat), "{'text':'@all: lunch'}"), 201);
	ck_assert_str_eq(str(a.json, "mentions.0"), "@all");
	is(put(ann, member(chat, cay), "{}"), 200);
	ck_assert_uint_eq(mentions_of(ben), 1);
	ck_assert_uint_eq(mentions_of(ann), 0);
	ck_assert_uint_eq(mentions_of(cay), 0); /* wasn't there */
	is(put(ann, member(chat, ben), "{'role':'admin'}"), 200);
	is(post(ben, messages(chat), "{'text':'@all'}"), 201);
	ck_assert_uint_eq(mentions_of(ann), 1);
	ck_assert_uint_eq(mentions_of(cay), 1);
}
END_TEST

START_TEST(a_mention_goes_with_what_it_stands_in)
{
	struct client *ann = somebody(), *ben = somebody(), *cay = somebody();
	long long chat = group(ann, ben, cay), id = say(ann, chat, format("@%s", ben->name));
	ck_assert_uint_eq(mentions_of(ben), 1);
	struct answer a = is(patch(ann, message(chat, id), "{'text':'@%s'}", cay->name), 200);
	ck_assert_str_eq(str(a.json, "mentions.0"), cay->name);
	ck_assert_uint_eq(mentions_of(ben), 0);
	ck_assert_uint_eq(mentions_of(cay), 1);
	is(patch(ann, message(chat, id), "{'text':'nobody'}"), 200);
	ck_assert_uint_eq(mentions_of(cay), 0);
	long long again = say(ann, chat, format("@%s", cay->name));
	ck_assert_uint_eq(mentions_of(cay), 1);
	is(del(ann, "%s", member(chat, cay)), 204); /* who is outside reads nothing */
	ck_assert_uint_eq(mentions_of(cay), 0);
	is(put(ann, member(chat, cay), "{}"), 200);
	ck_assert_uint_eq(mentions_of(cay), 1);
	is(del(ann, "%s", message(chat, again)), 204);
	ck_assert_uint_eq(mentions_of(cay), 0);
	refused(get(nobody(), "/v1/mentions"), 401, "unauthorized");
}
END_TEST

/* ---- pins ---- */

START_TEST(unread_mentions_are_counted)
{
	struct client *ann = somebody(), *ben = somebody(), *cay = somebody();
	long long chat = group(ann, ben, cay);
	char *path = format("/v1/chats/%lld", chat);
	ck_assert(!has(is(get(ben, "%s", path), 200).json, "unread_mentions"));
	say(cay, chat, "nobody");
	long long first = say(cay, chat, format("@%s", ben->name));
	say(ann, chat, format("@all and @%s too", ben->name)); /* one message */
	say(ben, chat, format("@%s", cay->name));
	ck_assert_int_eq(num(is(get(ben, "%s", path), 200).json, "unread_mentions"), 2);
	ck_assert_int_eq(num(is(get(cay, "%s", path), 200).json, "unread_mentions"), 2);
	ck_assert(!has(is(get(ann, "%s", path), 200).json, "unread_mentions")); /* what one says oneself isn't unread */
	is(post(ben, to("%s/read", path), "{'up_to':%lld}", first), 204);
	ck_assert_int_eq(num(is(get(ben, "/v1/sync"), 200).json, "chats.0.unread_mentions"), 1);
	is(post(ben, to("%s/read", path), "{'up_to':%lld}", first + 1), 204);
	ck_assert(!has(is(get(ben, "/v1/chats"), 200).json, "chats.0.unread_mentions"));
}
END_TEST

/* A text of nothing but @ doesn't hold up everybody else's. */
START_TEST(only_so_many_mentions_are_looked_for)
{
	struct client *ann = somebody(), *ben = somebody();
	long long chat = group(ann, ben);
	char *much = later(free, calloc(1, 200 * 5 + 64));
	for (size_t i = 0; i < 199; i++)
		strcat(much, "a@b, ");
	ck_assert_uint_eq(
		count(is(post(ann, messages(chat), "{'text':'%s@%s'}", much, ben->name), 201).json, "mentions"), 1);
	strcat(much, "a@b, ");
	ck_assert(!has(is(post(ann, messages(chat), "{'text':'%s@%s'}", much, ben->name), 201).json, "mentions"));
	ck_assert_uint_eq(mentions_of(ben), 1);
}
END_TEST

START_TEST(what_is_pinned_is_listed)
{
	struct client *alice = user("alice"), *bob = user("bob"), *mallory = user("mallory");
	long long chat = group(alice, bob), one = say(bob, chat, "1"), two = say(bob, chat, "2");
	struct stream *s = live(bob);
	refused(put(bob, to("%s/pin", message(chat, one)), NULL), 403, "forbidden");
	refused(put(mallory, to("%s/pin", message(chat, one)), NULL), 404, "not_found");
	struct answer a = is(put(alice, to("%s/pin", message(chat, one)), NULL), 200);
	ck_assert_str_eq(str(a.json, "pinned.by"), "alice");
	ck_assert(!has(a.json, "edited_at"));
	struct json_object *m = expect_message(s, one);
	ck_assert_str_eq(str(m, "pinned.by"), "alice");
	ck_assert_int_eq(num(m, "rev"), num(a.json, "rev"));
	is(put(alice, to("%s/pin", message(chat, one)), NULL), 200);
	is(put(alice, to("%s/pin", message(chat, two)), NULL), 200);
	expect_message(s, two);
	struct answer list = is(get(bob, "/v1/chats/%lld/pins?limit=1", chat), 200);
	ck_assert_int_eq(num(list.json, "messages.0.id"), two);
	list = is(get(bob, "/v1/chats/%lld/pins?cursor=%s", chat, str(list.json, "next")), 200);
	ck_assert_uint_eq(count(list.json, "messages"), 1);
	ck_assert_int_eq(num(list.json, "messages.0.id"), one);
	refused(get(mallory, "/v1/chats/%lld/pins", chat), 404, "not_found");

	refused(del(bob, "%s/pin", message(chat, one)), 403, "forbidden");
	is(del(alice, "%s/pin", message(chat, one)), 204);
	ck_assert(!has(expect_message(s, one), "pinned"));
	is(del(alice, "%s/pin", message(chat, one)), 204);
	expect_quiet(s);
	is(del(bob, "%s", message(chat, two)), 204);
	ck_assert_uint_eq(count(is(get(bob, "/v1/chats/%lld/pins", chat), 200).json, "messages"), 0);
	refused(put(alice, to("%s/pin", message(chat, two)), NULL), 410, "gone");
}
END_TEST

START_TEST(who_pinned_what_is_on_record)
{
	struct client *ann = somebody();
	long long chat = group(ann), id = say(ann, chat, "hi");
	is(put(ann, to("%s/pin", message(chat, id)), NULL), 200);
	is(put(ann, to("%s/pin", message(chat, id)), NULL), 200); /* again: no act */
	is(del(ann, "%s/pin", message(chat, id)), 204);
	struct answer a = is(get(ann, "/v1/chats/%lld/audit", chat), 200);
	ck_assert_uint_eq(count(a.json, "acts"), 2);
	ck_assert_str_eq(str(a.json, "acts.0.act"), "message_unpinned");
	ck_assert_str_eq(str(a.json, "acts.1.act"), "message_pinned");
	ck_assert_int_eq(num(a.json, "acts.1.details.id"), id);
}
END_TEST

START_TEST(both_pin_in_a_direct_chat)
{
	struct client *ann = somebody(), *ben = somebody();
	struct answer a = is(post(ann, to("/v1/chats/@%s/messages", ben->name), "{'text':'hi'}"), 201);
	is(put(ben, to("/v1/chats/@%s/messages/%lld/pin", ann->name, num(a.json, "id")), NULL), 200);
	ck_assert_uint_eq(count(is(get(ann, "/v1/chats/@%s/pins", ben->name), 200).json, "messages"), 1);
}
END_TEST

/* ---- forwards ---- */

START_TEST(what_is_forwarded_says_who_wrote_it)
{
	struct client *alice = user("alice"), *bob = user("bob"), *carol = user("carol");
	long long from = group(alice, bob), dest = group(bob, carol), id = say(alice, from, "news");
	struct stream *s = live(carol);
	struct answer a =
		is(post(bob, messages(dest), "{'forward':{'chat':%lld,'id':%lld},'key':'f1'}", from, id), 201);
	ck_assert_str_eq(str(a.json, "text"), "news");
	ck_assert_str_eq(str(a.json, "from"), "bob");
	ck_assert_str_eq(str(a.json, "forwarded.from"), "alice");
	ck_assert_ptr_null(strstr(a.body, format("\"chat\":%lld", from)));
	ck_assert_str_eq(str(expect_message(s, num(a.json, "id")), "forwarded.from"), "alice");
	struct answer again =
		is(post(bob, messages(dest), "{'forward':{'chat':%lld,'id':%lld}}", dest, num(a.json, "id")), 201);
	ck_assert_str_eq(str(again.json, "forwarded.from"), "alice"); /* who wrote it, not who passed it on */
	ck_assert_str_eq(str(again.json, "forwarded.at"), str(a.json, "forwarded.at"));
	a = is(post(alice, messages(from), "{'type':'vote','content':{'a':[1,2]}}"), 201);
	a = is(post(bob, messages(dest), "{'forward':{'chat':%lld,'id':%lld}}", from, num(a.json, "id")), 201);
	ck_assert_str_eq(str(a.json, "type"), "vote");
	ck_assert_uint_eq(count(a.json, "content.a"), 2);
	refused(patch(bob, message(dest, num(again.json, "id")), "{'text':'never said'}"), 403, "forbidden");

	/* It happens once, also when what was forwarded is gone by now. */
	is(del(alice, "%s", message(from, id)), 204);
	long long first =
		num(is(post(bob, messages(dest), "{'forward':{'chat':%lld,'id':%lld},'key':'f1'}", from, id), 201).json,
			"id");
	ck_assert_str_eq(str(is(get(carol, "%s", message(dest, first)), 200).json, "text"), "news");
	refused(post(bob, messages(dest), "{'forward':{'chat':%lld,'id':%lld},'key':'f1'}", from, id + 1), 409,
		"key_conflict");
}
END_TEST

START_TEST(one_forwards_what_one_may_read)
{
	struct client *alice = user("alice"), *bob = user("bob"), *dave = user("dave");
	struct answer made =
		is(post(alice, "/v1/chats", "{'kind':'group','title':'x','members':['bob'],'history':'joined'}"), 201);
	long long secret = num(made.json, "id"), id = say(alice, secret, "secret"), gone = say(alice, secret, "gone"),
		  mine = group(dave, bob);
	is(del(alice, "%s", message(secret, gone)), 204);
	struct client *same = with(dave, "X-Request-Id: same");
	struct answer absent =
		refused(post(same, messages(mine), "{'forward':{'chat':%lld,'id':%lld}}", 987654321LL, 1LL), 422,
			"unknown_forward");
	ck_assert_str_eq(refused(post(same, messages(mine), "{'forward':{'chat':%lld,'id':%lld}}", secret, id), 422,
				 "unknown_forward")
				 .body,
		absent.body);
	ck_assert_str_eq(refused(post(same, messages(mine), "{'forward':{'chat':%lld,'id':%lld}}", secret, gone), 422,
				 "unknown_forward")
				 .body,
		absent.body);
	is(put(alice, member(secret, dave), "{}"), 200); /* joins later */
	refused(post(dave, messages(mine), "{'forward':{'chat':%lld,'id':%lld}}", secret, id), 422, "unknown_forward");
	is(post(bob, messages(mine), "{'forward':{'chat':%lld,'id':%lld}}", secret, id), 201);
	is(del(alice, "%s", member(secret, bob)), 204);
	refused(post(bob, messages(mine), "{'forward':{'chat':%lld,'id':%lld}}", secret, id), 422, "unknown_forward");
	refused(post(dave, messages(group(alice)), "{'forward':{'chat':%lld,'id':%lld}}", mine, 1LL), 404, "not_found");
	refused(post(bob, messages(mine), "{'forward':{'chat':1}}"), 422, "missing_field");
	refused(post(bob, messages(mine), "{'forward':7}"), 422, "wrong_type");
	refused(post(bob, messages(mine), "{'forward':{'chat':1,'id':1,'x':1}}"), 422, "unknown_field");
	refused(post(bob, messages(mine), "{'forward':{'chat':1,'id':1},'text':'x'}"), 422, "unknown_field");
}
END_TEST

/* ---- versions, reports ---- */

START_TEST(what_was_edited_is_kept)
{
	struct client *alice = user("alice"), *bob = user("bob");
	long long chat = group(alice, bob), id = say(alice, chat, "frist");
	char *path = format("%s/edits", message(chat, id));
	ck_assert_uint_eq(count(is(get(bob, "%s", path), 200).json, "edits"), 1);
	is(patch(alice, message(chat, id), "{'text':'first'}"), 200);
	const char *when = str(is(patch(alice, message(chat, id), "{'text':'First!'}"), 200).json, "edited_at");
	struct answer a = is(get(bob, "%s", path), 200);
	ck_assert_uint_eq(count(a.json, "edits"), 3);
	ck_assert_str_eq(str(a.json, "edits.0.text"), "frist");
	ck_assert_str_eq(str(a.json, "edits.1.text"), "first");
	ck_assert_str_eq(str(a.json, "edits.2.text"), "First!");
	ck_assert_str_eq(str(a.json, "edits.2.at"), when);
	refused(get(user("mallory"), "%s", path), 404, "not_found");
	is(del(alice, "%s", message(chat, id)), 204);
	refused(get(bob, "%s", path), 410, "gone");
	PGconn *pg = database(house());
	ck_assert_str_eq(sql(pg, "select count(*) from postern.message_version where id = %lld", id), "0");
}
END_TEST

START_TEST(only_so_many_versions_are_kept)
{
	struct client *alice = user("alice");
	long long chat = group(alice), id = say(alice, chat, "0");
	for (int i = 1; i <= 110; i++)
		is(patch(alice, message(chat, id), "{'text':'%d'}", i), 200);
	struct answer a = is(get(alice, "%s/edits", message(chat, id)), 200);
	ck_assert_uint_eq(count(a.json, "edits"), 101);
	ck_assert_str_eq(str(a.json, "edits.0.text"), "0");
	ck_assert_str_eq(str(a.json, "edits.1.text"), "11");
	ck_assert_str_eq(str(a.json, "edits.100.text"), "110");
}
END_TEST

START_TEST(reports_come_before_the_administrators)
{
	struct client *alice = user("alice"), *bob = user("bob"), *root = somebody();
	sql(database(house()), "update postern.account set admin = true where name = '%s'", root->name);
	long long chat = group(alice, bob), id = say(bob, chat, "abuse");
	char *path = format("%s/report", message(chat, id));
	is(post(alice, path, "{'reason':'spam'}"), 204);
	is(post(alice, path, "{'reason':'worse'}"), 204);
	is(post(bob, path, NULL), 204);
	refused(post(user("mallory"), path, "{}"), 404, "not_found");
	refused(post(alice, path, "{'reason':5}"), 422, "wrong_type");
	is(del(bob, "%s", message(chat, id)), 204);
	refused(post(alice, path, "{}"), 410, "gone");
	refused(get(alice, "/v1/admin/reports"), 403, "forbidden");
	struct answer a = is(get(root, "/v1/admin/reports?limit=1"), 200);
	ck_assert_str_eq(str(a.json, "reports.0.reporter"), "bob");
	a = is(get(root, "/v1/admin/reports?limit=1&cursor=%s", str(a.json, "next")), 200);
	ck_assert_str_eq(str(a.json, "reports.0.reporter"), "alice");
	ck_assert_str_eq(str(a.json, "reports.0.reason"), "worse");
	ck_assert_str_eq(str(a.json, "reports.0.message.text"), "abuse");
	ck_assert_str_eq(str(a.json, "reports.0.message.from"), "bob");
}
END_TEST

/* ---- messages that run out ---- */

START_TEST(messages_run_out)
{
	struct client *alice = user("alice"), *bob = user("bob");
	long long chat = group(alice, bob), kept = say(alice, chat, "kept");
	char *path = format("/v1/chats/%lld", chat);
	refused(patch(bob, path, "{'message_ttl':60}"), 403, "forbidden");
	refused(patch(alice, path, "{'message_ttl':-1}"), 422, "out_of_range");
	refused(patch(alice, path, "{'message_ttl':31536001}"), 422, "out_of_range");
	struct stream *s = live(bob);
	ck_assert_int_eq(num(is(patch(alice, path, "{'message_ttl':1}"), 200).json, "message_ttl"), 1);
	ck_assert_int_eq(num(expect(s, "chat"), "message_ttl"), 1);
	struct answer a = is(post(alice, messages(chat), "{'text':'secret @bob','reply_to':%lld}", kept), 201);
	long long id = num(a.json, "id");
	ck_assert_uint_eq(strlen(str(a.json, "expires_at")), 24);
	expect_message(s, id);
	is(put(bob, to("%s/reactions/%%F0%%9F%%91%%8D", message(chat, id)), NULL), 200);
	if (strcmp(peek(s), "reaction") == 0)
		expect(s, "reaction");
	struct json_object *d = expect(s, "deleted");
	ck_assert_int_eq(num(d, "id"), id);
	ck_assert_int_eq(num(d, "chat"), chat);
	refused(get(bob, "%s", message(chat, id)), 410, "gone");
	a = is(get(bob, "%s", messages(chat)), 200);
	ck_assert_uint_eq(count(a.json, "messages"), 1);
	ck_assert(!has(a.json, "messages.0.replies"));
	PGconn *pg = database(house());
	ck_assert_str_eq(sql(pg, "select count(*) from postern.message where id = %lld", id), "0");
	ck_assert_str_eq(sql(pg, "select count(*) from postern.mention where id = %lld", id), "0");
	ck_assert_str_eq(sql(pg, "select count(*) from postern.reaction where message_id = %lld", id), "0");

	is(post_as(alice, messages(chat), "application/x-ndjson",
		   "{\"text\":\"one\"}\n{\"text\":\"two\"}\n{\"text\":\"three\"}\n"),
		200);
	for (int i = 0; i < 3; i++)
		expect(s, "message");
	for (int i = 0; i < 3; i++)
		expect(s, "deleted");
	ck_assert(!has(is(patch(alice, path, "{'message_ttl':0}"), 200).json, "message_ttl"));
	ck_assert(!has(is(post(alice, messages(chat), "{'text':'stays'}"), 201).json, "expires_at"));
}
END_TEST

START_TEST(both_may_say_how_long_messages_stay_in_a_direct_chat)
{
	struct client *ann = somebody(), *ben = somebody();
	is(post(ann, to("/v1/chats/@%s/messages", ben->name), "{'text':'hi'}"), 201);
	ck_assert_int_eq(
		num(is(patch(ben, to("/v1/chats/@%s", ann->name), "{'message_ttl':3600}"), 200).json, "message_ttl"),
		3600);
	ck_assert_int_eq(num(is(get(ann, "/v1/chats/@%s", ben->name), 200).json, "message_ttl"), 3600);
	refused(patch(ben, to("/v1/chats/@%s", ann->name), "{'message_ttl':3600,'title':'x'}"), 403, "forbidden");
	refused(patch(ben, to("/v1/chats/@%s", ann->name), "{}"), 403, "forbidden");
}
END_TEST

/* ---- who may not ---- */

START_TEST(absent_hidden_and_former_look_the_same)
{
	struct client *alice = user("alice"), *bob = user("bob"), *mallory = user("mallory");
	long long chat = group(alice, bob), id = say(alice, chat, "hi @bob"), gone = say(alice, chat, "gone");
	reply(alice, chat, id, "more");
	is(put(alice, to("%s/pin", message(chat, id)), NULL), 200);
	is(del(alice, "%s", message(chat, gone)), 204);
	is(del(alice, "%s", member(chat, bob)), 204);
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
				struct answer a =
					refused(ask(with(who ? bob : mallory, "X-Request-Id: same"), asked[i].method,
							path, asked[i].body ? "application/json" : NULL, asked[i].body,
							asked[i].body ? strlen(asked[i].body) : 0),
						404, "not_found");
				ck_assert_msg(before == NULL || strcmp(before, a.body) == 0, "%s %s: %s, not %s",
					asked[i].method, path, a.body, before);
				before = a.body;
			}
		}
	ck_assert_uint_eq(count(is(get(bob, "/v1/mentions?limit=200"), 200).json, "mentions"), 0);
}
END_TEST

/* ---- what upkeep removes ---- */

START_TEST(what_was_taken_back_is_forgotten_behind_the_horizon)
{
	struct client *alice = user("alice"), *bob = user("bob");
	long long chat = group(alice, bob), id = say(alice, chat, "hi");
	char *thumb = format("%s/reactions/%%F0%%9F%%91%%8D", message(chat, id));
	is(put(alice, thumb, NULL), 200);
	is(put(bob, thumb, NULL), 200);
	is(del(bob, "%s", thumb), 204);
	PGconn *pg = database(house());
	sql(pg, "select set_config('search_path', (select functions from postern.node limit 1) || ',postern', false)");
	sql(pg, "select messages_upkeep(%lld, 1000)", id);
	ck_assert_str_eq(sql(pg, "select count(*) from reaction where chat_id = %lld", chat), "2");
	sql(pg, "select messages_upkeep(log_head(), 1000)");
	ck_assert_str_eq(sql(pg, "select string_agg(name, ' ') from reaction where chat_id = %lld", chat), "alice");
	is(patch(alice, message(chat, id), "{'text':'@bob'}"), 200);
	is(del(alice, "/v1/chats/%lld", chat), 204);
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
		a_reply_shows_what_it_replies_to,
		a_preview_is_short_and_shows_only_what_one_may_read,
		replies_make_a_thread,
		threads_are_listed_with_what_is_unread,
		a_thread_outlives_its_first_message,
		who_is_mentioned_is_told,
		all_is_for_those_who_lead,
		a_mention_goes_with_what_it_stands_in,
		unread_mentions_are_counted,
		only_so_many_mentions_are_looked_for,
		what_is_pinned_is_listed,
		who_pinned_what_is_on_record,
		both_pin_in_a_direct_chat,
		what_is_forwarded_says_who_wrote_it,
		one_forwards_what_one_may_read,
		what_was_edited_is_kept,
		only_so_many_versions_are_kept,
		reports_come_before_the_administrators,
		messages_run_out,
		both_may_say_how_long_messages_stay_in_a_direct_chat,
		absent_hidden_and_former_look_the_same,
		what_was_taken_back_is_forgotten_behind_the_horizon,
		NULL,
	};
	return suite_run("threads", tests, NULL);
}
