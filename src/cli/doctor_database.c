/* SPDX-License-Identifier: MIT
 * `postern doctor`: PostgreSQL's programs, the private cluster or the database that was named, and its settings. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/log.h"
#include "base/mem.h"
#include "cli/doctor.h"
#include "conf/conf.h"
#include "pg/bindir.h"
#include "pg/migrate.h"
#include "pg/store.h"
#include "pg/sync.h"

enum { CLOCK_SKEW_S = 2, QUEUE_WARN_PERCENT = 25, VALUE_MAX = 64 };

static void check_programs(struct doctor *d, const struct conf *conf)
{
	char dir[BINDIR_SIZE];
	struct buf why;
	buf_init(&why, 4096);
	if (bindir_find(conf->pg_bindir, 0, dir, &why) == ST_OK)
		doctor_report(d, FINDING_OK, "postgresql", NULL, "initdb and postgres are in %s", dir);
	else
		doctor_report(d, FINDING_FAILURE, "postgresql", "apt-get install --no-install-recommends postgresql",
			"%s", why.data);
	buf_release(&why);
}

/* Returns true if there is a private cluster. Doesn't create one. */
static bool has_cluster(const struct conf *conf)
{
	char path[4096];
	struct stat st;
	snprintf(path, sizeof(path), "%s/pg/PG_VERSION", conf->state);
	return stat(path, &st) == 0;
}

static void ask(struct sync *s, const char *call, const char *param, char value[VALUE_MAX])
{
	if (!sync_ask(s, call, param, value, VALUE_MAX))
		*value = '\0';
}

static void check_durability(struct doctor *d, struct sync *s)
{
	static const struct {
		const char *name, *bad, *danger;
		enum finding finding;
	} settings[] = {
		{ "fsync", "off", "a crash of the machine may destroy the database", FINDING_FAILURE },
		{ "full_page_writes", "off", "a crash of the machine may destroy the database", FINDING_FAILURE },
		{ "autovacuum", "off", "the database grows without bound and becomes slow", FINDING_WARNING },
	};
	bool sound = true;
	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
		char value[VALUE_MAX], advice[96];
		ask(s, "select current_setting($1)", settings[i].name, value);
		if (strcmp(value, settings[i].bad) != 0)
			continue;
		sound = false;
		snprintf(
			advice, sizeof(advice), "ALTER SYSTEM SET %s = on; SELECT pg_reload_conf();", settings[i].name);
		doctor_report(d, settings[i].finding, "database", advice, "%s is off: %s", settings[i].name,
			settings[i].danger);
	}
	if (sound)
		doctor_report(
			d, FINDING_OK, "database", NULL, "committed data survives a crash (fsync, full_page_writes)");
}

static void check_size(struct doctor *d, struct sync *s)
{
	char size[VALUE_MAX], usage[VALUE_MAX];
	ask(s, "select pg_size_pretty(pg_database_size(current_database()))", NULL, size);
	ask(s, "select round(100 * pg_notification_queue_usage())", NULL, usage);
	bool filling = atoi(usage) >= QUEUE_WARN_PERCENT;
	doctor_report(d, filling ? FINDING_WARNING : FINDING_OK, "database",
		filling ? "A session listens and stays in a transaction: find it in pg_stat_activity and end it."
			: NULL,
		"%s; the notification queue is %s %% full", size, usage);
}

/* The database's clock gives messages their times; tokens expire by it. */
static void check_skew(struct doctor *d, struct sync *s)
{
	char now[VALUE_MAX];
	ask(s, "select date_part('epoch', clock_timestamp())", NULL, now);
	double skew = *now != '\0' ? strtod(now, NULL) - (double)time(NULL) : 0;
	if (fabs(skew) >= CLOCK_SKEW_S)
		doctor_report(d, FINDING_WARNING, "clock", "Synchronise both by NTP.",
			"the database's clock is %.0f s %s that of this machine", fabs(skew),
			skew > 0 ? "ahead of" : "behind");
}

static void check_migrations(struct doctor *d, const char *conninfo)
{
	char *lines = NULL;
	size_t len = 0;
	struct buf why;
	FILE *f = mem_checked(open_memstream(&lines, &len));
	buf_init(&why, 8192);
	enum status st = migrate_status(conninfo, f, &why);
	fclose(f);
	if (st != ST_OK)
		doctor_report(d, FINDING_FAILURE, "schema", NULL, "%s", buf_text(&why));
	else if (strstr(lines, "pending ") != NULL)
		doctor_report(d, FINDING_OK, "schema", NULL,
			"migrations are pending: the next start, or `postern migrate`, applies them");
	else
		doctor_report(d, FINDING_OK, "schema", NULL, "all migrations are applied");
	buf_release(&why);
	free(lines);
}

/* Checks that it is a standby of that database, and how far it is behind. */
static void check_standby(struct doctor *d, const char *conninfo, const char *system)
{
	char recovering[VALUE_MAX], its[VALUE_MAX], lag[VALUE_MAX];
	struct buf why;
	buf_init(&why, 8192);
	struct sync *s = sync_open_plain(conninfo, &why);
	if (s == NULL) {
		doctor_report(d, FINDING_WARNING, "standby",
			"Until the standby is reachable, the primary answers all reads.", "database_read: %s",
			buf_text(&why));
		buf_release(&why);
		return;
	}
	ask(s, "select pg_is_in_recovery()", NULL, recovering);
	ask(s, "select system_identifier from pg_control_system()", NULL, its);
	ask(s, "select coalesce(round(extract(epoch from clock_timestamp() - pg_last_xact_replay_timestamp())), 0)",
		NULL, lag);
	if (*its != '\0' && strcmp(its, system) != 0)
		doctor_report(d, FINDING_FAILURE, "standby", "Name a standby that streams from the database.",
			"database_read isn't a standby of the database: all its reads go to the primary");
	else if (strcmp(recovering, "t") != 0)
		doctor_report(d, FINDING_WARNING, "standby",
			"Add target_session_attrs=prefer-standby, or name a standby.",
			"database_read is a primary: it doesn't reduce the load of the database");
	else
		doctor_report(d, FINDING_OK, "standby", NULL,
			"database_read is a standby; its last replayed transaction is %s s old", lag);
	sync_close(s);
	buf_release(&why);
}

/* A superuser can run programs and read files as PostgreSQL's user (COPY … PROGRAM), whatever confines the workers. */
static void check_role(struct doctor *d, struct sync *s)
{
	const char *superuser = sync_parameter(s, "is_superuser");
	if (d->conf->database != NULL && superuser != NULL && strcmp(superuser, "on") == 0)
		doctor_report(d, FINDING_WARNING, "database",
			"Use a role without SUPERUSER that may create schemas (GRANT CREATE ON DATABASE).",
			"the role is a superuser: who takes over a worker can run programs on the database's "
			"machine");
}

static void look_inside(struct doctor *d, const struct store *store)
{
	struct buf why;
	buf_init(&why, 8192);
	struct sync *s = sync_open_plain(store->base, &why);
	if (s == NULL) {
		doctor_report(d, FINDING_FAILURE, "database", NULL, "%s", buf_text(&why));
		buf_release(&why);
		return;
	}
	doctor_report(d, FINDING_OK, "database", NULL, "PostgreSQL %s, encoding %s",
		sync_parameter(s, "server_version"), sync_parameter(s, "server_encoding"));
	check_role(d, s);
	check_durability(d, s);
	check_size(d, s);
	check_skew(d, s);
	char system[VALUE_MAX];
	ask(s, "select system_identifier from pg_control_system()", NULL, system);
	if (store->read_conninfo != NULL)
		check_standby(d, store->read_conninfo, system);
	sync_close(s);
	check_migrations(d, store->base);
	buf_release(&why);
}

void doctor_check_database(struct doctor *d)
{
	struct store store = STORE_INIT;
	struct buf why;
	if (d->conf->database == NULL)
		check_programs(d, d->conf);
	if (d->conf->database == NULL && !has_cluster(d->conf)) {
		doctor_report(d, FINDING_OK, "database", NULL,
			"there is no private cluster in %s yet: the first start creates one", d->conf->state);
		return;
	}
	buf_init(&why, 8192);
	log_setup(LOG_WARN, LOG_TEXT, "");
	enum status st = store_become_owner(&store, d->conf, &why);
	if (st == ST_OK)
		st = store_open(&store, d->conf, false, &why);
	if (st == ST_OK)
		look_inside(d, &store);
	else
		doctor_report(d, FINDING_FAILURE, "database",
			d->conf->database != NULL ? "Try `psql` with the same connection string, as the server's user."
						  : "Read postgres.log in the state directory.",
			"%s", buf_text(&why));
	store_release(&store);
	buf_release(&why);
}
