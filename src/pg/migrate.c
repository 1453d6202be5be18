/* SPDX-License-Identifier: MIT
 * See migrate.h. The SQL here is only about schemas and the list of migrations; everything else is in sql/. */
#include "pg/migrate.h"

#include <stdlib.h>
#include <string.h>

#include "base/build.h"
#include "base/clock.h"
#include "base/embedded.h"
#include "base/log.h"
#include "base/secret.h"
#include "base/waiting.h"
#include "pg/sync.h"
#include "pg/version.h"

enum { SQL_MAX = 8 << 20 };

/* Two keys, unlike those of the log's lock: "post", "mig". */
#define LOCK_KEYS "1886352244, 7170407"
/* Longer than a node needs from making its functions to its first row in postern.node. */
#define FUNCTIONS_GRACE "interval '10 minutes'"

static enum status failed(struct sync *s, struct buf *why, const char *what)
{
	buf_addf(why, "%s: %s", what, sync_error(s));
	return ST_REFUSED;
}

void migrate_functions_schema(char out[MIGRATE_SCHEMA_SIZE])
{
	struct buf b;
	char hex[SECRET_HASH_HEX + 1];
	buf_init(&b, SQL_MAX);
	for (const struct embedded *e = embedded_functions; e->name != NULL; e++) {
		buf_addf(&b, "%s %zu\n", e->name, e->size);
		buf_add(&b, e->data, e->size);
	}
	if (buf_failed(&b))
		fatal("the functions are too large");
	secret_hash_hex(b.data != NULL ? b.data : "", b.len, hex);
	snprintf(out, MIGRATE_SCHEMA_SIZE, "postern_%.12s", hex);
	buf_release(&b);
}

char *migrate_conninfo(const char *base, const char *session_attrs, struct buf *why)
{
	const char *const defaults[] = { "application_name", "postern", "client_encoding", "UTF8", "keepalives_idle",
		"30", "keepalives_interval", "10", "keepalives_count", "3", "target_session_attrs", session_attrs,
		NULL };
	return sync_conninfo(base, defaults, why);
}

static struct sync *open_for_migrating(const char *conninfo, struct buf *why)
{
	static const char *const defaults[] = { "application_name", "postern migrate", "client_encoding", "UTF8",
		"target_session_attrs", "read-write", NULL };
	char *own = sync_conninfo(conninfo, defaults, why);
	struct sync *s = own != NULL ? sync_open_plain(own, why) : NULL;
	free(own);
	return s;
}

/* Another node may be migrating: logs what this one waits for. */
static enum status lock(struct sync *s, struct buf *why)
{
	char got[2];
	for (unsigned i = 0;; i++) {
		if (!sync_ask(s, "select pg_try_advisory_lock(" LOCK_KEYS ")", NULL, got, sizeof(got)))
			return failed(s, why, "locking the database for migration");
		if (*got == 't')
			return ST_OK;
		if (i == 20)
			log_info("waiting for another node that is migrating the database");
		if (!waiting_pause("another node that is migrating the database", 50)) {
			buf_adds(why, "stopped by a signal while another node is migrating the database");
			return ST_REFUSED;
		}
	}
}

static void checksum(const struct embedded *e, char out[SECRET_HASH_HEX + 1])
{
	secret_hash_hex((const char *)e->data, e->size, out);
}

/* "0.10.2" against "0.9": numbers between dots; what follows them doesn't count. */
static int compare_versions(const char *a, const char *b)
{
	for (;;) {
		char *after_a, *after_b;
		unsigned long na = strtoul(a, &after_a, 10), nb = strtoul(b, &after_b, 10);
		if (na != nb)
			return na < nb ? -1 : 1;
		if (*after_a != '.' && *after_b != '.')
			return 0;
		a = *after_a == '.' ? after_a + 1 : after_a;
		b = *after_b == '.' ? after_b + 1 : after_b;
	}
}

/* Reads the applied migrations; *ret is NULL if the database is new, because the first migration creates the list. */
static enum status read_list(struct sync *s, struct sync_rows **ret, struct buf *why)
{
	char has_schema[2], has_list[2];
	*ret = NULL;
	if (!sync_ask(s, "select to_regnamespace('postern') is not null", NULL, has_schema, sizeof(has_schema)) ||
		!sync_ask(s, "select to_regclass('postern.migration') is not null", NULL, has_list, sizeof(has_list)))
		return failed(s, why, "looking at the database");
	if (*has_list != 't' && *has_schema == 't') {
		buf_adds(why, "the database has a schema named postern that is not Postern's: use another database");
		return ST_REFUSED;
	}
	if (*has_list != 't')
		return ST_OK;
	*ret = sync_call(s,
		"select name, checksum, to_char(applied_at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')"
		" from postern.migration order by name",
		SYNC_END);
	return *ret != NULL ? ST_OK : failed(s, why, "reading the list of migrations");
}

bool migrate_meta(struct sync *s, const char *key, char *out, size_t size)
{
	char has_meta[2];
	*out = '\0';
	return sync_ask(s, "select to_regclass('postern.meta') is not null", NULL, has_meta, sizeof(has_meta)) &&
		(*has_meta != 't' || sync_ask(s, "select value from postern.meta where key = $1", key, out, size));
}

/* A migration in the database that this binary doesn't know is from a newer version, which says which older versions
 * may still use the database. */
static enum status check_unknown(struct sync *s, const char *name, struct buf *why)
{
	char min_version[64];
	if (!migrate_meta(s, "min_version", min_version, sizeof(min_version)))
		return failed(s, why, "reading the oldest version allowed");
	if (*min_version == '\0' || compare_versions(build_version, min_version) >= 0) {
		log_info("a newer version has migrated the database (%s); this one may still use it", name);
		return ST_OK;
	}
	buf_addf(why,
		"a newer version has migrated the database (%s): it needs at least version %s, and this "
		"is %s",
		name, min_version, build_version);
	return ST_REFUSED;
}

/* Checks that the applied migrations are those of this binary. */
static enum status compare(struct sync *s, struct sync_rows *applied, struct buf *why)
{
	for (int i = 0; applied != NULL && i < sync_count(applied); i++) {
		char sum[SECRET_HASH_HEX + 1];
		const struct embedded *e = embedded_migrations;
		while (e->name != NULL && !sync_is(applied, i, 0, e->name))
			e++;
		if (e->name == NULL) {
			if (check_unknown(s, sync_text(applied, i, 0), why) != ST_OK)
				return ST_REFUSED;
			continue;
		}
		checksum(e, sum);
		if (!sync_is(applied, i, 1, sum)) {
			buf_addf(why,
				"migration %s in the database is not the one that this version of Postern carries: "
				"they come from different builds",
				e->name);
			return ST_REFUSED;
		}
	}
	return ST_OK;
}

static bool is_applied(struct sync_rows *applied, const char *name)
{
	for (int i = 0; applied != NULL && i < sync_count(applied); i++)
		if (sync_is(applied, i, 0, name))
			return true;
	return false;
}

/* Runs a file. An error in it is reported as FILE:LINE. */
static enum status run_file(struct sync *s, const char *folder, const struct embedded *e, struct buf *why)
{
	if (sync_exec(s, (const char *)e->data) == ST_OK)
		return ST_OK;
	unsigned line = 1, left = sync_error_position(s);
	for (const unsigned char *p = e->data; *p != '\0' && left > 1; p++) {
		line += *p == '\n';
		left -= (*p & 0xc0) != 0x80; /* the position counts characters */
	}
	buf_addf(why, "sql/%s/%s", folder, e->name);
	if (sync_error_position(s) > 0)
		buf_addf(why, ":%u", line);
	buf_addf(why, ": %s", sync_error(s));
	return ST_REFUSED;
}

static enum status apply(struct sync *s, const struct embedded *e, struct buf *why)
{
	char sum[SECRET_HASH_HEX + 1];
	checksum(e, sum);
	if (sync_exec(s, "begin; set local search_path = postern, pg_catalog") != ST_OK)
		return failed(s, why, "beginning a migration");
	enum status st = run_file(s, "migrations", e, why);
	if (st == ST_OK) {
		struct sync_rows *r = sync_call(s, "select postern.migration_applied($1, $2)", e->name, sum, SYNC_END);
		st = r != NULL && sync_exec(s, "commit") == ST_OK ? ST_OK : failed(s, why, "recording a migration");
		sync_rows_free(r);
	}
	if (st == ST_OK)
		log_info("applied migration %s", e->name);
	return st;
}

static enum status migrate_tables(struct sync *s, struct buf *why)
{
	struct sync_rows *applied;
	enum status st = read_list(s, &applied, why);
	if (st == ST_OK)
		st = compare(s, applied, why);
	for (const struct embedded *e = embedded_migrations; e->name != NULL && st == ST_OK; e++)
		if (!is_applied(applied, e->name))
			st = apply(s, e, why);
	sync_rows_free(applied);
	return st;
}

/* The schema's comment says when it was last used, for drop_unused() of another version. */
static enum status touch_functions(struct sync *s, const char *schema, struct buf *why)
{
	struct buf sql;
	char now[CLOCK_RFC3339_LEN + 1];
	clock_rfc3339(clock_real_us(), now);
	buf_init(&sql, SQL_MAX);
	buf_addf(&sql, "comment on schema %s is 'functions of Postern %s, used %s'", schema, build_version, now);
	enum status st = sync_exec(s, sql.data) == ST_OK ? ST_OK : failed(s, why, "marking the functions as used");
	buf_release(&sql);
	return st;
}

/* Creates all functions in one transaction, so that an existing schema is complete. Bodies aren't checked meanwhile, so
 * that files may come in any order. */
static enum status install_functions(struct sync *s, const char *schema, struct buf *why)
{
	char exists[2], begin[256];
	if (!sync_ask(s, "select to_regnamespace($1) is not null", schema, exists, sizeof(exists)))
		return failed(s, why, "looking for the functions");
	if (*exists == 't')
		return touch_functions(s, schema, why);
	snprintf(begin, sizeof(begin),
		"begin; set local check_function_bodies = off; create schema %s; set local search_path = %s, "
		"postern, pg_catalog",
		schema, schema);
	if (sync_exec(s, begin) != ST_OK)
		return failed(s, why, "making the functions' schema");
	enum status st = ST_OK;
	for (const struct embedded *e = embedded_functions; e->name != NULL && st == ST_OK; e++)
		st = run_file(s, "functions", e, why);
	if (st == ST_OK)
		st = touch_functions(s, schema, why);
	if (st == ST_OK && sync_exec(s, "commit") != ST_OK)
		st = failed(s, why, "committing the functions");
	if (st == ST_OK)
		log_info("installed functions as %s", schema);
	return st;
}

/* Drops the functions of other versions that no node has used lately. A failure is harmless. */
static void drop_unused(struct sync *s, const char *schema)
{
	struct sync_rows *r = sync_call(s,
		"select n.nspname from pg_namespace n where n.nspname ~ '^postern_[0-9a-f]{12}$' and n.nspname <> $1"
		" and coalesce(substring(obj_description(n.oid, 'pg_namespace') from 'used (.*)$')::timestamptz, "
		"'-infinity') < clock_timestamp() - " FUNCTIONS_GRACE
		" and not exists (select from postern.node o where o.functions = n.nspname and o.seen_at > "
		"clock_timestamp() - " FUNCTIONS_GRACE ")",
		schema, SYNC_END);
	for (int i = 0; r != NULL && i < sync_count(r); i++) {
		char sql[256];
		snprintf(sql, sizeof(sql), "begin; set local lock_timeout = '2s'; drop schema %s cascade; commit",
			sync_text(r, i, 0));
		if (sync_exec(s, sql) == ST_OK)
			log_info("dropped unused functions %s", sync_text(r, i, 0));
		else {
			log_warn("can't drop unused functions %s: %s", sync_text(r, i, 0), sync_error(s));
			if (sync_exec(s, "rollback") != ST_OK)
				break;
		}
	}
	sync_rows_free(r);
}

enum status migrate_run(const char *conninfo, struct buf *why)
{
	char schema[MIGRATE_SCHEMA_SIZE];
	migrate_functions_schema(schema);
	struct sync *s = open_for_migrating(conninfo, why);
	if (s == NULL)
		return ST_AWAY;
	enum status st = lock(s, why);
	if (st == ST_OK)
		st = migrate_tables(s, why);
	if (st == ST_OK)
		st = install_functions(s, schema, why);
	if (st == ST_OK)
		drop_unused(s, schema);
	sync_close(s); /* rolls back what wasn't committed, and releases the lock */
	return st;
}

enum status migrate_status(const char *conninfo, FILE *out, struct buf *why)
{
	struct sync_rows *applied;
	struct sync *s = open_for_migrating(conninfo, why);
	if (s == NULL)
		return ST_AWAY;
	enum status st = read_list(s, &applied, why);
	fprintf(out, "PostgreSQL %s (tested: %d to %d)\n", sync_parameter(s, "server_version"), VERSION_MAJOR_MIN,
		VERSION_MAJOR_TESTED);
	for (int i = 0; applied != NULL && i < sync_count(applied); i++)
		fprintf(out, "%-23s %s\n", sync_text(applied, i, 2), sync_text(applied, i, 0));
	for (const struct embedded *e = embedded_migrations; e->name != NULL && st == ST_OK; e++)
		if (!is_applied(applied, e->name))
			fprintf(out, "pending                 %s\n", e->name);
	if (st == ST_OK)
		st = compare(s, applied, why);
	sync_rows_free(applied);
	sync_close(s);
	return st;
}
