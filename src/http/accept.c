/* SPDX-License-Identifier: MIT
 * See accept.h. */
#include "http/accept.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "base/problem.h"
#include "http/internal.h"
#include "loop/loop.h"

#define ACCEPTS_A_TURN 64
#define LINGER_MAX 32
#define LINGER_SWEEPS 10                /* until a lingering connection is closed, with what the client still sends */
#define LINGER_BYTES ((size_t)16 << 20) /* that it may send meanwhile */
#define PAUSE_MS 100                    /* without accepting, when the system has no descriptors or no memory */

struct listener {
	struct list link;
	struct acceptor *acceptor;
	int fd;
	bool is_metrics, is_shared;
	struct loop_fd *watch;
};

/* See acceptor_linger(). */
struct lingering {
	struct list link;
	struct acceptor *acceptor;
	int fd;
	struct loop_fd *watch;
	unsigned sweeps;
	size_t read;
};

struct acceptor {
	struct http_server *server;
	struct loop *loop;
	struct metrics *metrics;
	struct list listeners;
	struct loop_timer *pause;
	bool stopping;
	bool turns_due;        /* at the end of this turn, shared sockets are left to the other workers */
	struct list lingering; /* the oldest first */
	unsigned lingering_count;
};

static void end_lingering(struct lingering *l)
{
	l->acceptor->lingering_count--;
	list_remove(&l->link);
	loop_fd_free(l->watch);
	close(l->fd);
	free(l);
}

static struct lingering *oldest_lingering(struct acceptor *a)
{
	return container_of(a->lingering.next, struct lingering, link);
}

/* Discards what the client sends. */
static void on_lingering(void *arg, unsigned ready)
{
	struct lingering *l = arg;
	static char discarded[65536];
	(void)ready;
	ssize_t n = recv(l->fd, discarded, sizeof(discarded), MSG_DONTWAIT);
	l->read += n > 0 ? (size_t)n : 0;
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR) || l->read > LINGER_BYTES)
		end_lingering(l);
}

static void listen_on_all(struct acceptor *a, unsigned events)
{
	for (struct list *l = a->listeners.next; l != &a->listeners; l = l->next)
		loop_fd_set(container_of(l, struct listener, link)->watch, events);
	a->turns_due = true;
}

static void on_pause_over(void *arg)
{
	struct acceptor *a = arg;
	if (!a->stopping)
		listen_on_all(a, LOOP_READ);
}

void acceptor_linger(struct acceptor *a, int fd)
{
	struct lingering *l = mem_alloc(sizeof(*l));
	if (a->lingering_count == LINGER_MAX)
		end_lingering(oldest_lingering(a));
	*l = (struct lingering) { .acceptor = a, .fd = fd };
	list_init(&l->link);
	list_append(&a->lingering, &l->link);
	a->lingering_count++;
	l->watch = loop_fd_new(a->loop, fd, LOOP_READ, on_lingering, l);
}

static void turn_away(struct acceptor *a, int fd, enum metric why, const char *detail)
{
	metrics_count(a->metrics, why, 1);
	char id[REQUEST_ID_MAX + 1];
	struct buf body, out;
	request_id_make(id);
	buf_init(&body, 1024);
	problem_render(&body, PROBLEM_OVERLOADED, detail, id, "");
	buf_init(&out, 2048);
	buf_addf(&out,
		"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/problem+json\r\nRetry-After: 2\r\n"
		"X-Request-Id: %s\r\n"
		"Connection: close\r\nContent-Length: %zu\r\n\r\n%s",
		id, body.len, body.data);
	if (send(fd, out.data, out.len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) { /* the client sees a closed connection */
	}
	buf_release(&body);
	buf_release(&out);
	shutdown(fd, SHUT_WR);
	acceptor_linger(a, fd);
}

static void accept_some(struct listener *l)
{
	struct acceptor *a = l->acceptor;
	int one = 1;
	for (int i = 0; i < ACCEPTS_A_TURN; i++) {
		int fd = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0) {
			if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
				log_warn("can't accept: %s", strerror(errno));
				listen_on_all(a, 0);
				loop_timer_start(a->pause, PAUSE_MS, 0);
			}
			if (errno != ECONNABORTED && errno != EINTR)
				return;
			continue;
		}
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		if (!l->is_metrics && server_is_full(a->server))
			turn_away(a, fd, M_FULL_CONNECTIONS, "The server has no free connections. Retry later.");
		else if (!server_take(a->server, fd, l->is_metrics))
			turn_away(a, fd, M_FULL_ADDRESSES,
				"This address has too many connections. Close some, or retry later.");
	}
}

static void on_accept(void *arg, unsigned ready)
{
	struct listener *l = arg;
	(void)ready;
	accept_some(l);
	l->acceptor->turns_due = true;
}

void acceptor_turn(struct acceptor *a)
{
	if (!a->turns_due)
		return;
	a->turns_due = false;
	for (struct list *l = a->listeners.next; l != &a->listeners; l = l->next) {
		struct listener *lis = container_of(l, struct listener, link);
		if (lis->is_shared && !loop_fd_take_turns(lis->watch))
			a->turns_due = true;
	}
}

void acceptor_sweep(struct acceptor *a)
{
	for (struct list *next, *at = a->lingering.next; at != &a->lingering; at = next) {
		struct lingering *l = container_of(at, struct lingering, link);
		next = at->next;
		if (++l->sweeps == LINGER_SWEEPS)
			end_lingering(l);
		else if (l->sweeps == 2) /* the answer was written at least one sweep ago */
			shutdown(l->fd, SHUT_WR);
	}
}

void acceptor_listen(struct acceptor *a, int fd, bool is_metrics, bool is_shared)
{
	struct listener *l = mem_alloc(sizeof(*l));
	*l = (struct listener) { .acceptor = a, .fd = fd, .is_metrics = is_metrics, .is_shared = is_shared };
	list_append(&a->listeners, &l->link);
	a->turns_due = true;
	l->watch = loop_fd_new(a->loop, fd, LOOP_READ, on_accept, l);
}

void acceptor_stop(struct acceptor *a)
{
	a->stopping = true;
	for (struct list *l; (l = list_shift(&a->listeners)) != NULL;) {
		struct listener *lis = container_of(l, struct listener, link);
		loop_fd_free(lis->watch);
		free(lis);
	}
}

struct acceptor *acceptor_new(struct http_server *server, struct loop *loop, struct metrics *metrics)
{
	struct acceptor *a = mem_alloc(sizeof(*a));
	*a = (struct acceptor) { .server = server, .loop = loop, .metrics = metrics };
	list_init(&a->listeners);
	list_init(&a->lingering);
	a->pause = loop_timer_new(loop, on_pause_over, a);
	return a;
}

void acceptor_free(struct acceptor *a)
{
	while (!list_empty(&a->lingering))
		end_lingering(oldest_lingering(a));
	loop_timer_free(a->pause);
	free(a);
}
