/* SPDX-License-Identifier: MIT
 * A service manager, as far as its services see of it: the socket that NOTIFY_SOCKET names. It goes with the test. */
#ifndef LIB_MANAGER_H
#define LIB_MANAGER_H

struct manager;

/* name: a path, or @ and a name in the abstract namespace. */
struct manager *manager_new(const char *name);
/* Waits for a datagram that has this line, or one that begins so if it ends with an equals sign or a blank. Gives the
 * line. */
char *manager_await(struct manager *m, const char *line);
/* Forgets what has come so far. */
void manager_forget(struct manager *m);
/* How many datagrams with such a line have come since then, as far as they have been waited for. */
unsigned manager_heard(const struct manager *m, const char *line);

#endif
