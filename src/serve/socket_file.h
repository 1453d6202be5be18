/* SPDX-License-Identifier: MIT
 * The files of Unix sockets: stale ones are removed before a server binds its own, and its own ones are removed when
 * it stops.
 *
 * Root can bind in directories from which the user that it becomes can't remove files (/run, a sticky /tmp). For those,
 * a child that keeps root's rights waits for the request to remove the files, and does nothing else. */
#ifndef SERVE_SOCKET_FILE_H
#define SERVE_SOCKET_FILE_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/status.h"

struct conf_listen;

enum { SOCKET_FILES_MAX = 64 };

struct socket_files {
	struct socket_file {
		char *path;
		dev_t dev; /* identify the file that was created: another server's is left alone */
		ino_t ino;
	} files[SOCKET_FILES_MAX];
	unsigned count;
	pid_t remover;  /* the child; 0: none */
	int remover_fd; /* a byte makes it remove the files */
};

/* Removes the file of a socket that no process listens on. Fails if one does, or if the file is no socket. */
enum status socket_file_clear(const struct conf_listen *a, struct buf *why) MUST_CHECK;

/* To be called after bind(): remembers the file, for socket_files_remove(). Fails if there are too many. */
enum status socket_file_made(struct socket_files *f, const struct conf_listen *a, struct buf *why) MUST_CHECK;

/* To be called when all are created, before privileges are dropped: as root, starts the child. */
void socket_files_keep_rights(struct socket_files *f);

/* To be called after privileges were dropped: ends the child if it isn't needed. */
void socket_files_drop_rights(struct socket_files *f);

/* Called in a worker: forgets the child without ending it. */
void socket_files_forget(struct socket_files *f);

/* Removes the files, by way of the child if there is one. Failures are logged. */
void socket_files_remove(struct socket_files *f);

#endif
