/* SPDX-License-Identifier: MIT
 * See process.h. */
#include "base/process.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static uint64_t resident_bytes(void)
{
	unsigned long pages = 0;
	FILE *f = fopen("/proc/self/statm", "re");
	if (f != NULL) {
		if (fscanf(f, "%*u %lu", &pages) != 1)
			pages = 0;
		fclose(f);
	}
	return (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* Since Linux 6.2 the size of the directory is their number. */
static uint64_t open_descriptors(void)
{
	uint64_t n = 0;
	struct stat st;
	if (stat("/proc/self/fd", &st) == 0 && st.st_size > 0)
		return (uint64_t)st.st_size;
	DIR *d = opendir("/proc/self/fd");
	if (d == NULL)
		return 0;
	for (struct dirent *e; (e = readdir(d)) != NULL;)
		n += e->d_name[0] != '.';
	closedir(d);
	return n - 1; /* without the directory's own */
}

static uint64_t microseconds(struct timeval t) { return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_usec; }

void process_measure(struct process_usage *ret)
{
	struct rusage u = { 0 };
	struct rlimit limit = { 0 };
	getrusage(RUSAGE_SELF, &u);
	getrlimit(RLIMIT_NOFILE, &limit);
	*ret = (struct process_usage) {
		.cpu_us = microseconds(u.ru_utime) + microseconds(u.ru_stime),
		.resident = resident_bytes(),
		.descriptors = open_descriptors(),
		.descriptors_max = limit.rlim_cur,
	};
}
