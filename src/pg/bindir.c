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
#include "pg/version.h"

static const char *const server_programs[] = { "postgres", "initdb", NULL };

/* The version to find, and the best match so far. */
struct search {
	const char *const *programs; /* the programs that a directory must have; the first one tells its version */
	int wanted;                  /* 0: any */
	bool or_newer;               /* a newer version is accepted too, the next one first */
	bool newest;                 /* find the newest version, up to the newest tested one */
	int found;                   /* the version in out; 0: none yet */
	bool newer_seen;             /* a newer version than the wanted one was found, and not accepted */
	struct buf others;           /* "14 in /usr/…, 18 in /opt/…": versions that don't fit */
	char *out;
};

/* Reads the first line that a command prints, without its newline. */
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

/* Returns the major version of the first program; 0: one of them is missing, or the first doesn't run. */
static int version_in(const char *dir, const char *const *programs)
{
	char path[BINDIR_PROGRAM_SIZE], command[BINDIR_PROGRAM_SIZE + 32], line[128], known[48];
	int major;
	if (*dir != '/' || strlen(dir) >= BINDIR_SIZE || strpbrk(dir, "'\\") != NULL)
		return 0;
	for (const char *const *p = programs; *p != NULL; p++) {
		snprintf(path, sizeof(path), "%s/%s", dir, *p);
		if (access(path, X_OK) < 0)
			return 0;
	}
	snprintf(command, sizeof(command), "'%s/%s' -V 2>/dev/null", dir, programs[0]);
	int len = snprintf(known, sizeof(known), "%s (PostgreSQL) ", programs[0]);
	return first_line(command, line, sizeof(line)) && strncmp(line, known, (size_t)len) == 0 &&
			sscanf(line + len, "%d", &major) == 1
		? major
		: 0;
}

int bindir_version(const char *dir) { return version_in(dir, server_programs); }

/* For the error message when no version fits. A directory may be found in several ways. */
static void add_to_others(struct search *s, int major, const char *dir)
{
	char entry[BINDIR_SIZE + 16];
	int len = snprintf(entry, sizeof(entry), "%d in %s", major, dir);
	const char *found = s->others.data != NULL ? strstr(s->others.data, entry) : NULL;
	if (found == NULL || (found[len] != '\0' && found[len] != ','))
		buf_addf(&s->others, "%s%s", s->others.len > 0 ? ", " : "", entry);
}

/* Returns true if the search is over. A version newer than the tested ones is used only if there is no tested one. */
static bool try_directory(struct search *s, const char *dir)
{
	int major = *dir != '\0' ? version_in(dir, s->programs) : 0;
	if (major == 0)
		return false;
	log_debug("%s of PostgreSQL %d is in %s", s->programs[0], major, dir);
	bool will_do = s->newest ? major >= VERSION_MAJOR_MIN && major <= VERSION_MAJOR_TESTED
		: s->wanted == 0 ? major >= VERSION_MAJOR_MIN
		: s->or_newer    ? major >= s->wanted
				 : major == s->wanted;
	if (!will_do) {
		s->newer_seen |= major > s->wanted;
		add_to_others(s, major, dir);
		return false;
	}
	bool is_best = s->wanted != 0 ? major == s->wanted : !s->newest && major <= VERSION_MAJOR_TESTED;
	if (is_best || s->found == 0 || (s->or_newer && major < s->found) || (s->newest && major > s->found)) {
		s->found = major;
		snprintf(s->out, BINDIR_SIZE, "%s", dir);
	}
	return is_best;
}

/* Debian and Red Hat, the newest first: glob sorts 9.6 behind 15, but nothing below 10 matters. */
static bool try_installed(struct search *s)
{
	static const char *const patterns[] = { "/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", NULL };
	bool over = false;
	for (const char *const *p = patterns; *p != NULL && !over; p++) {
		glob_t g;
		if (glob(*p, 0, NULL, &g) != 0)
			continue;
		for (size_t i = g.gl_pathc; i-- > 0 && !over;)
			over = try_directory(s, g.gl_pathv[i]);
		globfree(&g);
	}
	return over;
}

static bool try_path(struct search *s)
{
	char path[4096], *rest = NULL;
	snprintf(path, sizeof(path), "%s", getenv("PATH") != NULL ? getenv("PATH") : "");
	for (char *dir = strtok_r(path, ":", &rest); dir != NULL; dir = strtok_r(NULL, ":", &rest))
		if (try_directory(s, dir))
			return true;
	return false;
}

static void search_everywhere(struct search *s)
{
	char dir[BINDIR_SIZE];
#ifdef PG_BINDIR
	if (try_directory(s, PG_BINDIR))
		return;
#endif
	if (first_line("pg_config --bindir 2>/dev/null", dir, sizeof(dir)) && try_directory(s, dir))
		return;
	if (!try_installed(s))
		(void)try_path(s);
}

static void explain(const struct search *s, struct buf *why)
{
	if (s->wanted != 0)
		buf_addf(why,
			"the data in the state directory are PostgreSQL %d's, whose programs (initdb, postgres) aren't "
			"found",
			s->wanted);
	else
		buf_addf(why, "the programs (initdb, postgres) of PostgreSQL %d to %d aren't found", VERSION_MAJOR_MIN,
			VERSION_MAJOR_TESTED);
	if (s->others.data != NULL && s->others.len > 0)
		buf_addf(why, "; there is %s", s->others.data);
	if (s->wanted == 0)
		buf_adds(why,
			": install them, or say where they are with pg_bindir, or use another server with --database");
	else
		buf_addf(why,
			": install them (Debian: apt-get install postgresql-%d), or say where they are with pg_bindir",
			s->wanted);
	if (s->wanted != 0 && s->newer_seen)
		buf_adds(why,
			"; to go on with the newer version, run `postern upgrade-database` when both are installed: it "
			"moves the data, and needs the old programs once more");
}

enum status bindir_find(const char *preferred, int major, char out[BINDIR_SIZE], struct buf *why)
{
	struct search s = { .programs = server_programs, .wanted = major, .out = out };
	int version = preferred != NULL ? bindir_version(preferred) : 0;
	if (preferred != NULL && version == 0) {
		buf_addf(why,
			"pg_bindir %s: there are no initdb and postgres that run; it is an absolute name such as "
			"/usr/lib/postgresql/%d/bin",
			preferred, VERSION_MAJOR_MIN);
		return ST_REFUSED;
	}
	if (version != 0 && (major == 0 || version == major)) {
		snprintf(out, BINDIR_SIZE, "%s", preferred);
		return version_check(version, why);
	}
	buf_init(&s.others, 4096);
	if (version != 0)
		(void)try_directory(&s, preferred);
	search_everywhere(&s);
	if (s.found == 0)
		explain(&s, why);
	else if (version != 0)
		log_warn("the data in the state directory has the version PostgreSQL %d, but pg_bindir has version %d: "
			 "using %s",
			major, version, out);
	buf_release(&s.others);
	return s.found != 0 ? version_check(s.found, why) : ST_REFUSED;
}

int bindir_find_program(
	const char *preferred, const char *name, int major, char out[BINDIR_PROGRAM_SIZE], struct buf *why)
{
	char dir[BINDIR_SIZE];
	struct search s = {
		.programs = (const char *const[]) { name, NULL }, .wanted = major, .or_newer = true, .out = dir
	};
	buf_init(&s.others, 4096);
	if (preferred == NULL || !try_directory(&s, preferred))
		search_everywhere(&s);
	if (s.found != 0)
		snprintf(out, BINDIR_PROGRAM_SIZE, "%s/%s", dir, name);
	else
		buf_addf(why,
			"%s of PostgreSQL %d, or a newer one, isn't found%s%s: install it (Debian: "
			"postgresql-client-%d), or say "
			"where it is with pg_bindir",
			name, major, s.others.len > 0 ? "; there is " : "", s.others.len > 0 ? s.others.data : "",
			major);
	buf_release(&s.others);
	return s.found;
}

int bindir_newest(char out[BINDIR_SIZE])
{
	struct search s = { .programs = server_programs, .newest = true, .out = out };
	buf_init(&s.others, 4096);
	search_everywhere(&s);
	buf_release(&s.others);
	return s.found;
}
