/* SPDX-License-Identifier: MIT
 * See nchan.h. */
#include "nchan.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench.h"
#include "clock.h"
#include "engine.h"
#include "marker.h"
#include "proc.h"
#include "template.h"

#define MODULES "/usr/lib/nginx/modules"
#define NGINX "/usr/sbin/nginx"
#define WORKER "nginx"

bool nchan_present(void)
{
	static bool reported;
	bool is_there = access(NGINX, X_OK) == 0 && access(MODULES "/ngx_nchan_module.so", R_OK) == 0;
	if (!is_there && !reported)
		say("  nginx with Nchan isn't installed (./bootstrap bench installs it): skipped");
	reported |= !is_there;
	return is_there;
}

/* Waits until a server listens on the port. */
static void await_port(int port)
{
	for (uint64_t until = now_us() + 10 * SECOND; now_us() < until;) {
		int fd = engine_dial(port), error = 0;
		socklen_t len = sizeof(error);
		usleep(20000);
		bool is_up = getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0 && error == 0;
		close(fd);
		if (is_up)
			return;
	}
	errno = ETIMEDOUT;
	die("nginx");
}

void nchan_start(struct nchan *n, unsigned workers)
{
	static unsigned number;
	char conf[96], from[512], port[16], count[16], files[16];
	struct rlimit limit;
	getrlimit(RLIMIT_NOFILE, &limit);
	n->port = engine_free_port();
	snprintf(n->dir, sizeof(n->dir), "%s/nginx%u", proc_scratch(), ++number);
	snprintf(conf, sizeof(conf), "%s/nginx.conf", n->dir);
	snprintf(from, sizeof(from), "%s/nchan/nginx.conf.in", settings.folder);
	snprintf(port, sizeof(port), "%d", n->port);
	snprintf(count, sizeof(count), "%u", workers);
	snprintf(files, sizeof(files), "%lu", (unsigned long)limit.rlim_cur);
	proc_shell("mkdir -m 755 -p '%s/files'", n->dir);
	template_fill(from, conf,
		(const struct template_value[]) { { "MODULES", MODULES }, { "DIR", n->dir }, { "PORT", port },
			{ "WORKERS", count }, { "FILES", files }, { NULL, NULL } });
	n->pid = proc_start("nginx", (const char *const[]) { NGINX, "-e", "stderr", "-c", conf, NULL }, NULL);
	await_port(n->port);
}

void nchan_stop(struct nchan *n) { proc_end(n->pid); }

double nchan_cpu(const struct nchan *n) { return proc_cpu_children(n->pid, WORKER); }

double nchan_dirty(const struct nchan *n) { return proc_dirty_children(n->pid, WORKER); }

void nchan_file(const struct nchan *n, const char *name, size_t size)
{
	char path[128];
	snprintf(path, sizeof(path), "%s/files/%s", n->dir, name);
	FILE *f = fopen(path, "w");
	for (size_t i = 0; f != NULL && i < size; i++)
		fputc('x', f);
	if (f == NULL || fclose(f) != 0 || chmod(path, 0644) != 0)
		die(path);
}

size_t nchan_publish(char *out, size_t size, const char *channel, unsigned number, unsigned long long at_us)
{
	char body[256];
	int len = snprintf(body, sizeof(body),
		"{\"id\":%07u,\"chat\":1,\"from\":\"user1\",\"at\":\"2026-01-01T00:00:00.000Z\",\"text\":\"" MARKER_TEXT
		"\",\"rev\":%07u}",
		number % 10000000, (uint64_t)at_us, number % 10000000);
	return (size_t)snprintf(out, size,
		"POST /pub/%s HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s", channel,
		len, body);
}

size_t nchan_subscribe(char *out, size_t size, const char *channel, unsigned number)
{
	(void)number;
	return (size_t)snprintf(
		out, size, "GET /sub/%s HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n", channel);
}
