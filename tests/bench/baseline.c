/* SPDX-License-Identifier: MIT
 * See baseline.h. The batches have the form of those of src/log/batch.c: an array of send_item as text, in which each
 * message has its own key. */
#include "baseline.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "clock.h"
#include "marker.h"
#include "proc.h"

#define ITEM_MAX 256 /* bytes of an array's element */
#define BATCH_MAX 512
#define NAIVE \
	"with i as (insert into bench.naive (chat, sender, text) values (1, 'user1', '" TEXT \
	"') returning id) select pg_notify('naive', id::text) from i"
#define TEXT "~~0000000000000000~~ a message of some length"

static void prepare(PGconn *pg, const char *name, const char *text)
{
	PGresult *r = PQprepare(pg, name, text, 0, NULL);
	if (PQresultStatus(r) != PGRES_COMMAND_OK)
		die(PQerrorMessage(pg));
	PQclear(r);
}

/* The parameters of the next call of send() or send_one(). */
struct baseline_batch {
	char turn[24], items[BATCH_MAX * ITEM_MAX];
};

void baseline_open(struct baseline *base, const struct postern *p)
{
	*base = (struct baseline) { 0 };
	postern_migrate(p, "baseline", base->conninfo, sizeof(base->conninfo));
	postern_populate(base->conninfo, 2, "select bench.groups(1, 2, 1, 2)");
	base->sender = postern_database(base->conninfo);
	base->listener = postern_database(base->conninfo);
	if ((base->next = malloc(sizeof(*base->next))) == NULL)
		die("out of memory");
	prepare(base->sender, "send", "select * from send('baseline', $1, null, $2)");
	prepare(base->sender, "send_one", "select * from send_one('baseline', $1, null, $2)");
	prepare(base->sender, "naive", NAIVE);
}

void baseline_close(struct baseline *base)
{
	PQfinish(base->sender);
	PQfinish(base->listener);
	free(base->next);
}

/* Runs in its own process. Without a listener, NOTIFY would cost less than it does with a server. */
static void drain_notifications(void *arg)
{
	PGconn *pg = postern_database(arg);
	struct pollfd p = { .fd = PQsocket(pg), .events = POLLIN };
	sql(pg, "listen naive; listen postern_log");
	while (poll(&p, 1, -1) == 1 && PQconsumeInput(pg) == 1)
		for (PGnotify *n; (n = PQnotifies(pg)) != NULL;)
			PQfreemem(n);
}

double baseline_naive_rate(struct baseline *base)
{
	pid_t listener = proc_fork(drain_notifications, base->conninfo);
	char command[512], line[256];
	double best = 0, tps;
	for (unsigned c = 1; c <= 32; c *= settings.seconds > 1 ? 2 : 4) {
		snprintf(command, sizeof(command),
			"pgbench -n -M prepared -f '%s/sql/naive.sql' -c %u -j %u -T %u '%s' 2>/dev/null",
			settings.folder, c, c < 2 ? c : 2, settings.seconds > 2 ? settings.seconds - 1 : 1,
			base->conninfo);
		FILE *p = popen(command, "r");
		while (p != NULL && fgets(line, sizeof(line), p) != NULL)
			if (sscanf(line, "tps = %lf", &tps) == 1 && tps > best)
				best = tps;
		errno = 0;
		if (p == NULL || pclose(p) != 0)
			die("pgbench");
	}
	proc_end(listener);
	return best;
}

/* send_one() takes a send_item, send() an array of them. */
static void build_batch(struct baseline *base, unsigned items)
{
	struct baseline_batch *b = base->next;
	char *p = b->items;
	const char *quote = items > 1 ? "\\\"" : "\"";
	sprintf(b->turn, "%llu", base->sent + 1);
	for (unsigned i = 0; i < items; i++) {
		if (items > 1)
			p += sprintf(p, i == 0 ? "{\"" : "\",\"");
		p += sprintf(p, "(1,user1,~baseline-0-%016llx,%032llx,%s" MARKER_TEXT "%s,,,,%llu,,,)", base->sent + i,
			base->sent + i, quote, now_us(), quote, (unsigned long long)time(NULL) * 1000000);
	}
	if (items > 1)
		strcpy(p, "\"}");
	base->sent += items;
}

static void send_batch(struct baseline *base, const char *with)
{
	const char *const values[] = { base->next->turn, base->next->items };
	if (PQsendQueryPrepared(base->sender, with, 2, values, NULL, NULL, 0) != 1)
		die(PQerrorMessage(base->sender));
}

/* Returns true if send() stored every message: no row has a code. */
static bool all_stored(const PGresult *r)
{
	int code = PQfnumber(r, "code");
	for (int i = 0; code >= 0 && i < PQntuples(r); i++)
		if (!PQgetisnull(r, i, code))
			return false;
	return true;
}

static void finish(PGconn *pg, int rows)
{
	for (PGresult *r; (r = PQgetResult(pg)) != NULL; PQclear(r))
		if (PQresultStatus(r) != PGRES_TUPLES_OK)
			die(PQerrorMessage(pg));
		else if (PQntuples(r) != rows || !all_stored(r))
			die("bare PostgreSQL didn't store every message");
}

double baseline_send_rate(struct baseline *base, unsigned items)
{
	pid_t listener = proc_fork(drain_notifications, base->conninfo);
	uint64_t began = now_us(), until = began + settings.seconds * SECOND, from = base->sent;
	build_batch(base, items);
	while (now_us() < until) {
		send_batch(base, "send");
		PQflush(base->sender);
		build_batch(base, items); /* while PostgreSQL executes the one that was sent */
		finish(base->sender, (int)items);
	}
	double rate = (double)(base->sent - items - from) * 1e6 / (double)(now_us() - began);
	proc_end(listener);
	return rate;
}

static void await_notification(PGconn *listener)
{
	struct pollfd p = { .fd = PQsocket(listener), .events = POLLIN };
	PGnotify *n = PQnotifies(listener);
	while (n == NULL && poll(&p, 1, 5000) == 1 && PQconsumeInput(listener) == 1)
		n = PQnotifies(listener);
	if (n == NULL)
		die("no notification");
	PQfreemem(n);
}

void baseline_latency(
	struct baseline *base, enum baseline_kind kind, unsigned samples, unsigned pause_ms, struct histogram *out)
{
	sql(base->listener, "listen %s", kind == BASELINE_NAIVE ? "naive" : "postern_log");
	for (unsigned i = 0; i < samples; i++) {
		build_batch(base, 1);
		poll(NULL, 0, (int)pause_ms);
		uint64_t at = now_us();
		if (kind == BASELINE_SEND)
			send_batch(base, "send_one");
		else if (PQsendQueryPrepared(base->sender, "naive", 0, NULL, NULL, NULL, 0) != 1)
			die(PQerrorMessage(base->sender));
		await_notification(base->listener);
		histogram_add(out, now_us() - at);
		finish(base->sender, 1);
	}
	sql(base->listener, "unlisten *");
}
