/* SPDX-License-Identifier: MIT
 * Who may add whom to chats: users who are asked first, and the limits of chats and of strangers. */
#include <stdio.h>
#include <string.h>

#include "../lib/client.h"
#include "../lib/stream.h"
#include "../lib/suite.h"

static char *members_path(long long chat) { return format("/v1/chats/%lld/members", chat); }
static char *request_path(long long chat, const char *rest) { return format("/v1/chat-requests/%lld%s", chat, rest); }

static struct client *user_whom(const char *who_may_add)
{
	struct client *c = new_user();
	struct answer a = expect_status(patch(c, "/v1/me", "{'who_may_add':'%s'}", who_may_add), 200);
	ck_assert_str_eq(json_str(a.json, "who_may_add"), who_may_add);
	return c;
}

static size_t requests_of(const struct client *who)
{
	size_t n = json_count(expect_status(get(who, "/v1/chat-requests"), 200).json, "chat_requests");
	ck_assert_uint_eq(json_count(expect_status(get(who, "/v1/sync"), 200).json, "chat_requests"), n);
	return n;
}

static void expect_asked(struct answer a)
{
	ck_assert_uint_eq(json_count(a.json, "skipped"), 1);
	ck_assert_str_eq(json_str(a.json, "skipped.0.code"), "asked");
}

START_TEST(user_whom_nobody_may_add_is_asked)
{
	struct client *ann = new_user(), *ben = user_whom("nobody"), *cat = new_user();
	struct stream *s = stream_from_now(ben);
	struct answer a =
		expect_status(post(ann, "/v1/chats", "{'kind':'group','title':'Climbing','members':['%s','%s']}",
				      ben->name, cat->name),
			201);
	expect_asked(a);
	ck_assert_int_eq(json_num(a.json, "members_count"), 2);
	long long chat = json_num(a.json, "id");
	struct json_object *e = expect_ephemeral(s, "chat_request");
	ck_assert_int_eq(json_num(e, "chat"), chat);
	ck_assert_str_eq(json_str(e, "title"), "Climbing");
	ck_assert_str_eq(json_str(e, "by"), ann->name);
	expect_problem(get(ben, "/v1/chats/%lld", chat), 404, "not_found");
	ck_assert_uint_eq(requests_of(ben), 1);
	ck_assert_uint_eq(requests_of(cat), 0);

	expect_asked(expect_status(put(ann, member_path(chat, ben), "{}"), 202));
	expect_asked(expect_status(post(ann, members_path(chat), "{'add':['%s']}", ben->name), 200));
	ck_assert_uint_eq(requests_of(ben), 1);

	a = expect_status(post(ben, request_path(chat, "/accept"), NULL), 200);
	ck_assert_int_eq(json_num(a.json, "id"), chat);
	ck_assert_int_eq(json_num(a.json, "members_count"), 3);
	ck_assert_str_eq(json_str(expect_ephemeral(s, "chat_request"), "state"), "accepted"); /* one event for each */
	ck_assert_uint_eq(requests_of(ben), 0);
	say(ben, chat, "here I am");
	expect_problem(post(ben, request_path(chat, "/accept"), NULL), 404, "not_found");
}
END_TEST

START_TEST(request_that_was_declined_is_not_repeated)
{
	struct client *ann = new_user(), *ben = user_whom("nobody");
	long long chat = make_group(ann), other = make_group(ann);
	struct stream *s = stream_from_now(ben);
	expect_asked(expect_status(put(ann, member_path(chat, ben), "{}"), 202));
	expect_ephemeral(s, "chat_request");
	expect_status(del(ben, "%s", request_path(chat, "")), 204);
	ck_assert_str_eq(json_str(expect_ephemeral(s, "chat_request"), "state"), "declined");
	expect_status(del(ben, "%s", request_path(chat, "")), 204);
	expect_asked(expect_status(put(ann, member_path(chat, ben), "{}"), 202)); /* ann can't tell */
	ck_assert_uint_eq(requests_of(ben), 0);
	expect_problem(post(ben, request_path(chat, "/accept"), NULL), 404, "not_found");
	expect_no_ephemeral(s);
	expect_asked(expect_status(put(ann, member_path(other, ben), "{}"), 202));
	ck_assert_int_eq(json_num(expect_ephemeral(s, "chat_request"), "chat"), other);
}
END_TEST

START_TEST(request_ends_with_the_right_of_who_asked)
{
	struct client *ann = new_user(), *ben = user_whom("nobody"), *cat = new_user();
	long long chat = make_group(ann, cat);
	expect_status(put(ann, member_path(chat, cat), "{'role':'admin'}"), 200);
	expect_asked(expect_status(put(cat, member_path(chat, ben), "{}"), 202));
	expect_status(put(ann, member_path(chat, cat), "{'role':'member'}"), 200);
	ck_assert_uint_eq(requests_of(ben), 0);
	expect_problem(post(ben, request_path(chat, "/accept"), NULL), 404, "not_found");
	expect_asked(expect_status(put(ann, member_path(chat, ben), "{}"), 202)); /* somebody else may ask then */
	ck_assert_uint_eq(requests_of(ben), 1);
	expect_status(put(ben, format("/v1/blocks/%s", ann->name), NULL), 204);
	ck_assert_uint_eq(requests_of(ben), 0);
	expect_status(del(ben, "/v1/blocks/%s", ann->name), 204);
	expect_status(del(ann, "/v1/chats/%lld", chat), 204);
	ck_assert_uint_eq(requests_of(ben), 0);
	expect_problem(post(ben, request_path(chat, "/accept"), NULL), 404, "not_found");
}
END_TEST

START_TEST(user_whom_known_users_may_add_is_asked_by_others)
{
	struct client *ann = new_user(), *ben = user_whom("known"), *cat = new_user(), *dan = new_user();
	expect_status(put(ann, format("/v1/contacts/%s", ben->name), NULL), 200); /* their own contacts don't help */
	expect_asked(expect_status(put(ann, member_path(make_group(ann), ben), "{}"), 202));
	expect_status(put(ben, format("/v1/contacts/%s", ann->name), NULL), 200);
	expect_status(put(ann, member_path(make_group(ann), ben), "{}"), 200);

	struct answer a =
		expect_status(post(dan, "/v1/chats", "{'kind':'channel','title':'c','handle':'%s','members':['%s']}",
				      dan->name, cat->name),
			201);
	expect_status(post(ben, format("/v1/channels/%s", dan->name), NULL), 200);
	(void)a;
	expect_asked(expect_status(put(cat, member_path(make_group(cat), ben), "{}"), 202)); /* a channel is for all */
	expect_status(post(ben, format("/v1/chats/@%s/messages", cat->name), "{'text':'hi'}"), 201);
	expect_status(put(cat, member_path(make_group(cat), ben), "{}"), 200);
}
END_TEST

START_TEST(who_joins_by_themselves_is_no_longer_asked)
{
	struct client *ann = new_user(), *ben = user_whom("nobody");
	long long chat = make_group(ann);
	expect_asked(expect_status(put(ann, member_path(chat, ben), "{}"), 202));
	struct answer a = expect_status(post(ann, format("/v1/chats/%lld/invites", chat), "{}"), 201);
	expect_status(post(ben, format("/v1/invites/%s", json_str(a.json, "code")), NULL), 200);
	ck_assert_uint_eq(requests_of(ben), 0);
}
END_TEST

START_TEST(strangers_an_hour_are_limited)
{
	struct server *node = server_join(
		test_server(), (const char *const[]) { "--rate-strangers", "3", "--rate-actions", "0", NULL });
	struct client *ann = on_server(new_user(), node), *friend = new_user(), *s[6];
	for (int i = 0; i < 6; i++)
		s[i] = new_user();
	expect_status(put(friend, format("/v1/contacts/%s", ann->name), NULL), 200);
	long long chat = make_group(ann);
	expect_status(put(ann, member_path(chat, s[0]), "{}"), 200);
	expect_status(put(ann, member_path(make_group(ann), s[0]), "{}"), 200); /* they share a chat now */
	expect_status(post(ann, format("/v1/chats/@%s/messages", s[1]->name), "{'text':'hi'}"), 201);
	struct answer a = expect_problem(
		post(ann, members_path(chat), "{'add':['%s','%s']}", s[2]->name, s[3]->name), 429, "rate_limited");
	ck_assert_ptr_nonnull(answer_header(a, "Retry-After"));
	expect_status(
		post(ann, "/v1/chats", "{'kind':'group','title':'x','members':['%s','%s']}", s[2]->name, friend->name),
		201);
	expect_problem(put(ann, member_path(chat, s[4]), "{}"), 429, "rate_limited");
	expect_problem(post(ann, "/v1/chats", "{'kind':'group','title':'x','members':['%s']}", s[4]->name), 429,
		"rate_limited");
	expect_problem(post(ann, "/v1/chats", "{'kind':'direct','members':['%s']}", s[4]->name), 429, "rate_limited");
	expect_problem(post(ann, format("/v1/chats/@%s/messages", s[4]->name), "{'text':'hi'}"), 429, "rate_limited");
	expect_status(put(ann, member_path(chat, friend), "{}"), 200);
	server_command(test_server(), NULL, "user", "promote", ann->name);
	expect_status(put(ann, member_path(chat, s[5]), "{}"), 200); /* administrators aren't limited */
	server_stop(node);
}
END_TEST

START_TEST(chats_of_a_user_are_limited)
{
	struct server *node = server_join(test_server(),
		(const char *const[]) { "--chats-max", "4", "--rate-strangers", "0", "--rate-actions", "0", NULL });
	struct client *ann = on_server(new_user(), node), *ben = on_server(new_user(), node),
		      *cat = on_server(new_user(), node);
	make_group(ann, ben);
	make_group(ann, ben);
	long long chat = make_group(ann), channel;
	expect_problem(put(ann, member_path(chat, ben), "{}"), 422, "too_many_chats"); /* half of them by others */
	struct answer a =
		expect_status(post(ann, members_path(chat), "{'add':['%s','%s']}", ben->name, cat->name), 200);
	ck_assert_str_eq(json_str(a.json, "skipped.0.code"), "too_many_chats");
	ck_assert_int_eq(json_num(a.json, "added"), 1);
	make_group(ann);
	expect_problem(post(ann, "/v1/chats", "{'kind':'group','title':'x'}"), 422, "too_many_chats");
	expect_problem(post(ann, format("/v1/chats/@%s/messages", cat->name), "{'text':'x'}"), 422, "too_many_chats");
	a = expect_status(post(cat, "/v1/chats", "{'kind':'channel','title':'c','handle':'%s'}", cat->name), 201);
	channel = json_num(a.json, "id");
	expect_problem(post(ann, format("/v1/channels/%s", cat->name), NULL), 422, "too_many_chats");
	expect_status(post(ben, format("/v1/channels/%s", cat->name), NULL), 200);
	a = expect_status(post(cat, format("/v1/chats/%lld/invites", channel), "{}"), 201);
	expect_problem(post(ann, format("/v1/invites/%s", json_str(a.json, "code")), NULL), 422, "too_many_chats");
	make_group(ben);
	expect_problem(post(ben, "/v1/chats", "{'kind':'group','title':'x'}"), 422, "too_many_chats");
	server_stop(node);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = { user_whom_nobody_may_add_is_asked, request_that_was_declined_is_not_repeated,
		request_ends_with_the_right_of_who_asked, user_whom_known_users_may_add_is_asked_by_others,
		who_joins_by_themselves_is_no_longer_asked, strangers_an_hour_are_limited, chats_of_a_user_are_limited,
		NULL };
	return suite_run("adding", tests, NULL);
}
