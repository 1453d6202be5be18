/* SPDX-License-Identifier: MIT
 * See evict.h. A PostgreSQL process is recognised by its program and its working directory, the cluster's: a process id
 * in a file isn't enough to send it a signal. */
#include "pg/evict.h"

#include <dirent.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/waiting.h"

enum { PIDS_MAX = 512, STEP_MS = 20, QUIT_AFTER_MS = 10000, KILL_AFTER_MS = 20000, GIVE_UP_MS = 30000 };

static bool is_postgres(long pid)
{
	char link[64], exe[PATH_MAX];
	snprintf(link, sizeof(link), "/proc/%ld/exe", pid);
	ssize_t n = readlink(link, exe, sizeof(exe) - 1);
	if (n < 0)
		return false;
	exe[n] = '\0';
	char *deleted = strstr(exe, " (deleted)"); /* by an upgrade */
	if (deleted != NULL)
		*deleted = '\0';
	const char *name = strrchr(exe, '/');
	return name != NULL && (strcmp(name, "/postgres") == 0 || strcmp(name, "/postmaster") == 0);
}

static bool works_in(long pid, const struct stat *dir)
{
	char link[64];
	struct stat st;
	snprintf(link, sizeof(link), "/proc/%ld/cwd", pid);
	return stat(link, &st) == 0 && st.st_dev == dir->st_dev && st.st_ino == dir->st_ino;
}

static unsigned find(const struct stat *dir, long pids[PIDS_MAX])
{
	unsigned n = 0;
	DIR *proc = opendir("/proc");
	if (proc == NULL)
		return 0;
	for (struct dirent *e; (e = readdir(proc)) != NULL && n < PIDS_MAX;) {
		long pid = strtol(e->d_name, NULL, 10);
		if (pid > 0 && works_in(pid, dir) && is_postgres(pid))
			pids[n++] = pid;
	}
	closedir(proc);
	return n;
}

/* 0: there is no such file, or no number in it. */
static long pid_in_file(const char *path)
{
	long pid = 0;
	FILE *f = fopen(path, "re");
	if (f == NULL)
		return 0;
	if (fscanf(f, "%ld", &pid) != 1)
		pid = 0;
	fclose(f);
	return pid;
}

/* Returns true for a dead process that wasn't reaped: in a container there may be no init that does it. */
static bool is_zombie(long pid)
{
	char path[64], line[512], *paren;
	snprintf(path, sizeof(path), "/proc/%ld/stat", pid);
	FILE *f = fopen(path, "re");
	bool zombie = f != NULL && fgets(line, sizeof(line), f) != NULL && (paren = strrchr(line, ')')) != NULL &&
		strncmp(paren, ") Z", 3) == 0;
	if (f != NULL)
		fclose(f);
	return zombie;
}

/* PostgreSQL takes any process with that number for the old server, and refuses to start while it exists. */
static void remove_stale_file(const char *path)
{
	char link[64], exe[PATH_MAX];
	long pid = pid_in_file(path);
	snprintf(link, sizeof(link), "/proc/%ld/exe", pid);
	if (pid <= 0 || (!is_zombie(pid) && (readlink(link, exe, sizeof(exe)) < 0 || is_postgres(pid))))
		return;
	log_info("process %ld in %s isn't a database server: removing the file", pid, path);
	unlink(path);
}

static void send_all(const long *pids, unsigned n, int signum)
{
	for (unsigned i = 0; i < n; i++)
		kill((pid_t)pids[i], signum);
}

enum status evict_servers(const char *data, const char *socket_lock, struct buf *why)
{
	struct stat dir;
	char path[PATH_MAX];
	long pids[PIDS_MAX];
	unsigned n;
	snprintf(path, sizeof(path), "%s/postmaster.pid", data);
	if (stat(data, &dir) < 0)
		return ST_OK;
	for (unsigned ms = 0; (n = find(&dir, pids)) > 0; ms += STEP_MS) {
		long server = pid_in_file(path);
		if (ms == 0) {
			log_info("an earlier database server still runs (process %ld): stopping it",
				server > 0 ? server : pids[0]);
			if (server > 0 && works_in(server, &dir) && is_postgres(server))
				kill((pid_t)server, SIGINT); /* "fast"; sessions without a server end by themselves */
		} else if (ms == QUIT_AFTER_MS)
			send_all(pids, n, SIGQUIT); /* "immediate" */
		else if (ms == KILL_AFTER_MS)
			send_all(pids, n, SIGKILL);
		else if (ms >= GIVE_UP_MS) {
			buf_addf(why, "an earlier database server (process %ld) doesn't stop", pids[0]);
			return ST_SYSTEM;
		}
		if (!waiting_pause("an earlier database server", STEP_MS)) {
			buf_addf(why,
				"stopped by a signal while an earlier database server (process %ld) was being stopped",
				pids[0]);
			return ST_REFUSED;
		}
	}
	remove_stale_file(path);
	remove_stale_file(socket_lock);
	return ST_OK;
}
