/* SPDX-License-Identifier: MIT
 * See environment.h. */
#include "environment.h"

#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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
