/* SPDX-License-Identifier: MIT
 * See cluster_log.h. */
#include "pg/cluster_log.h"

#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"

enum { BYTES_MAX = 16 << 20, LINES_A_LOOK = 200 };

int cluster_log_open(const char *path, off_t *ret_from)
{
	struct stat st;
	char old[PATH_MAX];
	if (stat(path, &st) == 0 && st.st_size > BYTES_MAX &&
		snprintf(old, sizeof(old), "%s.1", path) < (int)sizeof(old))
		rename(path, old);
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	*ret_from = fd >= 0 ? lseek(fd, 0, SEEK_END) : 0;
	return fd;
}

/* Returns what follows "FATAL: " and the like; NULL: the line reports no error. */
static const char *error_text(const char *line)
{
	static const char *const marks[] = { "FATAL:", "PANIC:", "error:" };
	for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
		const char *p = strstr(line, marks[i]);
		if (p != NULL)
			return p + strlen(marks[i]) + strspn(p + strlen(marks[i]), " ");
	}
	return NULL;
}

void cluster_log_reason(const char *path, off_t from, struct buf *why)
{
	char line[512], reason[512] = "";
	bool has_error = false;
	FILE *f = fopen(path, "re");
	if (f != NULL && fseeko(f, from, SEEK_SET) == 0)
		while (fgets(line, sizeof(line), f) != NULL) {
			const char *p = error_text(line);
			if (p != NULL || !has_error) /* without an error, the last line is used */
				snprintf(reason, sizeof(reason), "%s", p != NULL ? p : line);
			has_error |= p != NULL;
		}
	if (f != NULL)
		fclose(f);
	reason[strcspn(reason, "\n")] = '\0';
	buf_addf(why, "%s%s(see %s)", reason, *reason != '\0' ? " " : "", path);
}

/* "2026-01-31 12:00:00.000 UTC [123] FATAL:  the database system is shutting down" */
static void pass_on(const char *line)
{
	static const struct {
		const char *mark, *name;
		enum log_level level;
	} severities[] = { { "] PANIC:", "PANIC", LOG_ERROR }, { "] FATAL:", "FATAL", LOG_WARN },
		{ "] LOG:", "LOG", LOG_DEBUG } };
	for (size_t i = 0; i < sizeof(severities) / sizeof(severities[0]); i++) {
		const char *p = strstr(line, severities[i].mark);
		if (p == NULL)
			continue;
		p += strlen(severities[i].mark);
		log_event(severities[i].level, "PostgreSQL", F("severity", severities[i].name),
			F("text", p + strspn(p, " ")));
		return;
	}
	log_event(LOG_DEBUG, "PostgreSQL", F("text", line));
}

void cluster_log_follow(const char *path, off_t *at)
{
	struct stat st;
	char line[1024];
	FILE *f = stat(path, &st) == 0 && st.st_size != *at ? fopen(path, "re") : NULL;
	if (f == NULL)
		return;
	if (st.st_size < *at) /* the file was replaced */
		*at = 0;
	if (fseeko(f, *at, SEEK_SET) == 0)
		for (int i = 0; i < LINES_A_LOOK && fgets(line, sizeof(line), f) != NULL; i++) {
			size_t len = strcspn(line, "\n");
			if (line[len] == '\0' && len + 1 < sizeof(line)) /* the rest is still being written */
				break;
			*at = ftello(f);
			line[len] = '\0';
			pass_on(line);
		}
	fclose(f);
}
