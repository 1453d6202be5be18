/* SPDX-License-Identifier: MIT
 * See store.h. */
#include "pg/store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/identity.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/waiting.h"
#include "conf/conf.h"
#include "pg/check.h"
#include "pg/cluster.h"
#include "pg/migrate.h"
#include "pg/passfile.h"
#include "pg/state.h"
#include "pg/sync.h"

enum { STEP_MS = 50, WAIT_MS = 60000, COMMAND_WAIT_MS = 10000 };

enum status store_become_owner(struct store *s, const struct conf *conf, struct buf *why)
{
	struct identity owner = { 0 };
	*s = (struct store)STORE_INIT;
	if (geteuid() == 0 && state_owner(conf->state, conf->user, &owner, why) != ST_OK)
		return ST_REFUSED;
	if (conf->database == NULL && (s->state_fd = state_make(conf->state, &owner, why)) < 0)
		return ST_REFUSED;
	bool is_root = geteuid() == 0 && conf->database != NULL;
	int passfile = is_root ? passfile_open(conf->database) : -1;
	int read_passfile = is_root && conf->database_read != NULL ? passfile_open(conf->database_read) : -1;
	if (geteuid() == 0 && identity_become(&owner) != ST_OK) {
		buf_addf(why, "becoming %s: %s", owner.name, strerror(errno));
		return ST_SYSTEM;
	}
	if (passfile >= 0)
		s->base = passfile_keep(conf->database, passfile);
	if (read_passfile >= 0)
		s->read_base = passfile_keep(conf->database_read, read_passfile);
	if (conf->database == NULL && (s->state = state_name(conf->state, s->state_fd, why)) == NULL)
		return ST_REFUSED;
	return ST_OK;
}

/* Returns true if the server accepts connections to the database. */
static bool answers(const char *conninfo, struct buf *why)
{
	buf_reset(why);
	struct sync *db = sync_open_plain(conninfo, why);
	sync_close(db);
	return db != NULL;
}

/* Locks the state directory: then the cluster is this process's to start. STATE_SERVER: a server holds the lock, and
 * its database answers. */
static enum state_holder acquire_state(struct store *s, const char *shown, bool as_server, struct buf *why)
{
	struct buf reason;
	buf_init(&reason, 4096);
	enum state_holder holder;
	long pid = 0;
	for (unsigned ms = 0;; ms += STEP_MS) {
		holder = state_lock(s->state, as_server, &s->lock_fd, &pid, why);
		if (holder == STATE_FREE || holder == STATE_ERROR ||
			(holder == STATE_SERVER && (as_server || answers(cluster_conninfo(s->cluster), &reason))))
			break;
		if (ms >= WAIT_MS) {
			if (holder == STATE_SERVER)
				buf_addf(why, "process %ld is using %s, and its database doesn't answer%s%s", pid,
					shown, reason.len > 0 ? ": " : "", reason.len > 0 ? reason.data : "");
			else
				buf_addf(why,
					"another command (process %ld) has been using %s for a minute: wait for its "
					"end",
					pid, shown);
			holder = STATE_ERROR;
			break;
		}
		if (!waiting_pause("the state directory's lock", STEP_MS)) {
			buf_addf(why, "stopped by a signal while process %ld is using %s", pid, shown);
			holder = STATE_ERROR;
			break;
		}
	}
	if (holder == STATE_SERVER && as_server) {
		buf_addf(why, "another postern serve is using %s (process %ld)", shown, pid);
		holder = STATE_ERROR;
	}
	buf_release(&reason);
	return holder;
}

static unsigned connections_of(const struct conf *conf) { return conf->workers * STORE_WORKER_CONNECTIONS; }

static enum status open_own(struct store *s, const struct conf *conf, bool as_server, struct buf *why)
{
	s->cluster = cluster_new(s->state, conf->pg_bindir, as_server ? connections_of(conf) : 0, why);
	if (s->cluster == NULL)
		return ST_REFUSED;
	s->base = mem_strdup(cluster_conninfo(s->cluster));
	switch (acquire_state(s, conf->state, as_server, why)) {
	case STATE_FREE: return cluster_start(s->cluster, why);
	case STATE_SERVER:
		cluster_free(s->cluster);
		s->cluster = NULL;
		return ST_OK;
	default: return ST_REFUSED;
	}
}

/* Owns base from now on; if it is NULL, conf's value (given) is used. Returns NULL if that is malformed. */
static char *with_password(char *base, const char *given, const struct conf *conf, struct buf *why)
{
	const char *const defaults[] = { "password", conf->database_password, NULL };
	char *result = conf->database_password == NULL ? mem_strdup(base != NULL ? base : given)
						       : sync_conninfo(base != NULL ? base : given, defaults, why);
	free(base);
	return result;
}

static bool open_standby(struct store *s, const struct conf *conf, struct buf *why)
{
	if (conf->database_read == NULL || conf->database == NULL)
		return true;
	s->read_base = with_password(s->read_base, conf->database_read, conf, why);
	s->read_conninfo = s->read_base != NULL ? migrate_conninfo(s->read_base, "any", why) : NULL;
	return s->read_conninfo != NULL;
}

enum status store_open(struct store *s, const struct conf *conf, bool as_server, struct buf *why)
{
	uint64_t start = clock_mono_ms();
	enum status st;
	if (conf->database != NULL) {
		if ((s->base = with_password(s->base, conf->database, conf, why)) == NULL)
			return ST_REFUSED;
		st = check_database(s->base, as_server ? WAIT_MS : 0, as_server ? connections_of(conf) : 1, why);
	} else
		st = open_own(s, conf, as_server, why);
	if (st == ST_OK && s->base != NULL)
		s->conninfo = migrate_conninfo(s->base, "read-write", why);
	if (st == ST_OK && (s->conninfo == NULL || !open_standby(s, conf, why)))
		return ST_REFUSED;
	if (st == ST_OK && s->cluster != NULL)
		log_debug("the database was up after %llu ms", (unsigned long long)(clock_mono_ms() - start));
	return st;
}

enum status store_lock(struct store *s, const struct conf *conf, bool beside_server, struct buf *why)
{
	long pid = 0;
	for (uint64_t until = clock_mono_ms() + COMMAND_WAIT_MS;;) {
		enum state_holder holder = state_lock(s->state, false, &s->lock_fd, &pid, why);
		if (holder == STATE_FREE || (holder == STATE_SERVER && beside_server))
			return ST_OK;
		if (holder == STATE_ERROR)
			return ST_SYSTEM;
		if (holder == STATE_SERVER)
			buf_addf(why, "a server is using %s (process %ld): stop it first", conf->state, pid);
		else if (clock_mono_ms() >= until)
			buf_addf(why, "another command is using %s (process %ld)", conf->state, pid);
		else if (!waiting_pause("the state directory's lock", STEP_MS))
			buf_addf(why, "stopped by a signal while process %ld is using %s", pid, conf->state);
		else
			continue;
		return ST_REFUSED;
	}
}

enum status store_migrate(struct store *s, struct buf *why)
{
	char schema[MIGRATE_SCHEMA_SIZE];
	enum status st = migrate_run(s->base, why);
	migrate_functions_schema(schema);
	if (st == ST_OK && s->state == NULL)
		st = check_session(s->conninfo, schema, why);
	return st;
}

void store_inherit(struct store *s, pid_t parent)
{
	char link[40];
	snprintf(link, sizeof(link), "/proc/%ld/", (long)parent);
	state_unlock(s->lock_fd);
	s->lock_fd = -1;
	char *found = s->conninfo != NULL && s->state != NULL && strncmp(s->state, link, strlen(link)) == 0
		? strstr(s->conninfo, link)
		: NULL;
	if (found == NULL && s->state_fd >= 0) {
		close(s->state_fd);
		s->state_fd = -1;
	}
	if (found == NULL)
		return;
	char *renamed = mem_format("%.*s/proc/self/%s", (int)(found - s->conninfo), s->conninfo, found + strlen(link));
	free(s->conninfo);
	s->conninfo = renamed;
}

void store_release(struct store *s)
{
	if (s->cluster != NULL)
		cluster_stop(s->cluster);
	cluster_free(s->cluster);
	state_unlock(s->lock_fd);
	if (s->state_fd >= 0)
		close(s->state_fd);
	free(s->state);
	free(s->base);
	free(s->conninfo);
	free(s->read_base);
	free(s->read_conninfo);
	*s = (struct store)STORE_INIT;
}
