/* SPDX-License-Identifier: MIT
 * See floor.h. The batches look as those of src/log/batch.c do: an array of send_item in text form, every message with
 * a key of its own. */
#include "floor.h"

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
#define ITEMS_MAX 512
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

/* The parameters of send() or send_one() that are called next. */
struct floor_batch {
	char turn[24], items[ITEMS_MAX * ITEM_MAX];
};

void floor_open(struct floor *f, const struct postern *p)
{
	*f = (struct floor) { 0 };
	postern_migrate(p, "floor", f->conninfo, sizeof(f->conninfo));
	postern_populate(f->conninfo, 2, "select bench.groups(1, 2, 1, 2)");
	f->sender = postern_database(f->conninfo);
	f->listener = postern_database(f->conninfo);
	if ((f->ready = malloc(sizeof(*f->ready))) == NULL)
		die("out of memory");
	prepare(f->sender, "send", "select * from send('floor', $1, null, $2)");
	prepare(f->sender, "send_one", "select * from send_one('floor', $1, null, $2)");
	prepare(f->sender, "naive", NAIVE);
}

void floor_close(struct floor *f)
{
	PQfinish(f->sender);
	PQfinish(f->listener);
	free(f->ready);
}

/* Runs in its own process. Without a listener NOTIFY would cost less than it does for a server. */
static void drain_notifications(void *arg)
{
	PGconn *pg = postern_database(arg);
	struct pollfd p = { .fd = PQsocket(pg), .events = POLLIN };
	sql(pg, "listen naive; listen postern_log");
	while (poll(&p, 1, -1) == 1 && PQconsumeInput(pg) == 1)
		for (PGnotify *n; (n = PQnotifies(pg)) != NULL;)
			PQfreemem(n);
}

double floor_naive(struct floor *f)
{
	pid_t listener = proc_fork(drain_notifications, f->conninfo);
	char command[512], line[256];
	double best = 0, tps;
	for (unsigned c = 1; c <= 32; c *= settings.seconds > 1 ? 2 : 4) {
		snprintf(command, sizeof(command),
			"pgbench -n -M prepared -f '%s/sql/naive.sql' -c %u -j %u -T %u '%s' 2>/dev/null",
			settings.folder, c, c < 2 ? c : 2, settings.seconds > 2 ? settings.seconds - 1 : 1,
			f->conninfo);
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

/* One item is a send_item, several are an array of them. */
static void build_batch(struct floor *f, unsigned items)
{
	struct floor_batch *b = f->ready;
	char *p = b->items;
	const char *quote = items > 1 ? "\\\"" : "\"";
	sprintf(b->turn, "%llu", f->sent + 1);
	for (unsigned i = 0; i < items; i++) {
		if (items > 1)
			p += sprintf(p, i == 0 ? "{\"" : "\",\"");
		p += sprintf(p, "(1,user1,~floor-0-%016llx,%032llx,%s" MARKER_TEXT "%s,,,,%llu,,)", f->sent + i,
			f->sent + i, quote, now_us(), quote, (unsigned long long)time(NULL) * 1000000);
	}
	if (items > 1)
		strcpy(p, "\"}");
	f->sent += items;
}

static void send_batch(struct floor *f, const char *with)
{
	const char *const values[] = { f->ready->turn, f->ready->items };
	if (PQsendQueryPrepared(f->sender, with, 2, values, NULL, NULL, 0) != 1)
		die(PQerrorMessage(f->sender));
}

/* True if no row names a reason why its message wasn't stored: the field code of send(). */
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

double floor_batches(struct floor *f, unsigned items)
{
	pid_t listener = proc_fork(drain_notifications, f->conninfo);
	uint64_t began = now_us(), until = began + settings.seconds * SECOND, from = f->sent;
	build_batch(f, items);
	while (now_us() < until) {
		send_batch(f, "send");
		PQflush(f->sender);
		build_batch(f, items); /* while that one is on its way: PostgreSQL doesn't wait for it */
		finish(f->sender, (int)items);
	}
	double rate = (double)(f->sent - items - from) * 1e6 / (double)(now_us() - began);
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

void floor_latency(struct floor *f, enum floor_kind kind, unsigned samples, unsigned pause_ms, struct histogram *out)
{
	sql(f->listener, "listen %s", kind == FLOOR_NAIVE ? "naive" : "postern_log");
	for (unsigned i = 0; i < samples; i++) {
		build_batch(f, 1);
		poll(NULL, 0, (int)pause_ms);
		uint64_t at = now_us();
		if (kind == FLOOR_SEND)
			send_batch(f, "send_one");
		else if (PQsendQueryPrepared(f->sender, "naive", 0, NULL, NULL, NULL, 0) != 1)
			die(PQerrorMessage(f->sender));
		await_notification(f->listener);
		histogram_add(out, now_us() - at);
		finish(f->sender, 1);
	}
	sql(f->listener, "unlisten *");
}
