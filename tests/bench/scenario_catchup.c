/* SPDX-License-Identifier: MIT
 * The second half of slow: how fast a stream delivers missed messages from the ring and from the tables; how much
 * memory the kernel uses for 1,000 clients that have 12 MB to receive and read nothing; and what it costs when these
 * clients disconnect in mid-transfer. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "clock.h"
#include "http.h"
#include "postern.h"
#include "results.h"
#include "scenario_slow.h"
#include "subscribers.h"

#define CHAT 2
#define MISSED 800   /* messages */
#define LENGTH 15000 /* bytes of text of each: 12 MB in all, less than the ring's 16 MiB */
#define CLIENTS 1000
#define PAGE_SIZE 4096.0

static size_t write_stream(void *arg, unsigned number, char *out, size_t size)
{
	(void)number;
	return get_stream(out, size, 1, arg);
}

static void post_missed(const struct postern *p)
{
	static char request[LENGTH + 512];
	struct http_client http;
	http_open(&http, p->port, NULL, NULL);
	for (unsigned i = 0; i < MISSED; i++)
		if (http_call(&http, request, post_long_message(request, sizeof(request), 1, CHAT, now_us(), LENGTH)) !=
			201)
			die(http.in);
	http_close(&http);
}

/* One client that reads without pauses. */
static void catch_up(const struct postern *p, char *cursor, const char *what)
{
	struct subscribers one = { .ports = { p->port },
		.ports_count = 1,
		.count = 1,
		.write = write_stream,
		.arg = cursor,
		.greeting = "event: hello",
		.expect = MISSED };
	uint64_t began = now_us();
	subscribers_open(&one);
	if (!subscribers_await(&one, MISSED, 120 * SECOND))
		say("    only %llu of %u messages arrived", (unsigned long long)one.deliveries, MISSED);
	results_add(what, "MB/s", OURS, (double)one.bytes / (double)(one.last_at - began));
	subscribers_close(&one);
}

/* Returns the bytes that the server has written to connections on its port and that clients haven't acknowledged. */
static double kernel_unsent(int port)
{
	char line[512];
	double sum = 0;
	FILE *f = fopen("/proc/net/tcp", "re");
	while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
		unsigned local, queue;
		if (sscanf(line, " %*d: %*8x:%4x %*8x:%*4x %*2x %8x:", &local, &queue) == 2 && local == (unsigned)port)
			sum += queue;
	}
	if (f != NULL)
		fclose(f);
	return sum;
}

/* Returns the bytes of the buffers of all TCP sockets, with the kernel's overhead. */
static double kernel_memory(void)
{
	char line[256];
	long pages = 0;
	FILE *f = fopen("/proc/net/sockstat", "re");
	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		if (strncmp(line, "TCP:", 4) == 0 && strstr(line, " mem ") != NULL)
			pages = strtol(strstr(line, " mem ") + 5, NULL, 10);
	if (f != NULL)
		fclose(f);
	return (double)pages * PAGE_SIZE;
}

static void await_streams(const struct postern *p, double count)
{
	uint64_t until = now_us() + 30 * SECOND;
	while (fabs(postern_metric(p, "postern_streams") - count) > 0.5 && now_us() < until)
		engine_run(SECOND / 10);
}

/* Clients that read only the greeting, then disconnect at the same time. */
static void disconnect_all(const struct postern *p, char *cursor)
{
	unsigned count = settings.streams < CLIENTS ? settings.streams : CLIENTS;
	struct subscribers stalled = { .ports = { p->port },
		.ports_count = 1,
		.count = count,
		.write = write_stream,
		.arg = cursor,
		.greeting = "event: hello",
		.is_stalled = true };
	double dirty = postern_dirty(p), memory = kernel_memory();
	subscribers_open(&stalled);
	engine_run(2 * SECOND); /* until the buffers are full */
	results_add(
		"unsent in the kernel, a client who reads nothing", "KiB", OURS, kernel_unsent(p->port) / count / 1024);
	results_add(
		"kernel memory, a client who reads nothing", "KiB", OURS, (kernel_memory() - memory) / count / 1024);
	results_add("the worker's memory, a client who reads nothing", "KiB", OURS,
		(postern_dirty(p) - dirty) / count / 1024);
	double cpu = postern_cpu(p);
	uint64_t began = now_us();
	subscribers_close(&stalled);
	await_streams(p, 0);
	results_add("1,000 vanish in mid-transfer: all noticed", "s", OURS, (double)(now_us() - began) / SECOND);
	results_add("1,000 vanish in mid-transfer: CPU of the worker", "ms", OURS, (postern_cpu(p) - cpu) / 1000);
	results_add("1,000 vanish in mid-transfer: what is left of their memory", "KiB", OURS,
		(postern_dirty(p) - dirty) / count / 1024);
}

void catchup_rounds(const struct postern *p)
{
	char cursor[64];
	for (unsigned round = 0; round < settings.rounds; round++) {
		struct postern beside;
		say("  catching up, round %u", round + 1);
		postern_cursor(p, cursor, sizeof(cursor));
		post_missed(p);
		catch_up(p, cursor, "catching up by a stream, from the ring");
		disconnect_all(p, cursor);
		setenv("POSTERN_RING_BYTES", "4K", 1);
		postern_start_beside(&beside, p, NULL, 1);
		unsetenv("POSTERN_RING_BYTES");
		catch_up(&beside, cursor, "catching up by a stream, from the tables");
		postern_stop(&beside);
	}
}
