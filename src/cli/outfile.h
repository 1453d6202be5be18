/* SPDX-License-Identifier: MIT
 * A file that exists in full or not at all: it is written under another name in the same directory, flushed to disk,
 * and renamed. A child process writes it, for two reasons: it may change from root to the database's user while its
 * parent can still rename in a directory of root's; and a signal can end it at any point, after which the parent
 * removes what was written. */
#ifndef CLI_OUTFILE_H
#define CLI_OUTFILE_H

#include <stdbool.h>
#include <sys/types.h>

/* Runs work(fd, arg) in a child, fd being empty, open for reading and writing, and of mode 0600. Its result is an exit
 * status: 0 puts the file in place; otherwise no file is left, and work has printed why. An existing file is refused
 * unless `replace`. Returns the exit status; *ret_size is the file's when that is 0. After a SIGINT, SIGTERM, SIGHUP or
 * SIGQUIT it ends this process by that signal. */
int outfile_write(const char *path, bool replace, int (*work)(int fd, void *arg), void *arg, off_t *ret_size);

#endif
