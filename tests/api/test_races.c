/* SPDX-License-Identifier: MIT
 * Concurrent requests, interleaved by a lock in the database that holds them until both have begun. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/client.h"
#include "../lib/database.h"
#include "../lib/stream.h"
#include "../lib/suite.h"
#include "base/clock.h"

static struct wire *write_request(const struct client *who, const char *path)
{
	struct wire *w = wire_open(test_server());
	wire_send(w, "GET %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", path, who->token);
	return w;
}

START_TEST(token_revoked_during_stream_open_ends_the_stream)
{
	struct client *ann = new_user();
	struct answer made = expect_status(post(ann, "/v1/tokens", "{'label':'phone'}"), 201);
	struct client *phone = with_token(ann, json_str(made.json, "token"));
	PGconn *pg = database_open(test_server());
	sql(pg, "begin; lock table postern.member in access exclusive mode");
	struct wire *stream = write_request(phone, "/v1/stream"), *poll = write_request(phone, "/v1/poll?wait=60");
	await_waiting(pg, 1); /* both requests share the query for the user's memberships */
	expect_status(del(ann, "/v1/tokens/%lld", json_num(made.json, "id")), 204);
	sql(pg, "commit");
	expect_problem(wire_answer(stream), 401, "unauthorized");
	expect_problem(wire_answer(poll), 401, "unauthorized");
}
END_TEST

START_TEST(token_revoked_during_open_of_another_stream_leaves_it_open)
{
	struct client *ann = new_user(), *ben = new_user();
	long long chat = make_group(ann, ben),
		  other = json_num(expect_status(post(ann, "/v1/tokens", "{'label':'phone'}"), 201).json, "id");
	PGconn *pg = database_open(test_server());
	sql(pg, "begin; lock table postern.member in access exclusive mode");
	struct wire *w = write_request(ann, "/v1/stream");
	await_waiting(pg, 1);
	expect_status(del(ann, "/v1/tokens/%lld", other), 204);
	sql(pg, "commit");
	struct stream *s = stream_on(w);
	expect(s, "hello");
	expect_message(s, say(ben, chat, "still here"));
}
END_TEST

START_TEST(password_changed_during_sign_in_refuses_the_old_one)
{
	struct client *ann = new_user();
	PGconn *pg = database_open(test_server());
	char *body = format("{\"name\":\"%s\",\"password\":\"" PASSWORD "\"}", ann->name);
	sql(pg, "begin; update postern.account set password_hash = 'another' where name = '%s'", ann->name);
	struct wire *w = wire_open(test_server());
	wire_send(w,
		"POST /v1/session HTTP/1.1\r\nHost: x\r\nSec-Fetch-Site: same-origin\r\nContent-Length: %zu\r\n\r\n%s",
		strlen(body), body);
	await_waiting(pg, 1);
	sql(pg, "commit");
	expect_problem(wire_answer(w), 401, "bad_credentials");
}
END_TEST

/* After a restore, for example, another chat may have the id of a former direct chat. */
START_TEST(direct_chat_cache_is_dropped_in_another_history)
{
	struct client *ann = new_user(), *ben = new_user(), *eve = new_user();
	char *direct = format("/v1/chats/@%s/messages", ben->name),
	     *before = format("%s", json_str(expect_status(get(ann, "/v1/sync"), 200).json, "cursor"));
	long long old = json_num(expect_status(post(ann, direct, "{'text':'to ben'}"), 201).json, "chat");
	PGconn *pg = database_open(test_server());
	sql(pg, "update postern.chat set kind = 'group', pair = null, title = 'of eve' where id = %lld", old);
	sql(pg, "update postern.member set name = '%s' where chat_id = %lld and name = '%s'", eve->name, old,
		ben->name);
	sql(pg, "update postern.meta set value = 'another1' where key = 'epoch'");
	sql(pg,
		"select count(pg_terminate_backend(pid)) from pg_stat_activity where pid <> pg_backend_pid() and "
		"backend_type = 'client backend'");
	unsigned long long until = clock_mono_ms() + PATIENCE;
	for (struct answer a; a = get(ann, "/v1/poll?wait=0&since=%s", before),
			      a.status != 200 || json_count(a.json, "events") == 0 ||
			strcmp(json_str(a.json, "events.0.event"), "reset") != 0;)
		time_left(until, "the change of history to be detected");
	ck_assert_int_ne(json_num(expect_status(post(ann, direct, "{'text':'to ben again'}"), 201).json, "chat"), old);
	ck_assert_uint_eq(json_count(expect_status(get(eve, "%s", messages_path(old)), 200).json, "messages"), 1);
}
END_TEST

/* A call that timed out must not keep running in the database, where it would hold or wait for the log lock. */
START_TEST(send_past_its_deadline_leaves_no_running_statement)
{
	const char *const flags[] = { "--database-timeout", "1", "--send-wait", "2", NULL };
	struct server *node = server_join(test_server(), flags);
	struct client *ann = on_server(new_user(), node), *ben = on_server(new_user(), node);
	long long chat = make_group(ann, ben);
	PGconn *pg = database_open(test_server());
	sql(pg, "begin");
	sql(pg, "select pg_advisory_xact_lock(5788050871298354032)");
	expect_problem(post(ann, messages_path(chat), "{'text':'held up','key':'k'}"), 503, "database_away");
	unsigned long long until = clock_mono_ms() + PATIENCE;
	while (atoi(sql(pg, "select count(*) from pg_locks where locktype = 'advisory' and not granted")) > 0)
		time_left(until, "the statements that timed out to end");
	sql(pg, "commit");
	while (post(ann, messages_path(chat), "{'text':'held up','key':'k'}").status != 201)
		time_left(until, "sends to succeed again");
	ck_assert_uint_eq(json_count(expect_status(get(ann, "%s", messages_path(chat)), 200).json, "messages"), 1);
	server_stop(node);
}
END_TEST

/* Batches are pipelined. When one fails as a whole, the next is held back until the items of the first have been
 * retried one by one. */
START_TEST(batch_that_fails_is_not_overtaken_by_the_next)
{
	enum { LINES = 2000, POISON = 300 };
	struct client *ann = new_user();
	long long chat = make_group(ann), last = 0;
	PGconn *pg = database_open(test_server());
	sql(pg,
		"create function refuse_poison() returns trigger language plpgsql as $$ begin if new.text = 'poison' "
		"then raise 'poison'; end if; return new; end $$");
	sql(pg, "create trigger poison before insert on postern.message for each row execute function refuse_poison()");
	char *body = on_teardown(free, malloc(LINES * 32)), *at = body;
	for (int i = 0; i < LINES; i++)
		at += i == POISON ? sprintf(at, "{\"text\":\"poison\"}\n") : sprintf(at, "{\"text\":\"%d\"}\n", i);
	struct answer a = expect_status(post_as(ann, messages_path(chat), "application/x-ndjson", body), 200);
	sql(pg, "drop trigger poison on postern.message");
	int line = 0;
	for (char *s = a.body, *end; (end = strchr(s, '\n')) != NULL; s = end + 1, line++) {
		int status = atoi(strstr(s, "\"status\":") + 9);
		const char *id = strstr(s, "\"id\":");
		ck_assert_msg(status == (line == POISON ? 500 : 201), "line %d: %.100s", line, s);
		if (status != 201)
			continue;
		ck_assert_msg(atoll(id + 5) > last, "line %d has id %lld, after %lld", line, atoll(id + 5), last);
		last = atoll(id + 5);
	}
	ck_assert_int_eq(line, LINES);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		token_revoked_during_stream_open_ends_the_stream,
		token_revoked_during_open_of_another_stream_leaves_it_open,
		password_changed_during_sign_in_refuses_the_old_one,
		send_past_its_deadline_leaves_no_running_statement,
		batch_that_fails_is_not_overtaken_by_the_next,
		direct_chat_cache_is_dropped_in_another_history,
		NULL,
	};
	return suite_run("races", tests, (const char *const[]) { "--rate-sends", "0", "--rate-actions", "0", NULL });
}
