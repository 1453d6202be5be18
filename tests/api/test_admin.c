/* SPDX-License-Identifier: MIT
 * Operations for administrators of the server only: announcements, maintenance mode, any chat. */
#include <string.h>

#include "../lib/client.h"
#include "../lib/database.h"
#include "../lib/stream.h"
#include "../lib/suite.h"
#include "base/clock.h"

static struct client *administrator(void)
{
	struct client *c = new_user();
	sql(database_open(test_server()), "update postern.account set admin = true where name = '%s'", c->name);
	return c;
}

START_TEST(announcement_is_sent_to_every_user)
{
	struct client *root = administrator(), *ann = new_user(), *ben = new_user();
	struct stream *sa = stream_from_now(ann);
	expect_problem(post(ann, "/v1/admin/announcements", "{'text':'mine'}"), 403, "forbidden");
	struct answer a = expect_status(post(root, "/v1/admin/announcements", "{'text':'We move on Sunday.'}"), 201);
	ck_assert_str_eq(json_str(expect_ephemeral(sa, "announcement"), "text"), "We move on Sunday.");
	ck_assert_str_eq(
		json_str(expect_status(get(ben, "/v1/sync"), 200).json, "announcements.0.text"), "We move on Sunday.");
	expect_status(post(root, "/v1/admin/announcements", "{'text':'later','until':'2999-01-01T00:00:00Z'}"), 201);
	ck_assert_uint_eq(json_count(expect_status(get(ben, "/v1/announcements"), 200).json, "announcements"), 2);
	expect_problem(post(root, "/v1/admin/announcements", "{'text':'x','until':'2001-01-01T00:00:00Z'}"), 422,
		"out_of_range");
	expect_problem(post(root, "/v1/admin/announcements", "{'text':''}"), 422, "empty_text");
	expect_problem(del(ann, "/v1/admin/announcements/%lld", json_num(a.json, "id")), 403, "forbidden");
	expect_ephemeral(sa, "announcement");
	expect_status(del(root, "/v1/admin/announcements/%lld", json_num(a.json, "id")), 204);
	struct json_object *gone = expect_ephemeral(sa, "announcement");
	ck_assert_int_eq(json_num(gone, "id"), json_num(a.json, "id"));
	ck_assert_str_eq(json_str(gone, "state"), "deleted");
	expect_problem(del(root, "/v1/admin/announcements/%lld", json_num(a.json, "id")), 404, "not_found");
	a = expect_status(get(ben, "/v1/announcements"), 200);
	ck_assert_uint_eq(json_count(a.json, "announcements"), 1);
	server_command(test_server(), NULL, "announce", "from", "the", "command", "line");
	ck_assert_str_eq(json_str(expect_ephemeral(sa, "announcement"), "text"), "from the command line");
	a = expect_status(get(root, "/v1/admin/audit?limit=1"), 200);
	ck_assert_str_eq(json_str(a.json, "acts.0.act"), "announced");
	ck_assert_str_eq(json_str(a.json, "acts.0.actor"), "server");
	expect_status(post(root, "/v1/admin/announcements", "{'text':'short','until':'2998-01-01T00:00:00Z'}"), 201);
	sql(database_open(test_server()),
		"update postern.announcement set until = clock_timestamp() where text = 'short'");
	PGconn *pg = database_open(test_server());
	sql(pg, "select set_config('search_path', (select functions from postern.node limit 1) || ',postern', false)");
	sql(pg, "select upkeep('7 d', '30 d', 1000)");
	ck_assert_str_eq(sql(pg, "select count(*) from postern.announcement where text = 'short'"), "0");
}
END_TEST

static void await_sends(const struct client *who, long long chat, int status)
{
	unsigned long long until = clock_mono_ms() + PATIENCE;
	while (post(who, messages_path(chat), "{'text':'x'}").status != status)
		time_left(until, "maintenance");
}

START_TEST(maintenance_mode_allows_writes_by_administrators_only)
{
	struct client *root = administrator(), *ann = new_user();
	long long chat = make_group(ann), mine = make_group(root);
	expect_problem(put(ann, "/v1/admin/maintenance", "{'text':'x'}"), 403, "forbidden");
	expect_problem(get(ann, "/v1/admin/maintenance"), 403, "forbidden");
	expect_status(put(root, "/v1/admin/maintenance", "{'text':'Back at noon.'}"), 200);
	await_sends(ann, chat, 503);
	struct answer a = expect_problem(post(ann, messages_path(chat), "{'text':'x'}"), 503, "maintenance");
	ck_assert_str_eq(json_str(a.json, "detail"), "Back at noon.");
	ck_assert_ptr_nonnull(answer_header(a, "Retry-After"));
	expect_problem(patch(ann, "/v1/me", "{'display_name':'x'}"), 503, "maintenance");
	expect_problem(post(anonymous(), "/v1/accounts", "{'name':'newcomer','password':'under the gate'}"), 503,
		"maintenance");
	expect_status(post(anonymous(), "/v1/password-reset", "{'token':'x','password':'under the gate'}"), 404);
	expect_status(get(ann, "%s", messages_path(chat)), 200);
	struct stream *s = stream_from_now(ann);
	expect_status(post(ann, "/v1/stream-tickets", NULL), 201);
	expect_status(post(root, messages_path(mine), "{'text':'x'}"), 201);
	ck_assert(json_true(expect_status(get(root, "/v1/admin/maintenance"), 200).json, "on"));
	/* A node that starts during maintenance refuses writes too. */
	struct server *other = server_join(test_server(), NULL);
	await_sends(on_server(ann, other), chat, 503);
	expect_status(del(root, "/v1/admin/maintenance"), 200);
	await_sends(ann, chat, 201);
	await_sends(on_server(ann, other), chat, 201);
	expect(s, "message");
	server_command(test_server(), NULL, "maintenance", "from", "the", "shell");
	await_sends(ann, chat, 503);
	server_command(test_server(), NULL, "maintenance", "--off");
	await_sends(ann, chat, 201);
	server_stop(other);
}
END_TEST

START_TEST(administrator_lists_and_deletes_any_chat)
{
	struct client *root = administrator(), *ann = new_user(), *ben = new_user();
	long long chat = make_group(ann, ben);
	struct stream *s = stream_from_now(ben);
	say(ann, chat, "private");
	expect(s, "message");
	expect_problem(get(ann, "/v1/admin/chats"), 403, "forbidden");
	struct answer a = expect_status(get(root, "/v1/admin/chats?limit=1&cursor=%lld", chat - 1), 200);
	ck_assert_int_eq(json_num(a.json, "chats.0.id"), chat);
	ck_assert_ptr_null(strstr(a.body, "private"));
	expect_problem(
		get(root, "%s", messages_path(chat)), 404, "not_found"); /* administrators don't read the messages */
	expect_problem(del(ann, "/v1/admin/chats/%lld", chat), 403, "forbidden");
	expect_status(del(root, "/v1/admin/chats/%lld", chat), 204);
	ck_assert_str_eq(json_str(expect(s, "chat"), "state"), "deleted");
	expect_problem(get(ann, "%s", messages_path(chat)), 404, "not_found");
	expect_problem(del(root, "/v1/admin/chats/%lld", chat), 404, "not_found");
}
END_TEST

START_TEST(chat_deleted_by_administrator_releases_its_names)
{
	struct client *root = administrator(), *ann = new_user(), *ben = new_user();
	struct stream *s = stream_from_now(ben);
	long long id = json_num(
		expect_status(post(ann, format("/v1/chats/@%s/messages", ben->name), "{'text':'one'}"), 201).json,
		"chat");
	expect_status(del(root, "/v1/admin/chats/%lld", id), 204);
	expect(s, "member");
	expect(s, "chat");
	expect(s, "message");
	ck_assert_str_eq(json_str(expect(s, "chat"), "state"), "deleted");
	struct answer a = expect_status(post(ann, format("/v1/chats/@%s/messages", ben->name), "{'text':'two'}"), 201);
	ck_assert_int_ne(json_num(a.json, "chat"), id);
	a = expect_status(
		post(ann, "/v1/chats", "{'kind':'channel','title':'News','handle':'%s.news'}", ann->name), 201);
	expect_status(del(root, "/v1/admin/chats/%lld", json_num(a.json, "id")), 204);
	expect_status(post(ann, "/v1/chats", "{'kind':'channel','title':'News','handle':'%s.news'}", ann->name), 201);
}
END_TEST

START_TEST(log_before_returns_last_position_before_a_time)
{
	PGconn *pg = database_open(test_server());
	long long chat = make_group(new_user());
	ck_assert_int_gt(chat, 0);
	sql(pg, "select set_config('search_path', (select functions from postern.node limit 1) || ',postern', false)");
	ck_assert_str_eq(sql(pg,
				 "select count(*) from log_batch b where log_before(b.at) is distinct from (select "
				 "max(x.upto) from log_batch x where x.at < b.at)"),
		"0");
	ck_assert_str_eq(
		sql(pg, "select log_before('infinity') = log_head() and log_before('-infinity') is null"), "t");
	sql(pg,
		"create temp table log_batch as select i * 3 as upto, '2026-01-01'::timestamptz + i / 4 * interval "
		"'1 s' as at from generate_series(1, 200) i where i %% 7 > 0");
	ck_assert_str_eq(sql(pg,
				 "select count(*) from log_batch b where log_before(b.at) is distinct from (select "
				 "max(x.upto) from log_batch x where x.at < b.at)"),
		"0");
}
END_TEST

int main(void)
{
	const TTest *const tests[] = { announcement_is_sent_to_every_user,
		maintenance_mode_allows_writes_by_administrators_only, administrator_lists_and_deletes_any_chat,
		chat_deleted_by_administrator_releases_its_names, log_before_returns_last_position_before_a_time,
		NULL };
	return suite_run("admin", tests, NULL);
}
