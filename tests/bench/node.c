/* SPDX-License-Identifier: MIT
 * See node.h: the servers. The clients are node_client.c. */
#include "node.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench.h"
#include "clock.h"
#include "proc.h"

static const struct {
	const char *name, *script;
} kinds[] = { [NODE_SOCKETIO] = { "socket.io, polling", "socketio.js" }, [NODE_WS] = { "Node, ws", "ws.js" } };

const char *node_name(enum node_kind kind) { return kinds[kind].name; }

bool node_present(void)
{
	static int known = -1;
	char path[512];
	snprintf(path, sizeof(path), "%s/node/node_modules/socket.io", settings.folder);
	if (known < 0) {
		known = access(path, R_OK) == 0 && system("node --version >/dev/null 2>&1") == 0;
		if (!known)
			say("  Node or the packages of tests/bench/node aren't installed (./bootstrap bench installs "
			    "them): skipped");
	}
	return known;
}

static bool is_up(int port)
{
	int fd = engine_dial(port), error = 0;
	socklen_t len = sizeof(error);
	usleep(50000);
	bool up = getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0 && error == 0;
	close(fd);
	return up;
}

void node_start(struct node *n, enum node_kind kind, const struct postern *p)
{
	char script[512], text[128];
	n->kind = kind;
	n->port = engine_free_port();
	snprintf(script, sizeof(script), "%s/node/%s", settings.folder, kinds[kind].script);
	snprintf(text, sizeof(text), "%d", n->port);
	setenv("PORT", text, 1);
	snprintf(text, sizeof(text), "%s/run", p->state);
	setenv("PGHOST", text, 1);
	setenv("PGUSER", "postern", 1);
	setenv("PGDATABASE", "postgres", 1);
	setenv("NODE_ENV", "production", 1);
	n->pid = proc_start("node", (const char *const[]) { "node", script, NULL }, NULL);
	unsetenv("PGHOST"), unsetenv("PGUSER"), unsetenv("PGDATABASE"), unsetenv("PORT");
	for (uint64_t until = now_us() + 10 * SECOND; !is_up(n->port);)
		if (now_us() > until) {
			errno = ETIMEDOUT;
			die("node");
		}
}

void node_stop(struct node *n) { proc_end(n->pid); }
double node_cpu(const struct node *n) { return proc_cpu(n->pid); }
double node_dirty(const struct node *n) { return proc_dirty(n->pid); }
