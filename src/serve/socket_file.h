/* SPDX-License-Identifier: MIT
 * The names of Unix sockets in the file system: stale ones go before a server binds its own, and its own go at the
 * stop.
 *
 * Root may bind where the user that it becomes can't remove anything (/run, a sticky /tmp). Then a child that keeps
 * root's rights waits for the word to remove the files, and does nothing else. */
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
		dev_t dev; /* what we have made: of another server's socket we keep off */
		ino_t ino;
	} files[SOCKET_FILES_MAX];
	unsigned count;
	pid_t remover;  /* 0: none */
	int remover_fd; /* a byte says that it is time */
};

/* Removes the name of a socket that nobody listens on; refuses when somebody does, or when it is something else. */
enum status socket_file_clear(const struct conf_listen *a, struct buf *why) MUST_CHECK;
/* After bind(): it is to be removed at the end. */
enum status socket_file_made(struct socket_files *f, const struct conf_listen *a, struct buf *why) MUST_CHECK;

/* As root, before privileges are dropped, when all are made. */
void socket_files_keep_rights(struct socket_files *f);
/* After privileges were dropped: no need to keep them if we can do without. */
void socket_files_settle(struct socket_files *f);
/* In a child: it has nothing to do with them. */
void socket_files_forget(struct socket_files *f);

void socket_files_remove(struct socket_files *f);

#endif
