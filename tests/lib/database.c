/* SPDX-License-Identifier: MIT
 * See database.h. */
#include "database.h"

#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "suite.h"

static void finish(void *pg) { PQfinish(pg); }

PGconn *database_open(const struct server *server)
{
	PGconn *pg = on_teardown(finish, PQconnectdb(server_conninfo(server)));
	ck_assert_msg(PQstatus(pg) == CONNECTION_OK, "%s", PQerrorMessage(pg));
	return pg;
}

char *sql(PGconn *pg, const char *fmt, ...)
{
	char text[2048];
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	ck_assert_int_lt(n, (int)sizeof(text));
	PGresult *r = PQexec(pg, text);
	ck_assert_msg(PQresultStatus(r) == PGRES_COMMAND_OK || PQresultStatus(r) == PGRES_TUPLES_OK, "%s: %s", text,
		PQerrorMessage(pg));
	char *value = format("%s", PQntuples(r) > 0 ? PQgetvalue(r, 0, 0) : "");
	PQclear(r);
	return value;
}

unsigned search_entries(PGconn *pg, long long chat, const char *word)
{
	unsigned n = 0;
	char *rest = NULL, *segments = sql(pg, "select string_agg(to_hex(segment), ' ') from postern.search_part");
	for (char *s = strtok_r(segments, " ", &rest); s != NULL; s = strtok_r(NULL, " ", &rest))
		n += (unsigned)atoi(sql(pg,
			"select count(*) from postern.search_part_%s where chat_id = %lld and words @@ '''%s'''", s,
			chat, word));
	return n;
}

void await_waiting(PGconn *pg, int count)
{
	unsigned long long until = clock_mono_ms() + PATIENCE;
	while (atoi(sql(pg, "select count(distinct pid) from pg_locks where not granted")) < count)
		time_left(until, "somebody to wait for a lock");
}
