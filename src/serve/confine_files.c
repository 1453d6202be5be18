/* SPDX-License-Identifier: MIT
 * Landlock: the files that a worker may read. It may change none, and execute none. See confine.h.
 *
 * The kernel's interface is declared here as far as it is used, since a system's headers are often older than its
 * kernel. What a kernel offers is its version: the rights that it doesn't know yet are left out. */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/privileges.h"
#include "serve/confine.h"

#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_add_rule 445
#define SYS_landlock_restrict_self 446
#endif

#define RIGHT(n) ((uint64_t)1 << (n))
#define READ_FILE RIGHT(2)
#define READ_DIR RIGHT(3)

enum { BY_PATH = 1, VERSIONS = 6 };

/* The rights that each version knows: all of them are taken away. */
static const struct {
	uint64_t files;   /* the first: execute, write, read, list, remove, make */
	uint64_t network; /* TCP: bind, not connect */
	uint64_t scopes;  /* signals to other processes */
} known[VERSIONS] = {
	{ RIGHT(13) - 1, 0, 0 },
	{ RIGHT(13), 0, 0 }, /* rename between directories */
	{ RIGHT(14), 0, 0 }, /* truncate */
	{ 0, RIGHT(0), 0 },
	{ RIGHT(15), 0, 0 }, /* ioctl of devices */
	{ 0, 0, RIGHT(1) },
};

struct ruleset {
	uint64_t files, network, scopes;
};

struct __attribute__((packed)) rule {
	uint64_t rights;
	int32_t fd;
};

struct confine_files {
	int ruleset;
};

/* A kernel refuses a longer struct than it knows. */
static size_t size_of(int kernel)
{
	return kernel < 4 ? sizeof(uint64_t) : kernel < 6 ? 2 * sizeof(uint64_t) : sizeof(struct ruleset);
}

struct confine_files *confine_files_new(void)
{
	struct ruleset all = { 0 };
	int kernel = privileges_landlock_version();
	if (kernel <= 0)
		return NULL;
	for (int i = 0; i < kernel && i < VERSIONS; i++) {
		all.files |= known[i].files;
		all.network |= known[i].network;
		all.scopes |= known[i].scopes;
	}
	int ruleset = (int)syscall(SYS_landlock_create_ruleset, &all, size_of(kernel), 0);
	if (ruleset < 0)
		return NULL;
	struct confine_files *f = mem_zeroed(1, sizeof(*f));
	f->ruleset = ruleset;
	return f;
}

void confine_files_add(struct confine_files *f, const char *name)
{
	struct stat st;
	struct rule rule = { .fd = name != NULL ? open(name, O_PATH | O_CLOEXEC) : -1 };
	if (rule.fd < 0)
		return;
	rule.rights = fstat(rule.fd, &st) == 0 && S_ISDIR(st.st_mode) ? READ_FILE | READ_DIR : READ_FILE;
	/* Failing is safe: the file can't be read then. */
	syscall(SYS_landlock_add_rule, f->ruleset, BY_PATH, &rule, 0);
	close(rule.fd);
}

bool confine_files_enter(struct confine_files *f)
{
	bool ok = syscall(SYS_landlock_restrict_self, f->ruleset, 0) == 0;
	int error = errno;
	close(f->ruleset);
	free(f);
	errno = error;
	return ok;
}
