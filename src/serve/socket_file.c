/* SPDX-License-Identifier: MIT
 * See socket_file.h. */
#include "serve/socket_file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "conf/conf.h"

static enum status failed(struct buf *why, const struct conf_listen *a)
{
	buf_addf(why, "listening on %s: %s", a->text,
		errno == EADDRINUSE ? "another server is using this address" : strerror(errno));
	return ST_SYSTEM;
}

enum status socket_file_clear(const struct conf_listen *a, struct buf *why)
{
	struct stat st;
	if (lstat(a->addr.un.sun_path, &st) < 0)
		return errno == ENOENT ? ST_OK : failed(why, a);
	if (!S_ISSOCK(st.st_mode)) {
		buf_addf(why, "listening on %s: there is another file with that name", a->text);
		return ST_REFUSED;
	}
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return failed(why, a);
	int error = connect(fd, &a->addr.sa, a->len) == 0 ? EADDRINUSE : errno;
	close(fd);
	if (error == ECONNREFUSED) /* nobody listens any more */
		return unlink(a->addr.un.sun_path) == 0 ? ST_OK : failed(why, a);
	errno = error == EAGAIN ? EADDRINUSE : error; /* EAGAIN: a server whose queue is full */
	return failed(why, a);
}

enum status socket_file_made(struct socket_files *f, const struct conf_listen *a, struct buf *why)
{
	struct stat st;
	if (f->count == SOCKET_FILES_MAX) {
		buf_addf(why, "listening on %s: more than %d Unix sockets", a->text, SOCKET_FILES_MAX);
		return ST_REFUSED;
	}
	if (lstat(a->addr.un.sun_path, &st) < 0)
		return failed(why, a);
	struct socket_file made = { .path = realpath(a->addr.un.sun_path, NULL), .dev = st.st_dev, .ino = st.st_ino };
	if (made.path == NULL)
		return failed(why, a);
	f->files[f->count++] = made;
	return ST_OK;
}

static bool is_ours(const struct socket_file *file)
{
	struct stat st;
	return lstat(file->path, &st) == 0 && S_ISSOCK(st.st_mode) && st.st_dev == file->dev && st.st_ino == file->ino;
}

static void remove_all(const struct socket_files *f)
{
	for (unsigned i = 0; i < f->count; i++)
		if (is_ours(&f->files[i]) && unlink(f->files[i].path) < 0 && errno != ENOENT)
			log_warn("removing %s: %s", f->files[i].path, strerror(errno));
}

/* Runs in the child. If the pipe ends without a byte, the server was killed; then the next server clears the files. */
static __attribute__((noreturn)) void wait_and_remove(const struct socket_files *f, int fd)
{
	char byte;
	ssize_t n;
	prctl(PR_SET_NAME, "postern-files");
	setpgid(0, 0);
	if (dup2(fd, STDIN_FILENO) < 0 || close_range(STDERR_FILENO + 1, UINT_MAX, 0) < 0 || chdir("/") < 0)
		_exit(EXIT_FAILURE);
	close(STDOUT_FILENO);
	while ((n = read(STDIN_FILENO, &byte, 1)) < 0 && errno == EINTR)
		;
	if (n == 1)
		remove_all(f);
	_exit(EXIT_SUCCESS);
}

void socket_files_keep_rights(struct socket_files *f)
{
	int ends[2];
	if (f->count == 0 || geteuid() != 0)
		return;
	if (pipe2(ends, O_CLOEXEC) < 0) {
		log_warn("Unix sockets may stay behind at the stop: %s", strerror(errno));
		return;
	}
	fflush(NULL);
	f->remover = fork();
	if (f->remover == 0) {
		close(ends[1]);
		wait_and_remove(f, ends[0]);
	}
	close(ends[0]);
	f->remover_fd = ends[1];
	if (f->remover < 0) {
		log_warn("Unix sockets may stay behind at the stop: %s", strerror(errno));
		close(ends[1]);
		f->remover = 0;
	}
}

static bool may_remove(const struct socket_file *file)
{
	struct stat st;
	char path[PATH_MAX];
	snprintf(path, sizeof(path), "%s", file->path);
	const char *dir = dirname(path);
	return access(dir, W_OK | X_OK) == 0 && stat(dir, &st) == 0 &&
		(!(st.st_mode & S_ISVTX) || st.st_uid == geteuid());
}

static void end_remover(struct socket_files *f)
{
	if (f->remover == 0)
		return;
	close(f->remover_fd);
	waitpid(f->remover, NULL, 0);
	f->remover = 0;
}

void socket_files_drop_rights(struct socket_files *f)
{
	for (unsigned i = 0; i < f->count; i++)
		if (!may_remove(&f->files[i]))
			return;
	end_remover(f);
}

void socket_files_forget(struct socket_files *f)
{
	if (f->remover != 0)
		close(f->remover_fd);
	f->remover = 0;
}

void socket_files_remove(struct socket_files *f)
{
	if (f->remover == 0)
		remove_all(f);
	else if (write(f->remover_fd, "1", 1) != 1)
		log_warn("Unix sockets stay behind: %s", strerror(errno));
	end_remover(f);
	for (unsigned i = 0; i < f->count; i++)
		free(f->files[i].path);
	f->count = 0;
}
