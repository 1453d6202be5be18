/* SPDX-License-Identifier: MIT
 * See worker.h: creates the parts of a worker, connects them, and frees them. What happens between them is their
 * business: those that follow the log listen to the tail. */
#include "serve/worker.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/api.h"
#include "api/auth.h"
#include "api/gather.h"
#include "api/presence.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "base/shared.h"
#include "conf/conf.h"
#include "follow/erasure.h"
#include "follow/follower.h"
#include "follow/retention.h"
#include "follow/upkeep.h"
#include "http/server.h"
#include "hub/hub.h"
#include "log/batch.h"
#include "log/tail.h"
#include "loop/loop.h"
#include "pg/pool.h"
#include "pg/replica.h"
#include "pg/store.h"
#include "serve/confine.h"

#define POOL_SIZE (STORE_WORKER_CONNECTIONS - 2) /* without those of the tail and the batcher */
#define SECOND_MS 1000
#define MEASURE_EVERY 5 /* seconds */
#define SIZES_EVERY 60  /* likewise, a multiple of it */
#define STOP_MS 100     /* when stopping: between two checks whether anything is left */
#define STOP_CHECKS 60  /* after that many, the rest is cut off */

struct worker {
	const struct worker_env *env;
	struct loop *loop;
	struct metrics metrics;
	struct pg_pool *pool;
	struct replica *replica;
	struct tail *tail;
	struct batcher *batcher;
	struct hub *hub;
	struct http_server *http;
	struct api api;
	struct upkeep *upkeep;
	struct erasure *erasure;
	struct follower *search;     /* NULL: another worker of this node has it */
	struct retention *retention; /* NULL: likewise */
	struct loop_hook *starting;  /* NULL: it is listening */
	struct loop_timer *second, *stop;
	struct loop_signal *sigterm, *sigint, *sighup;
	bool stopping;
	uint64_t settings; /* the number of the post in shared that was applied last */
	unsigned seconds, stop_checks;
	char timeline[16]; /* the database's, at the last measurement; "": there was none yet */
	uint64_t second_due_us;
	struct {
		uint64_t delivered, ring, tables, slow, notifications, holes, reconnects, served, behind, failed;
	} last;
};

static void measure(struct worker *w);

/* Listens once every part is connected: before that, clients would get a 503 from the parts that aren't. */
static void listen_when_connected(void *arg)
{
	struct worker *w = arg;
	if (w->stopping || !tail_live(w->tail) || !pg_pool_up(w->pool) || !batcher_connected(w->batcher))
		return;
	loop_hook_free(w->starting);
	w->starting = NULL;
	for (unsigned i = 0; i < w->env->listen_count; i++)
		http_listen(w->http, w->env->listen_fds[i], false, w->env->listen_shared[i]);
	if (w->env->metrics_fd >= 0)
		http_listen(w->http, w->env->metrics_fd, true, w->env->metrics_shared);
	measure(w);
	if (write(w->env->ready_fd, "1", 1) != 1)
		log_warn("can't notify the supervisor");
	close(w->env->ready_fd);
	log_info("ready");
}

static void on_commit(void *arg, unsigned items, uint64_t took_us)
{
	struct worker *w = arg;
	metrics_observe(&w->metrics, H_COMMIT, took_us);
	metrics_observe(&w->metrics, H_BATCH_SIZE, items);
}

/* ---- measuring ---- */

static void on_search_lag(void *arg, uint64_t positions, uint64_t age_ms)
{
	struct worker *w = arg;
	metrics_gauge(&w->metrics, G_SEARCH_LAG, positions);
	metrics_gauge(&w->metrics, G_SEARCH_LAG_SECONDS, (age_ms + 999) / 1000);
}

static const struct follower_kind search_kind = { .name = "search",
	.step = "select mine, head, pos, age_ms, more,"
		" (extract(epoch from clock_timestamp() - statement_timestamp()) * 1000)::int"
		" from search_follow($1, $2, $3)",
	.skip = "select search_skip($1)",
	.skipped = M_SEARCH_SKIPPED,
	.stuck = G_SEARCH_STUCK,
	.on_lag = on_search_lag };

static void on_measured(void *arg, const struct pg_result *r)
{
	struct worker *w = arg;
	if (!pg_ok(r))
		return;
	w->api.notify_queue = strtod(pg_text(r, 0, 0), NULL);
	/* "15.18 (Debian 15.18-0+deb12u1)" */
	const char *version = pg_text(r, 0, 1);
	snprintf(w->api.postgresql, sizeof(w->api.postgresql), "%.*s",
		(int)strspn(version, "0123456789.abcdefghijklmnopqrstuvwxyz"), version);
	const char *timeline = pg_text(r, 0, 2);
	if (*w->timeline != '\0' && strcmp(w->timeline, timeline) != 0 && w->env->index == 0)
		metrics_count(&w->metrics, M_FAILOVERS, 1);
	snprintf(w->timeline, sizeof(w->timeline), "%s", timeline);
	if (pg_null(r, 0, 3))
		return;
	metrics_gauge(&w->metrics, G_DATABASE_SIZE, (uint64_t)pg_int(r, 0, 3));
	metrics_gauge(&w->metrics, G_MESSAGES, (uint64_t)pg_int(r, 0, 4));
}

static void measure(struct worker *w)
{
	struct metrics *m = &w->metrics;
	const struct hub_stats *h = hub_stats(w->hub);
	metrics_follow(m, M_DELIVERED, h->delivered, &w->last.delivered);
	metrics_follow(m, M_REPLAYS_RING, h->replays_ring, &w->last.ring);
	metrics_follow(m, M_REPLAYS_TABLES, h->replays_tables, &w->last.tables);
	metrics_follow(m, M_SLOW, h->slow, &w->last.slow);
	const struct tail_stats *t = tail_stats(w->tail);
	metrics_follow(m, M_NOTIFICATIONS, t->notifications, &w->last.notifications);
	metrics_follow(m, M_HOLES, t->holes, &w->last.holes);
	metrics_follow(m, M_RECONNECTS, t->reconnects, &w->last.reconnects);
	const struct replica_stats *r = replica_stats(w->replica);
	metrics_follow(m, M_REPLICA_SERVED, r->served, &w->last.served);
	metrics_follow(m, M_REPLICA_BEHIND, r->behind, &w->last.behind);
	metrics_follow(m, M_REPLICA_FAILED, r->failed, &w->last.failed);
	metrics_gauge(m, G_USERS, h->users);
	metrics_gauge(m, G_RING_BYTES, ring_bytes(tail_ring(w->tail)));
	metrics_gauge(m, G_RING_FRAMES, ring_count(tail_ring(w->tail)));
	metrics_gauge(m, G_SENDS_WAITING, batcher_waiting(w->batcher));
	metrics_gauge(m, G_CALLS_WAITING, pg_pool_waiting(w->pool));
	metrics_gauge(m, G_CONNECTIONS, http_connections(w->http));
	metrics_log_lines(m);
	unsigned busy, idle, down;
	pg_pool_count(w->pool, &busy, &idle, &down);
	metrics_gauge(m, G_POOL_BUSY, busy);
	metrics_gauge(m, G_POOL_IDLE, idle);
	metrics_gauge(m, G_POOL_DOWN, down);
	metrics_gauge(m, G_DATABASE_UP, pg_pool_up(w->pool) ? 1 : 0);
	metrics_gauge(m, G_LIVE, tail_live(w->tail) ? 1 : 0);
	metrics_gauge(m, G_WORKERS, 1);
}

struct usage_job {
	struct worker *worker;
	struct process_usage usage;
};

static void read_usage(void *arg) { process_measure(&((struct usage_job *)arg)->usage); }

static void on_usage(void *arg)
{
	struct usage_job *j = arg;
	metrics_process(&j->worker->metrics, &j->usage);
	free(j);
}

static void measure_process(struct worker *w)
{
	struct usage_job *j = mem_zeroed(1, sizeof(*j));
	j->worker = w;
	if (loop_job(w->loop, read_usage, on_usage, j) != ST_OK)
		free(j);
}

static void on_second(void *arg)
{
	struct worker *w = arg;
	uint64_t now = clock_mono_us();
	shared_beat(w->env->shared, w->env->index);
	log_tick();
	metrics_observe(&w->metrics, H_LOOP_LAG, now > w->second_due_us ? now - w->second_due_us : 0);
	w->second_due_us = now + SECOND_MS * 1000;
	measure(w);
	if (w->seconds++ % MEASURE_EVERY != 0)
		return;
	/* One worker a node measures what is the same for all of them. */
	bool sizes = w->env->index == 0 && w->seconds % SIZES_EVERY == 1;
	auth_reload_keys(w->api.auth, false);
	measure_process(w);
	if (pg_pool_up(w->pool))
		pg_pool_call(w->pool,
			"select queue_usage, version, timeline, size, messages from database_measures($1)", 1,
			(const char *[]) { sizes ? "t" : "f" }, on_measured, w);
}

/* ---- stopping ---- */

/* Waits until the requests in progress are answered, and the streams have got their last event. */
static void on_stop(void *arg)
{
	struct worker *w = arg;
	unsigned left = http_requests_open(w->http) + hub_stats(w->hub)->subscribers;
	if (left == 0 || ++w->stop_checks > STOP_CHECKS)
		loop_stop(w->loop);
}

static void on_sigterm(void *arg)
{
	struct worker *w = arg;
	if (w->stopping)
		return;
	w->stopping = true;
	log_info("stopping: %u streams, %u requests", hub_stats(w->hub)->subscribers, http_requests_open(w->http));
	http_stop_accepting(w->http);
	presence_stop(w->api.presence);
	hub_end(w->hub, NULL, 0, END_SHUTDOWN);
	loop_timer_start(w->stop, 0, STOP_MS);
}

/* Most settings are looked up where they are needed; these are the values that were copied. */
static void apply_settings(struct worker *w)
{
	const struct conf *conf = w->env->conf;
	log_set(conf->log_level, conf->log_format);
	hub_set_queue_max(w->hub, conf->stream_queue_max);
	ring_set_max(tail_ring(w->tail), conf->ring_bytes);
	pg_pool_set_wait(w->pool, conf->send_wait * 1000);
	batcher_set_wait(w->batcher, conf->send_wait * 1000);
	upkeep_set(w->upkeep, conf);
	erasure_set(w->erasure, conf);
	auth_set_keys(w->api.auth);
}

/* Applies the settings that the supervisor has posted. Returns false if there are no new ones. */
static bool apply_posted_settings(struct worker *w)
{
	static char text[SHARED_POST_MAX];
	size_t len;
	if (shared_posted(w->env->shared) == w->settings)
		return false;
	w->settings = shared_read_post(w->env->shared, text, &len);
	conf_unpack(w->env->conf, text, len);
	apply_settings(w);
	return true;
}

static void on_sighup(void *arg)
{
	struct worker *w = arg;
	if (!apply_posted_settings(w))
		auth_reload_keys(w->api.auth, true);
	http_reload(w->http);
	shared_set_applied_post(w->env->shared, w->env->index, w->settings);
}

/* ---- */

static void open_parts(struct worker *w)
{
	const struct worker_env *env = w->env;
	const struct conf *conf = env->conf;
	unsigned deadline = conf->database_timeout * 1000, wait = conf->send_wait * 1000;
	w->loop = loop_new();
	metrics_init(&w->metrics, env->shared, env->index);
	w->pool = pg_pool_new(w->loop, env->conninfo, POOL_SIZE, deadline, wait);
	w->replica = replica_new(w->loop, w->pool, env->read_conninfo, POOL_SIZE, deadline);
	w->tail = tail_new(w->loop, env->conninfo, env->node, conf->ring_bytes, deadline, shared_position(env->shared));
	w->batcher = batcher_new(w->loop, w->tail, env->conninfo, env->node, deadline, wait, on_commit, w);
	w->hub = hub_new(w->loop, w->tail, w->pool, w->replica, conf->stream_queue_max);
	w->api = (struct api) { .loop = w->loop,
		.conf = conf,
		.shared = env->shared,
		.worker = env->index,
		.node = env->node,
		.broker = env->broker,
		.metrics = &w->metrics,
		.pool = w->pool,
		.replica = w->replica,
		.tail = w->tail,
		.batcher = w->batcher,
		.hub = w->hub,
		.metrics_apart = env->metrics_fd >= 0 };
	api_init(&w->api);
	w->http = http_new(w->loop, conf, w->hub, &w->metrics, w->api.routes, &api_events, &w->api, env->broker);
	w->upkeep = upkeep_new(w->loop, w->pool, &w->metrics, conf);
	w->erasure = erasure_new(w->loop, w->pool, &w->metrics, conf);
	if (env->index == 0)
		w->retention = retention_new(w->loop, w->pool, &w->metrics);
	if (env->index == 0)
		w->search = follower_new(w->loop, w->tail, w->pool, env->node, &search_kind, &w->metrics, w);
	w->starting = loop_hook_new(w->loop, listen_when_connected, w);
	w->second = loop_timer_new(w->loop, on_second, w);
	w->second_due_us = clock_mono_us() + SECOND_MS * 1000;
	loop_timer_start(w->second, SECOND_MS, SECOND_MS);
	w->stop = loop_timer_new(w->loop, on_stop, w);
	w->sigterm = loop_signal_new(w->loop, SIGTERM, on_sigterm, w);
	w->sigint = loop_signal_new(w->loop, SIGINT, on_sigterm, w);
	w->sighup = loop_signal_new(w->loop, SIGHUP, on_sighup, w);
	apply_posted_settings(w); /* they may have been posted since the fork */
	shared_set_applied_post(env->shared, env->index, w->settings);
}

/* First answers what waits for the database (503), then frees HTTP, then what that depends on. */
static void close_parts(struct worker *w)
{
	if (w->starting != NULL)
		loop_hook_free(w->starting);
	loop_timer_free(w->second);
	loop_timer_free(w->stop);
	loop_signal_free(w->sigterm);
	loop_signal_free(w->sigint);
	loop_signal_free(w->sighup);
	batcher_free(w->batcher);
	gatherer_stop(w->api.gatherer);
	bulks_stop(w->api.bulks);
	replica_stop(w->replica);
	pg_pool_free(w->pool);
	replica_free(w->replica);
	hub_free(w->hub);
	http_free(w->http);
	upkeep_free(w->upkeep);
	retention_free(w->retention);
	erasure_free(w->erasure);
	follower_free(w->search);
	api_release(&w->api);
	tail_free(w->tail);
	loop_free(w->loop);
}

static void confine(const struct worker_env *env)
{
	struct buf why;
	buf_init(&why, 1024);
	if (confine_worker(env->conninfo, env->read_conninfo, env->state, &why))
		log_debug("confined by seccomp and Landlock");
	else /* one worker says it for all */
		log_at(env->index == 0 ? LOG_WARN : LOG_DEBUG, "not confined as usual: %.*s", (int)why.len - 2,
			why.data);
	buf_release(&why);
}

int worker_run(const struct worker_env *env)
{
	struct worker w = { .env = env, .settings = env->settings };
	signal(SIGPIPE, SIG_IGN);
	if (!env->conf->debuggable)
		confine(env);
	srandom((unsigned)clock_mono_us() ^ (unsigned)getpid());
	open_parts(&w);
	loop_run(w.loop);
	close_parts(&w);
	log_info("stopped");
	return 0;
}
