/* SPDX-License-Identifier: MIT
 * The configuration of the private PostgreSQL. */
#ifndef PG_CLUSTER_CONF_H
#define PG_CLUSTER_CONF_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/status.h"

bool cluster_conf_version(const char *data, int *ret_major); /* false: there is no cluster */
const char *cluster_conf_locale(void);                       /* C.UTF-8, else C */
char *cluster_conf_conninfo(const char *run);                /* free it */

/* Called once in a new cluster: makes its postgresql.conf include Postern's file, durably. */
enum status cluster_conf_include(const char *data, struct buf *why) MUST_CHECK;
/* Called before every start, since the content depends on the machine. */
enum status cluster_conf_write(const char *data, struct buf *why) MUST_CHECK;

#endif
