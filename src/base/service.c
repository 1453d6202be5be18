/* SPDX-License-Identifier: MIT
 * See service.h. */
#include "base/service.h"
#include "base/decimal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/log.h"

enum { FIRST_FD = 3, TEXT_MAX = 1024, SEND_S = 5 };

/* Returns 0 if text is no number. */
static uint64_t number_of(const char *text)
{
	uint64_t n = 0;
	return text != NULL && decimal_parse(text, &n) && n != UINT64_MAX ? n : 0;
}

/* name is a path, or '@' and a name in the abstract namespace. */
static void set_manager(struct service *s, const char *name)
{
	size_t len = name != NULL ? strlen(name) : 0;
	if (len < 2 || (*name != '/' && *name != '@') || len >= sizeof(s->manager.sun_path))
		return;
	s->manager.sun_family = AF_UNIX;
	memcpy(s->manager.sun_path, name, len);
	s->manager_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + (*name == '/'));
	if (*name == '@')
		s->manager.sun_path[0] = '\0';
}

/* names is LISTEN_FDNAMES: names separated by colons. */
static void adopt_sockets(struct service *s, unsigned count, const char *names)
{
	static const char metrics[] = "metrics";
	s->fds_end = FIRST_FD + (int)count;
	for (unsigned i = 0; i < count; i++) {
		size_t len = names != NULL ? strcspn(names, ":") : 0;
		int fd = FIRST_FD + (int)i, flags = fcntl(fd, F_GETFD);
		if (flags >= 0 && s->fd_count < SERVICE_FDS_MAX) {
			fcntl(fd, F_SETFD, flags | FD_CLOEXEC);
			s->for_metrics[s->fd_count] = len == strlen(metrics) && memcmp(names, metrics, len) == 0;
			s->fds[s->fd_count++] = fd;
		}
		if (names != NULL)
			names += len + (names[len] == ':');
	}
}

static bool is_ours(const char *pid) { return pid != NULL && number_of(pid) == (uint64_t)getpid(); }

void service_init(struct service *s)
{
	static const char *const names[] = { "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_PID",
		"LISTEN_FDS", "LISTEN_FDNAMES" };
	*s = (struct service) { 0 };
	set_manager(s, getenv("NOTIFY_SOCKET"));
	if (getenv("WATCHDOG_PID") == NULL || is_ours(getenv("WATCHDOG_PID")))
		s->watchdog_ms = number_of(getenv("WATCHDOG_USEC")) / 1000;
	uint64_t count = is_ours(getenv("LISTEN_PID")) ? number_of(getenv("LISTEN_FDS")) : 0;
	adopt_sockets(s, count < SERVICE_FDS_MAX ? (unsigned)count : SERVICE_FDS_MAX, getenv("LISTEN_FDNAMES"));
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		unsetenv(names[i]);
}

void service_notify(const struct service *s, const char *fmt, ...)
{
	char text[TEXT_MAX];
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (s->manager.sun_family == 0 || n <= 0)
		return;
	size_t len = (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1;
	struct timeval patience = { .tv_sec = SEND_S };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) < 0 ||
		sendto(fd, text, len, MSG_NOSIGNAL, (const struct sockaddr *)&s->manager, s->manager_len) < 0)
		log_warn("can't notify the service manager of %.*s: %s", (int)strcspn(text, "\n"), text,
			strerror(errno));
	if (fd >= 0)
		close(fd);
}
