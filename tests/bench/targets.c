/* SPDX-License-Identifier: MIT
 * See targets.h. The targets are for a machine with two cores that also runs the generator and PostgreSQL, with fsync
 * on. Ratios compare values of the same run. */
#include "targets.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

static const struct target targets[] = {
	/* scenario, what, side, op, limit */
	{ "send", "64 senders", "naive INSERT+NOTIFY", '>', 5 },
	{ "send", "64 senders", NULL, '>', 20000 },
	{ "send", "256 senders", "naive INSERT+NOTIFY", '>', 5 },
	{ "send", "256 senders", NULL, '>', 20000 },
	{ "send", "64 senders: CPU of the worker", NULL, '<', 20 },
	{ "send", "bulk", "send() in batches of 512", '>', 0.7 },
	{ "latency", "light load: p50", "send() and NOTIFY received", '<', 1.4 },
	{ "latency", "light load: p99", "send() and NOTIFY received", '<', 2 },
	{ "latency", "light load: p50", "naive INSERT+NOTIFY received", '<', 2 },
	{ "latency", "5000/s: p99", NULL, '<', 10 },
	{ "fanout", "10000 streams: CPU a delivery", "Nchan, 1 worker", '<', 0.6 },
	{ "fanout", "10000 streams: CPU a delivery", "bare send()", '<', 1.1 },
	{ "unicast", "CPU a delivery, sends excluded", "Nchan, 1 worker", '<', 0.5 },
	{ "slow", "a delivery to a fast reader: p99", "Postern, no slow readers", '<', 2 },
	{ "slow", "messages the slow ones missed or got twice", NULL, '<', 0 },
	{ "slow", "catching up by a stream, from the ring", NULL, '>', 50 },
	{ "slow", "catching up by a stream, from the tables", NULL, '>', 50 },
	{ "slow", "unsent in the kernel, a client who reads nothing", NULL, '<', 24 },
	{ "idle", "a stream, its user and a group of ten", "Nchan, a channel each", '<', 0.04 },
	{ "idle", "a stream, its user and a group of ten", NULL, '<', 400 },
	{ "idle", "a stream and its user, all in one group", NULL, '<', 400 },
	{ "idle", "the stream alone", NULL, '<', 200 },
	{ "poll", "cycles a second and core", "Nchan, 1 worker", '>', 1.2 },
	{ "history", "latest page, 32 connections", "nginx, a file", '>', 0.6 },
	{ "history", "a page anywhere in 10^7", "Postern, in 10^4", '<', 1.5 },
	{ "history", "a page anywhere in 10^6", "Postern, in 10^4", '<', 1.5 },
	{ "reconnect", "all caught up", NULL, '<', 3 },
	{ "reconnect", "replays from tables", NULL, '<', 0 },
	{ "scale", "2 workers: CPU a message, workers", "one worker", '<', 1.15 },
	{ "receipts", "marks a second", NULL, '>', 10000 },
	{ "scale", "4 nodes: sends a second", "one node", '>', 0.8 },
	{ "search", "a rare word, by time: p99", NULL, '<', 50 },
	{ "search", "a rare word, by rank: p99", NULL, '<', 50 },
	{ "search", "a frequent word, by time: p99", NULL, '<', 50 },
	{ "search", "a frequent word, by rank: p99", NULL, '<', 50 },
	{ "search", "a two-letter prefix, by time: p99", NULL, '<', 50 },
	{ "search", "a two-letter prefix, by rank: p99", NULL, '<', 50 },
	{ "search", "a typo, by time: p99", NULL, '<', 50 },
	{ "search", "a typo, by rank: p99", NULL, '<', 50 },
	{ "search", "a phrase, by time: p99", NULL, '<', 50 },
	{ "search", "a phrase, by rank: p99", NULL, '<', 50 },
	{ "search", "64 senders", "Postern, nothing is indexed", '>', 0.95 },
};

static bool same(const char *a, const char *b) { return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0; }

const struct target *target_next(const struct target *after, const char *scenario, const char *what, const char *side)
{
	const struct target *end = targets + sizeof(targets) / sizeof(targets[0]);
	for (const struct target *t = after ? after + 1 : targets; t < end; t++)
		if (same(t->scenario, scenario) && same(t->what, what) && same(t->side, side))
			return t;
	return NULL;
}
