/* SPDX-License-Identifier: MIT
 * Authentication: sign-in, cookies and the origins they are accepted from, tokens and tickets, and that a user who
 * loses access loses their streams. */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/client.h"
#include "../lib/stream.h"
#include "../lib/suite.h"
#include "base/clock.h"

static struct client *from_page(const struct client *who)
{
	return with_header(who, "Origin: %s", server_url(who->server));
}

static struct answer sign_in(const struct client *who, const char *password)
{
	return post(from_page(anonymous()), "/v1/session", "{'name':'%s','password':'%s'}", who->name, password);
}

/* Returns "postern_session=…" of an answer. */
static const char *cookie_of(struct answer a)
{
	const char *cookie = expect_header(a, "Set-Cookie");
	ck_assert_msg(cookie != NULL && strncmp(cookie, "postern_session=", 16) == 0, "%s", a.head);
	return format("%.*s", (int)strcspn(cookie, ";"), cookie);
}

static struct client *with_cookie(struct answer a) { return with_header(anonymous(), "Cookie: %s", cookie_of(a)); }

START_TEST(sign_in_with_password_gives_session)
{
	struct client *ann = new_user();
	struct answer a = expect_status(sign_in(ann, PASSWORD), 201);
	ck_assert_str_eq(json_str(a.json, "user.name"), ann->name);
	ck_assert_uint_eq(strlen(json_str(a.json, "expires_at")), 24);
	const char *cookie = expect_header(a, "Set-Cookie");
	ck_assert_msg(strcasestr(cookie, "; HttpOnly") && strcasestr(cookie, "; SameSite=Lax") &&
			!strcasestr(cookie, "; Secure"),
		"%s", cookie);
	ck_assert_ptr_null(strcasestr(cookie, "Domain="));
	ck_assert_str_eq(json_str(expect_status(get(with_cookie(a), "/v1/me"), 200).json, "name"), ann->name);
	ck_assert_str_eq(
		json_str(expect_status(get(with_token(anonymous(), json_str(a.json, "token")), "/v1/me"), 200).json,
			"name"),
		ann->name);
	expect(stream_open(with_cookie(a), NULL), "hello");
}
END_TEST

START_TEST(sign_in_with_wrong_password_does_not_reveal_the_user)
{
	struct client *ann = new_user(), *off = new_user();
	server_command(test_server(), NULL, "user", "disable", off->name);
	struct answer wrong = expect_problem(sign_in(ann, "over the wall"), 401, "bad_credentials");
	struct answer refusals[] = {
		sign_in(&(struct client) { .name = "no-such-user" }, PASSWORD),
		sign_in(off, PASSWORD),
		sign_in(ann, ""),
		sign_in(ann, ann->token),
		sign_in(&(struct client) { .name = "NO USER" }, PASSWORD),
	};
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		expect_problem(refusals[i], 401, "bad_credentials");
		ck_assert_str_eq(json_str(refusals[i].json, "title"), json_str(wrong.json, "title"));
		ck_assert_ptr_null(answer_header(refusals[i], "Set-Cookie"));
	}
}
END_TEST

START_TEST(sign_in_from_another_origin_is_refused)
{
	struct client *ann = new_user();
	char *body = format("{'name':'%s','password':'" PASSWORD "'}", ann->name);
	expect_problem(post(anonymous(), "/v1/session", "%s", body), 403, "origin_required");
	const char *const foreign[] = { "Origin: https://evil.example", "Origin: null", "Origin: http://127.0.0.1:1",
		"Origin: http://127.0.0.1", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: same-site",
		"Sec-Fetch-Site: none" };
	for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++)
		expect_problem(
			post(with_header(anonymous(), "%s", foreign[i]), "/v1/session", "%s", body), 403, "bad_origin");
	expect_status(post(with_header(anonymous(), "Sec-Fetch-Site: same-origin"), "/v1/session", "%s", body), 201);
}
END_TEST

START_TEST(cookie_write_from_another_origin_is_refused)
{
	struct client *ann = new_user(), *cookie = with_cookie(expect_status(sign_in(ann, PASSWORD), 201));
	expect_problem(post(cookie, "/v1/chats", "{'kind':'group','title':'x'}"), 403, "origin_required");
	expect_problem(patch(cookie, "/v1/me", "{'display_name':'x'}"), 403, "origin_required");
	expect_problem(del(cookie, "/v1/session"), 403, "origin_required");
	expect_problem(
		post(with_header(cookie, "Origin: https://evil.example"), "/v1/chats", "{'kind':'group','title':'x'}"),
		403, "bad_origin");
	expect_status(get(with_header(cookie, "Origin: https://evil.example"), "/v1/me"),
		200); /* a foreign page can't read the response */
	expect_status(post(from_page(cookie), "/v1/chats", "{'kind':'group','title':'x'}"), 201);
	expect_status(
		post(with_header(cookie, "Sec-Fetch-Site: same-origin"), "/v1/chats", "{'kind':'group','title':'x'}"),
		201);
	expect_status(
		post(with_header(ann, "Origin: https://evil.example"), "/v1/chats", "{'kind':'group','title':'x'}"),
		201); /* a request with a token needs no origin */
}
END_TEST

START_TEST(origin_behind_proxy_is_compared_with_public_url)
{
	const char *const flags[] = { "--public-url", "https://chat.example.org", "--rate-logins", "0", NULL };
	struct server *node = server_join(test_server(), flags);
	struct client *ann = new_user(),
		      *page = with_header(on_server(anonymous(), node), "Origin: https://chat.example.org");
	char *body = format("{'name':'%s','password':'" PASSWORD "'}", ann->name);
	struct answer a = expect_status(post(page, "/v1/session", "%s", body), 201);
	ck_assert_ptr_nonnull(strcasestr(expect_header(a, "Set-Cookie"), "; Secure"));
	expect_problem(post(from_page(on_server(anonymous(), node)), "/v1/session", "%s", body), 403, "bad_origin");
	expect_problem(post(with_header(on_server(anonymous(), node), "Origin: http://chat.example.org"), "/v1/session",
			       "%s", body),
		403, "bad_origin");
	server_stop(node);
}
END_TEST

START_TEST(sign_out_ends_session_on_every_node)
{
	struct client *ann = new_user();
	struct answer a = expect_status(sign_in(ann, PASSWORD), 201);
	struct stream *s = stream_open(with_cookie(a), NULL), *others = stream_from_now(ann);
	expect(s, "hello");
	struct answer out = expect_status(del(from_page(with_cookie(a)), "/v1/session"), 204);
	ck_assert_ptr_nonnull(strstr(expect_header(out, "Set-Cookie"), "postern_session="));
	expect_end(s);
	expect_problem(get(with_cookie(a), "/v1/me"), 401, "unauthorized");
	expect_problem(get(with_token(anonymous(), json_str(a.json, "token")), "/v1/me"), 401, "unauthorized");
	expect_quiet(others);
}
END_TEST

START_TEST(password_command_ends_sessions_and_tokens)
{
	struct client *ann = new_user();
	struct answer a = expect_status(sign_in(ann, PASSWORD), 201);
	struct stream *s = stream_open(with_cookie(a), NULL);
	expect(s, "hello");
	server_command(test_server(), "over the wall\n", "user", "passwd", ann->name);
	expect_end(s);
	expect_problem(get(with_cookie(a), "/v1/me"), 401, "unauthorized");
	expect_problem(get(ann, "/v1/me"), 401, "unauthorized");
	expect_problem(sign_in(ann, PASSWORD), 401, "bad_credentials");
	expect_status(sign_in(ann, "over the wall"), 201);
}
END_TEST

START_TEST(password_command_can_keep_tokens)
{
	struct client *ann = new_user();
	struct answer a = expect_status(sign_in(ann, PASSWORD), 201);
	struct stream *session = stream_open(with_cookie(a), NULL), *token = stream_from_now(ann);
	expect(session, "hello");
	server_command(test_server(), "over the wall\n", "user", "passwd", ann->name, "--keep-tokens");
	expect_end(session);
	expect_problem(get(with_cookie(a), "/v1/me"), 401, "unauthorized");
	expect_status(get(ann, "/v1/me"), 200);
	expect_quiet(token);
}
END_TEST

START_TEST(user_enabled_again_has_no_former_access)
{
	struct client *ann = new_user();
	struct client *session = with_cookie(expect_status(sign_in(ann, PASSWORD), 201));
	const char *link = server_command(test_server(), NULL, "user", "reset-link", ann->name);
	const char *ticket = json_str(expect_status(post(ann, "/v1/stream-tickets", NULL), 201).json, "ticket");
	server_command(test_server(), NULL, "user", "disable", ann->name);
	server_command(test_server(), NULL, "user", "enable", ann->name);
	expect_problem(get(ann, "/v1/me"), 401, "unauthorized");
	expect_problem(get(session, "/v1/me"), 401, "unauthorized");
	expect_problem(get(anonymous(), "/v1/poll?wait=0&ticket=%s", ticket), 401, "unauthorized");
	expect_problem(
		post(from_page(anonymous()), "/v1/password-reset", "{'token':'%s','password':'over the wall'}", link),
		404, "not_found");
	session = with_cookie(expect_status(sign_in(ann, PASSWORD), 201));
	ck_assert_uint_eq(json_count(expect_status(get(session, "/v1/tokens"), 200).json, "tokens"), 1);
}
END_TEST

START_TEST(token_as_basic_password_is_accepted)
{
	struct client *ann = new_user();
	char *pair = format("%s:%s", ann->name, ann->token), encoded[512];
	sodium_bin2base64(
		encoded, sizeof(encoded), (unsigned char *)pair, strlen(pair), sodium_base64_VARIANT_ORIGINAL);
	struct client *basic = with_header(anonymous(), "Authorization: Basic %s", encoded);
	ck_assert_str_eq(json_str(expect_status(get(basic, "/v1/me"), 200).json, "name"), ann->name);
	expect_status(post(basic, "/v1/chats", "{'kind':'group','title':'x'}"), 201);
	expect(stream_open(basic, NULL), "hello");
}
END_TEST

START_TEST(unauthenticated_request_is_offered_bearer_only)
{
	struct client *strangers[] = {
		anonymous(),
		with_token(anonymous(), "not-a-token"),
		with_token(anonymous(), ""),
		with_header(anonymous(), "Authorization: Basic YTpi"),
		with_header(anonymous(), "Authorization: Basic !!!"),
		with_header(anonymous(), "Authorization: Digest x"),
		with_header(anonymous(), "Cookie: postern_session=x"),
		with_header(anonymous(), "Authorization: Bearer"),
	};
	for (size_t i = 0; i < sizeof(strangers) / sizeof(strangers[0]); i++)
		for (int j = 0; j < 3; j++) {
			struct answer a = expect_problem(get(strangers[i], "%s",
								 j == 0           ? "/v1/me"
									 : j == 1 ? "/v1/stream"
										  : "/v1/poll?wait=0"),
				401, "unauthorized");
			ck_assert_str_eq(format("%.6s", expect_header(a, "WWW-Authenticate")), "Bearer");
			ck_assert_ptr_null(strcasestr(a.head, "Basic"));
		}
}
END_TEST

START_TEST(tokens_are_created_listed_and_revoked)
{
	struct client *ann = new_user(), *eve = new_user();
	struct answer made = expect_status(post(ann, "/v1/tokens", "{'label':'laptop'}"), 201);
	ck_assert_str_eq(json_str(made.json, "label"), "laptop");
	struct client *laptop = with_token(ann, json_str(made.json, "token"));
	expect_status(get(laptop, "/v1/me"), 200);
	struct answer list = expect_status(get(ann, "/v1/tokens"), 200);
	ck_assert_uint_eq(json_count(list.json, "tokens"), 2);
	ck_assert_ptr_null(strstr(list.body, laptop->token));
	ck_assert_ptr_nonnull(strstr(list.body, "laptop"));

	long long id = json_num(made.json, "id");
	expect_problem(del(eve, "/v1/tokens/%lld", id), 404, "not_found");
	expect_status(get(laptop, "/v1/me"), 200);
	expect_status(del(ann, "/v1/tokens/%lld", id), 204);
	expect_problem(get(laptop, "/v1/me"), 401, "unauthorized");
	expect_problem(del(ann, "/v1/tokens/%lld", id), 404, "not_found");
	ck_assert_uint_eq(json_count(expect_status(get(ann, "/v1/tokens"), 200).json, "tokens"), 1);
	expect_status(get(ann, "/v1/me"), 200);
}
END_TEST

START_TEST(token_with_invalid_fields_is_refused)
{
	struct client *ann = new_user();
	expect_problem(
		post(ann, "/v1/tokens", "{'label':'x','expires_at':'2020-01-01T00:00:00Z'}"), 422, "out_of_range");
	expect_problem(post(ann, "/v1/tokens", "{'label':5}"), 422, "wrong_type");
	expect_problem(post(ann, "/v1/tokens", "{'label':'x','name':'alice'}"), 422, "unknown_field");
	struct answer a = expect_status(post(ann, "/v1/tokens", "{'label':'x','expires_at':'tomorrow'}"), 422);
	expect_problem(a, 422, json_str(a.json, "code"));
	expect_problem(post(anonymous(), "/v1/tokens", "{'label':'x'}"), 401, "unauthorized");
}
END_TEST

START_TEST(token_revocation_ends_its_streams_at_once)
{
	const char *const flags[] = { "--streams-per-user", "0", NULL };
	struct server *node = server_join(test_server(), flags);
	struct client *ann = new_user();
	struct answer made = expect_status(post(ann, "/v1/tokens", "{'label':'phone'}"), 201);
	struct client *phone = with_token(ann, json_str(made.json, "token"));
	struct stream *here = stream_from_now(phone), *there = stream_from_now(on_server(phone, node)),
		      *ndjson = stream_open(phone, "?format=ndjson"), *others = stream_from_now(ann);
	expect(ndjson, "hello");
	struct wire *w = wire_open(test_server());
	double open = metric(test_server(), "postern_streams");
	wire_send(w, "GET /v1/poll?wait=60 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", phone->token);
	await_metric(test_server(), "postern_streams", open + 1);

	expect_status(del(ann, "/v1/tokens/%lld", json_num(made.json, "id")), 204);
	expect_end(here);
	expect_end(there);
	expect_end(ndjson);
	struct answer polled = wire_answer(w); /* long before its 60 seconds */
	expect_problem(polled, 401, "unauthorized");
	expect_problem(get(phone, "/v1/stream"), 401, "unauthorized");
	expect_problem(get(on_server(phone, node), "/v1/me"), 401, "unauthorized");
	expect_quiet(others);
	stream_cut(others);
	server_stop(node);
}
END_TEST

START_TEST(user_disabled_loses_access_at_once)
{
	struct client *ann = new_user(), *bob = new_user();
	long long chat = make_group(bob, ann);
	struct stream *s = stream_from_now(ann), *bobs = stream_from_now(bob);
	server_command(test_server(), NULL, "user", "disable", ann->name);
	if (!stream_is_over(s) && strcmp(stream_peek(s), "user") == 0)
		expect(s, "user"); /* the event may arrive before the end */
	expect_end(s);
	expect_problem(get(ann, "/v1/me"), 401, "unauthorized");
	expect_problem(post(ann, messages_path(chat), "{'text':'still here?'}"), 401, "unauthorized");
	struct json_object *u = expect(bobs, "user");
	ck_assert_str_eq(json_str(u, "name"), ann->name);
	ck_assert_str_eq(json_str(u, "state"), "disabled");
}
END_TEST

START_TEST(stream_ends_when_its_token_expires)
{
	struct client *ann = new_user();
	char when[CLOCK_RFC3339_LEN + 1];
	clock_rfc3339(clock_real_us() + 2500000, when);
	struct answer made = expect_status(post(ann, "/v1/tokens", "{'label':'brief','expires_at':'%s'}", when), 201);
	ck_assert_str_eq(json_str(made.json, "expires_at"), when);
	struct client *brief = with_token(ann, json_str(made.json, "token"));
	struct stream *s = stream_from_now(brief);
	expect_status(get(brief, "/v1/me"), 200);
	expect_end(s);
	expect_problem(get(brief, "/v1/me"), 401, "unauthorized");
	char now[CLOCK_RFC3339_LEN + 1];
	clock_rfc3339(clock_real_us(), now);
	ck_assert_str_ge(now, when);
}
END_TEST

START_TEST(ticket_is_accepted_once)
{
	struct client *ann = new_user(), *bob = new_user();
	long long chat = make_group(bob, ann);
	struct answer made = expect_status(post(ann, "/v1/stream-tickets", NULL), 201);
	ck_assert_uint_eq(strlen(json_str(made.json, "expires_at")), 24);
	const char *ticket = json_str(made.json, "ticket");
	expect_problem(get(anonymous(), "/v1/me?ticket=%s", ticket), 401, "unauthorized");
	struct stream *s = stream_open(anonymous(), "?ticket=%s", ticket);
	expect(s, "hello");
	expect_message(s, say(bob, chat, "hi"));
	expect_problem(get(anonymous(), "/v1/stream?ticket=%s", ticket), 401, "unauthorized");
	expect_problem(get(anonymous(), "/v1/poll?wait=0&ticket=%s", ticket), 401, "unauthorized");
	expect_problem(get(anonymous(), "/v1/stream?ticket=nonsense"), 401, "unauthorized");

	const char *another = json_str(expect_status(post(ann, "/v1/stream-tickets", NULL), 201).json, "ticket");
	expect_status(get(anonymous(), "/v1/poll?wait=0&ticket=%s", another), 200);
	expect_problem(get(anonymous(), "/v1/poll?wait=0&ticket=%s", another), 401, "unauthorized");
}
END_TEST

START_TEST(ticket_of_revoked_token_is_refused)
{
	struct client *ann = new_user();
	struct answer made = expect_status(post(ann, "/v1/tokens", "{'label':'phone'}"), 201);
	struct client *phone = with_token(ann, json_str(made.json, "token"));
	struct stream *s = stream_open(anonymous(), "?ticket=%s",
		json_str(expect_status(post(phone, "/v1/stream-tickets", NULL), 201).json, "ticket"));
	expect(s, "hello");
	const char *unused = json_str(expect_status(post(phone, "/v1/stream-tickets", NULL), 201).json, "ticket");
	expect_status(del(ann, "/v1/tokens/%lld", json_num(made.json, "id")), 204);
	expect_end(s);
	expect_problem(get(anonymous(), "/v1/stream?ticket=%s", unused), 401, "unauthorized");
}
END_TEST

START_TEST(access_token_in_url_is_accepted_for_streams_only_and_not_logged)
{
	struct client *ann = new_user();
	struct stream *s = stream_open(anonymous(), "?access_token=%s", ann->token);
	expect(s, "hello");
	expect_status(get(anonymous(), "/v1/poll?wait=0&access_token=%s", ann->token), 200);
	expect_problem(get(anonymous(), "/v1/me?access_token=%s", ann->token), 401, "unauthorized");
	expect_problem(get(anonymous(), "/v1/stream?access_token=x"), 401, "unauthorized");
	const char *ticket = json_str(expect_status(post(ann, "/v1/stream-tickets", NULL), 201).json, "ticket");
	expect_status(get(anonymous(), "/v1/poll?wait=0&ticket=%s", ticket), 200);
	ck_assert(server_logged(test_server(), "/v1/poll")); /* at level debug the server logs requests */
	ck_assert(!server_logged(test_server(), ann->token));
	ck_assert(!server_logged(test_server(), ticket));
	ck_assert(!server_logged(test_server(), PASSWORD));
}
END_TEST

START_TEST(invite_request_is_logged_without_its_code)
{
	struct client *ann = new_user(), *ben = new_user();
	const char *code = json_str(
		expect_status(post(ann, format("/v1/chats/%lld/invites", make_group(ann)), NULL), 201).json, "code");
	expect_status(get(ben, "/v1/invites/%s", code), 200);
	ck_assert(server_logged(test_server(), "/v1/invites/{code}"));
	ck_assert(!server_logged(test_server(), code));
}
END_TEST

START_TEST(sign_in_guesses_are_rate_limited)
{
	const char *const flags[] = { "--rate-logins", "5", NULL };
	struct server *node = server_join(test_server(), flags);
	struct client *ann = new_user(), *page = from_page(on_server(anonymous(), node));
	char *guess = format("{'name':'%s','password':'guess'}", ann->name);
	struct answer a = post(page, "/v1/session", "%s", guess);
	for (int i = 0; i < 20 && a.status == 401; i++)
		a = post(page, "/v1/session", "%s", guess);
	expect_problem(a, 429, "rate_limited");
	ck_assert_int_ge(atoi(expect_header(a, "Retry-After")), 1);
	expect_problem(
		post(page, "/v1/session", "{'name':'%s','password':'" PASSWORD "'}", ann->name), 429, "rate_limited");
	server_stop(node);
}
END_TEST

static int guess(const struct client *page, const char *name, const char *forwarded)
{
	return post(with_header(page, "X-Forwarded-For: %s", forwarded), "/v1/session",
		"{'name':'%s','password':'guess'}", name)
		.status;
}

/* A limit of that many a minute has admitted n: some may have come back meanwhile on a slow machine. */
static void expect_admitted(int n, int limit)
{
	ck_assert_int_ge(n, limit);
	ck_assert_int_lt(n, 3 * limit);
}

/* A proxy that sets one of the headers passes on the other one as the client has sent it. */
START_TEST(header_that_the_proxy_does_not_set_is_ignored)
{
	const char *const flags[] = { "--rate-logins", "1", "--trusted-proxies", "127.0.0.1", "--forwarded-header",
		"forwarded", NULL };
	struct server *node = server_join(test_server(), flags);
	struct client *page = from_page(on_server(anonymous(), node)), *ann = new_user();
	int n = 0;
	while (guess(with_header(page, "Forwarded: for=198.51.100.%d, for=203.0.113.9;proto=http", n),
		       format("nobody-%d", n), format("192.0.2.%d", n)) == 401)
		n++;
	expect_admitted(n, 10);
	const struct client *other = with_header(page, "Forwarded: for=203.0.113.10");
	ck_assert_int_eq(guess(other, "nobody-else", "192.0.2.1"), 401);
	/* The proxy quotes a Host that the client has chosen; a quote that the client has left open is before it. */
	other = with_header(page, "Forwarded: for=\"x, for=203.0.113.9;host=\"\\\"x, for=198.51.100.7;proto=https\"");
	for (n = 0; guess(other, format("nobody-quoted-%d", n), "192.0.2.1") == 401; n++)
		;
	ck_assert_int_lt(n, 5); /* what has come back meanwhile, not the 10 of another address */
	struct answer a = post(with_header(page, "Forwarded: for=203.0.113.11;proto=https"), "/v1/session",
		"{'name':'%s','password':'" PASSWORD "'}", ann->name);
	ck_assert_ptr_nonnull(strcasestr(expect_header(expect_status(a, 201), "Set-Cookie"), "; Secure"));
	a = post(with_header(page, "X-Forwarded-Proto: https"), "/v1/session",
		"{'name':'%s','password':'" PASSWORD "'}", ann->name);
	ck_assert_ptr_null(strcasestr(expect_header(expect_status(a, 201), "Set-Cookie"), "; Secure"));
}
END_TEST

/* One address behind a trusted proxy guesses at many accounts. The proxy appends the address to the client's header,
 * names a second proxy after it, or sends it in a second header. */
START_TEST(sign_in_guesses_behind_proxy_are_limited_by_client_address)
{
	const char *const flags[] = { "--rate-logins", "1", "--trusted-proxies", "127.0.0.1,10.1.1.1", NULL };
	struct server *node = server_join(test_server(), flags);
	struct client *page = from_page(on_server(anonymous(), node));
	static const char *const second[] = { "192.0.2.1", "192.0.2.2, 10.1.1.1", "192.0.2.3" };
	for (int way = 0, n; way < 3; way++) {
		for (n = 0;; n++) {
			const struct client *one =
				way == 2 ? with_header(page, "X-Forwarded-For: 198.51.100.%d", n) : page;
			if (guess(one, format("nobody-%d-%d", way, n),
				    way == 0 ? format("198.51.100.%d, %s", n, second[0]) : second[way]) != 401)
				break;
		}
		expect_admitted(n, 10);
	}
	int n = 0; /* an IPv6 network counts as one address */
	while (guess(page, format("nobody-six-%d", n), format("2001:db8::%x", n + 1)) == 401)
		n++;
	expect_admitted(n, 10);
	ck_assert_int_eq(guess(page, "nobody-here", "2001:db8:0:1::1"), 401);
	/* Another address isn't limited. */
	ck_assert_int_eq(guess(page, "nobody-there", "192.0.2.4"), 401);
	server_stop(node);
}
END_TEST

/* Guesses from an address each until the account is limited. Returns how many were admitted. */
static int guess_from_everywhere(const struct client *page, const char *name)
{
	int n = 0;
	while (guess(page, name, format("198.51.100.%d", n)) == 401)
		n++;
	return n;
}

static struct answer sign_in_from(const struct client *page, const char *name, const char *address)
{
	return post(with_header(page, "X-Forwarded-For: %s", address), "/v1/session",
		"{'name':'%s','password':'" PASSWORD "'}", name);
}

START_TEST(sign_in_guesses_from_many_addresses_are_limited_by_account)
{
	const char *const flags[] = { "--rate-logins", "1", "--trusted-proxies", "127.0.0.1", NULL };
	struct server *node = server_join(test_server(), flags);
	struct client *page = from_page(on_server(anonymous(), node)), *ann = new_user();
	expect_admitted(guess_from_everywhere(page, ann->name), 20);
	expect_problem(sign_in_from(page, ann->name, "203.0.113.1"), 429, "rate_limited");
	expect_admitted(guess_from_everywhere(page, "nobody-at-all"), 20); /* as if there were such an account */
	server_stop(node);
}
END_TEST

START_TEST(user_is_not_locked_out_by_guesses_of_strangers)
{
	const char *const flags[] = { "--rate-logins", "1", "--trusted-proxies", "127.0.0.1", NULL };
	static const char *const home[] = { "203.0.113.5", "2001:db8:5::1" };
	struct server *node = server_join(test_server(), flags);
	struct client *page = from_page(on_server(anonymous(), node)), *ann = new_user();
	struct client *session = anonymous();
	for (int i = 0; i < 2; i++)
		session = on_server(
			with_token(anonymous(),
				json_str(expect_status(sign_in_from(page, ann->name, home[i]), 201).json, "token")),
			node);
	guess_from_everywhere(page, ann->name);
	expect_problem(sign_in_from(page, ann->name, "203.0.113.6"), 429, "rate_limited");
	expect_problem(sign_in_from(page, ann->name, "2001:db8:6::1"), 429, "rate_limited");
	expect_status(sign_in_from(page, ann->name, home[0]), 201);
	expect_status(sign_in_from(page, ann->name, "2001:db8:5::2"), 201);
	expect_status(post(session, "/v1/me/password", "{'old_password':'" PASSWORD "','password':'over the wall'}"),
		204); /* who has signed in isn't concerned either */
	server_stop(node);
}
END_TEST

START_TEST(address_is_not_locked_out_by_guesses_at_one_account)
{
	const char *const flags[] = { "--rate-logins", "2", NULL };
	struct server *node = server_join(test_server(), flags);
	struct client *page = from_page(on_server(anonymous(), node)), *ann = new_user(), *ben = new_user();
	int n = 0;
	while (post(page, "/v1/session", "{'name':'%s','password':'guess'}", ben->name).status == 401)
		n++;
	expect_admitted(n, 2);
	expect_status(post(page, "/v1/session", "{'name':'%s','password':'" PASSWORD "'}", ann->name), 201);
	server_stop(node);
}
END_TEST

START_TEST(display_name_change_is_sent_to_users_who_share_a_chat)
{
	struct client *ann = new_user(), *bob = new_user(), *far = new_user();
	make_group(ann, bob);
	struct stream *bobs = stream_from_now(bob), *theirs = stream_from_now(far);
	struct answer a = expect_status(patch(ann, "/v1/me", "{'display_name':'Ann of the Gate'}"), 200);
	ck_assert_str_eq(json_str(a.json, "display_name"), "Ann of the Gate");
	struct json_object *u = expect(bobs, "user");
	ck_assert_str_eq(json_str(u, "name"), ann->name);
	ck_assert_str_eq(json_str(u, "display_name"), "Ann of the Gate");
	ck_assert_str_eq(json_str(expect_status(get(far, "/v1/users/%s", ann->name), 200).json, "display_name"),
		"Ann of the Gate");
	expect_quiet(theirs);
	expect_problem(patch(ann, "/v1/me", "{'name':'root'}"), 422, "unknown_field");
	expect_problem(patch(ann, "/v1/me", "{'display_name':5}"), 422, "wrong_type");
	expect_problem(patch(ann, "/v1/me", "{'display_name':'a\\u0000b'}"), 422, "bad_text");
}
END_TEST

START_TEST(user_search_matches_name_and_display_name)
{
	struct client *zoe = user("zoe"), *zora = user("zora-b");
	expect_status(patch(zora, "/v1/me", "{'display_name':'Bella Zoeller'}"), 200);
	struct answer a = expect_status(get(zoe, "/v1/users?q=zo"), 200);
	ck_assert_uint_eq(json_count(a.json, "users"), 2);
	ck_assert_str_eq(json_str(a.json, "users.0.name"), "zoe");
	ck_assert_str_eq(json_str(a.json, "users.1.name"), "zora-b");
	a = expect_status(get(zoe, "/v1/users?q=bel"), 200);
	ck_assert_uint_eq(json_count(a.json, "users"), 1);
	ck_assert_uint_eq(json_count(expect_status(get(zoe, "/v1/users?q=%%25%%5f"), 200).json, "users"), 0);
	ck_assert_ptr_null(strstr(a.body, "password"));
	expect_problem(get(zoe, "/v1/users/nobody-here"), 404, "not_found");
	expect_problem(get(anonymous(), "/v1/users"), 401, "unauthorized");
}
END_TEST

START_TEST(user_add_with_invalid_name_is_refused)
{
	char *said;
	const char *const bad[] = { "A", "a", "Alice", "with space", "-dash", "a/b", "\xc3\xa9t\xc3\xa9",
		"zoe" /* taken */, "this-name-is-longer-than-thirty-two" };
	user("zoe");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const char *const args[] = { "user", "add", bad[i], "--state", server_state(test_server()), NULL };
		ck_assert_msg(server_try(args, 20, &said) != 0, "user add %s succeeds", bad[i]);
		ck_assert_str_ne(said, "");
	}
	ck_assert_ptr_nonnull(strstr(server_command(test_server(), NULL, "user", "list"), "zoe"));
	struct client *brief = with_token(anonymous(),
		server_command(test_server(), NULL, "token", "zoe", "--label", "cron", "--expires", "30d"));
	struct answer list = expect_status(get(brief, "/v1/tokens"), 200);
	ck_assert_ptr_nonnull(strstr(list.body, "\"cron\""));
}
END_TEST

int main(void)
{
	const char *const flags[] = { "--rate-logins", "0", "--rate-sends", "0", "--log-level", "debug", NULL };
	const TTest *const tests[] = {
		sign_in_with_password_gives_session,
		sign_in_with_wrong_password_does_not_reveal_the_user,
		sign_in_from_another_origin_is_refused,
		cookie_write_from_another_origin_is_refused,
		origin_behind_proxy_is_compared_with_public_url,
		sign_out_ends_session_on_every_node,
		password_command_ends_sessions_and_tokens,
		password_command_can_keep_tokens,
		user_enabled_again_has_no_former_access,
		token_as_basic_password_is_accepted,
		unauthenticated_request_is_offered_bearer_only,
		tokens_are_created_listed_and_revoked,
		token_with_invalid_fields_is_refused,
		token_revocation_ends_its_streams_at_once,
		user_disabled_loses_access_at_once,
		stream_ends_when_its_token_expires,
		ticket_is_accepted_once,
		ticket_of_revoked_token_is_refused,
		access_token_in_url_is_accepted_for_streams_only_and_not_logged,
		invite_request_is_logged_without_its_code,
		sign_in_guesses_are_rate_limited,
		header_that_the_proxy_does_not_set_is_ignored,
		sign_in_guesses_behind_proxy_are_limited_by_client_address,
		sign_in_guesses_from_many_addresses_are_limited_by_account,
		user_is_not_locked_out_by_guesses_of_strangers,
		address_is_not_locked_out_by_guesses_at_one_account,
		display_name_change_is_sent_to_users_who_share_a_chat,
		user_search_matches_name_and_display_name,
		user_add_with_invalid_name_is_refused,
		NULL,
	};
	return suite_run("accounts", tests, flags);
}
