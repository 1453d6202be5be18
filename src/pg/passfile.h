/* SPDX-License-Identifier: MIT
 * libpq's password file (passfile in a connection string, PGPASSFILE), for a server that is started as root: libpq
 * reads it at every connection, and the user that the server becomes may not be able to. So it is opened before, and
 * copied into memory after. */
#ifndef PG_PASSFILE_H
#define PG_PASSFILE_H

/* Opens the file that the conninfo or the environment names. Returns -1 if none is named or it can't be read. */
int passfile_open(const char *conninfo);

/* As the user that will connect. Takes fd. If the file can't be opened any more, gives a conninfo that names a copy in
 * memory, good for this process and those that it forks; free it. NULL: conninfo does as it is. */
char *passfile_keep(const char *conninfo, int fd);

#endif
