/* SPDX-License-Identifier: MIT
 * Who is who: signing in, cookies and where they may come from, tokens and tickets, and that whoever loses them loses
 * his streams. */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/client.h"
#include "../lib/stream.h"
#include "../lib/suite.h"
#include "base/clock.h"

static struct client *from_page(const struct client *who) { return with(who, "Origin: %s", server_url(who->server)); }

static struct answer sign_in(const struct client *who, const char *password)
{
	return post(from_page(nobody()), "/v1/session", "{'name':'%s','password':'%s'}", who->name, password);
}

/* "postern_session=…" of an answer. */
static const char *cookie_of(struct answer a)
{
	const char *cookie = said(a, "Set-Cookie");
	ck_assert_msg(cookie != NULL && strncmp(cookie, "postern_session=", 16) == 0, "%s", a.head);
	return format("%.*s", (int)strcspn(cookie, ";"), cookie);
}

static struct client *with_cookie(struct answer a) { return with(nobody(), "Cookie: %s", cookie_of(a)); }

START_TEST(a_password_gives_a_session)
{
	struct client *ann = somebody();
	struct answer a = is(sign_in(ann, PASSWORD), 201);
	ck_assert_str_eq(str(a.json, "user.name"), ann->name);
	ck_assert_uint_eq(strlen(str(a.json, "expires_at")), 24);
	const char *cookie = said(a, "Set-Cookie");
	ck_assert_msg(strcasestr(cookie, "; HttpOnly") && strcasestr(cookie, "; SameSite=Lax") &&
			!strcasestr(cookie, "; Secure"),
		"%s", cookie);
	ck_assert_ptr_null(strcasestr(cookie, "Domain="));
	ck_assert_str_eq(str(is(get(with_cookie(a), "/v1/me"), 200).json, "name"), ann->name);
	ck_assert_str_eq(str(is(get(using(nobody(), str(a.json, "token")), "/v1/me"), 200).json, "name"), ann->name);
	expect(stream_open(with_cookie(a), NULL), "hello");
}
END_TEST

START_TEST(a_wrong_password_tells_nothing)
{
	struct client *ann = somebody(), *off = somebody();
	server_command(house(), NULL, "user", "disable", off->name);
	struct answer wrong = refused(sign_in(ann, "over the wall"), 401, "bad_credentials");
	struct answer refusals[] = {
		sign_in(&(struct client) { .name = "no-such-user" }, PASSWORD),
		sign_in(off, PASSWORD),
		sign_in(ann, ""),
		sign_in(ann, ann->token),
		sign_in(&(struct client) { .name = "NO USER" }, PASSWORD),
	};
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		refused(refusals[i], 401, "bad_credentials");
		ck_assert_str_eq(str(refusals[i].json, "title"), str(wrong.json, "title"));
		ck_assert_ptr_null(header(refusals[i], "Set-Cookie"));
	}
}
END_TEST

START_TEST(signing_in_is_for_this_page_only)
{
	struct client *ann = somebody();
	char *body = format("{'name':'%s','password':'" PASSWORD "'}", ann->name);
	refused(post(nobody(), "/v1/session", "%s", body), 403, "origin_required");
	const char *const foreign[] = { "Origin: https://evil.example", "Origin: null", "Origin: http://127.0.0.1:1",
		"Origin: http://127.0.0.1", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: same-site",
		"Sec-Fetch-Site: none" };
	for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++)
		refused(post(with(nobody(), "%s", foreign[i]), "/v1/session", "%s", body), 403, "bad_origin");
	is(post(with(nobody(), "Sec-Fetch-Site: same-origin"), "/v1/session", "%s", body), 201);
}
END_TEST

START_TEST(a_write_with_a_cookie_must_come_from_this_page)
{
	struct client *ann = somebody(), *cookie = with_cookie(is(sign_in(ann, PASSWORD), 201));
	refused(post(cookie, "/v1/chats", "{'kind':'group','title':'x'}"), 403, "origin_required");
	refused(patch(cookie, "/v1/me", "{'display_name':'x'}"), 403, "origin_required");
	refused(del(cookie, "/v1/session"), 403, "origin_required");
	refused(post(with(cookie, "Origin: https://evil.example"), "/v1/chats", "{'kind':'group','title':'x'}"), 403,
		"bad_origin");
	is(get(with(cookie, "Origin: https://evil.example"), "/v1/me"), 200); /* it can't read the answer */
	is(post(from_page(cookie), "/v1/chats", "{'kind':'group','title':'x'}"), 201);
	is(post(with(cookie, "Sec-Fetch-Site: same-origin"), "/v1/chats", "{'kind':'group','title':'x'}"), 201);
	is(post(with(ann, "Origin: https://evil.example"), "/v1/chats", "{'kind':'group','title':'x'}"),
		201); /* who has a token isn't tricked */
}
END_TEST

START_TEST(behind_a_proxy_the_public_address_counts)
{
	const char *const flags[] = { "--public-url", "https://chat.example.org", "--rate-logins", "0", NULL };
	struct server *node = server_join(house(), flags);
	struct client *ann = somebody(), *page = with(via(nobody(), node), "Origin: https://chat.example.org");
	char *body = format("{'name':'%s','password':'" PASSWORD "'}", ann->name);
	struct answer a = is(post(page, "/v1/session", "%s", body), 201);
	ck_assert_ptr_nonnull(strcasestr(said(a, "Set-Cookie"), "; Secure"));
	refused(post(from_page(via(nobody(), node)), "/v1/session", "%s", body), 403, "bad_origin");
	refused(post(with(via(nobody(), node), "Origin: http://chat.example.org"), "/v1/session", "%s", body), 403,
		"bad_origin");
	server_stop(node);
}
END_TEST

START_TEST(signing_out_ends_the_session_everywhere)
{
	struct client *ann = somebody();
	struct answer a = is(sign_in(ann, PASSWORD), 201);
	struct stream *s = stream_open(with_cookie(a), NULL), *others = live(ann);
	expect(s, "hello");
	struct answer out = is(del(from_page(with_cookie(a)), "/v1/session"), 204);
	ck_assert_ptr_nonnull(strstr(said(out, "Set-Cookie"), "postern_session="));
	expect_end(s);
	refused(get(with_cookie(a), "/v1/me"), 401, "unauthorized");
	refused(get(using(nobody(), str(a.json, "token")), "/v1/me"), 401, "unauthorized");
	expect_quiet(others);
}
END_TEST

START_TEST(a_new_password_ends_sessions_and_leaves_tokens)
{
	struct client *ann = somebody();
	struct answer a = is(sign_in(ann, PASSWORD), 201);
	struct stream *s = stream_open(with_cookie(a), NULL);
	expect(s, "hello");
	server_command(house(), "over the wall\n", "user", "passwd", ann->name);
	expect_end(s);
	refused(get(with_cookie(a), "/v1/me"), 401, "unauthorized");
	refused(sign_in(ann, PASSWORD), 401, "bad_credentials");
	is(sign_in(ann, "over the wall"), 201);
	is(get(ann, "/v1/me"), 200);
}
END_TEST

START_TEST(a_token_may_be_a_basic_password)
{
	struct client *ann = somebody();
	char *pair = format("%s:%s", ann->name, ann->token), encoded[512];
	sodium_bin2base64(
		encoded, sizeof(encoded), (unsigned char *)pair, strlen(pair), sodium_base64_VARIANT_ORIGINAL);
	struct client *basic = with(nobody(), "Authorization: Basic %s", encoded);
	ck_assert_str_eq(str(is(get(basic, "/v1/me"), 200).json, "name"), ann->name);
	is(post(basic, "/v1/chats", "{'kind':'group','title':'x'}"), 201);
	expect(stream_open(basic, NULL), "hello");
}
END_TEST

START_TEST(who_is_unknown_is_offered_bearer_only)
{
	struct client *strangers[] = {
		nobody(),
		using(nobody(), "not-a-token"),
		using(nobody(), ""),
		with(nobody(), "Authorization: Basic YTpi"),
		with(nobody(), "Authorization: Basic !!!"),
		with(nobody(), "Authorization: Digest x"),
		with(nobody(), "Cookie: postern_session=x"),
		with(nobody(), "Authorization: Bearer"),
	};
	for (size_t i = 0; i < sizeof(strangers) / sizeof(strangers[0]); i++)
		for (int j = 0; j < 3; j++) {
			struct answer a = refused(get(strangers[i], "%s",
							  j == 0           ? "/v1/me"
								  : j == 1 ? "/v1/stream"
									   : "/v1/poll?wait=0"),
				401, "unauthorized");
			ck_assert_str_eq(format("%.6s", said(a, "WWW-Authenticate")), "Bearer");
			ck_assert_ptr_null(strcasestr(a.head, "Basic"));
		}
}
END_TEST

START_TEST(tokens_are_made_listed_and_revoked)
{
	struct client *ann = somebody(), *eve = somebody();
	struct answer made = is(post(ann, "/v1/tokens", "{'label':'laptop'}"), 201);
	ck_assert_str_eq(str(made.json, "label"), "laptop");
	struct client *laptop = using(ann, str(made.json, "token"));
	is(get(laptop, "/v1/me"), 200);
	struct answer list = is(get(ann, "/v1/tokens"), 200);
	ck_assert_uint_eq(count(list.json, "tokens"), 2);
	ck_assert_ptr_null(strstr(list.body, laptop->token));
	ck_assert_ptr_nonnull(strstr(list.body, "laptop"));

	long long id = num(made.json, "id");
	refused(del(eve, "/v1/tokens/%lld", id), 404, "not_found");
	is(get(laptop, "/v1/me"), 200);
	is(del(ann, "/v1/tokens/%lld", id), 204);
	refused(get(laptop, "/v1/me"), 401, "unauthorized");
	refused(del(ann, "/v1/tokens/%lld", id), 404, "not_found");
	ck_assert_uint_eq(count(is(get(ann, "/v1/tokens"), 200).json, "tokens"), 1);
	is(get(ann, "/v1/me"), 200);
}
END_TEST

START_TEST(bad_tokens_are_not_made)
{
	struct client *ann = somebody();
	refused(post(ann, "/v1/tokens", "{'label':'x','expires_at':'2020-01-01T00:00:00Z'}"), 422, "out_of_range");
	refused(post(ann, "/v1/tokens", "{'label':5}"), 422, "wrong_type");
	refused(post(ann, "/v1/tokens", "{'label':'x','name':'alice'}"), 422, "unknown_field");
	struct answer a = is(post(ann, "/v1/tokens", "{'label':'x','expires_at':'tomorrow'}"), 422);
	refused(a, 422, str(a.json, "code"));
	refused(post(nobody(), "/v1/tokens", "{'label':'x'}"), 401, "unauthorized");
}
END_TEST

START_TEST(revoking_a_token_ends_its_streams_at_once)
{
	const char *const flags[] = { "--streams-per-user", "0", NULL };
	struct server *node = server_join(house(), flags);
	struct client *ann = somebody();
	struct answer made = is(post(ann, "/v1/tokens", "{'label':'phone'}"), 201);
	struct client *phone = using(ann, str(made.json, "token"));
	struct stream *here = live(phone), *there = live(via(phone, node)),
		      *ndjson = stream_open(phone, "?format=ndjson"), *others = live(ann);
	expect(ndjson, "hello");
	struct wire *w = dial(house());
	double open = metric(house(), "postern_streams");
	wire_send(w, "GET /v1/poll?wait=60 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", phone->token);
	await_metric(house(), "postern_streams", open + 1);

	is(del(ann, "/v1/tokens/%lld", num(made.json, "id")), 204);
	expect_end(here);
	expect_end(there);
	expect_end(ndjson);
	struct answer polled = wire_answer(w); /* long before its 60 seconds */
	refused(polled, 401, "unauthorized");
	refused(get(phone, "/v1/stream"), 401, "unauthorized");
	refused(get(via(phone, node), "/v1/me"), 401, "unauthorized");
	expect_quiet(others);
	stream_cut(others);
	server_stop(node);
}
END_TEST

START_TEST(a_disabled_user_is_out_at_once)
{
	struct client *ann = somebody(), *bob = somebody();
	long long chat = group(bob, ann);
	struct stream *s = live(ann), *his = live(bob);
	server_command(house(), NULL, "user", "disable", ann->name);
	if (!stream_is_over(s) && strcmp(peek(s), "user") == 0)
		expect(s, "user"); /* the news may be faster than the end */
	expect_end(s);
	refused(get(ann, "/v1/me"), 401, "unauthorized");
	refused(post(ann, messages(chat), "{'text':'still here?'}"), 401, "unauthorized");
	struct json_object *u = expect(his, "user");
	ck_assert_str_eq(str(u, "name"), ann->name);
	ck_assert_str_eq(str(u, "state"), "disabled");
}
END_TEST

START_TEST(a_stream_ends_when_its_token_does)
{
	struct client *ann = somebody();
	char when[CLOCK_RFC3339_LEN + 1];
	clock_rfc3339(clock_real_us() + 2500000, when);
	struct answer made = is(post(ann, "/v1/tokens", "{'label':'brief','expires_at':'%s'}", when), 201);
	ck_assert_str_eq(str(made.json, "expires_at"), when);
	struct client *brief = using(ann, str(made.json, "token"));
	struct stream *s = live(brief);
	is(get(brief, "/v1/me"), 200);
	expect_end(s);
	refused(get(brief, "/v1/me"), 401, "unauthorized");
	char now[CLOCK_RFC3339_LEN + 1];
	clock_rfc3339(clock_real_us(), now);
	ck_assert_str_ge(now, when);
}
END_TEST

START_TEST(a_ticket_is_good_once)
{
	struct client *ann = somebody(), *bob = somebody();
	long long chat = group(bob, ann);
	struct answer made = is(post(ann, "/v1/stream-tickets", NULL), 201);
	ck_assert_uint_eq(strlen(str(made.json, "expires_at")), 24);
	const char *ticket = str(made.json, "ticket");
	refused(get(nobody(), "/v1/me?ticket=%s", ticket), 401, "unauthorized");
	struct stream *s = stream_open(nobody(), "?ticket=%s", ticket);
	expect(s, "hello");
	expect_message(s, say(bob, chat, "hi"));
	refused(get(nobody(), "/v1/stream?ticket=%s", ticket), 401, "unauthorized");
	refused(get(nobody(), "/v1/poll?wait=0&ticket=%s", ticket), 401, "unauthorized");
	refused(get(nobody(), "/v1/stream?ticket=nonsense"), 401, "unauthorized");

	const char *another = str(is(post(ann, "/v1/stream-tickets", NULL), 201).json, "ticket");
	is(get(nobody(), "/v1/poll?wait=0&ticket=%s", another), 200);
	refused(get(nobody(), "/v1/poll?wait=0&ticket=%s", another), 401, "unauthorized");
}
END_TEST

START_TEST(a_ticket_hangs_on_its_token)
{
	struct client *ann = somebody();
	struct answer made = is(post(ann, "/v1/tokens", "{'label':'phone'}"), 201);
	struct client *phone = using(ann, str(made.json, "token"));
	struct stream *s = stream_open(
		nobody(), "?ticket=%s", str(is(post(phone, "/v1/stream-tickets", NULL), 201).json, "ticket"));
	expect(s, "hello");
	const char *unused = str(is(post(phone, "/v1/stream-tickets", NULL), 201).json, "ticket");
	is(del(ann, "/v1/tokens/%lld", num(made.json, "id")), 204);
	expect_end(s);
	refused(get(nobody(), "/v1/stream?ticket=%s", unused), 401, "unauthorized");
}
END_TEST

START_TEST(an_access_token_in_the_address_is_for_streams_and_not_logged)
{
	struct client *ann = somebody();
	struct stream *s = stream_open(nobody(), "?access_token=%s", ann->token);
	expect(s, "hello");
	is(get(nobody(), "/v1/poll?wait=0&access_token=%s", ann->token), 200);
	refused(get(nobody(), "/v1/me?access_token=%s", ann->token), 401, "unauthorized");
	refused(get(nobody(), "/v1/stream?access_token=x"), 401, "unauthorized");
	const char *ticket = str(is(post(ann, "/v1/stream-tickets", NULL), 201).json, "ticket");
	is(get(nobody(), "/v1/poll?wait=0&ticket=%s", ticket), 200);
	ck_assert(server_logged(house(), "/v1/poll")); /* at level debug it says what it does */
	ck_assert(!server_logged(house(), ann->token));
	ck_assert(!server_logged(house(), ticket));
	ck_assert(!server_logged(house(), PASSWORD));
}
END_TEST

START_TEST(an_invitation_is_logged_without_its_code)
{
	struct client *ann = somebody(), *ben = somebody();
	const char *code = str(is(post(ann, to("/v1/chats/%lld/invites", group(ann)), NULL), 201).json, "code");
	is(get(ben, "/v1/invites/%s", code), 200);
	ck_assert(server_logged(house(), "/v1/invites/{code}"));
	ck_assert(!server_logged(house(), code));
}
END_TEST

START_TEST(guessing_is_slowed_down)
{
	const char *const flags[] = { "--rate-logins", "5", NULL };
	struct server *node = server_join(house(), flags);
	struct client *ann = somebody(), *page = from_page(via(nobody(), node));
	char *guess = format("{'name':'%s','password':'guess'}", ann->name);
	struct answer a = post(page, "/v1/session", "%s", guess);
	for (int i = 0; i < 20 && a.status == 401; i++)
		a = post(page, "/v1/session", "%s", guess);
	refused(a, 429, "rate_limited");
	ck_assert_int_ge(atoi(said(a, "Retry-After")), 1);
	refused(post(page, "/v1/session", "{'name':'%s','password':'" PASSWORD "'}", ann->name), 429, "rate_limited");
	server_stop(node);
}
END_TEST

static int guess(const struct client *page, const char *name, const char *forwarded)
{
	return post(
		with(page, "X-Forwarded-For: %s", forwarded), "/v1/session", "{'name':'%s','password':'guess'}", name)
		.status;
}

/* Many accounts from one address, of which a trusted proxy tells: in a list, or, as some do, in a line of its own
 * behind the client's. */
START_TEST(guessing_is_slowed_down_behind_a_proxy)
{
	const char *const flags[] = { "--rate-logins", "5", "--trusted-proxies", "127.0.0.1,10.1.1.1", NULL };
	struct server *node = server_join(house(), flags);
	struct client *page = from_page(via(nobody(), node));
	static const char *const second[] = { "192.0.2.1", "192.0.2.2, 10.1.1.1", "192.0.2.3" };
	for (int way = 0; way < 3; way++) {
		int status = 401;
		for (int i = 0; i < 6; i++) {
			ck_assert_int_eq(status, 401);
			const struct client *one = way == 2 ? with(page, "X-Forwarded-For: 198.51.100.%d", i) : page;
			status = guess(one, somebody()->name,
				way == 0 ? format("198.51.100.%d, %s", i, second[0]) : second[way]);
		}
		ck_assert_int_eq(status, 429);
	}
	for (int i = 0, status = 401; i < 6; i++) { /* who has one address of an IPv6 network has them all */
		ck_assert_int_eq(status, 401);
		ck_assert_int_eq(
			status = guess(page, somebody()->name, format("2001:db8::%d", i + 1)), i < 5 ? 401 : 429);
	}
	ck_assert_int_eq(guess(page, somebody()->name, "2001:db8:0:1::1"), 401);
	/* Who comes from elsewhere isn't held up; what somebody untrusted says doesn't count. */
	ck_assert_int_eq(guess(page, somebody()->name, "192.0.2.4"), 401);
	server_stop(node);
}
END_TEST

/* One account from many addresses. */
START_TEST(guessing_one_account_from_everywhere_is_slowed_down)
{
	const char *const flags[] = { "--rate-logins", "5", "--trusted-proxies", "127.0.0.1", NULL };
	struct server *node = server_join(house(), flags);
	struct client *page = from_page(via(nobody(), node)), *ann = somebody();
	int status = 401;
	for (int i = 0; i < 6; i++) {
		ck_assert_int_eq(status, 401);
		status = guess(page, ann->name, format("198.51.100.%d", i));
	}
	ck_assert_int_eq(status, 429);
	server_stop(node);
}
END_TEST

START_TEST(a_display_name_is_seen_by_who_shares_a_chat)
{
	struct client *ann = somebody(), *bob = somebody(), *far = somebody();
	group(ann, bob);
	struct stream *his = live(bob), *theirs = live(far);
	struct answer a = is(patch(ann, "/v1/me", "{'display_name':'Ann of the Gate'}"), 200);
	ck_assert_str_eq(str(a.json, "display_name"), "Ann of the Gate");
	struct json_object *u = expect(his, "user");
	ck_assert_str_eq(str(u, "name"), ann->name);
	ck_assert_str_eq(str(u, "display_name"), "Ann of the Gate");
	ck_assert_str_eq(str(is(get(far, "/v1/users/%s", ann->name), 200).json, "display_name"), "Ann of the Gate");
	expect_quiet(theirs);
	refused(patch(ann, "/v1/me", "{'name':'root'}"), 422, "unknown_field");
	refused(patch(ann, "/v1/me", "{'display_name':5}"), 422, "wrong_type");
	refused(patch(ann, "/v1/me", "{'display_name':'a\\u0000b'}"), 422, "bad_text");
}
END_TEST

START_TEST(users_are_found)
{
	struct client *zoe = user("zoe"), *zora = user("zora-b");
	is(patch(zora, "/v1/me", "{'display_name':'Bella Zoeller'}"), 200);
	struct answer a = is(get(zoe, "/v1/users?q=zo"), 200);
	ck_assert_uint_eq(count(a.json, "users"), 2);
	ck_assert_str_eq(str(a.json, "users.0.name"), "zoe");
	ck_assert_str_eq(str(a.json, "users.1.name"), "zora-b");
	a = is(get(zoe, "/v1/users?q=bel"), 200);
	ck_assert_uint_eq(count(a.json, "users"), 1);
	ck_assert_uint_eq(count(is(get(zoe, "/v1/users?q=%%25%%5f"), 200).json, "users"), 0);
	ck_assert_ptr_null(strstr(a.body, "password"));
	refused(get(zoe, "/v1/users/nobody-here"), 404, "not_found");
	refused(get(nobody(), "/v1/users"), 401, "unauthorized");
}
END_TEST

START_TEST(the_command_line_knows_good_names)
{
	char *said;
	const char *const bad[] = { "A", "a", "Alice", "with space", "-dash", "a/b", "\xc3\xa9t\xc3\xa9",
		"zoe" /* taken */, "this-name-is-longer-than-thirty-two" };
	user("zoe");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const char *const args[] = { "user", "add", bad[i], "--state", server_state(house()), NULL };
		ck_assert_msg(server_try(args, 20, &said) != 0, "user add %s succeeds", bad[i]);
		ck_assert_str_ne(said, "");
	}
	ck_assert_ptr_nonnull(strstr(server_command(house(), NULL, "user", "list"), "zoe"));
	struct client *brief =
		using(nobody(), server_command(house(), NULL, "token", "zoe", "--label", "cron", "--expires", "30d"));
	struct answer list = is(get(brief, "/v1/tokens"), 200);
	ck_assert_ptr_nonnull(strstr(list.body, "\"cron\""));
}
END_TEST

int main(void)
{
	const char *const flags[] = { "--rate-logins", "0", "--rate-sends", "0", "--log-level", "debug", NULL };
	const TTest *const tests[] = {
		a_password_gives_a_session,
		a_wrong_password_tells_nothing,
		signing_in_is_for_this_page_only,
		a_write_with_a_cookie_must_come_from_this_page,
		behind_a_proxy_the_public_address_counts,
		signing_out_ends_the_session_everywhere,
		a_new_password_ends_sessions_and_leaves_tokens,
		a_token_may_be_a_basic_password,
		who_is_unknown_is_offered_bearer_only,
		tokens_are_made_listed_and_revoked,
		bad_tokens_are_not_made,
		revoking_a_token_ends_its_streams_at_once,
		a_disabled_user_is_out_at_once,
		a_stream_ends_when_its_token_does,
		a_ticket_is_good_once,
		a_ticket_hangs_on_its_token,
		an_access_token_in_the_address_is_for_streams_and_not_logged,
		an_invitation_is_logged_without_its_code,
		guessing_is_slowed_down,
		guessing_is_slowed_down_behind_a_proxy,
		guessing_one_account_from_everywhere_is_slowed_down,
		a_display_name_is_seen_by_who_shares_a_chat,
		users_are_found,
		the_command_line_knows_good_names,
		NULL,
	};
	return suite_run("accounts", tests, flags);
}
