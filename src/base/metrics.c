/* SPDX-License-Identifier: MIT
 * See metrics.h. Slots: the counters first, then each histogram's buckets, sum and count. */
#include "base/metrics.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"

#define BUCKETS 15

struct row {
	const char *name, *labels, *help;
};

static const struct row counters[METRIC_COUNTERS] = {
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
	[M_HOLES] = { "postern_notification_holes_total", "",
		"How often notifications were missing and the tables were read." },
	[M_LOGINS_FAILED] = { "postern_logins_failed_total", "",
		"Wrong passwords, or names: signing in, changing a password, deleting an account." },
	[M_RATE_LIMITED] = { "postern_rate_limited_total", "", "Requests refused with 429." },
	[M_TOKEN_HITS] = { "postern_token_cache_total", "result=\"hit\"", "Credentials looked up." },
	[M_TOKEN_MISSES] = { "postern_token_cache_total", "result=\"miss\"", NULL },
	[M_PAGE_HITS] = { "postern_page_cache_total", "result=\"hit\"", "Latest pages of chats asked for." },
	[M_PAGE_MISSES] = { "postern_page_cache_total", "result=\"miss\"", NULL },
	[M_REPLICA_SERVED] = { "postern_replica_reads_total", "result=\"served\"", "Reads meant for database_read." },
	[M_REPLICA_BEHIND] = { "postern_replica_reads_total", "result=\"behind\"", NULL },
	[M_REPLICA_FAILED] = { "postern_replica_reads_total", "result=\"failed\"", NULL },
	[M_RETENTION_REMOVED] = { "postern_retention_removed_total", "",
		"Messages that this node removed because they were too old." },
	[M_SEARCH_SKIPPED] = { "postern_follower_skipped_total", "follower=\"search\"",
		"Changes that a background job left out, because they failed again and again." },
	[M_RETENTION_SKIPPED] = { "postern_follower_skipped_total", "follower=\"retention\"", NULL },
	[M_EXPIRY_SKIPPED] = { "postern_follower_skipped_total", "follower=\"expiry\"", NULL },
	[M_ERASURE_SKIPPED] = { "postern_follower_skipped_total", "follower=\"erasure\"", NULL },
	[M_FULL_CONNECTIONS] = { "postern_turned_away_total", "what=\"connection\"",
		"Turned away with 503 because there is no room." },
	[M_FULL_STREAMS] = { "postern_turned_away_total", "what=\"stream\"", NULL },
	[M_FULL_SENDS] = { "postern_turned_away_total", "what=\"send\"", NULL },
	[M_FULL_BODIES] = { "postern_turned_away_total", "what=\"body\"", NULL },
	[M_FULL_ANSWERS] = { "postern_turned_away_total", "what=\"answer\"", NULL },
	[M_FULL_ADDRESSES] = { "postern_turned_away_total", "what=\"address\"", NULL },
#define SIGN_IN(how, name, help) \
	[M_SIGN_INS + 2 * (how)] = { "postern_sign_ins_total", "method=\"" name "\",result=\"good\"", help }, \
			  [M_SIGN_INS + 2 * (how) + 1] = { "postern_sign_ins_total", \
				  "method=\"" name "\",result=\"refused\"", NULL }
	SIGN_IN(SIGN_IN_PASSWORD, "password",
		"Passwords and credentials that were judged. A credential that the worker remembers is not judged "
		"again."),
	SIGN_IN(SIGN_IN_SESSION, "session", NULL),
	SIGN_IN(SIGN_IN_TOKEN, "token", NULL),
	SIGN_IN(SIGN_IN_JWT, "jwt", NULL),
	SIGN_IN(SIGN_IN_TICKET, "ticket", NULL),
	[M_RESETS] = { "postern_stream_resets_total", "reason=\"foreign_epoch\"",
		"Streams and polls that were sent back to /v1/sync." },
	[M_RESETS + 1] = { "postern_stream_resets_total", "reason=\"rewound\"", NULL },
	[M_RESETS + 2] = { "postern_stream_resets_total", "reason=\"future\"", NULL },
	[M_RESETS + 3] = { "postern_stream_resets_total", "reason=\"expired\"", NULL },
	[M_RESETS + 4] = { "postern_stream_resets_total", "reason=\"behind\"", NULL },
	[M_RESETS + 5] = { "postern_stream_resets_total", "reason=\"other\"", NULL },
	[M_RECONNECTS] = { "postern_database_reconnects_total", "",
		"How often a worker had to connect its listener to the database again." },
	[M_FAILOVERS] = { "postern_database_failovers_total", "",
		"How often the database's timeline changed: a standby was promoted, or a backup restored." },
	[M_WORKER_RESTARTS] = { "postern_worker_restarts_total", "", "Workers that died and were replaced." },
	[M_DATABASE_RESTARTS] = { "postern_private_database_restarts_total", "",
		"How often the private PostgreSQL died and was started again." },
	[M_LOG_LINES] = { "postern_log_lines_total", "level=\"error\"",
		"Lines logged, those left out as repetitions included." },
	[M_LOG_LINES + 1] = { "postern_log_lines_total", "level=\"warn\"", NULL },
	[M_LOG_LINES + 2] = { "postern_log_lines_total", "level=\"info\"", NULL },
	[M_LOG_LINES + 3] = { "postern_log_lines_total", "level=\"debug\"", NULL },
	[M_LOG_LINES + 4] = { "postern_log_lines_total", "level=\"trace\"", NULL },
	[M_ACCESS_LINES] = { "postern_access_log_lines_total", "result=\"written\"", "Lines of the access log." },
	[M_ACCESS_DROPPED] = { "postern_access_log_lines_total", "result=\"dropped\"", NULL },
};

static const char *const reset_reasons[] = { "foreign_epoch", "rewound", "future", "expired", "behind" };

/* A row without a name isn't a sum: render_database() and render_processes() render it. */
static const struct row gauges[METRIC_GAUGES] = {
	[G_STREAMS_SSE] = { "postern_streams", "transport=\"sse\"", "Open streams and held polls." },
	[G_STREAMS_NDJSON] = { "postern_streams", "transport=\"ndjson\"", NULL },
	[G_STREAMS_POLL] = { "postern_streams", "transport=\"poll\"", NULL },
	[G_USERS] = { "postern_users_loaded", "", "Users whose membership is in memory." },
	[G_RING_BYTES] = { "postern_ring_bytes", "", "Frames kept in memory." },
	[G_RING_FRAMES] = { "postern_ring_frames", "", "Frames kept in memory." },
	[G_SENDS_WAITING] = { "postern_sends_waiting", "", "Sends not committed yet." },
	[G_CALLS_WAITING] = { "postern_calls_waiting", "",
		"Other operations that wait for a connection to the database." },
	[G_CONNECTIONS] = { "postern_connections", "", "HTTP connections, handed-off streams not counted." },
	[G_BODIES_BYTES] = { "postern_bodies_bytes", "", "Memory of the bodies of unfinished requests: bodies_max." },
	[G_ANSWERS_BYTES] = { "postern_answers_bytes", "", "Answers that clients haven't read yet: answers_max." },
	[G_MEMORY] = { "postern_memory_bytes", "", "Resident memory of the workers." },
	[G_LIVE] = { "postern_workers_live", "", "Workers whose listener is connected and without a hole." },
	[G_SEARCH_LAG] = { "postern_search_lag_positions", "",
		"Positions of the log that the index for searches hasn't come to." },
	[G_SEARCH_LAG_SECONDS] = { "postern_search_lag_seconds", "", "How long the oldest of them has been waiting." },
	[G_RETENTION_BEHIND] = { "postern_retention_behind_seconds", "",
		"For how long the messages have been due that are to be removed next; 0: none is." },
	[G_SEARCH_STUCK] = { "postern_follower_stuck", "follower=\"search\"",
		"1 if every change fails, so that a background job skips no more of them." },
	[G_RETENTION_STUCK] = { "postern_follower_stuck", "follower=\"retention\"", NULL },
	[G_EXPIRY_STUCK] = { "postern_follower_stuck", "follower=\"expiry\"", NULL },
	[G_ERASURE_STUCK] = { "postern_follower_stuck", "follower=\"erasure\"", NULL },
	[G_POOL_BUSY] = { "postern_pool_connections", "state=\"busy\"",
		"Connections to the database for everything but sends and the log." },
	[G_POOL_IDLE] = { "postern_pool_connections", "state=\"idle\"", NULL },
	[G_POOL_DOWN] = { "postern_pool_connections", "state=\"down\"", NULL },
	[G_DATABASE_SIZE] = { "postern_database_size_bytes", "", "Size of the database; measured once a minute." },
	[G_MESSAGES] = { "postern_messages_stored", "",
		"Messages in the database, as PostgreSQL's statistics estimate it." },
	[G_WORKERS] = { "postern_workers", "", "Workers that run." },
};

static const uint64_t time_bounds[BUCKETS] = { 100, 250, 500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000,
	500000, 1000000, 2500000, 10000000 };
static const uint64_t size_bounds[BUCKETS] = { 1, 2, 4, 8, 16, 32, 64, 128, 192, 256, 320, 384, 448, 512, 1024 };

static const struct {
	const char *name, *help;
	const uint64_t *bounds;
	double unit;
} histograms[METRIC_HISTOGRAMS] = {
	[H_COMMIT] = { "postern_commit_seconds", "From giving a batch to the database to its commit.", time_bounds,
		1e-6 },
	[H_DELIVERY] = { "postern_delivery_seconds", "From receiving a POST to writing its frame to a subscriber.",
		time_bounds, 1e-6 },
	[H_LOOP_LAG] = { "postern_loop_lag_seconds", "How late a timer of the event loop comes.", time_bounds, 1e-6 },
	[H_BATCH_SIZE] = { "postern_batch_size", "Messages a batch.", size_bounds, 1 },
};

/* A route's slots: the answers by status, then the histogram of their durations. The last of the status slots counts
 * all statuses that aren't listed. */
static const unsigned statuses[] = { 200, 201, 202, 204, 206, 301, 302, 303, 304, 307, 308, 400, 401, 403, 404, 405,
	406, 408, 409, 410, 411, 412, 413, 414, 415, 416, 417, 422, 423, 425, 426, 428, 429, 431, 451, 500, 501, 502,
	503, 504, 505, 507, 0 };
enum { STATUSES = sizeof(statuses) / sizeof(statuses[0]), STATUS_MAX = 600 };

#define SLOTS (BUCKETS + 2) /* buckets, sum, count */
#define SLOT(h) ((unsigned)METRIC_COUNTERS + (unsigned)(h)*SLOTS)
_Static_assert(
	METRIC_COUNTERS + METRIC_HISTOGRAMS * SLOTS <= SHARED_COUNTERS, "the metrics must fit into the shared slots");
_Static_assert(STATUSES + SLOTS <= SHARED_ROUTE_SLOTS, "a route's counters must fit into its slots");
_Static_assert((int)METRIC_GAUGES <= (int)SHARED_GAUGES, "the gauges must fit into the shared slots");

void metrics_init(struct metrics *m, struct shared *shared, unsigned worker)
{
	*m = (struct metrics) { .shared = shared,
		.counters = shared_counters(shared, worker),
		.gauges = shared_gauges(shared, worker),
		.worker = worker };
	metrics_gauge(m, G_STARTED, clock_real_us());
}

void metrics_follow(struct metrics *m, enum metric what, uint64_t value, uint64_t *last)
{
	metrics_count(m, what, value - *last);
	*last = value;
}

static void observe(_Atomic uint64_t *slots, const uint64_t *bounds, uint64_t value)
{
	unsigned i = 0;
	while (i < BUCKETS && value > bounds[i])
		i++;
	if (i < BUCKETS)
		shared_add(&slots[i], 1);
	shared_add(&slots[BUCKETS], value);
	shared_add(&slots[BUCKETS + 1], 1);
}

void metrics_observe(struct metrics *m, enum metric_histogram what, uint64_t value)
{
	observe(m->counters + SLOT(what), histograms[what].bounds, value);
}

void metrics_reset(struct metrics *m, const char *reason)
{
	unsigned i = 0, most = sizeof(reset_reasons) / sizeof(reset_reasons[0]);
	while (i < most && strcmp(reset_reasons[i], reason) != 0)
		i++;
	metrics_count(m, (enum metric)(M_RESETS + i), 1);
}

static unsigned status_slot(unsigned status)
{
	static uint8_t slots[STATUS_MAX]; /* 0: not determined yet */
	if (status >= STATUS_MAX)
		return STATUSES - 1;
	if (slots[status] == 0) {
		unsigned i = 0;
		while (i < STATUSES - 1 && statuses[i] != status)
			i++;
		slots[status] = (uint8_t)(i + 1);
	}
	return slots[status] - 1U;
}

void metrics_request(struct metrics *m, unsigned route, unsigned status, uint64_t took_us)
{
	_Atomic uint64_t *slots =
		shared_routes(m->shared, m->worker, route < SHARED_ROUTES ? route : SHARED_ROUTES - 1);
	shared_add(&slots[status_slot(status)], 1);
	observe(slots + STATUSES, time_bounds, took_us);
	if (status >= 200 && status < 600)
		metrics_count(m, (enum metric)(M_HTTP_2XX + status / 100 - 2), 1);
}

void metrics_process(struct metrics *m, const struct process_usage *u)
{
	metrics_gauge(m, G_CPU, u->cpu_us);
	metrics_gauge(m, G_MEMORY, u->resident);
	metrics_gauge(m, G_DESCRIPTORS, u->descriptors);
	metrics_gauge(m, G_DESCRIPTORS_MAX, u->descriptors_max);
}

void metrics_log_lines(struct metrics *m)
{
	for (unsigned level = 0; level < LOG_LEVELS; level++)
		metrics_follow(
			m, (enum metric)(M_LOG_LINES + level), log_count((enum log_level)level), &m->log_lines[level]);
}

/* ---- the text ---- */

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

/* labels: "" or `name="value"`. */
static void histogram(const char *name, const char *labels, const uint64_t *bounds, double unit,
	const uint64_t slots[SLOTS], struct buf *out)
{
	const char *comma = *labels != '\0' ? "," : "", *open = *labels != '\0' ? "{" : "",
		   *close = *labels != '\0' ? "}" : "";
	uint64_t below = 0, count = slots[BUCKETS + 1];
	for (unsigned i = 0; i < BUCKETS; i++) {
		below += slots[i];
		buf_addf(out, "%s_bucket{%s%sle=\"%g\"} %" PRIu64 "\n", name, labels, comma, (double)bounds[i] * unit,
			below);
	}
	count = count > below ? count : below; /* a request may have been counted in between */
	buf_addf(out, "%s_bucket{%s%sle=\"+Inf\"} %" PRIu64 "\n%s_sum%s%s%s %.15g\n%s_count%s%s%s %" PRIu64 "\n", name,
		labels, comma, count, name, open, labels, close, (double)slots[BUCKETS] * unit, name, open, labels,
		close, count);
}

static void render_histogram(const struct shared *shared, unsigned h, struct buf *out)
{
	uint64_t slots[SLOTS];
	for (unsigned i = 0; i < SLOTS; i++)
		slots[i] = shared_sum_counter(shared, SLOT(h) + i);
	buf_addf(
		out, "# HELP %s %s\n# TYPE %s histogram\n", histograms[h].name, histograms[h].help, histograms[h].name);
	histogram(histograms[h].name, "", histograms[h].bounds, histograms[h].unit, slots, out);
}

/* The route's template, or "other" without a route: nothing that a client sends becomes a label. */
static struct metrics_route label_of(const struct metrics_route *routes, unsigned count, unsigned i)
{
	return i < count ? routes[i] : (struct metrics_route) { "other", "other" };
}

/* Renders only routes that were requested: the others are zeros. */
static void render_requests(
	const struct shared *shared, const struct metrics_route *routes, unsigned count, struct buf *out)
{
	buf_adds(out,
		"# HELP postern_http_requests_total Answers by route, method and status; a stream or poll counts "
		"when it begins.\n"
		"# TYPE postern_http_requests_total counter\n");
	for (unsigned r = 0; r <= count && r < SHARED_ROUTES; r++)
		for (unsigned i = 0; i < STATUSES; i++) {
			uint64_t n = shared_sum_route(shared, r, i);
			struct metrics_route l = label_of(routes, count, r);
			if (n > 0 && statuses[i] != 0)
				buf_addf(out,
					"postern_http_requests_total{route=\"%s\",method=\"%s\",status=\"%u\"} %" PRIu64
					"\n",
					l.path, l.method, statuses[i], n);
			else if (n > 0)
				buf_addf(out,
					"postern_http_requests_total{route=\"%s\",method=\"%s\","
					"status=\"other\"} %" PRIu64 "\n",
					l.path, l.method, n);
		}
}

static void render_durations(
	const struct shared *shared, const struct metrics_route *routes, unsigned count, struct buf *out)
{
	buf_adds(out,
		"# HELP postern_http_request_duration_seconds From a request's first line to its answer; of a stream "
		"or poll, to its beginning.\n"
		"# TYPE postern_http_request_duration_seconds histogram\n");
	for (unsigned r = 0; r <= count && r < SHARED_ROUTES; r++) {
		uint64_t slots[SLOTS];
		char labels[160];
		struct metrics_route l = label_of(routes, count, r);
		for (unsigned i = 0; i < SLOTS; i++)
			slots[i] = shared_sum_route(shared, r, STATUSES + i);
		snprintf(labels, sizeof(labels), "route=\"%s\",method=\"%s\"", l.path, l.method);
		if (slots[BUCKETS + 1] > 0)
			histogram("postern_http_request_duration_seconds", labels, time_bounds, 1e-6, slots, out);
	}
}

static void render_processes(const struct shared *shared, struct buf *out)
{
	static const struct {
		struct row row;
		enum metric_gauge gauge;
		const char *type;
		double unit;
	} rows[] = {
		{ { "process_start_time_seconds", "", "When the process began, in seconds since 1970." }, G_STARTED,
			"gauge", 1e-6 },
		{ { "process_cpu_seconds_total", "", "User and system time that the process has used." }, G_CPU,
			"counter", 1e-6 },
		{ { "process_resident_memory_bytes", "", "Resident memory of the process." }, G_MEMORY, "gauge", 1 },
		{ { "process_open_fds", "", "Open descriptors of the process." }, G_DESCRIPTORS, "gauge", 1 },
		{ { "process_max_fds", "", "How many the process may open." }, G_DESCRIPTORS_MAX, "gauge", 1 },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		head(out, &rows[i].row, rows[i].type);
		for (unsigned p = 0; p <= shared_supervisor(shared); p++) {
			if (shared_gauge(shared, p, G_DESCRIPTORS_MAX) == 0)
				continue; /* the worker doesn't run */
			buf_addf(out,
				p < shared_supervisor(shared) ? "%s{process=\"worker %u\"}"
							      : "%s{process=\"supervisor\"}",
				rows[i].row.name, p);
			buf_addf(out, " %.*f\n", rows[i].unit < 1 ? 3 : 0,
				(double)shared_gauge(shared, p, rows[i].gauge) * rows[i].unit);
		}
	}
}

static void render_database(const struct shared *shared, double notify_queue, struct buf *out)
{
	uint64_t workers = shared_sum_gauge(shared, G_WORKERS);
	buf_addf(out,
		"# HELP postern_database_up Whether every worker is connected to the database.\n# TYPE "
		"postern_database_up gauge\n"
		"postern_database_up %d\n",
		workers > 0 && shared_sum_gauge(shared, G_DATABASE_UP) == workers);
	if (notify_queue >= 0)
		buf_addf(out,
			"# HELP postern_notify_queue_usage Share of PostgreSQL's notification queue in use.\n"
			"# TYPE postern_notify_queue_usage gauge\npostern_notify_queue_usage %g\n",
			notify_queue);
}

void metrics_render(const struct shared *shared, const struct metrics_route *routes, unsigned routes_count,
	double notify_queue, struct buf *out)
{
	for (unsigned i = 0; i < METRIC_COUNTERS; i++) {
		head(out, &counters[i], "counter");
		value(out, &counters[i], shared_sum_counter(shared, i));
	}
	for (unsigned i = 0; i < METRIC_GAUGES; i++) {
		if (gauges[i].name == NULL)
			continue;
		head(out, &gauges[i], "gauge");
		value(out, &gauges[i], shared_sum_gauge(shared, i));
	}
	for (unsigned h = 0; h < METRIC_HISTOGRAMS; h++)
		render_histogram(shared, h, out);
	render_requests(shared, routes, routes_count, out);
	render_durations(shared, routes, routes_count, out);
	render_database(shared, notify_queue, out);
	render_processes(shared, out);
}
