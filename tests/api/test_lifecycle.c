/* SPDX-License-Identifier: MIT
 * The life of credentials and accounts: when credentials were last used, and what remains of a deleted account. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/client.h"
#include "../lib/database.h"
#include "../lib/stream.h"
#include "../lib/suite.h"
#include "base/clock.h"

/* ---- when credentials were last used ---- */

/* Finds the caller's credential with that id in the list. */
static struct json_object *credential(const struct client *who, long long id)
{
	struct answer a = expect_status(get(who, "/v1/tokens"), 200);
	for (size_t i = 0; i < json_count(a.json, "tokens"); i++)
		if (json_num(a.json, format("tokens.%zu.id", i)) == id)
			return json_at(a.json, format("tokens.%zu", i));
	ck_abort_msg("%lld isn't in %s", id, a.body);
}

static struct json_object *await_use(const struct client *who, long long id)
{
	unsigned long long until = clock_mono_ms() + PATIENCE;
	struct json_object *c;
	while (!json_has(c = credential(who, id), "last_used_at"))
		time_left(until, "the use to be recorded");
	return c;
}

static struct answer new_token(const struct client *who)
{
	return expect_status(post(who, "/v1/tokens", "{'label':'phone'}"), 201);
}

START_TEST(credential_shows_time_and_address_of_last_use)
{
	const char *const flags[] = { "--trusted-proxies", "127.0.0.1", NULL };
	struct server *behind = server_join(test_server(), flags);
	struct client *ann = new_user();
	struct answer made = new_token(ann);
	ck_assert(!json_has(made.json, "last_used_at"));
	ck_assert(!json_has(credential(ann, json_num(made.json, "id")), "last_used_at"));
	struct client *phone = with_token(ann, json_str(made.json, "token"));
	expect_status(
		get(with_header(with_header(phone, "User-Agent: Pocket/1 (\xd0\xb1)"), "X-Forwarded-For: 203.0.113.7"),
			"/v1/me"),
		200);
	struct json_object *c = await_use(ann, json_num(made.json, "id"));
	ck_assert_str_eq(json_str(c, "last_address"), "127.0.0.1"); /* which isn't a trusted proxy here */
	ck_assert_str_eq(json_str(c, "user_agent"), "Pocket/1 (\xd0\xb1)");
	ck_assert_str_ge(json_str(c, "last_used_at"), json_str(c, "created_at"));

	made = new_token(ann);
	expect_status(get(with_header(with_header(on_server(with_token(ann, json_str(made.json, "token")), behind),
					      "X-Forwarded-For: 198.51.100.1, 203.0.113.7"),
				  "User-Agent: %0300d", 1),
			      "/v1/me"),
		200);
	c = await_use(ann, json_num(made.json, "id"));
	ck_assert_str_eq(json_str(c, "last_address"), "203.0.113.7");
	ck_assert_uint_eq(strlen(json_str(c, "user_agent")), 200);

	made = new_token(ann); /* a stream, with a header that isn't UTF-8 */
	expect(stream_open(with_header(with_token(ann, json_str(made.json, "token")), "User-Agent: \xff"), NULL),
		"hello");
	ck_assert(!json_has(await_use(ann, json_num(made.json, "id")), "user_agent"));
	server_stop(behind);
}
END_TEST

START_TEST(credential_use_is_written_at_most_every_few_minutes)
{
	struct server *other = server_join(test_server(), NULL);
	PGconn *db = database_open(test_server());
	struct client *ann = new_user();
	struct answer made = new_token(ann), later_made = new_token(ann);
	struct client *phone = with_token(ann, json_str(made.json, "token"));
	long long id = json_num(made.json, "id");
	expect_status(get(with_header(phone, "User-Agent: one"), "/v1/me"), 200);
	await_use(ann, id);
	/* Neither this worker nor another, which sees the token for the first time, records more uses. */
	for (int i = 0; i < 20; i++)
		expect_status(
			get(with_header(i % 2 ? phone : on_server(phone, other), "User-Agent: two"), "/v1/me"), 200);
	/* A use of the phone that the other node has recorded would be written no later than this one. */
	expect_status(get(on_server(with_token(ann, json_str(later_made.json, "token")), other), "/v1/me"), 200);
	await_use(ann, json_num(later_made.json, "id"));
	ck_assert_str_eq(json_str(credential(ann, id), "user_agent"), "one");

	sql(db,
		"update postern.credential set last_used_at = clock_timestamp() - interval '10 minutes' where id = "
		"%lld",
		id);
	struct server *third = server_join(test_server(), NULL);
	expect_status(get(with_header(on_server(phone, third), "User-Agent: three"), "/v1/me"), 200);
	unsigned long long until = clock_mono_ms() + PATIENCE;
	while (strcmp(json_str(credential(ann, id), "user_agent"), "three") != 0)
		time_left(until, "a later use to be recorded");
	server_stop(third);
	server_stop(other);
}
END_TEST

/* ---- deletion of an account ---- */

static struct client *sign_in(const struct client *who, struct answer *ret)
{
	*ret = post(with_header(with_header(anonymous(), "Origin: %s", server_url(who->server)), "Accept: */*"),
		"/v1/session", "{'name':'%s','password':'" PASSWORD "'}", who->name);
	return with_token(who, json_str(expect_status(*ret, 201).json, "token"));
}

static struct answer delete_me(const struct client *who, const char *password)
{
	char *body = format("{\"password\":\"%s\"}", password);
	return send_request(who, "DELETE", "/v1/me", "application/json", body, strlen(body));
}

/* Waits until only the second pass is left to do. */
static void await_erased(PGconn *db, const struct client *who)
{
	unsigned long long until = clock_mono_ms() + PATIENCE;
	while (*sql(db, "select 1 from postern.erasure where name = '%s' and part <> 'settle'", who->name) != '\0')
		time_left(until, "the account's data to be erased");
}

/* Waits for the second pass too, after making it due. */
static void await_settled(PGconn *db, const struct client *who)
{
	unsigned long long until = clock_mono_ms() + PATIENCE;
	await_erased(db, who);
	sql(db, "update postern.erasure set deleted_at = clock_timestamp() - interval '1 hour' where name = '%s'",
		who->name);
	while (*sql(db, "select 1 from postern.erasure where name = '%s'", who->name) != '\0')
		time_left(until, "the second look");
}

START_TEST(account_deletion_from_session_requires_the_password)
{
	struct client *ann = new_user(), *ben = new_user();
	struct answer in;
	struct client *page = sign_in(ann, &in);
	expect_status(patch(ann, "/v1/me", "{'display_name':'Ann','about':'here'}"), 200);
	expect_problem(del(page, "/v1/me"), 422, "missing_field");
	double failed = metric(test_server(), "postern_logins_failed_total");
	expect_problem(delete_me(page, "over the wall"), 401, "bad_credentials");
	expect_problem(
		delete_me(ann, "over the wall"), 401, "bad_credentials"); /* a password that is given must be right */
	ck_assert_double_eq(metric(test_server(), "postern_logins_failed_total"), failed + 2);
	expect_problem(
		send_request(page, "DELETE", "/v1/me", "application/json", "{\"pass\":1}", 10), 422, "unknown_field");
	expect_problem(del(anonymous(), "/v1/me"), 401, "unauthorized");
	struct client *cookie = with_header(anonymous(), "Cookie: postern_session=%s", page->token);
	expect_problem(delete_me(cookie, PASSWORD), 403, "origin_required");
	struct stream *s = stream_from_now(ann), *other = stream_open(page, NULL);
	expect(other, "hello");
	struct answer a =
		expect_status(delete_me(with_header(cookie, "Origin: %s", server_url(test_server())), PASSWORD), 204);
	ck_assert_ptr_nonnull(strstr(expect_header(a, "Set-Cookie"), "postern_session=;"));
	expect_end(s);
	expect_end(other);
	expect_problem(get(ann, "/v1/me"), 401, "unauthorized");
	expect_problem(del(ann, "/v1/me"), 401, "unauthorized");
	expect_problem(post(with_header(anonymous(), "Origin: %s", server_url(test_server())), "/v1/session",
			       "{'name':'%s','password':'" PASSWORD "'}", ann->name),
		401, "bad_credentials");
	a = expect_status(get(ben, "/v1/users/%s", ann->name), 200);
	ck_assert_str_eq(json_str(a.json, "state"), "deleted");
	ck_assert(!json_has(a.json, "display_name") && !json_has(a.json, "about"));
	ck_assert_uint_eq(json_count(expect_status(get(ben, "/v1/users?q=%s", ann->name), 200).json, "users"), 0);
	char *why;
	const char *const again[] = { "user", "add", ann->name, "--state", server_state(test_server()), NULL };
	ck_assert_int_ne(server_try(again, 60, &why), 0);
	ck_assert_msg(strstr(why, "There is a user") != NULL, "%s", why);
	const char *const enable[] = { "user", "enable", ann->name, "--state", server_state(test_server()), NULL };
	ck_assert_int_ne(server_try(enable, 60, &why), 0);
}
END_TEST

START_TEST(account_deletion_with_token_needs_no_password)
{
	struct client *ann = new_user();
	expect_status(del(ann, "/v1/me"), 204);
	expect_problem(get(ann, "/v1/me"), 401, "unauthorized");
	expect_problem(post(ann, "/v1/tokens", NULL), 401, "unauthorized");
}
END_TEST

START_TEST(account_deletion_password_guesses_are_limited_like_sign_in)
{
	const char *const flags[] = { "--rate-logins", "3", NULL };
	struct server *node = server_join(test_server(), flags);
	struct client *ann = on_server(new_user(), node);
	for (int i = 0; i < 3; i++)
		expect_problem(delete_me(ann, "over the wall"), 401, "bad_credentials");
	ck_assert_ptr_nonnull(
		answer_header(expect_problem(delete_me(ann, PASSWORD), 429, "rate_limited"), "Retry-After"));
	expect_status(get(ann, "/v1/me"), 200);
	server_stop(node);
}
END_TEST

static void expect_owner_deletion(
	struct stream *s, const struct client *who, const struct client *new_owner, long long chat)
{
	struct json_object *e = expect(s, "user");
	ck_assert_str_eq(json_str(e, "name"), who->name);
	ck_assert_str_eq(json_str(e, "state"), "deleted");
	e = expect(s, "member");
	ck_assert_str_eq(json_str(e, "name"), who->name);
	ck_assert_str_eq(json_str(e, "state"), "left");
	e = expect(s, "member");
	ck_assert_str_eq(json_str(e, "name"), new_owner->name);
	ck_assert_str_eq(json_str(e, "role"), "owner");
	e = expect(s, "chat");
	ck_assert_int_eq(json_num(e, "id"), chat);
	ck_assert_int_eq(json_num(e, "members_count"), 2);
}

START_TEST(group_after_deletion_of_owner_has_another_owner)
{
	struct client *ann = new_user(), *ben = new_user(), *cid = new_user(), *dan = new_user();
	long long chat = make_group(ann, ben, cid, dan), alone = make_group(ann);
	expect_status(put(ann, member_path(chat, cid), "{'role':'admin'}"), 200);
	expect_status(del(dan, "%s", member_path(chat, dan)), 204);
	long long id = say(ann, chat, "stays"), bens = say(ben, chat, "of ben");
	expect_status(put(ann, format("%s/reactions/%%F0%%9F%%91%%8D", message_path(chat, bens)), NULL), 200);
	struct stream *s = stream_from_now(ben), *former = stream_from_now(dan);
	char *before = format("%s", stream_cursor(s));
	expect_status(del(ann, "/v1/me"), 204);
	expect_owner_deletion(s, ann, cid, chat);
	expect_owner_deletion(
		stream_since(ben, before), ann, cid, chat); /* a stream that was closed gets the same events */
	expect_quiet(s);
	expect_quiet(former);
	struct answer a = expect_status(get(ben, "%s", message_path(chat, id)), 200);
	ck_assert_str_eq(json_str(a.json, "from"), ann->name);
	ck_assert_str_eq(json_str(a.json, "text"), "stays");
	ck_assert_uint_eq(
		json_count(expect_status(get(ben, "%s/reactions", message_path(chat, bens)), 200).json, "reactions"),
		1);
	ck_assert_uint_eq(json_count(expect_status(get(ben, "/v1/chats/%lld/members", chat), 200).json, "members"), 2);
	expect_problem(put(cid, member_path(chat, ann), NULL), 422, "unknown_user");
	PGconn *db = database_open(test_server());
	await_erased(db, ann);
	ck_assert_str_eq(sql(db, "select state from postern.chat where id = %lld", alone), "deleted");
}
END_TEST

START_TEST(send_after_account_deletion_is_refused)
{
	struct client *ann = new_user(), *ben = new_user(), *cid = new_user();
	long long chat = json_num(
		expect_status(post(ben, "/v1/chats", "{'kind':'direct','members':['%s']}", ann->name), 201).json, "id");
	long long self = json_num(
		expect_status(post(ann, "/v1/chats", "{'kind':'direct','members':['%s']}", ann->name), 201).json, "id");
	PGconn *db = database_open(test_server());
	say(ann, chat, "hello");
	say(ann, self, "to myself");
	struct stream *s = stream_from_now(ben), *anns = stream_from_now(ann);
	ck_assert_str_eq(json_str(expect_ephemeral(s, "presence"), "state"), "online");
	expect_status(del(ann, "/v1/me"), 204);
	struct json_object *p = expect_ephemeral(s, "presence");
	ck_assert_str_eq(json_str(p, "name"), ann->name);
	ck_assert_str_eq(json_str(p, "state"), "offline");
	ck_assert_str_eq(json_str(expect(s, "user"), "state"), "deleted");
	expect_end(anns);
	await_erased(db, ann);
	expect_problem(post(ben, messages_path(chat), "{'text':'are you there?'}"), 403, "user_deleted");
	expect_problem(post(ben, format("/v1/chats/@%s/messages", ann->name), "{'text':'are you there?'}"), 403,
		"user_deleted");
	struct answer a = expect_status(
		post_as(ben, messages_path(chat), "application/x-ndjson", "{\"text\":\"one\"}\n{\"text\":\"two\"}\n"),
		200);
	ck_assert_ptr_nonnull(strstr(a.body, "user_deleted"));
	expect_problem(post(ben, format("/v1/chats/%lld/typing", chat), NULL), 403, "user_deleted");
	expect_problem(put(ben, format("/v1/blocks/%s", ann->name), NULL), 404, "not_found");
	expect_status(del(ben, "/v1/blocks/%s", ann->name), 204);
	expect_problem(post(ben, messages_path(chat), "{'text':'now?'}"), 403, "user_deleted");
	expect_problem(put(ben, format("/v1/contacts/%s", ann->name), NULL), 404, "not_found");
	expect_problem(post(cid, format("/v1/chats/@%s/messages", ann->name), "{'text':'hi'}"), 404, "not_found");
	expect_problem(post(cid, "/v1/chats", "{'kind':'direct','members':['%s']}", ann->name), 422, "unknown_user");
	a = expect_status(get(ben, "%s", messages_path(chat)), 200);
	ck_assert_uint_eq(json_count(a.json, "messages"), 1);
	ck_assert_str_eq(json_str(expect_status(get(ben, "/v1/chats/%lld", chat), 200).json, "peer"), ann->name);
	ck_assert_str_eq(sql(db, "select state from postern.chat where id = %lld", self), "deleted");
	expect_status(del(ben, "/v1/me"), 204); /* the last member of the chat */
	await_erased(db, ben);
	ck_assert_str_eq(sql(db, "select state from postern.chat where id = %lld", chat), "deleted");
}
END_TEST

START_TEST(account_deletion_leaves_no_personal_data)
{
	struct client *ann = new_user(), *ben = new_user();
	PGconn *db = database_open(test_server());
	long long chat = make_group(ben, ann);
	struct stream *s = stream_from_now(ann);
	long long id = say(ben, chat, format("@%s, look", ann->name));
	expect(s, "message");
	expect_status(post(ann, format("/v1/chats/%lld/read", chat), "{'up_to':%lld}", id), 204);
	expect_status(post(ann, format("%s/thread/read", message_path(chat, id)), "{'up_to':%lld}", id), 204);
	expect_status(put(ann, format("/v1/contacts/%s", ben->name), NULL), 200);
	expect_status(put(ben, format("/v1/contacts/%s", ann->name), NULL), 200);
	expect_status(put(ann, format("/v1/blocks/%s", ben->name), NULL), 204);
	expect_status(put(ben, format("/v1/blocks/%s", ann->name), NULL), 204);
	expect_status(post(ann, "/v1/stream-tickets", NULL), 201);
	server_command(test_server(), NULL, "user", "reset-link", ann->name);
	server_command(test_server(), NULL, "user", "delete", ann->name);
	expect_end(s);
	server_command(test_server(), NULL, "user", "delete", ann->name); /* repeated: nothing happens */
	await_settled(db, ann);
	static const char *const traces[] = { "credential", "password_reset", "contact", "block", "seen", "watermark",
		"thread_mark", "mention", "erasure", "chat_request", "stranger_rate" };
	for (size_t i = 0; i < sizeof(traces) / sizeof(traces[0]); i++)
		ck_assert_msg(*sql(db, "select 1 from postern.%s where name = '%s'", traces[i], ann->name) == '\0',
			"%s", traces[i]);
	ck_assert_str_eq(sql(db, "select count(*) from postern.contact where contact = '%s'", ann->name), "0");
	ck_assert_str_eq(sql(db, "select count(*) from postern.block where blocked = '%s'", ann->name), "0");
	ck_assert_str_eq(
		sql(db,
			"select count(*) from postern.account where name = '%s' and password_hash is null and not "
			"admin",
			ann->name),
		"1");
}
END_TEST

/* Requests in flight during the deletion may add rows after the first pass. */
START_TEST(account_deletion_second_pass_removes_late_rows)
{
	struct client *ann = new_user(), *ben = new_user();
	PGconn *db = database_open(test_server());
	long long chat = make_group(ben, ann);
	expect_status(del(ann, "/v1/me"), 204);
	await_erased(db, ann);
	sql(db, "update postern.member set state = 'joined' where chat_id = %lld and name = '%s'", chat, ann->name);
	sql(db, "update postern.erasure set deleted_at = clock_timestamp() - interval '1 hour' where name = '%s'",
		ann->name);
	unsigned long long until = clock_mono_ms() + PATIENCE;
	while (strcmp(sql(db, "select state from postern.member where chat_id = %lld and name = '%s'", chat, ann->name),
		       "left") != 0)
		time_left(until, "the second look");
}
END_TEST

static struct wire *write_request(const struct client *who, const char *method, const char *path, const char *body)
{
	struct wire *w = wire_open(test_server());
	wire_send(w, "%s %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: %zu\r\n\r\n%s", method,
		path, who->token, strlen(body), body);
	return w;
}

START_TEST(requests_waiting_behind_account_deletion_are_refused)
{
	struct client *ann = new_user(), *ben = new_user();
	PGconn *db = database_open(test_server());
	unsigned long long until = clock_mono_ms() + PATIENCE;
	/* No other session may wait for the lock. */
	while (*sql(db, "select 1 from postern.erasure where part <> 'settle'") != '\0')
		time_left(until, "other deletions to finish");
	expect_status(get(ann, "/v1/me"), 200);
	sql(db, "begin; select pg_advisory_xact_lock(5788050871298354032)");
	struct wire *end = write_request(ann, "DELETE", "/v1/me", "");
	await_waiting(db, 1);
	struct wire *name = write_request(ann, "PATCH", "/v1/me", "{\"display_name\":\"Ann is back\"}");
	await_waiting(db, 2);
	struct wire *chat = write_request(ann, "POST", "/v1/chats", "{\"kind\":\"group\",\"title\":\"x\"}");
	await_waiting(db, 3);
	sql(db, "commit");
	expect_status(wire_answer(end), 204);
	expect_problem(wire_answer(name), 401, "unauthorized");
	expect_problem(wire_answer(chat), 422, "unknown_user");
	struct answer a = expect_status(get(ben, "/v1/users/%s", ann->name), 200);
	ck_assert(!json_has(a.json, "display_name"));
}
END_TEST

START_TEST(administrator_deletes_accounts_except_the_last_administrator)
{
	struct client *ann = new_user(), *ben = new_user(), *root = new_user(), *other = new_user();
	PGconn *db = database_open(test_server());
	char *why;
	const char *const last[] = { "user", "delete", root->name, "--state", server_state(test_server()), NULL };
	sql(db, "update postern.account set admin = true where name = '%s'", root->name);
	expect_problem(del(root, "/v1/me"), 409, "last_administrator");
	ck_assert_int_ne(server_try(last, 60, &why), 0);
	ck_assert_msg(strstr(why, "last administrator") != NULL, "%s", why);
	expect_status(get(root, "/v1/admin/users"), 200);
	expect_problem(del(ann, "/v1/admin/users/%s", ben->name), 403, "forbidden");
	expect_problem(del(root, "/v1/admin/users/no-such-user"), 404, "not_found");
	expect_problem(del(root, "/v1/admin/users/%s", root->name), 403, "forbidden");
	server_command(test_server(), NULL, "user", "disable", ben->name); /* a disabled user can be deleted too */
	expect_status(del(root, "/v1/admin/users/%s", ben->name), 204);
	expect_status(del(root, "/v1/admin/users/%s", ben->name), 204);
	expect_problem(post(root, format("/v1/admin/users/%s/enable", ben->name), NULL), 404, "not_found");
	expect_problem(post(root, format("/v1/admin/users/%s/reset", ben->name), NULL), 404, "not_found");
	expect_problem(post(root, "/v1/admin/users", "{'name':'%s'}", ben->name), 409, "name_taken");
	struct answer a = expect_status(get(root, "/v1/admin/audit?limit=2"), 200);
	ck_assert_str_eq(json_str(a.json, "acts.0.act"), "user_deleted");
	ck_assert_str_eq(json_str(a.json, "acts.0.target"), ben->name);
	ck_assert_str_eq(json_str(a.json, "acts.1.act"), "user_disabled"); /* the second deletion did nothing */
	sql(db, "update postern.account set admin = true where name = '%s'", other->name);
	expect_status(del(root, "/v1/me"), 204);
	expect_problem(del(other, "/v1/me"), 409, "last_administrator");
}
END_TEST

/* ---- deletion with all messages ---- */

/* A server that removes the messages of deleted accounts. Lives until the program ends. */
static struct server *deleting_server(void)
{
	static const char *const flags[] = { "--deletion-removes-messages", "--rate-sends", "0", NULL };
	static struct server *s;
	if (s == NULL)
		s = server_start(flags);
	return s;
}

START_TEST(account_deletion_removes_messages_if_so_configured)
{
	struct client *ann = user_at(deleting_server(), "ann"), *ben = user_at(deleting_server(), "ben");
	PGconn *db = database_open(deleting_server());
	long long chat = make_group(ben, ann), was = make_group(ben, ann),
		  direct = json_num(
			  expect_status(post(ann, "/v1/chats", "{'kind':'direct','members':['ben']}"), 201).json, "id");
	long long first = say(ben, chat, "of ben"), mine = say(ann, chat, "@ben, of ann"),
		  before = say(ann, was, "in a chat that I left"), to_ben = say(ann, direct, "to ben");
	long long reply = json_num(
		expect_status(post(ann, messages_path(chat), "{'text':'a reply','reply_to':%lld}", first), 201).json,
		"id");
	expect_status(patch(ann, message_path(chat, mine), "{'text':'@ben, of ann, edited'}"), 200);
	expect_status(put(ann, format("%s/reactions/%%F0%%9F%%91%%8D", message_path(chat, first)), NULL), 200);
	expect_status(put(ben, format("%s/reactions/%%F0%%9F%%91%%8D", message_path(chat, first)), NULL), 200);
	expect_status(del(ann, "%s", member_path(was, ann)), 204);
	struct stream *s = stream_from_now(ben);
	expect_status(del(ann, "/v1/me"), 204);
	await_settled(db, ann);
	expect_problem(get(ben, "%s", message_path(chat, mine)), 410, "gone");
	expect_problem(get(ben, "%s", message_path(chat, reply)), 410, "gone");
	expect_problem(get(ben, "%s", message_path(was, before)), 410, "gone");
	expect_problem(get(ben, "%s", message_path(direct, to_ben)), 410, "gone");
	struct answer a = expect_status(get(ben, "%s", message_path(chat, first)), 200);
	ck_assert(!json_has(a.json, "replies"));
	ck_assert_int_eq(json_num(a.json, "reactions.\xf0\x9f\x91\x8d"), 1); /* ben's only */
	ck_assert_uint_eq(json_count(expect_status(get(ben, "/v1/mentions"), 200).json, "mentions"), 0);
	ck_assert_str_eq(sql(db, "select count(*) from postern.message_version"), "0");
	ck_assert_str_eq(sql(db, "select count(*) from postern.message where sender = 'ann'"), "0");
	ck_assert_str_eq(json_str(expect(s, "user"), "state"), "deleted");
	unsigned gone = 0, back = 0;
	while (gone < 4 || back < 1) { /* the chats come in any order */
		const char *kind = stream_peek(s);
		struct json_object *e = expect(s, kind);
		gone += strcmp(kind, "deleted") == 0;
		back += strcmp(kind, "reaction") == 0 && !json_true(e, "on");
	}
}
END_TEST

static void send_many(const struct client *who, long long chat, unsigned n)
{
	char *lines = format("%s", "");
	for (unsigned i = 0; i < 500; i++)
		lines = format("%s{\"text\":\"%u\"}\n", lines, i);
	for (unsigned i = 0; i < n; i += 500)
		expect_status(post_as(who, messages_path(chat), "application/x-ndjson", lines), 200);
}

START_TEST(account_deletion_of_messages_resumes_after_crash)
{
	struct client *cid = user_at(deleting_server(), "cid"), *dan = user_at(deleting_server(), "dan");
	long long chat = make_group(dan, cid), other = make_group(dan, cid);
	send_many(cid, chat, 6000);
	long long kept = say(dan, chat, "of dan"), last = say(cid, other, "the last");
	PGconn *db = database_open(deleting_server());
	unsigned long long until = clock_mono_ms() + PATIENCE;
	expect_status(del(cid, "/v1/me"), 204);
	while (*sql(db, "select 1 from postern.tombstone where chat_id = %lld limit 1", chat) == '\0')
		time_left(until, "the first messages to be removed");
	ck_assert_str_ne(sql(db, "select count(*) from postern.message where chat_id = %lld", chat),
		"1"); /* the removal isn't complete */
	server_kill(deleting_server(), SIGKILL);
	server_restart(deleting_server());
	db = database_open(deleting_server());
	await_erased(db, cid);
	ck_assert_str_eq(sql(db, "select count(*) from postern.message where sender = 'cid'"), "0");
	ck_assert_str_eq(sql(db, "select count(*) from postern.tombstone where chat_id = %lld", chat), "6000");
	expect_status(get(dan, "%s", message_path(chat, kept)), 200);
	expect_problem(get(dan, "%s", message_path(other, last)), 410, "gone");
}
END_TEST

int main(void)
{
	const TTest *const tests[] = { credential_shows_time_and_address_of_last_use,
		credential_use_is_written_at_most_every_few_minutes,
		account_deletion_from_session_requires_the_password, account_deletion_with_token_needs_no_password,
		account_deletion_password_guesses_are_limited_like_sign_in,
		group_after_deletion_of_owner_has_another_owner, send_after_account_deletion_is_refused,
		account_deletion_leaves_no_personal_data, account_deletion_second_pass_removes_late_rows,
		requests_waiting_behind_account_deletion_are_refused,
		administrator_deletes_accounts_except_the_last_administrator,
		account_deletion_removes_messages_if_so_configured, account_deletion_of_messages_resumes_after_crash,
		NULL };
	return suite_run("lifecycle", tests, NULL);
}
