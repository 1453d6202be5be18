/* SPDX-License-Identifier: MIT
 * `postern backup`: writes the database to one file, for `postern restore`. It changes nothing in the database and
 * applies no migrations, so that a backup made before an upgrade has the old state. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/build.h"
#include "base/clock.h"
#include "base/secret.h"
#include "cli/archive.h"
#include "cli/command.h"
#include "cli/database.h"
#include "cli/outfile.h"
#include "pg/cluster_conf.h"
#include "pg/migrate.h"
#include "pg/sync.h"
#include "pg/tool.h"

static const char *kind, *force;

const struct conf_option backup_options[] = {
	{ "kind", "KIND", "dump (by pg_dump) or base (a copy of the whole cluster by pg_basebackup) [dump]", &kind },
	{ "force", NULL, "replace FILE if it exists", &force },
	{ NULL, NULL, NULL, NULL },
};

struct job {
	const struct conf *conf;
	const char *path;
	bool is_base;
	struct database d;
	struct archive archive;
	struct buf why;
};

static enum status refused(struct job *j, const char *what)
{
	buf_addf(&j->why, "%s: %s", what, sync_error(j->d.db));
	return ST_REFUSED;
}

/* Fills the manifest, except for the parts. */
static enum status fill_manifest(struct job *j)
{
	struct manifest *m = &j->archive.manifest;
	if (!migrate_meta(j->d.db, "epoch", m->epoch, sizeof(m->epoch)))
		return refused(j, "reading the database's identity");
	if (*m->epoch == '\0') {
		buf_adds(&j->why, "this database has no data of Postern");
		return ST_REFUSED;
	}
	/* Not every database provider lets its users read it. */
	if (!sync_ask(j->d.db, "select system_identifier from pg_control_system()", NULL, m->system_identifier,
		    sizeof(m->system_identifier)))
		m->system_identifier[0] = '\0';
	m->is_private = j->d.store.state != NULL;
	m->major = sync_version(j->d.db) / 10000;
	snprintf(m->server_version, sizeof(m->server_version), "%s", sync_parameter(j->d.db, "server_version"));
	snprintf(m->kind, sizeof(m->kind), "%s", j->is_base ? MANIFEST_BASE : MANIFEST_DUMP);
	snprintf(m->version, sizeof(m->version), "%s", build_version);
	snprintf(m->build, sizeof(m->build), "%s", build_commit);
	clock_rfc3339(clock_real_us(), m->made_at);
	return ST_OK;
}

/* Keeps the WAL that the copy needs, as long as this connection lives. */
static enum status hold_wal(struct job *j)
{
	char name[32] = "postern_backup_";
	size_t len = strlen(name);
	secret_random_name(name + len, 8);
	struct sync_rows *r = sync_call(
		j->d.db, "select slot_name from pg_create_physical_replication_slot($1, true, true)", name, SYNC_END);
	sync_rows_free(r);
	if (r != NULL)
		return ST_OK;
	buf_addf(&j->why,
		"a base backup needs a role with the attribute replication and a free replication slot: %s; grant it "
		"(alter role … replication), or make a dump (--kind=dump)",
		sync_error(j->d.db));
	return ST_REFUSED;
}

static void add_arguments(struct job *j, struct tool *t)
{
	if (j->is_base) {
		static const char *const args[] = { "-D", "-", "-F", "t", "-X", "fetch", "-c", "fast" };
		for (size_t i = 0; i < sizeof(args) / sizeof(args[0]); i++)
			tool_add(t, args[i]);
		return;
	}
	tool_add(t, "-Fc");
	tool_add(t, "--no-unlogged-table-data"); /* presence and other passing state */
	if (j->d.store.state != NULL)
		return;
	/* An external database may have other schemas, which this role may not be allowed to read. */
	tool_add(t, "--schema=postern");
	tool_add(t, "--schema=postern_????????????");
	char found[8] = "";
	if (sync_ask(j->d.db, "select 't' from pg_extension where extname = $1", "pg_trgm", found, sizeof(found)) &&
		*found == 't')
		tool_add(t, "--extension=pg_trgm");
}

/* Stores the program's output as the part. */
static enum status copy_output(struct job *j, struct tool *t)
{
	int out[2];
	if (pipe2(out, O_CLOEXEC) < 0) {
		buf_addf(&j->why, "pipe: %s", strerror(errno));
		return ST_SYSTEM;
	}
	enum status st = tool_start(t, -1, out[1], &j->why);
	close(out[1]);
	if (st == ST_OK && (st = archive_write_from(&j->archive, out[0], &j->why)) != ST_OK)
		program_kill(&t->program);
	else if (st == ST_OK)
		st = tool_wait(t, &j->why);
	close(out[0]);
	return st;
}

static enum status write_archive(struct job *j)
{
	struct tool t;
	enum status st = j->is_base ? hold_wal(j) : ST_OK;
	if (st != ST_OK)
		return st;
	st = tool_init(&t, j->is_base ? "pg_basebackup" : "pg_dump", j->conf->pg_bindir, j->archive.manifest.major,
		j->d.store.conninfo, j->d.store.state != NULL, &j->why);
	if (st == ST_OK && !j->is_base && t.major != j->archive.manifest.major) {
		buf_addf(&j->why,
			"the database is PostgreSQL %d, and only a newer pg_dump is installed (%s): its dump can't be "
			"restored into version %d. Install that of the same version (Debian: postgresql-client-%d)",
			j->archive.manifest.major, t.path, j->archive.manifest.major, j->archive.manifest.major);
		st = ST_REFUSED;
	}
	if (st == ST_OK) {
		add_arguments(j, &t);
		st = archive_begin_part(&j->archive, j->is_base ? MANIFEST_PART_BASE : MANIFEST_PART_DUMP, &j->why);
	}
	if (st == ST_OK)
		st = copy_output(j, &t);
	if (st == ST_OK)
		st = archive_end_part(&j->archive, &j->why);
	tool_release(&t);
	return st == ST_OK ? archive_end(&j->archive, &j->why) : st;
}

/* Opens the database, which must exist: a backup doesn't create a cluster. */
static int open_existing(struct job *j)
{
	char data[PATH_MAX];
	int major;
	if (j->conf->database == NULL && access(j->conf->state, F_OK) < 0 && errno == ENOENT)
		return command_failed("%s: there is no database to back up", j->conf->state);
	int code = database_begin(&j->d, j->conf);
	prctl(PR_SET_PDEATHSIG, SIGTERM); /* changing the user has cleared it */
	if (code != 0)
		return code;
	if (j->d.store.state != NULL) {
		snprintf(data, sizeof(data), "%s/pg", j->d.store.state);
		if (!cluster_conf_version(data, &major))
			return command_failed("%s: there is no database to back up", j->conf->state);
	}
	return database_find(&j->d, j->conf);
}

static int work(int fd, void *arg)
{
	struct job *j = arg;
	buf_init(&j->why, 8192);
	signal(SIGXFSZ, SIG_IGN); /* a file size limit is then an error like a full disk */
	archive_begin(&j->archive, fd, j->path);
	int code = open_existing(j);
	enum status st = ST_OK;
	if (code == 0 && (j->d.db = sync_open_plain(j->d.store.conninfo, &j->why)) == NULL)
		st = ST_AWAY;
	if (code == 0 && st == ST_OK)
		st = fill_manifest(j);
	if (code == 0 && st == ST_OK)
		st = write_archive(j);
	if (st != ST_OK)
		code = command_failed("%s", buf_text(&j->why));
	database_close(&j->d);
	buf_release(&j->why);
	return code;
}

int backup_command(const struct command *self, const struct conf *conf, const struct conf_args *args)
{
	struct job j = { .conf = conf, .path = args->operand_count == 1 ? args->operands[0] : "" };
	off_t size = 0;
	if (args->operand_count != 1)
		return command_misused(self);
	if (kind != NULL && strcmp(kind, MANIFEST_DUMP) != 0 && strcmp(kind, MANIFEST_BASE) != 0) {
		command_failed("--kind: %s: expected dump or base", kind);
		return CONF_EXIT_USAGE;
	}
	if (strcmp(j.path, "-") == 0) {
		command_failed("-: a backup is written to a file (its sizes and checksums are filled in at the end)");
		return CONF_EXIT_USAGE;
	}
	j.is_base = kind != NULL && strcmp(kind, MANIFEST_BASE) == 0;
	int code = outfile_write(j.path, force != NULL, work, &j, &size);
	if (code == 0)
		printf("%s: %s of %lld bytes\n", j.path, j.is_base ? "base backup" : "dump", (long long)size);
	return code;
}
