/* SPDX-License-Identifier: MIT
 * Sending has a fast form for a single message and one for a batch (sql/functions/messages/send.sql). Random items are
 * sent in batches to one chat and one by one to another chat like it; the results and the rows must be equal. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/client.h"
#include "../lib/database.h"
#include "../lib/suite.h"

static char *read_source(const char *name)
{
	const char *top = getenv("TOP_SRCDIR");
	FILE *f = fopen(format("%s/%s", top != NULL ? top : ".", name), "re");
	ck_assert_msg(f != NULL, "%s", name);
	char *text = on_teardown(free, calloc(1, 65536));
	size_t len = fread(text, 1, 65535, f);
	ck_assert(len > 0 && len < 65535);
	fclose(f);
	return text;
}

/* An owner, a member, a muted member, one who has left, and one who never was a member. */
static struct client *users[5];

static long long chat_with(const char *settings)
{
	long long chat = make_group(users[0], users[1], users[2], users[3]);
	expect_status(put(users[0], member_path(chat, users[2]), "{'muted_until':'2099-01-01T00:00:00Z'}"), 200);
	expect_status(del(users[3], "%s", member_path(chat, users[3])), 204);
	expect_status(patch(users[0], format("/v1/chats/%lld", chat), "%s", settings), 200);
	return chat;
}

static void expect_both_forms_equal(const char *settings)
{
	for (int i = 0; i < 5; i++)
		users[i] = new_user();
	long long one = chat_with(settings), other = chat_with(settings);
	char *names = format("%s,%s,%s,%s,%s,%s", users[0]->name, users[1]->name, users[1]->name, users[2]->name,
		users[3]->name, users[4]->name);
	PGconn *pg = database_open(test_server());
	sql(pg,
		"select set_config('search_path', (select nspname from pg_namespace where nspname like 'postern\\_%%' "
		"order by oid desc limit 1) || ', postern, pg_catalog', false)");
	sql(pg, "select set_config('test.senders', '{%s}', false), set_config('test.chats', '{%lld,%lld}', false)",
		names, one, other);
	PGresult *r = PQexec(pg, read_source("tests/api/send_forms.sql"));
	ck_assert_msg(PQresultStatus(r) == PGRES_COMMAND_OK, "%s: %s", settings, PQerrorMessage(pg));
	PQclear(r);
}

START_TEST(send_in_a_group_is_the_same_in_both_forms) { expect_both_forms_equal("{'title':'group'}"); }
END_TEST

START_TEST(send_with_posting_by_admins_is_the_same_in_both_forms) { expect_both_forms_equal("{'posting':'admins'}"); }
END_TEST

START_TEST(send_in_slow_mode_is_the_same_in_both_forms) { expect_both_forms_equal("{'slow_mode':3600}"); }
END_TEST

START_TEST(send_with_a_chat_rate_limit_is_the_same_in_both_forms) { expect_both_forms_equal("{'rate_limit':1}"); }
END_TEST

START_TEST(send_of_expiring_messages_is_the_same_in_both_forms) { expect_both_forms_equal("{'message_ttl':3600}"); }
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		send_in_a_group_is_the_same_in_both_forms,
		send_with_posting_by_admins_is_the_same_in_both_forms,
		send_in_slow_mode_is_the_same_in_both_forms,
		send_with_a_chat_rate_limit_is_the_same_in_both_forms,
		send_of_expiring_messages_is_the_same_in_both_forms,
		NULL,
	};
	return suite_run("send_forms", tests, NULL);
}
