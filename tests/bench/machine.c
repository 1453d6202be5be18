/* SPDX-License-Identifier: MIT
 * See machine.h. */
#include "machine.h"

#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "bench.h"

/* Appends the label and the first line that the command prints; appends nothing if the command fails. */
static void add_version(char *out, size_t size, const char *label, const char *command)
{
	char line[160] = "";
	FILE *p = popen(command, "r");
	bool has = p != NULL && fgets(line, sizeof(line), p) != NULL;
	if (p != NULL)
		pclose(p);
	line[strcspn(line, "\n")] = '\0';
	if (has && *line != '\0')
		snprintf(out + strlen(out), size - strlen(out), "; %s%s", label, line);
}

static void cpu_model(char *out, size_t size)
{
	char line[256];
	FILE *f = fopen("/proc/cpuinfo", "r");
	snprintf(out, size, "unknown CPU");
	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		if (strncmp(line, "model name", 10) == 0) {
			snprintf(out, size, "%s", strchr(line, ':') + 2);
			out[strcspn(out, "\n")] = '\0';
			break;
		}
	if (f != NULL)
		fclose(f);
}

void machine_describe(char *out, size_t size)
{
	struct utsname u;
	char command[600];
	uname(&u);
	cpu_model(out, size);
	snprintf(out + strlen(out), size - strlen(out), ", %ld cores, %.0f GB; Linux %s", sysconf(_SC_NPROCESSORS_ONLN),
		(double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE) / 1e9, u.release);
	snprintf(command, sizeof(command), "'%s' --version 2>/dev/null", settings.server);
	add_version(out, size, "", command);
	add_version(out, size, "", "pg_config --version 2>/dev/null");
	add_version(out, size, "", "/usr/sbin/nginx -v 2>&1 | sed -n 's,^nginx version: nginx/,nginx ,p'");
	add_version(out, size, "Nchan ", "dpkg-query -W -f '${Version}' libnginx-mod-nchan 2>/dev/null");
	add_version(out, size, "Node ", "node --version 2>/dev/null");
}

void machine_commit(char *out, size_t size)
{
	char command[600], found[200] = "";
	snprintf(command, sizeof(command), "git -C '%s' rev-parse --short=10 HEAD 2>/dev/null", settings.folder);
	add_version(found, sizeof(found), "", command);
	snprintf(out, size, "%s", *found != '\0' ? found + 2 : "");
}
