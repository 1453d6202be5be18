/* SPDX-License-Identifier: MIT
 * See program.h. */
#include "program.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "environment.h"
#include "proc.h"
#include "suite.h"

enum { SAID_MAX = 1 << 20, ARGS_MAX = 40, FDS_MAX = 8, FAR = 100, START_MS = 60000 };

struct program {
	pid_t pid; /* 0: ended */
	int out, status;
	char said[SAID_MAX];
	size_t len;
};

static void set_environment(const char *const env[])
{
	for (; env != NULL && *env != NULL; env++) {
		const char *equals = strchr(*env, '=');
		if (equals == NULL)
			unsetenv(*env);
		else
			setenv(format("%.*s", (int)(equals - *env), *env), equals + 1, 1);
	}
}

/* Moves the descriptors out of the way first, then to 3 and up. */
static void pass(const int fds[])
{
	int n = 0, moved[FDS_MAX];
	if (fds == NULL)
		return;
	for (; fds[n] >= 0; n++)
		moved[n] = fcntl(fds[n], F_DUPFD, FAR);
	for (int i = 0; i < n; i++) {
		dup2(moved[i], 3 + i);
		close(moved[i]);
	}
	setenv("LISTEN_PID", format("%d", (int)getpid()), 1);
	setenv("LISTEN_FDS", format("%d", n), 1);
}

static void end(void *arg)
{
	struct program *p = arg;
	if (p->pid > 0) {
		kill(p->pid, SIGTERM);
		if (!proc_await(p->pid, PATIENCE, &p->status)) {
			kill(p->pid, SIGKILL);
			waitpid(p->pid, NULL, 0);
		}
	}
	close(p->out);
	free(p);
}

static uid_t run_as;

void program_run_as(uid_t user) { run_as = user; }

static bool become_user(void)
{
	return run_as == 0 || (setgroups(0, NULL) == 0 && setgid(run_as) == 0 && setuid(run_as) == 0);
}

static bool forbid_confinement;

void program_forbid_confinement(bool forbid) { forbid_confinement = forbid; }

/* By a filter, which the child can't escape. */
static bool forbid(void)
{
	struct scmp_arg_cmp sets_filter = { .arg = 0, .op = SCMP_CMP_EQ, .datum_a = PR_SET_SECCOMP };
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
	bool ok = filter != NULL && seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(seccomp), 0) == 0 &&
		seccomp_rule_add_array(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(prctl), 1, &sets_filter) == 0 &&
		seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(landlock_create_ruleset), 0) == 0 &&
		seccomp_load(filter) == 0;
	seccomp_release(filter);
	return ok;
}

struct program *program_start(const char *const args[], const char *const env[], const int fds[])
{
	struct program *p = calloc(1, sizeof(*p));
	const char *argv[ARGS_MAX] = { getenv("POSTERN_BIN") };
	int out[2];
	pid_t parent = getpid();
	for (size_t i = 0; i < ARGS_MAX - 2 && args[i] != NULL; i++)
		argv[i + 1] = args[i];
	ck_assert_int_eq(pipe2(out, O_CLOEXEC), 0);
	p->pid = fork();
	ck_assert_int_ge(p->pid, 0);
	if (p->pid == 0) {
		/* The user may have no way into this tree. */
		int binary = fcntl(open(argv[0], O_RDONLY | O_CLOEXEC), F_DUPFD_CLOEXEC, FAR);
		bool became = become_user();
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		if (!became || getppid() != parent || (forbid_confinement && !forbid()))
			_exit(127);
		signal(SIGPIPE, SIG_DFL);
		dup2(open("/dev/null", O_RDONLY), STDIN_FILENO);
		dup2(out[1], STDOUT_FILENO);
		dup2(out[1], STDERR_FILENO);
		environment_plain();
		pass(fds);
		set_environment(env);
		if (run_as != 0)
			fexecve(binary, (char *const *)(uintptr_t)argv, environ);
		else
			execv(argv[0], (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	close(out[1]);
	p->out = out[0];
	fcntl(p->out, F_SETFL, O_NONBLOCK);
	return on_teardown(end, p);
}

pid_t program_pid(const struct program *p) { return p->pid; }

/* Returns false at the end of the output. */
static bool take(struct program *p)
{
	ssize_t n = 0;
	while (p->len < SAID_MAX - 1 && (n = read(p->out, p->said + p->len, SAID_MAX - 1 - p->len)) > 0)
		p->len += (size_t)n;
	p->said[p->len] = '\0';
	return n < 0 && errno == EAGAIN;
}

size_t program_unread(const struct program *p)
{
	int n = 0;
	ck_assert_int_eq(ioctl(p->out, FIONREAD, &n), 0);
	return (size_t)n;
}

const char *program_said(struct program *p)
{
	take(p);
	return p->said;
}

char *program_await(struct program *p, const char *text)
{
	unsigned long long until = clock_mono_ms() + START_MS;
	char *found;
	for (;;) {
		bool more = take(p);
		if ((found = strstr(p->said, text)) != NULL && strchr(found, '\n') != NULL)
			break;
		ck_assert_msg(more && clock_mono_ms() < until, "it didn't say `%s`, but: %s", text, p->said);
		poll(&(struct pollfd) { .fd = p->out, .events = POLLIN }, 1, 1000);
	}
	while (found > p->said && found[-1] != '\n')
		found--;
	return format("%.*s", (int)strcspn(found, "\n"), found);
}

int program_await_exit(struct program *p)
{
	ck_assert_msg(p->pid == 0 || proc_await(p->pid, PATIENCE, &p->status), "it doesn't end; it said: %s",
		program_said(p));
	p->pid = 0;
	take(p);
	return WIFEXITED(p->status) ? WEXITSTATUS(p->status) : 128 + WTERMSIG(p->status);
}

int program_stop(struct program *p)
{
	kill(p->pid, SIGTERM);
	return program_await_exit(p);
}
