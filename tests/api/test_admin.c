/* SPDX-License-Identifier: MIT
 * What administrators of the server do, and nobody else: announcements, maintenance, chats. */
#include <string.h>

#include "../lib/client.h"
#include "../lib/database.h"
#include "../lib/stream.h"
#include "../lib/suite.h"
#include "base/clock.h"

static struct client *administrator(void)
{
	struct client *c = somebody();
	sql(database(house()), "update postern.account set admin = true where name = '%s'", c->name);
	return c;
}

START_TEST(announcements_reach_everybody)
{
	struct client *root = administrator(), *ann = somebody(), *ben = somebody();
	struct stream *sa = live(ann);
	refused(post(ann, "/v1/admin/announcements", "{'text':'mine'}"), 403, "forbidden");
	struct answer a = is(post(root, "/v1/admin/announcements", "{'text':'We move on Sunday.'}"), 201);
	ck_assert_str_eq(str(hear(sa, "announcement"), "text"), "We move on Sunday.");
	ck_assert_str_eq(str(is(get(ben, "/v1/sync"), 200).json, "announcements.0.text"), "We move on Sunday.");
	is(post(root, "/v1/admin/announcements", "{'text':'later','until':'2999-01-01T00:00:00Z'}"), 201);
	ck_assert_uint_eq(count(is(get(ben, "/v1/announcements"), 200).json, "announcements"), 2);
	refused(post(root, "/v1/admin/announcements", "{'text':'x','until':'2001-01-01T00:00:00Z'}"), 422,
		"out_of_range");
	refused(post(root, "/v1/admin/announcements", "{'text':''}"), 422, "empty_text");
	refused(del(ann, "/v1/admin/announcements/%lld", num(a.json, "id")), 403, "forbidden");
	hear(sa, "announcement");
	is(del(root, "/v1/admin/announcements/%lld", num(a.json, "id")), 204);
	struct json_object *gone = hear(sa, "announcement");
	ck_assert_int_eq(num(gone, "id"), num(a.json, "id"));
	ck_assert_str_eq(str(gone, "state"), "deleted");
	refused(del(root, "/v1/admin/announcements/%lld", num(a.json, "id")), 404, "not_found");
	a = is(get(ben, "/v1/announcements"), 200);
	ck_assert_uint_eq(count(a.json, "announcements"), 1);
	server_command(house(), NULL, "announce", "from", "the", "command", "line");
	ck_assert_str_eq(str(hear(sa, "announcement"), "text"), "from the command line");
	a = is(get(root, "/v1/admin/audit?limit=1"), 200);
	ck_assert_str_eq(str(a.json, "acts.0.act"), "announced");
	ck_assert_str_eq(str(a.json, "acts.0.actor"), "server");
	is(post(root, "/v1/admin/announcements", "{'text':'short','until':'2998-01-01T00:00:00Z'}"), 201);
	sql(database(house()), "update postern.announcement set until = clock_timestamp() where text = 'short'");
	PGconn *pg = database(house());
	sql(pg, "select set_config('search_path', (select functions from postern.node limit 1) || ',postern', false)");
	sql(pg, "select upkeep('7 d', '30 d', 1000)");
	ck_assert_str_eq(sql(pg, "select count(*) from postern.announcement where text = 'short'"), "0");
}
END_TEST

static void await_sends(const struct client *who, long long chat, int status)
{
	unsigned long long until = clock_mono_ms() + PATIENCE;
	while (post(who, messages(chat), "{'text':'x'}").status != status)
		left(until, "maintenance");
}

START_TEST(during_maintenance_only_administrators_write)
{
	struct client *root = administrator(), *ann = somebody();
	long long chat = group(ann), mine = group(root);
	refused(put(ann, "/v1/admin/maintenance", "{'text':'x'}"), 403, "forbidden");
	refused(get(ann, "/v1/admin/maintenance"), 403, "forbidden");
	is(put(root, "/v1/admin/maintenance", "{'text':'Back at noon.'}"), 200);
	await_sends(ann, chat, 503);
	struct answer a = refused(post(ann, messages(chat), "{'text':'x'}"), 503, "maintenance");
	ck_assert_str_eq(str(a.json, "detail"), "Back at noon.");
	ck_assert_ptr_nonnull(header(a, "Retry-After"));
	refused(patch(ann, "/v1/me", "{'display_name':'x'}"), 503, "maintenance");
	refused(post(nobody(), "/v1/accounts", "{'name':'newcomer','password':'under the gate'}"), 503, "maintenance");
	is(post(nobody(), "/v1/password-reset", "{'token':'x','password':'under the gate'}"), 404);
	is(get(ann, "%s", messages(chat)), 200);
	struct stream *s = live(ann);
	is(post(ann, "/v1/stream-tickets", NULL), 201);
	is(post(root, messages(mine), "{'text':'x'}"), 201);
	ck_assert(yes(is(get(root, "/v1/admin/maintenance"), 200).json, "on"));
	/* Whoever starts in the middle of it knows. */
	struct server *other = server_join(house(), NULL);
	await_sends(via(ann, other), chat, 503);
	is(del(root, "/v1/admin/maintenance"), 200);
	await_sends(ann, chat, 201);
	await_sends(via(ann, other), chat, 201);
	expect(s, "message");
	server_command(house(), NULL, "maintenance", "from", "the", "shell");
	await_sends(ann, chat, 503);
	server_command(house(), NULL, "maintenance", "--off");
	await_sends(ann, chat, 201);
	server_stop(other);
}
END_TEST

START_TEST(administrators_see_all_chats_and_may_delete_them)
{
	struct client *root = administrator(), *ann = somebody(), *ben = somebody();
	long long chat = group(ann, ben);
	struct stream *s = live(ben);
	say(ann, chat, "private");
	expect(s, "message");
	refused(get(ann, "/v1/admin/chats"), 403, "forbidden");
	struct answer a = is(get(root, "/v1/admin/chats?limit=1&cursor=%lld", chat - 1), 200);
	ck_assert_int_eq(num(a.json, "chats.0.id"), chat);
	ck_assert_ptr_null(strstr(a.body, "private"));
	refused(get(root, "%s", messages(chat)), 404, "not_found"); /* what is written there isn't theirs */
	refused(del(ann, "/v1/admin/chats/%lld", chat), 403, "forbidden");
	is(del(root, "/v1/admin/chats/%lld", chat), 204);
	ck_assert_str_eq(str(expect(s, "chat"), "state"), "deleted");
	refused(get(ann, "%s", messages(chat)), 404, "not_found");
	refused(del(root, "/v1/admin/chats/%lld", chat), 404, "not_found");
}
END_TEST

START_TEST(what_they_delete_leaves_its_names_free)
{
	struct client *root = administrator(), *ann = somebody(), *ben = somebody();
	struct stream *s = live(ben);
	long long id =
		num(is(post(ann, format("/v1/chats/@%s/messages", ben->name), "{'text':'one'}"), 201).json, "chat");
	is(del(root, "/v1/admin/chats/%lld", id), 204);
	expect(s, "member");
	expect(s, "chat");
	expect(s, "message");
	ck_assert_str_eq(str(expect(s, "chat"), "state"), "deleted");
	struct answer a = is(post(ann, format("/v1/chats/@%s/messages", ben->name), "{'text':'two'}"), 201);
	ck_assert_int_ne(num(a.json, "chat"), id);
	a = is(post(ann, "/v1/chats", "{'kind':'channel','title':'News','handle':'%s.news'}", ann->name), 201);
	is(del(root, "/v1/admin/chats/%lld", num(a.json, "id")), 204);
	is(post(ann, "/v1/chats", "{'kind':'channel','title':'News','handle':'%s.news'}", ann->name), 201);
}
END_TEST

START_TEST(a_time_is_found_among_the_positions)
{
	PGconn *pg = database(house());
	long long chat = group(somebody());
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
	const TTest *const tests[] = { announcements_reach_everybody, during_maintenance_only_administrators_write,
		administrators_see_all_chats_and_may_delete_them, what_they_delete_leaves_its_names_free,
		a_time_is_found_among_the_positions, NULL };
	return suite_run("admin", tests, NULL);
}
