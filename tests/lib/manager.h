/* SPDX-License-Identifier: MIT
 * A stand-in for the service manager: the socket that NOTIFY_SOCKET names. Removed at the end of the test. */
#ifndef LIB_MANAGER_H
#define LIB_MANAGER_H

struct manager;

/* name: a path, or @ and a name in the abstract namespace. */
struct manager *manager_new(const char *name);
/* Waits for a datagram with this line; a line that ends with an equals sign or a blank is a prefix. Returns the line.
 */
char *manager_await(struct manager *m, const char *line);
/* Discards the datagrams received so far. */
void manager_forget(struct manager *m);
/* Returns how many datagrams with such a line have been received since manager_forget() by manager_await(). */
unsigned manager_heard(const struct manager *m, const char *line);

#endif
