/* SPDX-License-Identifier: MIT
 * `postern upgrade-database`: moves the private cluster to a newer version of PostgreSQL. The new cluster is made
 * beside the one in use, filled by pg_upgrade (pg/upgrade.h), and exchanged for it in one step (switch.h) when it is
 * complete. After an interruption at any point, the state directory has the old cluster or the new one. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/waiting.h"
#include "cli/command.h"
#include "cli/switch.h"
#include "pg/bindir.h"
#include "pg/cluster.h"
#include "pg/cluster_conf.h"
#include "pg/state.h"
#include "pg/store.h"
#include "pg/upgrade.h"

static const char *check_only, *clone, *old_bindir, *remove_old;

const struct conf_option upgrade_options[] = {
	{ "check", NULL, "only check whether the upgrade would work; the database isn't changed", &check_only },
	{ "clone", NULL, "share the files' blocks (reflinks) instead of copying them, if the file system supports it",
		&clone },
	{ "old-bindir", "DIR", "where the programs of the old version are, if they aren't found", &old_bindir },
	{ "remove-old", NULL, "remove the old databases that upgrades have kept", &remove_old },
	{ NULL, NULL, NULL, NULL },
};

/* Prints a line and flushes it, because the next step may take long. */
static void say(const char *text)
{
	puts(text);
	fflush(stdout);
}

/* Returns a name of the state directory that other processes can use as well (state_name()). */
static const char *shown_state(const struct store *s, const struct conf *conf)
{
	return strncmp(s->state, "/proc/", 6) == 0 ? conf->state : s->state;
}

static const char *base_name(const char *path) { return strrchr(path, '/') + 1; }

static unsigned long long mebibytes(uint64_t bytes) { return (unsigned long long)((bytes + (1 << 20) - 1) >> 20); }

/* Stops servers that earlier processes left running, and removes or completes what they left unfinished. */
static enum status clean_up(const struct store *s, struct buf *why)
{
	struct cluster *c = cluster_new(s->state, NULL, 0, why);
	enum status st = c != NULL ? cluster_clean_up(c, why) : ST_REFUSED;
	cluster_free(c);
	return st;
}

/* --- old clusters --- */

struct kept {
	const char *state; /* as it is shown */
	int version;       /* of the cluster in use */
	unsigned count;
	bool remove, failed;
};

/* Considers only what this command has made: a directory with that name and a cluster in it that is older than the one
 * in use. */
static void on_kept(const char *dir, void *arg)
{
	struct kept *k = arg;
	struct stat st;
	int version = 0;
	const char *name = base_name(dir);
	bool is_one = lstat(dir, &st) == 0 && S_ISDIR(st.st_mode) && cluster_conf_version(dir, &version);
	if (!is_one || version >= k->version) {
		if (k->remove && is_one)
			printf("%s/%s has the version PostgreSQL %d, which isn't older than the database in use: "
			       "not removed\n",
				k->state, name, version);
		else if (k->remove)
			printf("%s/%s isn't an old database: not removed\n", k->state, name);
		return;
	}
	k->count++;
	unsigned long long size = mebibytes(upgrade_size(dir));
	if (k->remove)
		switch_remove(dir);
	if (!k->remove)
		printf("the old database of PostgreSQL %d is still in %s/%s (%llu MiB): --remove-old removes it\n",
			version, k->state, name, size);
	else if (lstat(dir, &st) == 0)
		k->failed = true, printf("%s/%s can't be removed entirely\n", k->state, name);
	else
		printf("removed %s/%s (PostgreSQL %d, %llu MiB)\n", k->state, name, version, size);
}

static enum status remove_kept(const struct store *s, const struct conf *conf, struct buf *why)
{
	char data[PATH_MAX];
	struct kept k = { .state = shown_state(s, conf), .remove = true };
	snprintf(data, sizeof(data), "%s/pg", s->state);
	if (!cluster_conf_version(data, &k.version)) {
		buf_addf(why,
			"there is no database cluster in %s/pg: old databases are removed only if there is a new one",
			k.state);
		return ST_REFUSED;
	}
	switch_each_kept_as(s->state, CLUSTER_BEFORE_UPGRADE, on_kept, &k);
	if (k.count == 0)
		say("no old database was kept: nothing to remove");
	if (k.failed)
		buf_adds(why, "not all old databases could be removed");
	return k.failed ? ST_SYSTEM : ST_OK;
}

/* --- the upgrade --- */

static void say_done(const struct upgrade *u, const char *kept, uint64_t size)
{
	char dir[BINDIR_SIZE];
	struct buf ignored;
	printf("PostgreSQL %d is in place.\n"
	       "The old database (PostgreSQL %d, %llu MiB) is kept in %s/%s.\n"
	       "Start the server and check that it works; then `postern upgrade-database --remove-old` removes "
	       "it.\n",
		u->to, u->from, mebibytes(size), u->shown_state, base_name(kept));
	buf_init(&ignored, 4096);
	if (bindir_find(NULL, u->to, dir, &ignored) != ST_OK)
		printf("The server doesn't find PostgreSQL %d by itself: set pg_bindir = %s\n", u->to, u->new_bindir);
	buf_release(&ignored);
}

static enum status put_in_place(struct upgrade *u, char kept[PATH_MAX], struct buf *why)
{
	char prefix[64];
	snprintf(prefix, sizeof(prefix), "%s%d-", CLUSTER_BEFORE_UPGRADE, u->from);
	say("step: putting the new database in place");
	return switch_in_as(u->state, u->aside, prefix, kept, why);
}

/* Makes the new cluster: everything up to the exchange. */
static enum status make(struct upgrade *u, struct buf *why)
{
	say("step: looking at the old database");
	enum status st = upgrade_prepare(u, why);
	if (st != ST_OK)
		return st;
	say("step: making the new database");
	if ((st = upgrade_make(u, why)) != ST_OK)
		return st;
	say("step: checking whether the old one can be moved");
	if ((st = upgrade_check(u, why)) != ST_OK || check_only != NULL)
		return st;
	say(u->clone ? "step: cloning" : "step: copying");
	if ((st = upgrade_transfer(u, why)) != ST_OK)
		return st;
	say("step: collecting statistics");
	return upgrade_analyze(u, why);
}

static enum status carry_out(struct store *s, struct upgrade *u, struct buf *why)
{
	char aside[PATH_MAX], kept[PATH_MAX] = "", data[PATH_MAX];
	int version;
	snprintf(data, sizeof(data), "%s/pg", u->state);
	uint64_t size = upgrade_size(data);
	enum status st = upgrade_check_space(u, size, why);
	if (st == ST_OK)
		st = switch_begin(s->state, aside, why);
	if (st != ST_OK)
		return st;
	u->aside = aside;
	printf("%s/pg: PostgreSQL %d (%s) to %d (%s), %llu MiB\n", u->shown_state, u->from, u->old_bindir, u->to,
		u->new_bindir, mebibytes(size));
	st = make(u, why);
	upgrade_end(u);
	if (st == ST_OK && check_only == NULL)
		st = put_in_place(u, kept, why);
	switch_remove(aside);
	if (st == ST_OK && check_only == NULL)
		say_done(u, kept, size);
	else if (st == ST_OK)
		printf("nothing stands in the way of an upgrade to PostgreSQL %d\n", u->to);
	else if (cluster_conf_version(data, &version) && version == u->from)
		buf_addf(why, "\nThe database is unchanged, PostgreSQL %d.", u->from);
	return st;
}

static enum status upgrade(struct store *s, const struct conf *conf, struct buf *why)
{
	struct upgrade u = { .state = s->state, .shown_state = shown_state(s, conf), .clone = clone != NULL };
	enum status st = upgrade_plan(&u, old_bindir, conf->pg_bindir, why);
	if (st != ST_OK)
		return st;
	if (u.to != u.from)
		return carry_out(s, &u, why);
	printf("nothing to do: the database is PostgreSQL %d, and that is %s (%s)\n", u.from,
		conf->pg_bindir != NULL ? "what pg_bindir names" : "the newest supported one that is installed",
		u.new_bindir);
	if (conf->pg_bindir != NULL)
		puts("for an upgrade, name the new version's programs with --pg-bindir DIR");
	switch_each_kept_as(s->state, CLUSTER_BEFORE_UPGRADE, on_kept,
		&(struct kept) { .state = u.shown_state, .version = u.from });
	return ST_OK;
}

static enum status begin(struct store *s, const struct conf *conf, struct buf *why)
{
	sigset_t stops;
	if (conf->database != NULL) {
		buf_adds(why,
			"the database is on another server (--database): upgrade it with PostgreSQL's tools. This "
			"command is for the private one in the state directory");
		return ST_REFUSED;
	}
	if (access(conf->state, F_OK) < 0) { /* otherwise it would be created */
		buf_addf(why, "%s: %s: no database to upgrade; another state directory: --state", conf->state,
			strerror(errno));
		return ST_REFUSED;
	}
	sigemptyset(&stops); /* blocked signals end waits, so that unfinished files are removed */
	sigaddset(&stops, SIGTERM);
	sigaddset(&stops, SIGINT);
	sigprocmask(SIG_BLOCK, &stops, NULL);
	enum status st = store_become_owner(s, conf, why);
	if (st == ST_OK)
		st = store_lock(s, conf, remove_old != NULL, why);
	return st == ST_OK && s->lock_fd >= 0 ? clean_up(s, why) : st;
}

int upgrade_command(const struct command *self, const struct conf *conf, const struct conf_args *args)
{
	struct store s = STORE_INIT;
	struct buf why;
	int code = 0;
	if (args->operand_count > 0 ||
		(remove_old != NULL && (check_only != NULL || clone != NULL || old_bindir != NULL)))
		return command_misused(self);
	umask(0077);
	log_setup(conf->log_level == LOG_INFO ? LOG_WARN : conf->log_level, conf->log_format, "");
	buf_init(&why, 16384);
	enum status st = begin(&s, conf, &why);
	if (st == ST_OK)
		st = remove_old != NULL ? remove_kept(&s, conf, &why) : upgrade(&s, conf, &why);
	if (st != ST_OK) {
		fflush(stdout);
		code = command_failed("%s", buf_text(&why));
	}
	store_release(&s);
	buf_release(&why);
	return code;
}
