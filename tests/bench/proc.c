/* SPDX-License-Identifier: MIT
 * See proc.h: starts and ends processes. procfs.c reads /proc. */
#include "proc.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

#define STARTED_MAX 64

static pid_t started[STARTED_MAX];
static char scratch[32];
static pid_t owner;

const char *proc_scratch(void) { return scratch; }

/* Calls only what is allowed in a signal handler. */
static void end_all(void)
{
	if (getpid() != owner)
		return;
	for (int i = STARTED_MAX - 1; i >= 0; i--)
		if (started[i] > 0) {
			kill(started[i], SIGTERM);
			waitpid(started[i], NULL, 0);
			started[i] = 0;
		}
	pid_t pid = scratch[0] != '\0' ? fork() : -1;
	if (pid == 0) {
		execl("/bin/rm", "rm", "-rf", scratch, (char *)NULL);
		_exit(127);
	}
	if (pid > 0)
		waitpid(pid, NULL, 0);
}

static void on_signal(int number)
{
	end_all();
	_exit(128 + number);
}

void proc_init(void)
{
	owner = getpid();
	strcpy(scratch, "/tmp/pbXXXXXX");
	if (mkdtemp(scratch) == NULL)
		die("mkdtemp");
	chmod(scratch, 0755);
	atexit(end_all);
	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	signal(SIGHUP, on_signal);
	signal(SIGPIPE, SIG_IGN);
}

static void remember(pid_t pid)
{
	for (int i = 0; i < STARTED_MAX; i++)
		if (started[i] == 0) {
			started[i] = pid;
			return;
		}
	die("too many processes");
}

/* Runs in the child. Its own process group keeps Ctrl-C from reaching it: the parent ends it, in order. It dies with
 * the parent. */
static void begin_child(void)
{
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	signal(SIGINT, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	signal(SIGHUP, SIG_DFL);
	signal(SIGPIPE, SIG_DFL);
}

pid_t proc_start(const char *name, const char *const argv[], int *ret_out)
{
	char log[96];
	int out[2] = { -1, -1 };
	snprintf(log, sizeof(log), "%s/%s.log", scratch, name);
	if (ret_out != NULL && pipe2(out, O_CLOEXEC) != 0)
		die("pipe");
	pid_t pid = fork();
	if (pid < 0)
		die("fork");
	if (pid == 0) {
		begin_child();
		int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0644);
		dup2(ret_out != NULL ? out[1] : fd, STDOUT_FILENO);
		dup2(fd, STDERR_FILENO);
		execvp(argv[0], (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	remember(pid);
	if (ret_out != NULL) {
		close(out[1]);
		*ret_out = out[0];
	}
	return pid;
}

pid_t proc_fork(void (*body)(void *arg), void *arg)
{
	fflush(NULL);
	pid_t pid = fork();
	if (pid < 0)
		die("fork");
	if (pid == 0) {
		begin_child();
		body(arg);
		_exit(0);
	}
	remember(pid);
	return pid;
}

void proc_end(pid_t pid)
{
	for (int i = 0; i < STARTED_MAX; i++)
		if (pid > 0 && started[i] == pid) {
			kill(pid, SIGTERM);
			waitpid(pid, NULL, 0);
			started[i] = 0;
		}
}

void proc_shell(const char *format, ...)
{
	char command[1024];
	va_list args;
	va_start(args, format);
	vsnprintf(command, sizeof(command), format, args);
	va_end(args);
	errno = 0;
	if (system(command) != 0)
		die(command);
}
