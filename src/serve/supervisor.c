/* SPDX-License-Identifier: MIT
 * See supervisor.h. It serves no requests, so that it needs no event loop: it waits for signals, and for the workers
 * to report that they are ready. Its children are killed when it dies, however that happens (PDEATHSIG).
 *
 * The order of a start: bind as root, become the state directory's owner, lock it, database, migrations, workers. */
#include "serve/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/broker.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/privileges.h"
#include "base/secret.h"
#include "base/service.h"
#include "base/shared.h"
#include "base/signals.h"
#include "base/waiting.h"
#include "conf/conf.h"
#include "pg/cluster.h"
#include "pg/store.h"
#include "serve/demo.h"
#include "serve/files.h"
#include "serve/listen.h"
#include "serve/restart_backoff.h"
#include "serve/worker.h"

enum {
	WORKERS_MAX = 64,
	TICK_MS = 1000,
	MEASURE_MS = 5000,
	HUNG_MS = 10000,  /* a worker without a beat for that long is killed */
	ANSWER_MS = 5000, /* a worker without a beat for that long doesn't answer; one is due every second */
	RELOAD_MS = 5000, /* until every worker has the new settings */
	RELOAD_LOOK_MS = 20,
	EXTEND_MS = 30000, /* what a start that is still making progress asks the service manager for */
	START_MS = 60000,  /* until a worker's first beat, and until it is ready */
	STOP_MS = 10000,   /* between SIGTERM and SIGKILL */
	DESCRIPTORS_MIN = 128,
	DESCRIPTORS_MAX = 1 << 20,
};

struct child {
	pid_t pid;    /* 0: not running */
	int broker;   /* it asks for files here; -1: it isn't running */
	int ready_fd; /* it writes a byte when it is ready; -1: it has done so, or isn't running */
	struct restart_backoff backoff;
};

struct supervisor {
	struct conf *conf; /* a SIGHUP changes it */
	const struct service *service;
	struct store store;
	struct listen listen;
	struct shared *shared;
	struct metrics metrics;
	struct demo *demo;
	char node[9];
	int signal_fd;
	struct child workers[WORKERS_MAX];
	struct restart_backoff database;
	bool serves;    /* a worker has been ready once */
	bool announced; /* every worker has been ready once */
	bool answering; /* whether every worker answers, as last reported to the service manager */
	bool stop, failed;
	uint64_t ticked, pinged, measured;
	uint64_t reload_until; /* when the workers must have the new settings; 0: they have them */
};

static void close_if_open(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* Runs in the child. */
static __attribute__((noreturn)) void work(struct supervisor *s, unsigned i, int ready_fd, int broker, pid_t parent)
{
	char name[32];
	store_inherit(&s->store, parent);
	struct worker_env env = { .conf = s->conf,
		.shared = s->shared,
		.index = i,
		.settings = shared_posted(s->shared),
		.listen_fds = &s->listen.fds[i * s->listen.count],
		.listen_shared = s->listen.shared,
		.listen_count = (unsigned)s->listen.count,
		.metrics_fd = s->listen.metrics_fds[i],
		.metrics_shared = s->listen.metrics_shared,
		.conninfo = s->store.conninfo,
		.read_conninfo = s->store.read_conninfo,
		.state = s->store.state,
		.node = s->node,
		.broker = broker,
		.ready_fd = ready_fd };
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
		_exit(EXIT_FAILURE);
	setpgid(0, 0); /* a Ctrl-C at the terminal reaches only the supervisor, which stops the workers */
	snprintf(name, sizeof(name), "postern-work%u", i);
	prctl(PR_SET_NAME, name);
	snprintf(name, sizeof(name), "worker %u", i);
	log_setup(s->conf->log_level, s->conf->log_format, name);
	close(s->signal_fd);
	for (unsigned w = 0; w < s->conf->workers; w++) {
		close_if_open(&s->workers[w].ready_fd);
		close_if_open(&s->workers[w].broker);
	}
	listen_keep(&s->listen, i);
	signals_reset(SIGHUP); /* ignored until the worker handles it; it applies what was posted until then anyway */
	exit(worker_run(&env));
}

static void start_worker(struct supervisor *s, unsigned i)
{
	struct child *c = &s->workers[i];
	int ready[2] = { -1, -1 }, broker = -1;
	pid_t parent = getpid();
	restart_backoff_started(&c->backoff);
	bool ok = pipe2(ready, O_CLOEXEC) == 0 && broker_pair(&c->broker, &broker) == 0;
	fflush(NULL);
	c->ready_fd = ready[0];
	c->pid = ok ? fork() : -1;
	if (c->pid == 0) {
		close_if_open(&c->broker);
		work(s, i, ready[1], broker, parent);
	}
	if (c->pid < 0) {
		log_error("starting worker %u: %s", i, strerror(errno));
		close_if_open(&c->ready_fd);
		close_if_open(&c->broker);
		c->pid = 0;
		restart_backoff_died(&c->backoff);
	} else {
		log_debug("worker %u is process %ld", i, (long)c->pid);
	}
	close_if_open(&ready[1]);
	close_if_open(&broker);
}

static int open_for_worker(void *arg, enum broker_file file)
{
	return files_open(((const struct supervisor *)arg)->conf, file);
}

static void notify_status(const struct supervisor *s)
{
	if (s->answering)
		service_notify(s->service, "STATUS=Serving at %s with %u worker%s", s->listen.url, s->conf->workers,
			s->conf->workers > 1 ? "s" : "");
	else
		service_notify(s->service, "STATUS=A worker doesn't answer");
}

static void announce_ready(struct supervisor *s)
{
	for (unsigned i = 0; i < s->conf->workers; i++)
		if (s->workers[i].pid == 0 || s->workers[i].ready_fd >= 0)
			return;
	s->announced = s->answering = true;
	notify_status(s);
	printf("ready %s\n", s->listen.url);
	fflush(stdout);
	log_info("ready at %s with %u worker%s", s->listen.url, s->conf->workers, s->conf->workers > 1 ? "s" : "");
	if (s->demo != NULL)
		demo_print(s->demo, s->listen.local_url != NULL ? s->listen.local_url : s->listen.url, stdout);
	fflush(stdout);
}

/* Reads a worker's byte. If the pipe has ended instead, the worker is dying, and SIGCHLD follows. */
static void read_ready(struct supervisor *s, struct child *c)
{
	char byte;
	if (read(c->ready_fd, &byte, 1) != 1)
		return;
	close(c->ready_fd);
	c->ready_fd = -1;
	if (!s->serves)
		service_notify(s->service, "READY=1");
	s->serves = true;
	if (!s->announced)
		announce_ready(s);
}

static void log_death(const char *who, pid_t pid, int wstatus)
{
	if (WIFSIGNALED(wstatus))
		log_error("%s (process %ld) was killed by signal %d (%s)", who, (long)pid, WTERMSIG(wstatus),
			strsignal(WTERMSIG(wstatus)));
	else
		log_error("%s (process %ld) exited with status %d", who, (long)pid, WEXITSTATUS(wstatus));
}

static void worker_died(struct supervisor *s, unsigned i, int wstatus)
{
	struct child *c = &s->workers[i];
	bool was_ready = c->ready_fd < 0;
	char who[32];
	snprintf(who, sizeof(who), "worker %u", i);
	if (!s->stop)
		log_death(who, c->pid, wstatus);
	else if (!WIFEXITED(wstatus) || WEXITSTATUS(wstatus) != 0)
		log_warn("worker %u didn't stop cleanly", i);
	if (!s->stop)
		metrics_count(&s->metrics, M_WORKER_RESTARTS, 1);
	c->pid = 0;
	close_if_open(&c->ready_fd);
	close_if_open(&c->broker);
	shared_reset_worker(s->shared, i);
	restart_backoff_died(&c->backoff);
	/* A worker that was never ready won't be the next time either: the start has failed. */
	if (!s->announced && !was_ready)
		s->stop = s->failed = true;
}

static void reap(struct supervisor *s)
{
	pid_t pid;
	int wstatus;
	while ((pid = waitpid(-1, &wstatus, WNOHANG)) > 0) {
		if (s->store.cluster != NULL && pid == cluster_pid(s->store.cluster)) {
			log_death("the database server", pid, wstatus);
			metrics_count(&s->metrics, M_DATABASE_RESTARTS, 1);
			cluster_exited(s->store.cluster);
			restart_backoff_died(&s->database);
			continue;
		}
		for (unsigned i = 0; i < s->conf->workers; i++)
			if (s->workers[i].pid == pid) {
				worker_died(s, i, wstatus);
				break;
			}
	}
}

static void signal_workers(struct supervisor *s, int signum)
{
	for (unsigned i = 0; i < s->conf->workers; i++)
		if (s->workers[i].pid > 0)
			kill(s->workers[i].pid, signum);
}

/* The workers don't read the file themselves: it may be readable for root only, and may change between two reads. */
static bool post_settings(struct supervisor *s)
{
	struct buf text;
	buf_init(&text, SHARED_POST_MAX);
	conf_pack(s->conf, &text);
	bool ok = !buf_failed(&text) && shared_post(s->shared, text.data, text.len);
	buf_release(&text);
	return ok;
}

static void reload(struct supervisor *s)
{
	service_notify(s->service, "RELOADING=1\nMONOTONIC_USEC=%llu\nSTATUS=Reading the settings again",
		(unsigned long long)clock_mono_us());
	if (conf_reload(s->conf)) {
		log_set(s->conf->log_level, s->conf->log_format);
		if (!post_settings(s))
			log_error("the settings are too long to pass to the workers: restart the server");
	}
	signal_workers(s, SIGHUP); /* they also open the files again that the settings name */
	s->reload_until = clock_mono_ms() + RELOAD_MS;
}

/* Reports to the service manager that the reload is done once every worker has the new settings, or after RELOAD_MS: a
 * worker that hangs is replaced, and the new one starts with them. */
static void end_reload(struct supervisor *s, uint64_t now)
{
	for (unsigned i = 0; i < s->conf->workers && now < s->reload_until; i++)
		if (s->workers[i].pid > 0 && s->workers[i].ready_fd < 0 &&
			shared_applied_post(s->shared, i) != shared_posted(s->shared))
			return;
	s->reload_until = 0;
	log_info("reloaded");
	service_notify(s->service, "READY=1");
	notify_status(s);
}

static void handle_signals(struct supervisor *s)
{
	struct signalfd_siginfo info;
	while (read(s->signal_fd, &info, sizeof(info)) == sizeof(info)) {
		switch (info.ssi_signo) {
		case SIGCHLD: reap(s); break;
		case SIGHUP: reload(s); break;
		default:
			log_info("%s: stopping", strsignal((int)info.ssi_signo));
			if (s->stop) /* the second request: stop at once */
				signal_workers(s, SIGKILL);
			s->stop = true;
			break;
		}
	}
}

/* A worker without a beat is stuck in its loop. */
static void kill_hung(struct supervisor *s, uint64_t now)
{
	/* If the supervisor didn't run either (a suspended machine or container), gives the workers time to beat. */
	bool slept = s->ticked != 0 && now - s->ticked > 3 * TICK_MS;
	s->ticked = now;
	for (unsigned i = 0; i < s->conf->workers && !slept; i++) {
		struct child *c = &s->workers[i];
		uint64_t beat = shared_last_beat(s->shared, i);
		bool coming_up = beat == 0 || c->ready_fd >= 0;
		uint64_t patience = coming_up ? START_MS : HUNG_MS;
		if (c->pid == 0 || now < (coming_up ? c->backoff.started_ms : beat) + patience)
			continue;
		log_error("worker %u (process %ld) hasn't responded for %u s: killing it", i, (long)c->pid,
			(unsigned)patience / 1000);
		kill(c->pid, SIGKILL);
	}
}

static bool all_answer(const struct supervisor *s, uint64_t now)
{
	/* A shorter watchdog must notice before it expires. */
	uint64_t patience = s->service->watchdog_ms > 0 && s->service->watchdog_ms < ANSWER_MS ? s->service->watchdog_ms
											       : ANSWER_MS;
	for (unsigned i = 0; i < s->conf->workers; i++) {
		uint64_t beat = shared_last_beat(s->shared, i);
		if (s->workers[i].pid == 0 || beat == 0 || now > beat + patience)
			return false;
	}
	return true;
}

/* Pings the service manager's watchdog, but only while every worker answers. */
static void ping_watchdog(struct supervisor *s, uint64_t now)
{
	bool answering = all_answer(s, now);
	if (s->announced && answering != s->answering) {
		s->answering = answering;
		notify_status(s);
	}
	if (s->service->watchdog_ms == 0 || !answering ||
		(s->pinged != 0 && now - s->pinged < s->service->watchdog_ms / 3))
		return;
	service_notify(s->service, "WATCHDOG=1");
	s->pinged = now;
}

static void start_due(struct supervisor *s, uint64_t now)
{
	struct cluster *cluster = s->store.cluster;
	if (cluster != NULL && cluster_pid(cluster) == 0 && now >= s->database.due_ms) {
		struct buf why;
		buf_init(&why, 4096);
		restart_backoff_started(&s->database);
		if (cluster_restart(cluster, &why) == ST_OK)
			log_info("started the database server again");
		else {
			log_error("starting the database server: %s", why.data);
			restart_backoff_died(&s->database);
		}
		buf_release(&why);
	}
	for (unsigned i = 0; i < s->conf->workers; i++)
		if (s->workers[i].pid == 0 && now >= s->workers[i].backoff.due_ms)
			start_worker(s, i);
}

static int until_next(const struct supervisor *s, uint64_t now)
{
	uint64_t next = now + (s->reload_until != 0 ? RELOAD_LOOK_MS : TICK_MS);
	if (s->store.cluster != NULL && cluster_pid(s->store.cluster) == 0 && s->database.due_ms < next)
		next = s->database.due_ms;
	for (unsigned i = 0; i < s->conf->workers; i++)
		if (s->workers[i].pid == 0 && s->workers[i].backoff.due_ms < next)
			next = s->workers[i].backoff.due_ms;
	return next > now ? (int)(next - now) : 0;
}

static void wait_for_events(struct supervisor *s, int timeout_ms)
{
	unsigned workers = s->conf->workers;
	struct pollfd p[1 + 2 * WORKERS_MAX] = { { .fd = s->signal_fd, .events = POLLIN } };
	for (unsigned i = 0; i < workers; i++) {
		p[1 + i] = (struct pollfd) { .fd = s->workers[i].ready_fd, .events = POLLIN };
		p[1 + workers + i] = (struct pollfd) { .fd = s->workers[i].broker, .events = POLLIN };
	}
	if (poll(p, 1 + 2 * workers, timeout_ms) <= 0)
		return;
	for (unsigned i = 0; i < workers; i++) {
		if (p[1 + i].revents & POLLIN)
			read_ready(s, &s->workers[i]);
		if (p[1 + workers + i].revents != 0 && !broker_answer(s->workers[i].broker, open_for_worker, s))
			close_if_open(&s->workers[i].broker);
	}
	handle_signals(s);
}

static void measure(struct supervisor *s, uint64_t now)
{
	struct process_usage usage;
	if (s->store.cluster != NULL)
		cluster_follow_log(s->store.cluster);
	metrics_log_lines(&s->metrics);
	if (s->measured != 0 && now - s->measured < MEASURE_MS)
		return;
	process_measure(&usage);
	metrics_process(&s->metrics, &usage);
	s->measured = now;
}

static void run(struct supervisor *s)
{
	while (!s->stop) {
		uint64_t now = clock_mono_ms();
		log_tick();
		start_due(s, now);
		if (now - s->ticked >= TICK_MS) {
			measure(s, now);
			ping_watchdog(s, now);
			kill_hung(s, now);
		}
		if (s->reload_until != 0)
			end_reload(s, now);
		wait_for_events(s, until_next(s, clock_mono_ms()));
	}
}

static bool any_running(const struct supervisor *s)
{
	for (unsigned i = 0; i < s->conf->workers; i++)
		if (s->workers[i].pid > 0)
			return true;
	return false;
}

static void stop_workers(struct supervisor *s)
{
	uint64_t until = clock_mono_ms() + STOP_MS;
	s->stop = true;
	service_notify(s->service, "STOPPING=1\nSTATUS=Stopping");
	listen_stop(&s->listen);
	signal_workers(s, SIGTERM);
	while (any_running(s)) {
		uint64_t now = clock_mono_ms();
		if (now >= until) {
			log_warn("a worker doesn't stop: killing it");
			signal_workers(s, SIGKILL);
			until = now + STOP_MS;
		}
		wait_for_events(s, (int)(until - now));
	}
}

static enum status raise_descriptor_limit(struct buf *why)
{
	struct rlimit r;
	if (getrlimit(RLIMIT_NOFILE, &r) < 0)
		return ST_OK;
	if (r.rlim_max < DESCRIPTORS_MIN) {
		buf_addf(why,
			"the limit of open files is %llu (ulimit -Hn, LimitNOFILE=): at least %d are "
			"needed, and one for each stream",
			(unsigned long long)r.rlim_max, DESCRIPTORS_MIN);
		return ST_REFUSED;
	}
	rlim_t most = r.rlim_max < DESCRIPTORS_MAX ? r.rlim_max : DESCRIPTORS_MAX;
	if (r.rlim_cur < most) {
		r.rlim_cur = most;
		if (setrlimit(RLIMIT_NOFILE, &r) < 0)
			log_warn("the limit of descriptors can't be raised: %s", strerror(errno));
	}
	return ST_OK;
}

/* Everything up to the first fork of a worker. */
static enum status prepare(struct supervisor *s, struct buf *why)
{
	enum status st = listen_open(&s->listen, s->conf, s->service, why);
	if (st == ST_OK)
		socket_files_keep_rights(&s->listen.files);
	if (st == ST_OK)
		st = store_become_owner(&s->store, s->conf, why);
	socket_files_drop_rights(&s->listen.files);
	privileges_drop(s->conf->debuggable);
	if (st == ST_OK)
		st = files_check(s->conf, why);
	if (st == ST_OK)
		st = raise_descriptor_limit(why);
	if (st == ST_OK)
		st = store_open(&s->store, s->conf, true, why);
	if (st == ST_OK)
		st = store_migrate(&s->store, why);
	if (st == ST_OK && s->conf->demo)
		st = demo_prepare(s->store.conninfo, &s->demo, why);
	if (st == ST_OK && (s->shared = shared_new(s->conf->workers)) == NULL)
		fatal("out of memory");
	if (st == ST_OK)
		metrics_init(&s->metrics, s->shared, shared_supervisor(s->shared));
	restart_backoff_started(&s->database);
	waiting_setup(NULL, NULL);
	if (!s->conf->debuggable)
		privileges_hide(); /* not before initdb, which may use a name through this process's part of /proc */
	return st;
}

static void open_signals(struct supervisor *s)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	s->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (s->signal_fd < 0)
		fatal("signalfd: %s", strerror(errno));
}

/* A start may take as long as a crash recovery, or as another node's migration, as long as it makes progress. */
static void on_wait(void *arg, const char *what)
{
	const struct supervisor *s = arg;
	service_notify(s->service, "STATUS=Starting: waiting for %s\nEXTEND_TIMEOUT_USEC=%u", what, EXTEND_MS * 1000);
}

int supervisor_run(struct conf *conf, const struct service *service)
{
	struct supervisor s = { .conf = conf, .service = service, .store = STORE_INIT };
	struct buf why;
	buf_init(&why, 8192);
	log_setup(conf->log_level, conf->log_format, "supervisor");
	umask(0077);
	privileges_close_inherited(service->fds_end);
	open_signals(&s);
	waiting_setup(on_wait, &s);
	secret_random_name(s.node, sizeof(s.node) - 1);
	for (unsigned i = 0; i < WORKERS_MAX; i++)
		s.workers[i].ready_fd = s.workers[i].broker = -1;
	if (prepare(&s, &why) == ST_OK) {
		run(&s);
		stop_workers(&s);
	} else {
		s.failed = !signals_stop_pending();
		log_at(s.failed ? LOG_ERROR : LOG_INFO, "%s", buf_text(&why));
		service_notify(service, "STOPPING=1\nSTATUS=%.*s",
			s.failed && why.data != NULL ? (int)strcspn(why.data, "\n") : 8,
			s.failed && why.data != NULL ? why.data : "Stopping");
	}
	if (s.listen.fds != NULL)
		listen_close(&s.listen);
	store_release(&s.store);
	demo_free(s.demo);
	shared_free(s.shared);
	close(s.signal_fd);
	buf_release(&why);
	if (!s.failed)
		log_info("stopped");
	return s.failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
