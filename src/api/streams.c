/* SPDX-License-Identifier: MIT
 * GET /v1/stream and /v1/poll until the connection is passed to its transport; GET /v1/sync. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "api/auth.h"
#include "api/call.h"
#include "api/gather.h"
#include "base/decimal.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/secret.h"
#include "conf/conf.h"
#include "http/transport.h"
#include "log/cursor.h"
#include "pg/pool.h"

#define SYNC_LIMIT_MAX 1000

struct opening {
	struct request *req;
	struct subscription sub;
	bool is_poll, has_since;
};

void streams_gone(struct api *api, uint64_t key) { shared_streams_sub(api->shared, api->worker, key); }

static void turn_away(struct opening *o, enum problem p, const char *detail)
{
	hub_user_unref(o->sub.opening.user);
	request_problem(o->req, p, detail, "");
}

/* A request with a cursor confirms that its client has received everything before it. */
static void confirm(const struct opening *o)
{
	char pos[24];
	snprintf(pos, sizeof(pos), "%" PRIu64, o->sub.opening.at.pos);
	gather(api_of(o->req)->gatherer, &call_delivered, NULL, 3,
		(const char *[]) { caller_of(o->req)->name, "*", pos });
}

static void begin(struct opening *o)
{
	struct http_server *server = request_server(o->req);
	struct api *api = api_of(o->req);
	unsigned most = api->conf->streams_per_user;
	if (http_is_stopping(server)) {
		turn_away(o, PROBLEM_STOPPING, NULL);
	} else if (!http_has_room(server)) {
		metrics_count(api->metrics, M_FULL_STREAMS, 1);
		turn_away(o, PROBLEM_OVERLOADED, "No room for one more stream here.");
	} else if (shared_streams_add(api->shared, api->worker, o->sub.key) > most && most > 0) {
		shared_streams_sub(api->shared, api->worker, o->sub.key);
		metrics_count(api->metrics, M_RATE_LIMITED, 1);
		request_add_rate(o->req, most, 5);
		turn_away(o, PROBLEM_TOO_MANY_STREAMS, "Close another stream first.");
	} else if (o->is_poll) {
		if (o->has_since && o->sub.opening.outcome == HUB_START &&
			hub_user_confirms(o->sub.opening.user, o->sub.opening.at.pos))
			confirm(o);
		poll_begin(o->req, &o->sub);
	} else {
		stream_begin(o->req, &o->sub);
	}
}

/* The credential may have been revoked while the stream was being opened, which has ended only its other streams. */
static void on_confirmed(void *arg, enum auth_validity still)
{
	struct opening *o = arg;
	switch (still) {
	case AUTH_VALID: begin(o); break;
	case AUTH_REVOKED: turn_away(o, PROBLEM_UNAUTHORIZED, "This credential is no longer good."); break;
	case AUTH_UNAVAILABLE: turn_away(o, PROBLEM_DATABASE_AWAY, AUTH_UNAVAILABLE_DETAIL); break;
	}
	free(o);
}

static void on_open(void *arg, const struct hub_opening *found)
{
	struct opening *o = arg;
	o->sub.opening = *found;
	if (found->outcome != HUB_START_AWAY) {
		auth_revalidate(api_of(o->req)->auth, request_data(o->req), on_confirmed, o);
		return;
	}
	request_problem(o->req, PROBLEM_DATABASE_AWAY, "Your chats can't be read. Try again.", "");
	free(o);
}

/* Reads a parameter that is a whole number; false: refused. */
static bool number(struct request *req, const char *name, unsigned min, unsigned max, unsigned preset, unsigned *ret)
{
	const char *s = request_param(req, name);
	uint64_t n;
	char detail[96];
	*ret = preset;
	if (s == NULL)
		return true;
	if (!decimal_parse(s, &n)) {
		snprintf(detail, sizeof(detail), "%s must be a whole number.", name);
		request_problem(req, PROBLEM_BAD_PARAMETER, detail, "");
		return false;
	}
	if (n < min || n > max) {
		snprintf(detail, sizeof(detail), "%s must be %u to %u.", name, min, max);
		request_problem(req, PROBLEM_OUT_OF_RANGE, detail, "");
		return false;
	}
	*ret = (unsigned)n;
	return true;
}

static const char *unless_empty(const char *s) { return s != NULL && *s != '\0' ? s : NULL; }

/* Where to resume: the header of a reconnecting EventSource, or the parameter that its polyfills append, takes
 * precedence over the original address. An empty value counts as absent: from now on. */
static const char *start_of(const struct request *req)
{
	const char *header = unless_empty(request_header(req, "Last-Event-ID")),
		   *alias = unless_empty(request_param(req, "lastEventId"));
	return header != NULL ? header : alias != NULL ? alias : unless_empty(request_param(req, "since"));
}

/* Sets *ret_since; NULL: from now on. Returns false if the request was refused. */
static bool read_start(struct request *req, struct cursor *cursor, const char **ret_since)
{
	*ret_since = start_of(req);
	if (*ret_since == NULL || cursor_parse(*ret_since, cursor))
		return true;
	request_problem(req, PROBLEM_BAD_CURSOR, "Cursors come from hello, from events and from /v1/sync.", "");
	return false;
}

static void open_at(struct opening *o)
{
	struct request *req = o->req;
	const struct caller *caller = caller_of(req);
	const char *since;
	struct cursor cursor;
	if (!read_start(req, &cursor, &since)) {
		free(o);
		return;
	}
	o->sub.credential = caller->credential;
	o->sub.expires_s = caller->expires_s;
	o->sub.key = secret_keyed_hash(caller->name, strlen(caller->name));
	o->sub.node = api_of(req)->node;
	o->has_since = since != NULL;
	hub_open(api_of(req)->hub, caller->name, since ? &cursor : NULL, on_open, o);
}

static struct opening *new_opening(struct request *req, bool is_poll)
{
	struct opening *o = mem_zeroed(1, sizeof(*o));
	o->req = req;
	o->is_poll = is_poll;
	return o;
}

static bool is_ndjson(struct request *req, bool *ret_ok)
{
	const char *format = request_param(req, "format"), *accept = request_header(req, "Accept");
	*ret_ok = format == NULL || strcmp(format, "sse") == 0 || strcmp(format, "ndjson") == 0;
	if (format != NULL)
		return strcmp(format, "ndjson") == 0;
	return accept != NULL && strstr(accept, "application/x-ndjson") != NULL;
}

static void answer_head(struct request *req, struct transport_head head)
{
	struct cursor cursor;
	const char *since;
	if (read_start(req, &cursor, &since))
		head_begin(req, head);
}

void streams_open(struct request *req)
{
	static const char *const known[] = { "since", "lastEventId", "format", "padding", "close", "ticket",
		"access_token", NULL };
	unsigned padding, close_after;
	bool ok, ndjson = is_ndjson(req, &ok);
	if (!call_allow_parameters(req, known) || !number(req, "padding", 0, PADDING_MAX, 0, &padding) ||
		!number(req, "close", 0, 1, 0, &close_after))
		return;
	if (!ok) {
		request_problem(req, PROBLEM_BAD_PARAMETER, "format is sse or ndjson.", "");
		return;
	}
	if (request_is_head(req)) {
		answer_head(req, stream_head(ndjson));
		return;
	}
	struct opening *o = new_opening(req, false);
	o->sub.ndjson = ndjson;
	o->sub.close = close_after == 1;
	o->sub.padding = padding;
	open_at(o);
}

void streams_poll(struct request *req)
{
	static const char *const known[] = { "since", "lastEventId", "wait", "limit", "ticket", "access_token", NULL };
	unsigned wait, limit;
	if (!call_allow_parameters(req, known) ||
		!number(req, "wait", 0, POLL_WAIT_MAX, api_of(req)->conf->poll_wait, &wait) ||
		!number(req, "limit", 1, POLL_LIMIT_MAX, 100, &limit))
		return;
	if (request_is_head(req)) {
		answer_head(req, poll_head());
		return;
	}
	struct opening *o = new_opening(req, true);
	o->sub.wait_ms = wait * 1000;
	o->sub.limit = limit;
	open_at(o);
}

static void on_synced(void *arg, const struct pg_result *r)
{
	struct request *req = arg;
	if (!pg_ok(r)) {
		call_refuse(req, r);
		return;
	}
	request_add_header(req, "Cache-Control", "no-store");
	call_reply(req, 200, r, 0, 0);
}

void sync_get(struct request *req)
{
	static const char *const known[] = { "cursor", "limit", NULL };
	const struct conf *conf = api_of(req)->conf;
	const char *cursor = unless_empty(request_param(req, "cursor"));
	char timing[160], count[12];
	unsigned limit;
	if (!call_allow_parameters(req, known) || !number(req, "limit", 1, SYNC_LIMIT_MAX, 0, &limit))
		return;
	snprintf(count, sizeof(count), "%u", limit);
	snprintf(timing, sizeof(timing), "{\"heartbeat\":%u,\"poll_wait\":%u,\"poll_wait_max\":%u,\"retry\":2}",
		conf->heartbeat, conf->poll_wait, POLL_WAIT_MAX);
	pg_pool_call(api_of(req)->pool, "select body from sync($1, $2, $3, $4)", 4,
		(const char *[]) { caller_of(req)->name, timing, cursor, limit > 0 ? count : NULL }, on_synced, req);
}
