/* SPDX-License-Identifier: MIT
 * poll: long-poll cycles. Each message goes to all members of a group of 1,000. They receive it as the response to
 * their poll and poll again with its cursor, on keep-alive connections. The next message is sent when the last member
 * has received this one. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "clock.h"
#include "http.h"
#include "nchan.h"
#include "node_measure.h"
#include "postern.h"
#include "results.h"

#define POLLERS 1000

struct poll_side {
	const char *name;
	int port;
	size_t (*publish)(char *out, size_t size, unsigned number);
	/* Writes the next poll of a client, from the cursor of its last response (c->in), or from position at first. */
	size_t (*ask)(struct http_client *c, unsigned number, const char *position, char *out, size_t size);
	double (*cpu)(const void *server);
	const void *server;
	char position[64];
};

struct poller {
	struct http_client http;
	struct poll_side *side;
	unsigned number;
	uint64_t cycles;
};

static uint64_t answered;

static size_t publish_ours(char *out, size_t size, unsigned number)
{
	(void)number;
	return post_message(out, size, 1, 1, now_us());
}

static size_t publish_nchan(char *out, size_t size, unsigned number)
{
	return nchan_publish(out, size, "all", number, now_us());
}

/* The last "cursor" of the response is that of the page. */
static size_t ask_ours(struct http_client *c, unsigned number, const char *position, char *out, size_t size)
{
	const char *mark = "\"cursor\":\"", *last = NULL;
	for (const char *p = c->in != NULL ? http_body(c) : NULL; p != NULL && (p = strstr(p, mark)) != NULL;)
		last = p += strlen(mark);
	last = last != NULL ? last : position;
	return (size_t)snprintf(out, size,
		"GET /v1/poll?wait=25&since=%.*s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer pt_%u\r\n\r\n",
		(int)strcspn(last, "\""), last, number + 1);
}

static size_t ask_nchan(struct http_client *c, unsigned number, const char *position, char *out, size_t size)
{
	char modified[64], etag[64];
	(void)number;
	(void)position;
	if (c->in == NULL || !http_header(c, "Last-Modified", modified, sizeof(modified)) ||
		!http_header(c, "Etag", etag, sizeof(etag)))
		return (size_t)snprintf(out, size, "GET /poll/all HTTP/1.1\r\nHost: x\r\n\r\n");
	return (size_t)snprintf(out, size,
		"GET /poll/all HTTP/1.1\r\nHost: x\r\nIf-Modified-Since: %s\r\nIf-None-Match: %s\r\n\r\n", modified,
		etag);
}

static double cpu_ours(const void *server) { return postern_cpu(server); }
static double cpu_nchan(const void *server) { return nchan_cpu(server); }

static void ask(struct poller *p)
{
	char request[512];
	http_ask(&p->http, request, p->side->ask(&p->http, p->number, p->side->position, request, sizeof(request)));
}

static void on_answer(struct http_client *c)
{
	struct poller *p = c->arg;
	if (c->status != 200)
		die(c->in);
	answered++;
	p->cycles++;
	ask(p);
}

/* Sends one message and waits until all have received it. */
static void cycle(struct poll_side *s, struct http_client *publisher, unsigned number)
{
	char request[512];
	uint64_t goal = answered + POLLERS, until = now_us() + 10 * SECOND;
	http_ask(publisher, request, s->publish(request, sizeof(request), number));
	while ((answered < goal || publisher->busy) && now_us() < until)
		engine_turn(until);
	if (answered < goal) {
		say("    %s: %llu polls got no response", s->name, (unsigned long long)(goal - answered));
		answered = goal;
	}
}

static void add(const char *side, double rate, double cpu)
{
	results_add("cycles a second", "cycles/s", side, rate);
	results_add("cycles a second and core", "cycles/s", side, 1e6 / cpu);
	results_add("CPU a cycle", "µs", side, cpu);
}

static void run(struct poll_side *s)
{
	static struct poller pollers[POLLERS];
	struct http_client publisher;
	unsigned n = 0;
	http_open(&publisher, s->port, NULL, NULL);
	for (unsigned i = 0; i < POLLERS; i++) {
		pollers[i] = (struct poller) { .side = s, .number = i };
		http_open(&pollers[i].http, s->port, on_answer, &pollers[i]);
		ask(&pollers[i]);
	}
	engine_run(SECOND / 2);
	for (; n < 3; n++) /* warm-up */
		cycle(s, &publisher, n);
	double cpu = s->cpu(s->server);
	uint64_t began = now_us(), from = answered;
	for (; now_us() < began + settings.seconds * SECOND; n++)
		cycle(s, &publisher, n);
	double cycles = (double)(answered - from), spent = s->cpu(s->server) - cpu;
	add(s->name, cycles * 1e6 / (double)(now_us() - began), spent / cycles);
	for (unsigned i = 0; i < POLLERS; i++)
		http_close(&pollers[i].http);
	http_close(&publisher);
	engine_run(SECOND / 2);
}

static void run_node(const struct postern *p)
{
	struct node n;
	double cpu;
	if (!node_present())
		return;
	node_start(&n, NODE_SOCKETIO, p);
	double rate = node_cycles(&n, POLLERS, &cpu);
	add(node_name(NODE_SOCKETIO), rate, cpu);
	node_stop(&n);
}

void scenario_poll(void)
{
	struct postern p;
	struct nchan n[2];
	char statements[64];
	results_begin("poll", "Long-poll cycles: a message to each of 1,000, answer, ask again");
	postern_start(&p, "poll", 1);
	snprintf(statements, sizeof(statements), "select bench.groups(1, %d, 1, %d)", POLLERS, POLLERS);
	postern_populate(p.conninfo, POLLERS, statements);
	for (unsigned i = 0; i < 2 && nchan_present(); i++)
		nchan_start(&n[i], i + 1);
	for (unsigned round = 0; round < settings.rounds; round++) {
		struct poll_side ours = { .name = OURS,
			.port = p.port,
			.publish = publish_ours,
			.ask = ask_ours,
			.cpu = cpu_ours,
			.server = &p };
		say("  round %u", round + 1);
		postern_cursor(&p, ours.position, sizeof(ours.position));
		run(&ours);
		for (unsigned i = 0; i < 2 && nchan_present(); i++)
			run(&(struct poll_side) { .name = i == 0 ? "Nchan, 1 worker" : "Nchan, 2 workers",
				.port = n[i].port,
				.publish = publish_nchan,
				.ask = ask_nchan,
				.cpu = cpu_nchan,
				.server = &n[i] });
		run_node(&p);
	}
	for (unsigned i = 0; i < 2 && nchan_present(); i++)
		nchan_stop(&n[i]);
	postern_stop(&p);
	results_end();
}
