/* SPDX-License-Identifier: MIT
 * See cluster.h. */
#include "cluster.h"

#include <check.h>
#include <ftw.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "database.h"
#include "pg/bindir.h"
#include "suite.h"

enum { CLUSTERS_MAX = 16 };

struct cluster {
	char dir[24]; /* contains d, the data directory, and the socket */
	char data[32];
	pid_t pid; /* 0: not running */
};

static struct cluster clusters[CLUSTERS_MAX];
static size_t cluster_count;

static const char *bindir(void)
{
	static char dir[BINDIR_SIZE];
	struct buf why;
	buf_init(&why, 4096);
	if (*dir == '\0')
		ck_assert_msg(bindir_find(getenv("TEST_PG_BINDIR"), 0, dir, &why) == ST_OK, "%s", why.data);
	buf_release(&why);
	return dir;
}

static const struct passwd *owner(void)
{
	const struct passwd *pw = getuid() == 0 ? getpwnam("postgres") : getpwuid(getuid());
	ck_assert_ptr_nonnull(pw);
	return pw;
}

static void in_child(const struct cluster *c, const char *command)
{
	const struct passwd *pw = owner();
	if (getuid() == 0 && (setgroups(0, NULL) != 0 || setgid(pw->pw_gid) != 0 || setuid(pw->pw_uid) != 0))
		_exit(126);
	if (freopen("log", "a", stdout) == NULL || dup2(STDOUT_FILENO, STDERR_FILENO) < 0)
		_exit(126);
	setenv("PATH", format("%s:/usr/bin:/bin", bindir()), 1);
	setenv("PGHOST", c->dir, 1);
	setenv("PGUSER", "postern", 1);
	setenv("LC_ALL", "C.UTF-8", 1);
	signal(SIGPIPE, SIG_DFL);
	prctl(PR_SET_PDEATHSIG, SIGQUIT); /* PostgreSQL's "immediate" shutdown */
	execl("/bin/sh", "/bin/sh", "-c", command, (char *)NULL);
	_exit(127);
}

static pid_t begin(const struct cluster *c, const char *command)
{
	pid_t pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0 && chdir(c->dir) == 0)
		in_child(c, command);
	return pid;
}

static bool run(const struct cluster *c, const char *command)
{
	int status;
	pid_t pid = begin(c, command);
	while (waitpid(pid, &status, 0) < 0)
		;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void show_log(const struct cluster *c)
{
	char line[1024];
	FILE *f = fopen(format("%s/log", c->dir), "re");
	for (; f != NULL && fgets(line, sizeof(line), f) != NULL;)
		fprintf(stderr, "# %s", line);
	if (f != NULL)
		fclose(f);
}

void cluster_run(const struct cluster *c, const char *fmt, ...)
{
	char command[2048];
	va_list ap;
	va_start(ap, fmt);
	ck_assert_int_lt(vsnprintf(command, sizeof(command), fmt, ap), (int)sizeof(command));
	va_end(ap);
	if (!run(c, command)) {
		show_log(c);
		ck_abort_msg("failed: %s", command);
	}
}

static struct cluster *place(void)
{
	ck_assert_uint_lt(cluster_count, CLUSTERS_MAX);
	struct cluster *c = &clusters[cluster_count];
	char dir[] = "/tmp/pcXXXXXX";
	ck_assert_ptr_nonnull(mkdtemp(dir));
	chmod(dir, 0755);
	if (getuid() == 0)
		ck_assert_int_eq(chown(dir, owner()->pw_uid, owner()->pw_gid), 0);
	*c = (struct cluster) { 0 };
	snprintf(c->dir, sizeof(c->dir), "%s", dir);
	snprintf(c->data, sizeof(c->data), "%s/d", dir);
	cluster_count++;
	return c;
}

#define INITDB "initdb -D d -U postern -E UTF8 --locale=C.UTF-8 -A trust --no-sync >/dev/null"

void cluster_configure(const struct cluster *c, const char *line)
{
	cluster_run(c, "echo \"%s\" >> d/postgresql.auto.conf", line);
}

static void configure(const struct cluster *c)
{
	cluster_configure(c, "fsync = off");
	cluster_configure(c, "shared_buffers = 16MB");
	cluster_configure(c, "listen_addresses = ''");
	cluster_configure(c, format("unix_socket_directories = '%s'", c->dir));
}

struct cluster *cluster_new(void)
{
	struct cluster *c = place();
	cluster_run(c, INITDB);
	configure(c);
	cluster_start(c);
	return c;
}

struct cluster *cluster_copy(const struct cluster *of, bool standby)
{
	struct cluster *c = place();
	cluster_run(c, "pg_basebackup -h %s -D d -c fast --no-sync %s", of->dir, standby ? "-R" : "");
	configure(c);
	return c;
}

struct cluster *cluster_upgrade(const struct cluster *of)
{
	struct cluster *c = place();
	if (access(format("%s/pg_upgrade", bindir()), X_OK) != 0)
		return NULL;
	cluster_run(c, INITDB);
	cluster_run(c, "pg_upgrade -U postern -b %s -B %s -d %s -D d -s %s", bindir(), bindir(), of->data, c->dir);
	configure(c);
	return c;
}

void cluster_start(struct cluster *c)
{
	unsigned long long until = clock_mono_ms() + PATIENCE;
	c->pid = begin(c, "exec postgres -D d");
	server_spare(c->pid);
	while (PQping(cluster_conninfo(c, "postgres")) != PQPING_OK) {
		if (clock_mono_ms() > until || waitpid(c->pid, NULL, WNOHANG) != 0) {
			show_log(c);
			ck_abort_msg("PostgreSQL doesn't start in %s", c->data);
		}
		poll(NULL, 0, 10);
	}
}

static void stop(struct cluster *c, int sig)
{
	kill(c->pid, sig);
	waitpid(c->pid, NULL, 0);
	c->pid = 0;
}

void cluster_stop(struct cluster *c) { stop(c, SIGQUIT); }
void cluster_close(struct cluster *c) { stop(c, SIGINT); }
void cluster_promote(struct cluster *c) { cluster_run(c, "pg_ctl -D d -t 60 -w promote"); }

void cluster_swap(struct cluster *a, struct cluster *b)
{
	ck_assert(a->pid == 0 && b->pid == 0);
	cluster_run(
		a, "mv %s %s/swap && mv %s %s && mv %s/swap %s", a->data, a->dir, b->data, a->data, a->dir, b->data);
	configure(a);
	configure(b);
}

const char *cluster_dir(const struct cluster *c) { return c->data; }
const char *cluster_host(const struct cluster *c) { return c->dir; }
char *cluster_conninfo(const struct cluster *c, const char *database)
{
	return format("host=%s user=postern dbname=%s", c->dir, database);
}

static void finish(void *pg) { PQfinish(pg); }

PGconn *cluster_connect(const struct cluster *c, const char *database)
{
	PGconn *pg = on_teardown(finish, PQconnectdb(cluster_conninfo(c, database)));
	ck_assert_msg(PQstatus(pg) == CONNECTION_OK, "%s", PQerrorMessage(pg));
	return pg;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st, (void)type, (void)at;
	return remove(path);
}

void clusters_remove_all(void)
{
	for (size_t i = 0; i < cluster_count; i++) {
		if (clusters[i].pid > 0)
			stop(&clusters[i], SIGQUIT);
		nftw(clusters[i].dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	}
	cluster_count = 0;
}

void cluster_await_standby(const struct cluster *primary)
{
	unsigned long long until = clock_mono_ms() + PATIENCE;
	PGconn *pg = cluster_connect(primary, "template1");
	while (strcmp(sql(pg, "select count(*) from pg_stat_replication where replay_lsn >= pg_current_wal_lsn()"),
		       "1") != 0)
		time_left(until, "the standby to have everything");
}
