/* SPDX-License-Identifier: MIT
 * See files.h. */
#include "pg/files.h"

#include <libpq-fe.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

static const char *const keywords[] = { "passfile", "sslcert", "sslkey", "sslrootcert", "sslcrl", "sslcrldir",
	"servicefile", "sslkeylogfile" };
static const char *const variables[] = { "PGSERVICEFILE", "PGSYSCONFDIR", "KRB5_CONFIG", "KRB5_KTNAME" };
static const char *const usual[] = { ".postgresql", ".pgpass", ".pg_service.conf" };

static void add_options(PQconninfoOption *options, void (*on_file)(void *arg, const char *name), void *arg)
{
	for (PQconninfoOption *o = options; o != NULL && o->keyword != NULL; o++)
		for (size_t i = 0; i < sizeof(keywords) / sizeof(keywords[0]); i++)
			if (strcmp(o->keyword, keywords[i]) == 0 && o->val != NULL && *o->val == '/')
				on_file(arg, o->val);
	PQconninfoFree(options);
}

static void add_usual(const char *home, void (*on_file)(void *arg, const char *name), void *arg)
{
	for (size_t i = 0; home != NULL && *home == '/' && i < sizeof(usual) / sizeof(usual[0]); i++) {
		char *name = mem_format("%s/%s", home, usual[i]);
		on_file(arg, name);
		free(name);
	}
}

void pg_files(const char *conninfo, void (*on_file)(void *arg, const char *name), void *arg)
{
	const struct passwd *user = getpwuid(geteuid());
	add_options(PQconninfoParse(conninfo, NULL), on_file, arg);
	add_options(PQconndefaults(), on_file, arg);
	for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++) {
		const char *value = getenv(variables[i]);
		if (value != NULL && strncmp(value, "FILE:", 5) == 0)
			value += 5;
		if (value != NULL && *value == '/')
			on_file(arg, value);
	}
	/* Versions of libpq differ in which of the two they use. */
	add_usual(getenv("HOME"), on_file, arg);
	add_usual(user != NULL ? user->pw_dir : NULL, on_file, arg);
}
