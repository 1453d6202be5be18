/* SPDX-License-Identifier: MIT
 * How long messages are kept: who says so, who hears of it, and that nothing is left of what was too old. */
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
	struct client *c = somebody();
	sql(database(house()), "update postern.account set admin = true where name = '%s'", c->name);
	return c;
}

static char *chat_path(long long chat) { return format("/v1/chats/%lld", chat); }
static char *admin_path(long long chat) { return format("/v1/admin/chats/%lld", chat); }

/* A group that tells what happens in it. */
static long long telling_group(const struct client *owner, const struct client *other)
{
	return num(is(post(owner, "/v1/chats", "{'kind':'group','title':'x','members':['%s'],'system_messages':'all'}",
			      other->name),
			   201)
			   .json,
		"id");
}

/* Two hours pass for that chat's messages up to that one, and somebody has a look. */
static void age(long long chat, long long upto)
{
	PGconn *pg = database(house());
	sql(pg, "update postern.message set at = at - interval '2 hours' where chat_id = %lld and id <= %lld", chat,
		upto);
	sql(pg,
		"update postern.report set message = jsonb_set(message, '{at}', to_jsonb((message ->> "
		"'at')::timestamptz - interval '2 hours'))"
		" where chat_id = %lld and message_id <= %lld",
		chat, upto);
	sql(pg, "update postern.retention_due set due_at = now() where chat_id = %lld", chat);
}

static long long reply_to(const struct client *who, long long chat, long long id, const char *text)
{
	return num(is(post(who, messages(chat), "{'text':'%s','reply_to':%lld}", text, id), 201).json, "id");
}

static const char *left_in(PGconn *pg, const char *table, long long chat, const char *what)
{
	return sql(pg, "select count(*) from postern.%s where chat_id = %lld and %s", table, chat, what);
}

/* Until there are that many: the index for searches comes behind. */
static void await_left_in(PGconn *pg, const char *table, long long chat, const char *n)
{
	unsigned long long until = clock_mono_ms() + PATIENCE;
	while (strcmp(left_in(pg, table, chat, "true"), n) != 0)
		left(until, table);
}

/* ---- who says so, and who hears of it ---- */

START_TEST(administrators_say_how_long_a_chat_is_kept)
{
	struct client *root = administrator(), *ann = somebody(), *ben = somebody();
	PGconn *pg = database(house());
	long long chat = telling_group(ann, ben);
	struct stream *s = live(ben);
	refused(patch(ann, admin_path(chat), "{'retention':3600}"), 403, "forbidden");
	refused(patch(ann, chat_path(chat), "{'retention':3600}"), 422, "unknown_field");
	refused(patch(root, admin_path(chat), "{'retention':30}"), 422, "out_of_range"); /* days, rather */
	refused(patch(root, admin_path(chat), "{'retention':-1}"), 422, "out_of_range");
	refused(patch(root, admin_path(chat), "{'retention':1000000001}"), 422, "out_of_range");
	refused(patch(root, admin_path(chat), "{'retention':'1h'}"), 422, "wrong_type");
	ck_assert(!has(is(get(ben, "%s", chat_path(chat)), 200).json, "retention"));

	struct answer a = is(patch(root, admin_path(chat), "{'retention':3600}"), 200);
	ck_assert_int_eq(num(a.json, "retention"), 3600);
	ck_assert_int_eq(num(a.json, "retention_own"), 3600);
	struct json_object *e = expect(s, "chat");
	ck_assert_int_eq(num(e, "retention"), 3600);
	ck_assert(!has(e, "retention_own"));
	e = expect_system(s, "retention_changed");
	ck_assert_int_eq(num(e, "content.retention"), 3600);
	ck_assert_str_eq(str(e, "from"), root->name);
	ck_assert_int_eq(num(is(get(ben, "%s", chat_path(chat)), 200).json, "retention"), 3600);
	is(patch(root, admin_path(chat), "{'retention':3600}"), 200); /* nothing new */
	is(patch(root, admin_path(chat), "{}"), 200);
	expect_quiet(s);

	a = is(get(ann, "%s/audit", chat_path(chat)), 200);
	ck_assert_str_eq(str(a.json, "acts.0.act"), "retention_changed");
	ck_assert_str_eq(str(a.json, "acts.0.actor"), root->name);
	ck_assert_int_eq(num(a.json, "acts.0.details.retention"), 3600);
	ck_assert_uint_eq(count(a.json, "acts"), 1);
	a = is(get(root, "/v1/admin/audit?limit=1"), 200);
	ck_assert_str_eq(str(a.json, "acts.0.act"), "retention_changed");
	ck_assert_int_eq(num(a.json, "acts.0.details.chat"), chat);

	a = is(patch(root, admin_path(chat), "{'retention':0}"), 200);
	ck_assert(!has(a.json, "retention") && !has(a.json, "retention_own"));
	ck_assert(!has(expect(s, "chat"), "retention"));
	long long id = say(ann, chat, "stays");
	age(chat, id);
	ck_assert_str_eq(left_in(pg, "retention_due", chat, "true"), "0");
	is(get(ann, "%s", message(chat, id)), 200);
}
END_TEST

START_TEST(whoever_was_away_hears_of_it)
{
	struct client *root = administrator(), *ann = somebody();
	long long chat = group(ann), old = say(ann, chat, "old"), new = say(ann, chat, "new");
	struct stream *s = live(ann);
	const char *cursor = stream_cursor(s);
	is(patch(root, admin_path(chat), "{'retention':3600}"), 200);
	ck_assert_int_eq(num(expect(s, "chat"), "retention"), 3600);
	age(chat, old);
	ck_assert_int_eq(num(expect(s, "deleted"), "id"), old);
	stream_cut(s);
	s = live_since(ann, cursor);
	ck_assert_int_eq(num(expect(s, "chat"), "retention"), 3600);
	ck_assert_int_eq(num(expect(s, "deleted"), "id"), old);
	expect_quiet(s);
	/* From the tables it is the same. */
	struct server *other = server_join(house(), NULL);
	s = live_since(via(ann, other), cursor);
	ck_assert_int_eq(num(expect(s, "chat"), "retention"), 3600);
	ck_assert_int_eq(num(expect(s, "deleted"), "id"), old);
	is(get(ann, "%s", message(chat, new)), 200);
	server_stop(other);
}
END_TEST

/* ---- what is left ---- */

START_TEST(nothing_is_left_of_what_is_too_old)
{
	struct client *root = administrator(), *ann = somebody(), *ben = somebody();
	PGconn *pg = database(house());
	long long chat = telling_group(ann, ben);
	is(patch(root, admin_path(chat), "{'retention':3600}"), 200);
	is(patch(ann, chat_path(chat), "{'title':'y'}"), 200); /* a system message */
	long long begin = say(ann, chat, "zanzibar begins");
	is(patch(ann, message(chat, begin), "{'text':'zanzibar is edited'}"), 200);
	is(put(ann, to("%s/pin", message(chat, begin)), NULL), 200);
	is(put(ben, to("%s/reactions/%%F0%%9F%%91%%8D", message(chat, begin)), NULL), 200);
	char *mentioning = format("zanzibar @%s and @all", ben->name);
	long long mention = say(ann, chat, mentioning);
	long long reply = reply_to(ben, chat, begin, "zanzibar reply");
	is(post(ben, to("%s/report", message(chat, mention)), "{'reason':'spam'}"), 204);
	is(post(ann, to("%s/report", message(chat, mention)), "{'reason':'mine'}"), 204);
	long long after = reply_to(ann, chat, begin, "zanzibar answer"), last = say(ann, chat, "zanzibar last");
	is(post(ben, to("%s/thread/read", message(chat, begin)), "{'up_to':%lld}", reply), 204);
	await_left_in(pg, "search_entry", chat, "9"); /* system messages too */
	ck_assert_uint_eq(count(is(get(ben, "/v1/search?q=zanzibar&chat=%lld", chat), 200).json, "results"), 5);
	struct answer a = is(get(root, "/v1/admin/reports?state=open&limit=1"), 200);
	is(post(root, to("/v1/admin/reports/%lld/resolve", num(a.json, "reports.0.id")), NULL), 200);

	struct stream *s = live(ben);
	int old = atoi(left_in(pg, "message", chat, format("id <= %lld", reply)));
	ck_assert_int_eq(old, 7); /* three of them the system's: it is new, its retention, its title; and the pin's */
	age(chat, reply);
	long long rev = 0, id = 0;
	for (int i = 0; i < old; i++) {
		struct json_object *e = expect(s, "deleted");
		ck_assert_int_gt(num(e, "rev"), rev);
		ck_assert_int_gt(num(e, "id"), id);
		rev = num(e, "rev");
		id = num(e, "id");
	}
	ck_assert_int_eq(id, reply);
	expect_quiet(s);

	refused(get(ben, "%s", message(chat, begin)), 410, "gone");
	refused(patch(ann, message(chat, begin), "{'text':'x'}"), 410, "gone");
	refused(get(ben, "%s/edits", message(chat, begin)), 410, "gone");
	refused(get(ben, "%s/thread", message(chat, begin)), 410, "gone");
	a = is(get(ben, "%s", messages(chat)), 200);
	ck_assert_uint_eq(count(a.json, "messages"), 2);
	ck_assert_int_eq(num(a.json, "messages.0.id"), after);
	ck_assert(!has(a.json, "messages.0.reply") && !has(a.json, "older"));
	ck_assert_uint_eq(count(is(get(ben, "%s?before=%lld", messages(chat), after), 200).json, "messages"), 0);
	ck_assert_uint_eq(count(is(get(ben, "%s/pins", chat_path(chat)), 200).json, "messages"), 0);
	a = is(get(ben, "%s/threads", chat_path(chat)), 200); /* as long as there are replies */
	ck_assert_uint_eq(count(a.json, "threads"), 1);
	ck_assert_int_eq(num(a.json, "threads.0.thread"), begin);
	ck_assert(yes(a.json, "threads.0.deleted") && !has(a.json, "threads.0.root"));
	a = is(get(ben, "%s/thread", message(chat, after)), 200); /* what is left of it */
	ck_assert_uint_eq(count(a.json, "messages"), 1);
	ck_assert(!has(a.json, "root"));
	ck_assert_uint_eq(count(is(get(ben, "/v1/mentions"), 200).json, "mentions"), 0);
	ck_assert_uint_eq(count(is(get(ben, "/v1/search?q=zanzibar&chat=%lld", chat), 200).json, "results"), 2);
	await_left_in(pg, "search_entry", chat, "2");
	a = is(get(ben, "%s", chat_path(chat)), 200);
	ck_assert_int_eq(num(a.json, "unread"), 2);
	ck_assert_int_eq(num(a.json, "first_unread"), after);
	ck_assert_int_eq(num(a.json, "last_message.id"), last);
	ck_assert_str_eq(left_in(pg, "message_version", chat, "true"), "0");
	ck_assert_str_eq(left_in(pg, "reaction", chat, "true"), "0");
	ck_assert_str_eq(left_in(pg, "mention", chat, "true"), "0");
	ck_assert_str_eq(left_in(pg, "thread_mark", chat, "true"), "1");
	ck_assert_str_eq(left_in(pg, "tombstone", chat, "true"), "7");
	ck_assert_str_eq(left_in(pg, "report", chat, "true"), "1"); /* the open one */
	const char *number = sql(pg, "select id from postern.report where chat_id = %lld", chat);
	is(post(root, to("/v1/admin/reports/%s/resolve", number), NULL), 200);
	await_left_in(pg, "report", chat, "0");

	/* And the rest. */
	age(chat, last);
	expect(s, "deleted");
	expect(s, "deleted");
	a = is(get(ben, "%s", chat_path(chat)), 200);
	ck_assert_int_eq(num(a.json, "unread"), 0);
	ck_assert(!has(a.json, "last_message") && !has(a.json, "first_unread"));
	ck_assert_str_eq(left_in(pg, "thread_mark", chat, "true"), "0");
	ck_assert_str_eq(left_in(pg, "thread_rootless", chat, "true"), "0");
	refused(post(ann, messages(chat), "{'text':'x','reply_to':%lld}", last), 422, "unknown_reply_to");
	expect_message(s, say(ann, chat, "goes on"));
}
END_TEST

/* The chunk is 50: none waits for all of another's. */
START_TEST(many_go_in_small_batches)
{
	enum { MANY = 1000 };
	struct client *root = administrator(), *ann = somebody();
	PGconn *pg = database(house());
	long long large = group(ann), small = group(ann);
	double removed = metric(house(), "postern_retention_removed_total");
	char line[32], bulk[MANY * 20] = "";
	for (int i = 0; i < MANY; i++) {
		snprintf(line, sizeof(line), "{\"text\":\"%d\"}\n", i);
		strcat(bulk, line);
	}
	is(post_as(ann, messages(large), "application/x-ndjson", bulk), 200);
	long long one = say(ann, small, "one"), kept = say(ann, large, "kept");
	struct stream *s = live(ann);
	age(large, kept - 1);
	age(small, one);
	is(patch(root, admin_path(large), "{'retention':3600}"), 200);
	is(patch(root, admin_path(small), "{'retention':3600}"), 200);
	expect(s, "chat");
	expect(s, "chat");
	int turn = 0, of_small = -1;
	for (; turn < MANY + 1; turn++)
		if (num(expect(s, "deleted"), "chat") == small)
			of_small = turn;
	ck_assert_msg(of_small >= 0 && of_small < MANY / 2, "%d were removed before it", of_small);
	await_metric(house(), "postern_retention_removed_total", removed + MANY + 1);
	await_metric(house(), "postern_retention_behind_seconds", 0);
	ck_assert_int_eq(num(is(get(ann, "%s", messages(large)), 200).json, "messages.0.id"), kept);
	ck_assert_str_eq(left_in(pg, "message", large, "true"), "1");
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

START_TEST(of_several_nodes_one_works_and_each_message_goes_once)
{
	enum { EACH = 20, CHATS = 5 };
	struct client *root = administrator(), *ann = somebody();
	struct server *other = server_join(house(), NULL);
	double removed = metric(house(), "postern_retention_removed_total");
	long long chats[CHATS], last = 0;
	for (int i = 0; i < CHATS; i++) {
		chats[i] = group(ann);
		is(patch(root, admin_path(chats[i]), "{'retention':3600}"), 200);
		for (int n = 0; n < EACH; n++)
			last = say(ann, chats[i], "x");
	}
	struct stream *s = live(via(ann, other));
	for (int i = 0; i < CHATS; i++)
		age(chats[i], last);
	for (int i = 0; i < EACH * CHATS; i++)
		expect(s, "deleted");
	expect_quiet(s);
	unsigned long long until = clock_mono_ms() + PATIENCE;
	while (metric(house(), "postern_retention_removed_total") - removed +
			metric(other, "postern_retention_removed_total") <
		EACH * CHATS)
		left(until, "what they count");
	server_stop(other);
	is(get(ann, "/readyz"), 200);
	ck_assert(!server_logged(house(), " retention: "));
}
END_TEST

START_TEST(it_comes_back_when_the_next_one_is_due)
{
	struct client *root = administrator(), *ann = somebody();
	long long chat = group(ann);
	PGconn *pg = database(house());
	is(patch(root, admin_path(chat), "{'retention':36000}"), 200);
	struct stream *s = live(ann);
	long long first = say(ann, chat, "first"), second = say(ann, chat, "second");
	expect_message(s, first);
	expect_message(s, second);
	sql(pg, "update postern.message set at = at - interval '11 hours' where id = %lld", first);
	sql(pg, "update postern.message set at = at - interval '9 hours' where id = %lld", second);
	sql(pg, "update postern.retention_due set due_at = now() where chat_id = %lld", chat);
	ck_assert_int_eq(num(expect(s, "deleted"), "id"), first);
	ck_assert_str_eq(sql(pg,
				 "select due_at - now() between interval '58 minutes' and interval '60 minutes' from "
				 "postern.retention_due"
				 " where chat_id = %lld",
				 chat),
		"t");
	/* What is due in a moment waits for others to go with it: a sixtieth of ten hours. */
	sql(pg, "update postern.message set at = now() - interval '9 hours 59 minutes' where id = %lld", second);
	say(ann, chat, "third");
	expect(s, "message");
	sql(pg, "update postern.message set at = at - interval '11 hours' where id = %lld", second);
	sql(pg, "update postern.retention_due set due_at = now() where chat_id = %lld", chat);
	ck_assert_int_eq(num(expect(s, "deleted"), "id"), second);
	ck_assert_str_eq(
		sql(pg, "select due_at - now() > interval '9 hours' from postern.retention_due where chat_id = %lld",
			chat),
		"t");
}
END_TEST

/* ---- for all ---- */

static void await_applied(const struct client *root)
{
	unsigned long long until = clock_mono_ms() + PATIENCE;
	while (!yes(is(get(root, "/v1/admin/retention"), 200).json, "applied"))
		left(until, "the retention of all chats");
}

START_TEST(it_may_hold_for_all)
{
	struct client *root = administrator(), *ann = somebody(), *ben = somebody();
	long long chat = group(ann), own = group(ann), gone = group(ann), old = say(ann, chat, "old"),
		  stays = say(ann, own, "stays");
	say(ann, chat, "new");
	is(post(ann, to("/v1/chats/@%s/messages", ben->name), "{'text':'direct'}"), 201);
	is(patch(root, admin_path(own), "{'retention':864000}"), 200);
	is(del(ann, "%s", chat_path(gone)), 204);
	for (int i = 0; i < 120; i++) /* more than a batch */
		group(root);
	age(chat, old);
	age(own, stays);
	refused(patch(ann, "/v1/admin/retention", "{'retention':3600}"), 403, "forbidden");
	refused(get(ann, "/v1/admin/retention"), 403, "forbidden");
	refused(patch(root, "/v1/admin/retention", "{}"), 422, "missing_field");
	refused(patch(root, "/v1/admin/retention", "{'retention':365}"), 422, "out_of_range");
	ck_assert(!has(is(get(root, "/v1/admin/retention"), 200).json, "retention"));
	struct stream *s = live(ann);
	ck_assert_int_eq(
		num(is(patch(root, "/v1/admin/retention", "{'retention':3600}"), 200).json, "retention"), 3600);
	long long made = group(ann); /* in the middle of it */
	ck_assert_int_eq(num(is(get(ann, "%s", chat_path(made)), 200).json, "retention"), 3600);
	await_applied(root);
	for (int told = 0; told < 2;) { /* the group and the direct chat */
		struct json_object *e = expect(s, strcmp(peek(s), "member") == 0 ? "member" : "chat");
		ck_assert_int_ne(has(e, "id") ? num(e, "id") : 0, own);
		if (has(e, "id") && num(e, "id") != made) {
			ck_assert_int_eq(num(e, "retention"), 3600);
			told++;
		}
	}
	unsigned long long until = clock_mono_ms() + PATIENCE;
	while (get(ann, "%s", message(chat, old)).status != 410)
		left(until, "the message to go");
	ck_assert_int_eq(num(is(get(ben, "/v1/chats/@%s", ann->name), 200).json, "retention"), 3600);
	ck_assert_int_eq(num(is(get(ann, "%s", chat_path(own)), 200).json, "retention"), 864000);
	ck_assert_str_eq(sql(database(house()),
				 "select count(*) from postern.chat where state = 'active' and retention_own is null"
				 " and retention is distinct from 3600"),
		"0");
	is(get(ann, "%s", message(own, stays)), 200);

	/* What was said of one ends: it is as all others. */
	ck_assert_int_eq(num(is(patch(root, admin_path(own), "{'retention':0}"), 200).json, "retention"), 3600);
	until = clock_mono_ms() + PATIENCE;
	while (get(ann, "%s", message(own, stays)).status != 410)
		left(until, "the message to go");
	/* And then all stay. */
	is(patch(root, "/v1/admin/retention", "{'retention':0}"), 200);
	await_applied(root);
	ck_assert(!has(is(get(ann, "%s", chat_path(chat)), 200).json, "retention"));
	ck_assert(!has(is(get(ann, "%s", chat_path(group(ann))), 200).json, "retention"));
	ck_assert_str_eq(sql(database(house()),
				 "select count(*) from postern.retention_due d join postern.chat c on c.id = d.chat_id"
				 " where c.retention is null"),
		"0");
}
END_TEST

int main(void)
{
	const TTest *const tests[] = { administrators_say_how_long_a_chat_is_kept, whoever_was_away_hears_of_it,
		nothing_is_left_of_what_is_too_old, many_go_in_small_batches,
		of_several_nodes_one_works_and_each_message_goes_once, it_comes_back_when_the_next_one_is_due,
		it_may_hold_for_all, NULL };
	return suite_run("retention", tests, NULL);
}
