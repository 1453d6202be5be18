/* SPDX-License-Identifier: MIT
 * See dial.h. A round goes through the hosts, each of them through its addresses. */
#include "pg/dial.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/resolve.h"
#include "pg/hosts.h"

#define PATIENCE_MS 3000        /* for an address, when there is another one to try */
#define PATIENCE_ALONE_MS 10000 /* when there isn't */
#define WHY_MAX 4096
#define SQL_MAX 8192

enum stage { IDLE, LOOKING_UP, CONNECTING, SETTING_UP };

/* The state of a host's name resolution. */
struct name {
	struct resolve *lookup; /* in progress, perhaps since an earlier round; NULL: none */
	char addresses[RESOLVE_ADDRESSES][RESOLVE_ADDRESS_SIZE]; /* the last that were found */
	unsigned count;
};

struct dial {
	struct hosts hosts;
	struct name names[HOSTS_MAX];
	bool malformed;
	enum session_kind kind;
	unsigned deadline_ms;
	unsigned order[HOSTS_MAX], at; /* of this round, and the current place */
	unsigned good;                 /* the host that was connected to last */
	unsigned address, addresses;   /* of the host: the next one to try, and how many there are */
	bool lenient;                  /* in the second pass through the hosts: see attrs() */
	bool worth_it;                 /* whether the second pass may find a host */
	enum stage stage;
	uint64_t until_ms;
	PGconn *pg;
	unsigned patience_ms;
	struct buf why;
};

struct dial *dial_new(const char *conninfo, enum session_kind kind, unsigned deadline_ms)
{
	struct dial *d = mem_zeroed(1, sizeof(*d));
	buf_init(&d->why, WHY_MAX);
	d->kind = kind;
	d->deadline_ms = deadline_ms;
	d->malformed = hosts_parse(&d->hosts, conninfo, &d->why) != ST_OK;
	return d;
}

void dial_stop(struct dial *d)
{
	PQfinish(d->pg);
	d->pg = NULL;
	d->stage = IDLE;
}

void dial_free(struct dial *d)
{
	if (d == NULL)
		return;
	dial_stop(d);
	for (unsigned i = 0; i < HOSTS_MAX; i++)
		resolve_free(d->names[i].lookup);
	hosts_release(&d->hosts);
	buf_release(&d->why);
	free(d);
}

static const struct host *host(const struct dial *d) { return &d->hosts.list[d->order[d->at]]; }
static struct name *name(struct dial *d) { return &d->names[d->order[d->at]]; }

static bool attrs_are(const struct dial *d, const char *attrs)
{
	return d->hosts.session_attrs != NULL && strcmp(d->hosts.session_attrs, attrs) == 0;
}

/* libpq sees one host at a time and can't prefer one to another, so the preferences are handled here. A role's
 * read-only preset doesn't matter, since the session overrides it; a server that is read-only as a whole is better than
 * none. */
static const char *attrs(const struct dial *d)
{
	if (attrs_are(d, "prefer-standby"))
		return d->lenient ? "any" : "standby";
	if (attrs_are(d, "read-write"))
		return "primary";
	return d->hosts.session_attrs;
}

/* Records a host's result; libpq's messages contain its name and end with a newline. */
static void note(struct dial *d, const char *text)
{
	size_t len = strlen(text);
	while (len > 0 && text[len - 1] == '\n')
		len--;
	if (d->why.len + len + 2 > WHY_MAX)
		return;
	if (d->why.len > 0)
		buf_adds(&d->why, "; ");
	for (size_t i = 0; i < len; i++)
		buf_addc(&d->why, text[i] == '\n' || text[i] == '\t' ? ' ' : text[i]);
}

static void note_host(struct dial *d, const char *what)
{
	char text[512];
	const struct host *h = host(d);
	const char *shown = d->pg != NULL && PQhostaddr(d->pg) != NULL ? PQhostaddr(d->pg) : "";
	snprintf(text, sizeof(text), "\"%s\"%s%s%s, port %s: %s",
		h->name != NULL              ? h->name
			: h->address != NULL ? h->address
					     : "the default host",
		*shown != '\0' ? " (" : "", shown, *shown != '\0' ? ")" : "", h->port != NULL ? h->port : "5432", what);
	note(d, text);
}

static void set_patience(struct dial *d)
{
	bool alone = d->hosts.count == 1 && d->addresses <= 1;
	d->patience_ms = d->hosts.timeout_s > 0 ? d->hosts.timeout_s * 1000 : alone ? PATIENCE_ALONE_MS : PATIENCE_MS;
	d->until_ms = clock_mono_ms() + d->patience_ms;
}

/* Starts with this host's next address. */
static enum dial_next connect_next(struct dial *d)
{
	const char *address = host_needs_lookup(host(d)) ? name(d)->addresses[d->address] : NULL;
	d->address++;
	set_patience(d);
	d->stage = CONNECTING;
	d->pg = mem_checked(hosts_connect(&d->hosts, host(d), address, attrs(d)));
	if (PQstatus(d->pg) != CONNECTION_BAD)
		return DIAL_WRITE;
	note(d, PQerrorMessage(d->pg));
	dial_stop(d);
	return DIAL_FAILED;
}

/* Starts with a host: resolves its name, if it has one. DIAL_FAILED: there is nothing to wait for, and next() continues
 * with its addresses or, if there are none, with the next host. */
static enum dial_next begin_host(struct dial *d)
{
	struct name *n = name(d);
	d->address = 0;
	d->addresses = 1;
	if (!host_needs_lookup(host(d)))
		return DIAL_FAILED;
	set_patience(d);
	d->addresses = 0;
	if (n->lookup == NULL && (n->lookup = resolve_start(host(d)->name)) == NULL) {
		note_host(d, "out of memory or threads to look it up");
		return DIAL_FAILED;
	}
	d->stage = LOOKING_UP;
	return DIAL_READ;
}

/* Reads the result of the resolution. If a name can't be resolved now, its last known addresses are used. */
static void end_lookup(struct dial *d)
{
	struct name *n = name(d);
	const char *problem = "its name isn't resolved yet: the name server doesn't answer";
	char found[RESOLVE_ADDRESSES][RESOLVE_ADDRESS_SIZE];
	d->stage = IDLE;
	if (n->lookup != NULL && resolve_ended(n->lookup)) {
		unsigned count = resolve_addresses(n->lookup, found, &problem);
		if (count > 0) {
			memcpy(n->addresses, found, sizeof(found));
			n->count = count;
		}
		resolve_free(n->lookup);
		n->lookup = NULL;
	}
	if (n->count == 0)
		note_host(d, problem);
	d->addresses = n->count;
}

/* Continues with the next address, the next host or the second pass; returns when something must be waited for. */
static enum dial_next next(struct dial *d)
{
	enum dial_next want = DIAL_FAILED;
	while (want == DIAL_FAILED) {
		if (d->address < d->addresses) {
			want = connect_next(d);
		} else if (d->at + 1 < d->hosts.count) {
			d->at++;
			want = begin_host(d);
		} else if (!d->lenient && d->worth_it) {
			d->lenient = true;
			d->at = 0;
			want = begin_host(d);
		} else {
			return DIAL_FAILED;
		}
	}
	return want;
}

/* Orders the hosts: as listed, with the last good one first, or at random. */
static void put_in_order(struct dial *d)
{
	unsigned n = d->hosts.count;
	for (unsigned i = 0; i < n; i++)
		d->order[i] = i;
	for (unsigned i = n; d->hosts.any_order && i > 1; i--) {
		unsigned other = (unsigned)random() % i, kept = d->order[i - 1];
		d->order[i - 1] = d->order[other];
		d->order[other] = kept;
	}
	if (d->hosts.any_order)
		return;
	memmove(d->order + 1, d->order, d->good * sizeof(d->order[0]));
	d->order[0] = d->good;
}

enum dial_next dial_start(struct dial *d)
{
	if (d->malformed)
		return DIAL_FAILED;
	dial_stop(d);
	buf_reset(&d->why);
	put_in_order(d);
	d->lenient = false;
	d->worth_it = attrs_are(d, "prefer-standby");
	d->at = 0;
	enum dial_next want = begin_host(d);
	return want == DIAL_FAILED ? next(d) : want;
}

/* Gives up this address and continues. */
static enum dial_next skip_address(struct dial *d)
{
	dial_stop(d);
	return next(d);
}

static enum dial_next set_up(struct dial *d)
{
	struct buf sql;
	buf_init(&sql, SQL_MAX);
	session_sql(&sql, d->kind, d->deadline_ms, PQserverVersion(d->pg));
	bool sent = !buf_failed(&sql) && PQsetnonblocking(d->pg, 1) == 0 && PQsendQuery(d->pg, sql.data) == 1;
	int rc = sent ? PQflush(d->pg) : -1;
	buf_release(&sql);
	d->stage = SETTING_UP;
	if (rc >= 0)
		return rc > 0 ? DIAL_WRITE : DIAL_READ;
	note(d, PQerrorMessage(d->pg));
	return skip_address(d);
}

static enum dial_next poll_connect(struct dial *d)
{
	switch (PQconnectPoll(d->pg)) {
	case PGRES_POLLING_READING: return DIAL_READ;
	case PGRES_POLLING_WRITING: return DIAL_WRITE;
	case PGRES_POLLING_OK: return set_up(d);
	default: note(d, PQerrorMessage(d->pg)); return skip_address(d);
	}
}

static enum dial_next finish(struct dial *d)
{
	const char *read_only = PQparameterStatus(d->pg, "default_transaction_read_only");
	if (attrs_are(d, "read-write") && !d->lenient && read_only != NULL && strcmp(read_only, "on") == 0) {
		note_host(d, "the server is read-only (default_transaction_read_only)");
		d->worth_it = true;
		return skip_address(d);
	}
	PQsetnonblocking(d->pg, 0);
	d->good = d->order[d->at];
	d->stage = IDLE;
	return DIAL_UP;
}

static enum dial_next read_answers(struct dial *d)
{
	if (PQconsumeInput(d->pg) != 1 || PQflush(d->pg) < 0) {
		note(d, PQerrorMessage(d->pg));
		return skip_address(d);
	}
	while (!PQisBusy(d->pg)) {
		PGresult *r = PQgetResult(d->pg);
		if (r == NULL)
			return finish(d);
		ExecStatusType status = PQresultStatus(r);
		if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) {
			note_host(d, PQresultErrorMessage(r));
			PQclear(r);
			return skip_address(d);
		}
		PQclear(r);
	}
	return DIAL_READ;
}

enum dial_next dial_ready(struct dial *d)
{
	switch (d->stage) {
	case LOOKING_UP: end_lookup(d); return next(d);
	case CONNECTING: return poll_connect(d);
	case SETTING_UP: return read_answers(d);
	default: return DIAL_FAILED;
	}
}

enum dial_next dial_give_up(struct dial *d)
{
	char what[64];
	snprintf(what, sizeof(what), "no answer within %u s", d->patience_ms / 1000);
	if (d->stage == LOOKING_UP)
		end_lookup(d);
	else
		note_host(d, what);
	return skip_address(d);
}

int dial_fd(const struct dial *d)
{
	return d->stage == LOOKING_UP ? resolve_fd(d->names[d->order[d->at]].lookup) : PQsocket(d->pg);
}
uint64_t dial_until_ms(const struct dial *d) { return d->until_ms; }

PGconn *dial_take(struct dial *d)
{
	PGconn *pg = d->pg;
	d->pg = NULL;
	return pg;
}

const char *dial_why(const struct dial *d) { return d->why.len > 0 ? d->why.data : "no host was tried"; }
