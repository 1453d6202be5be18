/* SPDX-License-Identifier: MIT
 * See outfile.h. */
#include "cli/outfile.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/secret.h"
#include "cli/command.h"
#include "pg/program.h"

struct outfile {
	const char *path, *name; /* name: its last component */
	bool replace;
	int dir, fd;
	char temporary[300];
};

static int failed(const char *what) { return command_failed("%s: %s", what, strerror(errno)); }

static int open_directory(struct outfile *o)
{
	const char *slash = strrchr(o->path, '/');
	o->name = slash != NULL ? slash + 1 : o->path;
	if (*o->name == '\0' || strcmp(o->name, ".") == 0 || strcmp(o->name, "..") == 0)
		return command_failed("%s: it is a directory: give the name of a file in it", o->path);
	char *dir = slash == NULL  ? mem_strdup(".")
		: slash == o->path ? mem_strdup("/")
				   : mem_strndup(o->path, (size_t)(slash - o->path));
	o->dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int code = o->dir >= 0 ? 0 : failed(dir);
	free(dir);
	return code;
}

/* Checked before hours of work, not only after them. */
static int check_place(const struct outfile *o)
{
	struct stat st;
	if (fstatat(o->dir, o->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : failed(o->path);
	if (!S_ISREG(st.st_mode))
		return command_failed("%s: it exists and isn't a regular file", o->path);
	return o->replace ? 0 : command_failed("%s: it exists already; --force replaces it", o->path);
}

static int create(struct outfile *o)
{
	char random[9];
	secret_random_name(random, sizeof(random) - 1);
	if (snprintf(o->temporary, sizeof(o->temporary), ".%s.%s", o->name, random) >= (int)sizeof(o->temporary)) {
		errno = ENAMETOOLONG;
		return failed(o->path);
	}
	o->fd = openat(o->dir, o->temporary, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	return o->fd >= 0 ? 0 : failed(o->path);
}

/* Without `replace`, a file that was created in the meantime stays, where the file system can check it. */
static bool put_in_place(const struct outfile *o)
{
	if (o->replace)
		return renameat(o->dir, o->temporary, o->dir, o->name) == 0;
	if (renameat2(o->dir, o->temporary, o->dir, o->name, RENAME_NOREPLACE) == 0)
		return true;
	return errno == EINVAL && renameat(o->dir, o->temporary, o->dir, o->name) == 0;
}

static int finish(const struct outfile *o, off_t *ret_size)
{
	struct stat st;
	if (fsync(o->fd) < 0 || fstat(o->fd, &st) < 0 || !put_in_place(o) || fsync(o->dir) < 0)
		return failed(o->path);
	*ret_size = st.st_size;
	return 0;
}

static void block(sigset_t *set, sigset_t *before)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGCHLD };
	sigemptyset(set);
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		struct sigaction action;
		/* sigwait() would return even a signal that is ignored, as by nohup(1). */
		if (sigaction(signals[i], NULL, &action) == 0 && action.sa_handler != SIG_IGN)
			sigaddset(set, signals[i]);
	}
	sigprocmask(SIG_BLOCK, set, before);
}

/* Waits for the child's end. Returns the signal that is to end this process; 0: none, and the child's exit status is in
 * *ret_code. */
static int await_child(pid_t pid, const sigset_t *set, int *ret_code)
{
	int status = 0, stopped = 0, signum;
	pid_t ended;
	while ((ended = waitpid(pid, &status, WNOHANG)) == 0)
		if (sigwait(set, &signum) == 0 && signum != SIGCHLD) {
			stopped = signum;
			kill(pid, SIGTERM);
		}
	*ret_code = ended == pid && WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILURE;
	if (stopped == 0 && ended == pid && WIFSIGNALED(status)) {
		/* A terminal's Ctrl-C goes to the child as well. */
		sigset_t pending;
		sigpending(&pending);
		if (sigismember(&pending, WTERMSIG(status)))
			return WTERMSIG(status);
		command_failed("the process that writes the file was killed by signal %d", WTERMSIG(status));
	}
	return stopped;
}

static void end_by(int signum)
{
	sigset_t one;
	signal(signum, SIG_DFL);
	raise(signum);
	sigemptyset(&one);
	sigaddset(&one, signum);
	sigprocmask(SIG_UNBLOCK, &one, NULL);
}

static int run(struct outfile *o, int (*work)(int, void *), void *arg, off_t *ret_size)
{
	sigset_t set, before;
	int code, signum = 0;
	fflush(NULL);
	signal(SIGCHLD, SIG_DFL); /* the parent may have had it ignored, which is inherited */
	block(&set, &before);
	pid_t pid = program_fork(SIGTERM);
	if (pid == 0) {
		sigprocmask(SIG_SETMASK, &before, NULL);
		exit(work(o->fd, arg));
	}
	if (pid < 0)
		code = failed("fork");
	else
		signum = await_child(pid, &set, &code);
	if (signum == 0 && code == 0)
		code = finish(o, ret_size);
	if (signum != 0 || code != 0)
		unlinkat(o->dir, o->temporary, 0);
	if (signum != 0)
		end_by(signum);
	sigprocmask(SIG_SETMASK, &before, NULL);
	return code;
}

int outfile_write(const char *path, bool replace, int (*work)(int, void *), void *arg, off_t *ret_size)
{
	struct outfile o = { .path = path, .replace = replace, .dir = -1, .fd = -1 };
	int code = open_directory(&o);
	if (code == 0)
		code = check_place(&o);
	if (code == 0)
		code = create(&o);
	if (code == 0)
		code = run(&o, work, arg, ret_size);
	if (o.fd >= 0)
		close(o.fd);
	if (o.dir >= 0)
		close(o.dir);
	return code;
}
