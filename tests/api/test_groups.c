/* SPDX-License-Identifier: MIT
 * Groups: bans, who may post and add members, slow mode, the rate of a chat, the audit trail. test_large_groups.c has
 * the rest. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/client.h"
#include "../lib/database.h"
#include "../lib/stream.h"
#include "../lib/suite.h"

static char *chat_path(long long chat) { return format("/v1/chats/%lld", chat); }
static char *members_of(long long chat) { return format("/v1/chats/%lld/members", chat); }

/* ---- bans ---- */

START_TEST(banned_user_cannot_join_again)
{
	struct client *ann = new_user(), *ben = new_user(), *cat = new_user();
	long long chat = make_group(ann, ben, cat);
	struct stream *cats = stream_from_now(cat), *bens = stream_from_now(ben);
	struct answer a = expect_status(put(ann, member_path(chat, ben), "{'state':'banned'}"), 200);
	ck_assert_str_eq(json_str(a.json, "state"), "banned");
	struct json_object *m = expect(cats, "member");
	ck_assert_str_eq(json_str(m, "name"), ben->name);
	ck_assert_str_eq(json_str(m, "state"), "banned");
	ck_assert_int_eq(json_num(expect(cats, "chat"), "members_count"), 2);
	ck_assert_str_eq(json_str(expect(bens, "member"), "state"), "banned");
	say(cat, chat, "good riddance");
	expect_quiet(bens);
	expect_problem(get(ben, "%s", chat_path(chat)), 404, "not_found");
	expect_problem(post(ben, messages_path(chat), "{'text':'why?'}"), 404, "not_found");
	expect_problem(put(ann, member_path(chat, ben), "{}"), 403, "banned");
	expect_status(put(ann, member_path(chat, ben), "{'state':'banned'}"), 200); /* repeated */
	expect_status(del(ann, "%s", member_path(chat, ben)), 204);                 /* which doesn't lift the ban */
	expect_problem(put(ann, member_path(chat, ben), "{'state':'joined'}"), 403, "banned");

	struct answer list = expect_status(get(ann, "%s?state=banned", members_of(chat)), 200);
	ck_assert_uint_eq(json_count(list.json, "members"), 1);
	ck_assert_str_eq(json_str(list.json, "members.0.name"), ben->name);
	expect_problem(get(cat, "%s?state=banned", members_of(chat)), 403, "forbidden");
	expect_status(get(cat, "%s?state=left", members_of(chat)), 422);

	ck_assert_str_eq(
		json_str(expect_status(put(ann, member_path(chat, ben), "{'state':'left'}"), 200).json, "state"),
		"left");
	expect_problem(get(ben, "%s", chat_path(chat)), 404, "not_found");
	expect_status(put(ann, member_path(chat, ben), "{}"), 200);
	expect_status(get(ben, "%s", chat_path(chat)), 200);
}
END_TEST

START_TEST(ban_of_former_member_takes_effect)
{
	struct client *ann = new_user(), *ben = new_user(), *eve = new_user();
	long long chat = make_group(ann, ben);
	expect_status(del(ben, "%s", member_path(chat, ben)), 204);
	struct stream *s = stream_from_now(eve);
	expect_status(put(ann, member_path(chat, ben), "{'state':'banned'}"), 200);
	ck_assert_int_eq(json_num(expect_status(get(ann, "%s", chat_path(chat)), 200).json, "members_count"), 1);
	expect_problem(put(ann, member_path(chat, ben), "{}"), 403, "banned");
	expect_problem(
		put(ann, member_path(chat, eve), "{'state':'banned'}"), 404, "not_found"); /* eve was never a member */
	expect_problem(put(ann, format("%s/no-such-user", members_of(chat)), "{'state':'banned'}"), 404, "not_found");
	expect_quiet(s); /* eve gets no event */
}
END_TEST

START_TEST(ban_by_plain_member_is_refused)
{
	struct client *ann = new_user(), *ben = new_user(), *cat = new_user(), *dan = new_user(), *eve = new_user();
	long long chat = make_group(ann, ben, cat, dan);
	expect_status(put(ann, member_path(chat, cat), "{'role':'admin'}"), 200);
	expect_status(put(ann, member_path(chat, dan), "{'role':'admin'}"), 200);
	expect_problem(put(ben, member_path(chat, cat), "{'state':'banned'}"), 403, "forbidden");
	expect_problem(put(ben, member_path(chat, ben), "{'state':'banned'}"), 403, "forbidden");
	expect_problem(put(cat, member_path(chat, dan), "{'state':'banned'}"), 403, "forbidden");
	expect_problem(put(cat, member_path(chat, ann), "{'state':'banned'}"), 403, "forbidden");
	expect_problem(put(ann, member_path(chat, ann), "{'state':'banned'}"), 403, "forbidden");
	expect_problem(put(eve, member_path(chat, ben), "{'state':'banned'}"), 404, "not_found");
	expect_status(put(cat, member_path(chat, ben), "{'state':'banned'}"), 200);
	expect_status(put(ann, member_path(chat, dan), "{'state':'banned'}"), 200);
	expect_status(put(cat, member_path(chat, dan), "{'state':'left'}"), 200);
	expect_problem(put(eve, member_path(chat, ben), "{'state':'left'}"), 404, "not_found");
	expect_problem(put(cat, member_path(chat, eve), "{'state':'left'}"), 404, "not_found");
	expect_problem(put(ann, member_path(chat, cat), "{'state':'left'}"), 422, "out_of_range");
	expect_problem(put(ann, member_path(chat, cat), "{'state':'banned','role':'member'}"), 422, "out_of_range");
	expect_status(put(ann, member_path(chat, cat), "{'state':'kicked'}"), 422);
	expect_status(post(ann, format("/v1/chats/@%s/messages", ben->name), "{'text':'psst'}"), 201);
	expect_problem(put(ann, format("/v1/chats/@%s/members/%s", ben->name, ben->name), "{'state':'banned'}"), 403,
		"forbidden");
}
END_TEST

START_TEST(mute_ends_when_member_becomes_owner)
{
	struct client *ann = new_user(), *ben = new_user(), *cat = new_user();
	long long chat = make_group(ann, ben, cat);
	expect_status(put(ann, member_path(chat, ben), "{'muted_until':'2100-01-01T00:00:00Z'}"), 200);
	expect_status(put(ann, member_path(chat, cat), "{'muted_until':'2100-01-01T00:00:00Z'}"), 200);
	ck_assert(!json_has(expect_status(put(ann, member_path(chat, ben), "{'role':'owner'}"), 200).json,
		"muted_until")); /* ben was made owner */
	say(ben, chat, "mine");
	expect_status(del(ann, "%s", member_path(chat, ann)), 204);
	expect_status(del(ben, "%s", member_path(chat, ben)), 204); /* cat becomes owner */
	say(cat, chat, "mine");
}
END_TEST

/* ---- permissions ---- */

START_TEST(posting_setting_limits_who_sends)
{
	struct client *ann = new_user(), *ben = new_user(), *cat = new_user();
	long long chat = make_group(ann, ben, cat);
	expect_status(put(ann, member_path(chat, cat), "{'role':'admin'}"), 200);
	struct stream *s = stream_from_now(ben);
	ck_assert_str_eq(
		json_str(expect_status(patch(cat, chat_path(chat), "{'posting':'admins'}"), 200).json, "posting"),
		"admins");
	ck_assert_str_eq(json_str(expect(s, "chat"), "posting"), "admins");
	expect_problem(post(ben, messages_path(chat), "{'text':'me too'}"), 403, "forbidden");
	say(cat, chat, "an announcement");
	say(ann, chat, "another one");
	expect_problem(patch(ben, chat_path(chat), "{'posting':'members'}"), 403, "forbidden");
	expect_status(patch(cat, chat_path(chat), "{'posting':'members'}"), 200);
	say(ben, chat, "at last");
	expect_status(patch(cat, chat_path(chat), "{'posting':'nobody'}"), 422);
	long long channel =
		json_num(expect_status(post(ann, "/v1/chats", "{'kind':'channel','title':'news'}"), 201).json, "id");
	ck_assert_str_eq(json_str(expect_status(get(ann, "%s", chat_path(channel)), 200).json, "posting"), "admins");
	expect_problem(patch(ann, chat_path(channel), "{'posting':'members'}"), 422, "bad_chat");
}
END_TEST

START_TEST(adding_setting_limits_who_adds_members)
{
	struct client *ann = new_user(), *ben = new_user(), *cat = new_user(), *eve = new_user(), *fay = new_user(),
		      *gus = new_user();
	long long chat = make_group(ann, ben, cat);
	expect_status(put(ann, member_path(chat, cat), "{'role':'admin'}"), 200);
	expect_problem(put(ben, member_path(chat, eve), "{}"), 403, "forbidden");
	expect_problem(patch(cat, chat_path(chat), "{'adding':'members'}"), 403, "forbidden");
	expect_status(patch(ann, chat_path(chat), "{'adding':'members'}"), 200);
	expect_status(put(ben, member_path(chat, eve), "{'role':'member'}"), 200);
	expect_problem(
		put(ben, member_path(chat, eve), "{'role':'member'}"), 403, "forbidden"); /* eve is a member already */
	ck_assert_int_eq(
		json_num(expect_status(post(ben, members_of(chat), "{'add':['%s']}", gus->name), 200).json, "added"),
		1);
	expect_problem(put(ben, member_path(chat, fay), "{'role':'admin'}"), 403, "forbidden");
	expect_problem(put(ben, member_path(chat, fay), "{'muted_until':'2100-01-01T00:00:00Z'}"), 403, "forbidden");
	expect_problem(put(ben, member_path(chat, eve), "{'muted_until':'2100-01-01T00:00:00Z'}"), 403, "forbidden");
	expect_problem(del(ben, "%s", member_path(chat, eve)), 403, "forbidden");

	expect_status(patch(ann, chat_path(chat), "{'adding':'owner'}"), 200);
	expect_problem(put(ben, member_path(chat, fay), "{}"), 403, "forbidden");
	expect_problem(put(cat, member_path(chat, fay), "{}"), 403, "forbidden");
	expect_problem(post(cat, members_of(chat), "{'add':['%s']}", fay->name), 403, "forbidden");
	expect_status(put(cat, member_path(chat, eve), "{'muted_until':'2100-01-01T00:00:00Z'}"),
		200); /* everything else still requires an admin */
	expect_status(del(cat, "%s", member_path(chat, eve)), 204);
	expect_status(put(ann, member_path(chat, fay), "{}"), 200);
}
END_TEST

/* ---- rates ---- */

START_TEST(slow_mode_refuses_second_message_of_member)
{
	struct client *ann = new_user(), *ben = new_user(), *cat = new_user();
	long long chat = make_group(ann, ben, cat);
	expect_problem(patch(ben, chat_path(chat), "{'slow_mode':30}"), 403, "forbidden");
	ck_assert_int_eq(
		json_num(expect_status(patch(ann, chat_path(chat), "{'slow_mode':3600}"), 200).json, "slow_mode"),
		3600);
	struct stream *s = stream_from_now(ann);
	struct answer first = expect_status(say_with_key(ben, chat, "k", "one"), 201);
	struct answer a = expect_problem(post(ben, messages_path(chat), "{'text':'two'}"), 429, "slow_mode");
	long wait = atol(expect_header(a, "Retry-After"));
	ck_assert_msg(wait > 3000 && wait <= 3600, "Retry-After is %ld", wait);
	expect_header(a, "RateLimit-Reset");
	ck_assert_int_eq(json_num(expect_status(say_with_key(ben, chat, "k", "one"), 201).json, "id"),
		json_num(first.json, "id"));     /* a repeated key is not another message */
	long long cats = say(cat, chat, "mine"); /* each member has their own interval */
	long long anns = say(ann, chat, "one"), again = say(ann, chat, "two"); /* doesn't apply to admins */
	expect_message(s, json_num(first.json, "id"));
	expect_message(s, cats);
	expect_message(s, anns);
	expect_message(s, again);
	expect_status(patch(ben, message_path(chat, json_num(first.json, "id")), "{'text':'edited'}"), 200);

	sql(database_open(test_server()),
		"update postern.pace set at = at - interval '1 hour' where chat_id = %lld and name = '%s'", chat,
		ben->name);
	say(ben, chat, "an hour later");
	expect_problem(post(ben, messages_path(chat), "{'text':'two'}"), 429, "slow_mode");
	expect_status(patch(ann, chat_path(chat), "{'slow_mode':0}"), 200);
	ck_assert(!json_has(expect_status(get(ben, "%s", chat_path(chat)), 200).json, "slow_mode"));
	say(ben, chat, "two");
	say(ben, chat, "three");
	expect_status(patch(ann, chat_path(chat), "{'slow_mode':-1}"), 422);
	expect_status(patch(ann, chat_path(chat), "{'slow_mode':86401}"), 422);
}
END_TEST

static int status_of(struct answer a, int line)
{
	const char *at = a.body;
	while (line-- > 0 && at != NULL)
		at = strchr(at, '\n') ? strchr(at, '\n') + 1 : NULL;
	int status = 0;
	ck_assert_msg(at != NULL && sscanf(at, "{\"status\":%d", &status) == 1, "no such line: %s", a.body);
	return status;
}

START_TEST(slow_mode_does_not_count_refused_messages)
{
	struct client *ann = new_user(), *ben = new_user();
	long long chat = make_group(ann, ben);
	expect_status(patch(ann, chat_path(chat), "{'slow_mode':3600}"), 200);
	expect_problem(
		post(ben, messages_path(chat), "{'forward':{'chat':%lld,'id':1}}", chat), 422, "unknown_forward");
	expect_problem(post(ben, messages_path(chat), "{'text':'x','reply_to':1}"), 422, "unknown_reply_to");
	say(ben, chat, "my turn");
	expect_problem(post(ben, messages_path(chat), "{'text':'x'}"), 429, "slow_mode");
}
END_TEST

START_TEST(slow_mode_applies_within_a_batch)
{
	struct client *ann = new_user(), *ben = new_user();
	long long chat = make_group(ann, ben), other = make_group(ann, ben);
	expect_status(patch(ann, chat_path(chat), "{'slow_mode':3600}"), 200);
	struct answer a =
		expect_status(post_as(ben, messages_path(chat), "application/x-ndjson",
				      "{\"text\":\"1\"}\n{\"text\":\"2\",\"key\":\"two\"}\n{\"text\":\"3\"}\n"),
			200);
	ck_assert_int_eq(status_of(a, 0), 201);
	ck_assert_int_eq(status_of(a, 1), 429);
	ck_assert_int_eq(status_of(a, 2), 429);
	ck_assert_ptr_nonnull(strstr(a.body, "\"code\":\"slow_mode\""));
	ck_assert_ptr_nonnull(strstr(a.body, "\"retry_after\":3"));
	ck_assert_uint_eq(json_count(expect_status(get(ann, "%s", messages_path(chat)), 200).json, "messages"), 1);
	/* A refused message doesn't use up its key. */
	expect_status(patch(ann, chat_path(chat), "{'slow_mode':0}"), 200);
	expect_status(say_with_key(ben, chat, "two", "2"), 201);
	/* The accepted messages of a batch are delivered in the order of their positions. */
	expect_status(patch(ann, chat_path(chat), "{'rate_limit':60}"), 200);
	struct stream *s = stream_from_now(ann);
	a = expect_status(
		post_as(ben, messages_path(chat), "application/x-ndjson",
			"{\"text\":\"1\"}\n{\"text\":\"2\"}\n{\"text\":\"3\",\"reply_to\":1}\n{\"text\":\"4\"}\n"),
		200);
	ck_assert_int_eq(status_of(a, 2), 422);
	long long id = say(ben, other, "elsewhere");
	const char *texts[] = { "1", "2", "4" };
	for (int i = 0; i < 3; i++)
		ck_assert_str_eq(json_str(expect(s, "message"), "text"), texts[i]);
	expect_message(s, id);
}
END_TEST

START_TEST(chat_rate_limit_refuses_messages_over_it)
{
	struct client *ann = new_user(), *ben = new_user(), *cat = new_user();
	long long chat = make_group(ann, ben, cat);
	ck_assert_int_eq(
		json_num(expect_status(patch(ann, chat_path(chat), "{'rate_limit':12}"), 200).json, "rate_limit"), 12);
	say(ben, chat, "a sixth of a minute");
	say(cat, chat, "may come at once");
	struct answer a = expect_problem(post(ben, messages_path(chat), "{'text':'more'}"), 429, "chat_rate_limited");
	long wait = atol(expect_header(a, "Retry-After"));
	ck_assert_msg(wait >= 1 && wait <= 5, "Retry-After is %ld", wait);
	ck_assert_str_eq(expect_header(a, "RateLimit-Limit"), "12");
	expect_problem(post(cat, messages_path(chat), "{'text':'more'}"), 429, "chat_rate_limited");
	say(ann, chat, "order!");
	sql(database_open(test_server()),
		"update postern.pace set at = at - interval '5 s' where chat_id = %lld and name = '*'", chat);
	say(cat, chat, "in time");
	expect_problem(post(ben, messages_path(chat), "{'text':'more'}"), 429, "chat_rate_limited");
	expect_problem(patch(ben, chat_path(chat), "{'rate_limit':0}"), 403, "forbidden");
	expect_status(patch(ann, chat_path(chat), "{'rate_limit':0}"), 200);
	for (int i = 0; i < 5; i++)
		say(ben, chat, "and on");
}
END_TEST

/* ---- the audit trail ---- */

START_TEST(audit_lists_acts_of_admins)
{
	struct client *ann = new_user(), *ben = new_user(), *cat = new_user(), *dan = new_user(), *eve = new_user();
	long long chat = make_group(ann, ben, cat), id = say(ben, chat, "a bad word"), own = say(ann, chat, "mine");
	expect_status(put(ann, member_path(chat, cat), "{'role':'admin','muted_until':'2100-01-01T00:00:00Z'}"),
		200); /* two acts */
	expect_status(put(ann, member_path(chat, cat), "{'muted_until':'2000-01-01T00:00:00Z'}"), 200);
	expect_status(put(cat, member_path(chat, ben), "{'muted_until':'2100-01-01T00:00:00Z'}"), 200);
	expect_status(del(cat, "%s", message_path(chat, id)), 204);
	expect_status(del(ann, "%s", message_path(chat, own)), 204); /* deleting one's own message isn't recorded */
	expect_status(patch(ann, chat_path(chat), "{'title':'calmer','slow_mode':5}"), 200);
	expect_status(put(ann, member_path(chat, ben), "{'state':'banned'}"), 200);
	expect_status(put(ann, member_path(chat, ben), "{'state':'left'}"), 200);
	expect_status(put(ann, member_path(chat, eve), "{}"), 200);
	expect_status(del(cat, "%s", member_path(chat, eve)), 204);
	expect_status(post(cat, members_of(chat), "{'add':['%s','%s']}", ben->name, eve->name), 200);
	expect_status(post(cat, members_of(chat), "{'add':['%s'],'remove':['%s']}", dan->name, eve->name), 200);
	expect_status(del(ben, "%s", member_path(chat, ben)), 204); /* leaving isn't recorded either */
	expect_status(del(ann, "%s", member_path(chat, ann)), 204); /* but the change of owner is */

	static const char *const acts[] = { "role_changed", "members_changed", "members_changed", "kicked", "added",
		"unbanned", "banned", "chat_changed", "message_deleted", "muted", "unmuted", "muted", "role_changed" };
	size_t n = sizeof(acts) / sizeof(acts[0]), seen = 0;
	const char *cursor = "";
	do {
		struct answer a = expect_status(get(cat, "%s/audit?limit=4&cursor=%s", chat_path(chat), cursor), 200);
		for (size_t i = 0; i < json_count(a.json, "acts"); i++, seen++) {
			ck_assert_uint_lt(seen, n);
			ck_assert_str_eq(json_str(a.json, format("acts.%zu.act", i)), acts[seen]);
			ck_assert_uint_eq(strlen(json_str(a.json, format("acts.%zu.at", i))), 24);
			if (seen == 0)
				ck_assert_str_eq(json_str(a.json, "acts.0.details.role"), "owner");
			if (seen == 1) {
				ck_assert_int_eq(json_num(a.json, "acts.1.details.removed"), 1);
				ck_assert_str_eq(json_str(a.json, "acts.1.details.added_names.0"), dan->name);
				ck_assert_str_eq(json_str(a.json, "acts.1.details.removed_names.0"), eve->name);
				ck_assert_uint_eq(json_count(a.json, "acts.1.details.added_names"), 1);
			}
			if (seen == 2) {
				ck_assert_int_eq(json_num(a.json, "acts.2.details.added"), 2);
				ck_assert_uint_eq(json_count(a.json, "acts.2.details.added_names"), 2);
				ck_assert_uint_eq(json_count(a.json, "acts.2.details.removed_names"), 0);
			}
			if (strcmp(acts[seen], "message_deleted") == 0) {
				ck_assert_str_eq(json_str(a.json, format("acts.%zu.actor", i)), cat->name);
				ck_assert_str_eq(json_str(a.json, format("acts.%zu.target", i)), ben->name);
				ck_assert_int_eq(json_num(a.json, format("acts.%zu.details.id", i)), id);
			}
		}
		cursor = json_has(a.json, "next") ? json_str(a.json, "next") : NULL;
	} while (cursor != NULL);
	ck_assert_uint_eq(seen, n);
	expect_problem(get(dan, "%s/audit", chat_path(chat)), 403, "forbidden");
	expect_problem(get(eve, "%s/audit", chat_path(chat)), 404, "not_found");
	expect_problem(get(ben, "%s/audit", chat_path(chat)), 404, "not_found");
	expect_problem(get(ann, "%s/audit", chat_path(chat)), 404, "not_found");
	expect_status(post(ann, format("/v1/chats/@%s/messages", ben->name), "{'text':'psst'}"), 201);
	expect_problem(get(ann, "/v1/chats/@%s/audit", ben->name), 403, "forbidden");
	expect_problem(get(cat, "%s/audit?cursor=x", chat_path(chat)), 400, "bad_cursor");
}
END_TEST

START_TEST(absent_and_hidden_group_answers_are_identical)
{
	struct client *mallory = new_user(), *ann = new_user(), *ben = new_user();
	long long hidden = make_group(ann, ben), absent = 987654321;
	const struct {
		const char *method, *path, *body;
	} asked[] = {
		{ "POST", "/members", "{\"add\":[\"alice\"]}" },
		{ "POST", "/members", "{}" },
		{ "PATCH", "", "{\"slow_mode\":1}" },
		{ "PATCH", "", "{\"handle\":\"x1\"}" },
		{ "GET", "/members?state=banned", NULL },
		{ "GET", "/audit", NULL },
		{ "GET", "/invites", NULL },
		{ "POST", "/invites", "{}" },
		{ "DELETE", "/invites/1", NULL },
		{ "PUT", "/members/alice", "{\"state\":\"banned\"}" },
		{ "PUT", "/members/alice", "{\"state\":\"left\"}" },
	};
	for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
		struct answer a[2];
		for (int j = 0; j < 2; j++)
			a[j] = expect_problem(send_request(with_header(mallory, "X-Request-Id: same"), asked[i].method,
						      format("/v1/chats/%lld%s", j ? hidden : absent, asked[i].path),
						      asked[i].body ? "application/json" : NULL, asked[i].body,
						      asked[i].body ? strlen(asked[i].body) : 0),
				404, "not_found");
		ck_assert_str_eq(a[0].body, a[1].body);
	}
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		banned_user_cannot_join_again,
		ban_of_former_member_takes_effect,
		ban_by_plain_member_is_refused,
		mute_ends_when_member_becomes_owner,
		posting_setting_limits_who_sends,
		adding_setting_limits_who_adds_members,
		slow_mode_refuses_second_message_of_member,
		slow_mode_does_not_count_refused_messages,
		slow_mode_applies_within_a_batch,
		chat_rate_limit_refuses_messages_over_it,
		audit_lists_acts_of_admins,
		absent_and_hidden_group_answers_are_identical,
		NULL,
	};
	return suite_run("groups", tests, NULL);
}
