/* SPDX-License-Identifier: MIT
 * Messages over REST: sending in every form, keys, edits, deletes, history, and all that is refused. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/client.h"
#include "../lib/stream.h"
#include "../lib/suite.h"

static char *repeat(char c, size_t n)
{
	char *text = later(free, malloc(n + 1));
	memset(text, c, n);
	text[n] = '\0';
	return text;
}

START_TEST(what_is_sent_can_be_read)
{
	struct client *alice = user("alice"), *bob = user("bob");
	long long chat = group(alice, bob);
	struct answer sent = is(post(alice, messages(chat), "{'text':'hi'}"), 201);
	ck_assert_int_eq(num(sent.json, "chat"), chat);
	ck_assert_str_eq(str(sent.json, "from"), "alice");
	ck_assert_str_eq(str(sent.json, "text"), "hi");
	ck_assert_int_eq(num(sent.json, "rev"), num(sent.json, "id"));
	ck_assert(has(sent.json, "key"));
	ck_assert(!has(sent.json, "type") && !has(sent.json, "edited_at") && !has(sent.json, "reply_to"));
	const char *when = str(sent.json, "at");
	ck_assert_msg(strlen(when) == 24 && when[10] == 'T' && when[19] == '.' && when[23] == 'Z', "%s", when);

	struct answer read = is(get(bob, "%s", message(chat, num(sent.json, "id"))), 200);
	ck_assert_str_eq(str(read.json, "text"), "hi");
	ck_assert_str_eq(str(read.json, "at"), when);
	ck_assert_msg(!has(read.json, "key"), "a key is its sender's: %s", read.body);
}
END_TEST

START_TEST(any_type_but_json_is_the_text_itself)
{
	struct client *alice = user("alice");
	long long chat = group(alice);
	const char *const types[] = { "text/plain", "text/plain; charset=utf-8", "application/x-www-form-urlencoded",
		"application/octet-stream", NULL };
	const char *text = "{\"text\":\"not JSON here\"} a=1&b=%20+\nsecond line";
	for (size_t i = 0; types[i] != NULL; i++) {
		struct answer sent = is(post_as(alice, messages(chat), types[i], text), 201);
		ck_assert_str_eq(str(sent.json, "text"), text);
	}
	struct answer sent =
		is(post_as(alice, messages(chat), "application/json; charset=utf-8", "{\"text\":\"JSON\"}"), 201);
	ck_assert_str_eq(str(sent.json, "text"), "JSON");
}
END_TEST

START_TEST(every_character_comes_through)
{
	struct client *alice = user("alice"), *bob = user("bob");
	long long chat = group(alice, bob);
	struct stream *s = live(bob);
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
		struct answer as_json =
			is(post_as(alice, messages(chat), "application/json", json_object_to_json_string(body)), 201);
		json_object_put(body);
		struct answer as_text = is(post_as(alice, messages(chat), "text/plain", texts[i]), 201);
		ck_assert_str_eq(str(as_json.json, "text"), texts[i]);
		ck_assert_str_eq(str(as_text.json, "text"), texts[i]);
		ck_assert_str_eq(str(expect_message(s, num(as_json.json, "id")), "text"), texts[i]);
		ck_assert_str_eq(str(expect_message(s, num(as_text.json, "id")), "text"), texts[i]);
		ck_assert_str_eq(
			str(is(get(bob, "%s", message(chat, num(as_json.json, "id"))), 200).json, "text"), texts[i]);
	}
	/* The same character, escaped as JSON may. */
	struct answer a =
		is(post_as(alice, messages(chat), "application/json", "{\"text\":\"\\ud83d\\ude80 \\u00e9\\/\"}"), 201);
	ck_assert_str_eq(str(a.json, "text"), "\xf0\x9f\x9a\x80 \xc3\xa9/");
}
END_TEST

START_TEST(ids_ascend_and_time_never_runs_back)
{
	struct client *alice = user("alice"), *bob = user("bob");
	long long chat = group(alice, bob), last = 0;
	char when[32] = "";
	for (int i = 0; i < 20; i++) {
		struct answer a = is(post(i % 2 ? alice : bob, messages(chat), "{'text':'%d'}", i), 201);
		ck_assert_int_gt(num(a.json, "id"), last);
		ck_assert_str_ge(str(a.json, "at"), when);
		last = num(a.json, "id");
		snprintf(when, sizeof(when), "%s", str(a.json, "at"));
	}
}
END_TEST

/* The line of an answer in NDJSON. */
static struct json_object *line_of(struct answer a, int n)
{
	const char *line = a.body;
	while (n-- > 0 && (line = strchr(line, '\n')) != NULL)
		line++;
	ck_assert_msg(line != NULL, "there is no such line: %s", a.body);
	struct json_object *json = look_parse(line, strcspn(line, "\n"));
	ck_assert_msg(json != NULL, "a line is no JSON: %s", line);
	later((void (*)(void *))(uintptr_t)json_object_put, json);
	return json;
}

static size_t lines(const char *text)
{
	size_t n = 0;
	for (; (text = strchr(text, '\n')) != NULL; text++)
		n++;
	return n;
}

START_TEST(many_are_sent_at_once)
{
	struct client *alice = user("alice"), *bob = user("bob");
	long long chat = group(alice, bob), last = 0;
	struct stream *s = live(bob);
	char *body = format("{\"text\":\"one\"}\n{\"text\":\"two\"}\n{\"text\":\"\"}\n{\"txt\":\"?\"}\n{broken\n"
			    "{\"text\":\"three\",\"key\":\"k\"}\n"
			    "{\"text\":\"three\",\"key\":\"k\"}\n{\"text\":\"other\",\"key\":\"k\"}\n"
			    "{\"text\":\"four\",\"reply_to\":1}\n{\"text\":\"five\"}");
	struct answer a = is(post_as(alice, messages(chat), "application/x-ndjson", body), 200);
	ck_assert_str_eq(header(a, "Content-Type"), "application/x-ndjson");
	ck_assert_uint_eq(lines(a.body), 10);
	const int expected[] = { 201, 201, 422, 422, 400, 201, 201, 409, 422, 201 };
	for (int i = 0; i < 10; i++)
		ck_assert_msg(num(line_of(a, i), "status") == expected[i], "line %d is %s", i,
			json_object_to_json_string(line_of(a, i)));
	ck_assert_str_eq(str(line_of(a, 2), "code"), "empty_text");
	ck_assert_str_eq(str(line_of(a, 3), "code"), "unknown_field");
	ck_assert_str_eq(str(line_of(a, 4), "code"), "bad_json");
	ck_assert_str_eq(str(line_of(a, 7), "code"), "key_conflict");
	ck_assert_str_eq(str(line_of(a, 8), "code"), "unknown_reply_to");
	ck_assert_int_eq(num(line_of(a, 5), "message.id"), num(line_of(a, 6), "message.id"));

	const char *const texts[] = { "one", "two", "three", "five" };
	for (size_t i = 0; i < 4; i++) {
		struct json_object *m = expect(s, "message");
		ck_assert_str_eq(str(m, "text"), texts[i]);
		ck_assert_int_gt(num(m, "id"), last);
		last = num(m, "id");
	}
	expect_quiet(s);
}
END_TEST

START_TEST(a_media_type_is_one_in_any_case)
{
	struct client *alice = user("alice");
	long long chat = group(alice);
	static const char json[] = "{\"text\":\"hi\"}";
	const char *const types[] = { "Application/JSON", "application/json;charset=UTF-8", "application/json ; x=y" };
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		ck_assert_str_eq(str(is(post_as(alice, messages(chat), types[i], json), 201).json, "text"), "hi");
	ck_assert_str_eq(str(is(post_as(alice, messages(chat), "application/json-seq", json), 201).json, "text"), json);
	ck_assert_int_eq(
		num(line_of(is(post_as(alice, messages(chat), "APPLICATION/X-NDJSON", json), 200), 0), "status"), 201);
}
END_TEST

START_TEST(what_is_all_bad_makes_no_direct_chat)
{
	struct client *ann = somebody(), *ben = somebody();
	char *path = format("/v1/chats/@%s/messages", ben->name);
	ck_assert_int_eq(num(line_of(is(post_as(ann, path, "application/x-ndjson", "{bad\n"), 200), 0), "status"), 400);
	is(post_as(ann, path, "application/x-ndjson", ""), 200);
	refused(post(ann, path, "{'text':''}"), 422, "empty_text");
	refused(get(ann, "/v1/chats/@%s", ben->name), 404, "not_found");
	is(post_as(ann, path, "application/x-ndjson", "{bad\n{\"text\":\"good\"}\n"), 200);
	is(get(ann, "/v1/chats/@%s", ben->name), 200);
}
END_TEST

START_TEST(many_are_refused_one_by_one_to_an_outsider)
{
	long long chat = group(user("alice"));
	struct answer a = post_as(
		user("mallory"), messages(chat), "application/x-ndjson", "{\"text\":\"one\"}\n{\"text\":\"two\"}\n");
	if (a.status == 200) {
		ck_assert_int_eq(num(line_of(a, 0), "status"), 404);
		ck_assert_int_eq(num(line_of(a, 1), "status"), 404);
	} else {
		refused(a, 404, "not_found");
	}
	ck_assert_uint_eq(count(is(get(user("alice"), "%s", messages(chat)), 200).json, "messages"), 0);
}
END_TEST

START_TEST(a_key_sends_once)
{
	struct client *alice = user("alice"), *bob = user("bob");
	long long chat = group(alice, bob), other = group(alice, bob);
	struct stream *s = live(bob);
	struct answer first = is(say_keyed(alice, chat, "k1", "once"), 201);
	ck_assert_str_eq(str(first.json, "key"), "k1");
	struct answer again = is(say_keyed(alice, chat, "k1", "once"), 201);
	ck_assert_int_eq(num(again.json, "id"), num(first.json, "id"));
	ck_assert_str_eq(str(again.json, "at"), str(first.json, "at"));
	refused(say_keyed(alice, chat, "k1", "twice"), 409, "key_conflict");

	expect_message(s, num(first.json, "id"));
	expect_quiet(s);
	/* A key is its sender's, in one chat. */
	ck_assert_int_ne(num(is(say_keyed(bob, chat, "k1", "mine"), 201).json, "id"), num(first.json, "id"));
	ck_assert_int_ne(num(is(say_keyed(alice, other, "k1", "elsewhere"), 201).json, "id"), num(first.json, "id"));

	is(del(alice, "%s", message(chat, num(first.json, "id"))), 204);
	refused(say_keyed(alice, chat, "k1", "once"), 410, "gone");
	refused(say_keyed(alice, chat, "k1", "twice"), 409, "key_conflict");
}
END_TEST

START_TEST(a_key_may_be_a_header)
{
	struct client *alice = user("alice"), *keyed = with(alice, "Idempotency-Key: h-1");
	long long chat = group(alice);
	long long id = num(is(post_as(keyed, messages(chat), "text/plain", "once"), 201).json, "id");
	struct answer again = is(post_as(keyed, messages(chat), "text/plain", "once"), 201);
	ck_assert_int_eq(num(again.json, "id"), id);
	ck_assert_str_eq(str(again.json, "key"), "h-1");
	refused(post_as(keyed, messages(chat), "text/plain", "twice"), 409, "key_conflict");
	ck_assert_int_eq(num(is(say_keyed(alice, chat, "h-1", "once"), 201).json, "id"), id);
	ck_assert_uint_eq(count(is(get(alice, "%s", messages(chat)), 200).json, "messages"), 1);
}
END_TEST

START_TEST(the_key_that_the_server_made_is_a_key)
{
	struct client *alice = user("alice");
	long long chat = group(alice);
	struct answer sent = is(post(alice, messages(chat), "{'text':'hi'}"), 201);
	struct answer again = is(say_keyed(alice, chat, str(sent.json, "key"), "hi"), 201);
	ck_assert_int_eq(num(again.json, "id"), num(sent.json, "id"));
}
END_TEST

START_TEST(a_key_outlives_an_edit)
{
	struct client *alice = user("alice");
	long long chat = group(alice);
	long long id = num(is(say_keyed(alice, chat, "k", "first"), 201).json, "id");
	is(patch(alice, message(chat, id), "{'text':'edited'}"), 200);
	struct answer again = is(say_keyed(alice, chat, "k", "first"), 201);
	ck_assert_int_eq(num(again.json, "id"), id);
	ck_assert_str_eq(str(is(get(alice, "%s", message(chat, id)), 200).json, "text"), "edited");
}
END_TEST

/* What has become of a message isn't for somebody who was shown the door, not of his own either. */
START_TEST(a_key_opens_nothing_to_who_has_gone)
{
	struct client *ann = somebody(), *ben = somebody();
	long long chat = group(ann, ben), id = num(is(say_keyed(ben, chat, "k", "once"), 201).json, "id");
	is(del(ann, "%s", member(chat, ben)), 204);
	is(put(ann, to("%s/pin", message(chat, id)), NULL), 200);
	struct client *who = with(ben, "X-Request-Id: same");
	struct answer unknown = refused(say_keyed(who, chat, "other", "once"), 404, "not_found");
	ck_assert_str_eq(refused(say_keyed(who, chat, "k", "once"), 404, "not_found").body, unknown.body);
	ck_assert_str_eq(refused(say_keyed(who, chat, "k", "twice"), 404, "not_found").body, unknown.body);
	struct answer a = is(post_as(ben, messages(chat), "application/x-ndjson",
				     "{\"text\":\"once\",\"key\":\"k\"}\n{\"text\":\"x\",\"key\":\"l\"}\n"
				     "{\"text\":\"x\",\"key\":\"m\"}\n"),
		200);
	ck_assert_msg(strstr(a.body, "once") == NULL && strncmp(a.body, "{\"status\":404", 13) == 0, "%s", a.body);
	is(put(ann, member(chat, ben), "{}"), 200);
	ck_assert_int_eq(num(is(say_keyed(ben, chat, "k", "once"), 201).json, "id"), id);
}
END_TEST

START_TEST(an_edit_is_for_who_wrote_it_and_saw_the_latest)
{
	struct client *alice = user("alice"), *bob = user("bob");
	long long chat = group(alice, bob), id = say(bob, chat, "frist");
	struct client *fresh = with(bob, "If-Match: \"%lld\"", id);
	struct answer edited = is(patch(fresh, message(chat, id), "{'text':'first'}"), 200);
	ck_assert_int_eq(num(edited.json, "id"), id);
	ck_assert_int_gt(num(edited.json, "rev"), id);
	ck_assert_str_eq(str(edited.json, "text"), "first");
	ck_assert(has(edited.json, "edited_at"));

	refused(patch(fresh, message(chat, id), "{'text':'second'}"), 412, "stale");
	refused(patch(alice, message(chat, id), "{'text':'mine'}"), 403, "forbidden");
	refused(patch(user("mallory"), message(chat, id), "{'text':'mine'}"), 404, "not_found");
	ck_assert_str_eq(str(is(get(alice, "%s", message(chat, id)), 200).json, "text"), "first");
	is(patch(with(bob, "If-Match: \"%lld\"", num(edited.json, "rev")), message(chat, id), "{'text':'second'}"),
		200);
	long long rev = num(is(patch(bob, message(chat, id), "{'text':'whatever it was'}"), 200).json, "rev");
	is(patch(with(bob, "If-Match: \"1\", W/\"%lld\"", rev), message(chat, id), "{'text':'one of them'}"), 200);
	refused(patch(with(bob, "If-Match: \"1\", \"2\", x"), message(chat, id), "{'text':'none of them'}"), 412,
		"stale");
}
END_TEST

/* Else what he wrote before would be a way around it. */
START_TEST(who_may_not_write_edits_nothing)
{
	struct client *ann = somebody(), *ben = somebody();
	long long chat = group(ann, ben), id = say(ben, chat, "first");
	is(put(ann, member(chat, ben), "{'role':'admin'}"), 200);
	is(patch(ann, to("/v1/chats/%lld", chat), "{'posting':'admins','slow_mode':3600}"), 200);
	is(patch(ben, message(chat, id), "{'text':'second'}"), 200);
	is(put(ann, member(chat, ben), "{'role':'member'}"), 200);
	refused(patch(ben, message(chat, id), "{'text':'third'}"), 403, "forbidden");
	is(patch(ann, to("/v1/chats/%lld", chat), "{'posting':'members'}"), 200);
	is(patch(ben, message(chat, id), "{'text':'third'}"), 200); /* slow mode is for new ones */
	is(put(ann, member(chat, ben), "{'muted_until':'2100-01-01T00:00:00Z'}"), 200);
	refused(patch(ben, message(chat, id), "{'text':'fourth'}"), 403, "muted");
	is(del(ben, "%s", message(chat, id)), 204);
}
END_TEST

START_TEST(a_block_stops_what_is_done_to_messages_too)
{
	struct client *ann = somebody(), *eve = somebody();
	struct answer a = is(post(eve, to("/v1/chats/@%s/messages", ann->name), "{'text':'hi'}"), 201);
	long long chat = num(a.json, "chat"), id = num(a.json, "id");
	is(put(eve, to("%s/reactions/%%F0%%9F%%91%%8D", message(chat, id)), NULL), 200);
	is(put(eve, to("%s/pin", message(chat, id)), NULL), 200);
	is(put(ann, to("/v1/blocks/%s", eve->name), NULL), 204);
	struct stream *s = live(ann);
	refused(patch(eve, message(chat, id), "{'text':'abuse'}"), 403, "blocked");
	refused(put(eve, to("%s/reactions/%%F0%%9F%%91%%8E", message(chat, id)), NULL), 403, "blocked");
	refused(del(eve, "%s/pin", message(chat, id)), 403, "blocked");
	refused(put(eve, to("%s/pin", message(chat, id)), NULL), 403, "blocked");
	refused(patch(eve, to("/v1/chats/%lld", chat), "{'message_ttl':5,'system_messages':'all'}"), 403, "blocked");
	expect_quiet(s);
	is(del(eve, "%s/reactions/%%F0%%9F%%91%%8D", message(chat, id)), 204); /* to take back is always possible */
	expect(s, "reaction");
	is(del(eve, "%s", message(chat, id)), 204);
	expect(s, "deleted");
}
END_TEST

START_TEST(an_edit_is_checked_like_a_send)
{
	struct client *alice = user("alice");
	long long chat = group(alice), id = say(alice, chat, "fine");
	char *path = message(chat, id);
	refused(patch(alice, path, "{'text':''}"), 422, "empty_text");
	refused(patch(alice, path, "{}"), 422, "empty_text");
	refused(patch(alice, path, "{'text':5}"), 422, "wrong_type");
	refused(patch(alice, path, "{'text':'x','from':'bob'}"), 422, "unknown_field");
	refused(patch(alice, path, "{'text':'%s'}", repeat('x', 16385)), 413, "text_too_long");
	refused(patch(alice, path, "{'text':"), 400, "bad_json");
	ck_assert_int_eq(num(is(get(alice, "%s", path), 200).json, "rev"), id);
	refused(patch(alice, message(chat, id + 1000000), "{'text':'x'}"), 404, "not_found");
}
END_TEST

START_TEST(a_deleted_message_is_gone)
{
	struct client *alice = user("alice"), *bob = user("bob");
	long long chat = group(alice, bob), id = say(bob, chat, "oops"), kept = say(alice, chat, "kept");
	is(del(bob, "%s", message(chat, id)), 204);
	is(del(bob, "%s", message(chat, id)), 204);
	refused(get(alice, "%s", message(chat, id)), 410, "gone");
	refused(patch(bob, message(chat, id), "{'text':'back'}"), 410, "gone");
	refused(post(bob, messages(chat), "{'text':'re','reply_to':%lld}", id), 422, "unknown_reply_to");
	refused(get(user("mallory"), "%s", message(chat, id)), 404, "not_found");
	refused(del(user("mallory"), "%s", message(chat, id)), 404, "not_found");
	refused(del(bob, "%s", message(chat, kept + 1000000)), 404, "not_found");

	struct answer history = is(get(alice, "%s", messages(chat)), 200);
	ck_assert_uint_eq(count(history.json, "messages"), 1);
	ck_assert_int_eq(num(history.json, "messages.0.id"), kept);
	ck_assert_ptr_null(strstr(history.body, "oops"));
}
END_TEST

START_TEST(owners_and_admins_delete_what_others_wrote)
{
	struct client *alice = user("alice"), *bob = user("bob"), *carol = user("carol");
	long long chat = group(alice, bob, carol), first = say(bob, chat, "1"), second = say(bob, chat, "2"),
		  owners = say(alice, chat, "3");
	refused(del(carol, "%s", message(chat, first)), 403, "forbidden");
	is(del(alice, "%s", message(chat, first)), 204);
	is(put(alice, member(chat, carol), "{'role':'admin'}"), 200);
	is(del(carol, "%s", message(chat, second)), 204);
	refused(del(bob, "%s", message(chat, owners)), 403, "forbidden");
}
END_TEST

START_TEST(replies_point_into_their_chat)
{
	struct client *alice = user("alice"), *bob = user("bob");
	long long chat = group(alice, bob), elsewhere = say(alice, group(alice), "elsewhere"),
		  id = say(alice, chat, "question");
	struct answer reply = is(post(bob, messages(chat), "{'text':'answer','reply_to':%lld}", id), 201);
	ck_assert_int_eq(num(reply.json, "reply_to"), id);
	refused(post(bob, messages(chat), "{'text':'x','reply_to':%lld}", elsewhere), 422, "unknown_reply_to");
	refused(post(bob, messages(chat), "{'text':'x','reply_to':%lld}", id + 1000000), 422, "unknown_reply_to");
}
END_TEST

START_TEST(other_types_have_content)
{
	struct client *alice = user("alice"), *bob = user("bob");
	long long chat = group(alice, bob);
	struct stream *s = live(bob);
	struct answer a = is(post(alice, messages(chat),
				     "{'type':'encrypted','content':{'to':{'bob':'c2VjcmV0'},'n':[1,2.5,null,true]}}"),
		201);
	struct json_object *m = expect_message(s, num(a.json, "id"));
	ck_assert_str_eq(str(m, "type"), "encrypted");
	ck_assert_str_eq(str(m, "content.to.bob"), "c2VjcmV0");
	ck_assert_uint_eq(count(m, "content.n"), 4);
}
END_TEST

/* Sends 1…10 into a new chat of alice's; gives the chat, and their ids from index 1 on. */
static long long ten(long long ids[11])
{
	long long chat = group(user("alice"), user("bob"));
	for (int i = 1; i <= 10; i++)
		ids[i] = say(user("alice"), chat, format("%d", i));
	return chat;
}

/* Asserts that the page holds the texts first … last. */
static void holds(struct answer a, int first, int last)
{
	is(a, 200);
	ck_assert_msg(count(a.json, "messages") == (size_t)(last - first + 1), "not %d to %d: %s", first, last, a.body);
	for (int i = first; i <= last; i++)
		ck_assert_str_eq(str(a.json, format("messages.%d.text", i - first)), format("%d", i));
}

START_TEST(history_is_read_in_pages)
{
	struct client *bob = user("bob");
	long long ids[11], chat = ten(ids);
	holds(get(bob, "%s", messages(chat)), 1, 10);
	struct answer page = get(bob, "%s?limit=4", messages(chat));
	holds(page, 7, 10);
	ck_assert(!has(page.json, "newer"));
	ck_assert_ptr_nonnull(strstr(said(page, "Link"), format("before=%s", str(page.json, "older"))));
	page = get(bob, "%s?limit=4&before=%s", messages(chat), str(page.json, "older"));
	holds(page, 3, 6);
	ck_assert_ptr_nonnull(strstr(said(page, "Link"), format("after=%s", str(page.json, "newer"))));
	struct answer oldest = get(bob, "%s?limit=4&before=%s", messages(chat), str(page.json, "older"));
	holds(oldest, 1, 2);
	ck_assert(!has(oldest.json, "older"));
	holds(get(bob, "%s?limit=4&after=%s", messages(chat), str(page.json, "newer")), 7, 10);
}
END_TEST

/* Links are what a client behind the proxy asks for: below the path of public_url. */
START_TEST(links_lead_to_the_public_address)
{
	const char *const flags[] = { "--public-url", "http://chat.example/talk", NULL };
	struct server *node = server_join(house(), flags);
	long long ids[11], chat = ten(ids);
	const char *link = said(is(get(via(user("bob"), node), "%s?limit=4", messages(chat)), 200), "Link");
	ck_assert_msg(strncmp(link, format("</talk%s?before=", messages(chat)), strlen(messages(chat)) + 14) == 0,
		"the link is %s", link);
	server_stop(node);
}
END_TEST

START_TEST(a_message_id_is_a_cursor)
{
	struct client *bob = user("bob");
	long long ids[11], chat = ten(ids);
	holds(get(bob, "%s?before=%lld", messages(chat), ids[5]), 1, 4);
	holds(get(bob, "%s?limit=2&before=%lld", messages(chat), ids[5]), 3, 4);
	holds(get(bob, "%s?after=%lld", messages(chat), ids[5]), 6, 10);
	holds(get(bob, "%s?limit=2&after=%lld", messages(chat), ids[5]), 6, 7);
	holds(get(bob, "%s?limit=1&after=%lld", messages(chat), ids[9]), 10, 10);
	struct answer none = is(get(bob, "%s?after=%lld", messages(chat), ids[10]), 200);
	ck_assert_uint_eq(count(none.json, "messages"), 0);
	ck_assert(!has(none.json, "newer"));
	none = is(get(bob, "%s?before=%lld", messages(chat), ids[1]), 200);
	ck_assert_uint_eq(count(none.json, "messages"), 0);
	ck_assert(!has(none.json, "older"));
}
END_TEST

START_TEST(history_is_read_around_a_message)
{
	struct client *bob = user("bob");
	long long ids[11], chat = ten(ids);
	struct answer a = is(get(bob, "%s?limit=5&around=%lld", messages(chat), ids[5]), 200);
	ck_assert_uint_eq(count(a.json, "messages"), 5);
	bool there = false;
	for (size_t i = 0; i < 5; i++)
		there = there || num(a.json, format("messages.%zu.id", i)) == ids[5];
	ck_assert_msg(there, "the message itself is missing: %s", a.body);
	ck_assert(has(a.json, "older") && has(a.json, "newer"));
	holds(get(bob, "%s?limit=1&around=%lld", messages(chat), ids[5]), 5, 5);
	holds(get(bob, "%s?around=%lld", messages(chat), ids[1]), 1, 10);

	/* Around one that is gone: where it was. */
	is(del(user("alice"), "%s", message(chat, ids[5])), 204);
	a = is(get(bob, "%s?limit=2&around=%lld", messages(chat), ids[5]), 200);
	ck_assert_str_eq(str(a.json, "messages.0.text"), "4");
	ck_assert_str_eq(str(a.json, "messages.1.text"), "6");
}
END_TEST

START_TEST(bad_pages_are_refused)
{
	struct client *bob = user("bob");
	long long ids[11], chat = ten(ids);
	const char *const unreadable[] = { "limit=x", "limit=", "limit=5x", "limit=1.5", "limit=%20", "lmit=5" };
	for (size_t i = 0; i < sizeof(unreadable) / sizeof(unreadable[0]); i++)
		refused(get(bob, "%s?%s", messages(chat), unreadable[i]), 400, "bad_parameter");
	const char *const beyond[] = { "limit=0", "limit=201", "limit=99999999999999999999" };
	for (size_t i = 0; i < sizeof(beyond) / sizeof(beyond[0]); i++)
		refused(get(bob, "%s?%s", messages(chat), beyond[i]), 422, "out_of_range");
	const char *const cursors[] = { "before=x", "after=-5", "around=1e3", "before=99999999999999999999",
		"after=%00" };
	for (size_t i = 0; i < sizeof(cursors) / sizeof(cursors[0]); i++) {
		struct answer a = is(get(bob, "%s?%s", messages(chat), cursors[i]), 400);
		refused(a, 400, strcmp(str(a.json, "code"), "bad_cursor") == 0 ? "bad_cursor" : "bad_parameter");
	}
	holds(get(bob, "%s?limit=1", messages(chat)), 10, 10);
	holds(get(bob, "%s?limit=200", messages(chat)), 1, 10);
}
END_TEST

START_TEST(an_outsider_learns_nothing)
{
	struct client *alice = user("alice"), *mallory = user("mallory");
	long long chat = group(alice), id = say(alice, chat, "secret");
	struct answer absent = refused(get(mallory, "/v1/chats/987654321/messages"), 404, "not_found");
	struct answer hidden[] = {
		get(mallory, "%s", messages(chat)),
		get(mallory, "%s", message(chat, id)),
		post(mallory, messages(chat), "{'text':'hi'}"),
		post_as(mallory, messages(chat), "text/plain", "hi"),
		patch(mallory, message(chat, id), "{'text':'hi'}"),
		del(mallory, "%s", message(chat, id)),
		post(mallory, to("/v1/chats/%lld/read", chat), "{'up_to':%lld}", id),
	};
	for (size_t i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++) {
		refused(hidden[i], 404, "not_found");
		ck_assert_str_eq(str(hidden[i].json, "detail"), str(absent.json, "detail"));
		ck_assert_str_eq(str(hidden[i].json, "title"), str(absent.json, "title"));
	}
}
END_TEST

START_TEST(texts_have_bounds)
{
	struct client *alice = user("alice");
	long long chat = group(alice);
	char *path = messages(chat);
	refused(post(alice, path, "{'text':''}"), 422, "empty_text");
	refused(post(alice, path, "{}"), 422, "empty_text");
	refused(post(alice, path, "{'text':null}"), 422, "empty_text");
	refused(post_as(alice, path, "text/plain", ""), 422, "empty_text");
	is(post(alice, path, "{'text':'%s'}", repeat('x', 16384)), 201);
	refused(post(alice, path, "{'text':'%s'}", repeat('x', 16385)), 413, "text_too_long");
	is(post_as(alice, path, "text/plain", repeat('x', 16384)), 201);
	struct answer a = is(post_as(alice, path, "text/plain", repeat('x', 16385)), 413);
	refused(a, 413, strcmp(str(a.json, "code"), "body_too_large") == 0 ? "body_too_large" : "text_too_long");
	/* Bytes are counted, not characters. */
	char *wide = repeat('x', 16385);
	memcpy(wide, "\xc3\xa9", 2);
	refused(post_as(alice, path, "application/json", format("{\"text\":\"%s\"}", wide)), 413, "text_too_long");
	refused(post(alice, path, "{'text':'%s'}", repeat('x', 300000)), 413, "body_too_large");
	ck_assert_uint_eq(count(is(get(alice, "%s", path), 200).json, "messages"), 2);
}
END_TEST

START_TEST(texts_are_clean_utf8)
{
	struct client *alice = user("alice");
	char *path = messages(group(alice));
	const char *const bad[] = { "\xff", "a\x80z", "\xc3", "\xc0\xaf", "\xe2\x28\xa1", "\xed\xa0\x80",
		"\xf4\x90\x80\x80", "\xf8\x88\x80\x80\x80" };
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		refused(post_as(alice, path, "text/plain", bad[i]), 400, "bad_utf8");
		refused(post_as(alice, path, "application/json", format("{\"text\":\"%s\"}", bad[i])), 400, "bad_utf8");
	}
	refused(ask(alice, "POST", path, "text/plain", "a\0b", 3), 422, "bad_text");
	refused(post(alice, path, "{'text':'a\\u0000b'}"), 422, "bad_text");
	ck_assert_uint_eq(count(is(get(alice, "%s", path), 200).json, "messages"), 0);
}
END_TEST

START_TEST(half_a_surrogate_is_no_character)
{
	struct client *alice = user("alice");
	char *path = messages(group(alice));
	const char *const bad[] = { "\\ud800", "\\udc00", "\\ud800x", "\\ud83d\\u0041", "\\ude80\\ud83d",
		"\\ud83d\\ud83d\\ude80" };
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct answer a = post(alice, path, "{'text':'%s'}", bad[i]);
		ck_assert_msg(a.status == 400 || a.status == 422, "%s is answered %d: %s", bad[i], a.status, a.body);
		refused(a, a.status, str(a.json, "code"));
	}
}
END_TEST

/* Every one of the bodies (single quotes stand for double ones) is refused like this. */
static void all_refused(struct client *who, const char *path, const char *const bodies[], int status, const char *code)
{
	char wrong[2048] = "";
	for (size_t i = 0; bodies[i] != NULL; i++) {
		struct answer a = post(who, path, "%s", bodies[i]);
		if (a.status == status && has(a.json, "code") && strcmp(str(a.json, "code"), code) == 0)
			refused(a, status, code);
		else
			snprintf(wrong + strlen(wrong), sizeof(wrong) - strlen(wrong), "\n#   %s is answered %d %.120s",
				bodies[i], a.status, a.body);
		if (status == 400 && a.status == 400)
			ck_assert_msg(strpbrk(str(a.json, "detail"), "0123456789") != NULL, "where? %s", a.body);
	}
	ck_assert_msg(*wrong == '\0', "not %d %s:%s", status, code, wrong);
}

START_TEST(malformed_json_is_refused_with_the_place)
{
	struct client *alice = user("alice");
	char *path = messages(group(alice));
	const char *const bad[] = { "{", "{'text':'hi'", "{'text':'hi'}}", "{'text':'hi',}", "{'text' 'hi'}",
		"{text:'hi'}", "{'text':'hi'} {'text':'ho'}", "nul", "{'text':'a\nb'}", "{'text':'a\x01z'}",
		"{'text':'\\x'}", "{'text':'\\u12g4'}", "{'text':NaN}", "{'text':Infinity}", "{'text':'hi'/*?*/}",
		"{'text':'x','reply_to':01}", "{'text':'x','reply_to':1.}", "{'text':'x','reply_to':+1}",
		"{'text':'x','reply_to':.5}", "{'text':'x','reply_to':0x1}", "{'text':True}", "{'text':'hi'}x",
		"{,'text':'hi'}", "{'a':1 'text':'hi'}", NULL };
	all_refused(alice, path, bad, 400, "bad_json");
	struct answer a = refused(post_as(alice, path, "application/json", "{\"text\":\"hi\", oops}"), 400, "bad_json");
	ck_assert_msg(strstr(str(a.json, "detail"), "14") != NULL, "where? %s", a.body);
	refused(post_as(alice, path, "application/json", ""), 400, "bad_json");
	ck_assert_uint_eq(count(is(get(alice, "%s", path), 200).json, "messages"), 0);
}
END_TEST

START_TEST(json_of_the_wrong_shape_is_refused)
{
	struct client *alice = user("alice");
	char *path = messages(group(alice));
	const char *const wrong[] = { "[]", "'hi'", "5", "null", "true", "{'text':5}", "{'text':['hi']}", "{'text':{}}",
		"{'text':true}", "{'text':'x','reply_to':'1'}", "{'text':'x','reply_to':1.5}",
		"{'text':'x','reply_to':true}", "{'text':'x','key':5}", "{'type':5,'content':{}}",
		"{'type':'encrypted','content':'x'}", "{'type':'encrypted','content':[]}", NULL };
	all_refused(alice, path, wrong, 422, "wrong_type");
	const char *const unknown[] = { "{'text':'x','id':5}", "{'text':'x','from':'bob'}", "{'Text':'x'}",
		"{'text':'x','':1}", "{'text':'x','at':'2020-01-01T00:00:00Z'}", NULL };
	all_refused(alice, path, unknown, 422, "unknown_field");
	const char *const range[] = { "{'text':'x','reply_to':-1}", "{'text':'x','reply_to':0}",
		"{'text':'x','reply_to':9223372036854775808}", "{'text':'x','reply_to':99999999999999999999999}",
		"{'text':'x','reply_to':-9223372036854775809}",
		/* PostgreSQL writes these out: 131,072 digits, and as many of them as one likes. */
		"{'type':'x','content':{'a':1e131071}}", "{'type':'x','content':{'a':[1E-4000,1e+200]}}",
		"{'type':'x','content':{'a':1e99999999999999999999}}", NULL };
	all_refused(alice, path, range, 422, "out_of_range");
	ck_assert_uint_eq(count(is(get(alice, "%s", path), 200).json, "messages"), 0);
	is(post(alice, path, "{'type':'x','content':{'a':[1.5e300,-2E-300,0e0],'e9':'1e131071','text':'\\\\'}}"), 201);
}
END_TEST

START_TEST(ids_that_cannot_be_are_not_found)
{
	struct client *alice = user("alice");
	long long chat = group(alice);
	const char *const ids[] = { "0", "x", "-1", "1x", "01x", "99999999999999999999999", "1.5", "%31%00", "+1" };
	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		struct answer a = get(alice, "%s/%s", messages(chat), ids[i]);
		ck_assert_msg(a.status == 404 || a.status == 400, "id %s: %d %s", ids[i], a.status, a.body);
		a = get(alice, "/v1/chats/%s/messages", ids[i]);
		ck_assert_msg(a.status == 404 || a.status == 400, "chat %s: %d %s", ids[i], a.status, a.body);
	}
}
END_TEST

START_TEST(only_so_many_methods)
{
	struct client *alice = user("alice");
	long long chat = group(alice), id = say(alice, chat, "hi");
	struct answer a = refused(put(alice, messages(chat), "{}"), 405, "method_not_allowed");
	ck_assert_ptr_nonnull(strstr(said(a, "Allow"), "GET"));
	ck_assert_ptr_nonnull(strstr(said(a, "Allow"), "POST"));
	a = refused(post(alice, message(chat, id), "{'text':'x'}"), 405, "method_not_allowed");
	ck_assert_ptr_nonnull(strstr(said(a, "Allow"), "PATCH"));
	refused(get(alice, "/v1/nothing/here"), 404, "not_found");
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		what_is_sent_can_be_read,
		any_type_but_json_is_the_text_itself,
		every_character_comes_through,
		ids_ascend_and_time_never_runs_back,
		many_are_sent_at_once,
		many_are_refused_one_by_one_to_an_outsider,
		a_media_type_is_one_in_any_case,
		what_is_all_bad_makes_no_direct_chat,
		a_key_sends_once,
		a_key_may_be_a_header,
		the_key_that_the_server_made_is_a_key,
		a_key_outlives_an_edit,
		a_key_opens_nothing_to_who_has_gone,
		an_edit_is_for_who_wrote_it_and_saw_the_latest,
		who_may_not_write_edits_nothing,
		a_block_stops_what_is_done_to_messages_too,
		an_edit_is_checked_like_a_send,
		a_deleted_message_is_gone,
		owners_and_admins_delete_what_others_wrote,
		replies_point_into_their_chat,
		other_types_have_content,
		history_is_read_in_pages,
		links_lead_to_the_public_address,
		a_message_id_is_a_cursor,
		history_is_read_around_a_message,
		bad_pages_are_refused,
		an_outsider_learns_nothing,
		texts_have_bounds,
		texts_are_clean_utf8,
		half_a_surrogate_is_no_character,
		malformed_json_is_refused_with_the_place,
		json_of_the_wrong_shape_is_refused,
		ids_that_cannot_be_are_not_found,
		only_so_many_methods,
		NULL,
	};
	return suite_run("messages", tests, NULL);
}
