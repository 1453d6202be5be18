/* SPDX-License-Identifier: MIT
 * Accounts over HTTP: registration, password changes and resets, and operations for administrators only. */
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
		server_command(test_server(), PASSWORD "\n", "user", "add", "root", "--admin");
	made = true;
	return with_token(anonymous(), server_command(test_server(), NULL, "token", "root"));
}

static struct answer sign_in(const char *name, const char *password)
{
	return post(with_header(anonymous(), "Origin: %s", server_url(test_server())), "/v1/session",
		"{'name':'%s','password':'%s'}", name, password);
}

static struct server *join_with(const char *registration, const char *rate)
{
	const char *const flags[] = { "--registration", registration, "--rate-logins", rate, NULL };
	return server_join(test_server(), flags);
}

START_TEST(registration_by_default_is_closed)
{
	expect_problem(post(anonymous(), "/v1/accounts", "{'name':'dora','password':'long enough'}"), 403,
		"registration_closed");
	expect_problem(sign_in("dora", "long enough"), 401, "bad_credentials");
}
END_TEST

START_TEST(registration_when_open_creates_user)
{
	struct server *node = join_with("open", "0");
	struct client *any = on_server(anonymous(), node);
	ck_assert_str_eq(
		json_str(expect_status(post(any, "/v1/accounts", "{'name':'emil','password':'long enough'}"), 201).json,
			"name"),
		"emil");
	struct answer a = expect_status(sign_in("emil", "long enough"), 201);
	ck_assert(!json_true(
		expect_status(get(with_token(anonymous(), json_str(a.json, "token")), "/v1/me"), 200).json, "admin"));
	expect_problem(post(any, "/v1/accounts", "{'name':'emil','password':'other words'}"), 409, "name_taken");
	expect_problem(post(any, "/v1/accounts", "{'name':'E','password':'long enough'}"), 422, "bad_name");
	expect_problem(post(any, "/v1/accounts", "{'name':'fritz','password':'short'}"), 422, "out_of_range");
	expect_problem(post(any, "/v1/accounts", "{'name':'fritz'}"), 422, "missing_field");
	expect_problem(post(any, "/v1/accounts", "{'name':'fritz','password':'long enough','admin':true}"), 422,
		"unknown_field");
	server_stop(node);
}
END_TEST

START_TEST(registration_invitation_is_limited_to_its_uses)
{
	struct server *node = join_with("invite", "0");
	struct client *any = on_server(anonymous(), node), *root = admin();
	struct answer made = expect_status(post(root, "/v1/admin/invites", "{'uses':1}"), 201);
	const char *invite = json_str(made.json, "invite");
	expect_problem(post(any, "/v1/accounts", "{'name':'gina','password':'long enough'}"), 403, "invite_required");
	expect_problem(post(any, "/v1/accounts", "{'name':'root','password':'long enough','invite':'nonsense'}"), 403,
		"invite_required");
	expect_problem(post(any, "/v1/accounts", "{'name':'root','password':'long enough','invite':'%s'}", invite), 409,
		"name_taken"); /* doesn't use up the invitation */
	ck_assert_ptr_null(strstr(expect_status(get(root, "/v1/admin/invites"), 200).body, invite));
	expect_status(post(any, "/v1/accounts", "{'name':'gina','password':'long enough','invite':'%s'}", invite), 201);
	expect_problem(post(any, "/v1/accounts", "{'name':'hugo','password':'long enough','invite':'%s'}", invite), 403,
		"invite_required");

	made = expect_status(post(root, "/v1/admin/invites", "{'uses':9}"), 201);
	expect_status(del(root, "/v1/admin/invites/%lld", json_num(made.json, "id")), 204);
	expect_problem(del(root, "/v1/admin/invites/%lld", json_num(made.json, "id")), 404, "not_found");
	expect_problem(post(any, "/v1/accounts", "{'name':'hugo','password':'long enough','invite':'%s'}",
			       json_str(made.json, "invite")),
		403, "invite_required");
	expect_problem(post(root, "/v1/admin/invites", "{'uses':0}"), 422, "out_of_range");
	expect_problem(post(root, "/v1/admin/invites", "{'expires_at':'2020-01-01T00:00:00Z'}"), 422, "out_of_range");
	server_stop(node);
}
END_TEST

START_TEST(registration_is_rate_limited_by_address)
{
	struct server *node = join_with("open", "3");
	int status = 409;
	expect_status(
		post(on_server(anonymous(), node), "/v1/accounts", "{'name':'ines','password':'long enough'}"), 201);
	for (int i = 0; i < 20 && status == 409; i++)
		status = post(on_server(anonymous(), node), "/v1/accounts", "{'name':'ines','password':'long enough'}")
				 .status;
	ck_assert_int_eq(status, 429);
	server_stop(node);
}
END_TEST

START_TEST(invitations_of_an_office_are_all_accepted_and_guesses_are_not)
{
	struct server *node = join_with("invite", "1");
	const struct client *any = on_server(anonymous(), node);
	const char *invite =
		json_str(expect_status(post(admin(), "/v1/admin/invites", "{'uses':40}"), 201).json, "invite");
	for (int i = 0; i < 40; i++)
		expect_status(post(any, "/v1/accounts", "{'name':'clerk-%d','password':'long enough','invite':'%s'}", i,
				      invite),
			201);
	int n = 0;
	while (post(any, "/v1/accounts", "{'name':'spy','password':'long enough','invite':'guess-%d'}", n).status ==
		403)
		n++;
	ck_assert_int_ge(n, 10);
	ck_assert_int_lt(n, 30);
	expect_problem(post(any, "/v1/accounts", "{'name':'spy','password':'long enough','invite':'guess'}"), 429,
		"rate_limited");
	server_stop(node);
}
END_TEST

START_TEST(password_change_requires_the_old_password)
{
	struct client *ann = new_user();
	struct client *here =
		with_token(anonymous(), json_str(expect_status(sign_in(ann->name, PASSWORD), 201).json, "token"));
	struct client *there =
		with_token(anonymous(), json_str(expect_status(sign_in(ann->name, PASSWORD), 201).json, "token"));
	struct stream *other = stream_from_now(there), *own = stream_from_now(here);
	double failed = metric(test_server(), "postern_logins_failed_total");
	expect_problem(post(here, "/v1/me/password", "{'old_password':'guess','password':'over the wall'}"), 401,
		"bad_credentials");
	ck_assert_double_eq(metric(test_server(), "postern_logins_failed_total"), failed + 1);
	expect_problem(post(here, "/v1/me/password", "{'password':'over the wall'}"), 422, "missing_field");
	expect_problem(post(here, "/v1/me/password", "{'old_password':'" PASSWORD "','password':'short'}"), 422,
		"out_of_range");
	expect_status(get(there, "/v1/me"), 200);
	expect_status(post(here, "/v1/me/password", "{'old_password':'" PASSWORD "','password':'over the wall'}"), 204);
	expect_end(other);
	expect_problem(get(there, "/v1/me"), 401, "unauthorized");
	expect_status(get(here, "/v1/me"), 200);
	expect_status(get(ann, "/v1/me"), 200); /* it isn't a session */
	expect_quiet(own);
	expect_problem(sign_in(ann->name, PASSWORD), 401, "bad_credentials");
	expect_status(sign_in(ann->name, "over the wall"), 201);
}
END_TEST

START_TEST(password_change_ends_tokens_on_request)
{
	struct client *ann = new_user();
	struct client *here =
		with_token(anonymous(), json_str(expect_status(sign_in(ann->name, PASSWORD), 201).json, "token"));
	struct stream *token = stream_from_now(ann), *own = stream_from_now(here);
	expect_problem(post(here, "/v1/me/password",
			       "{'old_password':'" PASSWORD "','password':'over the wall','end_tokens':1}"),
		422, "wrong_type");
	expect_status(post(here, "/v1/me/password",
			      "{'old_password':'" PASSWORD "','password':'over the wall','end_tokens':true}"),
		204);
	expect_end(token);
	expect_problem(get(ann, "/v1/me"), 401, "unauthorized");
	expect_status(get(here, "/v1/me"), 200);
	expect_quiet(own);
}
END_TEST

START_TEST(password_reset_ends_tokens_unless_told_otherwise)
{
	static const char *const choices[] = { "", ",'end_tokens':true", ",'end_tokens':false" };
	for (int i = 0; i < 3; i++) {
		struct client *ann = new_user();
		const char *link = server_command(test_server(), NULL, "user", "reset-link", ann->name);
		expect_status(post(anonymous(), "/v1/password-reset", "{'token':'%s','password':'over the wall'%s}",
				      link, choices[i]),
			204);
		expect_status(get(ann, "/v1/me"), i == 2 ? 200 : 401);
	}
}
END_TEST

START_TEST(password_reset_link_is_accepted_once)
{
	struct client *ann = new_user();
	const char *first = json_str(
		expect_status(post(admin(), format("/v1/admin/users/%s/reset", ann->name), NULL), 201).json, "token");
	const char *link = server_command(test_server(), NULL, "user", "reset-link", ann->name);
	struct client *session =
		with_token(anonymous(), json_str(expect_status(sign_in(ann->name, PASSWORD), 201).json, "token"));
	struct stream *s = stream_from_now(session);
	expect_problem(post(anonymous(), "/v1/password-reset", "{'token':'%s','password':'over the wall'}", first), 404,
		"not_found"); /* a newer link exists */
	expect_status(post(anonymous(), "/v1/password-reset", "{'token':'%s','password':'over the wall'}", link), 204);
	expect_end(s);
	expect_status(sign_in(ann->name, "over the wall"), 201);
	expect_problem(sign_in(ann->name, PASSWORD), 401, "bad_credentials");
	expect_problem(post(anonymous(), "/v1/password-reset", "{'token':'%s','password':'once again!'}", link), 404,
		"not_found");
	expect_problem(post(anonymous(), "/v1/password-reset", "{'token':'nonsense','password':'once again!'}"), 404,
		"not_found");
	expect_problem(post(admin(), "/v1/admin/users/nobody-here/reset", NULL), 404, "not_found");
	ck_assert(!server_logged(test_server(), link));
}
END_TEST

START_TEST(administrator_creates_and_disables_users)
{
	struct client *root = admin();
	expect_status(post(root, "/v1/admin/users", "{'name':'jana','password':'long enough'}"), 201);
	expect_problem(post(root, "/v1/admin/users", "{'name':'jana'}"), 409, "name_taken");
	struct client *jana =
		with_token(anonymous(), json_str(expect_status(sign_in("jana", "long enough"), 201).json, "token"));
	struct stream *s = stream_from_now(jana);
	ck_assert_str_eq(json_str(expect_status(post(root, "/v1/admin/users/jana/disable", NULL), 200).json, "state"),
		"disabled");
	if (!stream_is_over(s) && strcmp(stream_peek(s), "user") == 0)
		expect(s, "user"); /* the event may arrive before the end */
	expect_end(s);
	expect_problem(get(jana, "/v1/me"), 401, "unauthorized");
	expect_status(post(root, "/v1/admin/users/jana/enable", NULL), 200);
	expect_problem(get(jana, "/v1/me"), 401, "unauthorized"); /* enabling doesn't bring sessions back */
	expect_status(sign_in("jana", "long enough"), 201);
	expect_problem(post(root, "/v1/admin/users/root/disable", NULL), 403, "forbidden");
	expect_problem(post(root, "/v1/admin/users/nobody-here/disable", NULL), 404, "not_found");
	ck_assert_ptr_nonnull(strstr(expect_status(get(root, "/v1/admin/users"), 200).body, "\"jana\""));

	struct answer audit = expect_status(get(root, "/v1/admin/audit?limit=2"), 200);
	ck_assert_uint_eq(json_count(audit.json, "acts"), 2);
	ck_assert_str_eq(json_str(audit.json, "acts.0.act"), "user_enabled");
	ck_assert_str_eq(json_str(audit.json, "acts.1.act"), "user_disabled");
	ck_assert_str_eq(json_str(audit.json, "acts.1.target"), "jana");
	ck_assert_str_eq(json_str(audit.json, "acts.1.actor"), "root");
	audit = expect_status(get(root, "/v1/admin/audit?limit=1&cursor=%s", json_str(audit.json, "next")), 200);
	ck_assert_str_eq(json_str(audit.json, "acts.0.act"), "user_created");
}
END_TEST

START_TEST(credentials_over_100_a_user_replace_the_oldest)
{
	user("hamster");
	PGconn *pg = database_open(test_server());
	const char *first = json_str(expect_status(sign_in("hamster", PASSWORD), 201).json, "token");
	struct stream *s = stream_from_now(with_token(anonymous(), first));
	sql(pg,
		"insert into postern.credential (hash, name, kind) select k || i, 'hamster', k from "
		"generate_series(1, 99) i, (values ('token'), ('session')) v (k)");
	sql(pg, "delete from postern.credential where hash = 'token99'");
	struct client *second =
		with_token(anonymous(), json_str(expect_status(sign_in("hamster", PASSWORD), 201).json, "token"));
	expect_problem(get(with_token(anonymous(), first), "/v1/me"), 401, "unauthorized");
	expect_end(s);
	expect_status(post(second, "/v1/tokens", NULL), 201); /* the 100th: one belongs to the test's client */
	expect_problem(post(second, "/v1/tokens", NULL), 422, "too_many_tokens");
	sql(pg, "update postern.credential set expires_at = now() where hash = 'token1'");
	expect_status(post(second, "/v1/tokens", NULL), 201);
	sql(pg, "delete from postern.credential where name = 'hamster'");
}
END_TEST

START_TEST(administrator_promotes_and_demotes_users)
{
	struct client *root = admin(), *ann = new_user();
	struct stream *s = stream_from_now(ann);
	expect_problem(get(ann, "/v1/admin/users"), 403, "forbidden");
	ck_assert(json_true(
		expect_status(post(root, format("/v1/admin/users/%s/promote", ann->name), NULL), 200).json, "admin"));
	expect_end(s); /* a change of rights ends the user's streams */
	expect_status(get(ann, "/v1/admin/users"), 200);
	expect_problem(post(ann, format("/v1/admin/users/%s/demote", ann->name), NULL), 403, "forbidden");
	expect_status(post(root, format("/v1/admin/users/%s/demote", ann->name), NULL), 200);
	expect_problem(get(ann, "/v1/admin/users"), 403, "forbidden");
	expect_problem(post(ann, format("/v1/admin/users/%s/promote", ann->name), NULL), 403, "forbidden");
	expect_problem(post(root, "/v1/admin/users/nobody-here/promote", NULL), 404, "not_found");
	ck_assert_str_eq(
		json_str(expect_status(get(root, "/v1/admin/audit?limit=1"), 200).json, "acts.0.act"), "user_demoted");
	server_command(test_server(), NULL, "user", "promote", ann->name);
	expect_status(get(ann, "/v1/admin/users"), 200);
	server_command(test_server(), NULL, "user", "demote", ann->name);
	expect_problem(get(ann, "/v1/admin/users"), 403, "forbidden");
}
END_TEST

START_TEST(commands_are_recorded_in_the_audit)
{
	static const char *const acts[] = { "user_deleted", "user_demoted", "user_promoted", "user_enabled",
		"user_disabled", "token_created", "password_reset_link", "password_set", "user_created" };
	struct client *root = admin();
	server_command(test_server(), "long enough", "user", "add", "kuno");
	server_command(test_server(), "even longer", "user", "passwd", "kuno");
	char *link = server_command(test_server(), NULL, "user", "reset-link", "kuno");
	char *token = server_command(test_server(), NULL, "token", "kuno", "--label", "ci");
	static const char *const changes[] = { "disable", "enable", "promote", "demote", "delete",
		"delete" }; /* the second deletion does nothing */
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++)
		server_command(test_server(), NULL, "user", changes[i], "kuno");
	struct answer audit = expect_status(get(root, "/v1/admin/audit?limit=9"), 200);
	for (size_t i = 0; i < sizeof(acts) / sizeof(acts[0]); i++) {
		ck_assert_str_eq(json_str(audit.json, format("acts.%zu.act", i)), acts[i]);
		ck_assert_str_eq(json_str(audit.json, format("acts.%zu.actor", i)), "server");
		ck_assert_str_eq(json_str(audit.json, format("acts.%zu.target", i)), "kuno");
	}
	ck_assert_str_eq(json_str(audit.json, "acts.5.details.label"), "ci");
	ck_assert(!json_has(audit.json, "acts.5.details.hash"));
	ck_assert(strstr(audit.body, link) == NULL && strstr(audit.body, token) == NULL);
}
END_TEST

START_TEST(admin_requests_of_other_users_are_refused)
{
	struct client *ann = new_user();
	static const char *const reads[] = { "users", "invites", "audit" };
	static const char *const writes[] = { "users", "invites", "users/root/disable", "users/root/enable",
		"users/root/promote", "users/root/reset" };
	admin();
	for (size_t i = 0; i < sizeof(reads) / sizeof(reads[0]); i++) {
		expect_problem(get(ann, "/v1/admin/%s", reads[i]), 403, "forbidden");
		expect_problem(get(anonymous(), "/v1/admin/%s", reads[i]), 401, "unauthorized");
	}
	for (size_t i = 0; i < sizeof(writes) / sizeof(writes[0]); i++) {
		expect_problem(post(ann, format("/v1/admin/%s", writes[i]), NULL), 403, "forbidden");
		expect_problem(post(anonymous(), format("/v1/admin/%s", writes[i]), NULL), 401, "unauthorized");
	}
	expect_problem(del(ann, "/v1/admin/invites/1"), 403, "forbidden");
	expect_problem(
		post(anonymous(), "/v1/me/password", "{'old_password':'" PASSWORD "','password':'over the wall'}"), 401,
		"unauthorized");
}
END_TEST

START_TEST(profile_change_and_own_session_are_visible)
{
	struct client *ann = new_user(), *bob = new_user();
	long long chat = make_group(bob, ann);
	struct stream *s = stream_from_now(bob);
	ck_assert_int_gt(chat, 0);
	ck_assert_str_eq(json_str(expect_status(patch(ann, "/v1/me", "{'about':'On the wall'}"), 200).json, "about"),
		"On the wall");
	ck_assert_str_eq(json_str(expect(s, "user"), "about"), "On the wall");
	ck_assert_str_eq(
		json_str(expect_status(get(bob, "/v1/users/%s", ann->name), 200).json, "about"), "On the wall");
	ck_assert_ptr_null(strstr(expect_status(patch(ann, "/v1/me", "{'about':''}"), 200).body, "about"));
	expect_status(sign_in(ann->name, PASSWORD), 201);
	struct answer list = expect_status(get(ann, "/v1/tokens"), 200);
	ck_assert_uint_eq(json_count(list.json, "tokens"), 2);
	ck_assert(json_true(list.json, "tokens.0.current"));
	ck_assert_ptr_null(strstr(strstr(list.body, "current") + 1, "current"));
}
END_TEST

int main(void)
{
	const char *const flags[] = { "--rate-logins", "0", "--rate-sends", "0", "--log-level", "debug", NULL };
	const TTest *const tests[] = {
		registration_by_default_is_closed,
		registration_when_open_creates_user,
		registration_invitation_is_limited_to_its_uses,
		registration_is_rate_limited_by_address,
		invitations_of_an_office_are_all_accepted_and_guesses_are_not,
		password_change_requires_the_old_password,
		password_change_ends_tokens_on_request,
		password_reset_ends_tokens_unless_told_otherwise,
		password_reset_link_is_accepted_once,
		administrator_creates_and_disables_users,
		credentials_over_100_a_user_replace_the_oldest,
		administrator_promotes_and_demotes_users,
		commands_are_recorded_in_the_audit,
		admin_requests_of_other_users_are_refused,
		profile_change_and_own_session_are_visible,
		NULL,
	};
	return suite_run("registration", tests, flags);
}
