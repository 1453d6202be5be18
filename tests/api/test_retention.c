/* SPDX-License-Identifier: MIT
 * Retention of messages: who sets it, which events it causes, and that every trace of expired messages is removed. */
#include <stdio.h>
#include <stdlib.h>
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

static char *chat_path(long long chat) { return format("/v1/chats/%lld", chat); }
static char *admin_path(long long chat) { return format("/v1/admin/chats/%lld", chat); }

/* Creates a group with system messages. */
static long long make_group_with_system_messages(const struct client *owner, const struct client *other)
{
	return json_num(expect_status(post(owner, "/v1/chats",
					      "{'kind':'group','title':'x','members':['%s'],'system_messages':'all'}",
					      other->name),
				201)
				.json,
		"id");
}

/* Makes the chat's messages up to that id two hours older, and its retention due. */
static void make_older(long long chat, long long upto)
{
	PGconn *pg = database_open(test_server());
	sql(pg, "update postern.message set at = at - interval '2 hours' where chat_id = %lld and id <= %lld", chat,
		upto);
	sql(pg,
		"update postern.report set message = jsonb_set(message, '{at}', to_jsonb((message ->> "
		"'at')::timestamptz - interval '2 hours'))"
		" where chat_id = %lld and message_id <= %lld",
		chat, upto);
	sql(pg, "update postern.retention_due set due_at = now() where chat_id = %lld", chat);
}

static long long send_reply(const struct client *who, long long chat, long long id, const char *text)
{
	return json_num(
		expect_status(post(who, messages_path(chat), "{'text':'%s','reply_to':%lld}", text, id), 201).json,
		"id");
}

static const char *count_rows(PGconn *pg, const char *table, long long chat, const char *what)
{
	return sql(pg, "select count(*) from postern.%s where chat_id = %lld and %s", table, chat, what);
}

/* Waits until the table has that many rows of the chat. */
static void await_rows(PGconn *pg, const char *table, long long chat, const char *n)
{
	unsigned long long until = clock_mono_ms() + PATIENCE;
	while (strcmp(count_rows(pg, table, chat, "true"), n) != 0)
		time_left(until, table);
}

/* Waits until the index for searches has that many messages of the chat. */
static void await_entries(PGconn *pg, long long chat, unsigned n)
{
	unsigned long long until = clock_mono_ms() + PATIENCE;
	while (search_entries(pg, chat, format("#%lld", chat)) != n)
		time_left(until, "the index");
}

/* ---- settings and events ---- */

START_TEST(retention_of_chat_is_set_by_administrators_only)
{
	struct client *root = administrator(), *ann = new_user(), *ben = new_user();
	PGconn *pg = database_open(test_server());
	long long chat = make_group_with_system_messages(ann, ben);
	struct stream *s = stream_from_now(ben);
	expect_problem(patch(ann, admin_path(chat), "{'retention':3600}"), 403, "forbidden");
	expect_problem(patch(ann, chat_path(chat), "{'retention':3600}"), 422, "unknown_field");
	expect_problem(patch(root, admin_path(chat), "{'retention':30}"), 422, "out_of_range"); /* under an hour */
	expect_problem(patch(root, admin_path(chat), "{'retention':-1}"), 422, "out_of_range");
	expect_problem(patch(root, admin_path(chat), "{'retention':1000000001}"), 422, "out_of_range");
	expect_problem(patch(root, admin_path(chat), "{'retention':'1h'}"), 422, "wrong_type");
	ck_assert(!json_has(expect_status(get(ben, "%s", chat_path(chat)), 200).json, "retention"));

	struct answer a = expect_status(patch(root, admin_path(chat), "{'retention':3600}"), 200);
	ck_assert_int_eq(json_num(a.json, "retention"), 3600);
	ck_assert_int_eq(json_num(a.json, "retention_own"), 3600);
	struct json_object *e = expect(s, "chat");
	ck_assert_int_eq(json_num(e, "retention"), 3600);
	ck_assert(!json_has(e, "retention_own"));
	e = expect_system(s, "retention_changed");
	ck_assert_int_eq(json_num(e, "content.retention"), 3600);
	ck_assert_str_eq(json_str(e, "from"), root->name);
	ck_assert_int_eq(json_num(expect_status(get(ben, "%s", chat_path(chat)), 200).json, "retention"), 3600);
	expect_status(patch(root, admin_path(chat), "{'retention':3600}"), 200); /* the same value again */
	expect_status(patch(root, admin_path(chat), "{}"), 200);
	expect_quiet(s);

	a = expect_status(get(ann, "%s/audit", chat_path(chat)), 200);
	ck_assert_str_eq(json_str(a.json, "acts.0.act"), "retention_changed");
	ck_assert_str_eq(json_str(a.json, "acts.0.actor"), root->name);
	ck_assert_int_eq(json_num(a.json, "acts.0.details.retention"), 3600);
	ck_assert_uint_eq(json_count(a.json, "acts"), 1);
	a = expect_status(get(root, "/v1/admin/audit?limit=1"), 200);
	ck_assert_str_eq(json_str(a.json, "acts.0.act"), "retention_changed");
	ck_assert_int_eq(json_num(a.json, "acts.0.details.chat"), chat);

	a = expect_status(patch(root, admin_path(chat), "{'retention':0}"), 200);
	ck_assert(!json_has(a.json, "retention") && !json_has(a.json, "retention_own"));
	ck_assert(!json_has(expect(s, "chat"), "retention"));
	long long id = say(ann, chat, "stays");
	make_older(chat, id);
	ck_assert_str_eq(count_rows(pg, "retention_due", chat, "true"), "0");
	expect_status(get(ann, "%s", message_path(chat, id)), 200);
}
END_TEST

START_TEST(retention_deletions_are_replayed)
{
	struct client *root = administrator(), *ann = new_user();
	long long chat = make_group(ann), old = say(ann, chat, "old"), new = say(ann, chat, "new");
	struct stream *s = stream_from_now(ann);
	const char *cursor = stream_cursor(s);
	expect_status(patch(root, admin_path(chat), "{'retention':3600}"), 200);
	ck_assert_int_eq(json_num(expect(s, "chat"), "retention"), 3600);
	make_older(chat, old);
	ck_assert_int_eq(json_num(expect(s, "deleted"), "id"), old);
	stream_cut(s);
	s = stream_since(ann, cursor);
	ck_assert_int_eq(json_num(expect(s, "chat"), "retention"), 3600);
	ck_assert_int_eq(json_num(expect(s, "deleted"), "id"), old);
	expect_quiet(s);
	/* Another node replays the same from the tables. */
	struct server *other = server_join(test_server(), NULL);
	s = stream_since(on_server(ann, other), cursor);
	ck_assert_int_eq(json_num(expect(s, "chat"), "retention"), 3600);
	ck_assert_int_eq(json_num(expect(s, "deleted"), "id"), old);
	expect_status(get(ann, "%s", message_path(chat, new)), 200);
	server_stop(other);
}
END_TEST

/* ---- removal ---- */

/* Asserts what members read after the messages before `after` have been removed. `begin` began the thread. */
static void expect_removed_for_members(
	const struct client *ann, const struct client *ben, long long chat, long long begin, long long after)
{
	expect_problem(get(ben, "%s", message_path(chat, begin)), 410, "gone");
	expect_problem(patch(ann, message_path(chat, begin), "{'text':'x'}"), 410, "gone");
	expect_problem(get(ben, "%s/edits", message_path(chat, begin)), 410, "gone");
	expect_status(get(ben, "%s/thread", message_path(chat, begin)), 200); /* the answers stay */
	struct answer a = expect_status(get(ben, "%s", messages_path(chat)), 200);
	ck_assert_uint_eq(json_count(a.json, "messages"), 2);
	ck_assert_int_eq(json_num(a.json, "messages.0.id"), after);
	ck_assert(!json_has(a.json, "messages.0.reply") && !json_has(a.json, "older"));
	ck_assert_uint_eq(
		json_count(expect_status(get(ben, "%s?before=%lld", messages_path(chat), after), 200).json, "messages"),
		0);
	ck_assert_uint_eq(json_count(expect_status(get(ben, "%s/pins", chat_path(chat)), 200).json, "messages"), 0);
	a = expect_status(get(ben, "%s/threads", chat_path(chat)), 200); /* listed while it has replies */
	ck_assert_uint_eq(json_count(a.json, "threads"), 1);
	ck_assert_int_eq(json_num(a.json, "threads.0.thread"), begin);
	ck_assert(json_true(a.json, "threads.0.deleted") && !json_has(a.json, "threads.0.root"));
	a = expect_status(get(ben, "%s/thread", message_path(chat, after)), 200); /* its first message is a tombstone */
	ck_assert_uint_eq(json_count(a.json, "messages"), 1);
	ck_assert(!json_has(a.json, "root"));
	ck_assert_uint_eq(json_count(expect_status(get(ben, "/v1/mentions"), 200).json, "mentions"), 0);
	ck_assert_uint_eq(
		json_count(expect_status(get(ben, "/v1/search?q=zanzibar&chat=%lld", chat), 200).json, "results"), 2);
}

/* Asserts which rows remain and what is counted from them. `after` and `last` are the remaining messages. */
static void expect_removed_rows(PGconn *pg, const struct client *ben, long long chat, long long after, long long last)
{
	await_entries(pg, chat, 2);
	struct answer a = expect_status(get(ben, "%s", chat_path(chat)), 200);
	ck_assert_int_eq(json_num(a.json, "unread"), 2);
	ck_assert_int_eq(json_num(a.json, "first_unread"), after);
	ck_assert_int_eq(json_num(a.json, "last_message.id"), last);
	ck_assert_str_eq(count_rows(pg, "message_version", chat, "true"), "0");
	ck_assert_str_eq(count_rows(pg, "reaction", chat, "true"), "0");
	ck_assert_str_eq(count_rows(pg, "mention", chat, "true"), "0");
	ck_assert_str_eq(count_rows(pg, "thread_mark", chat, "true"), "1");
	ck_assert_str_eq(count_rows(pg, "tombstone", chat, "true"), "7");
}

START_TEST(retention_removes_every_trace_of_old_messages)
{
	struct client *root = administrator(), *ann = new_user(), *ben = new_user();
	PGconn *pg = database_open(test_server());
	long long chat = make_group_with_system_messages(ann, ben);
	expect_status(patch(root, admin_path(chat), "{'retention':3600}"), 200);
	expect_status(patch(ann, chat_path(chat), "{'title':'y'}"), 200); /* a system message */
	long long begin = say(ann, chat, "zanzibar begins");
	expect_status(patch(ann, message_path(chat, begin), "{'text':'zanzibar is edited'}"), 200);
	expect_status(put(ann, format("%s/pin", message_path(chat, begin)), NULL), 200);
	expect_status(put(ben, format("%s/reactions/%%F0%%9F%%91%%8D", message_path(chat, begin)), NULL), 200);
	char *mentioning = format("zanzibar @%s and @all", ben->name);
	long long mention = say(ann, chat, mentioning);
	long long reply = send_reply(ben, chat, begin, "zanzibar reply");
	expect_status(post(ben, format("%s/report", message_path(chat, mention)), "{'reason':'spam'}"), 204);
	expect_status(post(ann, format("%s/report", message_path(chat, mention)), "{'reason':'mine'}"), 204);
	long long after = send_reply(ann, chat, begin, "zanzibar answer"), last = say(ann, chat, "zanzibar last");
	expect_status(post(ben, format("%s/thread/read", message_path(chat, begin)), "{'up_to':%lld}", reply), 204);
	await_entries(pg, chat, 9); /* system messages too */
	ck_assert_uint_eq(
		json_count(expect_status(get(ben, "/v1/search?q=zanzibar&chat=%lld", chat), 200).json, "results"), 5);
	struct answer a = expect_status(get(root, "/v1/admin/reports?state=open&limit=1"), 200);
	expect_status(
		post(root, format("/v1/admin/reports/%lld/resolve", json_num(a.json, "reports.0.id")), NULL), 200);

	struct stream *s = stream_from_now(ben);
	int old = atoi(count_rows(pg, "message", chat, format("id <= %lld", reply)));
	ck_assert_int_eq(old, 7); /* three texts; the system messages of creation, retention, title and pin */
	make_older(chat, reply);
	long long rev = 0, id = 0;
	for (int i = 0; i < old; i++) {
		struct json_object *e = expect(s, "deleted");
		ck_assert_int_gt(json_num(e, "rev"), rev);
		ck_assert_int_gt(json_num(e, "id"), id);
		rev = json_num(e, "rev");
		id = json_num(e, "id");
	}
	ck_assert_int_eq(id, reply);
	expect_quiet(s);

	expect_removed_for_members(ann, ben, chat, begin, after);
	expect_removed_rows(pg, ben, chat, after, last);
	ck_assert_str_eq(count_rows(pg, "report", chat, "true"), "1"); /* the open report */
	const char *number = sql(pg, "select id from postern.report where chat_id = %lld", chat);
	expect_status(post(root, format("/v1/admin/reports/%s/resolve", number), NULL), 200);
	await_rows(pg, "report", chat, "0");

	/* The remaining messages expire. */
	make_older(chat, last);
	expect(s, "deleted");
	expect(s, "deleted");
	a = expect_status(get(ben, "%s", chat_path(chat)), 200);
	ck_assert_int_eq(json_num(a.json, "unread"), 0);
	ck_assert(!json_has(a.json, "last_message") && !json_has(a.json, "first_unread"));
	ck_assert_str_eq(count_rows(pg, "thread_mark", chat, "true"), "0");
	ck_assert_str_eq(count_rows(pg, "thread_rootless", chat, "true"), "0");
	expect_problem(post(ann, messages_path(chat), "{'text':'x','reply_to':%lld}", last), 422, "unknown_reply_to");
	expect_message(s, say(ann, chat, "goes on"));
}
END_TEST

/* A batch has at most 50 messages, so that no other chat waits until all of a large one are removed. */
START_TEST(retention_of_many_messages_works_in_small_batches)
{
	enum { MANY = 1000 };
	struct client *root = administrator(), *ann = new_user();
	PGconn *pg = database_open(test_server());
	long long large = make_group(ann), small = make_group(ann);
	double removed = metric(test_server(), "postern_retention_removed_total");
	char line[32], bulk[MANY * 20] = "";
	for (int i = 0; i < MANY; i++) {
		snprintf(line, sizeof(line), "{\"text\":\"%d\"}\n", i);
		strcat(bulk, line);
	}
	expect_status(post_as(ann, messages_path(large), "application/x-ndjson", bulk), 200);
	long long one = say(ann, small, "one"), kept = say(ann, large, "kept");
	struct stream *s = stream_from_now(ann);
	make_older(large, kept - 1);
	make_older(small, one);
	expect_status(patch(root, admin_path(large), "{'retention':3600}"), 200);
	expect_status(patch(root, admin_path(small), "{'retention':3600}"), 200);
	/* The first deletions may come before the second chat's event. */
	int turn = 0, of_small = -1, chats = 0;
	while (turn < MANY + 1 || chats < 2) {
		if (strcmp(stream_peek(s), "chat") == 0) {
			expect(s, "chat");
			chats++;
			continue;
		}
		if (json_num(expect(s, "deleted"), "chat") == small)
			of_small = turn;
		turn++;
	}
	ck_assert_msg(of_small >= 0 && of_small < MANY / 2, "%d were removed before it", of_small);
	await_metric(test_server(), "postern_retention_removed_total", removed + MANY + 1);
	await_metric(test_server(), "postern_retention_behind_seconds", 0);
	ck_assert_int_eq(
		json_num(expect_status(get(ann, "%s", messages_path(large)), 200).json, "messages.0.id"), kept);
	ck_assert_str_eq(count_rows(pg, "message", large, "true"), "1");
	/* Each batch is a row of the log. */
	ck_assert_str_eq(
		sql(pg,
			"select max(t.n) <= 50 from (select count(*) as n from postern.tombstone t, lateral (select "
			"b.upto"
			" from postern.log_batch b where b.upto >= t.rev order by b.upto limit 1) b where t.chat_id "
			"= %lld group by b.upto) t",
			large),
		"t");
}
END_TEST

START_TEST(retention_on_several_nodes_deletes_each_message_once)
{
	enum { EACH = 20, CHATS = 5 };
	struct client *root = administrator(), *ann = new_user();
	struct server *other = server_join(test_server(), NULL);
	double removed = metric(test_server(), "postern_retention_removed_total");
	long long chats[CHATS], last = 0;
	for (int i = 0; i < CHATS; i++) {
		chats[i] = make_group(ann);
		expect_status(patch(root, admin_path(chats[i]), "{'retention':3600}"), 200);
		for (int n = 0; n < EACH; n++)
			last = say(ann, chats[i], "x");
	}
	struct stream *s = stream_from_now(on_server(ann, other));
	for (int i = 0; i < CHATS; i++)
		make_older(chats[i], last);
	for (int i = 0; i < EACH * CHATS; i++)
		expect(s, "deleted");
	expect_quiet(s);
	unsigned long long until = clock_mono_ms() + PATIENCE;
	while (metric(test_server(), "postern_retention_removed_total") - removed +
			metric(other, "postern_retention_removed_total") <
		EACH * CHATS)
		time_left(until, "both nodes' counts");
	server_stop(other);
	expect_status(get(ann, "/readyz"), 200);
	ck_assert(!server_logged(test_server(), " retention: "));
}
END_TEST

START_TEST(retention_runs_again_when_next_message_is_due)
{
	struct client *root = administrator(), *ann = new_user();
	long long chat = make_group(ann);
	PGconn *pg = database_open(test_server());
	expect_status(patch(root, admin_path(chat), "{'retention':36000}"), 200);
	struct stream *s = stream_from_now(ann);
	long long first = say(ann, chat, "first"), second = say(ann, chat, "second");
	expect_message(s, first);
	expect_message(s, second);
	sql(pg, "update postern.message set at = at - interval '11 hours' where id = %lld", first);
	sql(pg, "update postern.message set at = at - interval '9 hours' where id = %lld", second);
	sql(pg, "update postern.retention_due set due_at = now() where chat_id = %lld", chat);
	ck_assert_int_eq(json_num(expect(s, "deleted"), "id"), first);
	ck_assert_str_eq(sql(pg,
				 "select due_at - now() between interval '58 minutes' and interval '60 minutes' from "
				 "postern.retention_due"
				 " where chat_id = %lld",
				 chat),
		"t");
	/* A message that is due soon waits for others, for up to a sixtieth of ten hours. */
	sql(pg, "update postern.message set at = now() - interval '9 hours 59 minutes' where id = %lld", second);
	say(ann, chat, "third");
	expect(s, "message");
	sql(pg, "update postern.message set at = at - interval '11 hours' where id = %lld", second);
	sql(pg, "update postern.retention_due set due_at = now() where chat_id = %lld", chat);
	ck_assert_int_eq(json_num(expect(s, "deleted"), "id"), second);
	ck_assert_str_eq(
		sql(pg, "select due_at - now() > interval '9 hours' from postern.retention_due where chat_id = %lld",
			chat),
		"t");
}
END_TEST

/* The trigger stands for what makes a deletion fail: the jobs put the message off and go on with the others. */
START_TEST(jobs_put_off_message_that_fails_alone)
{
	struct client *root = administrator(), *ann = new_user();
	PGconn *pg = database_open(test_server());
	long long bad_chat = make_group(ann), good_chat = make_group(ann), chat = make_group(ann);
	double retention = metric(test_server(), "postern_follower_skipped_total{follower=\"retention\"}"),
	       expiry = metric(test_server(), "postern_follower_skipped_total{follower=\"expiry\"}");
	sql(pg,
		"create function public.refuse_deletion() returns trigger language plpgsql as "
		"$$ begin if old.text = 'indelible' then raise 'indelible'; end if; return old; end $$");
	sql(pg,
		"create trigger refuse_deletion before delete on postern.message for each row "
		"execute function public.refuse_deletion()");
	long long first = say(ann, chat, "indelible"), second = say(ann, chat, "delible");
	sql(pg,
		"update postern.message set expires_at = now() - interval '1 minute' * (%lld - id) "
		"where chat_id = %lld",
		second + 1, chat);
	expect_status(patch(root, admin_path(bad_chat), "{'retention':3600}"), 200);
	expect_status(patch(root, admin_path(good_chat), "{'retention':3600}"), 200);
	long long bad = say(ann, bad_chat, "indelible"), good = say(ann, good_chat, "delible");
	make_older(bad_chat, bad);
	make_older(good_chat, good);
	unsigned long long until = clock_mono_ms() + PATIENCE;
	while (get(ann, "%s", message_path(good_chat, good)).status != 410)
		time_left(until, "the retention of the other chat");
	while (get(ann, "%s", message_path(chat, second)).status != 410)
		time_left(until, "the other message that has expired");
	expect_status(get(ann, "%s", message_path(bad_chat, bad)), 200);
	expect_status(get(ann, "%s", message_path(chat, first)), 200);
	await_metric(test_server(), "postern_follower_skipped_total{follower=\"retention\"}", retention + 1);
	await_metric(test_server(), "postern_follower_skipped_total{follower=\"expiry\"}", expiry + 1);
	ck_assert(server_logged(test_server(), format("chat %lld", bad_chat)));
	sql(pg, "drop function public.refuse_deletion() cascade");
	sql(pg, "update postern.retention_due set due_at = now() where chat_id = %lld", bad_chat);
	until = clock_mono_ms() + PATIENCE;
	while (get(ann, "%s", message_path(bad_chat, bad)).status != 410)
		time_left(until, "the message that was put off");
}
END_TEST

/* ---- the default for all chats ---- */

static void await_applied(const struct client *root)
{
	unsigned long long until = clock_mono_ms() + PATIENCE;
	while (!json_true(expect_status(get(root, "/v1/admin/retention"), 200).json, "applied"))
		time_left(until, "the default to be applied to every chat");
}

START_TEST(retention_default_applies_to_every_chat)
{
	struct client *root = administrator(), *ann = new_user(), *ben = new_user();
	long long chat = make_group(ann), own = make_group(ann), gone = make_group(ann), old = say(ann, chat, "old"),
		  stays = say(ann, own, "stays");
	say(ann, chat, "new");
	expect_status(post(ann, format("/v1/chats/@%s/messages", ben->name), "{'text':'direct'}"), 201);
	expect_status(patch(root, admin_path(own), "{'retention':864000}"), 200);
	expect_status(del(ann, "%s", chat_path(gone)), 204);
	for (int i = 0; i < 120; i++) /* more than a batch */
		make_group(root);
	make_older(chat, old);
	make_older(own, stays);
	expect_problem(patch(ann, "/v1/admin/retention", "{'retention':3600}"), 403, "forbidden");
	expect_problem(get(ann, "/v1/admin/retention"), 403, "forbidden");
	expect_problem(patch(root, "/v1/admin/retention", "{}"), 422, "missing_field");
	expect_problem(patch(root, "/v1/admin/retention", "{'retention':365}"), 422, "out_of_range");
	ck_assert(!json_has(expect_status(get(root, "/v1/admin/retention"), 200).json, "retention"));
	struct stream *s = stream_from_now(ann);
	ck_assert_int_eq(json_num(expect_status(patch(root, "/v1/admin/retention", "{'retention':3600}"), 200).json,
				 "retention"),
		3600);
	long long made = make_group(ann); /* during the removal */
	ck_assert_int_eq(json_num(expect_status(get(ann, "%s", chat_path(made)), 200).json, "retention"), 3600);
	await_applied(root);
	for (int changed = 0; changed < 2;) { /* the group and the direct chat */
		struct json_object *e = expect(s, strcmp(stream_peek(s), "member") == 0 ? "member" : "chat");
		ck_assert_int_ne(json_has(e, "id") ? json_num(e, "id") : 0, own);
		if (json_has(e, "id") && json_num(e, "id") != made) {
			ck_assert_int_eq(json_num(e, "retention"), 3600);
			changed++;
		}
	}
	unsigned long long until = clock_mono_ms() + PATIENCE;
	while (get(ann, "%s", message_path(chat, old)).status != 410)
		time_left(until, "the message to be removed");
	ck_assert_int_eq(json_num(expect_status(get(ben, "/v1/chats/@%s", ann->name), 200).json, "retention"), 3600);
	ck_assert_int_eq(json_num(expect_status(get(ann, "%s", chat_path(own)), 200).json, "retention"), 864000);
	ck_assert_str_eq(sql(database_open(test_server()),
				 "select count(*) from postern.chat where state = 'active' and retention_own is null"
				 " and retention is distinct from 3600"),
		"0");
	expect_status(get(ann, "%s", message_path(own, stays)), 200);

	/* After a chat's own setting is removed, the default applies. */
	ck_assert_int_eq(
		json_num(expect_status(patch(root, admin_path(own), "{'retention':0}"), 200).json, "retention"), 3600);
	until = clock_mono_ms() + PATIENCE;
	while (get(ann, "%s", message_path(own, stays)).status != 410)
		time_left(until, "the message to be removed");
	/* Without the default every message is kept. */
	expect_status(patch(root, "/v1/admin/retention", "{'retention':0}"), 200);
	await_applied(root);
	ck_assert(!json_has(expect_status(get(ann, "%s", chat_path(chat)), 200).json, "retention"));
	ck_assert(!json_has(expect_status(get(ann, "%s", chat_path(make_group(ann))), 200).json, "retention"));
	ck_assert_str_eq(sql(database_open(test_server()),
				 "select count(*) from postern.retention_due d join postern.chat c on c.id = d.chat_id"
				 " where c.retention is null"),
		"0");
}
END_TEST

int main(void)
{
	const TTest *const tests[] = { retention_of_chat_is_set_by_administrators_only,
		retention_deletions_are_replayed, retention_removes_every_trace_of_old_messages,
		retention_of_many_messages_works_in_small_batches, retention_on_several_nodes_deletes_each_message_once,
		retention_runs_again_when_next_message_is_due, jobs_put_off_message_that_fails_alone,
		retention_default_applies_to_every_chat, NULL };
	return suite_run("retention", tests, NULL);
}
