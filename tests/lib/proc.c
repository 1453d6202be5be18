/* SPDX-License-Identifier: MIT
 * Processes in /proc. See proc.h. */
#include "proc.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"

static bool read_stat(pid_t pid, char *ret_name, size_t size, char *ret_state, pid_t *ret_parent)
{
	char path[32], line[512];
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	FILE *f = fopen(path, "re");
	if (f == NULL)
		return false;
	bool read = fgets(line, sizeof(line), f) != NULL;
	fclose(f);
	char *open = strchr(line, '('), *close = read ? strrchr(line, ')') : NULL;
	int parent;
	if (!read || open == NULL || close == NULL || sscanf(close + 1, " %c %d", ret_state, &parent) != 2)
		return false;
	*ret_parent = parent;
	snprintf(ret_name, size, "%.*s", (int)(close - open - 1), open + 1);
	return true;
}

static int by_number(const void *a, const void *b) { return *(const pid_t *)a - *(const pid_t *)b; }

size_t proc_children(pid_t parent, const char *name, pid_t *ret_pids, size_t most)
{
	DIR *dir = opendir("/proc");
	size_t n = 0;
	for (struct dirent *entry; dir != NULL && n < most && (entry = readdir(dir)) != NULL;) {
		char who[64], state;
		pid_t pid = atoi(entry->d_name), its_parent;
		if (pid <= 0 || !read_stat(pid, who, sizeof(who), &state, &its_parent) || its_parent != parent ||
			state == 'Z')
			continue;
		if (name == NULL || strncmp(who, name, strlen(name)) == 0)
			ret_pids[n++] = pid;
	}
	if (dir != NULL)
		closedir(dir);
	qsort(ret_pids, n, sizeof(*ret_pids), by_number);
	return n;
}

bool proc_lives(pid_t pid)
{
	char name[64], state;
	pid_t parent;
	return read_stat(pid, name, sizeof(name), &state, &parent) && state != 'Z';
}

bool proc_name(pid_t pid, char *ret_name, size_t size)
{
	char state;
	pid_t parent;
	return read_stat(pid, ret_name, size, &state, &parent);
}

bool proc_await(pid_t child, unsigned ms, int *ret_status)
{
	uint64_t until = clock_mono_ms() + ms;
	struct pollfd p = { .fd = pidfd_open(child, 0), .events = POLLIN };
	int n = 0;
	while (p.fd >= 0 && n <= 0 && clock_mono_ms() < until) {
		n = poll(&p, 1, (int)(until - clock_mono_ms()));
		if (n < 0 && errno != EINTR)
			break;
	}
	if (p.fd >= 0)
		close(p.fd);
	return n > 0 && waitpid(child, ret_status, 0) == child;
}

unsigned proc_peak_kib(pid_t pid)
{
	char path[64], line[256];
	unsigned kib = 0;
	snprintf(path, sizeof(path), "/proc/%ld/status", (long)pid);
	FILE *f = fopen(path, "re");
	while (f != NULL && kib == 0 && fgets(line, sizeof(line), f) != NULL)
		sscanf(line, "VmHWM: %u kB", &kib);
	if (f != NULL)
		fclose(f);
	return kib;
}
