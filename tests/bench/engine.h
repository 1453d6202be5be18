/* SPDX-License-Identifier: MIT
 * The generator's event loop: one epoll set, one thread. */
#ifndef BENCH_ENGINE_H
#define BENCH_ENGINE_H

#include <stdint.h>
#include <sys/epoll.h>

/* Embedded in whatever owns a descriptor. Level-triggered. */
struct watcher {
	int fd;
	void (*on_ready)(struct watcher *w, uint32_t events);
};

void engine_watch(struct watcher *w, uint32_t events);
void engine_rewatch(struct watcher *w, uint32_t events);
/* Closes the connection with a reset, so that no port stays in TIME_WAIT. Must not be called from on_ready. */
void engine_close(struct watcher *w);
/* Waits for events until that time (of now_us()) at the latest, and handles them. */
void engine_turn(uint64_t until_us);
/* Handles events for that time. */
void engine_run(uint64_t for_us);

/* Begins a non-blocking connection to that port of 127.0.0.1. It is established when the descriptor is writable. */
int engine_dial(int port);
/* The same, with a receive buffer of that size; 0: the kernel's default. */
int engine_dial_buffered(int port, int buffer);
/* Returns a port that is free at this moment. */
int engine_free_port(void);

#endif
