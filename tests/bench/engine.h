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
/* Closes the descriptor with a reset, so that no address is left waiting. Not from within on_ready. */
void engine_close(struct watcher *w);
/* Waits for something to happen, at most until then (now_us()), and handles it. */
void engine_turn(uint64_t until_us);
/* Turns for so long. */
void engine_run(uint64_t for_us);

/* A non-blocking connection to that port of 127.0.0.1 is begun; writable when it is made. */
int engine_dial(int port);
/* The kernel keeps at most so many bytes that aren't read; 0: what it likes to. */
int engine_dial_buffered(int port, int buffer);
/* A port that was free a moment ago. */
int engine_free_port(void);

#endif
