/* SPDX-License-Identifier: MIT
 * `postern doctor`: how the processes of the running server are confined, as the kernel tells it. */
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/privileges.h"
#include "cli/doctor.h"

enum { SECCOMP_FILTER = 2, NAME_MAX_LEN = 64, TEXT_LEN = 160 };

/* What /proc/PID/status says. */
struct confinement {
	char name[NAME_MAX_LEN];
	long parent;
	unsigned seccomp, no_new_privs;
	uint64_t capabilities;
};

static bool read_status(long pid, struct confinement *ret)
{
	char path[64], line[1024];
	snprintf(path, sizeof(path), "/proc/%ld/status", pid);
	FILE *f = fopen(path, "re");
	*ret = (struct confinement) { 0 };
	while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
		sscanf(line, "Name: %63s", ret->name);
		sscanf(line, "PPid: %ld", &ret->parent);
		sscanf(line, "Seccomp: %u", &ret->seccomp);
		sscanf(line, "NoNewPrivs: %u", &ret->no_new_privs);
		sscanf(line, "CapEff: %" SCNx64, &ret->capabilities);
	}
	if (f != NULL)
		fclose(f);
	return ret->parent != 0;
}

/* Finds a worker of the server. Returns false if none can be seen. */
static bool find_worker(long server, struct confinement *ret)
{
	DIR *proc = opendir("/proc");
	bool found = false;
	for (struct dirent *e; !found && proc != NULL && (e = readdir(proc)) != NULL;)
		found = atol(e->d_name) > 0 && read_status(atol(e->d_name), ret) && ret->parent == server &&
			strncmp(ret->name, "postern-work", strlen("postern-work")) == 0;
	if (proc != NULL)
		closedir(proc);
	return found;
}

static void check_landlock(struct doctor *d)
{
	int version = privileges_landlock_version();
	if (version > 0)
		doctor_report(d, FINDING_OK, "process", NULL, "the kernel offers Landlock (version %d)", version);
	else
		doctor_report(d, FINDING_WARNING, "process",
			"Use a kernel with Landlock, and `landlock` in its `lsm=`; or a container that permits it.",
			"Landlock isn't available: workers can read and write every file of their user");
}

void doctor_check_process(struct doctor *d, long server)
{
	struct confinement w;
	check_landlock(d);
	if (server == 0 || !find_worker(server, &w))
		return;
	if (w.seccomp == SECCOMP_FILTER && w.no_new_privs == 1 && w.capabilities == 0) {
		doctor_report(d, FINDING_OK, "process", NULL,
			"the workers run under a seccomp filter, without capabilities, and can gain none "
			"(no_new_privs)");
		return;
	}
	char text[TEXT_LEN];
	snprintf(text, sizeof(text), "%s%s%s", w.seccomp == SECCOMP_FILTER ? "" : ", no seccomp filter",
		w.no_new_privs == 1 ? "" : ", no no_new_privs", w.capabilities == 0 ? "" : ", capabilities");
	doctor_report(d, FINDING_WARNING, "process",
		"Look for `not confined` in the log; a container must permit seccomp, and `debuggable` must be off.",
		"the workers aren't confined as usual: %s", text + 2);
}
