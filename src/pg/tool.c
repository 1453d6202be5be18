/* SPDX-License-Identifier: MIT
 * See tool.h. */
#include "pg/tool.h"

#include <assert.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/waiting.h"
#include "pg/sync.h"

enum { CONNINFO_MAX = 64 * 1024, POLL_MS = 10 };

static const char own_descriptor[] = "/proc/self/fd/";

/* A copy of the password file may be in a descriptor of this process (passfile.h): the child must name it by this
 * process's id. */
static void add_option(struct buf *b, const PQconninfoOption *o)
{
	char path[64];
	if (strcmp(o->keyword, "passfile") == 0 && strncmp(o->val, own_descriptor, sizeof(own_descriptor) - 1) == 0) {
		snprintf(path, sizeof(path), "/proc/%ld/fd/%s", (long)getpid(), o->val + sizeof(own_descriptor) - 1);
		sync_add_keyword(b, o->keyword, path);
	} else
		sync_add_keyword(b, o->keyword, o->val);
}

/* Moves the secrets out of the connection string. */
static enum status split(struct tool *t, const char *conninfo, struct buf *why)
{
	struct buf b;
	char *error = NULL;
	enum status st = ST_OK;
	PQconninfoOption *given = PQconninfoParse(conninfo, &error);
	buf_init(&b, CONNINFO_MAX);
	for (PQconninfoOption *o = given; o != NULL && o->keyword != NULL; o++) {
		if (o->val == NULL)
			continue;
		if (strcmp(o->keyword, "password") == 0)
			t->password = mem_strdup(o->val);
		else if (strcmp(o->keyword, "sslpassword") == 0)
			st = ST_REFUSED;
		else
			add_option(&b, o);
	}
	PQconninfoFree(given);
	if (st != ST_OK)
		buf_addf(why,
			"sslpassword in the connection string can't be passed to %s without showing it to other "
			"users: use a key without a passphrase",
			strrchr(t->path, '/') + 1);
	else if (given == NULL || (t->conninfo = buf_detach(&b, NULL)) == NULL) {
		buf_adds(why, error != NULL ? error : "out of memory");
		st = ST_INVALID;
	}
	PQfreemem(error);
	buf_release(&b);
	return st;
}

enum status tool_init(struct tool *t, const char *name, const char *pg_bindir, int major, const char *conninfo,
	bool own, struct buf *why)
{
	*t = (struct tool) { .program = { .keeps_environment = !own } };
	if ((t->major = bindir_find_program(pg_bindir, name, major, t->path, why)) == 0)
		return ST_REFUSED;
	enum status st = split(t, conninfo, why);
	if (st != ST_OK)
		return st;
	tool_add(t, t->path);
	tool_add(t, "--no-password");
	tool_add(t, "-d");
	tool_add(t, t->conninfo);
	return ST_OK;
}

void tool_add(struct tool *t, const char *arg)
{
	assert(t->argc + 1 < TOOL_ARGS_MAX);
	t->argv[t->argc++] = arg;
}

enum status tool_start(struct tool *t, int in, int out, struct buf *why)
{
	t->program.argv = t->argv;
	t->program.password = t->password;
	t->program.in = in;
	t->program.out = out;
	return program_start(&t->program, why);
}

enum status tool_wait(struct tool *t, struct buf *why)
{
	const char *name = strrchr(t->path, '/') + 1;
	siginfo_t ended = { 0 };
	while (waitid(P_PID, (id_t)t->program.pid, &ended, WEXITED | WNOHANG | WNOWAIT) == 0 && ended.si_pid == 0)
		if (!waiting_pause(name, POLL_MS)) {
			program_kill(&t->program);
			buf_addf(why, "stopped by a signal while %s was running", name);
			return ST_REFUSED;
		}
	return program_wait(&t->program, why);
}

void tool_release(struct tool *t)
{
	if (t->password != NULL)
		explicit_bzero(t->password, strlen(t->password));
	free(t->password);
	free(t->conninfo);
}
