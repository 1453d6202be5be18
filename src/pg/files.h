/* SPDX-License-Identifier: MIT
 * The files that libpq reads for a connection: certificates, keys, passwords, services. For a process that has to name
 * the files that it needs. */
#ifndef PG_FILES_H
#define PG_FILES_H

/* Calls on_file with each that the connection string, the environment and the home directory name, whether or not it
 * exists. */
void pg_files(const char *conninfo, void (*on_file)(void *arg, const char *name), void *arg);

#endif
