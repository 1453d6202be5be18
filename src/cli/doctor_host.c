/* SPDX-License-Identifier: MIT
 * `postern doctor`: the machine's resources. */
#include <errno.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/timex.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "cli/doctor.h"
#include "conf/conf.h"
#include "pg/state.h"

#define MIB ((uint64_t)1 << 20)

enum {
	SPACE_FAIL_MIB = 256, /* PostgreSQL's WAL may need that much */
	SPACE_WARN_MIB = 2048,
	NFS_MAGIC = 0x6969,
	TMPFS_MAGIC = 0x01021994,
	FILES_WARN = 4096,
	BACKLOG = 4096,
	MEMORY_WARN_MIB = 256,
};

/* The directory itself, or the nearest one above it that exists. */
static char *existing_directory(const char *dir)
{
	char *path = mem_strdup(dir);
	struct stat st;
	while (stat(path, &st) < 0 && strcmp(path, "/") != 0 && strcmp(path, ".") != 0) {
		char *parent = mem_strdup(dirname(path));
		free(path);
		path = parent;
	}
	return path;
}

static void check_space(struct doctor *d, const char *dir, const struct statfs *fs)
{
	uint64_t free_mib = (uint64_t)fs->f_bavail * (uint64_t)fs->f_bsize / MIB;
	unsigned inodes_free = fs->f_files > 0 ? (unsigned)(fs->f_ffree * 100 / fs->f_files) : 100;
	enum finding f = free_mib < SPACE_FAIL_MIB || inodes_free < 1 ? FINDING_FAILURE
		: free_mib < SPACE_WARN_MIB || inodes_free < 5        ? FINDING_WARNING
								      : FINDING_OK;
	doctor_report(d, f, "disk",
		f == FINDING_OK ? NULL : "Free space, or move the state directory to a larger disk.",
		"%" PRIu64 " MiB and %u %% of the inodes are free at %s", free_mib, inodes_free, dir);
}

static void check_file_system(struct doctor *d, const char *dir, const struct statfs *fs)
{
	if (fs->f_type == TMPFS_MAGIC)
		doctor_report(d, FINDING_WARNING, "disk", "Set `state` to a directory on a disk.",
			"%s is in memory (tmpfs): everything is lost when the machine restarts", dir);
	else if (fs->f_type == NFS_MAGIC)
		doctor_report(d, FINDING_WARNING, "disk", "Use a local disk, or another PostgreSQL with `database`.",
			"%s is on NFS: PostgreSQL is only as safe there as its mount options", dir);
}

static void check_disk(struct doctor *d)
{
	struct statfs fs;
	if (d->conf->database != NULL)
		return;
	char *dir = existing_directory(d->conf->state);
	if (statfs(dir, &fs) < 0)
		doctor_report(d, FINDING_FAILURE, "disk", NULL, "%s: %s", dir, strerror(errno));
	else {
		check_space(d, dir, &fs);
		check_file_system(d, dir, &fs);
	}
	free(dir);
}

static void check_clock(struct doctor *d)
{
	struct timex t = { 0 };
	int state = adjtimex(&t); /* changes nothing */
	if (state < 0)
		doctor_report(d, FINDING_OK, "clock", NULL,
			"the kernel doesn't say whether its clock is synchronised: %s", strerror(errno));
	else if (state == TIME_ERROR || (t.status & STA_UNSYNC) != 0)
		doctor_report(d, FINDING_WARNING, "clock",
			"Run chrony or systemd-timesyncd. In a container, do this on the host.",
			"the clock isn't synchronised: the times of messages, and when tokens expire, follow it");
	else
		doctor_report(d, FINDING_OK, "clock", NULL, "the clock is synchronised");
}

/* "Max open files  1024  524288  files" of a process. Returns false if it can't be read. */
static bool process_files_limit(long pid, uint64_t *ret_hard)
{
	char path[64], line[256];
	bool found = false;
	snprintf(path, sizeof(path), "/proc/%ld/limits", pid);
	FILE *f = fopen(path, "re");
	while (f != NULL && !found && fgets(line, sizeof(line), f) != NULL)
		found = sscanf(line, "Max open files %*s %" SCNu64, ret_hard) == 1;
	if (f != NULL)
		fclose(f);
	return found;
}

/* Reads the lock file. */
long doctor_running_server(const struct conf *conf)
{
	char path[4096], name[32] = "";
	long pid = 0;
	if (conf->database != NULL)
		return 0;
	snprintf(path, sizeof(path), "%s/lock", conf->state);
	FILE *f = fopen(path, "re");
	if (f == NULL)
		return 0;
	if (fscanf(f, "serve %ld", &pid) != 1)
		pid = 0;
	fclose(f);
	snprintf(path, sizeof(path), "/proc/%ld/comm", pid); /* the lock file may outlive its server */
	f = pid > 0 ? fopen(path, "re") : NULL;
	bool lives = f != NULL && fgets(name, sizeof(name), f) != NULL && strncmp(name, "postern", 7) == 0;
	if (f != NULL)
		fclose(f);
	return lives ? pid : 0;
}

static void check_files(struct doctor *d)
{
	struct rlimit own;
	uint64_t hard = 0;
	long pid = doctor_running_server(d->conf);
	bool of_server = pid > 0 && process_files_limit(pid, &hard);
	if (!of_server && getrlimit(RLIMIT_NOFILE, &own) == 0)
		hard = own.rlim_max;
	enum finding f = hard < FILES_WARN ? FINDING_WARNING : FINDING_OK;
	doctor_report(d, f, "limits",
		f == FINDING_OK ? NULL : "Raise LimitNOFILE= in the unit, or `ulimit -Hn`: each stream needs one.",
		"%s can open %" PRIu64 " files",
		of_server ? "a process of the running server" : "a process started from here", hard);
}

/* Returns the number after a name at the beginning of a line of a file in /proc; 0: it can't be read. */
static uint64_t number_in(const char *path, const char *name)
{
	char line[256];
	uint64_t n = 0;
	FILE *f = fopen(path, "re");
	while (f != NULL && n == 0 && fgets(line, sizeof(line), f) != NULL)
		if (strncmp(line, name, strlen(name)) == 0)
			n = strtoull(line + strlen(name), NULL, 10);
	if (f != NULL)
		fclose(f);
	return n;
}

static void check_backlog(struct doctor *d)
{
	uint64_t most = number_in("/proc/sys/net/core/somaxconn", "");
	if (most > 0 && most < BACKLOG)
		doctor_report(d, FINDING_WARNING, "limits", "sysctl net.core.somaxconn=4096",
			"only %" PRIu64 " connections may wait to be accepted: many clients that reconnect at once "
			"will have to try again",
			most);
}

static void check_memory(struct doctor *d)
{
	uint64_t available = number_in("/proc/meminfo", "MemAvailable:") / 1024,
		 rings = d->conf->workers * d->conf->ring_bytes / MIB;
	enum finding f = available == 0 || available > rings + MEMORY_WARN_MIB ? FINDING_OK : FINDING_WARNING;
	if (available > 0)
		doctor_report(d, f, "memory",
			f == FINDING_OK ? NULL : "Lower `ring_bytes` or `workers`, or add memory.",
			"%" PRIu64 " MiB are available; the rings of %u worker%s take up to %" PRIu64 " MiB", available,
			d->conf->workers, d->conf->workers == 1 ? "" : "s", rings);
}

void doctor_check_host(struct doctor *d)
{
	check_disk(d);
	check_clock(d);
	check_files(d);
	check_backlog(d);
	check_memory(d);
}
