/* SPDX-License-Identifier: MIT
 * Confines a worker to what it needs to serve, for the case that an attacker gets it to run their code: a filter of
 * system calls (seccomp), and where the kernel has it, Landlock for files. The worker can't execute programs, make
 * processes, open files for writing, or read files that it doesn't need; it can still do everything on the connections
 * that it has, and make new ones.
 *
 * Needs no_new_privs (base/privileges.h). It can't be undone, and holds for later threads. */
#ifndef SERVE_CONFINE_H
#define SERVE_CONFINE_H

#include <stdbool.h>

struct buf;

/* To be called in a new worker that has no thread yet. conninfo, read_conninfo: of the databases (the latter may be
 * NULL), for the files that libpq reads. state: the state directory, which it may not read; NULL: none. Returns false
 * if a part can't be put in force, as in a container without the permission; why says which. */
bool confine_worker(const char *conninfo, const char *read_conninfo, const char *state, struct buf *why);

/* The parts, for confine_worker(). Each returns false with errno set. */

bool confine_calls(void);

/* A directory with everything in it, or a file, that may be read. A NULL name or one that doesn't exist is left out. */
struct confine_files;
struct confine_files *confine_files_new(void); /* NULL: errno says why */
void confine_files_add(struct confine_files *f, const char *name);
/* Lets the process read what was added, and frees f. */
bool confine_files_enter(struct confine_files *f);

#endif
