/* SPDX-License-Identifier: MIT
 * See cluster.h. */
#include "pg/cluster.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/identity.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/secret.h"
#include "base/signals.h"
#include "base/waiting.h"
#include "pg/bindir.h"
#include "pg/cluster_conf.h"
#include "pg/cluster_log.h"
#include "pg/evict.h"
#include "pg/program.h"

enum { CONNECTIONS_MORE = 150, POLL_MS = 5, STOP_MS = 60000, RETRY_MS = 30000, PASSING_MS = 100 };

static const char socket_name[] = ".s.PGSQL.5432", unfinished[] = "pg.new.";
static const char *const kept[] = { CLUSTER_OLD, CLUSTER_BEFORE_UPGRADE };

struct cluster {
	char *state, *data, *run, *log, *conninfo, *socket_lock;
	char *pg_bindir;          /* as set; NULL: unset */
	char bindir[BINDIR_SIZE]; /* as found */
	pid_t pid;
	off_t log_from; /* where the messages of this server's start begin */
	off_t log_read; /* up to where cluster_follow_log() has read; 0: log_from */
	unsigned connections;
};

static enum status failed(struct buf *why, const char *what)
{
	buf_addf(why, "%s: %s", what, strerror(errno));
	return ST_SYSTEM;
}

static char *join(const char *dir, const char *name) { return mem_format("%s/%s", dir, name); }

/* STATE/run, or a short name made from it: the address of a Unix socket is limited to 107 bytes. */
static char *run_directory(const char *state)
{
	char hex[SECRET_HASH_HEX + 1], *run = join(state, "run");
	if (strlen(run) + 1 + strlen(socket_name) < sizeof(((struct sockaddr_un *)0)->sun_path))
		return run;
	free(run);
	secret_hash_hex(state, strlen(state), hex);
	return mem_format("/tmp/postern-%.16s", hex);
}

struct cluster *cluster_new(const char *state, const char *pg_bindir, unsigned connections, struct buf *why)
{
	struct cluster *c = mem_zeroed(1, sizeof(*c));
	c->connections = connections;
	c->pg_bindir = pg_bindir != NULL ? mem_strdup(pg_bindir) : NULL;
	c->state = join(state, "");
	c->state[strlen(state)] = '\0';
	c->data = join(state, "pg");
	c->run = run_directory(state);
	c->log = join(state, "postgres.log");
	c->conninfo = cluster_conf_conninfo(c->run);
	c->socket_lock = join(c->run, ".s.PGSQL.5432.lock");
	if (strlen(c->data) + 64 > PATH_MAX) {
		buf_addf(why, "%s: the name is too long", state);
		cluster_free(c);
		return NULL;
	}
	return c;
}

void cluster_free(struct cluster *c)
{
	if (c == NULL)
		return;
	free(c->state);
	free(c->pg_bindir);
	free(c->data);
	free(c->run);
	free(c->log);
	free(c->conninfo);
	free(c->socket_lock);
	free(c);
}

void cluster_log_in(struct cluster *c, const char *state)
{
	free(c->log);
	c->log = join(state, "postgres.log");
}

void cluster_follow_log(struct cluster *c)
{
	if (c->log_read == 0)
		c->log_read = c->log_from;
	cluster_log_follow(c->log, &c->log_read);
}

pid_t cluster_pid(const struct cluster *c) { return c->pid; }
void cluster_exited(struct cluster *c) { c->pid = 0; }
const char *cluster_conninfo(const struct cluster *c) { return c->conninfo; }

/* Checks that the directory is private and this user's: others may write in /tmp. */
static enum status make_run_directory(const struct cluster *c, struct buf *why)
{
	struct stat st;
	if (mkdir(c->run, 0700) < 0 && errno != EEXIST)
		return failed(why, c->run);
	if (lstat(c->run, &st) < 0)
		return failed(why, c->run);
	if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid()) {
		buf_addf(why, "%s isn't a directory of ours", c->run);
		return ST_REFUSED;
	}
	return chmod(c->run, 0700) == 0 ? ST_OK : failed(why, c->run);
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *where)
{
	(void)st, (void)type, (void)where;
	return remove(path);
}

/* A container may run as a uid without a name. Only initdb refuses that. */
static enum status check_user(struct buf *why)
{
	struct identity self;
	if (identity_of(geteuid(), &self))
		return ST_OK;
	buf_addf(why,
		"user id %u has no name, which initdb needs: add the id to /etc/passwd, run as "
		"a user that has a name, or use another server with --database",
		(unsigned)geteuid());
	return ST_REFUSED;
}

/* initdb and postgres look for each other, and for their files, by argv[0]: it has to be the full path. */
static enum status run_initdb(struct cluster *c, const char *dir, bool checksums, int log_fd, struct buf *why)
{
	char program[BINDIR_SIZE + 16], locale[32];
	/* Since version 18 they are on by default; older versions don't know the option that disables them. */
	const char *last = checksums              ? "--data-checksums"
		: bindir_version(c->bindir) >= 18 ? "--no-data-checksums"
						  : NULL;
	int wstatus;
	snprintf(program, sizeof(program), "%s/initdb", c->bindir);
	snprintf(locale, sizeof(locale), "--locale=%s", cluster_conf_locale());
	pid_t pid = program_fork(SIGKILL);
	if (pid < 0)
		return failed(why, "fork");
	if (pid == 0) {
		program_become(log_fd, log_fd);
		execl(program, program, "-D", dir, "-U", "postern", "--auth=trust", "-E", "UTF8", locale,
			"--locale-provider=libc", "--no-instructions", "--no-sync", last, (char *)NULL);
		_exit(127);
	}
	for (pid_t ended; (ended = waitpid(pid, &wstatus, WNOHANG)) != pid && (ended == 0 || errno == EINTR);)
		if (!waiting_pause("initdb", POLL_MS)) {
			kill(-pid, SIGKILL); /* its process group, which includes the server that it runs */
			kill(pid, SIGKILL);
			waitpid(pid, NULL, 0);
			buf_adds(why, "stopped by a signal while making the database cluster");
			return ST_REFUSED;
		}
	if (WIFEXITED(wstatus) && WEXITSTATUS(wstatus) == 0)
		return ST_OK;
	buf_adds(why, "initdb failed: ");
	cluster_log_reason(c->log, c->log_from, why);
	return ST_SYSTEM;
}

/* Returns true for a cluster that was made to replace another one and was never in use. */
static bool is_unused(const char *dir)
{
	char *mark = join(dir, CLUSTER_UNUSED);
	bool unused = access(mark, F_OK) == 0;
	free(mark);
	return unused;
}

static void remove_if_unfinished(const struct cluster *c, const char *name)
{
	char *path = join(c->state, name), *data = join(path, "pg");
	bool stale = strncmp(name, unfinished, strlen(unfinished)) == 0 || strcmp(name, CLUSTER_SWITCHING) == 0;
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		stale |= strncmp(name, kept[i], strlen(kept[i])) == 0 && is_unused(path);
	if (stale) {
		struct buf why;
		buf_init(&why, 1024);
		log_info("removing the unused %s", path);
		if (evict_servers(data, c->socket_lock, &why) != ST_OK)
			log_warn("%s: %s", path, buf_text(&why));
		nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
		buf_release(&why);
	}
	free(path);
	free(data);
}

/* Completes an exchange in two steps (cli/switch.h) that was interrupted between them: renames the new cluster. */
static enum status finish_switch(const struct cluster *c, struct buf *why)
{
	char *switching = join(c->state, CLUSTER_SWITCHING);
	enum status st = ST_OK;
	if (access(c->data, F_OK) < 0 && errno == ENOENT && access(switching, F_OK) == 0) {
		log_warn("the exchange of the database cluster was interrupted: finishing it with %s", switching);
		if (rename(switching, c->data) < 0)
			st = failed(why, switching);
	}
	free(switching);
	return st;
}

/* Removes the directories of starts and restores that were interrupted before the rename. A child of a process that was
 * just killed may still write for a moment: what can't be removed now is left to the next start. It isn't in the way,
 * since every start and restore uses a new name. */
static void remove_unfinished(const struct cluster *c)
{
	DIR *d = opendir(c->state);
	char *mark = join(c->data, CLUSTER_UNUSED);
	unlink(mark); /* this cluster is in use */
	free(mark);
	for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;)
		remove_if_unfinished(c, e->d_name);
	if (d != NULL)
		closedir(d);
}

/* It is created under another name and renamed at the end, so that a crash never leaves an unfinished cluster. */
static enum status create(struct cluster *c, bool checksums, struct buf *why)
{
	char random[9], name[32];
	secret_random_name(random, sizeof(random) - 1);
	snprintf(name, sizeof(name), "%s%s", unfinished, random);
	char *dir = join(c->state, name);
	int log_fd = cluster_log_open(c->log, &c->log_from),
	    state_fd = open(c->state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	enum status st = ST_OK;
	uint64_t start = clock_mono_ms();
	if (log_fd < 0 || state_fd < 0)
		st = failed(why, c->state);
	if (st == ST_OK)
		st = run_initdb(c, dir, checksums, log_fd, why);
	if (st == ST_OK)
		st = cluster_conf_include(dir, why);
	/* One flush of the file system is faster than initdb's, which syncs a thousand files one by one. */
	if (st == ST_OK && (syncfs(state_fd) < 0 || rename(dir, c->data) < 0 || fsync(state_fd) < 0))
		st = failed(why, c->data);
	if (st == ST_OK)
		log_info("created a database cluster in %s in %llu ms", c->data,
			(unsigned long long)(clock_mono_ms() - start));
	if (log_fd >= 0)
		close(log_fd);
	if (state_fd >= 0)
		close(state_fd);
	free(dir);
	return st;
}

/* A name through this process's /proc entry (state.h) would become invalid if this process died before the server: the
 * server gets the directory as a descriptor, and uses its own /proc entry. */
static void exec_server(const struct cluster *c, const char *program)
{
	char data[PATH_MAX], sockets[PATH_MAX + 32], connections[40];
	snprintf(data, sizeof(data), "%s", c->data);
	snprintf(sockets, sizeof(sockets), "unix_socket_directories=%s", c->run);
	if (strncmp(c->state, "/proc/", 6) == 0) {
		int fd = open(c->state, O_RDONLY | O_DIRECTORY);
		snprintf(data, sizeof(data), "/proc/self/fd/%d/pg", fd);
		snprintf(sockets, sizeof(sockets), "unix_socket_directories=/proc/self/fd/%d/run", fd);
	}
	snprintf(connections, sizeof(connections), "max_connections=%u", c->connections + CONNECTIONS_MORE);
	execl(program, program, "-D", data, "-c", "listen_addresses=", "-c", sockets, "-c", connections, (char *)NULL);
}

static enum status spawn(struct cluster *c, struct buf *why)
{
	char program[BINDIR_SIZE + 16];
	snprintf(program, sizeof(program), "%s/postgres", c->bindir);
	enum status st = cluster_conf_write(c->data, why);
	if (st != ST_OK)
		return st;
	int log_fd = cluster_log_open(c->log, &c->log_from);
	if (log_fd < 0)
		return failed(why, c->log);
	pid_t pid = program_fork(SIGINT); /* "fast shutdown" */
	if (pid == 0) {
		program_become(log_fd, log_fd);
		exec_server(c, program);
		_exit(127);
	}
	close(log_fd);
	if (pid < 0)
		return failed(why, "fork");
	c->pid = pid;
	return ST_OK;
}

/* The eighth line of postmaster.pid is "ready" when connections are accepted; the first is the server's process id. */
static bool is_ready(const struct cluster *c)
{
	char *path = join(c->data, "postmaster.pid"), line[256] = "";
	FILE *f = fopen(path, "re");
	bool ready = false;
	free(path);
	if (f == NULL)
		return false;
	for (int i = 1; i <= 8 && fgets(line, sizeof(line), f) != NULL; i++) {
		if (i == 1 && strtol(line, NULL, 10) != c->pid)
			break;
		ready = i == 8 && strncmp(line, "ready", 5) == 0;
	}
	fclose(f);
	return ready;
}

/* ST_AWAY: the server has ended. */
static enum status wait_until_ready(struct cluster *c, struct buf *why)
{
	for (uint64_t start = clock_mono_ms(), said = start; !is_ready(c);) {
		if (waitpid(c->pid, NULL, WNOHANG) == c->pid) {
			c->pid = 0;
			return ST_AWAY;
		}
		if (!waiting_pause("the database server's start", POLL_MS)) {
			buf_adds(why, "stopped by a signal while starting");
			cluster_stop(c);
			return ST_REFUSED;
		}
		uint64_t now = clock_mono_ms();
		if (now - said >= 10000) {
			log_info("the database has been starting for %llu s; it recovers from a crash",
				(unsigned long long)(now - start) / 1000);
			said = now;
		}
	}
	return ST_OK;
}

/* Children of a server that was killed may hold its shared memory for another moment. */
static bool is_passing(const struct cluster *c)
{
	struct buf reason;
	buf_init(&reason, 4096);
	cluster_log_reason(c->log, c->log_from, &reason);
	bool passing = reason.data != NULL &&
		(strstr(reason.data, "pre-existing shared memory") != NULL ||
			(strstr(reason.data, "lock file") != NULL && strstr(reason.data, "already exists") != NULL));
	buf_release(&reason);
	return passing;
}

enum status cluster_start(struct cluster *c, struct buf *why)
{
	uint64_t until = clock_mono_ms() + RETRY_MS;
	int major = 0;
	enum status st;
	if (geteuid() == 0) {
		buf_adds(why, "the database never runs as root");
		return ST_REFUSED;
	}
	if ((st = finish_switch(c, why)) != ST_OK)
		return st;
	bool exists = cluster_conf_version(c->data, &major);
	remove_unfinished(c);
	if ((st = bindir_find(c->pg_bindir, major, c->bindir, why)) != ST_OK ||
		(st = make_run_directory(c, why)) != ST_OK)
		return st;
	if (!exists && ((st = check_user(why)) != ST_OK || (st = create(c, true, why)) != ST_OK))
		return st;
	do {
		if ((st = evict_servers(c->data, c->socket_lock, why)) != ST_OK || (st = spawn(c, why)) != ST_OK)
			return st;
		st = wait_until_ready(c, why);
	} while (st == ST_AWAY && is_passing(c) && clock_mono_ms() < until &&
		waiting_pause("an earlier database server", PASSING_MS));
	if (st == ST_AWAY) {
		buf_adds(why, "the database server doesn't start: ");
		cluster_log_reason(c->log, c->log_from, why);
		return ST_SYSTEM;
	}
	return st;
}

enum status cluster_clean_up(struct cluster *c, struct buf *why)
{
	enum status st = finish_switch(c, why);
	if (st == ST_OK)
		st = evict_servers(c->data, c->socket_lock, why);
	if (st == ST_OK)
		remove_unfinished(c);
	return st;
}

enum status cluster_make(struct cluster *c, bool checksums, struct buf *why)
{
	enum status st = bindir_find(c->pg_bindir, 0, c->bindir, why);
	if (st == ST_OK)
		st = make_run_directory(c, why);
	if (st == ST_OK)
		st = check_user(why);
	return st == ST_OK ? create(c, checksums, why) : st;
}

const char *cluster_sockets(const struct cluster *c) { return c->run; }

enum status cluster_restart(struct cluster *c, struct buf *why)
{
	enum status st = make_run_directory(c, why);
	if (st == ST_OK)
		st = evict_servers(c->data, c->socket_lock, why);
	return st == ST_OK ? spawn(c, why) : st;
}

void cluster_leave(const struct cluster *c) { rmdir(c->run); }

void cluster_stop(struct cluster *c)
{
	if (c->pid == 0)
		return;
	kill(c->pid, SIGINT);
	for (uint64_t start = clock_mono_ms(); waitpid(c->pid, NULL, WNOHANG) == 0; usleep(POLL_MS * 1000))
		if (clock_mono_ms() - start > STOP_MS) {
			log_warn("the database server takes too long to stop: it recovers at the next start");
			kill(c->pid, SIGQUIT);
			waitpid(c->pid, NULL, 0);
			break;
		}
	c->pid = 0;
}
