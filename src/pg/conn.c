/* SPDX-License-Identifier: MIT
 * See conn.h. The connection stays in libpq's pipeline mode, so that preparing a statement and its first run are one round
 * trip. libpq's traps: the socket may change between two PQconnectPoll calls, and PQflush may need both directions. */
#include "pg/conn.h"

#include <assert.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "loop/loop.h"

#define STATEMENTS_MAX 128
#define PAUSE_MIN_MS 50
#define PAUSE_MAX_MS 1000

enum state { DOWN, RESOLVING, CONNECTING, UP };

struct call {
	pg_result_fn *on_result;
	void *arg;
	bool preparing; /* it begins with a preparation */
};

struct pg_conn {
	struct loop *loop;
	char *conninfo;
	const struct pg_events *events;
	void *arg;
	unsigned deadline_ms, pause_ms;
	enum state state;
	bool freed; /* by its owner while something still points here */
	PGconn *pg;
	struct loop_fd *watch;
	int watched_fd;
	struct loop_timer *timer; /* the pause before connecting, or the deadline of what is under way */
	char *hostaddr;           /* what a host name resolved to */
	bool complained;          /* one line an outage */
	const char *prepared[STATEMENTS_MAX];
	unsigned prepared_count;
	struct call calls[PG_CALLS_MAX]; /* under way, the oldest first */
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

static void watch(struct pg_conn *c, unsigned events)
{
	int fd = PQsocket(c->pg);
	if (c->watch != NULL && c->watched_fd != fd) {
		loop_fd_free(c->watch);
		c->watch = NULL;
	}
	if (c->watch == NULL)
		c->watch = loop_fd_new(c->loop, fd, events, on_socket, c);
	else
		loop_fd_set(c->watch, events);
	c->watched_fd = fd;
}

void pg_call_away(pg_result_fn *on_result, void *arg) { on_result(arg, &(struct pg_result){ .pg = NULL }); }

/* Ends the oldest call. */
static void end_call(struct pg_conn *c, const PGresult *result)
{
	struct call call = c->calls[0];
	struct pg_result r = { .pg = result };
	c->calls_count--;
	memmove(c->calls, c->calls + 1, c->calls_count * sizeof(call));
	call.on_result(call.arg, &r);
}

static void end_calls_away(struct pg_conn *c)
{
	while (c->calls_count > 0)
		end_call(c, NULL);
}

static void disconnect(struct pg_conn *c)
{
	loop_fd_free(c->watch);
	c->watch = NULL;
	PQfinish(c->pg);
	c->pg = NULL;
	PQclear(c->result);
	c->result = NULL;
	c->prepared_count = 0;
}

/* The connection is gone. Says so once an outage, ends the call under way, and tries again after a pause. */
static void lost(struct pg_conn *c, const char *why)
{
	bool was_up = c->state == UP;
	if (!c->complained)
		log_warn("lost the database: %s", why);
	c->complained = true;
	c->state = DOWN;
	disconnect(c);
	free(c->hostaddr);
	c->hostaddr = NULL;
	loop_timer_start(c->timer, c->pause_ms, 0);
	c->pause_ms = c->pause_ms * 2 > PAUSE_MAX_MS ? PAUSE_MAX_MS : c->pause_ms * 2;
	end_calls_away(c);
	if (was_up && c->events->on_down != NULL)
		c->events->on_down(c->arg);
}

void pg_conn_reset(struct pg_conn *c, const char *why)
{
	if (c->state != DOWN && c->state != RESOLVING)
		lost(c, why);
}

static void on_notice(void *arg, const char *message)
{
	(void)arg;
	log_debug("database: %s", message);
}

static void came_up(struct pg_conn *c)
{
	if (PQenterPipelineMode(c->pg) != 1 || PQsetnonblocking(c->pg, 1) != 0) {
		lost(c, PQerrorMessage(c->pg));
		return;
	}
	PQsetNoticeProcessor(c->pg, on_notice, NULL);
	if (c->complained)
		log_info("the database is back");
	c->complained = false;
	c->pause_ms = PAUSE_MIN_MS;
	c->state = UP;
	loop_timer_stop(c->timer);
	watch(c, LOOP_READ);
	c->events->on_up(c->arg);
}

static void poll_connect(struct pg_conn *c)
{
	switch (PQconnectPoll(c->pg)) {
	case PGRES_POLLING_READING: watch(c, LOOP_READ); break;
	case PGRES_POLLING_WRITING: watch(c, LOOP_WRITE); break;
	case PGRES_POLLING_OK: came_up(c); break;
	default: lost(c, PQerrorMessage(c->pg)); break;
	}
}

/* A name that libpq would look up while everything waits. NULL: none. */
static char *name_to_resolve(const char *conninfo)
{
	PQconninfoOption *options = PQconninfoParse(conninfo, NULL), *host = NULL, *o;
	char *name = NULL;
	for (o = options; o != NULL && o->keyword != NULL; o++) {
		if (strcmp(o->keyword, "hostaddr") == 0 && o->val != NULL && *o->val != '\0') {
			host = NULL;
			break;
		}
		if (strcmp(o->keyword, "host") == 0 && o->val != NULL && *o->val != '\0')
			host = o;
	}
	/* several hosts or a socket: libpq's own business; numbers need no looking up */
	if (host != NULL && strpbrk(host->val, "/,:") == NULL && strspn(host->val, "0123456789.") != strlen(host->val))
		name = strdup(host->val);
	PQconninfoFree(options);
	return name;
}

static void start_connect(struct pg_conn *c)
{
	const char *keys[] = { "dbname", "hostaddr", NULL };
	const char *values[] = { c->conninfo, c->hostaddr, NULL };
	c->state = CONNECTING;
	c->pg = PQconnectStartParams(keys, values, 1);
	if (c->pg == NULL || PQstatus(c->pg) == CONNECTION_BAD) {
		lost(c, c->pg ? PQerrorMessage(c->pg) : "out of memory");
		return;
	}
	loop_timer_start(c->timer, c->deadline_ms, 0);
	watch(c, LOOP_WRITE);
}

static void on_address(void *arg, const char *address)
{
	struct pg_conn *c = arg;
	if (c->freed) {
		free(c);
		return;
	}
	if (address == NULL) {
		lost(c, "its host name can't be resolved");
		return;
	}
	c->hostaddr = strdup(address);
	start_connect(c);
}

static void connect_now(struct pg_conn *c)
{
	char *name = name_to_resolve(c->conninfo);
	if (name == NULL) {
		start_connect(c);
		return;
	}
	c->state = RESOLVING;
	if (loop_resolve(c->loop, name, on_address, c) != ST_OK)
		lost(c, "out of memory");
	free(name);
}

static void on_time(void *arg)
{
	struct pg_conn *c = arg;
	if (c->state == DOWN)
		connect_now(c);
	else if (c->state != RESOLVING)
		lost(c, "no answer within the deadline");
}

struct pg_conn *pg_conn_new(struct loop *loop, const char *conninfo, const struct pg_events *events, void *arg, unsigned deadline_ms)
{
	struct pg_conn *c = calloc(1, sizeof(*c));
	if (c == NULL)
		fatal("out of memory");
	*c = (struct pg_conn){ .loop = loop, .conninfo = strdup(conninfo), .events = events, .arg = arg, .deadline_ms = deadline_ms,
		.pause_ms = PAUSE_MIN_MS };
	c->timer = loop_timer_new(loop, on_time, c);
	loop_timer_start(c->timer, 0, 0);
	return c;
}

void pg_conn_free(struct pg_conn *c)
{
	if (c == NULL)
		return;
	bool resolving = c->state == RESOLVING;
	disconnect(c);
	c->state = DOWN;
	end_calls_away(c);
	loop_timer_free(c->timer);
	free(c->conninfo);
	free(c->hostaddr);
	c->freed = true;
	if (!resolving)
		free(c);
}

bool pg_conn_ready(const struct pg_conn *c) { return c->state == UP && c->calls_count == 0; }
bool pg_conn_has_room(const struct pg_conn *c) { return c->state == UP && c->calls_count < PG_CALLS_MAX; }
bool pg_conn_up(const struct pg_conn *c) { return c->state == UP; }

/* The index of sql among the prepared; prepares it first when it is new. -1: the connection is broken. */
static int statement(struct pg_conn *c, const char *sql, char name[16])
{
	unsigned i;
	for (i = 0; i < c->prepared_count && c->prepared[i] != sql; i++)
		;
	assert(i < STATEMENTS_MAX);
	snprintf(name, 16, "s%u", i);
	if (i < c->prepared_count)
		return 0;
	c->prepared[c->prepared_count++] = sql;
	c->calls[c->calls_count - 1].preparing = true;
	return PQsendPrepare(c->pg, name, sql, 0, NULL) == 1 ? 0 : -1;
}

static void flush(struct pg_conn *c)
{
	int rc = PQflush(c->pg);
	if (rc < 0)
		lost(c, PQerrorMessage(c->pg));
	else
		watch(c, rc > 0 ? LOOP_READ | LOOP_WRITE : LOOP_READ);
}

void pg_conn_call(struct pg_conn *c, const char *sql, unsigned n, const char *const values[], pg_result_fn *on_result, void *arg)
{
	char name[16];
	assert(pg_conn_has_room(c) && n <= PG_PARAMS_MAX);
	c->calls[c->calls_count++] = (struct call){ .on_result = on_result, .arg = arg };
	if (c->calls_count == 1)
		loop_timer_start(c->timer, c->deadline_ms, 0);
	if (statement(c, sql, name) != 0 || PQsendQueryPrepared(c->pg, name, (int)n, values, NULL, NULL, 0) != 1
			|| PQpipelineSync(c->pg) != 1) {
		/* Not from inside the caller: the timer ends it a moment later. */
		loop_timer_start(c->timer, 0, 0);
		return;
	}
	int rc = PQflush(c->pg);
	if (rc < 0)
		loop_timer_start(c->timer, 0, 0);
	else
		watch(c, rc > 0 ? LOOP_READ | LOOP_WRITE : LOOP_READ);
}

static void call_done(struct pg_conn *c)
{
	PGresult *result = c->result;
	c->result = NULL;
	if (c->calls_count > 1)
		loop_timer_start(c->timer, c->deadline_ms, 0); /* the next one's turn */
	else
		loop_timer_stop(c->timer);
	end_call(c, result);
	PQclear(result);
}

/* Keeps the result that tells: the first error, else the last rows (a preparation comes before its run). */
static void keep(struct pg_conn *c, PGresult *result)
{
	ExecStatusType old = c->result ? PQresultStatus(c->result) : PGRES_COMMAND_OK;
	if (c->calls[0].preparing && PQresultStatus(result) != PGRES_COMMAND_OK)
		c->prepared_count--; /* it has not come to be */
	c->calls[0].preparing = false;
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
			lost(c, PQerrorMessage(c->pg));
			return;
		}
		if (result == NULL) /* the end of one statement of the pipeline */
			continue;
		if (PQresultStatus(result) != PGRES_PIPELINE_SYNC) {
			keep(c, result);
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
	if (c->state == CONNECTING) {
		poll_connect(c);
		return;
	}
	if ((ready & LOOP_READ) && PQconsumeInput(c->pg) != 1) {
		lost(c, PQerrorMessage(c->pg));
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
