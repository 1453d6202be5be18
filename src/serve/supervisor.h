/* SPDX-License-Identifier: MIT
 * `postern serve`: the process that owns the listening sockets and the private database, and keeps workers running. */
#ifndef SERVE_SUPERVISOR_H
#define SERVE_SUPERVISOR_H

struct conf;
struct service;

/* Until SIGTERM or SIGINT. Returns the exit status. secret_setup() was called; nothing has been forked yet. */
int supervisor_run(struct conf *conf, const struct service *service);

#endif
