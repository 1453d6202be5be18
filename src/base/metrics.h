/* SPDX-License-Identifier: MIT
 * Metrics: one table of all metrics, slots in the workers' shared memory, and the text for Prometheus (exposition
 * format 0.0.4), which any worker renders, summed over all workers. */
#ifndef BASE_METRICS_H
#define BASE_METRICS_H

#include "base/buf.h"
#include "base/log.h"
#include "base/process.h"
#include "base/shared.h"

enum metric {
	M_HTTP_2XX,
	M_HTTP_3XX,
	M_HTTP_4XX,
	M_HTTP_5XX,
	M_SENT_TEXT,
	M_SENT_TYPED,
	M_DELIVERED,
	M_REPLAYS_RING,
	M_REPLAYS_TABLES,
	M_SLOW,
	M_NOTIFICATIONS,
	M_HOLES,
	M_LOGINS_FAILED,
	M_RATE_LIMITED,
	M_TOKEN_HITS,
	M_TOKEN_MISSES,
	M_PAGE_HITS,
	M_PAGE_MISSES,
	M_REPLICA_SERVED,
	M_REPLICA_BEHIND,
	M_REPLICA_FAILED,
	M_RETENTION_REMOVED,
	M_SEARCH_SKIPPED,
	M_RETENTION_SKIPPED,
	M_EXPIRY_SKIPPED,
	M_ERASURE_SKIPPED,
	M_FULL_CONNECTIONS,
	M_FULL_STREAMS,
	M_FULL_SENDS,
	M_FULL_BODIES,
	M_FULL_ANSWERS,
	M_FULL_ADDRESSES,
	M_SIGN_INS, /* two each: good, refused */
	M_RESETS = M_SIGN_INS + 2 * 5,
	M_RECONNECTS = M_RESETS + 6,
	M_FAILOVERS,
	M_WORKER_RESTARTS,
	M_DATABASE_RESTARTS,
	M_LOG_LINES,
	M_ACCESS_LINES = M_LOG_LINES + LOG_LEVELS,
	M_ACCESS_DROPPED,
	METRIC_COUNTERS
};

enum metric_gauge {
	G_STREAMS_SSE,
	G_STREAMS_NDJSON,
	G_STREAMS_POLL,
	G_USERS,
	G_RING_BYTES,
	G_RING_FRAMES,
	G_SENDS_WAITING,
	G_CALLS_WAITING,
	G_CONNECTIONS,
	G_BODIES_BYTES,
	G_ANSWERS_BYTES,
	G_MEMORY,
	G_LIVE,
	G_WORKERS,
	G_SEARCH_LAG,
	G_SEARCH_LAG_SECONDS,
	G_RETENTION_BEHIND,
	G_SEARCH_STUCK,
	G_RETENTION_STUCK,
	G_EXPIRY_STUCK,
	G_ERASURE_STUCK,
	G_DATABASE_UP,
	G_POOL_BUSY,
	G_POOL_IDLE,
	G_POOL_DOWN,
	G_DATABASE_SIZE,
	G_MESSAGES,
	G_STARTED,
	G_CPU,
	G_DESCRIPTORS,
	G_DESCRIPTORS_MAX, /* of each process; G_MEMORY too */
	METRIC_GAUGES
};

enum metric_histogram { H_COMMIT, H_DELIVERY, H_LOOP_LAG, H_BATCH_SIZE, METRIC_HISTOGRAMS };

struct metrics {
	struct shared *shared;
	_Atomic uint64_t *counters, *gauges;
	unsigned worker;
	uint64_t log_lines[LOG_LEVELS]; /* counted so far */
};

/* The kinds of sign-in. */
enum metric_sign_in { SIGN_IN_PASSWORD, SIGN_IN_SESSION, SIGN_IN_TOKEN, SIGN_IN_JWT, SIGN_IN_TICKET };

/* The labels of request counters, beside the status. */
struct metrics_route {
	const char *method, *path;
};

void metrics_init(struct metrics *m, struct shared *shared, unsigned worker);
static inline void metrics_count(struct metrics *m, enum metric what, uint64_t n) { shared_add(&m->counters[what], n); }
/* For a counter that is kept elsewhere in this process: adds its growth since *last. */
void metrics_follow(struct metrics *m, enum metric what, uint64_t value, uint64_t *last);
static inline void metrics_gauge(struct metrics *m, enum metric_gauge what, uint64_t value)
{
	shared_set(&m->gauges[what], value);
}
void metrics_observe(struct metrics *m, enum metric_histogram what, uint64_t value); /* microseconds, or items */

static inline void metrics_sign_in(struct metrics *m, enum metric_sign_in how, bool good)
{
	metrics_count(m, (enum metric)(M_SIGN_INS + 2 * how + !good), 1);
}
void metrics_reset(struct metrics *m, const char *reason);
/* One answer. route: its place in the table given to metrics_render(), or that table's length for no route. */
void metrics_request(struct metrics *m, unsigned route, unsigned status, uint64_t took_us);
void metrics_process(struct metrics *m, const struct process_usage *u);
void metrics_log_lines(struct metrics *m);

/* Renders all metrics of this node. notify_queue: the share of PostgreSQL's notification queue in use (0 to 1),
 * negative: unknown. */
void metrics_render(const struct shared *shared, const struct metrics_route *routes, unsigned routes_count,
	double notify_queue, struct buf *out);

#endif
