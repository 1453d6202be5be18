/* SPDX-License-Identifier: MIT
 * See program.h. Messages go to a memory file, so that the program never waits for this process to read them. */
#include "pg/program.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/signals.h"

enum { MESSAGES_SHOWN = 1500 };

pid_t program_fork(int deathsig)
{
	pid_t parent = getpid(), pid = fork();
	if (pid == 0 && (prctl(PR_SET_PDEATHSIG, deathsig) < 0 || getppid() != parent))
		_exit(127);
	return pid;
}

static void forget_libpq(void)
{
	for (char **e = environ; *e != NULL;) {
		char name[64];
		int len = (int)strcspn(*e, "=");
		snprintf(name, sizeof(name), "%.*s", len, *e);
		if (strncmp(*e, "PG", 2) == 0 && len < (int)sizeof(name))
			unsetenv(name); /* which moves the next variable to this place */
		else
			e++;
	}
}

static void become(int in, int out, int err, const char *dir)
{
	signals_reset(0);
	setsid(); /* otherwise a Ctrl-C at the terminal would end it before the workers */
	setenv("LC_ALL", "C", 1);
	int null = open("/dev/null", O_RDONLY);
	if (null < 0 || dup2(in >= 0 ? in : null, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0 ||
		dup2(err, STDERR_FILENO) < 0 || chdir(dir) < 0)
		_exit(127);
}

void program_become(int out, int err)
{
	forget_libpq();
	become(-1, out, err, "/");
}

enum status program_start(struct program *p, struct buf *why)
{
	p->messages = memfd_create("messages", MFD_CLOEXEC);
	if (p->messages < 0) {
		buf_addf(why, "%s: %s", p->argv[0], strerror(errno));
		return ST_SYSTEM;
	}
	p->pid = program_fork(SIGKILL);
	if (p->pid == 0) {
		if (!p->keeps_environment)
			forget_libpq();
		if (p->password != NULL)
			setenv("PGPASSWORD", p->password, 1);
		become(p->in, p->out >= 0 ? p->out : p->messages, p->messages, p->dir != NULL ? p->dir : "/");
		execv(p->argv[0], (char *const *)(uintptr_t)p->argv);
		dprintf(STDERR_FILENO, "%s\n", strerror(errno));
		_exit(127);
	}
	if (p->pid > 0)
		return ST_OK;
	buf_addf(why, "fork: %s", strerror(errno));
	close(p->messages);
	return ST_SYSTEM;
}

/* Adds the end of the messages, from the start of a line. */
static void add_messages(int fd, struct buf *why)
{
	char text[MESSAGES_SHOWN + 1], *from = text;
	off_t end = lseek(fd, 0, SEEK_END), start = end > MESSAGES_SHOWN ? end - MESSAGES_SHOWN : 0;
	ssize_t n = pread(fd, text, MESSAGES_SHOWN, start);
	text[n > 0 ? n : 0] = '\0';
	if (start > 0 && strchr(text, '\n') != NULL)
		from = strchr(text, '\n') + 1;
	for (size_t len = strlen(from); len > 0 && (from[len - 1] == '\n' || from[len - 1] == ' ');)
		from[--len] = '\0';
	buf_adds(why, *from != '\0' ? from : "it printed nothing");
}

enum status program_wait(struct program *p, struct buf *why)
{
	int wstatus = 0;
	const char *name = strrchr(p->argv[0], '/');
	pid_t ended;
	while ((ended = waitpid(p->pid, &wstatus, 0)) < 0 && errno == EINTR)
		;
	bool ok = ended == p->pid && WIFEXITED(wstatus) && WEXITSTATUS(wstatus) == 0;
	if (!ok) {
		buf_addf(why, "%s ", name != NULL ? name + 1 : p->argv[0]);
		if (WIFSIGNALED(wstatus))
			buf_addf(why, "was killed by signal %d: ", WTERMSIG(wstatus));
		else
			buf_adds(why, "failed: ");
		add_messages(p->messages, why);
	}
	close(p->messages);
	return ok ? ST_OK : ST_REFUSED;
}

enum status program_run(struct program *p, struct buf *why)
{
	enum status st = program_start(p, why);
	return st == ST_OK ? program_wait(p, why) : st;
}

void program_kill(struct program *p)
{
	kill(p->pid, SIGKILL);
	while (waitpid(p->pid, NULL, 0) < 0 && errno == EINTR)
		;
	close(p->messages);
}
