/* SPDX-License-Identifier: MIT
 * See upgrade.h: what is to be upgraded, between which versions, and whether there is enough space. */
#include <errno.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "pg/cluster_conf.h"
#include "pg/upgrade.h"
#include "pg/version.h"

#define MIB(n) ((uint64_t)(n) << 20)

/* The programs of either version that pg_upgrade or Postern runs. */
static const char *const old_programs[] = { "postgres", "pg_ctl", "pg_controldata", "pg_resetwal", NULL };
static const char *const new_programs[] = { "initdb", "postgres", "pg_upgrade", "pg_ctl", "pg_controldata",
	"pg_resetwal", "pg_dump", "pg_dumpall", "pg_restore", "psql", "vacuumdb", NULL };

static enum status check_programs(int major, const char *dir, const char *const *programs, struct buf *why)
{
	char path[BINDIR_PROGRAM_SIZE];
	enum status st = ST_OK;
	for (; *programs != NULL; programs++) {
		snprintf(path, sizeof(path), "%s/%s", dir, *programs);
		if (access(path, X_OK) == 0)
			continue;
		if (st == ST_OK)
			buf_addf(why, "PostgreSQL %d in %s isn't complete: an upgrade also needs %s", major, dir,
				*programs);
		else
			buf_addf(why, ", %s", *programs);
		st = ST_REFUSED;
	}
	if (st != ST_OK)
		buf_addf(why, ": install the complete version (Debian: apt-get install postgresql-%d)", major);
	return st;
}

static enum status find_old(struct upgrade *u, const char *named, const char *pg_bindir, struct buf *why)
{
	int version = named != NULL ? bindir_version(named) : 0;
	if (named != NULL && version != u->from) {
		buf_addf(why, "--old-bindir %s: ", named);
		if (version == 0)
			buf_adds(why, "there are no initdb and postgres that run; it is an absolute name");
		else
			buf_addf(why, "that is PostgreSQL %d, and the data in the state directory are version %d's",
				version, u->from);
		return ST_REFUSED;
	}
	struct buf ignored;
	buf_init(&ignored, 4096);
	bool found = named != NULL || bindir_find(NULL, u->from, u->old_bindir, &ignored) == ST_OK;
	buf_release(&ignored);
	if (named != NULL)
		snprintf(u->old_bindir, sizeof(u->old_bindir), "%s", named);
	else if (!found && pg_bindir != NULL && bindir_version(pg_bindir) == u->from) {
		snprintf(u->old_bindir, sizeof(u->old_bindir), "%s", pg_bindir);
		found = true;
	}
	if (found)
		return check_programs(u->from, u->old_bindir, old_programs, why);
	buf_addf(why,
		"the data in the state directory are PostgreSQL %d's, and an upgrade needs its programs, too, which "
		"aren't "
		"found: install them for as long as it takes (Debian: apt-get install postgresql-%d), or say where "
		"they are "
		"with --old-bindir",
		u->from, u->from);
	return ST_REFUSED;
}

static enum status find_new(struct upgrade *u, const char *pg_bindir, struct buf *why)
{
	if (pg_bindir == NULL && (u->to = bindir_newest(u->new_bindir)) == 0) {
		buf_addf(why,
			"no PostgreSQL of version %d to %d is found: install one (Debian: apt-get install "
			"postgresql-%d), or "
			"say where it is with --pg-bindir",
			VERSION_MAJOR_MIN, VERSION_MAJOR_TESTED, VERSION_MAJOR_TESTED);
		return ST_REFUSED;
	}
	if (pg_bindir == NULL)
		return ST_OK;
	snprintf(u->new_bindir, sizeof(u->new_bindir), "%s", pg_bindir);
	u->to = bindir_version(pg_bindir);
	if (u->to == 0)
		buf_addf(why,
			"pg_bindir %s: there are no initdb and postgres that run; it is an absolute name such as "
			"/usr/lib/postgresql/%d/bin",
			pg_bindir, VERSION_MAJOR_TESTED);
	else if (u->to > VERSION_MAJOR_TESTED || u->to < VERSION_MAJOR_MIN)
		buf_addf(why,
			"pg_bindir %s is PostgreSQL %d: this version of Postern upgrades to PostgreSQL %d to %d; "
			"install one "
			"of those (Debian: apt-get install postgresql-%d)",
			pg_bindir, u->to, VERSION_MAJOR_MIN, VERSION_MAJOR_TESTED, VERSION_MAJOR_TESTED);
	else
		return ST_OK;
	return ST_REFUSED;
}

enum status upgrade_plan(struct upgrade *u, const char *old_bindir, const char *pg_bindir, struct buf *why)
{
	char data[PATH_MAX];
	snprintf(data, sizeof(data), "%s/pg", u->state);
	if (!cluster_conf_version(data, &u->from)) {
		buf_addf(why,
			"there is no database cluster in %s: nothing to upgrade; another state directory: --state",
			u->shown_state);
		return ST_REFUSED;
	}
	enum status st = find_new(u, pg_bindir, why);
	if (st != ST_OK || u->to == u->from)
		return st;
	if (u->to < u->from) {
		buf_addf(why,
			"the data in the state directory are PostgreSQL %d's, and %s version %d (%s), which is older: "
			"install "
			"a newer one, or say where it is with --pg-bindir",
			u->from, pg_bindir != NULL ? "pg_bindir is" : "the newest that is found is", u->to,
			u->new_bindir);
		return ST_REFUSED;
	}
	st = check_programs(u->to, u->new_bindir, new_programs, why);
	return st == ST_OK ? find_old(u, old_bindir, pg_bindir, why) : st;
}

static uint64_t summed; /* nftw() passes no argument to its callback */

static int add_size(const char *path, const struct stat *st, int type, struct FTW *where)
{
	(void)path, (void)where;
	if (type == FTW_F && S_ISREG(st->st_mode))
		summed += (uint64_t)st->st_size;
	return 0;
}

uint64_t upgrade_size(const char *dir)
{
	summed = 0;
	nftw(dir, add_size, 16, FTW_PHYS);
	return summed;
}

enum status upgrade_check_space(const struct upgrade *u, uint64_t size, struct buf *why)
{
	struct statvfs fs;
	if (statvfs(u->state, &fs) < 0) {
		buf_addf(why, "%s: %s", u->state, strerror(errno));
		return ST_SYSTEM;
	}
	uint64_t available = (uint64_t)fs.f_bavail * fs.f_frsize;
	uint64_t needed = (u->clone ? size / 10 : size + size / 10) + MIB(64); /* an empty cluster is half of that */
	if (available >= needed)
		return ST_OK;
	buf_addf(why,
		"%s: not enough space: the new cluster needs %llu MiB beside the old one, and %llu MiB are free: make "
		"room%s",
		u->shown_state, (unsigned long long)(needed / MIB(1)), (unsigned long long)(available / MIB(1)),
		u->clone ? "" : ", or use --clone where the file system can (XFS, Btrfs)");
	return ST_REFUSED;
}
