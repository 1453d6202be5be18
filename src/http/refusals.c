/* SPDX-License-Identifier: MIT
 * See refusals.h. */
#include "http/refusals.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/secret.h"
#include "loop/loop.h"

enum {
	CLIENTS_MAX = 256, /* counted separately within an interval */
	INTERVAL_MS = 60000,
};

struct client {
	uint64_t key;
	char address[64], user[64], id[REQUEST_ID_MAX + 1];
	enum problem problem;
	int status;
	bool offered;
	unsigned more; /* refusals since its first line */
};

struct refusals {
	struct loop_timer *timer;
	uint64_t since_ms;
	unsigned count, beyond; /* beyond: refusals of clients that had no place */
	struct client clients[CLIENTS_MAX];
};

/* A client without any credential most likely hasn't signed in yet. */
static enum log_level level_of(const struct client *c) { return c->status == 401 && !c->offered ? LOG_INFO : LOG_WARN; }

static void say(const struct client *c, unsigned count, uint64_t over_ms)
{
	log_event_each(level_of(c), "refused", F("addr", c->address), F("user", *c->user != '\0' ? c->user : NULL),
		F_NUMBER("status", c->status), F("code", problem_code(c->problem)),
		F("credential",
			c->status != 401     ? NULL
				: c->offered ? "bad"
					     : "none"),
		F_NUMBER("count", count), F_NUMBER("seconds", (over_ms + 500) / 1000), F("request", c->id));
}

static void flush(struct refusals *r)
{
	uint64_t over = clock_mono_ms() - r->since_ms;
	for (unsigned i = 0; i < r->count; i++)
		if (r->clients[i].more > 0)
			say(&r->clients[i], r->clients[i].more, over);
	if (r->beyond > 0)
		log_event_each(LOG_WARN, "further clients refused", F_NUMBER("count", r->beyond),
			F_NUMBER("seconds", (over + 500) / 1000));
	r->count = r->beyond = 0;
}

static void on_interval(void *arg) { flush(arg); }

static void begin(struct refusals *r)
{
	r->since_ms = clock_mono_ms();
	loop_timer_start(r->timer, INTERVAL_MS, 0);
}

/* Clients are counted as for limits: IPv6 by its network. */
static uint64_t key_of(const struct request *req, int status, bool offered)
{
	char network[64], text[256];
	const char *user = request_user(req);
	request_client_network(req, network, sizeof(network));
	int n = snprintf(text, sizeof(text), "%s %d %d %s", network, status, offered, user != NULL ? user : "");
	return secret_keyed_hash(text, (size_t)n);
}

void refusals_note(struct refusals *r, const struct request *req, enum problem p, bool offered)
{
	int status = problem_status(p);
	uint64_t key = key_of(req, status, offered);
	unsigned i = 0;
	while (i < r->count && r->clients[i].key != key)
		i++;
	if (r->count == 0 && r->beyond == 0)
		begin(r);
	if (i == CLIENTS_MAX) {
		r->beyond++;
		return;
	}
	struct client *c = &r->clients[i];
	bool first = i == r->count;
	if (first)
		*c = (struct client) { .key = key, .status = status, .offered = offered };
	c->problem = p;
	snprintf(c->id, sizeof(c->id), "%s", request_id(req));
	snprintf(c->user, sizeof(c->user), "%s", request_user(req) != NULL ? request_user(req) : "");
	request_client(req, c->address, sizeof(c->address));
	if (first) {
		r->count++;
		say(c, 1, 0);
	} else {
		c->more++;
	}
}

struct refusals *refusals_new(struct loop *loop)
{
	struct refusals *r = mem_zeroed(1, sizeof(*r));
	r->timer = loop_timer_new(loop, on_interval, r);
	return r;
}

void refusals_free(struct refusals *r)
{
	flush(r);
	loop_timer_free(r->timer);
	free(r);
}
