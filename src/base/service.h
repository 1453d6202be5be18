/* SPDX-License-Identifier: MIT
 * The protocol between a service manager and its services: sd_notify(3), sd_listen_fds(3), sd_watchdog_enabled(3). The
 * protocols are a datagram and a few variables, so that libsystemd isn't needed.
 *
 * The variables are meant for one process. service_init() removes them from the environment, since child processes use
 * them too: PostgreSQL would report READY=1 for this service. */
#ifndef BASE_SERVICE_H
#define BASE_SERVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/status.h"

enum { SERVICE_FDS_MAX = 64 };

struct service {
	struct sockaddr_un manager; /* sun_family is 0: there is no service manager */
	socklen_t manager_len;
	uint64_t watchdog_ms; /* the interval of its watchdog; 0: none */
	int fds_end;          /* the first descriptor after those that were passed */
	unsigned fd_count;    /* of sockets that were passed */
	int fds[SERVICE_FDS_MAX];
	bool for_metrics[SERVICE_FDS_MAX]; /* by FileDescriptorName=metrics */
};

/* In main(), before anything else. Passed descriptors become close-on-exec. */
void service_init(struct service *s);

/* Sends the service manager lines of NAME=VALUE, separated by newlines. Does nothing when there is no manager. */
void service_notify(const struct service *s, const char *fmt, ...) PRINTF_LIKE(2, 3);

#endif
