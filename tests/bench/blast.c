/* SPDX-License-Identifier: MIT
 * See blast.h. */
#include "blast.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench.h"
#include "marker.h"
#include "proc.h"

#define HELD_MAX 19900

static void accept_all(int listener, int *held, unsigned *count)
{
	int one = 1;
	while (*count < HELD_MAX && (held[*count] = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0)
		setsockopt(held[(*count)++], IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

/* Runs in its own process. A socket whose send() fails is closed; peers that stop reading aren't expected. */
static void serve(void *arg)
{
	static int held[HELD_MAX + 1];
	const int *fds = arg;
	struct pollfd p[] = { { .fd = fds[0], .events = POLLIN }, { .fd = fds[1], .events = POLLIN } };
	unsigned count = 0;
	char frame[1024];
	signal(SIGPIPE, SIG_IGN);
	while (poll(p, 2, -1) > 0) {
		ssize_t n = p[1].revents != 0 ? read(fds[1], frame, sizeof(frame)) : -1;
		if (n == 0)
			return;
		accept_all(fds[0], held, &count);
		for (unsigned i = 0; n > 0 && i < count; i++)
			if (send(held[i], frame, (size_t)n, MSG_NOSIGNAL) < 0) {
				close(held[i]);
				held[i--] = held[--count];
			}
	}
}

void blast_start(struct blast *b)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sin);
	int trigger[2];
	b->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (b->listener < 0 || bind(b->listener, (struct sockaddr *)&sin, sizeof(sin)) != 0 ||
		listen(b->listener, 4096) != 0 || getsockname(b->listener, (struct sockaddr *)&sin, &len) != 0 ||
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, trigger) != 0)
		die("blast");
	b->port = ntohs(sin.sin_port);
	b->trigger = trigger[0];
	b->pid = proc_fork(serve, (int[]) { b->listener, trigger[1] });
	close(trigger[1]);
	close(b->listener);
}

void blast_stop(struct blast *b)
{
	close(b->trigger);
	proc_end(b->pid);
}

void blast_fire(struct blast *b, unsigned long long at_us)
{
	char frame[512];
	int n = snprintf(frame, sizeof(frame),
		"id: 0123.123456\nevent: message\ndata: {\"id\":12345,\"chat\":1,\"from\":\"user1\","
		"\"at\":\"2026-01-01T00:00:00.000Z\",\"text\":\"" MARKER_TEXT "\",\"rev\":12345}\n\n",
		(uint64_t)at_us);
	if (write(b->trigger, frame, (size_t)n) != n)
		die("blast");
}

double blast_cpu(const struct blast *b) { return proc_cpu(b->pid); }
