/* SPDX-License-Identifier: MIT
 * See passfile.h. */
#include "pg/passfile.h"

#include <fcntl.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "pg/sync.h"

enum { COPY_MAX = 1 << 20 };

/* The caller frees it; NULL: none. */
static char *name_of(const char *conninfo)
{
	char *error = NULL, *path = NULL;
	const char *env = getenv("PGPASSFILE");
	PQconninfoOption *given = PQconninfoParse(conninfo, &error);
	for (PQconninfoOption *o = given; o != NULL && o->keyword != NULL; o++)
		if (strcmp(o->keyword, "passfile") == 0 && o->val != NULL && *o->val != '\0')
			path = mem_strdup(o->val);
	PQconninfoFree(given);
	PQfreemem(error);
	return path == NULL && env != NULL && *env != '\0' ? mem_strdup(env) : path;
}

int passfile_open(const char *conninfo)
{
	char *path = name_of(conninfo);
	int fd = path != NULL ? open(path, O_RDONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC) : -1;
	free(path);
	return fd;
}

/* Returns the descriptor of a copy that libpq accepts: a regular file that only this user can read. -1: failed, errno
 * is set. */
static int copy(int fd)
{
	char *text = mem_alloc(COPY_MAX);
	int memory = memfd_create("postern passfile", MFD_CLOEXEC);
	ssize_t n = read(fd, text, COPY_MAX);
	bool ok = memory >= 0 && n >= 0 && n < COPY_MAX && fchmod(memory, 0600) == 0 &&
		write(memory, text, (size_t)n) == n;
	explicit_bzero(text, COPY_MAX);
	free(text);
	if (ok)
		return memory;
	if (memory >= 0)
		close(memory);
	return -1;
}

static char *with_passfile(const char *conninfo, int memory)
{
	char *error = NULL, path[32];
	struct buf b;
	PQconninfoOption *given = PQconninfoParse(conninfo, &error);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", memory);
	buf_init(&b, 64 * 1024);
	for (PQconninfoOption *o = given; o != NULL && o->keyword != NULL; o++)
		if (o->val != NULL && strcmp(o->keyword, "passfile") != 0)
			sync_add_keyword(&b, o->keyword, o->val);
	sync_add_keyword(&b, "passfile", path);
	PQconninfoFree(given);
	PQfreemem(error);
	return buf_detach(&b, NULL);
}

char *passfile_keep(const char *conninfo, int fd)
{
	struct stat st;
	char *path = name_of(conninfo), *result = NULL;
	/* libpq refuses a file that others may read, with a message of its own. */
	if (path != NULL && access(path, R_OK) < 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
		!(st.st_mode & (S_IRWXG | S_IRWXO))) {
		int memory = copy(fd);
		if (memory >= 0)
			result = with_passfile(conninfo, memory);
		else
			log_warn("%s can't be kept open for the time after root's rights are given up", path);
	}
	free(path);
	close(fd);
	return result;
}
