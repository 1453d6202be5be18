/* SPDX-License-Identifier: MIT
 * See proc.h: CPU time and memory of processes, as the kernel counts them. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "proc.h"

#define CHILDREN_MAX 512

static unsigned children(pid_t pid, pid_t *out)
{
	char path[64];
	unsigned n = 0;
	int child;
	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, pid);
	FILE *f = fopen(path, "re");
	while (f != NULL && n < CHILDREN_MAX && fscanf(f, "%d", &child) == 1)
		out[n++] = child;
	if (f != NULL)
		fclose(f);
	return n;
}

static bool has_name(pid_t pid, const char *prefix)
{
	char path[64], name[32] = "";
	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	FILE *f = fopen(path, "re");
	if (f != NULL && fgets(name, sizeof(name), f) == NULL)
		*name = '\0';
	if (f != NULL)
		fclose(f);
	return strncmp(name, prefix, strlen(prefix)) == 0;
}

/* The process's CPU clock has the value of utime + stime of /proc/PID/stat without their rounding to 10 ms. */
double proc_cpu(pid_t pid)
{
	clockid_t id;
	struct timespec ts;
	if (clock_getcpuclockid(pid, &id) != 0 || clock_gettime(id, &ts) != 0)
		return 0;
	return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

/* Returns cutime + cstime: the CPU time of children that have been waited for. */
static double reaped(pid_t pid)
{
	char path[64];
	long user = 0, sys = 0;
	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	FILE *f = fopen(path, "re");
	if (f != NULL &&
		fscanf(f, "%*d (%*[^)]) %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %ld %ld", &user, &sys) != 2)
		user = sys = 0;
	if (f != NULL)
		fclose(f);
	return (double)(user + sys) * 1e6 / (double)sysconf(_SC_CLK_TCK);
}

double proc_cpu_family(pid_t pid)
{
	pid_t all[CHILDREN_MAX];
	double sum = proc_cpu(pid) + reaped(pid);
	for (unsigned i = 0, n = children(pid, all); i < n; i++)
		sum += proc_cpu(all[i]);
	return sum;
}

static double sum_children(pid_t pid, const char *prefix, double (*of)(pid_t))
{
	pid_t all[CHILDREN_MAX];
	double sum = 0;
	for (unsigned i = 0, n = children(pid, all); i < n; i++)
		if (has_name(all[i], prefix))
			sum += of(all[i]);
	return sum;
}

double proc_cpu_children(pid_t pid, const char *prefix) { return sum_children(pid, prefix, proc_cpu); }
double proc_dirty_children(pid_t pid, const char *prefix) { return sum_children(pid, prefix, proc_dirty); }

pid_t proc_child(pid_t pid, const char *prefix)
{
	pid_t all[CHILDREN_MAX];
	for (unsigned i = 0, n = children(pid, all); i < n; i++)
		if (has_name(all[i], prefix))
			return all[i];
	return 0;
}

/* Returns, in bytes, the number after the label in a file of "Label: number kB" lines. */
static double labelled(const char *path, const char *label)
{
	char line[256];
	unsigned long kib = 0;
	size_t n = strlen(label);
	FILE *f = fopen(path, "re");
	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		if (strncmp(line, label, n) == 0 && sscanf(line + n, " %lu", &kib) == 1)
			break;
	if (f != NULL)
		fclose(f);
	return (double)kib * 1024;
}

double proc_dirty(pid_t pid)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", pid);
	double dirty = labelled(path, "Private_Dirty:");
	if (dirty > 0)
		return dirty;
	snprintf(path, sizeof(path), "/proc/%d/status", pid); /* of a process that only root may look into */
	return labelled(path, "RssAnon:");
}

double proc_kernel(void)
{
	unsigned long pages = 0;
	char line[256];
	FILE *f = fopen("/proc/net/sockstat", "re");
	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		if (sscanf(line, "TCP: inuse %*u orphan %*u tw %*u alloc %*u mem %lu", &pages) == 1)
			break;
	if (f != NULL)
		fclose(f);
	return labelled("/proc/meminfo", "Slab:") + (double)pages * (double)sysconf(_SC_PAGESIZE);
}
