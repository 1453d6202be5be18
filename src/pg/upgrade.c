/* SPDX-License-Identifier: MIT
 * See upgrade.h. pg_upgrade starts servers of both versions, which don't end with this process. The next start or
 * upgrade stops those that a killed upgrade left running, before it touches their directories (evict.h). */
#include "pg/upgrade.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/signals.h"
#include "base/waiting.h"
#include "pg/cluster.h"
#include "pg/evict.h"
#include "pg/program.h"

enum { POLL_MS = 10, ARGS_MAX = 24 };

static enum status failed(const char *what, struct buf *why)
{
	buf_addf(why, "%s: %s", what, strerror(errno));
	return ST_SYSTEM;
}

static void join(char out[PATH_MAX], const char *dir, const char *name) { snprintf(out, PATH_MAX, "%s/%s", dir, name); }

/* Runs BINDIR/NAME ARG… to its end; out: where its standard output goes, -1: it counts as messages. */
static enum status run(
	const char *bindir, const char *name, const char *const args[], const char *dir, int out, struct buf *why)
{
	char path[BINDIR_PROGRAM_SIZE];
	const char *argv[ARGS_MAX] = { path };
	siginfo_t ended = { 0 };
	struct program p = { .argv = argv, .in = -1, .out = out, .dir = dir };
	snprintf(path, sizeof(path), "%s/%s", bindir, name);
	for (size_t i = 0; i < ARGS_MAX - 2 && args[i] != NULL; i++)
		argv[i + 1] = args[i];
	enum status st = program_start(&p, why);
	if (st != ST_OK)
		return st;
	while (waitid(P_PID, (id_t)p.pid, &ended, WEXITED | WNOHANG | WNOWAIT) == 0 && ended.si_pid == 0)
		if (!waiting_pause(name, POLL_MS)) {
			program_kill(&p);
			buf_addf(why, "stopped by a signal while %s was running", name);
			return ST_REFUSED;
		}
	return program_wait(&p, why);
}

/* "Database cluster state:               shut down" */
static const char *value_in(const char *line, const char *label)
{
	size_t len = strlen(label);
	return strncmp(line, label, len) == 0 ? line + len + strspn(line + len, " ") : NULL;
}

static enum status read_control(struct upgrade *u, const char *data, bool *ret_is_shut_down, struct buf *why)
{
	char line[256];
	int out = memfd_create("control", MFD_CLOEXEC);
	FILE *f = out >= 0 ? fdopen(out, "r") : NULL;
	if (f == NULL)
		return failed("pg_controldata", why);
	enum status st =
		run(u->old_bindir, "pg_controldata", (const char *const[]) { "-D", data, NULL }, NULL, out, why);
	*ret_is_shut_down = false;
	rewind(f);
	while (st == ST_OK && fgets(line, sizeof(line), f) != NULL) {
		const char *state = value_in(line, "Database cluster state:");
		const char *checksums = value_in(line, "Data page checksum version:");
		if (state != NULL)
			*ret_is_shut_down = strcmp(state, "shut down\n") == 0;
		if (checksums != NULL)
			u->checksums = atoi(checksums) != 0;
	}
	fclose(f);
	return st;
}

static enum status recover(struct upgrade *u, struct buf *why)
{
	struct cluster *c = cluster_new(u->state, u->old_bindir, 0, why);
	enum status st = c != NULL ? cluster_start(c, why) : ST_REFUSED;
	if (c != NULL)
		cluster_stop(c);
	cluster_free(c);
	return st;
}

enum status upgrade_prepare(struct upgrade *u, struct buf *why)
{
	char data[PATH_MAX];
	bool is_shut_down;
	join(data, u->state, "pg");
	enum status st = read_control(u, data, &is_shut_down, why);
	return st == ST_OK && !is_shut_down ? recover(u, why) : st;
}

static enum status copy_file(const char *from, const char *to, struct buf *why)
{
	char block[16 * 1024];
	size_t n;
	FILE *in = fopen(from, "re");
	if (in == NULL)
		return errno == ENOENT ? ST_OK : failed(from, why);
	FILE *out = fopen(to, "we");
	if (out == NULL) {
		fclose(in);
		return failed(to, why);
	}
	while ((n = fread(block, 1, sizeof(block), in)) > 0 && fwrite(block, 1, n, out) == n)
		;
	bool ok = !ferror(in) && !ferror(out);
	ok = fclose(out) == 0 && ok;
	fclose(in);
	return ok ? ST_OK : failed(to, why);
}

/* The rest of the configuration is Postern's, or the new version's default. */
static enum status copy_settings(const struct upgrade *u, struct buf *why)
{
	static const char *const files[] = { "pg/postgresql.auto.conf", "pg/pg_hba.conf", "pg/pg_ident.conf" };
	char from[PATH_MAX], to[PATH_MAX];
	enum status st = ST_OK;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]) && st == ST_OK; i++) {
		join(from, u->state, files[i]);
		join(to, u->aside, files[i]);
		st = copy_file(from, to, why);
	}
	return st;
}

/* A setting that the new version doesn't know would prevent its start. */
static enum status check_settings(const struct upgrade *u, struct buf *why)
{
	char data[PATH_MAX];
	struct buf reason;
	buf_init(&reason, 4096);
	join(data, u->aside, "pg");
	enum status st = run(u->new_bindir, "postgres",
		(const char *const[]) { "-D", data, "-C", "cluster_name", NULL }, NULL, -1, &reason);
	if (st != ST_OK)
		buf_addf(why,
			"PostgreSQL %d doesn't start with the settings of ALTER SYSTEM: remove those that it rejects "
			"with ALTER SYSTEM RESET: %s",
			u->to, buf_text(&reason));
	buf_release(&reason);
	return st;
}

enum status upgrade_make(struct upgrade *u, struct buf *why)
{
	char work[PATH_MAX];
	join(work, u->aside, "work");
	if (mkdir(work, 0700) < 0)
		return failed(work, why);
	u->made = cluster_new(u->aside, u->new_bindir, 0, why);
	if (u->made == NULL)
		return ST_REFUSED;
	cluster_log_in(u->made, u->state);
	enum status st = cluster_make(u->made, u->checksums, why);
	if (st == ST_OK)
		st = copy_settings(u, why);
	return st == ST_OK ? check_settings(u, why) : st;
}

static enum status pg_upgrade(struct upgrade *u, bool check_only, struct buf *why)
{
	char old_data[PATH_MAX], new_data[PATH_MAX], work[PATH_MAX], sockets[64];
	/* Named through this process, because pg_upgrade doesn't quote all names correctly on the servers' command
	 * lines. */
	int fd = open(cluster_sockets(u->made), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return failed(cluster_sockets(u->made), why);
	snprintf(sockets, sizeof(sockets), "/proc/%ld/fd/%d", (long)getpid(), fd);
	join(old_data, u->state, "pg");
	join(new_data, u->aside, "pg");
	join(work, u->aside, "work");
	const char *args[ARGS_MAX] = { "-U", "postern", "-b", u->old_bindir, "-B", u->new_bindir, "-d", old_data, "-D",
		new_data, "-s", sockets, "--no-sync" }; /* switch_in() flushes all at once */
	size_t n = 13;
	if (u->clone)
		args[n++] = "--clone";
	if (check_only)
		args[n++] = "--check";
	enum status st = run(u->new_bindir, "pg_upgrade", args, work, -1, why);
	close(fd);
	return st;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *where)
{
	(void)st, (void)type, (void)where;
	return remove(path);
}

/* Moves pg_upgrade's log files, which its messages name, out of the new cluster, before that is removed. */
static void keep_messages(const struct upgrade *u, struct buf *why)
{
	char from[PATH_MAX], to[PATH_MAX];
	join(from, u->aside, "pg/pg_upgrade_output.d");
	join(to, u->state, "upgrade-failed");
	nftw(to, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	if (rename(from, to) == 0)
		buf_addf(why, " (the files of pg_upgrade_output.d are kept in %s/upgrade-failed)", u->shown_state);
	if (u->clone)
		buf_adds(why,
			" (--clone needs a file system with reflinks, such as XFS or Btrfs; without it files are "
			"copied)");
}

enum status upgrade_check(struct upgrade *u, struct buf *why)
{
	enum status st = pg_upgrade(u, true, why);
	if (st != ST_OK)
		keep_messages(u, why);
	return st;
}

enum status upgrade_transfer(struct upgrade *u, struct buf *why)
{
	enum status st = pg_upgrade(u, false, why);
	if (st != ST_OK)
		keep_messages(u, why);
	return st;
}

/* pg_upgrade leaves a script if the new version has newer ones. */
static enum status update_extensions(struct upgrade *u, struct buf *why)
{
	char script[PATH_MAX];
	join(script, u->aside, "work/update_extensions.sql");
	if (access(script, F_OK) < 0)
		return ST_OK;
	return run(u->new_bindir, "psql",
		(const char *const[]) { "-X", "-q", "-w", "-h", cluster_sockets(u->made), "-p", "5432", "-U", "postern",
			"-d", "postgres", "-v", "ON_ERROR_STOP=1", "-f", script, NULL },
		NULL, -1, why);
}

/* Not --analyze-in-stages: the server isn't running yet, so nobody needs rough statistics first. */
static enum status collect_statistics(struct upgrade *u, struct buf *why)
{
	return run(u->new_bindir, "vacuumdb",
		(const char *const[]) { "-h", cluster_sockets(u->made), "-p", "5432", "-U", "postern", "-w", "--all",
			"--analyze-only", "--quiet", NULL },
		NULL, -1, why);
}

enum status upgrade_analyze(struct upgrade *u, struct buf *why)
{
	enum status st = cluster_start(u->made, why);
	if (st == ST_OK)
		st = update_extensions(u, why);
	if (st == ST_OK)
		st = collect_statistics(u, why);
	cluster_stop(u->made);
	return st;
}

/* Discards the stop requests that have ended the upgrade: only a later one may end the waits of the clean-up. */
static void consume_stops(void)
{
	sigset_t stops;
	sigemptyset(&stops);
	sigaddset(&stops, SIGTERM);
	sigaddset(&stops, SIGINT);
	while (signals_stop_pending() && sigtimedwait(&stops, NULL, &(struct timespec) { 0 }) > 0)
		;
}

void upgrade_end(struct upgrade *u)
{
	char data[PATH_MAX], lock[PATH_MAX];
	struct buf ignored;
	consume_stops();
	if (u->made == NULL)
		return;
	buf_init(&ignored, 4096);
	join(lock, cluster_sockets(u->made), ".s.PGSQL.50432.lock");
	cluster_stop(u->made);
	for (int i = 0; i < 2; i++) {
		join(data, i == 0 ? u->state : u->aside, "pg");
		if (evict_servers(data, lock, &ignored) != ST_OK) { /* the next start does it */
		}
	}
	unlink(lock);
	cluster_leave(u->made);
	cluster_free(u->made);
	u->made = NULL;
	buf_release(&ignored);
}
