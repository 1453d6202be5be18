/* SPDX-License-Identifier: MIT
 * receipts: read marks per second, of the members in turn. The final values are compared with the table. */
#include <stdio.h>
#include <stdlib.h>

#include "bench.h"
#include "clock.h"
#include "load.h"
#include "postern.h"
#include "results.h"

#define USERS 10000
#define GROUP 10
#define SENDERS 256
#define MESSAGES 1000 /* the largest possible mark */

static size_t write_message(void *arg, unsigned number, uint64_t at, char *out, size_t size)
{
	(void)arg;
	return post_message(out, size, number % USERS + 1, number % USERS / GROUP + 1, at);
}

/* The members take turns; each mark of a member is one position further than their last. */
static size_t write_mark(void *arg, unsigned number, uint64_t at, char *out, size_t size)
{
	unsigned user = number % USERS;
	char body[40];
	(void)arg;
	(void)at;
	int n = snprintf(body, sizeof(body), "{\"up_to\":%u}", number / USERS + 1);
	return (size_t)snprintf(out, size,
		"POST /v1/chats/%u/read HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer pt_%u\r\nContent-Type: "
		"application/json\r\nContent-Length: %d\r\n\r\n%s",
		user / GROUP + 1, user + 1, n, body);
}

static void check(PGconn *pg, unsigned long long marks)
{
	PGresult *r = PQexec(pg, "select coalesce(sum(read), 0) from watermark");
	if (PQresultStatus(r) != PGRES_TUPLES_OK)
		die(PQerrorMessage(pg));
	if (strtoull(PQgetvalue(r, 0, 0), NULL, 10) != marks)
		die("the marks in the table differ from the confirmed ones");
	PQclear(r);
}

void scenario_receipts(void)
{
	struct postern p;
	struct load l = { .ports_count = 1,
		.senders = SENDERS,
		.for_us = settings.seconds * SECOND,
		.write = write_mark,
		.expect = 204 };
	struct load first = {
		.ports_count = 1, .senders = SENDERS, .for_us = SECOND, .write = write_message, .rate = MESSAGES
	};
	unsigned long long marks = 0;
	results_begin("receipts", "Read marks of 10,000 members");
	postern_start(&p, "receipts", 1);
	postern_populate(p.conninfo, USERS, "select bench.groups(1, 10, 1, 10000)");
	PGconn *pg = postern_database(p.conninfo);
	first.ports[0] = l.ports[0] = p.port;
	load_open(&first);
	load_run(&first);
	load_close(&first);
	load_open(&l);
	for (unsigned round = 0; round < settings.rounds; round++) {
		say("  round %u", round + 1);
		double worker = postern_cpu(&p), postgres = postern_cpu_postgres(&p);
		load_run(&l);
		double n = (double)(l.done ? l.done : 1);
		marks += l.done;
		results_add("marks a second", "marks/s", OURS, load_rate(&l));
		results_add("CPU of the worker", "µs/mark", OURS, (postern_cpu(&p) - worker) / n);
		results_add("CPU of PostgreSQL", "µs/mark", OURS, (postern_cpu_postgres(&p) - postgres) / n);
		results_add("answered: p99", "ms", OURS, histogram_quantile(&l.answers, 0.99) / 1000);
		check(pg, marks);
	}
	load_close(&l);
	PQfinish(pg);
	postern_stop(&p);
	results_end();
}
