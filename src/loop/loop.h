/* SPDX-License-Identifier: MIT
 * The event loop, over libuv: one thread, descriptors, timers, signals, hooks at the end of a turn, and a thread pool
 * for what blocks. Everything here is called from the loop's thread, and callbacks run on it (a job's work function
 * excepted).
 *
 * Objects are freed with their _free function; a callback may free the object that called it. */
#ifndef LOOP_LOOP_H
#define LOOP_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

struct loop;
struct loop_fd;
struct loop_timer;
struct loop_signal;
struct loop_hook;

struct loop *loop_new(void);       /* exits when the system refuses */
void loop_free(struct loop *loop); /* after every object of it was freed */
void loop_run(struct loop *loop);  /* until loop_stop() */
void loop_stop(struct loop *loop);

enum { LOOP_READ = 1, LOOP_WRITE = 2 };

/* Watches fd, level-triggered; events is a set of LOOP_READ and LOOP_WRITE. The descriptor stays the caller's: free the
 * watcher before closing it. ready says which of the events are there; an error counts as all of them. */
struct loop_fd *loop_fd_new(
	struct loop *loop, int fd, unsigned events, void (*on_ready)(void *arg, unsigned ready), void *arg);
void loop_fd_set(struct loop_fd *w, unsigned events); /* 0: pause */
/* For a descriptor that several processes watch for LOOP_READ: from now on one of them is woken by an event, and not
 * all of them, and this one goes to the end of the queue. If all call it after each event, they take turns.
 * Returns false if the loop hasn't run since the descriptor was added. */
bool loop_fd_take_turns(struct loop_fd *w);
void loop_fd_free(struct loop_fd *w); /* NULL is allowed */

struct loop_timer *loop_timer_new(struct loop *loop, void (*on_time)(void *arg), void *arg);
void loop_timer_start(
	struct loop_timer *t, uint64_t after_ms, uint64_t repeat_ms); /* repeat_ms 0: once; starting again re-arms */
void loop_timer_stop(struct loop_timer *t);
void loop_timer_free(struct loop_timer *t); /* NULL is allowed */

struct loop_signal *loop_signal_new(struct loop *loop, int signum, void (*on_signal)(void *arg), void *arg);
void loop_signal_free(struct loop_signal *s);

/* Calls on_turn before the loop blocks and after it woke, so that work that a turn has collected can be done at once.
 * Hooks are called in the order in which they were made. One that has work left calls loop_again(): then the loop
 * doesn't block. */
struct loop_hook *loop_hook_new(struct loop *loop, void (*on_turn)(void *arg), void *arg);
void loop_hook_free(struct loop_hook *h);
void loop_again(struct loop *loop);

/* Runs work on a thread of the pool, then on_done on the loop. work must not touch anything of the loop's. */
enum status loop_job(struct loop *loop, void (*work)(void *arg), void (*on_done)(void *arg), void *arg) MUST_CHECK;

#endif
