/* SPDX-License-Identifier: MIT
 * history: the latest page of a chat that all users read, compared with nginx and a file of exactly that size; and a
 * page anywhere in chats of 10,000, 1,000,000 and (history-full) 10,000,000 messages, each with its own database and
 * server. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "clock.h"
#include "load.h"
#include "nchan.h"
#include "postern.h"
#include "proc.h"
#include "results.h"

#define CONNECTIONS 32
#define SIZES 3

struct archive {
	struct postern server;
	unsigned long long size;
};

static size_t write_latest(void *arg, unsigned number, uint64_t at, char *out, size_t size)
{
	(void)arg, (void)number, (void)at;
	return (size_t)snprintf(out, size,
		"GET /v1/chats/1/messages?limit=50 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer pt_1\r\n\r\n");
}

static size_t write_path(void *arg, unsigned number, uint64_t at, char *out, size_t size)
{
	(void)number, (void)at;
	return (size_t)snprintf(out, size, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", (const char *)arg);
}

static size_t write_anywhere(void *arg, unsigned number, uint64_t at, char *out, size_t size)
{
	const struct archive *a = arg;
	unsigned long long before = 51 + (unsigned long long)(drand48() * (double)(a->size - 51));
	(void)number, (void)at;
	return (size_t)snprintf(out, size,
		"GET /v1/chats/1/messages?limit=50&before=%llu HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer pt_1\r\n"
		"\r\n",
		before);
}

static double run(int port, unsigned connections, size_t (*write)(void *, unsigned, uint64_t, char *, size_t),
	void *arg, struct histogram *ret_times)
{
	struct load l = { .ports = { port },
		.ports_count = 1,
		.senders = connections,
		.for_us = settings.seconds * SECOND,
		.write = write,
		.arg = arg,
		.expect = 200 };
	load_open(&l);
	load_run(&l);
	if (ret_times != NULL)
		*ret_times = l.answers;
	load_close(&l);
	return load_rate(&l);
}

static void add_latest(const char *side, double rate, double cpu)
{
	results_add("latest page, 32 connections", "pages/s", side, rate);
	results_add("latest page: CPU of the server", "µs/page", side, cpu / (rate * settings.seconds));
}

static void round_latest(const struct postern *p, const struct nchan *n)
{
	char file[] = "/files/page", plain[] = "/200";
	double cpu = postern_cpu(p), rate = run(p->port, CONNECTIONS, write_latest, NULL, NULL);
	add_latest(OURS, rate, postern_cpu(p) - cpu);
	if (!nchan_present())
		return;
	cpu = nchan_cpu(n);
	rate = run(n->port, CONNECTIONS, write_path, file, NULL);
	add_latest("nginx, a file", rate, nchan_cpu(n) - cpu);
	cpu = nchan_cpu(n);
	rate = run(n->port, CONNECTIONS, write_path, plain, NULL);
	add_latest("nginx, return 200", rate, nchan_cpu(n) - cpu);
}

/* Compares each size with the first. */
static void round_anywhere(struct archive *a, unsigned count)
{
	static struct histogram h;
	double times[SIZES] = { 0 };
	char what[64], unit[16] = "ms";
	for (unsigned i = 0; i < count; i++) {
		double cpu = postern_cpu_postgres(&a[i].server);
		run(a[i].server.port, 1, write_anywhere, &a[i], &h);
		times[i] = histogram_quantile(&h, 0.5) / 1000;
		snprintf(what, sizeof(what), "a page anywhere: CPU of PostgreSQL in 10^%.0f", log10((double)a[i].size));
		results_add(what, "µs/page", OURS,
			(postern_cpu_postgres(&a[i].server) - cpu) / (double)(h.count ? h.count : 1));
	}
	for (unsigned i = 1; i < count; i++) {
		snprintf(what, sizeof(what), "a page anywhere in 10^%.0f", log10((double)a[i].size));
		results_add(what, unit, OURS, times[i]);
		results_add(what, unit, OURS ", in 10^4", times[0]);
	}
}

static void fill(struct archive *a, const struct postern *owner, unsigned long long size)
{
	char name[32], conninfo[160], statements[128];
	a->size = size;
	snprintf(name, sizeof(name), "archive%.0f", log10((double)size));
	snprintf(statements, sizeof(statements), "select bench.groups(1, 2, 1, 2); select bench.fill(1, %llu)", size);
	say("  filling a chat with %llu messages", size);
	postern_migrate(owner, name, conninfo, sizeof(conninfo));
	postern_populate(conninfo, 2, statements);
	postern_start_beside(&a->server, owner, name, 1);
}

static size_t page_size(const struct postern *p)
{
	char request[256];
	size_t len;
	write_latest(NULL, 0, 0, request, sizeof(request));
	free(http_once(p->port, request, &len));
	return len;
}

void scenario_history(void)
{
	struct postern p;
	struct nchan n;
	struct archive archives[SIZES];
	unsigned count = settings.full ? 3 : 2;
	results_begin("history", "Pages of 50 messages");
	postern_start(&p, "history", 1);
	for (unsigned i = 0; i < count; i++)
		fill(&archives[i], &p, i == 0 ? 10000 : i == 1 ? 1000000 : 10000000);
	if (nchan_present()) {
		nchan_start(&n, 1);
		nchan_file(&n, "page", page_size(&archives[0].server));
	}
	for (unsigned round = 0; round < settings.rounds; round++) {
		say("  round %u", round + 1);
		round_latest(&archives[0].server, &n);
		round_anywhere(archives, count);
	}
	for (unsigned i = 0; i < count; i++)
		postern_stop(&archives[i].server);
	if (nchan_present())
		nchan_stop(&n);
	postern_stop(&p);
	results_end();
}
