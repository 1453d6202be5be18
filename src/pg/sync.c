/* SPDX-License-Identifier: MIT
 * See sync.h. */
#include "pg/sync.h"

#include <libpq-fe.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/waiting.h"
#include "pg/attempt.h"
#include "pg/dial.h"

enum { PARAMS_MAX = 16, ERROR_MAX = 4096, CONNINFO_MAX = 16 * 1024 };

#define PING_S "3" /* for each host */

const char SYNC_END[] = "";

struct sync {
	PGconn *pg;
	struct buf error;
	enum problem problem;
	unsigned position;
	char *notification;
};

struct sync_rows {
	PGresult *pg;
};

static const char stopped[] = "stopped by a signal while waiting for the database";

static void on_notice(void *arg, const char *message)
{
	(void)arg;
	log_debug("database: %s", message);
}

/* libpq ends its messages with a newline. */
static void add_line(struct buf *b, const char *text)
{
	size_t len = strlen(text);
	while (len > 0 && text[len - 1] == '\n')
		len--;
	buf_add(b, text, len);
}

/* Waits for the descriptors of the dial. DIAL_FAILED with *ret_stopped: a stop is requested. */
static enum dial_next dial_on(struct dial *d, enum dial_next want, bool *ret_stopped)
{
	uint64_t now = clock_mono_ms(), until = dial_until_ms(d);
	int n = waiting_until("the database", dial_fd(d), want == DIAL_WRITE ? POLLOUT : POLLIN,
		until > now ? (unsigned)(until - now) : 0);
	*ret_stopped = n < 0;
	return n < 0 ? DIAL_FAILED : n > 0 ? dial_ready(d) : dial_give_up(d);
}

static struct sync *open_as(enum session_kind kind, const char *conninfo, struct buf *why)
{
	struct sync *s = mem_zeroed(1, sizeof(*s));
	buf_init(&s->error, ERROR_MAX);
	struct dial *d = dial_new(conninfo, kind, 0);
	enum dial_next want = dial_start(d);
	bool told_to_stop = false;
	while (want == DIAL_READ || want == DIAL_WRITE)
		want = dial_on(d, want, &told_to_stop);
	if (want == DIAL_UP) {
		s->pg = dial_take(d);
		PQsetNoticeProcessor(s->pg, on_notice, NULL);
	} else {
		add_line(why, told_to_stop ? stopped : dial_why(d));
		sync_close(s);
		s = NULL;
	}
	dial_free(d);
	return s;
}

struct sync *sync_open(const char *conninfo, struct buf *why) { return open_as(SESSION_FUNCTIONS, conninfo, why); }
struct sync *sync_open_plain(const char *conninfo, struct buf *why) { return open_as(SESSION_PLAIN, conninfo, why); }

void sync_close(struct sync *s)
{
	if (s == NULL)
		return;
	PQfinish(s->pg);
	buf_release(&s->error);
	PQfreemem(s->notification);
	free(s);
}

static void remember_error(struct sync *s, const PGresult *r)
{
	const char *primary = PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY),
		   *detail = PQresultErrorField(r, PG_DIAG_MESSAGE_DETAIL);
	const char *state = PQresultErrorField(r, PG_DIAG_SQLSTATE),
		   *position = PQresultErrorField(r, PG_DIAG_STATEMENT_POSITION);
	const char *hint = PQresultErrorField(r, PG_DIAG_MESSAGE_HINT);
	bool is_refusal = state != NULL && strcmp(state, "PTREF") == 0 && hint != NULL; /* see refuse() */
	s->problem = is_refusal ? problem_find(hint) : PROBLEM_NONE;
	if (is_refusal && (primary == NULL || *primary == '\0'))
		primary = problem_detail(s->problem) != NULL ? problem_detail(s->problem) : problem_title(s->problem);
	buf_reset(&s->error);
	add_line(&s->error, primary != NULL ? primary : PQerrorMessage(s->pg));
	if (detail != NULL)
		buf_addf(&s->error, " (%s)", detail);
	s->position = position != NULL ? (unsigned)strtoul(position, NULL, 10) : 0;
}

/* Waits for the results as PQexec() does, but a signal ends the wait: then returns NULL, and the connection can only be
 * closed. */
static PGresult *finish(struct sync *s)
{
	PGresult *last = NULL, *r;
	for (;;) {
		while (PQflush(s->pg) == 1 || PQisBusy(s->pg)) {
			if (!waiting_for(
				    "the database", PQsocket(s->pg), PQflush(s->pg) == 1 ? POLLIN | POLLOUT : POLLIN)) {
				PQclear(last);
				return NULL;
			}
			if (!PQconsumeInput(s->pg))
				break;
		}
		if ((r = PQgetResult(s->pg)) == NULL)
			return last;
		/* Of several statements the first failure counts, otherwise the last result; none follows a failure. */
		PQclear(last);
		last = r;
	}
}

static void remember(struct sync *s, const PGresult *r)
{
	if (r != NULL) {
		remember_error(s, r);
		return;
	}
	buf_reset(&s->error);
	buf_adds(&s->error, PQstatus(s->pg) == CONNECTION_OK ? stopped : PQerrorMessage(s->pg));
	s->problem = PROBLEM_NONE;
	s->position = 0;
}

static bool succeeded(const PGresult *r)
{
	ExecStatusType status = PQresultStatus(r);
	return status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK;
}

struct sync_rows *sync_call(struct sync *s, const char *sql, ...)
{
	const char *values[PARAMS_MAX];
	int n = 0;
	va_list ap;
	va_start(ap, sql);
	for (const char *v; (v = va_arg(ap, const char *)) != SYNC_END && n < PARAMS_MAX;)
		values[n++] = v;
	va_end(ap);
	PGresult *pg = PQsendQueryParams(s->pg, sql, n, NULL, values, NULL, NULL, 0) ? finish(s) : NULL;
	if (!succeeded(pg)) {
		remember(s, pg);
		PQclear(pg);
		return NULL;
	}
	struct sync_rows *rows = mem_alloc(sizeof(*rows));
	rows->pg = pg;
	return rows;
}

void sync_rows_free(struct sync_rows *r)
{
	if (r != NULL)
		PQclear(r->pg);
	free(r);
}

int sync_count(const struct sync_rows *r) { return PQntuples(r->pg); }
const char *sync_text(const struct sync_rows *r, int row, int col) { return PQgetvalue(r->pg, row, col); }
bool sync_is(const struct sync_rows *r, int row, int col, const char *text)
{
	return strcmp(sync_text(r, row, col), text) == 0;
}

bool sync_ask(struct sync *s, const char *sql, const char *param, char *out, size_t size)
{
	struct sync_rows *r = param != NULL ? sync_call(s, sql, param, SYNC_END) : sync_call(s, sql, SYNC_END);
	if (r == NULL)
		return false;
	snprintf(out, size, "%s", sync_count(r) > 0 ? sync_text(r, 0, 0) : "");
	sync_rows_free(r);
	return true;
}

enum status sync_exec(struct sync *s, const char *sql)
{
	PGresult *r = PQsendQuery(s->pg, sql) ? finish(s) : NULL;
	bool ok = succeeded(r);
	if (!ok)
		remember(s, r);
	PQclear(r);
	return ok ? ST_OK : ST_REFUSED;
}

const char *sync_error(const struct sync *s) { return buf_text(&s->error); }
enum problem sync_problem(const struct sync *s) { return s->problem; }
unsigned sync_error_position(const struct sync *s) { return s->position; }
int sync_version(const struct sync *s) { return PQserverVersion(s->pg); }

const char *sync_parameter(const struct sync *s, const char *name)
{
	const char *value = PQparameterStatus(s->pg, name);
	return value != NULL ? value : "";
}

const char *sync_notification(struct sync *s, unsigned timeout_ms)
{
	uint64_t until = clock_mono_ms() + timeout_ms;
	for (;;) {
		PQfreemem(s->notification);
		s->notification = NULL;
		PGnotify *n = PQnotifies(s->pg);
		if (n != NULL) {
			s->notification = (char *)n;
			return n->extra;
		}
		uint64_t now = clock_mono_ms();
		if (now >= until ||
			waiting_until("a notification", PQsocket(s->pg), POLLIN, (unsigned)(until - now)) <= 0 ||
			!PQconsumeInput(s->pg))
			return "";
	}
}

void sync_add_keyword(struct buf *b, const char *key, const char *value)
{
	buf_addf(b, "%s%s='", b->len > 0 ? " " : "", key);
	for (; *value != '\0'; value++) {
		if (*value == '\'' || *value == '\\')
			buf_addc(b, '\\');
		buf_addc(b, *value);
	}
	buf_addc(b, '\'');
}

char *sync_conninfo(const char *base, const char *const *defaults, struct buf *why)
{
	struct buf b;
	char *error = NULL;
	PQconninfoOption *given = PQconninfoParse(base, &error);
	if (given == NULL) {
		add_line(why, error != NULL ? error : "out of memory");
		PQfreemem(error);
		return NULL;
	}
	buf_init(&b, CONNINFO_MAX);
	for (PQconninfoOption *o = given; o->keyword != NULL; o++) {
		const char *value = o->val;
		for (const char *const *d = defaults; value == NULL && *d != NULL; d += 2)
			if (strcmp(d[0], o->keyword) == 0)
				value = d[1];
		if (value != NULL && *value != '\0')
			sync_add_keyword(&b, o->keyword, value);
	}
	PQconninfoFree(given);
	return buf_detach(&b, NULL);
}

bool sync_may_come_up(const char *conninfo)
{
	static const char *const defaults[] = { "connect_timeout", PING_S, NULL };
	struct buf why;
	buf_init(&why, ERROR_MAX);
	char *own = sync_conninfo(conninfo, defaults, &why);
	PGPing answer = own != NULL ? attempt_ping(own) : PQPING_NO_ATTEMPT;
	free(own);
	buf_release(&why);
	return answer == PQPING_REJECT || answer == PQPING_NO_RESPONSE;
}
