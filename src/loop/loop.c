/* SPDX-License-Identifier: MIT
 * See loop.h. libuv frees a handle one turn after it was closed: hence every object is its own heap block with its
 * handle inside. */
#include "loop/loop.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <uv.h>

#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"

struct loop {
	uv_loop_t uv;
	uv_prepare_t before;
	uv_check_t after;
	uv_idle_t spin; /* active while a hook has work left: keeps the poll from blocking */
	bool again;
	struct list hooks;
};

struct loop_fd {
	uv_poll_t uv;
	unsigned events; /* watched for */
	void (*on_ready)(void *arg, unsigned ready);
	void *arg;
};

struct loop_timer {
	uv_timer_t uv;
	void (*on_time)(void *arg);
	void *arg;
};

struct loop_signal {
	uv_signal_t uv;
	void (*on_signal)(void *arg);
	void *arg;
};

struct loop_hook {
	struct list link;
	void (*on_turn)(void *arg);
	void *arg;
};

static void must(int rc, const char *what)
{
	if (rc != 0)
		fatal("%s: %s", what, uv_strerror(rc));
}

static void *must_alloc(size_t size)
{
	void *p = mem_zeroed(1, size);
	return p;
}

static void on_spin(uv_idle_t *h) { (void)h; }

static void run_hooks(struct loop *loop)
{
	loop->again = false;
	for (struct list *l = loop->hooks.next, *next; l != &loop->hooks; l = next) {
		struct loop_hook *h = container_of(l, struct loop_hook, link);
		next = l->next;
		h->on_turn(h->arg);
	}
	if (loop->again)
		uv_idle_start(&loop->spin, on_spin);
	else
		uv_idle_stop(&loop->spin);
}

static void on_before(uv_prepare_t *h) { run_hooks(h->data); }
static void on_after(uv_check_t *h) { run_hooks(h->data); }

struct loop *loop_new(void)
{
	struct loop *loop = must_alloc(sizeof(*loop));
	list_init(&loop->hooks);
	must(uv_loop_init(&loop->uv), "can't make an event loop");
	uv_prepare_init(&loop->uv, &loop->before);
	uv_check_init(&loop->uv, &loop->after);
	uv_idle_init(&loop->uv, &loop->spin);
	loop->before.data = loop->after.data = loop;
	uv_prepare_start(&loop->before, on_before);
	uv_check_start(&loop->after, on_after);
	return loop;
}

void loop_free(struct loop *loop)
{
	uv_close((uv_handle_t *)&loop->before, NULL);
	uv_close((uv_handle_t *)&loop->after, NULL);
	uv_close((uv_handle_t *)&loop->spin, NULL);
	uv_run(&loop->uv, UV_RUN_DEFAULT); /* completes the closing of the handles */
	int rc = uv_loop_close(&loop->uv);
	assert(rc == 0);
	free(loop);
}

void loop_run(struct loop *loop) { uv_run(&loop->uv, UV_RUN_DEFAULT); }
void loop_stop(struct loop *loop) { uv_stop(&loop->uv); }
void loop_again(struct loop *loop) { loop->again = true; }

static void on_closed(uv_handle_t *h) { free(h->data); }

static void close_handle(void *object, uv_handle_t *h)
{
	h->data = object;
	uv_close(h, on_closed);
}

static void on_poll(uv_poll_t *h, int error, int events)
{
	struct loop_fd *w = container_of(h, struct loop_fd, uv);
	if (error < 0)
		w->events = 0; /* libuv has stopped */
	w->on_ready(w->arg, error < 0 ? LOOP_READ | LOOP_WRITE : (unsigned)events);
}

_Static_assert(
	(int)LOOP_READ == (int)UV_READABLE && (int)LOOP_WRITE == (int)UV_WRITABLE, "the sets of events are libuv's");

struct loop_fd *loop_fd_new(struct loop *loop, int fd, unsigned events, void (*on_ready)(void *, unsigned), void *arg)
{
	struct loop_fd *w = must_alloc(sizeof(*w));
	w->on_ready = on_ready;
	w->arg = arg;
	must(uv_poll_init(&loop->uv, &w->uv, fd), "can't watch a descriptor");
	loop_fd_set(w, events);
	return w;
}

void loop_fd_set(struct loop_fd *w, unsigned events)
{
	if (events == w->events) /* uv_poll_start() would take the descriptor out of epoll and put it in again */
		return;
	w->events = events;
	if (events == 0)
		uv_poll_stop(&w->uv);
	else
		uv_poll_start(&w->uv, (int)events, on_poll);
}

/* libuv doesn't know EPOLLEXCLUSIVE, and a descriptor can't be given it later: so it is taken out of libuv's epoll set
 * and put in again, which libuv doesn't notice. The kernel wakes the first in the queue that is waiting; hence the
 * turns. */
bool loop_fd_take_turns(struct loop_fd *w)
{
	int epoll = uv_backend_fd(w->uv.loop), fd;
	struct epoll_event e = { .events = EPOLLIN | EPOLLEXCLUSIVE };
	if (w->events != LOOP_READ)
		return true;
	if (uv_fileno((uv_handle_t *)&w->uv, &fd) != 0 || epoll_ctl(epoll, EPOLL_CTL_DEL, fd, &e) < 0)
		return false;
	e.data.fd = fd;
	if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e) == 0)
		return true;
	e.events = EPOLLIN;
	if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e) < 0)
		log_error("can't watch a descriptor any more: %s", strerror(errno));
	return true;
}

void loop_fd_free(struct loop_fd *w)
{
	if (w != NULL)
		close_handle(w, (uv_handle_t *)&w->uv);
}

static void on_timer(uv_timer_t *h)
{
	struct loop_timer *t = container_of(h, struct loop_timer, uv);
	t->on_time(t->arg);
}

struct loop_timer *loop_timer_new(struct loop *loop, void (*on_time)(void *), void *arg)
{
	struct loop_timer *t = must_alloc(sizeof(*t));
	t->on_time = on_time;
	t->arg = arg;
	uv_timer_init(&loop->uv, &t->uv);
	return t;
}

void loop_timer_start(struct loop_timer *t, uint64_t after_ms, uint64_t repeat_ms)
{
	uv_update_time(t->uv.loop);
	uv_timer_start(&t->uv, on_timer, after_ms, repeat_ms);
}

void loop_timer_stop(struct loop_timer *t) { uv_timer_stop(&t->uv); }

void loop_timer_free(struct loop_timer *t)
{
	if (t != NULL)
		close_handle(t, (uv_handle_t *)&t->uv);
}

static void on_signal(uv_signal_t *h, int signum)
{
	(void)signum;
	struct loop_signal *s = container_of(h, struct loop_signal, uv);
	s->on_signal(s->arg);
}

struct loop_signal *loop_signal_new(struct loop *loop, int signum, void (*cb)(void *), void *arg)
{
	struct loop_signal *s = must_alloc(sizeof(*s));
	s->on_signal = cb;
	s->arg = arg;
	must(uv_signal_init(&loop->uv, &s->uv), "can't watch a signal");
	must(uv_signal_start(&s->uv, on_signal, signum), "can't watch a signal");
	return s;
}

void loop_signal_free(struct loop_signal *s)
{
	if (s != NULL)
		close_handle(s, (uv_handle_t *)&s->uv);
}

struct loop_hook *loop_hook_new(struct loop *loop, void (*on_turn)(void *), void *arg)
{
	struct loop_hook *h = must_alloc(sizeof(*h));
	h->on_turn = on_turn;
	h->arg = arg;
	list_append(&loop->hooks, &h->link);
	return h;
}

void loop_hook_free(struct loop_hook *h)
{
	list_remove(&h->link);
	free(h);
}

struct job {
	uv_work_t uv;
	void (*work)(void *arg);
	void (*on_done)(void *arg);
	void *arg;
};

static void on_work(uv_work_t *w)
{
	struct job *j = container_of(w, struct job, uv);
	j->work(j->arg);
}

static void on_work_done(uv_work_t *w, int cancelled)
{
	struct job *j = container_of(w, struct job, uv);
	(void)cancelled; /* nothing here cancels */
	j->on_done(j->arg);
	free(j);
}

enum status loop_job(struct loop *loop, void (*work)(void *), void (*on_done)(void *), void *arg)
{
	struct job *j = mem_alloc(sizeof(*j));
	*j = (struct job) { .work = work, .on_done = on_done, .arg = arg };
	if (uv_queue_work(&loop->uv, &j->uv, on_work, on_work_done) != 0) {
		free(j);
		return ST_SYSTEM;
	}
	return ST_OK;
}
