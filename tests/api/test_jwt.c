/* SPDX-License-Identifier: MIT
 * JSON Web Tokens as bearer tokens: which are accepted, and for which user. */
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../lib/client.h"
#include "../lib/database.h"
#include "../lib/jwt.h"
#include "../lib/stream.h"
#include "../lib/suite.h"
#include "base/clock.h"
#include "base/secret.h"

static char path[] = "/tmp/postern-jwks-XXXXXX";

#define GOOD "\"iss\":\"https://id.example\",\"aud\":[\"other\",\"postern\"]"

static long long seconds_from_now(long long seconds) { return (long long)time(NULL) + seconds; }

/* Returns a client whose token has these claims: the members of a JSON object, without its braces. */
static struct client *client_with_jwt(const char *kid, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static struct client *client_with_jwt(const char *kid, const char *fmt, ...)
{
	char claims[1024];
	va_list ap;
	claims[0] = '{';
	va_start(ap, fmt);
	int n = vsnprintf(claims + 1, sizeof(claims) - 2, fmt, ap);
	va_end(ap);
	strcpy(claims + 1 + n, "}");
	char *token = kid != NULL && strcmp(kid, "confused") == 0 ? jwt_confuse(claims)
		: kid != NULL && strcmp(kid, "none") == 0         ? jwt_unsigned(claims)
								  : jwt_sign(kid, claims);
	return with_token(anonymous(), on_teardown(free, token));
}

static void expect_unauthorized(struct client *who, const char *detail)
{
	struct answer a = expect_problem(get(who, "/v1/me"), 401, "unauthorized");
	ck_assert_msg(strstr(json_str(a.json, "detail"), detail) != NULL, "%s", a.body);
}

START_TEST(jwt_of_each_algorithm_is_accepted)
{
	static const char *const kids[] = { "hs", "rs", "es", "ed" };
	for (int i = 0; i < 4; i++) {
		struct client *c = client_with_jwt(
			kids[i], GOOD ",\"sub\":\"jo-%s\",\"exp\":%lld", kids[i], seconds_from_now(600));
		for (int n = 0; n < 3; n++) /* verified, then cached */
			ck_assert_str_eq(
				json_str(expect_status(get(c, "/v1/me"), 200).json, "name"), format("jo-%s", kids[i]));
		struct answer a = expect_status(get(c, "/v1/tokens"), 200);
		ck_assert_uint_eq(json_count(a.json, "tokens"), 1);
		ck_assert_str_eq(json_str(a.json, "tokens.0.kind"), "jwt");
	}
	expect_status(
		get(client_with_jwt(NULL, GOOD ",\"sub\":\"jo-hs\",\"exp\":%lld", seconds_from_now(600)), "/v1/me"),
		200); /* without a kid */
	struct client *jo = client_with_jwt("es", GOOD ",\"sub\":\"jo-es\",\"exp\":%lld", seconds_from_now(600));
	struct stream *s = stream_from_now(jo);
	long long chat = make_group(jo);
	expect(s, "member");
	expect(s, "chat");
	expect_message(s, say(jo, chat, "hi"));
}
END_TEST

START_TEST(jwt_with_any_defect_is_refused)
{
	expect_unauthorized(
		client_with_jwt("hs", GOOD ",\"sub\":\"jo\",\"exp\":%lld", seconds_from_now(-1)), "expired");
	expect_unauthorized(client_with_jwt("hs", GOOD ",\"sub\":\"jo\""), "no exp");
	expect_unauthorized(client_with_jwt("hs", GOOD ",\"sub\":\"jo\",\"exp\":\"tomorrow\""), "no exp");
	expect_unauthorized(client_with_jwt("hs", GOOD ",\"sub\":\"jo\",\"exp\":%lld,\"nbf\":%lld",
				    seconds_from_now(600), seconds_from_now(300)),
		"yet");
	expect_status(get(client_with_jwt("hs", GOOD ",\"sub\":\"jo\",\"exp\":%lld,\"nbf\":%lld", seconds_from_now(600),
				  seconds_from_now(-300)),
			      "/v1/me"),
		200);
	expect_unauthorized(
		client_with_jwt("hs", "\"aud\":\"postern\",\"sub\":\"jo\",\"exp\":%lld", seconds_from_now(600)),
		"issuer");
	expect_unauthorized(client_with_jwt("hs",
				    "\"iss\":\"https://evil.example\",\"aud\":\"postern\",\"sub\":\"jo\",\"exp\":%lld",
				    seconds_from_now(600)),
		"issuer");
	expect_unauthorized(
		client_with_jwt("hs", "\"iss\":\"https://id.example\",\"aud\":\"other\",\"sub\":\"jo\",\"exp\":%lld",
			seconds_from_now(600)),
		"somebody else");
	expect_status(get(client_with_jwt("hs",
				  "\"iss\":\"https://id.example\",\"aud\":\"postern\",\"sub\":\"jo\",\"exp\":%lld",
				  seconds_from_now(600)),
			      "/v1/me"),
		200);
	expect_unauthorized(client_with_jwt("hs", GOOD ",\"exp\":%lld", seconds_from_now(600)), "sub");
	expect_unauthorized(
		client_with_jwt("hs", GOOD ",\"sub\":\"Jo Doe\",\"exp\":%lld", seconds_from_now(600)), "sub");
	expect_unauthorized(client_with_jwt("none", GOOD ",\"sub\":\"jo\",\"exp\":%lld", seconds_from_now(600)), "JWT");
	expect_unauthorized(
		client_with_jwt("confused", GOOD ",\"sub\":\"jo\",\"exp\":%lld", seconds_from_now(600)), "signed");
	struct client *c = client_with_jwt("hs", GOOD ",\"sub\":\"jo\",\"exp\":%lld", seconds_from_now(601));
	char *spoilt = format("%s", c->token);
	spoilt[strlen(spoilt) - 2] = spoilt[strlen(spoilt) - 2] == 'A' ? 'B' : 'A';
	expect_unauthorized(with_token(anonymous(), spoilt), "signed");
	expect_unauthorized(with_token(anonymous(), "eyJ.eyJ.x"), "JWT");
	expect_unauthorized(with_token(anonymous(), format("eyJ.%s.x", format("%03000d", 1))), "JWT");
}
END_TEST

/* Returns the next letter of base64url: with the same significant bits if only the upper ones of the letter count. */
static char next_letter(char c)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	return alphabet[strchr(alphabet, c) - alphabet + 1];
}

START_TEST(jwt_compressed_or_with_critical_extension_is_refused)
{
	struct client *c = client_with_jwt("hs", GOOD ",\"sub\":\"jo\",\"exp\":%lld", seconds_from_now(602));
	const char *rest = strchr(c->token, '.');
	/* {"alg":"HS256","zip":"DEF"} and {"alg":"HS256","crit":["exp"],"exp":1} */
	expect_unauthorized(
		with_token(anonymous(), format("%s%s", "eyJhbGciOiJIUzI1NiIsInppcCI6IkRFRiJ9", rest)), "(zip)");
	expect_unauthorized(
		with_token(anonymous(), format("%s%s", "eyJhbGciOiJIUzI1NiIsImNyaXQiOlsiZXhwIl0sImV4cCI6MX0", rest)),
		"(crit)");
}
END_TEST

START_TEST(jwt_in_another_spelling_is_refused)
{
	struct client *c = client_with_jwt("hs", GOOD ",\"sub\":\"jo\",\"exp\":%lld", seconds_from_now(603));
	expect_status(get(c, "/v1/me"), 200);
	char *respelled = format("%s", c->token), *last = respelled + strlen(respelled) - 1;
	*last = next_letter(*last); /* its two lower bits belong to no byte */
	expect_unauthorized(with_token(anonymous(), respelled), "base64url");
	expect_unauthorized(with_token(anonymous(), format("%s=", c->token)), "base64url");
	expect_unauthorized(with_token(anonymous(), format("%s.", c->token)), "base64url");
}
END_TEST

START_TEST(stream_ends_when_its_jwt_expires)
{
	struct stream *s =
		stream_from_now(client_with_jwt("es", GOOD ",\"sub\":\"jo\",\"exp\":%lld", seconds_from_now(3)));
	expect_end(s);
}
END_TEST

START_TEST(token_created_with_jwt_expires_with_it)
{
	struct client *c = client_with_jwt("es", GOOD ",\"sub\":\"mia\",\"exp\":%lld", seconds_from_now(600));
	struct answer own = expect_status(get(c, "/v1/tokens"), 200),
		      made = expect_status(post(c, "/v1/tokens", "{'expires_at':'2100-01-01T00:00:00Z'}"), 201);
	struct client *token = with_token(c, json_str(made.json, "token"));
	ck_assert_str_eq(json_str(made.json, "expires_at"), json_str(own.json, "tokens.0.expires_at"));
	ck_assert_str_eq(json_str(expect_status(post(token, "/v1/tokens", NULL), 201).json, "expires_at"),
		json_str(own.json, "tokens.0.expires_at")); /* so does a token that is created with that one */
	expect_problem(post(c, "/v1/tokens", "{'expires_at':'2020-01-01T00:00:00Z'}"), 422, "out_of_range");
}
END_TEST

START_TEST(jwt_keys_without_audience_and_issuer_are_warned_about)
{
	char *said;
	ck_assert_int_eq(server_try((const char *const[]) { "check-config", "--jwt-keys", path, NULL }, 5, &said), 0);
	ck_assert_ptr_nonnull(strstr(said, "without jwt_audience and jwt_issuer"));
	ck_assert_int_eq(server_try((const char *const[]) { "check-config", "--jwt-keys", path, "--jwt-audience",
					    "postern", NULL },
				 5, &said),
		0);
	ck_assert_ptr_null(strstr(said, "jwt_audience"));
	ck_assert(!server_logged(test_server(), "without jwt_audience"));
}
END_TEST

START_TEST(jwt_revoked_stays_revoked)
{
	struct client *c = client_with_jwt("ed", GOOD ",\"sub\":\"jay\",\"exp\":%lld", seconds_from_now(600));
	struct stream *s = stream_from_now(c);
	struct answer a = expect_status(get(c, "/v1/tokens"), 200);
	struct client *other = client_with_jwt("rs", GOOD ",\"sub\":\"jay\",\"exp\":%lld", seconds_from_now(600));
	expect_status(del(other, "/v1/tokens/%lld", json_num(a.json, "tokens.0.id")), 204);
	expect_end(s);
	expect_problem(get(c, "/v1/me"), 401, "unauthorized");
	expect_problem(del(other, "/v1/tokens/%lld", json_num(a.json, "tokens.0.id")), 404, "not_found");
	ck_assert_uint_eq(json_count(expect_status(get(other, "/v1/tokens"), 200).json, "tokens"), 1);
	server_command(test_server(), NULL, "user", "disable", "jay");
	unsigned long long until = clock_mono_ms() + PATIENCE;
	while (get(other, "/v1/me").status != 401) /* another process disables the user and notifies the worker */
		time_left(until, "the disabled user to be refused");
}
END_TEST

/* Returns the other form of an ES256 token's signature (r, s): (r, n - s), which the same key verifies. */
static struct client *with_other_s(const struct client *who)
{
	static const unsigned char n[32] = { 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		0xff, 0xff, 0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25,
		0x51 };
	unsigned char signature[64];
	char text[128];
	const char *dot = strrchr(who->token, '.');
	ck_assert_int_eq(secret_from_base64url(dot + 1, strlen(dot + 1), signature, sizeof(signature)), 64);
	for (int i = 31, borrow = 0; i >= 0; i--) {
		int digit = n[i] - signature[32 + i] - borrow;
		borrow = digit < 0;
		signature[32 + i] = (unsigned char)(digit & 0xff);
	}
	sodium_bin2base64(text, sizeof(text), signature, sizeof(signature), sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	return with_token(anonymous(), format("%.*s.%s", (int)(dot - who->token), who->token, text));
}

START_TEST(jwt_revoked_stays_revoked_with_the_other_signature)
{
	for (int i = 0; i < 2; i++) {
		struct client *c = client_with_jwt("es", GOOD ",\"sub\":\"kay\",\"exp\":%lld%s",
			seconds_from_now(610 + i), i ? ",\"jti\":\"one\"" : "");
		struct client *respelled = with_other_s(c);
		struct stream *s = stream_from_now(respelled);
		expect_status(get(c, "/v1/me"), 200);
		expect_status(del(c, "/v1/session"), 204);
		expect_end(s);
		expect_problem(get(respelled, "/v1/me"), 401, "unauthorized");
		expect_problem(get(c, "/v1/me"), 401, "unauthorized");
	}
}
END_TEST

START_TEST(jwt_is_revoked_by_its_jti)
{
	struct client *c =
		client_with_jwt("ed", GOOD ",\"sub\":\"kay\",\"jti\":\"two\",\"exp\":%lld", seconds_from_now(600));
	struct client *same =
		client_with_jwt("rs", GOOD ",\"sub\":\"kay\",\"jti\":\"two\",\"exp\":%lld", seconds_from_now(700));
	struct client *other =
		client_with_jwt("rs", GOOD ",\"sub\":\"kay\",\"jti\":\"three\",\"exp\":%lld", seconds_from_now(600));
	expect_status(get(c, "/v1/me"), 200);
	expect_status(del(c, "/v1/session"), 204);
	expect_problem(get(same, "/v1/me"), 401, "unauthorized");
	expect_status(get(other, "/v1/me"), 200);
}
END_TEST

START_TEST(jwt_revoked_by_an_earlier_version_stays_revoked)
{
	struct client *c = client_with_jwt("hs", GOOD ",\"sub\":\"kay\",\"exp\":%lld", seconds_from_now(620));
	struct client *good = client_with_jwt("hs", GOOD ",\"sub\":\"kay\",\"exp\":%lld", seconds_from_now(621));
	const struct client *both[] = { c, good };
	char hash[SECRET_HASH_HEX + 1];
	for (int i = 0; i < 2; i++) {
		secret_hash_hex(both[i]->token, strlen(both[i]->token), hash);
		sql(database_open(test_server()),
			"insert into postern.credential (hash, name, kind, expires_at, revoked)"
			" values ('%s', 'kay', 'jwt', now() + interval '10 minutes', %s)",
			hash, i == 0 ? "true" : "false");
	}
	expect_problem(get(c, "/v1/me"), 401, "unauthorized");
	struct answer before = expect_status(get(good, "/v1/tokens"), 200); /* no second row was made for it */
	ck_assert_str_eq(
		sql(database_open(test_server()),
			"select count(*) from postern.credential where hash = '%s' and identity is not null", hash),
		"1");
	ck_assert_ptr_nonnull(strstr(before.body, "current"));
}
END_TEST

START_TEST(jwt_issued_before_its_user_was_disabled_is_refused)
{
	struct client *seen = client_with_jwt(
		"hs", GOOD ",\"sub\":\"moe\",\"exp\":%lld,\"iat\":%lld", seconds_from_now(600), seconds_from_now(-9));
	struct client *unseen = client_with_jwt(
		"hs", GOOD ",\"sub\":\"moe\",\"exp\":%lld,\"iat\":%lld", seconds_from_now(601), seconds_from_now(-9));
	expect_status(get(seen, "/v1/me"), 200);
	server_command(test_server(), NULL, "user", "disable", "moe");
	server_command(test_server(), NULL, "user", "enable", "moe");
	expect_problem(get(seen, "/v1/me"), 401, "unauthorized");
	expect_problem(get(unseen, "/v1/me"), 401, "unauthorized");
	expect_status(get(client_with_jwt("hs", GOOD ",\"sub\":\"moe\",\"exp\":%lld,\"iat\":%lld",
				  seconds_from_now(602), seconds_from_now(0)),
			      "/v1/me"),
		200);
}
END_TEST

START_TEST(jwt_that_lasts_too_long_is_refused)
{
	const char *const flags[] = { "--jwt-keys", path, "--jwt-create", "--jwt-ttl-max", "0", NULL };
	struct server *patient = server_join(test_server(), flags);
	struct client *c = client_with_jwt("hs", GOOD ",\"sub\":\"jo\",\"exp\":%lld", seconds_from_now(31 * 24 * 3600));
	expect_unauthorized(c, "jwt_ttl_max");
	expect_status(get(on_server(c, patient), "/v1/me"), 200);
	expect_status(get(client_with_jwt("hs", GOOD ",\"sub\":\"jo\",\"exp\":%lld", seconds_from_now(30 * 24 * 3600)),
			      "/v1/me"),
		200);
	server_stop(patient);
}
END_TEST

START_TEST(jwt_of_deleted_user_does_not_create_them_again)
{
	struct client *c = client_with_jwt("ed", GOOD ",\"sub\":\"lea\",\"exp\":%lld", seconds_from_now(600));
	expect_status(get(c, "/v1/me"), 200);
	expect_status(del(c, "/v1/me"), 204);
	expect_problem(get(c, "/v1/me"), 401, "unauthorized");
	expect_problem(
		get(client_with_jwt("ed", GOOD ",\"sub\":\"lea\",\"exp\":%lld", seconds_from_now(601)), "/v1/me"), 401,
		"unauthorized");
	struct client *kim = client_with_jwt("ed", GOOD ",\"sub\":\"kim\",\"exp\":%lld", seconds_from_now(602));
	ck_assert_str_eq(json_str(expect_status(get(kim, "/v1/users/lea"), 200).json, "state"), "deleted");
}
END_TEST

START_TEST(jwt_keys_replaced_while_running_are_used)
{
	const char *const two[] = { "es", "ed", NULL }, *const all[] = { "hs", "rs", "es", "ed", NULL };
	struct client *known = client_with_jwt("rs", GOOD ",\"sub\":\"kim\",\"exp\":%lld", seconds_from_now(600));
	expect_status(get(known, "/v1/me"), 200);
	jwt_write_keys(path, two);
	unsigned long long until = clock_mono_ms() + PATIENCE;
	for (int i = 0;
		get(client_with_jwt("rs", GOOD ",\"sub\":\"kim\",\"exp\":%lld", seconds_from_now(700 + i)), "/v1/me")
			.status != 401;
		i++)
		time_left(until, "the keys to be read again");
	expect_problem(get(known, "/v1/me"), 401, "unauthorized"); /* although it was cached */
	expect_status(
		get(client_with_jwt("es", GOOD ",\"sub\":\"kim\",\"exp\":%lld", seconds_from_now(600)), "/v1/me"), 200);
	FILE *f = fopen(path, "w"); /* an incomplete file isn't used */
	fputs("{\"keys\":[", f);
	fclose(f);
	until = clock_mono_ms() + PATIENCE;
	while (!server_logged(test_server(), "no JWKS"))
		time_left(until, "the incomplete file to be reported");
	expect_status(
		get(client_with_jwt("es", GOOD ",\"sub\":\"kim\",\"exp\":%lld", seconds_from_now(601)), "/v1/me"), 200);
	jwt_write_keys(path, all);
	until = clock_mono_ms() + PATIENCE;
	for (int i = 0;
		get(client_with_jwt("rs", GOOD ",\"sub\":\"kim\",\"exp\":%lld", seconds_from_now(2700 + i)), "/v1/me")
			.status != 200;
		i++)
		time_left(until, "the keys to be read again");
}
END_TEST

START_TEST(jwt_of_unknown_user_without_provisioning_is_refused)
{
	const char *const flags[] = { "--jwt-keys", path, NULL };
	struct server *strict = server_join(test_server(), flags);
	struct client *c = client_with_jwt("es", "\"sub\":\"nobody-yet\",\"exp\":%lld", seconds_from_now(600));
	ck_assert(server_logged(strict, "without jwt_audience"));
	expect_problem(get(on_server(c, strict), "/v1/me"), 401, "unauthorized");
	user("nobody-yet");
	expect_status(get(on_server(c, strict), "/v1/me"), 200);
	server_stop(strict);
	/* Without keys, a JWT is an unknown token. */
	struct server *none = server_join(test_server(), NULL);
	expect_problem(
		get(on_server(c, none), "/v1/me"), 401, "unauthorized"); /* although another server has accepted it */
	expect_problem(
		get(on_server(
			    client_with_jwt("es", "\"sub\":\"nobody-yet\",\"exp\":%lld", seconds_from_now(601)), none),
			"/v1/me"),
		401, "unauthorized");
	server_stop(none);
}
END_TEST

int main(void)
{
	const char *const all[] = { "hs", "rs", "es", "ed", NULL };
	const TTest *const tests[] = { jwt_of_each_algorithm_is_accepted, jwt_with_any_defect_is_refused,
		jwt_compressed_or_with_critical_extension_is_refused, jwt_in_another_spelling_is_refused,
		stream_ends_when_its_jwt_expires, token_created_with_jwt_expires_with_it, jwt_revoked_stays_revoked,
		jwt_revoked_stays_revoked_with_the_other_signature, jwt_is_revoked_by_its_jti,
		jwt_revoked_by_an_earlier_version_stays_revoked, jwt_issued_before_its_user_was_disabled_is_refused,
		jwt_that_lasts_too_long_is_refused, jwt_of_deleted_user_does_not_create_them_again,
		jwt_keys_without_audience_and_issuer_are_warned_about, jwt_keys_replaced_while_running_are_used,
		jwt_of_unknown_user_without_provisioning_is_refused, NULL };
	const char *const flags[] = { "--jwt-keys", path, "--jwt-issuer", "https://id.example", "--jwt-audience",
		"postern", "--jwt-create", "--rate-sends", "0", NULL };
	int fd = mkstemp(path);
	if (fd < 0)
		return 1;
	close(fd);
	jwt_make_keys();
	jwt_write_keys(path, all);
	int failed = suite_run("jwt", tests, flags);
	unlink(path);
	return failed;
}
