/* SPDX-License-Identifier: MIT
 * Restores a backup into the private cluster. A new cluster is made beside the one in use, started, migrated and
 * stopped. If all of that has succeeded, it replaces the other one, in one step (switch.h). */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/waiting.h"
#include "cli/archive.h"
#include "cli/restore.h"
#include "cli/switch.h"
#include "cli/unpack.h"
#include "conf/conf.h"
#include "pg/bindir.h"
#include "pg/cluster.h"
#include "pg/cluster_conf.h"
#include "pg/migrate.h"
#include "pg/state.h"
#include "pg/store.h"
#include "pg/sync.h"

/* A server that was killed may have left PostgreSQL running, and unfinished clusters. */
static enum status clean_up(const struct store *s, const struct conf *conf, bool force, struct buf *why)
{
	char data[PATH_MAX];
	snprintf(data, sizeof(data), "%s/pg", s->state);
	if (access(data, F_OK) == 0 && !force) {
		buf_addf(why,
			"there is a database in %s: --force replaces it by that of the backup, and keeps the old "
			"one under another name",
			conf->state);
		return ST_REFUSED;
	}
	struct cluster *c = cluster_new(s->state, conf->pg_bindir, 0, why);
	enum status st = c != NULL ? cluster_clean_up(c, why) : ST_REFUSED;
	cluster_free(c);
	return st;
}

/* Checks the version of PostgreSQL: a base backup needs its own version, and a dump can't be restored into an older
 * one. */
static enum status check_programs(const struct archive *a, const struct conf *conf, struct buf *why)
{
	char dir[BINDIR_SIZE];
	struct buf reason;
	int major = a->manifest.major;
	bool is_base = strcmp(a->manifest.kind, MANIFEST_BASE) == 0;
	buf_init(&reason, 4096);
	enum status st = bindir_find(conf->pg_bindir, is_base ? major : 0, dir, &reason);
	if (st != ST_OK && is_base)
		buf_addf(why,
			"%s: it is a base backup of PostgreSQL %d, whose programs (initdb, postgres) aren't found: "
			"install them, or "
			"set pg_bindir to their directory; only a dump can be restored into another version",
			a->name, major);
	else if (st != ST_OK)
		buf_adds(why, buf_text(&reason));
	else if (!is_base && bindir_version(dir) < major) {
		buf_addf(why,
			"%s: it is a dump of PostgreSQL %d, and the programs that would make the cluster to restore it "
			"into are version "
			"%d (%s): install version %d, or set pg_bindir to its directory",
			a->name, major, bindir_version(dir), dir, major);
		st = ST_REFUSED;
	}
	buf_release(&reason);
	return st;
}

static enum status unpack_base(struct archive *a, const char *aside, struct buf *why)
{
	char data[PATH_MAX];
	if (snprintf(data, sizeof(data), "%s/pg", aside) >= (int)sizeof(data) || mkdir(data, 0700) < 0) {
		buf_addf(why, "%s: %s", data, strerror(errno));
		return ST_SYSTEM;
	}
	struct unpack *u = unpack_new(data, why);
	enum status st = u != NULL ? archive_read(a, MANIFEST_PART_BASE, unpack_add, u, why) : ST_SYSTEM;
	if (st == ST_OK)
		st = unpack_end(u, why);
	unpack_free(u);
	int major = 0;
	if (st == ST_OK && (!cluster_conf_version(data, &major) || major != a->manifest.major)) {
		buf_addf(why, "%s: base.tar in it isn't a cluster of PostgreSQL %d", a->name, a->manifest.major);
		st = ST_INVALID;
	}
	return st;
}

/* Returns ST_OK if it can be read and is the database that the manifest describes. */
static enum status compare(struct archive *a, const char *conninfo, struct buf *why)
{
	char epoch[64];
	struct sync *db = sync_open_plain(conninfo, why);
	if (db == NULL)
		return ST_AWAY;
	bool asked = migrate_meta(db, "epoch", epoch, sizeof(epoch));
	if (!asked)
		buf_addf(why, "checking the restored database: %s", sync_error(db));
	else if (strcmp(epoch, a->manifest.epoch) != 0)
		buf_addf(why, "%s: the database in it isn't the one that its manifest names", a->name);
	sync_close(db);
	return asked && strcmp(epoch, a->manifest.epoch) == 0 ? ST_OK : ST_REFUSED;
}

static enum status fill(struct archive *a, const struct conf *conf, const char *conninfo, struct buf *why)
{
	struct sync *db = sync_open_plain(conninfo, why);
	if (db == NULL)
		return ST_AWAY;
	int major = sync_version(db) / 10000;
	sync_close(db);
	return restore_dump(a, conf, major, conninfo, true, why);
}

/* Makes the new cluster, complete and stopped. Migrates it, so that a backup of a newer version fails here and not at
 * the next start of the server. */
static enum status make(struct store *s, struct archive *a, const struct conf *conf, const char *aside, struct buf *why)
{
	bool is_base = strcmp(a->manifest.kind, MANIFEST_BASE) == 0;
	enum status st = is_base ? unpack_base(a, aside, why) : ST_OK;
	if (st != ST_OK)
		return st;
	struct cluster *c = cluster_new(aside, conf->pg_bindir, 0, why);
	if (c == NULL)
		return ST_REFUSED;
	cluster_log_in(c, s->state);
	st = cluster_start(c, why);
	if (st == ST_OK && !is_base)
		st = fill(a, conf, cluster_conninfo(c), why);
	if (st == ST_OK)
		st = compare(a, cluster_conninfo(c), why);
	if (st == ST_OK)
		st = migrate_run(cluster_conninfo(c), why);
	cluster_stop(c);
	cluster_leave(c);
	cluster_free(c);
	return st;
}

enum status restore_own(
	struct store *s, const struct conf *conf, struct archive *a, bool force, char kept[PATH_MAX], struct buf *why)
{
	char aside[PATH_MAX];
	enum status st = check_programs(a, conf, why);
	if (st == ST_OK)
		st = store_lock(s, conf, false, why);
	if (st == ST_OK)
		st = clean_up(s, conf, force, why);
	if (st == ST_OK)
		st = switch_begin(s->state, aside, why);
	if (st != ST_OK)
		return st;
	st = make(s, a, conf, aside, why);
	if (st == ST_OK)
		st = switch_in(s->state, aside, kept, why);
	switch_remove(aside);
	if (st != ST_OK)
		*kept = '\0';
	return st;
}
