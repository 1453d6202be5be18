/* SPDX-License-Identifier: MIT
 * See fault.h. The first row that matches counts. */
#include "pg/fault.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "pg/conn.h"

#define CHANGED "the database isn't as this version expects it"
#define CHANGED_ADVICE \
	"a function, table or schema of Postern is missing: if it isn't being put back right now, restart Postern, " \
	"which installs it again"

static const struct fault table[] = {
	{ "PT001", FAULT_PASSING, false, "a batch before this one failed", NULL }, /* send_turn() */
	{ "PT", FAULT_NONE, false, "", NULL },                                     /* refuse(), replay() */
	{ "PS001", FAULT_PASSING, false, "no synchronous standby confirms commits",
		"see pg_stat_replication: bring a standby back, or change synchronous_standby_names" },
	{ "22", FAULT_NONE, true, "", NULL },
	{ "08", FAULT_RECONNECT, false, "the database is away", NULL },
	{ "0A000", FAULT_RECONNECT, false, CHANGED, NULL }, /* "cached plan must not change result type" */
	{ "25006", FAULT_RECONNECT, false, "the database is read-only",
		"it is a standby, or default_transaction_read_only is on: connect to the primary (several hosts, "
		"target_session_attrs), or switch that off" },
	{ "26", FAULT_RECONNECT, false, CHANGED, NULL }, /* a prepared statement is gone */
	{ "28", FAULT_RECONNECT, false, "the database refuses the credentials",
		"check the database's user and password, and pg_hba.conf" },
	{ "3D", FAULT_RECONNECT, false, "the database doesn't exist", "check dbname in the setting database" },
	{ "3F000", FAULT_PASSING, false, CHANGED, CHANGED_ADVICE },
	{ "40", FAULT_PASSING, false, "the database rolled the transaction back", NULL },
	{ "42501", FAULT_PASSING, false, "the database refuses a privilege",
		"grant it to the user that Postern connects as, or make that user the owner" },
	{ "42703", FAULT_PASSING, false, CHANGED, CHANGED_ADVICE },
	{ "42704", FAULT_PASSING, false, CHANGED, CHANGED_ADVICE },
	{ "42883", FAULT_PASSING, false, CHANGED, CHANGED_ADVICE },
	{ "42P01", FAULT_PASSING, false, CHANGED, CHANGED_ADVICE },
	{ "53100", FAULT_PASSING, false, "the disk of the database is full",
		"free or add disk space; Postern goes on by itself" },
	{ "53200", FAULT_PASSING, true, "the database is out of memory", NULL },
	{ "53300", FAULT_RECONNECT, false, "the database has no connection left",
		"raise max_connections, or lower workers" },
	{ "53", FAULT_PASSING, false, "the database is out of resources", NULL },
	{ "54000", FAULT_PASSING, true, "a limit of the database is reached, such as its notification queue",
		"if it is the NOTIFY queue: a session that listens and stays in a transaction keeps it full; see "
		"pg_stat_activity" },
	{ "54", FAULT_PASSING, true, "a limit of the database is reached", NULL },
	{ "55P03", FAULT_PASSING, false, "another session holds a lock that every send needs",
		"see pg_locks for who holds it" },
	{ "55", FAULT_PASSING, false, "the database isn't in the state for this", NULL },
	{ "57014", FAULT_PASSING, false, "the database takes longer than database_timeout",
		"a lock that another session holds (pg_locks), or a slow disk" },
	{ "57P", FAULT_RECONNECT, false, "the database server is stopping, starting or crashed", NULL },
	{ "57", FAULT_PASSING, false, "the database server was asked to cancel this", NULL },
	{ "58", FAULT_PASSING, false, "the database server can't read or write its files",
		"see the database server's log, and the disk" },
	{ "XX000", FAULT_PASSING, true, "the database has an internal error", "see the database server's log" },
	{ "XX", FAULT_BUG, true, "the database is damaged", "see the database server's log; restore a backup" },
	{ "", FAULT_BUG, true, "something is wrong on our side", NULL },
};

static const struct fault ok = { "", FAULT_NONE, false, "", NULL };
static const struct fault away = { "", FAULT_RECONNECT, false, "the database doesn't answer", NULL };

const struct fault *fault_find(const char *sqlstate)
{
	const struct fault *f = table;
	while (strncmp(sqlstate, f->sqlstate, strlen(f->sqlstate)) != 0)
		f++; /* the last one matches everything */
	return f;
}

const struct fault *fault_of(const struct pg_result *r)
{
	return pg_ok(r) ? &ok : pg_away(r) ? &away : fault_find(pg_sqlstate(r));
}

const char *fault_text(const struct pg_result *r, char *out, unsigned size)
{
	const struct fault *f = fault_of(r);
	if (pg_away(r))
		snprintf(out, size, "%s", f->reason);
	else
		snprintf(out, size, "%s %s: %s%s%s", pg_sqlstate(r), pg_message(r), f->reason,
			f->advice != NULL ? "; " : "", f->advice != NULL ? f->advice : "");
	return out;
}
