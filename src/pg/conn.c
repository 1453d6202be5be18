/* SPDX-License-Identifier: MIT
 * See conn.h. The connection stays in libpq's pipeline mode, so that preparing a statement and its first run are one
 * round trip. libpq's traps: the socket may change between two PQconnectPoll calls, and PQflush may need both
 * directions. */
#include "pg/conn.h"

#include <assert.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/trace.h"
#include "loop/loop.h"
#include "pg/dial.h"
#include "pg/fault.h"

#define PAUSE_MIN_MS 50
#define PAUSE_MAX_MS 500      /* while connecting fails */
#define PAUSE_USELESS_MS 3000 /* while connecting succeeds, and then no call does */
#define REMIND_MS 60000       /* an outage is logged again after that time */

enum state { DOWN, DIALLING, UP };

struct call {
	pg_result_fn *on_result;
	void *arg;
	uint64_t due_ms;       /* its deadline, independent of the calls before it */
	const char *preparing; /* the statement that it prepares first; NULL: none */
	struct trace *trace;   /* held: of the request that it is for */
};

struct pg_conn {
	struct loop *loop;
	struct dial *dial;
	const struct pg_events *events;
	void *arg;
	unsigned deadline_ms, pause_ms;
	enum state state;
	bool broken; /* it broke while something was sent: the timer ends it */
	PGconn *pg;
	struct loop_fd *watch;
	struct loop_timer *timer; /* the pause before connecting, or the deadline of the attempt or the oldest call */
	uint64_t lost_ms, warned_ms; /* since when no call succeeds, and the last warning about it; 0: calls succeed */
	const char *warned_of;       /* the last warning's subject */
	struct map prepared;         /* the address of a statement's text → its number on this connection */
	uintptr_t numbers;           /* given out on this connection; none is reused */
	struct call calls[PG_CALLS_MAX]; /* in flight, the oldest first */
	unsigned calls_count;
	PGresult *result; /* the first of the oldest call's results that matters */
};

struct pg_result {
	const PGresult *pg; /* NULL: away */
};

bool pg_ok(const struct pg_result *r)
{
	ExecStatusType s = r->pg ? PQresultStatus(r->pg) : PGRES_FATAL_ERROR;
	return s == PGRES_TUPLES_OK || s == PGRES_COMMAND_OK;
}

bool pg_away(const struct pg_result *r) { return r->pg == NULL; }

static const char *field(const struct pg_result *r, int code)
{
	const char *s = r->pg ? PQresultErrorField(r->pg, code) : NULL;
	return s ? s : "";
}

const char *pg_sqlstate(const struct pg_result *r) { return field(r, PG_DIAG_SQLSTATE); }
const char *pg_message(const struct pg_result *r) { return field(r, PG_DIAG_MESSAGE_PRIMARY); }
const char *pg_hint(const struct pg_result *r) { return field(r, PG_DIAG_MESSAGE_HINT); }
int pg_rows(const struct pg_result *r) { return PQntuples(r->pg); }
int pg_column(const struct pg_result *r, const char *name) { return PQfnumber(r->pg, name); }
bool pg_null(const struct pg_result *r, int row, int col) { return PQgetisnull(r->pg, row, col); }
const char *pg_text(const struct pg_result *r, int row, int col) { return PQgetvalue(r->pg, row, col); }
size_t pg_size(const struct pg_result *r, int row, int col) { return (size_t)PQgetlength(r->pg, row, col); }
int64_t pg_int(const struct pg_result *r, int row, int col) { return strtoll(PQgetvalue(r->pg, row, col), NULL, 10); }

static void on_time(void *arg);
static void on_socket(void *arg, unsigned ready);

static void unwatch(struct pg_conn *c)
{
	loop_fd_free(c->watch);
	c->watch = NULL;
}

static void watch(struct pg_conn *c, unsigned events)
{
	if (c->watch == NULL)
		c->watch = loop_fd_new(c->loop, PQsocket(c->pg), events, on_socket, c);
	else
		loop_fd_set(c->watch, events);
}

void pg_call_away(pg_result_fn *on_result, void *arg) { on_result(arg, &(struct pg_result) { .pg = NULL }); }

/* Ends the oldest call. */
static void end_call(struct pg_conn *c, const PGresult *result)
{
	struct call call = c->calls[0];
	struct pg_result r = { .pg = result };
	c->calls_count--;
	memmove(c->calls, c->calls + 1, c->calls_count * sizeof(call));
	struct trace *before = trace_enter(call.trace);
	trace_step(call.trace, "database call answered", F_NUMBER("rows", pg_ok(&r) ? pg_rows(&r) : 0),
		F("sqlstate",
			pg_ok(&r)             ? NULL
				: pg_away(&r) ? "away"
					      : pg_sqlstate(&r)));
	call.on_result(call.arg, &r);
	trace_enter(before);
	trace_drop(call.trace);
}

static void end_calls_away(struct pg_conn *c)
{
	while (c->calls_count > 0)
		end_call(c, NULL);
}

static void disconnect(struct pg_conn *c)
{
	unwatch(c);
	dial_stop(c->dial);
	PQfinish(c->pg);
	c->pg = NULL;
	PQclear(c->result);
	c->result = NULL;
	map_release(&c->prepared);
	c->numbers = 0;
	c->broken = false;
}

/* Logs one line for each kind of failure in an outage, and one a minute while it lasts, since the cause may change. */
static void warn_outage(struct pg_conn *c, const char *what, const char *why)
{
	uint64_t now = clock_mono_ms();
	char line[1024]; /* libpq's messages have several lines */
	size_t len = 0;
	for (; *why != '\0' && len < sizeof(line) - 1; why++)
		if (*why != '\t' && *why != '\n')
			line[len++] = *why;
		else if (len > 0 && line[len - 1] != ' ')
			line[len++] = ' ';
	while (len > 0 && line[len - 1] == ' ')
		len--;
	if (c->lost_ms == 0)
		c->lost_ms = now;
	else if (now - c->warned_ms < REMIND_MS && c->warned_of == what)
		return;
	c->warned_ms = now;
	c->warned_of = what;
	if (now - c->lost_ms < REMIND_MS)
		log_warn("%s: %.*s", what, (int)len, line);
	else
		log_warn("%s, for %llu s now: %.*s", what, (unsigned long long)(now - c->lost_ms) / 1000, (int)len,
			line);
}

/* The pause varies, so that the connections of many workers don't reconnect at the same time. */
static void pause_before_dialling(struct pg_conn *c, unsigned most_ms)
{
	loop_timer_start(c->timer, c->pause_ms - c->pause_ms / 4 + (unsigned)random() % (c->pause_ms / 2), 0);
	c->pause_ms = c->pause_ms * 2 > most_ms ? most_ms : c->pause_ms * 2;
}

/* The connection was lost or couldn't be made. Ends the calls in flight, and connects again after a pause. */
static void lost(struct pg_conn *c, const char *what, const char *why)
{
	bool was_up = c->state == UP;
	warn_outage(c, what, why);
	c->state = DOWN;
	disconnect(c);
	pause_before_dialling(c, was_up ? PAUSE_USELESS_MS : PAUSE_MAX_MS);
	end_calls_away(c);
	if (was_up && c->events->on_down != NULL)
		c->events->on_down(c->arg);
}

static const char LOST[] = "lost a connection to the database", GAVE_UP[] = "gave up a connection to the database",
		  NOBODY[] = "can't connect to the database";

void pg_conn_reset(struct pg_conn *c, const char *why)
{
	if (c->state == UP)
		lost(c, GAVE_UP, why);
}

static void on_notice(void *arg, const char *message)
{
	(void)arg;
	log_debug("database: %s", message);
}

static void came_up(struct pg_conn *c)
{
	c->pg = dial_take(c->dial);
	if (PQenterPipelineMode(c->pg) != 1 || PQsetnonblocking(c->pg, 1) != 0) {
		lost(c, NOBODY, PQerrorMessage(c->pg));
		return;
	}
	PQsetNoticeProcessor(c->pg, on_notice, NULL);
	c->state = UP;
	loop_timer_stop(c->timer);
	watch(c, LOOP_READ);
	c->events->on_up(c->arg);
}

/* Waits as dial_start() and the like have asked. The descriptor may be a new one with the same number, which the loop
 * can't notice, so the watch is renewed each time. */
static void dial_on(struct pg_conn *c, enum dial_next want)
{
	unwatch(c);
	if (want == DIAL_UP) {
		came_up(c);
	} else if (want == DIAL_FAILED) {
		lost(c, NOBODY, dial_why(c->dial));
	} else {
		uint64_t now = clock_mono_ms(), until = dial_until_ms(c->dial);
		c->watch = loop_fd_new(
			c->loop, dial_fd(c->dial), want == DIAL_WRITE ? LOOP_WRITE : LOOP_READ, on_socket, c);
		loop_timer_start(c->timer, until > now ? until - now : 0, 0);
	}
}

/* A call has succeeded: the database does what Postern needs. */
static void succeeded(struct pg_conn *c)
{
	c->pause_ms = PAUSE_MIN_MS;
	if (c->lost_ms != 0)
		log_info("the database is back, after %llu ms", (unsigned long long)(clock_mono_ms() - c->lost_ms));
	c->lost_ms = 0;
}

static void on_time(void *arg)
{
	struct pg_conn *c = arg;
	char why[96];
	if (c->state == DOWN) {
		c->state = DIALLING;
		dial_on(c, dial_start(c->dial));
	} else if (c->state == DIALLING) {
		unwatch(c);
		dial_on(c, dial_give_up(c->dial));
	} else {
		snprintf(why, sizeof(why), "a call wasn't answered within %u s (database_timeout)",
			c->deadline_ms / 1000);
		lost(c, GAVE_UP, c->broken ? PQerrorMessage(c->pg) : why);
	}
}

struct pg_conn *pg_conn_new(
	struct loop *loop, const char *conninfo, const struct pg_events *events, void *arg, unsigned deadline_ms)
{
	struct pg_conn *c = mem_zeroed(1, sizeof(*c));
	*c = (struct pg_conn) {
		.loop = loop, .events = events, .arg = arg, .deadline_ms = deadline_ms, .pause_ms = PAUSE_MIN_MS
	};
	c->dial = dial_new(conninfo, SESSION_FUNCTIONS, deadline_ms);
	c->timer = loop_timer_new(loop, on_time, c);
	loop_timer_start(c->timer, 0, 0);
	return c;
}

void pg_conn_free(struct pg_conn *c)
{
	if (c == NULL)
		return;
	disconnect(c);
	c->state = DOWN;
	end_calls_away(c);
	loop_timer_free(c->timer);
	dial_free(c->dial);
	free(c);
}

bool pg_conn_ready(const struct pg_conn *c) { return c->state == UP && c->calls_count == 0; }
bool pg_conn_has_room(const struct pg_conn *c) { return c->state == UP && c->calls_count < PG_CALLS_MAX; }
bool pg_conn_up(const struct pg_conn *c) { return c->state == UP; }

/* Writes the name of the prepared statement, which is prepared first when it is new. Returns false if the connection is
 * broken. */
static bool statement(struct pg_conn *c, const char *sql, char name[24])
{
	uintptr_t number = (uintptr_t)map_get(&c->prepared, (uintptr_t)sql);
	bool is_new = number == 0;
	if (is_new) {
		number = ++c->numbers;
		map_set(&c->prepared, (uintptr_t)sql, (void *)number);
		c->calls[c->calls_count - 1].preparing = sql;
	}
	snprintf(name, 24, "s%llu", (unsigned long long)number);
	return !is_new || PQsendPrepare(c->pg, name, sql, 0, NULL) == 1;
}

static void flush(struct pg_conn *c)
{
	int rc = PQflush(c->pg);
	if (rc < 0)
		lost(c, LOST, PQerrorMessage(c->pg));
	else
		watch(c, rc > 0 ? LOOP_READ | LOOP_WRITE : LOOP_READ);
}

/* Not ended within the caller's call: the timer does it a moment later. */
static void fail_later(struct pg_conn *c)
{
	c->broken = true;
	loop_timer_start(c->timer, 0, 0);
}

void pg_conn_call(
	struct pg_conn *c, const char *sql, unsigned n, const char *const values[], pg_result_fn *on_result, void *arg)
{
	char name[24];
	assert(pg_conn_has_room(c) && n <= PG_PARAMS_MAX);
	c->calls[c->calls_count++] = (struct call) {
		.on_result = on_result, .arg = arg, .due_ms = clock_mono_ms() + c->deadline_ms, .trace = trace_hold()
	};
	trace_step(c->calls[c->calls_count - 1].trace, "database call sent", F("sql", sql));
	if (c->calls_count == 1)
		loop_timer_start(c->timer, c->deadline_ms, 0);
	if (!statement(c, sql, name) || PQsendQueryPrepared(c->pg, name, (int)n, values, NULL, NULL, 0) != 1 ||
		PQpipelineSync(c->pg) != 1) {
		fail_later(c);
		return;
	}
	int rc = PQflush(c->pg);
	if (rc < 0)
		fail_later(c);
	else
		watch(c, rc > 0 ? LOOP_READ | LOOP_WRITE : LOOP_READ);
}

static void call_done(struct pg_conn *c)
{
	PGresult *result = c->result;
	uint64_t now = clock_mono_ms();
	c->result = NULL;
	if (c->calls_count > 1) /* the next one becomes the oldest */
		loop_timer_start(c->timer, c->calls[1].due_ms > now ? c->calls[1].due_ms - now : 0, 0);
	else
		loop_timer_stop(c->timer);
	if (fault_of(&(struct pg_result) { .pg = result })->kind == FAULT_NONE)
		succeeded(c);
	end_call(c, result);
	PQclear(result);
}

/* Keeps the result that counts: the first error, else the last rows (a preparation comes before its run). */
static void keep_result(struct pg_conn *c, PGresult *result)
{
	ExecStatusType old = c->result ? PQresultStatus(c->result) : PGRES_COMMAND_OK;
	const char *preparing = c->calls[0].preparing;
	if (preparing != NULL && PQresultStatus(result) != PGRES_COMMAND_OK)
		map_remove(&c->prepared, (uintptr_t)preparing);
	c->calls[0].preparing = NULL;
	if (old == PGRES_COMMAND_OK || old == PGRES_TUPLES_OK) {
		PQclear(c->result);
		c->result = result;
	} else {
		PQclear(result);
	}
}

static void read_results(struct pg_conn *c)
{
	while (c->state == UP && c->calls_count > 0 && !PQisBusy(c->pg)) {
		PGresult *result = PQgetResult(c->pg);
		if (PQstatus(c->pg) == CONNECTION_BAD) {
			PQclear(result);
			lost(c, LOST, PQerrorMessage(c->pg));
			return;
		}
		if (result == NULL) /* the end of one statement of the pipeline */
			continue;
		if (PQresultStatus(result) != PGRES_PIPELINE_SYNC) {
			keep_result(c, result);
			continue;
		}
		PQclear(result);
		call_done(c);
		if (pg_conn_has_room(c))
			c->events->on_up(c->arg);
	}
}

static void read_notifications(struct pg_conn *c)
{
	PGnotify *n;
	while (c->pg != NULL && (n = PQnotifies(c->pg)) != NULL) {
		if (c->events->on_notify != NULL)
			c->events->on_notify(c->arg, n->relname, n->extra);
		PQfreemem(n);
	}
}

static void on_socket(void *arg, unsigned ready)
{
	struct pg_conn *c = arg;
	if (c->state == DIALLING) {
		unwatch(c); /* before the descriptor is closed */
		dial_on(c, dial_ready(c->dial));
		return;
	}
	if ((ready & LOOP_READ) && PQconsumeInput(c->pg) != 1) {
		lost(c, LOST, PQerrorMessage(c->pg));
		return;
	}
	if (ready & LOOP_WRITE) {
		flush(c);
		if (!pg_conn_up(c))
			return;
	}
	read_notifications(c);
	read_results(c);
	if (c->pg != NULL)
		read_notifications(c);
}
