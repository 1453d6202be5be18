/* SPDX-License-Identifier: MIT
 * See manager.h. */
#include "manager.h"

#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "suite.h"

enum { DATAGRAMS_MAX = 256, SIZE_MAX_ = 2048, START_MS = 60000 };

struct manager {
	int fd;
	unsigned count;
	char said[DATAGRAMS_MAX][SIZE_MAX_];
};

static void end(void *arg)
{
	struct manager *m = arg;
	close(m->fd);
	free(m);
}

struct manager *manager_new(const char *name)
{
	struct manager *m = calloc(1, sizeof(*m));
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	size_t len = strlen(name);
	memcpy(a.sun_path, name, len);
	if (*name == '@')
		a.sun_path[0] = '\0';
	m->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(
		bind(m->fd, (struct sockaddr *)&a, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)), 0);
	if (*name != '@')
		chmod(name, 0777); /* as systemd's socket is */
	return on_teardown(end, m);
}

/* Finds the line in a datagram; NULL: absent. */
static char *find(const char *datagram, const char *line)
{
	size_t len = strlen(line);
	for (const char *p = datagram; *p != '\0'; p += strcspn(p, "\n"), p += *p == '\n') {
		size_t has = strcspn(p, "\n");
		if (has >= len && memcmp(p, line, len) == 0 &&
			(has == len || line[len - 1] == '=' || line[len - 1] == ' '))
			return format("%.*s", (int)has, p);
	}
	return NULL;
}

char *manager_await(struct manager *m, const char *line)
{
	unsigned long long until = clock_mono_ms() + START_MS;
	for (char *found;;) {
		struct pollfd p = { .fd = m->fd, .events = POLLIN };
		ck_assert_msg(poll(&p, 1, time_left(until, line)) >= 0 && m->count < DATAGRAMS_MAX, "no %s", line);
		if (p.revents == 0)
			continue;
		ssize_t n = recv(m->fd, m->said[m->count], SIZE_MAX_ - 1, 0);
		ck_assert_int_gt(n, 0);
		m->said[m->count][n] = '\0';
		if ((found = find(m->said[m->count++], line)) != NULL)
			return found;
	}
}

void manager_forget(struct manager *m) { m->count = 0; }

unsigned manager_heard(const struct manager *m, const char *line)
{
	unsigned n = 0;
	for (unsigned i = 0; i < m->count; i++)
		n += find(m->said[i], line) != NULL;
	return n;
}
