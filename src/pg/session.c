/* SPDX-License-Identifier: MIT
 * See session.h. */
#include "pg/session.h"

#include "pg/migrate.h"

/* Not set here: what the administrator should choose (work_mem, tablespaces, logging, wal_compression, …). */
static const struct {
	const char *name, *value;
	int since; /* version */
} always[] = {
	{ "client_encoding", "UTF8", 0 },
	/* The functions take the log lock first, and read afterwards. Under any other level they would read with a
	   snapshot from before the lock, and miss changes. */
	{ "default_transaction_isolation", "read committed", 0 },
	{ "default_transaction_deferrable", "off", 0 },
	{ "lock_timeout", "0", 0 },
	{ "idle_session_timeout", "0", 140000 },
	{ "idle_in_transaction_session_timeout", "0", 0 },
	{ "transaction_timeout", "0", 170000 },
	/* how text is read and written */
	{ "standard_conforming_strings", "on", 0 },
	{ "backslash_quote", "safe_encoding", 0 },
	{ "array_nulls", "on", 0 },
	{ "transform_null_equals", "off", 0 },
	{ "DateStyle", "ISO, MDY", 0 },
	{ "IntervalStyle", "postgres", 0 },
	{ "TimeZone", "UTC", 0 },
	{ "extra_float_digits", "1", 0 },
	{ "bytea_output", "hex", 0 },
	{ "xmloption", "content", 0 },
	{ "default_text_search_config", "pg_catalog.simple", 0 },
	{ "gin_fuzzy_search_limit", "0", 0 },
	{ "check_function_bodies", "on", 0 },
	{ "default_table_access_method", "heap", 0 },
	{ "row_security", "on", 0 },
	{ "quote_all_identifiers", "off", 0 },
	{ "plpgsql.extra_errors", "none", 0 },
};

/* Every access of the functions has an index, and so one good plan, made once for each connection. By default the
 * planner would replan for values that look cheaper, and keep sequential scans that it planned for nearly empty tables
 * until the next analyze. */
static const char planner[] = "set enable_seqscan = off; set jit = off; set plan_cache_mode = force_generic_plan; set "
			      "enable_indexscan = on; set enable_indexonlyscan = on;"
			      " set enable_bitmapscan = on; set enable_tidscan = on; set enable_sort = on; set "
			      "enable_incremental_sort = on; set enable_nestloop = on;"
			      " set enable_hashjoin = on; set enable_mergejoin = on; set enable_hashagg = on; set "
			      "enable_material = on; set enable_memoize = on;"
			      " set join_collapse_limit = 8; set from_collapse_limit = 8; set geqo = on; ";

void session_sql(struct buf *out, enum session_kind kind, unsigned deadline_ms, int server_version)
{
	char schema[MIGRATE_SCHEMA_SIZE];
	for (size_t i = 0; i < sizeof(always) / sizeof(always[0]); i++)
		if (server_version >= always[i].since)
			buf_addf(out, "set %s = '%s'; ", always[i].name, always[i].value);
	/* A little before the caller's deadline: an error says more than a dropped connection, and keeps the
	 * connection. */
	buf_addf(out, "set statement_timeout = %u; ", deadline_ms - deadline_ms / 10);
	/* A caller that gives up closes the connection. The server must notice that, and end a statement that still
	 * runs or waits for a lock. */
	buf_adds(out, "set client_connection_check_interval = 2000; ");
	if (kind == SESSION_FUNCTIONS) {
		migrate_functions_schema(schema);
		buf_addf(out, "set search_path = %s, postern, pg_catalog; %s", schema, planner);
	} else {
		buf_adds(out, "set client_min_messages = warning; ");
	}
	/* What is acknowledged survives a crash. The administrator chooses which standbys confirm it (on, local,
	 * remote_apply, …). */
	buf_adds(out,
		"select set_config('synchronous_commit', 'on', false) where current_setting('synchronous_commit') = "
		"'off'; ");
	/* Overrides a role's or a database's preset. A server that is read-only as a whole stays so. */
	buf_adds(out,
		"select set_config('default_transaction_read_only', 'off', false) from pg_settings"
		" where current_setting('default_transaction_read_only') = 'on' and name = "
		"'default_transaction_read_only'"
		" and source in ('user', 'database', 'database user', 'client'); ");
	buf_adds(out, "select pg_backend_pid()");
}
