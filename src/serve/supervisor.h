/* SPDX-License-Identifier: MIT
 * `postern serve`: the process that owns the listening sockets and the private database, and keeps workers running. */
#ifndef SERVE_SUPERVISOR_H
#define SERVE_SUPERVISOR_H

struct conf;
struct service;

/* Runs until SIGTERM or SIGINT, or until the start fails. Returns the exit status. secret_setup() must have been
 * called, and nothing may have been forked. A SIGHUP changes conf. */
int supervisor_run(struct conf *conf, const struct service *service);

#endif
