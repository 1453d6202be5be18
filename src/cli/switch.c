/* SPDX-License-Identifier: MIT
 * See switch.h. */
#include "cli/switch.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/secret.h"
#include "pg/cluster.h"

static enum status failed(const char *what, struct buf *why)
{
	buf_addf(why, "%s: %s", what, strerror(errno));
	return ST_SYSTEM;
}

static bool join(char out[PATH_MAX], const char *dir, const char *name)
{
	return snprintf(out, PATH_MAX, "%s/%s", dir, name) < PATH_MAX;
}

enum status switch_begin(const char *state, char aside[PATH_MAX], struct buf *why)
{
	char random[9], name[32];
	secret_random_name(random, sizeof(random) - 1);
	snprintf(name, sizeof(name), "pg.new.%s", random);
	if (!join(aside, state, name)) {
		errno = ENAMETOOLONG;
		return failed(state, why);
	}
	return mkdir(aside, 0700) == 0 ? ST_OK : failed(aside, why);
}

/* Makes the name STATE/pg.old-20260131T120000Z, with a number at its end if that exists already. */
static enum status name_kept(const char *state, const char *prefix, char kept[PATH_MAX], struct buf *why)
{
	char stamp[48], name[128];
	time_t now = time(NULL);
	struct tm tm;
	strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", gmtime_r(&now, &tm));
	for (unsigned i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), i > 0 ? "%s%s.%u" : "%s%s", prefix, stamp, i);
		if (!join(kept, state, name))
			break;
		if (access(kept, F_OK) < 0)
			return ST_OK;
	}
	buf_addf(why, "%s: no unused name for the old cluster was found", state);
	return ST_REFUSED;
}

/* Marks the new cluster, and removes a mark from the old one. After an interruption, the mark tells the next start
 * which of the two was never in use. */
static enum status mark_unused(const char *made, const char *data, struct buf *why)
{
	char mark[PATH_MAX];
	if (join(mark, data, CLUSTER_UNUSED) && unlink(mark) < 0 && errno != ENOENT)
		return failed(mark, why);
	int fd = join(mark, made, CLUSTER_UNUSED) ? open(mark, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600) : -1;
	if (fd < 0)
		return failed(mark, why);
	close(fd);
	return ST_OK;
}

static void unmark(const char *data)
{
	char mark[PATH_MAX];
	if (join(mark, data, CLUSTER_UNUSED))
		unlink(mark);
}

/* For file systems that can't exchange two directories. A start that finds STATE/pg.switching without STATE/pg
 * completes the exchange. */
static enum status exchange_in_steps(int fd, const char *state, const char *data, const char *kept, struct buf *why)
{
	char switching[PATH_MAX];
	if (!join(switching, state, CLUSTER_SWITCHING)) {
		errno = ENAMETOOLONG;
		return failed(state, why);
	}
	if (rename(kept, switching) < 0 || fsync(fd) < 0)
		return failed(switching, why);
	if (rename(data, kept) < 0) {
		enum status st = failed(data, why);
		switch_remove(switching);
		return st;
	}
	return fsync(fd) == 0 && rename(switching, data) == 0 ? ST_OK : failed(switching, why);
}

/* Renames the new cluster to the name for the old one, then exchanges the two: STATE/pg exists at every moment. */
static enum status exchange(
	int fd, const char *state, const char *made, const char *data, const char *kept, struct buf *why)
{
	if (rename(made, kept) < 0)
		return failed(kept, why);
	if (renameat2(AT_FDCWD, kept, AT_FDCWD, data, RENAME_EXCHANGE) == 0)
		return ST_OK;
	if (errno == EINVAL || errno == ENOSYS || errno == EOPNOTSUPP)
		return exchange_in_steps(fd, state, data, kept, why);
	enum status st = failed(data, why);
	switch_remove(kept);
	return st;
}

static enum status put_in(
	const char *state, int fd, const char *made, const char *prefix, char kept[PATH_MAX], struct buf *why)
{
	char data[PATH_MAX];
	enum status st = ST_OK;
	if (!join(data, state, "pg"))
		return failed(state, why);
	bool exists = access(data, F_OK) == 0;
	if (exists &&
		((st = name_kept(state, prefix, kept, why)) != ST_OK || (st = mark_unused(made, data, why)) != ST_OK))
		return st;
	if (syncfs(fd) < 0)
		return failed(state, why);
	if (exists)
		st = exchange(fd, state, made, data, kept, why);
	else if (rename(made, data) < 0)
		st = failed(data, why);
	if (st == ST_OK && fsync(fd) < 0)
		st = failed(state, why);
	if (st == ST_OK)
		unmark(data);
	return st;
}

enum status switch_in_as(const char *state, const char *aside, const char *prefix, char kept[PATH_MAX], struct buf *why)
{
	char made[PATH_MAX];
	int fd = open(state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*kept = '\0';
	if (fd < 0)
		return failed(state, why);
	enum status st = join(made, aside, "pg") ? put_in(state, fd, made, prefix, kept, why) : failed(aside, why);
	close(fd);
	return st;
}

enum status switch_in(const char *state, const char *aside, char kept[PATH_MAX], struct buf *why)
{
	return switch_in_as(state, aside, CLUSTER_OLD, kept, why);
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *where)
{
	(void)st, (void)type, (void)where;
	return remove(path);
}

void switch_remove(const char *dir) { nftw(dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS); }

void switch_each_kept_as(const char *state, const char *prefix, void (*on_kept)(const char *dir, void *arg), void *arg)
{
	char pattern[2 * PATH_MAX];
	glob_t g;
	size_t len = 0;
	for (const char *p = state; *p != '\0' && len < PATH_MAX;
		p++) { /* the name may contain special characters of patterns */
		if (strchr("*?[]\\", *p) != NULL)
			pattern[len++] = '\\';
		pattern[len++] = *p;
	}
	snprintf(pattern + len, sizeof(pattern) - len, "/%s[0-9]*", prefix);
	if (glob(pattern, GLOB_ONLYDIR, NULL, &g) != 0)
		return;
	for (size_t i = 0; i < g.gl_pathc; i++)
		on_kept(g.gl_pathv[i], arg);
	globfree(&g);
}

void switch_each_kept(const char *state, void (*on_kept)(const char *dir, void *arg), void *arg)
{
	switch_each_kept_as(state, CLUSTER_OLD, on_kept, arg);
}
