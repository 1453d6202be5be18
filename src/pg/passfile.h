/* SPDX-License-Identifier: MIT
 * libpq's password file (passfile in a connection string, PGPASSFILE), for a server that is started as root: libpq
 * reads it for every connection, and the user that the server changes to may not be allowed to. So it is opened before
 * the change, and copied into memory after it. */
#ifndef PG_PASSFILE_H
#define PG_PASSFILE_H

/* Opens the file that the conninfo or the environment names. Returns -1 if none is named or it can't be read. */
int passfile_open(const char *conninfo);

/* Called as the user that will connect. Closes fd. If that user can't open the file, returns a conninfo that names a
 * copy in memory, valid for this process and its children; the caller frees it. NULL: conninfo can be used as it is. */
char *passfile_keep(const char *conninfo, int fd);

#endif
