/* SPDX-License-Identifier: MIT
 * The hosts of a conninfo, one by one, as libpq understands them: lists in host, hostaddr and port, a service file, the
 * environment. */
#ifndef PG_HOSTS_H
#define PG_HOSTS_H

#include <libpq-fe.h>
#include <stdbool.h>

#include "base/buf.h"
#include "base/status.h"

enum { HOSTS_MAX = 32, HOSTS_KEYS = 96 };

struct host {
	char *name;    /* a host name, an address, or a socket's directory; NULL: libpq's default */
	char *address; /* hostaddr; NULL: none */
	char *port;    /* NULL: libpq's default */
};

struct hosts {
	struct host list[HOSTS_MAX];
	unsigned count;
	unsigned timeout_s;                          /* connect_timeout; 0: unset */
	bool any_order;                              /* load_balance_hosts=random */
	char *session_attrs;                         /* target_session_attrs; NULL: any */
	char *keys[HOSTS_KEYS], *values[HOSTS_KEYS]; /* everything else in the conninfo */
	unsigned keys_count;
};

enum status hosts_parse(struct hosts *h, const char *conninfo, struct buf *why) MUST_CHECK;
void hosts_release(struct hosts *h);

/* Returns true if the host's name must be resolved before connecting. */
bool host_needs_lookup(const struct host *host);
/* Starts connecting to that host. address: what its name was resolved to; NULL: use the name. attrs NULL: any. */
PGconn *hosts_connect(const struct hosts *h, const struct host *host, const char *address, const char *attrs);
#endif
