/* SPDX-License-Identifier: MIT
 * Members added and removed in batches, and groups that are too large to send every join and departure to all. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/client.h"
#include "../lib/database.h"
#include "../lib/stream.h"
#include "../lib/suite.h"

static char *chat_path(long long chat) { return format("/v1/chats/%lld", chat); }
static char *members_of(long long chat) { return format("/v1/chats/%lld/members", chat); }

START_TEST(members_are_added_and_removed_in_one_request)
{
	struct client *ann = new_user(), *ben = new_user(), *cat = new_user(), *dan = new_user(), *eve = new_user();
	long long chat = make_group(ann, ben, cat);
	expect_status(put(ann, member_path(chat, cat), "{'role':'admin'}"), 200);
	expect_status(del(ben, "%s", member_path(chat, ben)), 204);
	expect_status(put(ann, member_path(chat, ben), "{'state':'banned'}"), 200);
	struct stream *s = stream_from_now(ann);
	struct answer a = expect_status(
		post(cat, members_of(chat),
			"{'add':['%s','%s','%s','%s','no-such-user','%s'],'remove':['nobody-either','%s']}", dan->name,
			eve->name, dan->name, cat->name, ben->name, ann->name),
		200);
	ck_assert_int_eq(json_num(a.json, "added"), 2);
	ck_assert_int_eq(json_num(a.json, "removed"), 0);
	ck_assert_int_eq(json_num(a.json, "members_count"), 4);
	ck_assert_uint_eq(json_count(a.json, "skipped"), 4);
	for (size_t i = 0; i < 4; i++) {
		const char *name = json_str(a.json, format("skipped.%zu.name", i)),
			   *code = json_str(a.json, format("skipped.%zu.code", i));
		const char *expected = strcmp(name, ben->name) == 0 ? "banned"
			: strcmp(name, ann->name) == 0              ? "forbidden"
			: strcmp(name, "no-such-user") == 0         ? "unknown_user"
								    : "not_found";
		ck_assert_msg(strcmp(code, expected) == 0, "%s was skipped for %s", name, code);
	}
	expect(s, "member");
	expect(s, "member");
	ck_assert_int_eq(json_num(expect(s, "chat"), "members_count"), 4);
	expect_status(get(dan, "%s", chat_path(chat)), 200);

	a = expect_status(post(cat, members_of(chat), "{'remove':['%s','%s']}", dan->name, eve->name), 200);
	ck_assert_int_eq(json_num(a.json, "removed"), 2);
	expect_problem(get(dan, "%s", chat_path(chat)), 404, "not_found");
	ck_assert_str_eq(json_str(expect(s, "member"), "state"), "kicked");
	expect(s, "member");
	expect(s, "chat");
	a = expect_status(post(cat, members_of(chat), "{'remove':['%s']}", dan->name), 200); /* repeated */
	ck_assert_int_eq(json_num(a.json, "removed"), 0);
	ck_assert_uint_eq(json_count(a.json, "skipped"), 0);
	expect_status(post(cat, members_of(chat), "{}"), 200);
	expect_quiet(s);
	expect_problem(post(cat, members_of(chat), "{'add':['%s'],'remove':['%s']}", dan->name, dan->name), 422,
		"out_of_range");
	char *many = on_teardown(free, malloc(60000));
	for (size_t i = 0, len = 0; i < 10001; i++)
		len += (size_t)sprintf(many + len, "%s'aa'", i ? "," : "");
	expect_problem(post(cat, members_of(chat), "{'add':[%s]}", many), 422, "out_of_range");
	expect_problem(post(dan, members_of(chat), "{'add':['%s']}", dan->name), 404, "not_found");
	expect_status(put(ann, member_path(chat, dan), "{}"), 200);
	expect_problem(post(dan, members_of(chat), "{'add':['%s']}", eve->name), 403, "forbidden");
	expect_problem(post(dan, members_of(chat), "{'remove':['%s']}", cat->name), 403, "forbidden");
}
END_TEST

START_TEST(batch_of_members_over_members_max_is_refused)
{
	const char *const flags[] = { "--members-max", "3", NULL };
	struct server *node = server_join(test_server(), flags);
	struct client *ann = on_server(new_user(), node), *ben = new_user(), *cat = new_user(), *dan = new_user();
	long long chat = make_group(ann, ben);
	expect_problem(
		post(ann, members_of(chat), "{'add':['%s','%s']}", cat->name, dan->name), 422, "too_many_members");
	expect_status(
		post(ann, members_of(chat), "{'add':['%s','%s'],'remove':['%s']}", cat->name, dan->name, ben->name),
		200);
	server_stop(node);
}
END_TEST

enum { CROWD = 120 };

/* Creates a group of the owner with CROWD members without tokens, and with the two users. */
static long long make_crowd(const struct client *owner, const struct client *one, const struct client *two)
{
	static unsigned n;
	n++;
	sql(database_open(test_server()),
		"insert into postern.account (name, created_at, rev) select 'crowd' || %u || '-' || i, now(), 0 from "
		"generate_series(1, %d) i",
		n, CROWD);
	size_t size = 64 * 1024;
	char *names = malloc(size);
	on_teardown(free, names);
	size_t len = (size_t)snprintf(names, size, "'%s','%s'", one->name, two->name);
	for (int i = 1; i <= CROWD; i++)
		len += (size_t)snprintf(names + len, size - len, ",'crowd%u-%d'", n, i);
	return json_num(
		expect_status(post(owner, "/v1/chats", "{'kind':'group','title':'crowd','members':[%s]}", names), 201)
			.json,
		"id");
}

/* Asserts that the next events are the user's own join and the chat, and that none is about other members. */
static void expect_own_join(struct stream *s, const struct client *who, int members)
{
	ck_assert_str_eq(json_str(expect(s, "member"), "name"), who->name);
	ck_assert_int_eq(json_num(expect(s, "chat"), "members_count"), members);
	expect_quiet(s);
}

START_TEST(large_group_join_sends_only_the_members_count)
{
	struct client *ann = new_user(), *ben = new_user(), *cat = new_user(), *eve = new_user();
	struct stream *bens = stream_from_now(ben), *eves = stream_from_now(eve);
	long long chat = make_crowd(ann, ben, cat);
	expect_own_join(bens, ben, CROWD + 3);

	expect_status(put(ann, member_path(chat, eve), "{}"), 200);
	ck_assert_int_eq(json_num(expect(bens, "chat"), "members_count"), CROWD + 4);
	expect_own_join(eves, eve, CROWD + 4);
	expect_status(put(ann, member_path(chat, eve), "{'role':'admin'}"), 200); /* a change of role is sent to all */
	ck_assert_str_eq(json_str(expect(bens, "member"), "role"), "admin");
	ck_assert_str_eq(json_str(expect(eves, "member"), "role"), "admin");
	expect_status(del(ann, "%s", member_path(chat, eve)), 204);
	ck_assert_str_eq(json_str(expect(bens, "member"), "state"), "kicked");
	ck_assert_int_eq(json_num(expect(bens, "chat"), "members_count"), CROWD + 3);
	ck_assert_str_eq(json_str(expect(eves, "member"), "state"), "kicked");

	struct answer a =
		expect_status(post(ann, members_of(chat), "{'add':['%s'],'remove':['%s']}", eve->name, cat->name), 200);
	ck_assert_int_eq(json_num(a.json, "members_count"), CROWD + 3);
	ck_assert_int_eq(json_num(expect(bens, "chat"), "members_count"), CROWD + 3);
	expect_own_join(eves, eve, CROWD + 3);
	expect_quiet(bens);
	long long id = say(ann, chat, "hello");
	expect_message(bens, id);
	expect_message(eves, id);
	expect_problem(get(cat, "%s", chat_path(chat)), 404, "not_found");
}
END_TEST

/* A kick that isn't sent to the others still takes effect for the kicked user at its position: on their streams and
 * in the worker's caches. */
START_TEST(large_group_kick_takes_effect)
{
	struct client *ann = new_user(), *ben = new_user(), *cat = new_user();
	long long chat = make_crowd(ann, ben, cat), before = say(ann, chat, "before");
	ck_assert_uint_eq(json_count(expect_status(get(ben, "%s", messages_path(chat)), 200).json, "messages"), 1);
	expect_status(get(cat, "%s", messages_path(chat)), 200);
	struct stream *bens = stream_from_now(ben), *cats = stream_from_now(cat);
	long long seen = say(ann, chat, "still there");
	expect_status(del(ann, "%s", member_path(chat, ben)), 204);
	say(ann, chat, "after");
	expect_message(bens, seen);
	ck_assert_str_eq(json_str(expect(bens, "member"), "state"), "kicked");
	expect_quiet(bens);
	expect_message(cats, seen);
	expect(cats, "chat");
	expect(cats, "message");
	expect_problem(get(ben, "%s", messages_path(chat)), 404, "not_found");
	expect_problem(get(ben, "%s", message_path(chat, before)), 404, "not_found");
}
END_TEST

/* A large group gets a new count of members after 1 % of them have left; a GET always returns the exact count. */
START_TEST(large_group_leaving_is_sent_in_steps)
{
	struct client *ann = new_user(), *ben = new_user(), *cat = new_user();
	long long chat = make_crowd(ann, ben, cat);
	struct stream *anns = stream_from_now(ann);
	expect_status(del(ben, "%s", member_path(chat, ben)), 204);
	ck_assert_int_eq(
		json_num(expect_status(get(ann, "%s", chat_path(chat)), 200).json, "members_count"), CROWD + 2);
	expect_quiet(anns);
	expect_status(del(cat, "%s", member_path(chat, cat)), 204);
	ck_assert_int_eq(json_num(expect(anns, "chat"), "members_count"), CROWD + 1);
	expect_quiet(anns);
}
END_TEST

/* Sends more to a chat than a ring of 4 KiB holds. */
static void fill_ring(const struct client *who, long long chat)
{
	for (int i = 0; i < 40; i++)
		say(who, chat,
			"a text of about ninety characters, of which forty are more than the tiny ring can hold");
}

/* The first node replays from its ring; the second, whose ring is tiny, replays from the tables. */
START_TEST(large_group_replay_matches_live_events)
{
	const char *const flags[] = { "--ring-bytes", "4K", NULL };
	struct server *node = server_join(test_server(), flags);
	struct client *ann = new_user(), *ben = new_user(), *cat = new_user(), *eve = new_user();
	long long chat = make_crowd(ann, ben, cat), other = make_group(ann);
	const char *bens_cursor = json_str(expect_status(get(ben, "/v1/sync"), 200).json, "cursor"),
		   *eves_cursor = json_str(expect_status(get(eve, "/v1/sync"), 200).json, "cursor");
	expect_status(put(ann, member_path(chat, eve), "{}"), 200);
	expect_status(del(ann, "%s", member_path(chat, cat)), 204);
	long long id = say(ann, chat, "hello");
	fill_ring(ann, other);
	for (int i = 0; i < 2; i++) {
		struct client *b = i ? on_server(ben, node) : ben, *e = i ? on_server(eve, node) : eve;
		struct stream *s = stream_since(b, bens_cursor);
		ck_assert_int_eq(json_num(expect(s, "chat"), "members_count"), CROWD + 3);
		expect_message(s, id);
		s = stream_since(e, eves_cursor);
		ck_assert_str_eq(json_str(expect(s, "member"), "name"), eve->name);
		expect(s, "chat");
		expect_message(s, id);
	}
	server_stop(node);
}
END_TEST

/* A join from when the group was small isn't replayed if the user has left since it became large. */
START_TEST(group_that_becomes_large_replay_matches_live_events)
{
	const char *const flags[] = { "--ring-bytes", "4K", NULL };
	struct server *node = server_join(test_server(), flags);
	struct client *ann = new_user(), *ben = new_user(), *cat = new_user(), *dan = new_user();
	long long chat = make_group(ann, ben), other = make_group(ann);
	const char *cursor = json_str(expect_status(get(ben, "/v1/sync"), 200).json, "cursor");
	expect_status(put(ann, member_path(chat, cat), "{}"), 200);
	expect_status(put(ann, member_path(chat, dan), "{}"), 200);
	char names[CROWD * 12] = "";
	sql(database_open(test_server()),
		"insert into postern.account (name, created_at, rev) select 'many' || i, now(), 0 from "
		"generate_series(1, %d) i",
		CROWD);
	for (int i = 1; i <= CROWD; i++)
		sprintf(names + strlen(names), "%s'many%d'", i > 1 ? "," : "", i);
	ck_assert_int_eq(
		json_num(expect_status(post(ann, members_of(chat), "{'add':[%s]}", names), 200).json, "added"), CROWD);
	struct answer audit = expect_status(get(ann, "%s/audit?limit=1", chat_path(chat)), 200);
	ck_assert_int_eq(json_num(audit.json, "acts.0.details.added"), CROWD);
	ck_assert_uint_eq(json_count(audit.json, "acts.0.details.added_names"), 100);
	expect_status(del(ann, "%s", member_path(chat, cat)), 204);
	long long id = say(ann, chat, "hello");
	fill_ring(ann, other);
	for (int i = 0; i < 2; i++) {
		struct stream *s = stream_since(i ? on_server(ben, node) : ben, cursor);
		ck_assert_str_eq(json_str(expect(s, "member"), "name"), dan->name);
		ck_assert_int_eq(json_num(expect(s, "chat"), "members_count"), CROWD + 3);
		expect_message(s, id);
	}
	server_stop(node);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		members_are_added_and_removed_in_one_request,
		batch_of_members_over_members_max_is_refused,
		large_group_join_sends_only_the_members_count,
		large_group_kick_takes_effect,
		large_group_leaving_is_sent_in_steps,
		large_group_replay_matches_live_events,
		group_that_becomes_large_replay_matches_live_events,
		NULL,
	};
	return suite_run("large_groups", tests, NULL);
}
