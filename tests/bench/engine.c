/* SPDX-License-Identifier: MIT
 * See engine.h. */
#include "engine.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"
#include "clock.h"

static int epoll_fd(void)
{
	static int fd = -1;
	if (fd < 0 && (fd = epoll_create1(EPOLL_CLOEXEC)) < 0)
		die("epoll");
	return fd;
}

static void control(struct watcher *w, int op, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = w };
	if (epoll_ctl(epoll_fd(), op, w->fd, &ev) != 0)
		die("epoll_ctl");
}

void engine_watch(struct watcher *w, uint32_t events) { control(w, EPOLL_CTL_ADD, events); }
void engine_rewatch(struct watcher *w, uint32_t events) { control(w, EPOLL_CTL_MOD, events); }

void engine_close(struct watcher *w)
{
	struct linger now = { .l_onoff = 1 };
	if (w->fd < 0)
		return;
	setsockopt(w->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(w->fd);
	w->fd = -1;
}

void engine_turn(uint64_t until_us)
{
	struct epoll_event events[256];
	uint64_t now = now_us(), wait = until_us > now ? until_us - now : 0;
	struct timespec ts = { .tv_sec = (time_t)(wait / SECOND), .tv_nsec = (long)(wait % SECOND) * 1000 };
	int n = epoll_pwait2(epoll_fd(), events, 256, &ts, NULL);
	if (n < 0 && errno != EINTR)
		die("epoll_pwait2");
	for (int i = 0; i < n; i++) {
		struct watcher *w = events[i].data.ptr;
		if (w->fd >= 0)
			w->on_ready(w, events[i].events);
	}
}

void engine_run(uint64_t for_us)
{
	for (uint64_t until = now_us() + for_us; now_us() < until;)
		engine_turn(until);
}

static struct sockaddr_in loopback(int port)
{
	return (struct sockaddr_in) {
		.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)
	};
}

int engine_dial(int port) { return engine_dial_buffered(port, 0); }

int engine_dial_buffered(int port, int buffer)
{
	struct sockaddr_in to = loopback(port);
	int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		die("socket");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (buffer > 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof(buffer));
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0 && errno != EINPROGRESS)
		die("connect");
	return fd;
}

int engine_free_port(void)
{
	struct sockaddr_in any = loopback(0);
	socklen_t len = sizeof(any);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&any, sizeof(any)) != 0 ||
		getsockname(fd, (struct sockaddr *)&any, &len) != 0)
		die("no free port");
	close(fd);
	return ntohs(any.sin_port);
}
