/* SPDX-License-Identifier: MIT
 * See check.h. */
#include "pg/check.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/secret.h"
#include "base/waiting.h"
#include "pg/sync.h"
#include "pg/version.h"

enum { RETRY_MS = 250 };

static enum status failed(struct sync *s, struct buf *why, const char *what)
{
	buf_addf(why, "%s: %s", what, sync_error(s));
	return ST_REFUSED;
}

static struct sync *open_for_checking(const char *conninfo, struct buf *why)
{
	static const char *const defaults[] = { "application_name", "postern check", "target_session_attrs",
		"read-write", NULL };
	char *own = sync_conninfo(conninfo, defaults, why);
	struct sync *s = own != NULL ? sync_open_plain(own, why) : NULL;
	free(own);
	return s;
}

/* While `other` is in a transaction it occupies a server process. With a pooler in transaction mode, either `other` has
 * got the process of this session, or this session gets another one now; notifications would be lost. */
static enum status check_pooler(struct sync *s, struct sync *other, struct buf *why)
{
	char mine[16], others[16], again[16];
	static const char pid[] = "select pg_backend_pid()";
	if (!sync_ask(s, pid, NULL, mine, sizeof(mine)) ||
		!sync_ask(s, "listen postern_check", NULL, again, sizeof(again)))
		return failed(s, why, "LISTEN");
	if (sync_exec(other, "begin") != ST_OK || !sync_ask(other, pid, NULL, others, sizeof(others)))
		return failed(other, why, "checking for a pooler");
	if (strcmp(mine, others) != 0 && !sync_ask(s, pid, NULL, again, sizeof(again)))
		return failed(s, why, "checking for a pooler");
	if (strcmp(mine, others) == 0 || strcmp(mine, again) != 0) {
		buf_adds(why,
			"there is a pooler in transaction mode between Postern and the database, through which "
			"LISTEN doesn't work: connect directly, or use session pooling");
		return ST_REFUSED;
	}
	return ST_OK;
}

static enum status check_listen(struct sync *s, const char *conninfo, struct buf *why)
{
	struct sync *other = open_for_checking(conninfo, why);
	if (other == NULL)
		return ST_AWAY;
	char token[17], got[2];
	enum status st = check_pooler(s, other, why);
	sync_close(other);
	if (st != ST_OK)
		return st;
	secret_random_name(token, sizeof(token) - 1);
	if (!sync_ask(s, "select pg_notify('postern_check', $1)", token, got, sizeof(got)))
		return failed(s, why, "NOTIFY");
	/* Other nodes may be checking too. */
	for (uint64_t until = clock_mono_ms() + 5000; clock_mono_ms() < until;)
		if (strcmp(sync_notification(s, 1000), token) == 0)
			return ST_OK;
	buf_adds(why,
		"a notification sent to the database didn't come back within 5 s: LISTEN doesn't work through "
		"the pooler or proxy in between");
	return ST_REFUSED;
}

static enum status check(struct sync *s, const char *conninfo, unsigned connections, struct buf *why)
{
	char value[16];
	if (version_check(sync_version(s) / 10000, why) != ST_OK)
		return ST_REFUSED;
	if (strcmp(sync_parameter(s, "server_encoding"), "UTF8") != 0) {
		buf_addf(why, "the database has the encoding %s: create one with UTF8 (createdb -E UTF8 -T template0)",
			sync_parameter(s, "server_encoding"));
		return ST_REFUSED;
	}
	if (!sync_ask(s, "select pg_is_in_recovery()", NULL, value, sizeof(value)))
		return failed(s, why, "looking at the database");
	if (*value == 't') {
		buf_adds(why, "the database is a standby, which can't be written to");
		return ST_REFUSED;
	}
	if (!sync_ask(s,
		    "select current_setting('max_connections')::int - "
		    "current_setting('superuser_reserved_connections')::int",
		    NULL, value, sizeof(value)))
		return failed(s, why, "looking at the database");
	if (strtoul(value, NULL, 10) < connections) {
		buf_addf(why,
			"the database allows %s connections, and this server's workers need %u: raise "
			"max_connections, or lower workers",
			value, connections);
		return ST_REFUSED;
	}
	return check_listen(s, conninfo, why);
}

enum status check_database(const char *conninfo, unsigned wait_ms, unsigned connections, struct buf *why)
{
	struct sync *s;
	bool said = false;
	for (uint64_t until = clock_mono_ms() + wait_ms; (s = open_for_checking(conninfo, why)) == NULL;) {
		if (clock_mono_ms() >= until || !sync_may_come_up(conninfo))
			return ST_AWAY;
		if (!said)
			log_info("waiting for the database: %s", why->data != NULL ? why->data : "");
		said = true;
		buf_reset(why);
		if (!waiting_pause("the database", RETRY_MS)) {
			buf_adds(why, "stopped by a signal while waiting for the database");
			return ST_AWAY;
		}
	}
	enum status st = check(s, conninfo, connections, why);
	sync_close(s);
	return st;
}

/* Each returns what is missing as one text, null if nothing is. The role that made an object owns it; that may be
 * another role. */
static const struct {
	const char *sql, *what;
} privileges[] = {
	{ "select string_agg(p.oid::regprocedure::text, ', ') from pg_proc p"
	  " where p.pronamespace = $1::regnamespace and not has_function_privilege(p.oid, 'execute')",
		"execute" },
	{ "select string_agg(c.oid::regclass::text, ', ') from pg_class c"
	  " where c.relnamespace = 'postern'::regnamespace and c.relkind = 'r' and c.relname <> 'migration'"
	  " and c.relname !~ '^search_part_'" /* used by functions that run as their owner */
	  " and not (has_table_privilege(c.oid, 'select') and has_table_privilege(c.oid, 'insert')"
	  " and has_table_privilege(c.oid, 'update') and has_table_privilege(c.oid, 'delete'))",
		"select, insert, update and delete" },
	{ "select case when not has_schema_privilege(p.proowner, 'postern', 'create') then 'schema postern' end"
	  " from pg_proc p where p.pronamespace = $1::regnamespace and p.proname = 'search_follow'",
		"create" },
	{ "select case when not has_schema_privilege('postern', 'usage') then 'schema postern'"
	  " when not has_schema_privilege($1, 'usage') then 'schema ' || $1 end",
		"usage" },
};

static enum status check_privileges(struct sync *s, const char *schema, struct buf *why)
{
	char missing[512];
	for (size_t i = sizeof(privileges) / sizeof(privileges[0]); i-- > 0;) {
		bool about_schema = strstr(privileges[i].sql, "$1") != NULL;
		if (!sync_ask(s, privileges[i].sql, about_schema ? schema : NULL, missing, sizeof(missing)))
			return failed(s, why, "looking at the privileges");
		if (*missing != '\0') {
			buf_addf(why,
				"the database's user lacks the privilege %s on %s: grant it, or let that user own them",
				privileges[i].what, missing);
			return ST_REFUSED;
		}
	}
	return ST_OK;
}

enum status check_session(const char *conninfo, const char *schema, struct buf *why)
{
	char value[256];
	struct sync *s = sync_open(conninfo, why);
	if (s == NULL)
		return ST_AWAY;
	enum status st = ST_OK;
	if (!sync_ask(s, "select current_setting('search_path')", NULL, value, sizeof(value)))
		st = failed(s, why, "looking at the database");
	else if (strncmp(value, schema, strlen(schema)) != 0) {
		buf_addf(why,
			"a pooler or proxy in front of the database doesn't keep the settings of a connection "
			"(search_path is %s): connect directly, or use session pooling",
			value);
		st = ST_REFUSED;
	} else if (!sync_ask(s, "show transaction_read_only", NULL, value, sizeof(value)))
		st = failed(s, why, "looking at the database");
	else if (strcmp(value, "on") == 0)
		log_warn("the database is read-only (default_transaction_read_only): nothing can be written until it "
			 "is switched off");
	if (st == ST_OK)
		st = check_privileges(s, schema, why);
	sync_close(s);
	return st;
}
