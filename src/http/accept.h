/* SPDX-License-Identifier: MIT
 * The listening sockets of a worker: accepts connections for the server, turns them away when it is full, and shares
 * sockets with other workers. Only server.c includes it. */
#ifndef HTTP_ACCEPT_H
#define HTTP_ACCEPT_H

#include <stdbool.h>

struct acceptor;
struct http_server;
struct loop;
struct metrics;

struct acceptor *acceptor_new(struct http_server *server, struct loop *loop, struct metrics *metrics);
void acceptor_free(struct acceptor *a); /* after acceptor_stop() */

/* The descriptor stays the caller's. is_metrics: the port for operators, which accepts even when the server is full.
 * is_shared: other workers accept from it as well. */
void acceptor_listen(struct acceptor *a, int fd, bool is_metrics, bool is_shared);
void acceptor_stop(struct acceptor *a); /* may be called again */

void acceptor_turn(struct acceptor *a);  /* at the end of each turn of the loop */
void acceptor_sweep(struct acceptor *a); /* by a timer: ends old lingering connections */

/* Discards what the client still sends on fd, and closes it when the client has closed its side, after a few seconds
 * or some MiB, or earlier if there are many: if it were closed at once, these bytes would reset the connection before
 * the answer is read. */
void acceptor_linger(struct acceptor *a, int fd);

#endif
