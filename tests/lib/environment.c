/* SPDX-License-Identifier: MIT
 * See environment.h. */
#include "environment.h"

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "suite.h"

void environment_plain(void)
{
	static const char *const kept[][2] = { { "ASAN_OPTIONS", "ASAN_OPTIONS" }, { "UBSAN_OPTIONS", "UBSAN_OPTIONS" },
		{ "TEST_PG_BINDIR", "POSTERN_PG_BINDIR" }, { "TEST_NOTIFY_SOCKET", "NOTIFY_SOCKET" },
		{ "TEST_PRELOAD", "LD_PRELOAD" } };
	enum { KEPT = sizeof(kept) / sizeof(kept[0]) };
	char *values[KEPT];
	const struct passwd *user = getpwuid(geteuid());
	for (size_t i = 0; i < KEPT; i++) {
		const char *value = getenv(kept[i][0]);
		values[i] = value != NULL && *value != '\0' ? strdup(value) : NULL;
	}
	clearenv();
	setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin", 1);
	setenv("HOME", user != NULL ? user->pw_dir : "/", 1);
	for (size_t i = 0; i < KEPT; i++)
		if (values[i] != NULL)
			setenv(kept[i][1], values[i], 1);
}

/* Returns true if every user may enter the directory. */
static bool is_open(const char *dir)
{
	char path[1024];
	struct stat st;
	if (snprintf(path, sizeof(path), "%s/", dir) >= (int)sizeof(path))
		return false;
	for (char *slash = path; (slash = strchr(slash + 1, '/')) != NULL; *slash = '/') {
		*slash = '\0';
		if (stat(path, &st) < 0 || (st.st_mode & S_IXOTH) == 0)
			return false;
	}
	return true;
}

const char *postgres_bindir(int major)
{
	const char *top = getenv("TOP_SRCDIR");
	char *name = format("%s/tests/postgres/node_modules/postgresql-%d/native/bin", top != NULL ? top : ".", major);
	char *dir = realpath(name, NULL);
	if (dir == NULL)
		return NULL;
	on_teardown(free, dir);
	return geteuid() != 0 || is_open(dir) ? dir : NULL;
}
