/* SPDX-License-Identifier: MIT
 * See metrics.h. Slots: the counters first, then each histogram's buckets, sum and count. */
#include "base/metrics.h"

#include <inttypes.h>
#include <stddef.h>

#define BUCKETS 15

struct row {
	const char *name, *labels, *help;
};

static const struct row counters[METRIC_COUNTERS] = {
	[M_HTTP_REQUESTS] = { "postern_http_requests_total", "", "Requests begun." },
	[M_HTTP_2XX] = { "postern_http_responses_total", "class=\"2xx\"", "Responses by class of status." },
	[M_HTTP_3XX] = { "postern_http_responses_total", "class=\"3xx\"", NULL },
	[M_HTTP_4XX] = { "postern_http_responses_total", "class=\"4xx\"", NULL },
	[M_HTTP_5XX] = { "postern_http_responses_total", "class=\"5xx\"", NULL },
	[M_SENT_TEXT] = { "postern_messages_sent_total", "kind=\"text\"", "Messages committed." },
	[M_SENT_TYPED] = { "postern_messages_sent_total", "kind=\"typed\"", NULL },
	[M_DELIVERED] = { "postern_frames_delivered_total", "", "Live frames queued for subscribers." },
	[M_REPLAYS_RING] = { "postern_replays_total", "from=\"ring\"", "Reads of what a subscriber missed." },
	[M_REPLAYS_TABLES] = { "postern_replays_total", "from=\"tables\"", NULL },
	[M_SLOW] = { "postern_slow_subscribers_total", "", "How often a subscriber read too slowly and was set back." },
	[M_NOTIFICATIONS] = { "postern_notifications_total", "", "Notifications of the log." },
	[M_HOLES] = { "postern_notification_holes_total", "", "How often notifications were missing and the tables were read." },
	[M_LOGINS_FAILED] = { "postern_logins_failed_total", "", "Wrong passwords, or names: signing in, changing a password, deleting an account." },
	[M_RATE_LIMITED] = { "postern_rate_limited_total", "", "Requests refused with 429." },
	[M_TOKEN_HITS] = { "postern_token_cache_total", "result=\"hit\"", "Credentials looked up." },
	[M_TOKEN_MISSES] = { "postern_token_cache_total", "result=\"miss\"", NULL },
	[M_PAGE_HITS] = { "postern_page_cache_total", "result=\"hit\"", "Latest pages of chats asked for." },
	[M_PAGE_MISSES] = { "postern_page_cache_total", "result=\"miss\"", NULL },
	[M_RETENTION_REMOVED] = { "postern_retention_removed_total", "", "Messages that this node removed because they were too old." },
	[M_FULL_CONNECTIONS] = { "postern_turned_away_total", "what=\"connection\"", "Turned away with 503 because there is no room." },
	[M_FULL_STREAMS] = { "postern_turned_away_total", "what=\"stream\"", NULL },
	[M_FULL_SENDS] = { "postern_turned_away_total", "what=\"send\"", NULL },
};

static const struct row gauges[METRIC_GAUGES] = {
	[G_STREAMS_SSE] = { "postern_streams", "transport=\"sse\"", "Open streams and held polls." },
	[G_STREAMS_NDJSON] = { "postern_streams", "transport=\"ndjson\"", NULL },
	[G_STREAMS_POLL] = { "postern_streams", "transport=\"poll\"", NULL },
	[G_USERS] = { "postern_users_loaded", "", "Users whose membership is in memory." },
	[G_RING_BYTES] = { "postern_ring_bytes", "", "Frames kept in memory." },
	[G_RING_FRAMES] = { "postern_ring_frames", "", "Frames kept in memory." },
	[G_SENDS_WAITING] = { "postern_sends_waiting", "", "Sends not committed yet." },
	[G_CALLS_WAITING] = { "postern_calls_waiting", "", "Other operations that wait for a connection to the database." },
	[G_CONNECTIONS] = { "postern_connections", "", "HTTP connections, handed-off streams not counted." },
	[G_MEMORY] = { "postern_memory_bytes", "", "Resident memory of the workers." },
	[G_LIVE] = { "postern_workers_live", "", "Workers whose listener is connected and without a hole." },
	[G_SEARCH_LAG] = { "postern_search_lag_positions", "", "Positions of the log that the index for searches hasn't come to." },
	[G_SEARCH_LAG_SECONDS] = { "postern_search_lag_seconds", "", "How long the oldest of them has been waiting." },
	[G_RETENTION_BEHIND] = { "postern_retention_behind_seconds", "", "For how long the messages have been due that are to be removed next; 0: none is." },
	[G_WORKERS] = { "postern_workers", "", "Workers that run." },
};

static const uint64_t time_bounds[BUCKETS] = { 100, 250, 500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 500000, 1000000, 2500000,
	10000000 };
static const uint64_t size_bounds[BUCKETS] = { 1, 2, 4, 8, 16, 32, 64, 128, 192, 256, 320, 384, 448, 512, 1024 };

static const struct {
	const char *name, *help;
	const uint64_t *bounds;
	double unit;
} histograms[METRIC_HISTOGRAMS] = {
	[H_COMMIT] = { "postern_commit_seconds", "From giving a batch to the database to its commit.", time_bounds, 1e-6 },
	[H_DELIVERY] = { "postern_delivery_seconds", "From receiving a POST to writing its frame to a subscriber.", time_bounds, 1e-6 },
	[H_LOOP_LAG] = { "postern_loop_lag_seconds", "How late a timer of the event loop comes.", time_bounds, 1e-6 },
	[H_BATCH_SIZE] = { "postern_batch_size", "Messages a batch.", size_bounds, 1 },
};

#define SLOTS (BUCKETS + 2) /* buckets, sum, count */
#define SLOT(h) ((unsigned)METRIC_COUNTERS + (unsigned)(h) * SLOTS)
_Static_assert(METRIC_COUNTERS + METRIC_HISTOGRAMS * SLOTS <= SHARED_COUNTERS, "the metrics must fit into the shared slots");
_Static_assert((int)METRIC_GAUGES <= (int)SHARED_GAUGES, "the gauges must fit into the shared slots");

void metrics_init(struct metrics *m, struct shared *shared, unsigned worker)
{
	*m = (struct metrics){ .shared = shared, .counters = shared_counters(shared, worker), .gauges = shared_gauges(shared, worker) };
}

void metrics_follow(struct metrics *m, enum metric what, uint64_t value, uint64_t *last)
{
	metrics_count(m, what, value - *last);
	*last = value;
}

void metrics_observe(struct metrics *m, enum metric_histogram what, uint64_t value)
{
	_Atomic uint64_t *slots = m->counters + SLOT(what);
	unsigned i = 0;
	while (i < BUCKETS && value > histograms[what].bounds[i])
		i++;
	if (i < BUCKETS)
		shared_add(&slots[i], 1);
	shared_add(&slots[BUCKETS], value);
	shared_add(&slots[BUCKETS + 1], 1);
}

static void head(struct buf *out, const struct row *row, const char *type)
{
	if (row->help != NULL)
		buf_addf(out, "# HELP %s %s\n# TYPE %s %s\n", row->name, row->help, row->name, type);
}

static void value(struct buf *out, const struct row *row, uint64_t n)
{
	if (*row->labels != '\0')
		buf_addf(out, "%s{%s} %" PRIu64 "\n", row->name, row->labels, n);
	else
		buf_addf(out, "%s %" PRIu64 "\n", row->name, n);
}

static void histogram(const struct shared *shared, unsigned h, struct buf *out)
{
	const char *name = histograms[h].name;
	uint64_t below = 0, count = shared_sum_counter(shared, SLOT(h) + BUCKETS + 1);
	buf_addf(out, "# HELP %s %s\n# TYPE %s histogram\n", name, histograms[h].help, name);
	for (unsigned i = 0; i < BUCKETS; i++) {
		below += shared_sum_counter(shared, SLOT(h) + i);
		buf_addf(out, "%s_bucket{le=\"%g\"} %" PRIu64 "\n", name, (double)histograms[h].bounds[i] * histograms[h].unit, below);
	}
	buf_addf(out, "%s_bucket{le=\"+Inf\"} %" PRIu64 "\n%s_sum %g\n%s_count %" PRIu64 "\n", name, count > below ? count : below, name,
		(double)shared_sum_counter(shared, SLOT(h) + BUCKETS) * histograms[h].unit, name, count);
}

void metrics_render(const struct shared *shared, double notify_queue, struct buf *out)
{
	for (unsigned i = 0; i < METRIC_COUNTERS; i++) {
		head(out, &counters[i], "counter");
		value(out, &counters[i], shared_sum_counter(shared, i));
	}
	for (unsigned i = 0; i < METRIC_GAUGES; i++) {
		head(out, &gauges[i], "gauge");
		value(out, &gauges[i], shared_sum_gauge(shared, i));
	}
	for (unsigned h = 0; h < METRIC_HISTOGRAMS; h++)
		histogram(shared, h, out);
	if (notify_queue >= 0)
		buf_addf(out, "# HELP postern_notify_queue_usage Share of PostgreSQL's notification queue in use.\n"
			"# TYPE postern_notify_queue_usage gauge\npostern_notify_queue_usage %g\n", notify_queue);
}
