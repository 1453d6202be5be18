/* SPDX-License-Identifier: MIT
 * See load.h. */
#include "load.h"

#include <stdlib.h>

#include "bench.h"
#include "clock.h"

#define DRAIN (10 * SECOND)

struct sender {
	struct http_client http;
	struct load *load;
	struct sender *next_idle;
	uint64_t due;
};

static bool is_over(const struct load *l) { return now_us() >= l->began + l->for_us; }

static void send_next(struct sender *s, uint64_t due)
{
	struct load *l = s->load;
	s->due = due;
	http_ask(&s->http, l->request, l->write(l->arg, l->number++, due, l->request, l->request_max));
}

static void mark_idle(struct sender *s)
{
	s->next_idle = s->load->idle;
	s->load->idle = s;
}

/* Sets the time at which the next request of the schedule is due. */
static void advance_schedule(struct load *l)
{
	l->due_step += 1e6 / l->rate;
	l->next_due = l->began + (uint64_t)l->due_step;
}

static void on_answer(struct http_client *c)
{
	struct sender *s = c->arg;
	struct load *l = s->load;
	uint64_t now = now_us();
	if (c->status == l->expect)
		l->done++;
	else if (l->failed++ == 0)
		say("    refused: %.200s", c->in);
	histogram_add(&l->answers, now - s->due);
	if (l->on_answer != NULL)
		l->on_answer(l->arg, c);
	if (is_over(l)) {
		mark_idle(s);
	} else if (l->rate <= 0) {
		send_next(s, now);
	} else if (l->next_due <= now) { /* this sender is late: the next request is due already */
		send_next(s, l->next_due);
		advance_schedule(l);
	} else {
		mark_idle(s);
	}
}

void load_open(struct load *l)
{
	l->all = calloc(l->senders, sizeof(*l->all));
	l->request_max = l->request_max ? l->request_max : 4096;
	l->request = malloc(l->request_max);
	if (l->all == NULL || l->request == NULL)
		die("out of memory");
	for (unsigned i = 0; i < l->senders; i++) {
		l->all[i].load = l;
		http_open(&l->all[i].http, l->ports[i % l->ports_count], on_answer, &l->all[i]);
		mark_idle(&l->all[i]);
	}
	if (l->expect == 0)
		l->expect = 201;
}

static struct sender *take_idle(struct load *l)
{
	struct sender *s = l->idle;
	l->idle = s->next_idle;
	return s;
}

static bool is_busy(const struct load *l)
{
	for (unsigned i = 0; i < l->senders; i++)
		if (l->all[i].http.busy)
			return true;
	return false;
}

static void follow_schedule(struct load *l)
{
	uint64_t end = l->began + l->for_us;
	while (!is_over(l)) {
		for (; l->idle != NULL && l->next_due <= now_us() && l->next_due < end; advance_schedule(l))
			send_next(take_idle(l), l->next_due);
		engine_turn(l->idle != NULL && l->next_due < end ? l->next_due : end);
	}
	l->unsent = l->next_due < end ? (uint64_t)((double)(end - l->next_due) * l->rate / 1e6) : 0;
}

void load_run(struct load *l)
{
	l->done = l->failed = l->unsent = 0;
	histogram_reset(&l->answers);
	l->began = l->next_due = now_us();
	l->due_step = 0;
	if (l->rate > 0)
		follow_schedule(l);
	else
		while (l->idle != NULL)
			send_next(take_idle(l), l->began);
	while (!is_over(l))
		engine_turn(l->began + l->for_us);
	uint64_t until = now_us() + DRAIN;
	while (is_busy(l) && now_us() < until)
		engine_turn(until);
	l->took_us = (double)(now_us() - l->began);
	if (l->failed > 0)
		say("    %llu requests failed", (unsigned long long)l->failed);
}

void load_close(struct load *l)
{
	for (unsigned i = 0; i < l->senders; i++)
		http_close(&l->all[i].http);
	free(l->all);
	free(l->request);
	l->all = l->idle = NULL;
}
