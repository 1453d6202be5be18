/* SPDX-License-Identifier: MIT
 * See server.h. This process adopts orphans of its servers (PR_SET_CHILD_SUBREAPER), so that it can find them. */
#include "server.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "environment.h"
#include "proc.h"
#include "suite.h"

enum { SERVERS_MAX = 16, ARGS_MAX = 40, START_MS = 120000, STOP_MS = 30000 };

struct server {
	const struct server *first; /* the server with the database */
	bool is_guest;              /* uses the database of another server */
	char dir[16];               /* short, because a Unix socket is below it */
	char state[24], log[24], url[48], listen[32], conninfo[256];
	const char *argv[ARGS_MAX];
	unsigned port;
	volatile pid_t pid; /* 0: not running */
	int out;            /* its standard output; -1: none */
};

static struct server servers[SERVERS_MAX];
static volatile size_t server_count;

static const char *binary(void)
{
	const char *path = getenv("POSTERN_BIN");
	return path != NULL ? path : "src/postern";
}

/* In the child: dies with the tests, and writes to the given descriptors. */
static __attribute__((noreturn)) void become(const char *const argv[], pid_t parent, int in, int out, int err)
{
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		_exit(127);
	signal(SIGPIPE, SIG_DFL);
	dup2(in, STDIN_FILENO);
	dup2(out, STDOUT_FILENO);
	dup2(err, STDERR_FILENO);
	const char *path = argv[0];
	environment_plain();
	execv(path, (char *const *)(uintptr_t)argv);
	dprintf(STDERR_FILENO, "%s: %s\n", path, strerror(errno));
	_exit(127);
}

static unsigned files; /* limit of open files of servers; 0: that of this process */

void server_limit_files(unsigned most) { files = most; }

static pid_t spawn(const char *const argv[], int in, int out, int err)
{
	pid_t parent = getpid(), pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0 && files > 0)
		setrlimit(RLIMIT_NOFILE, &(struct rlimit) { .rlim_cur = files, .rlim_max = files });
	if (pid == 0)
		become(argv, parent, in, out, err);
	return pid;
}

/* Reads lines until "ready URL". Returns false if the server ends or takes too long. */
static bool await_ready(struct server *s)
{
	char text[4096], *line;
	size_t len = 0;
	uint64_t until = clock_mono_ms() + START_MS;
	struct pollfd p = { .fd = s->out, .events = POLLIN };
	while (len < sizeof(text) - 1 && clock_mono_ms() < until) {
		if (poll(&p, 1, (int)(until - clock_mono_ms())) <= 0)
			continue;
		ssize_t n = read(s->out, text + len, sizeof(text) - 1 - len);
		if (n <= 0)
			return false;
		text[len += (size_t)n] = '\0';
		line = strncmp(text, "ready ", 6) == 0 ? text : strstr(text, "\nready ");
		if (line != NULL && strchr(line + 1, '\n') != NULL)
			return sscanf(line + (*line == '\n'), "ready %47s", s->url) == 1 &&
				sscanf(s->url, "http://127.0.0.1:%u", &s->port) == 1;
	}
	return false;
}

static void launch(struct server *s)
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC), out[2];
	int log = open(s->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	ck_assert_int_eq(pipe2(out, O_CLOEXEC), 0);
	s->pid = spawn(s->argv, null, out[1], log);
	close(out[1]);
	close(null);
	close(log);
	s->out = out[0];
	if (!await_ready(s)) {
		printf("Bail out! the server doesn't start: %s\n", binary());
		server_show_logs();
		server_remove_all();
		exit(1);
	}
}

/* conninfo NULL: the first server's database, or a private one for the first server. */
static struct server *server_new(const struct server *first, const char *conninfo, const char *const flags[])
{
	ck_assert_uint_lt(server_count, SERVERS_MAX);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	struct server *s = &servers[server_count];
	memset(s, 0, sizeof(*s));
	s->out = -1;
	s->first = first != NULL ? first : s;
	s->is_guest = first != NULL || conninfo != NULL;
	char dir[] = "/tmp/ptXXXXXX";
	ck_assert_ptr_nonnull(mkdtemp(dir));
	chmod(dir, 0755); /* as root, the server drops its privileges */
	server_count++;
	strcpy(s->dir, dir);
	snprintf(s->state, sizeof(s->state), "%s/s", dir);
	snprintf(s->log, sizeof(s->log), "%s/log", dir);
	snprintf(s->conninfo, sizeof(s->conninfo), "host=%s/run user=postern dbname=postgres",
		first != NULL ? first->state : format("%s/s", dir));
	if (conninfo != NULL)
		snprintf(s->conninfo, sizeof(s->conninfo), "%s", conninfo);
	strcpy(s->listen, "127.0.0.1:0");

	size_t n = 0;
	const char *const head[] = { binary(), "serve", "--listen", s->listen, s->is_guest ? "--database" : "--state",
		s->is_guest ? s->conninfo : s->state };
	for (size_t i = 0; i < sizeof(head) / sizeof(head[0]); i++)
		s->argv[n++] = head[i];
	for (size_t i = 0; flags != NULL && flags[i] != NULL && n < ARGS_MAX - 1; i++)
		s->argv[n++] = flags[i];
	launch(s);
	return s;
}

struct server *server_start(const char *const flags[]) { return server_new(NULL, NULL, flags); }

struct server *server_join(struct server *first, const char *const flags[]) { return server_new(first, NULL, flags); }

struct server *server_on(const char *conninfo, const char *const flags[]) { return server_new(NULL, conninfo, flags); }

void server_move(struct server *s, const char *conninfo)
{
	snprintf(s->conninfo, sizeof(s->conninfo), "%s", conninfo);
	server_restart(s);
}

void server_restart(struct server *s)
{
	ck_assert_int_eq(s->pid, 0);
	snprintf(s->listen, sizeof(s->listen), "127.0.0.1:%u", s->port);
	launch(s);
}

static pid_t spared[16];
static size_t spared_count;

void server_spare(pid_t child) { spared[spared_count++ % (sizeof(spared) / sizeof(spared[0]))] = child; }

static bool runs_one(pid_t pid)
{
	for (size_t i = 0; i < sizeof(spared) / sizeof(spared[0]); i++)
		if (spared[i] == pid)
			return true;
	for (size_t i = 0; i < server_count; i++)
		if (servers[i].pid == pid)
			return true;
	return false;
}

/* Orphans are our children now. Lists the living ones except servers, and reaps the dead. */
static size_t orphans(pid_t *ret_pids, size_t most)
{
	pid_t children[64];
	size_t n = proc_children(getpid(), NULL, children, 64), count = 0;
	for (size_t i = 0; i < n && count < most; i++)
		if (!runs_one(children[i]))
			ret_pids[count++] = children[i];
	siginfo_t dead = { 0 };
	while (waitid(P_ALL, 0, &dead, WEXITED | WNOHANG | WNOWAIT) == 0 && dead.si_pid != 0 &&
		!runs_one(dead.si_pid)) {
		waitpid(dead.si_pid, NULL, WNOHANG);
		dead.si_pid = 0;
	}
	return count;
}

static int ended(struct server *s, const char *waiting_for)
{
	int status;
	if (!proc_await(s->pid, STOP_MS, &status))
		ck_abort_msg("waited in vain for %s", waiting_for);
	s->pid = 0;
	close(s->out);
	s->out = -1;
	return status;
}

static void send_signal(struct server *s, int sig)
{
	ck_assert_msg(s->pid > 0, "the server isn't running");
	ck_assert_int_eq(kill(s->pid, sig), 0);
}

void server_terminate(struct server *s) { send_signal(s, SIGTERM); }

void server_await_exit(struct server *s)
{
	int status = ended(s, "the server's end after SIGTERM");
	pid_t left_behind[8];
	char name[64] = "";
	size_t n = orphans(left_behind, 8);
	if (n > 0)
		proc_name(left_behind[0], name, sizeof(name));
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the server ended with status 0x%x after SIGTERM",
		(unsigned)status);
	ck_assert_msg(n == 0, "%s (%d) outlives its server", name, (int)left_behind[0]);
}

void server_stop(struct server *s)
{
	server_terminate(s);
	server_await_exit(s);
}

void server_kill(struct server *s, int sig)
{
	send_signal(s, sig);
	(void)ended(s, "the server's end after a kill");
	pid_t left_behind[8];
	(void)orphans(left_behind, 8); /* they detect it themselves; the next start must cope */
}

unsigned server_port(const struct server *s) { return s->port; }
const char *server_url(const struct server *s) { return s->url; }
const char *server_state(const struct server *s) { return s->first->state; }
const char *server_conninfo(const struct server *s) { return s->conninfo; }
pid_t server_pid(const struct server *s) { return s->pid; }

size_t server_workers(const struct server *s, pid_t *ret_pids, size_t most)
{
	pid_t children[64];
	char name[64];
	size_t n = proc_children(s->pid, NULL, children, 64), count = 0;
	for (size_t i = 0; i < n && count < most; i++)
		if (proc_name(children[i], name, sizeof(name)) && strcmp(name, "postgres") != 0)
			ret_pids[count++] = children[i];
	return count;
}

pid_t server_postmaster(const struct server *s)
{
	pid_t pid;
	return proc_children(s->first->pid, "postgres", &pid, 1) == 1 ? pid : 0;
}

/* Reads fd until its end or the timeout. */
static char *read_all(int fd, unsigned ms)
{
	size_t len = 0, size = 4096;
	char *text = malloc(size);
	struct pollfd p = { .fd = fd, .events = POLLIN };
	uint64_t until = clock_mono_ms() + ms;
	for (ssize_t n = 1; n > 0 && clock_mono_ms() < until;) {
		if (len + 1024 > size)
			text = realloc(text, size *= 2);
		if (poll(&p, 1, (int)(until - clock_mono_ms())) > 0 && (n = read(fd, text + len, size - len - 1)) > 0)
			len += (size_t)n;
	}
	text[len] = '\0';
	while (len > 0 && text[len - 1] == '\n')
		text[--len] = '\0';
	return on_teardown(free, text);
}

char *server_command_args(const struct server *s, const char *input, const char *const args[])
{
	const char *argv[ARGS_MAX] = { binary() };
	size_t n = 1;
	for (size_t i = 0; args[i] != NULL && n < ARGS_MAX - 3; i++)
		argv[n++] = args[i];
	argv[n++] = s->is_guest ? "--database" : "--state";
	argv[n++] = s->is_guest ? s->conninfo : s->state;

	int in[2], out[2], status = 0;
	ck_assert_int_eq(pipe2(in, O_CLOEXEC) | pipe2(out, O_CLOEXEC), 0);
	pid_t pid = spawn(argv, in[0], out[1], STDERR_FILENO);
	close(in[0]);
	close(out[1]);
	if (input != NULL)
		ck_assert_int_eq(write(in[1], input, strlen(input)), (ssize_t)strlen(input));
	close(in[1]);
	char *said = read_all(out[0], PATIENCE);
	close(out[0]);
	ck_assert_msg(
		proc_await(pid, PATIENCE, &status), "`postern %s %s` doesn't end", args[0], args[1] ? args[1] : "");
	ck_assert_msg(status == 0, "`postern %s %s` ended with status 0x%x", args[0], args[1] ? args[1] : "",
		(unsigned)status);
	return said;
}

int server_try(const char *const args[], unsigned seconds, char **ret_said)
{
	const char *argv[ARGS_MAX] = { binary() };
	for (size_t i = 0; i < ARGS_MAX - 2 && args[i] != NULL; i++)
		argv[i + 1] = args[i];
	int err[2], status = 0, null = open("/dev/null", O_RDWR | O_CLOEXEC);
	ck_assert_int_eq(pipe2(err, O_CLOEXEC), 0);
	pid_t pid = spawn(argv, null, null, err[1]);
	close(err[1]);
	close(null);
	*ret_said = read_all(err[0], seconds * 1000);
	close(err[0]);
	if (!proc_await(pid, 1000, &status)) {
		kill(pid, SIGTERM);
		waitpid(pid, &status, 0);
		ck_abort_msg("`postern %s` is still running after %u s", args[0], seconds);
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

const char *server_log(const struct server *s) { return s->log; }

unsigned server_log_lines(const struct server *s)
{
	unsigned n = 0;
	FILE *f = fopen(s->log, "re");
	ck_assert_ptr_nonnull(f);
	for (int c; (c = getc(f)) != EOF;)
		n += c == '\n';
	fclose(f);
	return n;
}

bool server_logged(const struct server *s, const char *text)
{
	FILE *f = fopen(s->log, "re");
	char line[4096];
	bool found = false;
	ck_assert_ptr_nonnull(f);
	while (!found && fgets(line, sizeof(line), f) != NULL)
		found = strstr(line, text) != NULL;
	fclose(f);
	return found;
}

void server_kill_all(void)
{
	for (size_t i = 0; i < server_count; i++)
		if (servers[i].pid > 0)
			kill(servers[i].pid, SIGTERM);
}

/* Newest first: usually the one that the failed test started. */
void server_show_logs(void)
{
	for (size_t i = server_count; i-- > 0;) {
		FILE *f = fopen(servers[i].log, "re");
		char line[2048];
		if (f == NULL)
			continue;
		if (fseek(f, -6000, SEEK_END) == 0 &&
			fgets(line, sizeof(line), f) == NULL) /* skip the rest of a partial line */
			line[0] = '\0';
		while (fgets(line, sizeof(line), f) != NULL)
			fprintf(stderr, "# server %zu: %s%s", i, line, strchr(line, '\n') ? "" : "\n");
		fclose(f);
	}
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st, (void)type, (void)at;
	return remove(path);
}

void server_remove_all(void)
{
	for (size_t i = server_count; i-- > 0;)
		if (servers[i].pid > 0) {
			kill(servers[i].pid, SIGTERM);
			(void)ended(&servers[i], "the server's end");
		}
	for (size_t i = 0; i < server_count; i++)
		nftw(servers[i].dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	server_count = 0;
}
