/* SPDX-License-Identifier: MIT
 * The findings of `postern doctor`. Each check is about one thing and reports one or several findings; none of them
 * changes anything that a user would notice. */
#ifndef CLI_DOCTOR_H
#define CLI_DOCTOR_H

#include <stdbool.h>

#include "base/log.h"

struct conf;

enum finding { FINDING_OK, FINDING_WARNING, FINDING_FAILURE };

struct doctor {
	const struct conf *conf;
	bool as_json;
	unsigned warnings, failures;
};

/* Prints a finding of the check `area`: what was seen, and what to do about it (advice; NULL: nothing). */
void doctor_report(struct doctor *d, enum finding f, const char *area, const char *advice, const char *fmt, ...)
	PRINTF_LIKE(5, 6);

/* This machine: free space of the state directory, clock, open files, memory. As root it stays root. */
void doctor_check_host(struct doctor *d);

/* How the processes of the server with this process id are confined; 0: none runs. */
void doctor_check_process(struct doctor *d, long server);
/* Returns the process id of the server that holds the state directory; 0: none is visible. */
long doctor_running_server(const struct conf *conf);

/* Checks the addresses to listen on, public_url, and the reverse proxy's files. */
void doctor_check_ports(struct doctor *d);
void doctor_check_public_url(struct doctor *d);
void doctor_check_proxies(struct doctor *d, const char *file); /* file: only that one; NULL: those of this machine */

/* Checks the database of the settings. As root it becomes the state directory's owner, for good: the last check. */
void doctor_check_database(struct doctor *d);

#endif
