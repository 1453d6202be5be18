/* SPDX-License-Identifier: MIT
 * `postern restore`: replaces the database by a backup's. The whole file is read and checked before anything is
 * changed. */
#include "cli/restore.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/waiting.h"
#include "cli/archive.h"
#include "cli/command.h"
#include "cli/database.h"
#include "pg/sync.h"
#include "pg/tool.h"

static const char *force;

const struct conf_option restore_options[] = {
	{ "force", NULL, "replace an existing database, which is kept under another name", &force },
	{ NULL, NULL, NULL, NULL },
};

/* An archive_sink: arg is the descriptor, which doesn't block. The program may end before it has read everything: its
 * exit status tells whether it succeeded. */
static enum status feed(void *arg, const void *data, size_t len, struct buf *why)
{
	const int *fd = arg;
	for (const char *p = data; len > 0;) {
		ssize_t n = write(*fd, p, len);
		if (n < 0 && errno == EPIPE)
			return ST_AWAY;
		if (n < 0 && errno == EAGAIN && !waiting_for("pg_restore", *fd, POLLOUT)) {
			buf_adds(why, "stopped by a signal while pg_restore was running");
			return ST_REFUSED;
		}
		if (n < 0 && errno != EAGAIN && errno != EINTR) {
			buf_addf(why, "writing to pg_restore: %s", strerror(errno));
			return ST_SYSTEM;
		}
		if (n > 0) {
			p += n;
			len -= (size_t)n;
		}
	}
	return ST_OK;
}

static enum status run_restore(struct archive *a, struct tool *t, struct buf *why)
{
	int in[2];
	if (pipe2(in, O_CLOEXEC) < 0) {
		buf_addf(why, "pipe: %s", strerror(errno));
		return ST_SYSTEM;
	}
	fcntl(in[1], F_SETFL, O_NONBLOCK);
	enum status st = tool_start(t, in[0], -1, why);
	close(in[0]);
	if (st == ST_OK) {
		st = archive_read(a, MANIFEST_PART_DUMP, feed, &in[1], why);
		if (st != ST_OK && st != ST_AWAY)
			program_kill(&t->program);
	}
	close(in[1]);
	return st == ST_OK || st == ST_AWAY ? tool_wait(t, why) : st;
}

enum status restore_dump(
	struct archive *a, const struct conf *conf, int major, const char *conninfo, bool own, struct buf *why)
{
	static const char *const args[] = { "--single-transaction", "--exit-on-error", "--no-owner",
		"--no-privileges" };
	struct tool t;
	if (a->manifest.major > major) {
		buf_addf(why,
			"%s: it is a dump of PostgreSQL %d, and the database to restore it into is version %d: use %d "
			"or newer",
			a->name, a->manifest.major, major, a->manifest.major);
		return ST_REFUSED;
	}
	enum status st = tool_init(&t, "pg_restore", conf->pg_bindir, major, conninfo, own, why);
	for (size_t i = 0; st == ST_OK && i < sizeof(args) / sizeof(args[0]); i++)
		tool_add(&t, args[i]);
	if (st == ST_OK)
		st = run_restore(a, &t, why);
	tool_release(&t);
	return st;
}

enum status restore_other(struct store *s, const struct conf *conf, struct archive *a, struct buf *why)
{
	char found[256];
	struct sync *db = sync_open_plain(s->conninfo, why);
	if (db == NULL)
		return ST_AWAY;
	int major = sync_version(db) / 10000;
	bool asked =
		sync_ask(db, "select string_agg(nspname, ', ' order by nspname) from pg_namespace where nspname ~ $1",
			"^postern(_[0-9a-f]{12})?$", found, sizeof(found));
	if (!asked)
		buf_addf(why, "checking the database: %s", sync_error(db));
	else if (*found != '\0')
		buf_addf(why,
			"the database has Postern's schemas already (%s): restore into an empty one (createdb -E UTF8 "
			"-T template0)",
			found);
	sync_close(db);
	return asked && *found == '\0' ? restore_dump(a, conf, major, s->conninfo, false, why) : ST_REFUSED;
}

/* Refuses a backup that this version can't restore at all, or can't restore to the configured database. */
static enum status check_restorable(const struct archive *a, const struct conf *conf, struct buf *why)
{
	const struct manifest *m = &a->manifest;
	bool is_base = strcmp(m->kind, MANIFEST_BASE) == 0;
	const char *part = is_base ? MANIFEST_PART_BASE : MANIFEST_PART_DUMP;
	buf_addf(why, "%s: ", a->name);
	if (!is_base && strcmp(m->kind, MANIFEST_DUMP) != 0)
		buf_addf(why,
			"it is a backup of the kind `%s`, which this version of Postern doesn't know: use the version "
			"that wrote it (%s), or a newer one",
			m->kind, m->version);
	else if (m->part_count != 1 || strcmp(m->parts[0].name, part) != 0)
		buf_addf(why,
			"it has a part `%s`, which this version of Postern doesn't know: use the version that wrote it "
			"(%s), or a newer one",
			m->parts[m->part_count > 1 && strcmp(m->parts[0].name, part) == 0].name, m->version);
	else if (is_base && conf->database != NULL)
		buf_adds(why,
			"a base backup is a whole cluster and can't be restored into a database: restore it without "
			"--database, or make a dump (postern backup --kind=dump)");
	else if (is_base && !m->is_private)
		buf_adds(why,
			"it is a base backup of a cluster that isn't a private one: extract base.tar from it (tar -xf) "
			"and restore that as PostgreSQL's manual says");
	else {
		buf_reset(why);
		return ST_OK;
	}
	return ST_REFUSED;
}

/* Opened before root's privileges are dropped. */
static int open_file(const char *path, struct archive *a, struct buf *why)
{
	int fd = open(path, O_RDONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		buf_addf(why, "%s: %s", path, strerror(errno));
	else if (archive_open(a, fd, path, why) == ST_OK)
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

/* From now on every wait notices SIGTERM and SIGINT, so that an unfinished restore can be undone. */
static void hold_signals(void)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
}

static int restore(struct archive *a, const struct conf *conf, struct buf *why)
{
	struct database d;
	char kept[PATH_MAX] = "";
	int code = database_begin(&d, conf);
	enum status st = ST_OK;
	bool own = conf->database == NULL;
	if (code == 0 && own)
		st = restore_own(&d.store, conf, a, force != NULL, kept, why);
	else if (code == 0 && (code = database_find(&d, conf)) == 0)
		st = restore_other(&d.store, conf, a, why);
	if (st != ST_OK)
		code = command_failed("%s", buf_text(why));
	database_close(&d);
	if (code == 0)
		printf("restored the %s of %s from %s\n",
			strcmp(a->manifest.kind, MANIFEST_BASE) == 0 ? "base backup" : "dump", a->manifest.made_at,
			a->name);
	if (*kept != '\0')
		printf("the old database is kept in %s\n", kept);
	return code;
}

int restore_command(const struct command *self, const struct conf *conf, const struct conf_args *args)
{
	struct archive a;
	struct buf why;
	if (args->operand_count != 1)
		return command_misused(self);
	buf_init(&why, 8192);
	hold_signals();
	int code = EXIT_FAILURE, fd = open_file(args->operands[0], &a, &why);
	if (fd < 0 || check_restorable(&a, conf, &why) != ST_OK)
		command_failed("%s", buf_text(&why));
	else
		code = restore(&a, conf, &why);
	if (fd >= 0)
		close(fd);
	buf_release(&why);
	return code;
}
