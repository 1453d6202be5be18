/* SPDX-License-Identifier: MIT
 * See postern.h. The limits are off (--rate-*=0 --streams-per-user=0). All other settings have their defaults: fsync,
 * full_page_writes and synchronous_commit are on. */
#include "postern.h"

#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"
#include "http.h"
#include "proc.h"

#define WORKER "postern-work"

static void start(struct postern *p, const char *option, const char *value)
{
	char workers[16], line[128] = "";
	int out;
	snprintf(workers, sizeof(workers), "%u", p->workers);
	const char *const argv[] = { settings.server, "serve", option, value, "--listen", "127.0.0.1:0", "--workers",
		workers, "--rate-sends=0", "--rate-actions=0", "--rate-searches=0", "--streams-per-user=0",
		"--connections-per-address=0", NULL };
	p->pid = proc_start("postern", argv, &out);
	FILE *f = fdopen(out, "r");
	if (f == NULL || fgets(line, sizeof(line), f) == NULL ||
		sscanf(line, "ready http://127.0.0.1:%d", &p->port) != 1) {
		proc_shell("tail -n 5 '%s/postern.log' >&2", proc_scratch());
		die("the server did not start");
	}
	fclose(f);
}

void postern_start(struct postern *p, const char *name, unsigned workers)
{
	*p = (struct postern) { .workers = workers };
	snprintf(p->state, sizeof(p->state), "%s/%s", proc_scratch(), name);
	snprintf(p->conninfo, sizeof(p->conninfo), "host=%s/run user=postern dbname=postgres", p->state);
	start(p, "--state", p->state);
	p->owner = p->pid;
}

static void on_database(const struct postern *owner, const char *database, char *out, size_t size)
{
	snprintf(out, size, "host=%s/run user=postern dbname=%s", owner->state, database);
}

static void make_database(const struct postern *owner, const char *database)
{
	PGconn *pg = postern_database(owner->conninfo);
	sql(pg, "create database %s", database);
	PQfinish(pg);
}

void postern_start_beside(struct postern *p, const struct postern *owner, const char *database, unsigned workers)
{
	*p = (struct postern) { .workers = workers, .owner = owner->pid };
	memcpy(p->state, owner->state, sizeof(p->state));
	on_database(owner, database != NULL ? database : "postgres", p->conninfo, sizeof(p->conninfo));
	start(p, "--database", p->conninfo);
}

void postern_migrate(const struct postern *owner, const char *database, char *ret_conninfo, size_t size)
{
	make_database(owner, database);
	on_database(owner, database, ret_conninfo, size);
	proc_shell("'%s' migrate --database '%s' >/dev/null 2>&1", settings.server, ret_conninfo);
}

void postern_stop(struct postern *p)
{
	proc_end(p->pid);
	p->pid = 0;
}

void sql(PGconn *pg, const char *format, ...)
{
	char text[2048];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	PGresult *r = PQexec(pg, text);
	if (PQresultStatus(r) != PGRES_COMMAND_OK && PQresultStatus(r) != PGRES_TUPLES_OK)
		die(PQerrorMessage(pg));
	PQclear(r);
}

PGconn *postern_database(const char *conninfo)
{
	PGconn *pg = PQconnectdb(conninfo);
	if (PQstatus(pg) != CONNECTION_OK)
		die(PQerrorMessage(pg));
	PGresult *r = PQexec(
		pg, "select nspname from pg_namespace where nspname like 'postern\\_%' order by oid desc limit 1");
	if (PQntuples(r) == 1)
		sql(pg,
			"set search_path = %s, postern, pg_catalog; set enable_seqscan = off; set jit = off; set "
			"plan_cache_mode = force_generic_plan",
			PQgetvalue(r, 0, 0));
	PQclear(r);
	return pg;
}

/* Inserts the tokens as hashes: BLAKE2b-256 in hexadecimal. */
static void copy_tokens(PGconn *pg, unsigned n)
{
	char token[32], row[160], hex[65];
	unsigned char hash[32];
	PQclear(PQexec(pg, "copy postern.credential (hash, name, kind) from stdin"));
	for (unsigned i = 1; i <= n; i++) {
		int len = snprintf(token, sizeof(token), "pt_%u", i);
		crypto_generichash(hash, sizeof(hash), (unsigned char *)token, (unsigned long long)len, NULL, 0);
		sodium_bin2hex(hex, sizeof(hex), hash, sizeof(hash));
		PQputCopyData(pg, row, snprintf(row, sizeof(row), "%s\tuser%u\ttoken\n", hex, i));
	}
	PQputCopyEnd(pg, NULL);
	PQclear(PQgetResult(pg));
	PQclear(PQgetResult(pg));
}

void postern_populate(const char *conninfo, unsigned users, const char *statements)
{
	proc_shell("psql -q -X -v ON_ERROR_STOP=1 -d '%s' -f '%s/sql/town.sql' >/dev/null", conninfo, settings.folder);
	PGconn *pg = postern_database(conninfo);
	sql(pg, "begin");
	sql(pg, "select bench.users(%u)", users);
	copy_tokens(pg, users);
	sql(pg, "%s", statements);
	sql(pg, "commit");
	sql(pg, "vacuum analyze");
	sql(pg, "checkpoint");
	PQfinish(pg);
}

double postern_cpu(const struct postern *p) { return proc_cpu_children(p->pid, WORKER); }

double postern_cpu_postgres(const struct postern *p) { return proc_cpu_family(proc_child(p->owner, "postgres")); }

double postern_dirty(const struct postern *p) { return proc_dirty_children(p->pid, WORKER); }

double postern_metric(const struct postern *p, const char *name)
{
	char *body = http_once(p->port, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", NULL);
	size_t n = strlen(name);
	double value = 0;
	for (char *line = body; line != NULL; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, name, n) == 0 && line[n] == ' ')
			value = atof(line + n);
	}
	free(body);
	return value;
}

void postern_cursor(const struct postern *p, char *out, size_t size)
{
	char *body = http_once(
		p->port, "GET /v1/poll?wait=0 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer pt_1\r\n\r\n", NULL);
	const char *at = strstr(body, "\"cursor\":\"");
	if (at == NULL)
		die("no cursor");
	snprintf(out, size, "%.*s", (int)strcspn(at + 10, "\""), at + 10);
	free(body);
}
