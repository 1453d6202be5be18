/* SPDX-License-Identifier: MIT
 * Prepared statements of a connection (pg/conn.h): their number is not limited, and a failed preparation with others
 * behind it in the pipeline doesn't mix them up. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/suite.h"
#include "loop/loop.h"
#include "pg/conn.h"

enum { MANY = 300 };

static struct loop *loop;
static struct pg_conn *conn;
static unsigned wanted, ended;
static char outcomes[2 * MANY][32]; /* the value of each call in order, or its SQLSTATE */

static void on_result(void *arg, const struct pg_result *r)
{
	(void)arg;
	snprintf(outcomes[ended], sizeof(outcomes[ended]), "%s", pg_ok(r) ? pg_text(r, 0, 0) : pg_sqlstate(r));
	if (++ended == wanted)
		loop_stop(loop);
}

/* The statements to run. */
static const char *const *texts;
static unsigned next;

static void on_up(void *arg)
{
	(void)arg;
	while (next < wanted && pg_conn_has_room(conn))
		pg_conn_call(conn, texts[next++], 0, NULL, on_result, NULL);
}

static void run_statements(const char *const statements[], unsigned n)
{
	static const struct pg_events events = { .on_up = on_up };
	texts = statements;
	wanted = n;
	next = ended = 0;
	loop = loop_new();
	conn = pg_conn_new(loop, format("host=%s/run user=postern dbname=postgres", server_state(test_server())),
		&events, NULL, 10000);
	loop_run(loop);
	pg_conn_free(conn);
	loop_free(loop);
}

START_TEST(statement_after_failed_preparation_is_the_right_one)
{
	static const char bad[] = "select no_such_function()", one[] = "select 1", two[] = "select 2";
	run_statements((const char *const[]) { bad, one, one, bad, two, one, two }, 7);
	ck_assert_str_eq(outcomes[0], "42883");
	ck_assert_str_eq(outcomes[1], "1");
	ck_assert_str_eq(outcomes[2], "1");
	ck_assert_str_eq(outcomes[3], "42883");
	ck_assert_str_eq(outcomes[4], "2");
	ck_assert_str_eq(outcomes[5], "1");
	ck_assert_str_eq(outcomes[6], "2");
}
END_TEST

START_TEST(statements_have_no_limit)
{
	static const char *many[2 * MANY];
	for (int i = 0; i < MANY; i++)
		many[i] = many[i + MANY] = format("select %d", i);
	run_statements(many, 2 * MANY);
	for (int i = 0; i < 2 * MANY; i++)
		ck_assert_str_eq(outcomes[i], format("%d", i % MANY));
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		statement_after_failed_preparation_is_the_right_one,
		statements_have_no_limit,
		NULL,
	};
	return suite_run("statements", tests, NULL);
}
