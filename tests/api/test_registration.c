/* SPDX-License-Identifier: MIT
 * Accounts that are made over HTTP, passwords that change, and what administrators may, and others not. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/client.h"
#include "../lib/database.h"
#include "../lib/stream.h"
#include "../lib/suite.h"

static struct client *admin(void)
{
	static bool made;
	if (!made)
		server_command(house(), PASSWORD "\n", "user", "add", "root", "--admin");
	made = true;
	return using(nobody(), server_command(house(), NULL, "token", "root"));
}

static struct answer sign_in(const char *name, const char *password)
{
	return post(with(nobody(), "Origin: %s", server_url(house())), "/v1/session", "{'name':'%s','password':'%s'}",
		name, password);
}

static struct server *join_with(const char *registration, const char *rate)
{
	const char *const flags[] = { "--registration", registration, "--rate-logins", rate, NULL };
	return server_join(house(), flags);
}

START_TEST(registration_is_closed_unless_it_is_opened)
{
	refused(post(nobody(), "/v1/accounts", "{'name':'dora','password':'long enough'}"), 403, "registration_closed");
	refused(sign_in("dora", "long enough"), 401, "bad_credentials");
}
END_TEST

START_TEST(where_it_is_open_anybody_registers)
{
	struct server *node = join_with("open", "0");
	struct client *any = via(nobody(), node);
	ck_assert_str_eq(
		str(is(post(any, "/v1/accounts", "{'name':'emil','password':'long enough'}"), 201).json, "name"),
		"emil");
	struct answer a = is(sign_in("emil", "long enough"), 201);
	ck_assert(!yes(is(get(using(nobody(), str(a.json, "token")), "/v1/me"), 200).json, "admin"));
	refused(post(any, "/v1/accounts", "{'name':'emil','password':'other words'}"), 409, "name_taken");
	refused(post(any, "/v1/accounts", "{'name':'E','password':'long enough'}"), 422, "bad_name");
	refused(post(any, "/v1/accounts", "{'name':'fritz','password':'short'}"), 422, "out_of_range");
	refused(post(any, "/v1/accounts", "{'name':'fritz'}"), 422, "missing_field");
	refused(post(any, "/v1/accounts", "{'name':'fritz','password':'long enough','admin':true}"), 422,
		"unknown_field");
	server_stop(node);
}
END_TEST

START_TEST(an_invitation_is_good_as_often_as_it_says)
{
	struct server *node = join_with("invite", "0");
	struct client *any = via(nobody(), node), *root = admin();
	struct answer made = is(post(root, "/v1/admin/invites", "{'uses':1}"), 201);
	const char *invite = str(made.json, "invite");
	refused(post(any, "/v1/accounts", "{'name':'gina','password':'long enough'}"), 403, "invite_required");
	refused(post(any, "/v1/accounts", "{'name':'root','password':'long enough','invite':'nonsense'}"), 403,
		"invite_required");
	refused(post(any, "/v1/accounts", "{'name':'root','password':'long enough','invite':'%s'}", invite), 409,
		"name_taken"); /* costs no use */
	ck_assert_ptr_null(strstr(is(get(root, "/v1/admin/invites"), 200).body, invite));
	is(post(any, "/v1/accounts", "{'name':'gina','password':'long enough','invite':'%s'}", invite), 201);
	refused(post(any, "/v1/accounts", "{'name':'hugo','password':'long enough','invite':'%s'}", invite), 403,
		"invite_required");

	made = is(post(root, "/v1/admin/invites", "{'uses':9}"), 201);
	is(del(root, "/v1/admin/invites/%lld", num(made.json, "id")), 204);
	refused(del(root, "/v1/admin/invites/%lld", num(made.json, "id")), 404, "not_found");
	refused(post(any, "/v1/accounts", "{'name':'hugo','password':'long enough','invite':'%s'}",
			str(made.json, "invite")),
		403, "invite_required");
	refused(post(root, "/v1/admin/invites", "{'uses':0}"), 422, "out_of_range");
	refused(post(root, "/v1/admin/invites", "{'expires_at':'2020-01-01T00:00:00Z'}"), 422, "out_of_range");
	server_stop(node);
}
END_TEST

START_TEST(registering_is_limited_by_address)
{
	struct server *node = join_with("open", "3");
	int status = 409;
	is(post(via(nobody(), node), "/v1/accounts", "{'name':'ines','password':'long enough'}"), 201);
	for (int i = 0; i < 20 && status == 409; i++)
		status = post(via(nobody(), node), "/v1/accounts", "{'name':'ines','password':'long enough'}").status;
	ck_assert_int_eq(status, 429);
	server_stop(node);
}
END_TEST

START_TEST(a_password_changes_for_who_knows_the_old_one)
{
	struct client *ann = somebody();
	struct client *here = using(nobody(), str(is(sign_in(ann->name, PASSWORD), 201).json, "token"));
	struct client *there = using(nobody(), str(is(sign_in(ann->name, PASSWORD), 201).json, "token"));
	struct stream *other = live(there), *own = live(here);
	double failed = metric(house(), "postern_logins_failed_total");
	refused(post(here, "/v1/me/password", "{'old_password':'guess','password':'over the wall'}"), 401,
		"bad_credentials");
	ck_assert_double_eq(metric(house(), "postern_logins_failed_total"), failed + 1);
	refused(post(here, "/v1/me/password", "{'password':'over the wall'}"), 422, "missing_field");
	refused(post(here, "/v1/me/password", "{'old_password':'" PASSWORD "','password':'short'}"), 422,
		"out_of_range");
	is(get(there, "/v1/me"), 200);
	is(post(here, "/v1/me/password", "{'old_password':'" PASSWORD "','password':'over the wall'}"), 204);
	expect_end(other);
	refused(get(there, "/v1/me"), 401, "unauthorized");
	is(get(here, "/v1/me"), 200);
	is(get(ann, "/v1/me"), 200); /* a token */
	expect_quiet(own);
	refused(sign_in(ann->name, PASSWORD), 401, "bad_credentials");
	is(sign_in(ann->name, "over the wall"), 201);
}
END_TEST

START_TEST(a_reset_is_good_once)
{
	struct client *ann = somebody();
	const char *first = str(is(post(admin(), to("/v1/admin/users/%s/reset", ann->name), NULL), 201).json, "token");
	const char *link = server_command(house(), NULL, "user", "reset-link", ann->name);
	struct client *session = using(nobody(), str(is(sign_in(ann->name, PASSWORD), 201).json, "token"));
	struct stream *s = live(session);
	refused(post(nobody(), "/v1/password-reset", "{'token':'%s','password':'over the wall'}", first), 404,
		"not_found"); /* there is a later one */
	is(post(nobody(), "/v1/password-reset", "{'token':'%s','password':'over the wall'}", link), 204);
	expect_end(s);
	is(sign_in(ann->name, "over the wall"), 201);
	refused(sign_in(ann->name, PASSWORD), 401, "bad_credentials");
	refused(post(nobody(), "/v1/password-reset", "{'token':'%s','password':'once again!'}", link), 404,
		"not_found");
	refused(post(nobody(), "/v1/password-reset", "{'token':'nonsense','password':'once again!'}"), 404,
		"not_found");
	refused(post(admin(), "/v1/admin/users/nobody-here/reset", NULL), 404, "not_found");
	ck_assert(!server_logged(house(), link));
}
END_TEST

START_TEST(administrators_make_and_disable_users)
{
	struct client *root = admin();
	is(post(root, "/v1/admin/users", "{'name':'jana','password':'long enough'}"), 201);
	refused(post(root, "/v1/admin/users", "{'name':'jana'}"), 409, "name_taken");
	struct client *jana = using(nobody(), str(is(sign_in("jana", "long enough"), 201).json, "token"));
	struct stream *s = live(jana);
	ck_assert_str_eq(str(is(post(root, "/v1/admin/users/jana/disable", NULL), 200).json, "state"), "disabled");
	if (!stream_is_over(s) && strcmp(peek(s), "user") == 0)
		expect(s, "user"); /* the news may be faster than the end */
	expect_end(s);
	refused(get(jana, "/v1/me"), 401, "unauthorized");
	is(post(root, "/v1/admin/users/jana/enable", NULL), 200);
	is(get(jana, "/v1/me"), 200);
	refused(post(root, "/v1/admin/users/root/disable", NULL), 403, "forbidden");
	refused(post(root, "/v1/admin/users/nobody-here/disable", NULL), 404, "not_found");
	ck_assert_ptr_nonnull(strstr(is(get(root, "/v1/admin/users"), 200).body, "\"jana\""));

	struct answer trail = is(get(root, "/v1/admin/audit?limit=2"), 200);
	ck_assert_uint_eq(count(trail.json, "acts"), 2);
	ck_assert_str_eq(str(trail.json, "acts.0.act"), "user_enabled");
	ck_assert_str_eq(str(trail.json, "acts.1.act"), "user_disabled");
	ck_assert_str_eq(str(trail.json, "acts.1.target"), "jana");
	ck_assert_str_eq(str(trail.json, "acts.1.actor"), "root");
	trail = is(get(root, "/v1/admin/audit?limit=1&cursor=%s", str(trail.json, "next")), 200);
	ck_assert_str_eq(str(trail.json, "acts.0.act"), "user_created");
}
END_TEST

START_TEST(credentials_are_not_hoarded)
{
	user("hamster");
	PGconn *pg = database(house());
	const char *first = str(is(sign_in("hamster", PASSWORD), 201).json, "token");
	struct stream *s = live(using(nobody(), first));
	sql(pg,
		"insert into postern.credential (hash, name, kind) select k || i, 'hamster', k from "
		"generate_series(1, 99) i, (values ('token'), ('session')) v (k)");
	sql(pg, "delete from postern.credential where hash = 'token99'");
	struct client *second = using(nobody(), str(is(sign_in("hamster", PASSWORD), 201).json, "token"));
	refused(get(using(nobody(), first), "/v1/me"), 401, "unauthorized");
	expect_end(s);
	is(post(second, "/v1/tokens", NULL), 201); /* the 100th: one is the test's own */
	refused(post(second, "/v1/tokens", NULL), 422, "too_many_tokens");
	sql(pg, "update postern.credential set expires_at = now() where hash = 'token1'");
	is(post(second, "/v1/tokens", NULL), 201);
	sql(pg, "delete from postern.credential where name = 'hamster'");
}
END_TEST

START_TEST(administrators_make_administrators)
{
	struct client *root = admin(), *ann = somebody();
	struct stream *s = live(ann);
	refused(get(ann, "/v1/admin/users"), 403, "forbidden");
	ck_assert(yes(is(post(root, format("/v1/admin/users/%s/promote", ann->name), NULL), 200).json, "admin"));
	expect_end(s); /* what was asked for as somebody else */
	is(get(ann, "/v1/admin/users"), 200);
	refused(post(ann, format("/v1/admin/users/%s/demote", ann->name), NULL), 403, "forbidden");
	is(post(root, format("/v1/admin/users/%s/demote", ann->name), NULL), 200);
	refused(get(ann, "/v1/admin/users"), 403, "forbidden");
	refused(post(ann, format("/v1/admin/users/%s/promote", ann->name), NULL), 403, "forbidden");
	refused(post(root, "/v1/admin/users/nobody-here/promote", NULL), 404, "not_found");
	ck_assert_str_eq(str(is(get(root, "/v1/admin/audit?limit=1"), 200).json, "acts.0.act"), "user_demoted");
	server_command(house(), NULL, "user", "promote", ann->name);
	is(get(ann, "/v1/admin/users"), 200);
	server_command(house(), NULL, "user", "demote", ann->name);
	refused(get(ann, "/v1/admin/users"), 403, "forbidden");
}
END_TEST

START_TEST(commands_leave_a_trail_too)
{
	static const char *const acts[] = { "user_deleted", "user_demoted", "user_promoted", "user_enabled",
		"user_disabled", "token_created", "password_reset_link", "password_set", "user_created" };
	struct client *root = admin();
	server_command(house(), "long enough", "user", "add", "kuno");
	server_command(house(), "even longer", "user", "passwd", "kuno");
	char *link = server_command(house(), NULL, "user", "reset-link", "kuno");
	char *token = server_command(house(), NULL, "token", "kuno", "--label", "ci");
	static const char *const changes[] = { "disable", "enable", "promote", "demote", "delete",
		"delete" }; /* the second time nothing happens */
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++)
		server_command(house(), NULL, "user", changes[i], "kuno");
	struct answer trail = is(get(root, "/v1/admin/audit?limit=9"), 200);
	for (size_t i = 0; i < sizeof(acts) / sizeof(acts[0]); i++) {
		ck_assert_str_eq(str(trail.json, format("acts.%zu.act", i)), acts[i]);
		ck_assert_str_eq(str(trail.json, format("acts.%zu.actor", i)), "server");
		ck_assert_str_eq(str(trail.json, format("acts.%zu.target", i)), "kuno");
	}
	ck_assert_str_eq(str(trail.json, "acts.5.details.label"), "ci");
	ck_assert(!has(trail.json, "acts.5.details.hash"));
	ck_assert(strstr(trail.body, link) == NULL && strstr(trail.body, token) == NULL);
}
END_TEST

START_TEST(nobody_else_may)
{
	struct client *ann = somebody();
	static const char *const reads[] = { "users", "invites", "audit" };
	static const char *const writes[] = { "users", "invites", "users/root/disable", "users/root/enable",
		"users/root/promote", "users/root/reset" };
	admin();
	for (size_t i = 0; i < sizeof(reads) / sizeof(reads[0]); i++) {
		refused(get(ann, "/v1/admin/%s", reads[i]), 403, "forbidden");
		refused(get(nobody(), "/v1/admin/%s", reads[i]), 401, "unauthorized");
	}
	for (size_t i = 0; i < sizeof(writes) / sizeof(writes[0]); i++) {
		refused(post(ann, to("/v1/admin/%s", writes[i]), NULL), 403, "forbidden");
		refused(post(nobody(), to("/v1/admin/%s", writes[i]), NULL), 401, "unauthorized");
	}
	refused(del(ann, "/v1/admin/invites/1"), 403, "forbidden");
	refused(post(nobody(), "/v1/me/password", "{'old_password':'" PASSWORD "','password':'over the wall'}"), 401,
		"unauthorized");
}
END_TEST

START_TEST(the_profile_and_the_session_in_hand)
{
	struct client *ann = somebody(), *bob = somebody();
	long long chat = group(bob, ann);
	struct stream *s = live(bob);
	ck_assert_int_gt(chat, 0);
	ck_assert_str_eq(str(is(patch(ann, "/v1/me", "{'about':'On the wall'}"), 200).json, "about"), "On the wall");
	ck_assert_str_eq(str(expect(s, "user"), "about"), "On the wall");
	ck_assert_str_eq(str(is(get(bob, "/v1/users/%s", ann->name), 200).json, "about"), "On the wall");
	ck_assert_ptr_null(strstr(is(patch(ann, "/v1/me", "{'about':''}"), 200).body, "about"));
	is(sign_in(ann->name, PASSWORD), 201);
	struct answer list = is(get(ann, "/v1/tokens"), 200);
	ck_assert_uint_eq(count(list.json, "tokens"), 2);
	ck_assert(yes(list.json, "tokens.0.current"));
	ck_assert_ptr_null(strstr(strstr(list.body, "current") + 1, "current"));
}
END_TEST

int main(void)
{
	const char *const flags[] = { "--rate-logins", "0", "--rate-sends", "0", "--log-level", "debug", NULL };
	const TTest *const tests[] = {
		registration_is_closed_unless_it_is_opened,
		where_it_is_open_anybody_registers,
		an_invitation_is_good_as_often_as_it_says,
		registering_is_limited_by_address,
		a_password_changes_for_who_knows_the_old_one,
		a_reset_is_good_once,
		administrators_make_and_disable_users,
		credentials_are_not_hoarded,
		administrators_make_administrators,
		commands_leave_a_trail_too,
		nobody_else_may,
		the_profile_and_the_session_in_hand,
		NULL,
	};
	return suite_run("registration", tests, flags);
}
