/* SPDX-License-Identifier: MIT
 * scale: the same senders with 1, 2 and 4 workers, and with 1, 2 and 4 nodes on one database. On two cores, which
 * PostgreSQL and the generator use as well, more processes can't be faster, but their cost can be measured. */
#include <stdio.h>

#include "bench.h"
#include "clock.h"
#include "load.h"
#include "postern.h"
#include "results.h"

#define SENDERS 128
#define USERS 128
#define GROUP 16
#define NODES_MAX 4
#define DATABASE "town"

static const unsigned counts[] = { 1, 2, 4 };

static size_t write_one(void *arg, unsigned number, uint64_t at, char *out, size_t size)
{
	unsigned user = number % USERS;
	(void)arg;
	return post_message(out, size, user + 1, user / GROUP + 1, at);
}

/* The value of one worker or node is added to each row, because it is the reference of the others. */
static void add(const char *what, unsigned count, const char *kind, const char *unit, double value)
{
	char name[64], one[64];
	if (count > 1) {
		snprintf(name, sizeof(name), "%u %ss: %s", count, kind, what);
		results_add(name, unit, OURS, value);
		return;
	}
	snprintf(one, sizeof(one), "one %s", kind);
	for (unsigned i = 1; i < sizeof(counts) / sizeof(counts[0]); i++) {
		snprintf(name, sizeof(name), "%u %ss: %s", counts[i], kind, what);
		results_add(name, unit, one, value);
	}
}

static void measure(const struct postern *all, unsigned nodes, unsigned count, const char *kind)
{
	struct load l = { .ports_count = nodes, .senders = SENDERS, .for_us = SECOND / 2, .write = write_one };
	double cpu = 0;
	for (unsigned i = 0; i < nodes; i++)
		l.ports[i] = all[i].port;
	load_open(&l);
	load_run(&l); /* warm-up: tokens, plans */
	double postgres = postern_cpu_postgres(&all[0]);
	for (unsigned i = 0; i < nodes; i++)
		cpu -= postern_cpu(&all[i]);
	l.for_us = settings.seconds * SECOND;
	load_run(&l);
	for (unsigned i = 0; i < nodes; i++)
		cpu += postern_cpu(&all[i]);
	postgres = postern_cpu_postgres(&all[0]) - postgres;
	double n = (double)(l.done ? l.done : 1);
	add("sends a second", count, kind, "messages/s", load_rate(&l));
	add("CPU a message, workers", count, kind, "µs", cpu / n);
	add("CPU a message, PostgreSQL", count, kind, "µs", postgres / n);
	add("p50", count, kind, "ms", histogram_quantile(&l.answers, 0.5) / 1000);
	add("p99", count, kind, "ms", histogram_quantile(&l.answers, 0.99) / 1000);
	load_close(&l);
}

/* Uses a database that the cluster's owner doesn't follow. */
static void with_workers(const struct postern *owner, unsigned count)
{
	struct postern p;
	postern_start_beside(&p, owner, DATABASE, count);
	measure(&p, 1, count, "worker");
	postern_stop(&p);
}

static void with_nodes(const struct postern *owner, unsigned count)
{
	struct postern all[NODES_MAX];
	for (unsigned i = 0; i < count; i++)
		postern_start_beside(&all[i], owner, DATABASE, 1);
	measure(all, count, count, "node");
	for (unsigned i = 0; i < count; i++)
		postern_stop(&all[i]);
}

void scenario_scale(void)
{
	struct postern owner;
	char conninfo[160];
	results_begin("scale", "More workers, more nodes, one database");
	postern_start(&owner, "scale", 1);
	postern_migrate(&owner, DATABASE, conninfo, sizeof(conninfo));
	postern_populate(conninfo, USERS, "select bench.groups(1, 16, 1, 128)");
	for (unsigned round = 0; round < settings.rounds; round++) {
		say("  round %u", round + 1);
		for (unsigned i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
			with_workers(&owner, counts[i]);
			with_nodes(&owner, counts[i]);
		}
	}
	postern_stop(&owner);
	results_end();
}
