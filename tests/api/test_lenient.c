/* SPDX-License-Identifier: MIT
 * What HTTP clients send although they needn't: bodies that say nothing, null, and times in every form of RFC 3339. */
#include <string.h>

#include "../lib/client.h"
#include "../lib/suite.h"

static struct answer with_body(const struct client *who, const char *method, const char *path, const char *body)
{
	return send_request(who, method, path, "application/json", body, strlen(body));
}

START_TEST(body_that_says_nothing_is_accepted)
{
	struct client *ann = new_user(), *ben = new_user();
	long long chat = make_group(ann, ben), id = say(ann, chat, "x");
	const char *const bodies[] = { "", "{}", "null", " { } ", "\n{\t}\r\n", " null\n" };
	char *contact = format("/v1/contacts/%s", ben->name), *typing = format("/v1/chats/%lld/typing", chat),
	     *pin = format("%s/pin", message_path(chat, id));
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		expect_status(with_body(ann, "PUT", contact, bodies[i]), 200);
		expect_status(with_body(ann, "POST", typing, bodies[i]), 204);
		expect_status(with_body(ann, "PUT", pin, bodies[i]), 200);
		expect_status(with_body(ann, "DELETE", pin, bodies[i]), 204);
		expect_status(with_body(ann, "DELETE", contact, bodies[i]), 204);
		expect_status(send_request(ann, "PUT", contact, "text/plain", bodies[i], strlen(bodies[i])), 200);
	}
	const char *const others[] = { " ", "x", "{", "{}{}", "{}x", "[]", "nulls", "null null", "{\"a\":1}", "0",
		"                                                                  {}" };
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		expect_problem(with_body(ann, "PUT", contact, others[i]), 400, "body_not_allowed");
	expect_problem(with_body(ann, "GET", "/v1/me", "{}"), 400, "body_not_allowed");
}
END_TEST

START_TEST(body_without_length_that_says_nothing_is_accepted)
{
	struct client *ann = new_user(), *ben = new_user();
	const struct {
		const char *chunks;
		int status;
	} cases[] = { { "0\r\n\r\n", 200 }, { "1\r\n{\r\n1\r\n}\r\n0\r\n\r\n", 200 }, { "4\r\nnull\r\n0\r\n\r\n", 200 },
		{ "2\r\n[]\r\n0\r\n\r\n", 400 },
		{ "50\r\n                                                                                \r\n"
		  "2\r\n{}\r\n0\r\n\r\n",
			400 } };
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct wire *w = wire_open(test_server());
		wire_send(w,
			"PUT /v1/contacts/%s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n"
			"Transfer-Encoding: chunked\r\n\r\n%s",
			ben->name, ann->token, cases[i].chunks);
		expect_status(wire_answer(w), cases[i].status);
	}
}
END_TEST

START_TEST(null_as_body_is_an_object_without_members)
{
	struct client *ann = new_user(), *ben = new_user();
	long long chat = make_group(ann);
	expect_status(with_body(ann, "PUT", member_path(chat, ben), "null"), 200);
	expect_status(with_body(ann, "POST", format("/v1/chats/%lld/invites", chat), "null"), 201);
	expect_status(with_body(ann, "POST", "/v1/tokens", "null"), 201);
	expect_problem(with_body(ann, "POST", "/v1/chats", "null"), 422, "missing_field");
}
END_TEST

START_TEST(null_clears_what_may_be_absent)
{
	struct client *ann = new_user(), *ben = new_user();
	long long chat = make_group(ann, ben);
	char *path = format("/v1/chats/%lld", chat), *member = member_path(chat, ben);
	expect_status(patch(ann, "/v1/me", "{'display_name':'Ann','about':'me','presence':'nobody'}"), 200);
	ck_assert_str_eq(json_str(expect_status(patch(ann, "/v1/me", "{}"), 200).json, "about"), "me");
	struct answer a = expect_status(patch(ann, "/v1/me", "{'display_name':null,'about':null}"), 200);
	ck_assert(!json_has(a.json, "display_name"));
	ck_assert(!json_has(a.json, "about"));
	ck_assert_str_eq(json_str(a.json, "presence"), "nobody");

	expect_status(patch(ann, path, "{'slow_mode':5,'rate_limit':6,'message_ttl':7}"), 200);
	a = expect_status(patch(ann, path, "{'slow_mode':null}"), 200);
	ck_assert(!json_has(a.json, "slow_mode"));
	ck_assert_int_eq(json_num(a.json, "rate_limit"), 6);
	a = expect_status(patch(ann, path, "{'rate_limit':null,'message_ttl':null}"), 200);
	ck_assert(!json_has(a.json, "rate_limit"));
	ck_assert(!json_has(a.json, "message_ttl"));

	expect_status(put(ann, member, "{'muted_until':'2100-01-01T00:00:00Z'}"), 200);
	expect_problem(post(ben, messages_path(chat), "{'text':'x'}"), 403, "muted");
	ck_assert(json_has(expect_status(put(ann, member, "{}"), 200).json, "muted_until"));
	ck_assert(!json_has(expect_status(put(ann, member, "{'muted_until':null}"), 200).json, "muted_until"));
	say(ben, chat, "again");
	expect_status(put(ann, member, "{'muted_until':null,'state':'banned'}"), 200);

	a = expect_status(post(ann, "/v1/chats", "{'kind':'channel','title':'c','handle':'%s'}", ann->name), 201);
	path = format("/v1/chats/%lld", json_num(a.json, "id"));
	ck_assert(json_has(expect_status(patch(ann, path, "{'title':'d'}"), 200).json, "handle"));
	ck_assert(!json_has(expect_status(patch(ann, path, "{'handle':null}"), 200).json, "handle"));
}
END_TEST

START_TEST(null_for_a_member_who_is_added_needs_no_right_to_mute)
{
	struct client *ann = new_user(), *ben = new_user(), *cat = new_user();
	long long chat = make_group(ann, ben);
	expect_status(patch(ann, format("/v1/chats/%lld", chat), "{'adding':'members'}"), 200);
	struct answer a = expect_status(put(ben, member_path(chat, cat), "{'role':null,'muted_until':null}"), 200);
	ck_assert(!json_has(a.json, "muted_until"));
	ck_assert_str_eq(json_str(a.json, "role"), "member");
}
END_TEST

START_TEST(null_clears_the_text_of_a_message_with_a_type_only)
{
	struct client *ann = new_user();
	long long chat = make_group(ann), plain = say(ann, chat, "x");
	struct answer a =
		expect_status(post(ann, messages_path(chat), "{'text':'a vote','type':'vote','content':{'n':1}}"), 201);
	a = expect_status(patch(ann, message_path(chat, json_num(a.json, "id")), "{'text':null}"), 200);
	ck_assert(!json_has(a.json, "text"));
	ck_assert_int_eq(json_num(a.json, "content.n"), 1);
	expect_problem(patch(ann, message_path(chat, plain), "{'text':null}"), 422, "empty_text");
	expect_status(patch(ann, message_path(chat, plain), "{'text':'y','content':null}"), 200);
}
END_TEST

START_TEST(time_in_any_form_of_rfc3339_is_accepted)
{
	struct client *ann = new_user(), *ben = new_user();
	long long chat = make_group(ann, ben);
	const struct {
		const char *text, *is;
	} times[] = { { "2099-12-31t23:59:59z", "2099-12-31T23:59:59.000Z" },
		{ "2098-12-31T23:59:60Z", "2099-01-01T00:00:00.000Z" },
		{ "2098-12-31T23:59:60.25Z", "2099-01-01T00:00:00.250Z" },
		{ "2099-01-01T00:00:00+23:59", "2098-12-31T00:01:00.000Z" },
		{ "9999-12-31T23:59:59Z", "9999-12-31T23:59:59.000Z" } };
	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		struct answer a =
			expect_status(put(ann, member_path(chat, ben), "{'muted_until':'%s'}", times[i].text), 200);
		ck_assert_str_eq(json_str(a.json, "muted_until"), times[i].is);
		a = expect_status(post(ann, "/v1/tokens", "{'expires_at':'%s'}", times[i].text), 201);
		ck_assert_str_eq(json_str(a.json, "expires_at"), times[i].is);
		expect_status(get(with_token(ann, json_str(a.json, "token")), "/v1/me"), 200);
		expect_status(get(with_token(ann, json_str(a.json, "token")), "/v1/poll?wait=0"), 200);
		a = expect_status(
			post(ann, format("/v1/chats/%lld/invites", chat), "{'expires_at':'%s'}", times[i].text), 201);
		ck_assert_str_eq(json_str(a.json, "expires_at"), times[i].is);
	}
	expect_status(get(ann, "/v1/search?q=x&before=2099-12-31t23:59:60z&after=1999-12-31T23:59:59%%2B01:00"), 200);
	expect_problem(get(ann, "/v1/search?q=x&before=2099-12-31T23:59:59%%2B23:00"), 400, "bad_parameter");
	expect_problem(
		put(ann, member_path(chat, ben), "{'muted_until':'9999-12-31T23:59:59-00:01'}"), 422, "out_of_range");
	expect_problem(post(ann, "/v1/tokens", "{'expires_at':'2026-02-30T00:00:00Z'}"), 422, "out_of_range");
	expect_problem(post(ann, "/v1/tokens", "{'expires_at':1}"), 422, "wrong_type");
}
END_TEST

int main(void)
{
	const TTest *const tests[] = { body_that_says_nothing_is_accepted,
		body_without_length_that_says_nothing_is_accepted, null_as_body_is_an_object_without_members,
		null_clears_what_may_be_absent, null_for_a_member_who_is_added_needs_no_right_to_mute,
		null_clears_the_text_of_a_message_with_a_type_only, time_in_any_form_of_rfc3339_is_accepted, NULL };
	return suite_run("lenient", tests, NULL);
}
