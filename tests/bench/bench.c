/* SPDX-License-Identifier: MIT
 * The benchmark: measures a real server beside its references on the same cluster with the same settings, in rounds that take
 * turns, and prints medians and ratios. No pass or fail: machines differ and are noisy.
 *     bench [start] [memory] [latency] [throughput]      POSTERN_BIN names the server
 * Limits are off (--rate-sends=0 --streams-per-user=0); fsync, full_page_writes and synchronous_commit are on, as always. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <libpq-fe.h>
#include <poll.h>
#include <signal.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define STREAMS 10000
#define ROUNDS 3
#define SECONDS 3
#define SAMPLES 300 /* a round, of latency */
#define TEXT "hello world, this is a message of some length"

struct server {
	char state[64], conninfo[160];
	pid_t pid;
	int port;
};

static void die(const char *what)
{
	fprintf(stderr, "bench: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t now_us(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

/* The q-th part of n values (sorts them). */
static double quantile(double *v, size_t n, double q)
{
	qsort(v, n, sizeof(*v), by_size);
	return v[(size_t)(q * (double)(n - 1) + 0.5)];
}

/* ---- the server ---- */

static void server_start(struct server *s)
{
	int out[2];
	char line[128] = "";
	if (pipe(out) != 0 || (s->pid = fork()) < 0)
		die("can't start");
	if (s->pid == 0) {
		const char *bin = getenv("POSTERN_BIN");
		dup2(out[1], STDOUT_FILENO);
		dup2(open("/dev/null", O_WRONLY), STDERR_FILENO);
		close(out[0]);
		execl(bin ? bin : "src/postern", "postern", "serve", "--state", s->state, "--listen", "127.0.0.1:0", "--rate-sends=0", "--streams-per-user=0",
			(char *)NULL);
		_exit(127);
	}
	close(out[1]);
	FILE *f = fdopen(out[0], "r");
	if (f == NULL || fgets(line, sizeof(line), f) == NULL || sscanf(line, "ready http://127.0.0.1:%d", &s->port) != 1)
		die("the server doesn't start");
	fclose(f);
	snprintf(s->conninfo, sizeof(s->conninfo), "host=%s/run user=postern dbname=postgres", s->state);
}

static void server_stop(struct server *s)
{
	kill(s->pid, SIGTERM);
	waitpid(s->pid, NULL, 0);
}

static void server_new(struct server *s)
{
	strcpy(s->state, "/tmp/pbXXXXXX");
	if (mkdtemp(s->state) == NULL)
		die("mkdtemp");
	chmod(s->state, 0755);
	strcat(s->state, "/s");
	server_start(s);
}

static void server_remove(struct server *s)
{
	char command[96];
	server_stop(s);
	*strrchr(s->state, '/') = '\0';
	snprintf(command, sizeof(command), "rm -rf '%s'", s->state);
	if (system(command) != 0)
		die(command);
}

static void sql(PGconn *pg, const char *text)
{
	PGresult *r = PQexec(pg, text);
	if (PQresultStatus(r) != PGRES_COMMAND_OK && PQresultStatus(r) != PGRES_TUPLES_OK) {
		fprintf(stderr, "bench: %s\n", PQerrorMessage(pg));
		exit(1);
	}
	PQclear(r);
}

static PGconn *database(const struct server *s)
{
	PGconn *pg = PQconnectdb(s->conninfo);
	if (PQstatus(pg) != CONNECTION_OK)
		die(PQerrorMessage(pg));
	return pg;
}

/* n users (user1 …) with tokens (pt_1 …), in one group. Their rows are older than any position. */
static void populate(const struct server *s, unsigned n)
{
	PGconn *pg = database(s);
	char text[512], row[160], hex[65];
	unsigned char hash[32];
	sql(pg, "begin");
	snprintf(text, sizeof(text), "insert into postern.account (name, created_at, rev) select 'user' || i, now(), 0 from generate_series(1, %u) i", n);
	sql(pg, text);
	snprintf(text, sizeof(text), "insert into postern.chat (id, kind, title, members_count, created_at, created_by, rev) values (1, 'group', 'g', %u, now(), 'user1', 0)", n);
	sql(pg, text);
	snprintf(text, sizeof(text), "insert into postern.member (chat_id, name, state, since, rev) select 1, 'user' || i, 'joined', 0, 0 from generate_series(1, %u) i", n);
	sql(pg, text);
	sql(pg, "create table if not exists public.naive (id bigserial primary key, chat bigint, text text)");
	PQclear(PQexec(pg, "copy postern.credential (hash, name, kind) from stdin"));
	for (unsigned i = 1; i <= n; i++) {
		int len = snprintf(text, sizeof(text), "pt_%u", i);
		crypto_generichash(hash, sizeof(hash), (unsigned char *)text, (size_t)len, NULL, 0);
		sodium_bin2hex(hex, sizeof(hex), hash, sizeof(hash));
		PQputCopyData(pg, row, snprintf(row, sizeof(row), "%s\tuser%u\ttoken\n", hex, i));
	}
	PQputCopyEnd(pg, NULL);
	PQclear(PQgetResult(pg));
	PQclear(PQgetResult(pg));
	sql(pg, "commit");
	sql(pg, "analyze");
	PQfinish(pg);
}

/* ---- /proc ---- */

/* The processes whose parent is pid. */
static unsigned children(pid_t pid, pid_t *out, unsigned max)
{
	char path[64];
	unsigned n = 0;
	int child;
	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, pid);
	FILE *f = fopen(path, "r");
	while (f != NULL && n < max && fscanf(f, "%d", &child) == 1)
		out[n++] = child;
	if (f != NULL)
		fclose(f);
	return n;
}

static bool is_postgres(pid_t pid)
{
	char path[64], name[32] = "";
	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	FILE *f = fopen(path, "r");
	if (f != NULL && fgets(name, sizeof(name), f) == NULL)
		*name = '\0';
	if (f != NULL)
		fclose(f);
	return strncmp(name, "postgres", 8) == 0;
}

static double cpu_us(pid_t pid)
{
	char path[64];
	unsigned long user = 0, sys = 0;
	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	FILE *f = fopen(path, "r");
	if (f != NULL && fscanf(f, "%*d (%*[^)]) %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &sys) != 2)
		user = sys = 0;
	if (f != NULL)
		fclose(f);
	return (double)(user + sys) * 1e6 / (double)sysconf(_SC_CLK_TCK);
}

static void cpu_of(const struct server *s, double *ret_worker, double *ret_postgres)
{
	pid_t own[64], its[256];
	*ret_worker = *ret_postgres = 0;
	for (unsigned i = 0, n = children(s->pid, own, 64); i < n; i++) {
		if (!is_postgres(own[i])) {
			*ret_worker += cpu_us(own[i]);
			continue;
		}
		for (unsigned k = 0, m = children(own[i], its, 256); k < m; k++)
			*ret_postgres += cpu_us(its[k]);
	}
}

static double private_dirty(const struct server *s)
{
	pid_t own[64];
	char path[64], line[128];
	unsigned long kib = 0;
	for (unsigned i = 0, n = children(s->pid, own, 64); i < n; i++) {
		if (is_postgres(own[i]))
			continue;
		snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", own[i]);
		FILE *f = fopen(path, "r");
		while (f != NULL && fgets(line, sizeof(line), f) != NULL)
			sscanf(line, "Private_Dirty: %lu", &kib);
		if (f != NULL)
			fclose(f);
	}
	return (double)kib * 1024;
}

/* ---- HTTP ---- */

static int dial(const struct server *s)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons((uint16_t)s->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&sin, sizeof(sin)) != 0)
		die("connect");
	return fd;
}

static void say(int fd, const char *text, size_t len)
{
	if (send(fd, text, len, MSG_NOSIGNAL) != (ssize_t)len)
		die("send");
}

/* Reads until what came holds the words; the rest of the buffer is forgotten. */
static void await(int fd, const char *words)
{
	char got[8192];
	size_t len = 0;
	do {
		ssize_t n = recv(fd, got + len, sizeof(got) - 1 - len, 0);
		if (n <= 0)
			die("recv");
		len += (size_t)n;
		got[len] = '\0';
	} while (strstr(got, words) == NULL && len < sizeof(got) - 1);
}

static int open_stream(const struct server *s, unsigned user)
{
	char request[160];
	int fd = dial(s);
	say(fd, request, (size_t)snprintf(request, sizeof(request), "GET /v1/stream HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer pt_%u\r\n\r\n", user));
	await(fd, "event: hello");
	return fd;
}

static const char post_format[] = "POST /v1/chats/1/messages HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer pt_%u\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n\r\n" TEXT;

static size_t post_request(char *out, size_t size, unsigned user) { return (size_t)snprintf(out, size, post_format, user, sizeof(TEXT) - 1); }

/* ---- what is measured ---- */

static void bench_start(void)
{
	double cold[ROUNDS], warm[ROUNDS];
	for (int i = 0; i < ROUNDS; i++) {
		struct server s;
		uint64_t at = now_us();
		server_new(&s);
		cold[i] = (double)(now_us() - at) / 1e6;
		server_stop(&s);
		at = now_us();
		server_start(&s);
		warm[i] = (double)(now_us() - at) / 1e6;
		server_remove(&s);
	}
	printf("start        cold, with initdb %.2f s; warm %.2f s\n", quantile(cold, ROUNDS, 0.5), quantile(warm, ROUNDS, 0.5));
}

static void bench_memory(void)
{
	static int fds[STREAMS];
	struct server s;
	server_new(&s);
	populate(&s, STREAMS);
	double before = private_dirty(&s);
	for (unsigned i = 0; i < STREAMS; i++)
		fds[i] = open_stream(&s, i + 1);
	poll(NULL, 0, 2000); /* what a crowd left is given back once a second */
	printf("memory       %.0f bytes of Private_Dirty a stream (%d streams of as many users in one chat)\n", (private_dirty(&s) - before) / STREAMS, STREAMS);
	for (unsigned i = 0; i < STREAMS; i++)
		close(fds[i]);
	server_remove(&s);
}

static void floor_round(PGconn *sender, PGconn *listener, double *out)
{
	struct pollfd p = { .fd = PQsocket(listener), .events = POLLIN };
	for (int i = 0; i < SAMPLES; i++) {
		PGnotify *n = NULL;
		uint64_t at = now_us();
		if (PQsendQuery(sender, "with i as (insert into public.naive (chat, text) values (1, '" TEXT "') returning id) select pg_notify('naive', id::text) from i") != 1)
			die("the floor");
		while (n == NULL && poll(&p, 1, 5000) == 1 && PQconsumeInput(listener) == 1)
			n = PQnotifies(listener);
		out[i] = (double)(now_us() - at);
		PQfreemem(n);
		PGresult *r;
		while ((r = PQgetResult(sender)) != NULL)
			PQclear(r);
	}
}

static void stream_round(const struct server *s, int stream, double *out)
{
	char request[400];
	size_t len = post_request(request, sizeof(request), 1);
	int fd = dial(s);
	for (int i = 0; i < SAMPLES; i++) {
		uint64_t at = now_us();
		say(fd, request, len);
		await(stream, "event: message");
		out[i] = (double)(now_us() - at);
		await(fd, "\"key\":");
	}
	close(fd);
}

static void bench_latency(void)
{
	static double ours[ROUNDS * SAMPLES], theirs[ROUNDS * SAMPLES];
	struct server s;
	server_new(&s);
	populate(&s, 2);
	PGconn *sender = database(&s), *listener = database(&s);
	sql(listener, "listen naive");
	int stream = open_stream(&s, 2);
	stream_round(&s, stream, ours); /* warm */
	floor_round(sender, listener, theirs);
	for (int i = 0; i < ROUNDS; i++) {
		stream_round(&s, stream, ours + i * SAMPLES);
		floor_round(sender, listener, theirs + i * SAMPLES);
	}
	double p50 = quantile(ours, ROUNDS * SAMPLES, 0.5), p99 = quantile(ours, ROUNDS * SAMPLES, 0.99);
	double f50 = quantile(theirs, ROUNDS * SAMPLES, 0.5), f99 = quantile(theirs, ROUNDS * SAMPLES, 0.99);
	printf("latency      POST to SSE frame p50 %.0f us, p99 %.0f us; floor (commit + NOTIFY heard) p50 %.0f us, p99 %.0f us; ratio %.2f, %.2f\n", p50, p99, f50, f99,
		p50 / f50, p99 / f99);
	PQfinish(sender);
	PQfinish(listener);
	close(stream);
	server_remove(&s);
}

/* Messages a second by n keep-alive senders, each waiting for its answer. */
static double senders_round(const struct server *s, unsigned n)
{
	char request[400], got[4096];
	size_t len = post_request(request, sizeof(request), 1);
	struct epoll_event events[64], ev = { .events = EPOLLIN };
	int epoll = epoll_create1(0);
	uint64_t count = 0, at = now_us(), until = at + SECONDS * 1000000;
	int fds[256];
	for (unsigned i = 0; i < n; i++) {
		ev.data.fd = fds[i] = dial(s);
		epoll_ctl(epoll, EPOLL_CTL_ADD, fds[i], &ev);
		say(fds[i], request, len);
	}
	while (now_us() < until) {
		int ready = epoll_wait(epoll, events, 64, 1000);
		for (int i = 0; i < ready; i++) {
			ssize_t size = recv(events[i].data.fd, got, sizeof(got), 0); /* an answer is one segment */
			if (size <= 0 || memcmp(got, "HTTP/1.1 201", 12) != 0)
				die("a send was refused");
			count++;
			say(events[i].data.fd, request, len);
		}
	}
	double rate = (double)count * 1e6 / (double)(now_us() - at);
	for (unsigned i = 0; i < n; i++)
		close(fds[i]);
	close(epoll);
	return rate;
}

/* The naive design at its best: one transaction a message, INSERT and NOTIFY, by pgbench with 1 to 32 connections. */
static double naive_round(const struct server *s)
{
	char script[96], command[512], line[256];
	double best = 0, tps;
	snprintf(script, sizeof(script), "%s-naive.sql", s->state);
	FILE *f = fopen(script, "w");
	if (f == NULL)
		die(script);
	fputs("with i as (insert into public.naive (chat, text) values (1, '" TEXT "') returning id) select pg_notify('naive', id::text) from i;\n", f);
	fclose(f);
	for (unsigned c = 1; c <= 32; c *= 2) {
		snprintf(command, sizeof(command), "pgbench -n -M prepared -h %s/run -U postern -f %s -c %u -j 2 -T %d postgres 2>/dev/null", s->state, script, c, SECONDS - 1);
		FILE *p = popen(command, "r");
		while (p != NULL && fgets(line, sizeof(line), p) != NULL)
			if (sscanf(line, "tps = %lf", &tps) == 1 && tps > best)
				best = tps;
		if (p == NULL || pclose(p) != 0)
			die("pgbench");
	}
	return best;
}

static void bench_throughput(void)
{
	static const unsigned counts[] = { 1, 16, 64, 256 };
	double rates[4][ROUNDS], naive[ROUNDS], worker = 0, postgres = 0, messages = 0, self = 0;
	struct server s;
	server_new(&s);
	populate(&s, 2);
	int stream = open_stream(&s, 2);
	senders_round(&s, 64); /* warm */
	for (int i = 0; i < ROUNDS; i++) {
		for (int k = 0; k < 4; k++) {
			double w0, p0, w1, p1, c0 = cpu_us(getpid());
			cpu_of(&s, &w0, &p0);
			rates[k][i] = senders_round(&s, counts[k]);
			cpu_of(&s, &w1, &p1);
			if (counts[k] == 64) {
				worker += w1 - w0;
				postgres += p1 - p0;
				self += cpu_us(getpid()) - c0;
				messages += rates[k][i] * SECONDS;
			}
		}
		naive[i] = naive_round(&s);
	}
	double best = quantile(naive, ROUNDS, 0.5);
	printf("throughput   naive (INSERT + NOTIFY, best of 1-32 connections) %.0f/s\n", best);
	for (int k = 0; k < 4; k++) {
		double rate = quantile(rates[k], ROUNDS, 0.5);
		printf("             %3u senders %.0f messages/s, %.2f times that\n", counts[k], rate, rate / best);
	}
	printf("             CPU a message at 64 senders: worker %.1f us, PostgreSQL %.1f us, generator %.1f us\n", worker / messages, postgres / messages, self / messages);
	close(stream);
	server_remove(&s);
}

int main(int argc, char **argv)
{
	static const struct { const char *name; void (*run)(void); } all[] = { { "start", bench_start }, { "memory", bench_memory }, { "latency", bench_latency },
		{ "throughput", bench_throughput } };
	struct rlimit r;
	signal(SIGPIPE, SIG_IGN);
	if (sodium_init() < 0 || getrlimit(RLIMIT_NOFILE, &r) != 0)
		die("start");
	r.rlim_cur = r.rlim_max;
	setrlimit(RLIMIT_NOFILE, &r);
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		bool wanted = argc < 2;
		for (int k = 1; k < argc; k++)
			wanted |= strcmp(argv[k], all[i].name) == 0;
		if (wanted)
			all[i].run();
	}
	return 0;
}
