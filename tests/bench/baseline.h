/* SPDX-License-Identifier: MIT
 * The baseline: bare PostgreSQL, in its own database of the same cluster, which no server follows. */
#ifndef BENCH_BASELINE_H
#define BENCH_BASELINE_H

#include <libpq-fe.h>

#include "histogram.h"
#include "postern.h"

struct baseline {
	char conninfo[160];
	PGconn *sender, *listener;
	unsigned long long sent;
	struct baseline_batch *next; /* built in advance */
};

/* Creates the database on p's cluster, with sql/town.sql, two users and chat 1, a group of both. */
void baseline_open(struct baseline *base, const struct postern *p);
void baseline_close(struct baseline *base);

/* Both rates are messages per second, measured while another process listens for the notifications. */
/* One transaction per message, INSERT and NOTIFY, by pgbench; the best of 1 to 32 connections. */
double baseline_naive_rate(struct baseline *base);
/* The function send(), called on one connection with batches of that size; the next batch is built while one runs. */
double baseline_send_rate(struct baseline *base, unsigned items);

enum baseline_kind { BASELINE_SEND, BASELINE_NAIVE };

/* Adds the times from the submission of a message until another connection receives its notification. pause_ms: before
 * each message. */
void baseline_latency(
	struct baseline *base, enum baseline_kind kind, unsigned samples, unsigned pause_ms, struct histogram *out);

#endif
