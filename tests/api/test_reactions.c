/* SPDX-License-Identifier: MIT
 * Reactions: who may react, how reactions are counted, what members see of them, live and on replay. */
#include <stdlib.h>
#include <string.h>

#include "../lib/client.h"
#include "../lib/stream.h"
#include "../lib/suite.h"

#define THUMB "%F0%9F%91%8D"
#define HEART "%E2%9D%A4%EF%B8%8F"

static char *reaction_path(long long chat, long long id, const char *emoji)
{
	return format("%s/reactions/%s", message_path(chat, id), emoji);
}

START_TEST(reaction_is_counted_and_sent_to_members)
{
	struct client *alice = user("alice"), *bob = user("bob");
	long long chat = make_group(alice, bob), id = say(alice, chat, "hi");
	struct stream *s = stream_from_now(alice);
	struct answer a = expect_status(put(bob, reaction_path(chat, id, THUMB), NULL), 200);
	ck_assert_str_eq(json_str(a.json, "emoji"), "👍");
	ck_assert_str_eq(json_str(a.json, "from"), "bob");
	struct json_object *r = expect(s, "reaction");
	ck_assert_int_eq(json_num(r, "chat"), chat);
	ck_assert_int_eq(json_num(r, "id"), id);
	ck_assert_str_eq(json_str(r, "from"), "bob");
	ck_assert_str_eq(json_str(r, "emoji"), "👍");
	ck_assert(json_true(r, "on"));
	ck_assert_int_eq(json_num(r, "count"), 1);
	ck_assert_int_eq(json_num(r, "rev"), json_num(a.json, "rev"));
	expect_status(put(bob, reaction_path(chat, id, THUMB), NULL), 200); /* repeated: no change */
	expect_status(put(alice, reaction_path(chat, id, THUMB), NULL), 200);
	ck_assert_int_eq(json_num(expect(s, "reaction"), "count"), 2);
	expect_status(put(bob, reaction_path(chat, id, HEART), NULL), 200);
	ck_assert_str_eq(json_str(expect(s, "reaction"), "emoji"), "❤️");

	ck_assert_int_eq(json_num(expect_status(get(bob, "%s", message_path(chat, id)), 200).json, "reactions.👍"), 2);
	ck_assert_int_eq(
		json_num(expect_status(get(bob, "%s", messages_path(chat)), 200).json, "messages.0.reactions.👍"), 2);
	ck_assert_int_eq(
		json_num(expect_status(get(bob, "/v1/chats/%lld", chat), 200).json, "last_message.reactions.👍"), 2);
	ck_assert_int_eq(json_num(expect_status(get(bob, "%s", message_path(chat, id)), 200).json, "rev"), id);

	expect_status(del(bob, "%s", reaction_path(chat, id, THUMB)), 204);
	r = expect(s, "reaction");
	ck_assert(!json_true(r, "on"));
	ck_assert_int_eq(json_num(r, "count"), 1);
	expect_status(del(bob, "%s", reaction_path(chat, id, THUMB)), 204);
	expect_status(del(alice, "%s", reaction_path(chat, id, THUMB)), 204);
	ck_assert_int_eq(json_num(expect(s, "reaction"), "count"), 0);
	expect_status(del(bob, "%s", reaction_path(chat, id, HEART)), 204);
	expect(s, "reaction");
	expect_quiet(s);
	ck_assert(!json_has(expect_status(get(bob, "%s", message_path(chat, id)), 200).json, "reactions"));
	ck_assert(!json_has(expect_status(get(bob, "%s", messages_path(chat)), 200).json, "messages.0.reactions"));
}
END_TEST

START_TEST(reactions_of_a_message_are_listed)
{
	struct client *alice = user("alice"), *bob = user("bob"), *carol = user("carol");
	long long chat = make_group(alice, bob, carol), id = say(alice, chat, "hi");
	expect_status(put(alice, reaction_path(chat, id, THUMB), NULL), 200);
	expect_status(put(bob, reaction_path(chat, id, HEART), NULL), 200);
	expect_status(put(carol, reaction_path(chat, id, THUMB), NULL), 200);
	expect_status(put(bob, reaction_path(chat, id, THUMB), NULL), 200);
	expect_status(del(bob, "%s", reaction_path(chat, id, THUMB)), 204);
	char *path = format("%s/reactions", message_path(chat, id));
	struct answer a = expect_status(get(bob, "%s?limit=2", path), 200);
	ck_assert_uint_eq(json_count(a.json, "reactions"), 2);
	ck_assert_str_eq(json_str(a.json, "reactions.0.from"), "alice");
	ck_assert_str_eq(json_str(a.json, "reactions.1.emoji"), "❤️");
	ck_assert_uint_eq(strlen(json_str(a.json, "reactions.0.at")), 24);
	a = expect_status(get(bob, "%s?limit=2&cursor=%s", path, json_str(a.json, "next")), 200);
	ck_assert_uint_eq(json_count(a.json, "reactions"), 1);
	ck_assert_str_eq(json_str(a.json, "reactions.0.from"), "carol");
	ck_assert(!json_has(a.json, "next"));
	a = expect_status(get(bob, "%s?emoji=%s", path, HEART), 200);
	ck_assert_uint_eq(json_count(a.json, "reactions"), 1);
	ck_assert_str_eq(json_str(a.json, "reactions.0.from"), "bob");
	expect_problem(get(bob, "%s?emoji=x", path), 422, "bad_emoji");
}
END_TEST

START_TEST(reaction_spellings_of_one_emoji_are_one_reaction)
{
	struct client *alice = user("alice"), *bob = user("bob");
	long long chat = make_group(alice, bob), id = say(alice, chat, "hi");
	expect_status(put(alice, reaction_path(chat, id, "%E2%9D%A4"), NULL), 200);
	expect_status(put(bob, reaction_path(chat, id, HEART), NULL), 200);
	ck_assert_int_eq(
		json_num(expect_status(get(bob, "%s", message_path(chat, id)), 200).json, "reactions.❤️"), 2);
	expect_status(del(bob, "%s", reaction_path(chat, id, "%E2%9D%A4")), 204);
	ck_assert_int_eq(
		json_num(expect_status(get(bob, "%s", message_path(chat, id)), 200).json, "reactions.❤️"), 1);
}
END_TEST

START_TEST(reaction_that_is_not_an_emoji_is_refused)
{
	struct client *alice = user("alice");
	long long chat = make_group(alice), id = say(alice, chat, "hi");
	/* NOLINTNEXTLINE(bugprone-suspicious-missing-comma): an emoji and something after it */
	const char *const bad[] = { "a", "1", "%20", THUMB THUMB, THUMB "x", "%E2%98%85", "%E2%80%8D", "%EF%B8%8F",
		"%3Cb%3E", "%F0%9F%8F%BD" };
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		expect_problem(put(alice, reaction_path(chat, id, bad[i]), NULL), 422, "bad_emoji");
		expect_problem(del(alice, "%s", reaction_path(chat, id, bad[i])), 422, "bad_emoji");
	}
	expect_problem(put(alice, reaction_path(chat, id, "%F0%9F%91"), NULL), 400, "bad_path");
	expect_problem(put(alice, reaction_path(chat, id, ""), NULL), 404, "not_found");
	ck_assert(!json_has(expect_status(get(alice, "%s", message_path(chat, id)), 200).json, "reactions"));
}
END_TEST

START_TEST(reaction_over_limit_of_kinds_is_refused)
{
	const char *const flags[] = { "--reactions-max", "2", NULL };
	struct server *node = server_join(test_server(), flags);
	struct client *alice = on_server(user("alice"), node), *bob = on_server(user("bob"), node);
	long long chat = make_group(alice, bob), id = say(alice, chat, "hi");
	expect_status(put(alice, reaction_path(chat, id, THUMB), NULL), 200);
	expect_status(put(alice, reaction_path(chat, id, HEART), NULL), 200);
	expect_problem(put(bob, reaction_path(chat, id, "%F0%9F%8E%89"), NULL), 422, "too_many_reactions");
	expect_status(put(bob, reaction_path(chat, id, THUMB), NULL), 200);
	expect_status(del(alice, "%s", reaction_path(chat, id, HEART)), 204);
	expect_status(put(bob, reaction_path(chat, id, "%F0%9F%8E%89"), NULL), 200);
	server_stop(node);
}
END_TEST

START_TEST(reaction_by_user_who_cannot_read_is_refused)
{
	struct client *alice = user("alice"), *bob = user("bob"), *mallory = user("mallory"), *dave = user("dave");
	struct answer made = expect_status(
		post(alice, "/v1/chats", "{'kind':'group','title':'x','members':['bob'],'history':'joined'}"), 201);
	long long chat = json_num(made.json, "id"), id = say(alice, chat, "hi"), gone = say(alice, chat, "oops");
	expect_status(del(alice, "%s", message_path(chat, gone)), 204);
	expect_status(put(alice, member_path(chat, dave), "{}"), 200);
	struct client *const outside[] = { mallory, dave }; /* dave joined after the message */
	for (size_t i = 0; i < 2; i++) {
		struct client *who = with_header(outside[i], "X-Request-Id: same");
		struct answer absent =
			expect_problem(put(who, reaction_path(chat, id + 1000000, THUMB), NULL), 404, "not_found");
		ck_assert_str_eq(expect_problem(put(who, reaction_path(chat, id, THUMB), NULL), 404, "not_found").body,
			absent.body);
		ck_assert_str_eq(
			expect_problem(put(who, reaction_path(chat, gone, THUMB), NULL), 404, "not_found").body,
			absent.body);
		expect_problem(del(who, "%s", reaction_path(chat, id, THUMB)), 404, "not_found");
		expect_problem(get(who, "%s/reactions", message_path(chat, id)), 404, "not_found");
	}
	expect_problem(put(bob, reaction_path(chat, gone, THUMB), NULL), 410, "gone");
	expect_status(put(bob, reaction_path(chat, id, THUMB), NULL), 200);
	expect_status(put(alice, member_path(chat, bob), "{'muted_until':'2100-01-01T00:00:00Z'}"), 200);
	expect_problem(put(bob, reaction_path(chat, id, HEART), NULL), 403, "muted");
	expect_status(del(bob, "%s", reaction_path(chat, id, THUMB)), 204);
	expect_problem(put(anonymous(), reaction_path(chat, id, THUMB), NULL), 401, "unauthorized");
}
END_TEST

/* Asserts that a replay has the latest state of each reaction once; ring and tables must agree. */
static void expect_latest_state(struct stream *s, long long chat, long long id)
{
	ck_assert_int_eq(json_num(expect(s, "message"), "id"), id);
	struct json_object *r = expect(s, "reaction");
	ck_assert_int_eq(json_num(r, "id"), id);
	ck_assert_str_eq(json_str(r, "from"), "bob");
	ck_assert_str_eq(json_str(r, "emoji"), "❤️");
	r = expect(s, "reaction");
	ck_assert_str_eq(json_str(r, "from"), "bob");
	ck_assert_str_eq(json_str(r, "emoji"), "👍");
	ck_assert(!json_true(r, "on"));
	ck_assert_int_eq(json_num(r, "count"), 1);
	r = expect(s, "reaction");
	ck_assert_str_eq(json_str(r, "from"), "alice");
	ck_assert(json_true(r, "on"));
	ck_assert_int_eq(json_num(r, "chat"), chat);
	expect(s, "deleted");
	expect_quiet(s);
}

START_TEST(reactions_missed_are_replayed)
{
	struct client *alice = user("alice"), *bob = user("bob"), *erin = user("erin"), *frank = user("frank");
	long long chat = make_group(alice, bob, erin, frank), deleted = say(alice, chat, "deleted");
	const char *cursor = json_str(expect_status(get(erin, "/v1/sync"), 200).json, "cursor");
	struct stream *live = stream_from_now(bob);
	long long id = say(alice, chat, "hi");
	expect_status(put(bob, reaction_path(chat, deleted, THUMB), NULL), 200);
	expect_status(put(bob, reaction_path(chat, id, THUMB), NULL), 200);
	expect_status(put(bob, reaction_path(chat, id, HEART), NULL), 200);
	expect_status(put(alice, reaction_path(chat, id, THUMB), NULL), 200);
	expect_status(del(bob, "%s", reaction_path(chat, id, THUMB)), 204);
	expect_status(del(alice, "%s", reaction_path(chat, id, THUMB)), 204);
	expect_status(put(alice, reaction_path(chat, id, THUMB), NULL), 200);
	expect_status(del(alice, "%s", message_path(chat, deleted)), 204);
	while (strcmp(stream_peek(live), "deleted") != 0)
		expect(live, stream_peek(live));
	expect_latest_state(stream_since(erin, cursor), chat, id);
	char *much = on_teardown(free, calloc(1, 3001));
	memset(much, 'x', 3000);
	for (long long i = 0, other = make_group(alice); i < 4; i++)
		say(alice, other, much);
	const char *const small[] = { "--ring-bytes", "4K", NULL };
	struct server *node = server_join(test_server(), small);
	expect_latest_state(stream_since(on_server(frank, node), cursor), chat, id);
	server_stop(node);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		reaction_is_counted_and_sent_to_members,
		reactions_of_a_message_are_listed,
		reaction_spellings_of_one_emoji_are_one_reaction,
		reaction_that_is_not_an_emoji_is_refused,
		reaction_over_limit_of_kinds_is_refused,
		reaction_by_user_who_cannot_read_is_refused,
		reactions_missed_are_replayed,
		NULL,
	};
	return suite_run("reactions", tests, NULL);
}
