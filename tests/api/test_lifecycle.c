/* SPDX-License-Identifier: MIT
 * From the first use of a credential to the end of an account: what is told of sessions, what one takes along, what stays of somebody who
 * is gone. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/client.h"
#include "../lib/database.h"
#include "../lib/stream.h"
#include "../lib/suite.h"
#include "base/clock.h"

/* ---- when credentials were last used ---- */

/* The caller's credential of that number, as the list has it. */
static struct json_object *credential(const struct client *who, long long id)
{
	struct answer a = is(get(who, "/v1/tokens"), 200);
	for (size_t i = 0; i < count(a.json, "tokens"); i++)
		if (num(a.json, format("tokens.%zu.id", i)) == id)
			return at(a.json, format("tokens.%zu", i));
	ck_abort_msg("%lld isn't in %s", id, a.body);
}

static struct json_object *await_use(const struct client *who, long long id)
{
	unsigned long long until = clock_mono_ms() + PATIENCE;
	struct json_object *c;
	while (!has(c = credential(who, id), "last_used_at"))
		left(until, "the use to be written down");
	return c;
}

static struct answer new_token(const struct client *who) { return is(post(who, "/v1/tokens", "{'label':'phone'}"), 201); }

START_TEST(a_credential_says_when_and_where_it_was_last_used)
{
	const char *const flags[] = { "--trusted-proxies", "127.0.0.1", NULL };
	struct server *behind = server_join(house(), flags);
	struct client *ann = somebody();
	struct answer made = new_token(ann);
	ck_assert(!has(made.json, "last_used_at"));
	ck_assert(!has(credential(ann, num(made.json, "id")), "last_used_at"));
	struct client *phone = using(ann, str(made.json, "token"));
	is(get(with(with(phone, "User-Agent: Pocket/1 (\xd0\xb1)"), "X-Forwarded-For: 203.0.113.7"), "/v1/me"), 200);
	struct json_object *c = await_use(ann, num(made.json, "id"));
	ck_assert_str_eq(str(c, "last_address"), "127.0.0.1"); /* whom nobody trusts to speak for others */
	ck_assert_str_eq(str(c, "user_agent"), "Pocket/1 (\xd0\xb1)");
	ck_assert_str_ge(str(c, "last_used_at"), str(c, "created_at"));

	made = new_token(ann);
	is(get(with(with(via(using(ann, str(made.json, "token")), behind), "X-Forwarded-For: 198.51.100.1, 203.0.113.7"), "User-Agent: %0300d", 1), "/v1/me"), 200);
	c = await_use(ann, num(made.json, "id"));
	ck_assert_str_eq(str(c, "last_address"), "203.0.113.7");
	ck_assert_uint_eq(strlen(str(c, "user_agent")), 200);

	made = new_token(ann); /* a stream, and a header that is no UTF-8 */
	expect(stream_open(with(using(ann, str(made.json, "token")), "User-Agent: \xff"), NULL), "hello");
	ck_assert(!has(await_use(ann, num(made.json, "id")), "user_agent"));
	server_stop(behind);
}
END_TEST

START_TEST(uses_are_written_seldom)
{
	struct server *other = server_join(house(), NULL);
	PGconn *db = database(house());
	struct client *ann = somebody();
	struct answer made = new_token(ann), later_made = new_token(ann);
	struct client *phone = using(ann, str(made.json, "token"));
	long long id = num(made.json, "id");
	is(get(with(phone, "User-Agent: one"), "/v1/me"), 200);
	await_use(ann, id);
	for (int i = 0; i < 20; i++) /* neither by this worker, nor by another that hears of it for the first time */
		is(get(with(i % 2 ? phone : via(phone, other), "User-Agent: two"), "/v1/me"), 200);
	is(get(using(ann, str(later_made.json, "token")), "/v1/me"), 200);
	is(get(via(using(ann, str(later_made.json, "token")), other), "/v1/me"), 200);
	await_use(ann, num(later_made.json, "id"));
	ck_assert_str_eq(str(credential(ann, id), "user_agent"), "one");

	sql(db, "update postern.credential set last_used_at = clock_timestamp() - interval '10 minutes' where id = %lld", id);
	struct server *third = server_join(house(), NULL);
	is(get(with(via(phone, third), "User-Agent: three"), "/v1/me"), 200);
	unsigned long long until = clock_mono_ms() + PATIENCE;
	while (strcmp(str(credential(ann, id), "user_agent"), "three") != 0)
		left(until, "a later use to be written down");
	server_stop(third);
	server_stop(other);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = { a_credential_says_when_and_where_it_was_last_used, uses_are_written_seldom, NULL };
	return suite_run("lifecycle", tests, NULL);
}
