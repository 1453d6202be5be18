/* SPDX-License-Identifier: MIT
 * Bare PostgreSQL, in a database of its own on the same cluster, which no server follows: what can be had at best. */
#ifndef BENCH_FLOOR_H
#define BENCH_FLOOR_H

#include <libpq-fe.h>

#include "histogram.h"
#include "postern.h"

struct floor {
	char conninfo[160];
	PGconn *sender, *listener;
	unsigned long long sent;
	struct floor_batch *ready;
};

/* On the cluster of p; with sql/town.sql, two users and chat 1, a group of both. */
void floor_open(struct floor *f, const struct postern *p);
void floor_close(struct floor *f);

/* Both with a process that listens. */
/* Messages a second: one transaction a message, INSERT and NOTIFY, by pgbench; the best of 1 to 32 connections. */
double floor_naive(struct floor *f);
/* Messages a second of the function send(), called with batches of that size on one connection, the next one being made
 * meanwhile. */
double floor_batches(struct floor *f, unsigned items);

enum floor_kind { FLOOR_SEND, FLOOR_NAIVE };

/* Adds the time from giving a message to PostgreSQL until another connection has heard of it; with a pause between
 * them. */
void floor_latency(struct floor *f, enum floor_kind kind, unsigned samples, unsigned pause_ms, struct histogram *out);

#endif
