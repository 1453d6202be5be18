/* SPDX-License-Identifier: MIT
 * See bindir.h. */
#include "pg/bindir.h"

#include <glob.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

enum { MAJOR_MIN = 15 };

/* What is being looked for, and the best so far. */
struct search {
	int wanted, found;
	char *out;
};

/* The first line that a command prints, without its end. */
static bool first_line(const char *command, char *out, size_t size)
{
	FILE *f = popen(command, "re");
	if (f == NULL)
		return false;
	bool got = fgets(out, (int)size, f) != NULL;
	pclose(f);
	if (got)
		out[strcspn(out, "\r\n")] = '\0';
	return got;
}

/* 0: there is no server in dir, or it doesn't run. */
static int major_version(const char *dir)
{
	char path[BINDIR_SIZE + 16], command[BINDIR_SIZE + 48], line[128];
	int major;
	snprintf(path, sizeof(path), "%s/initdb", dir);
	if (*dir != '/' || strpbrk(dir, "'\\") != NULL || access(path, X_OK) < 0)
		return 0;
	snprintf(path, sizeof(path), "%s/postgres", dir);
	if (access(path, X_OK) < 0)
		return 0;
	snprintf(command, sizeof(command), "'%s' -V 2>/dev/null", path);
	return first_line(command, line, sizeof(line)) && sscanf(line, "postgres (PostgreSQL) %d", &major) == 1 ? major : 0;
}

/* Returns whether the search is over. */
static bool consider(struct search *s, const char *dir)
{
	int major = *dir != '\0' ? major_version(dir) : 0;
	if (major == 0)
		return false;
	log_debug("PostgreSQL %d is in %s", major, dir);
	if (s->wanted != 0 ? major != s->wanted : major < MAJOR_MIN) {
		if (s->found == 0)
			s->found = -major;
		return false;
	}
	s->found = major;
	snprintf(s->out, BINDIR_SIZE, "%s", dir);
	return true;
}

/* Debian and Red Hat, the newest first: glob sorts 9.6 behind 15, but nothing below 10 matters. */
static bool consider_installed(struct search *s)
{
	static const char *const patterns[] = { "/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", NULL };
	bool over = false;
	for (const char *const *p = patterns; *p != NULL && !over; p++) {
		glob_t g;
		if (glob(*p, 0, NULL, &g) != 0)
			continue;
		for (size_t i = g.gl_pathc; i-- > 0 && !over;)
			over = consider(s, g.gl_pathv[i]);
		globfree(&g);
	}
	return over;
}

static bool consider_path(struct search *s)
{
	char path[4096], *rest = NULL;
	snprintf(path, sizeof(path), "%s", getenv("PATH") != NULL ? getenv("PATH") : "");
	for (char *dir = strtok_r(path, ":", &rest); dir != NULL; dir = strtok_r(NULL, ":", &rest))
		if (consider(s, dir))
			return true;
	return false;
}

enum status bindir_find(int major, char out[BINDIR_SIZE], struct buf *why)
{
	struct search s = { .wanted = major, .out = out };
	char dir[BINDIR_SIZE];
#ifdef PG_BINDIR
	if (consider(&s, PG_BINDIR))
		return ST_OK;
#endif
	if ((first_line("pg_config --bindir 2>/dev/null", dir, sizeof(dir)) && consider(&s, dir)) || consider_installed(&s) || consider_path(&s))
		return ST_OK;
	if (major != 0)
		buf_addf(why, "the data in the state directory are PostgreSQL %d's, which isn't installed: install it, or move the data to another version with pg_upgrade", major);
	else if (s.found < 0)
		buf_addf(why, "PostgreSQL %d is too old: install %d or newer, or use another server with --database", -s.found, MAJOR_MIN);
	else
		buf_addf(why, "PostgreSQL's programs (initdb, postgres) aren't installed: install version %d or newer, or use another server with --database", MAJOR_MIN);
	return ST_REFUSED;
}
