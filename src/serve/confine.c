/* SPDX-License-Identifier: MIT
 * See confine.h. */
#include "serve/confine.h"

#include <dlfcn.h>
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/build.h"
#include "base/mem.h"
#include "pg/files.h"

/* What libraries read: shared objects and their cache, the resolver's files, certificates, time zones; and what the
 * process reads about itself. */
static const char *const places[] = { "/etc", "/usr", "/lib", "/lib64", "/proc", "/sys/devices/system/cpu", "/dev/null",
	"/dev/urandom" };

/* Often symbolic links to places that a program replaces, so that their directories are needed. */
static const char *const links[] = { "/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/ssl/certs",
	"/etc/ssl/cert.pem" };

struct places {
	struct confine_files *files;
	const char *state; /* the state directory; NULL: none */
};

/* Returns true if reading the directory would mean to read the database's files, or everything. */
static bool has_too_much(const struct places *p, const char *dir)
{
	size_t len = strlen(dir);
	return strcmp(dir, "/") == 0 ||
		(p->state != NULL && strncmp(p->state, dir, len) == 0 &&
			(p->state[len] == '/' || p->state[len] == '\0'));
}

/* A file that is replaced by renaming is another one then, but in the same directory. */
static void add_with_directory(void *arg, const char *name)
{
	const struct places *p = arg;
	char path[PATH_MAX], real[PATH_MAX];
	confine_files_add(p->files, name);
	for (int resolved = 0; resolved < 2; resolved++) {
		if (resolved && realpath(name, real) == NULL)
			return;
		snprintf(path, sizeof(path), "%s", resolved ? real : name);
		const char *dir = dirname(path), *home = getenv("HOME");
		if (!has_too_much(p, dir) && (home == NULL || strcmp(dir, home) != 0))
			confine_files_add(p->files, dir);
	}
}

/* Some systems have their libraries elsewhere. */
static void add_libraries(struct places *p)
{
	Dl_info libc;
	if (dladdr((void *)(uintptr_t)getaddrinfo, &libc) != 0 && libc.dli_fname != NULL)
		add_with_directory(p, libc.dli_fname);
}

static bool confine_to_files(const char *conninfo, const char *read_conninfo, const char *state)
{
	struct places p = { .files = confine_files_new(), .state = state };
	if (p.files == NULL)
		return false;
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		confine_files_add(p.files, places[i]);
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++)
		add_with_directory(&p, links[i]);
	add_libraries(&p);
	pg_files(conninfo, add_with_directory, &p);
	if (read_conninfo != NULL)
		pg_files(read_conninfo, add_with_directory, &p);
	return confine_files_enter(p.files);
}

/* Its own system calls and files would be confined, too. */
static bool runs_under_valgrind(void)
{
	const char *preloaded = getenv("LD_PRELOAD");
	return preloaded != NULL && strstr(preloaded, "vgpreload_core") != NULL;
}

bool confine_worker(const char *conninfo, const char *read_conninfo, const char *state, struct buf *why)
{
	if (runs_under_valgrind()) {
		buf_adds(why, "valgrind; ");
		return false;
	}
	if (!BUILD_WRITES_REPORTS && !confine_to_files(conninfo, read_conninfo, state))
		buf_addf(why, "Landlock: %s; ", errno == EOPNOTSUPP ? "disabled in the kernel" : strerror(errno));
	if (!confine_calls())
		buf_addf(why, "seccomp: %s; ", strerror(errno));
	return why->len == 0;
}
