/* SPDX-License-Identifier: MIT
 * See node_measure.h. */
#include "node_measure.h"

#include <stdlib.h>

#include "bench.h"
#include "clock.h"
#include "node.h"

#define TIMEOUT (60 * SECOND)

static unsigned ready;
static uint64_t acked, received;

static void count(struct node_client *c, enum node_event event)
{
	(void)c;
	ready += event == NODE_READY;
	acked += event == NODE_ACK;
	received += event == NODE_MESSAGE;
}

static bool reaches(const uint64_t *counter, uint64_t goal, uint64_t timeout)
{
	uint64_t until = now_us() + timeout;
	while (*counter < goal && now_us() < until)
		engine_turn(until);
	return *counter >= goal;
}

/* Opens n clients of a room, at most 50 at a time. */
static struct node_client *open_all(const struct node *server, unsigned n, const char *room,
	void (*on_event)(struct node_client *, enum node_event))
{
	struct node_client *all = calloc(n, sizeof(*all));
	uint64_t until = now_us() + TIMEOUT;
	if (all == NULL)
		die("out of memory");
	ready = 0;
	for (unsigned i = 0; i < n; i++) {
		node_client_open(&all[i], server, room, on_event, &all[i]);
		while (i + 1 - ready >= 50 && now_us() < until)
			engine_turn(until);
	}
	while (ready < n && now_us() < until)
		engine_turn(until);
	if (ready < n)
		die("not every client of the Node server could connect");
	return all;
}

static void close_all(struct node_client *all, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		node_client_close(&all[i]);
	free(all);
}

static bool is_over;

static void send_again(struct node_client *c, enum node_event event)
{
	count(c, event);
	if (event == NODE_ACK && !is_over)
		node_client_send(c, 1, now_us());
}

double node_sends(const struct node *n, unsigned senders, double *ret_cpu)
{
	struct node_client *all = open_all(n, senders, "", send_again);
	uint64_t began = now_us(), from = acked;
	double cpu = node_cpu(n);
	is_over = false;
	for (unsigned i = 0; i < senders; i++)
		node_client_send(&all[i], 1, began);
	engine_run(settings.seconds * SECOND);
	double rate = (double)(acked - from) * 1e6 / (double)(now_us() - began);
	*ret_cpu = (node_cpu(n) - cpu) / (double)(acked - from + 1);
	is_over = true;
	engine_run(SECOND / 2);
	close_all(all, senders);
	return rate;
}

double node_idle(const struct node *n, unsigned clients)
{
	double before = node_dirty(n);
	struct node_client *all = open_all(n, clients, "1", count);
	engine_run(2 * SECOND);
	double bytes = (node_dirty(n) - before) / clients;
	close_all(all, clients);
	return bytes;
}

double node_cycles(const struct node *n, unsigned clients, double *ret_cpu)
{
	struct node_client *all = open_all(n, clients, "1", count);
	struct node_client publisher;
	double cpu = 0;
	uint64_t began = 0, from = 0;
	unsigned had = ready;
	node_client_open(&publisher, n, "", count, NULL);
	while (ready == had)
		engine_turn(now_us() + SECOND);
	for (unsigned i = 0; began == 0 || now_us() < began + settings.seconds * SECOND; i++) {
		if (i == 3) { /* the warm-up is over */
			began = now_us();
			from = received;
			cpu = node_cpu(n);
		}
		uint64_t goal = received + clients, acks = acked + 1;
		node_client_send(&publisher, 1, now_us());
		if (!reaches(&received, goal, 10 * SECOND) || !reaches(&acked, acks, SECOND))
			die("a message didn't reach every client of the Node server");
		while (publisher.post.busy)
			engine_turn(now_us() + SECOND);
	}
	*ret_cpu = (node_cpu(n) - cpu) / (double)(received - from);
	double rate = (double)(received - from) * 1e6 / (double)(now_us() - began);
	node_client_close(&publisher);
	close_all(all, clients);
	return rate;
}
