/* SPDX-License-Identifier: MIT
 * See api.h: dispatches a request whose route is known to its handler. */
#include "api/api.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "api/auth.h"
#include "api/gather.h"
#include "api/pages.h"
#include "api/presence.h"
#include "api/uses.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/shared.h"
#include "conf/conf.h"
#include "log/tail.h"
#include "pg/pool.h"

static unsigned rows(const struct route *r)
{
	unsigned n = 0;
	while (r[n].path != NULL)
		n++;
	return n;
}

/* ---- the tail's events ---- */

static void on_frame(void *arg, struct frame *f, bool own)
{
	struct api *api = arg;
	unsigned rate = api->conf->rate_sends;
	/* One worker of each node counts what users sent through other nodes. */
	if (!own && api->worker == 0 && frame_is_new_message(f) && rate > 0)
		shared_gcra_charge(api->shared, f->user_key, clock_mono_us(), 60000000 / rate, 1);
	if (frame_is_chat_deletion(f))
		map_release(&api->direct_chats); /* the chat may be one of them, and its users may start another one */
}

static void on_rewind(void *arg, uint64_t common, bool foreign)
{
	struct api *api = arg;
	(void)common;
	(void)foreign;
	map_release(&api->direct_chats); /* the numbers may belong to other chats now */
}

static void reload(struct api *api);

static void on_settings(void *arg) { reload(arg); }

static const struct tail_events tail_events = {
	.on_frame = on_frame, .on_rewind = on_rewind, .on_settings = on_settings
};

/* ---- */

void api_init(struct api *api)
{
	unsigned n = rows(api_routes);
	tail_listen(api->tail, &tail_events, api);
	api->auth = auth_new(api);
	api->pages = pages_new(api);
	api->gatherer = gatherer_new(api);
	api->bulks = bulks_new(api);
	api->presence = presence_new(api);
	api->uses = uses_new(api);
	api->notify_queue = -1;
	api->routes = mem_zeroed(n + assets_count() + 1, sizeof(struct route));
	memcpy(api->routes, api_routes, n * sizeof(struct route));
	assets_routes(api->routes + n);
	assert(n + assets_count() < SHARED_ROUTES); /* each route has counters */
}

void api_release(struct api *api)
{
	for (struct route *r = api->routes + rows(api_routes); r->path != NULL; r++)
		free((char *)r->path);
	free(api->routes);
	free(api->maintenance);
	map_release(&api->direct_chats);
	presence_free(api->presence);
	uses_free(api->uses);
	gatherer_free(api->gatherer);
	bulks_free(api->bulks);
	pages_free(api->pages);
	auth_free(api->auth);
}

static void on_reloaded(void *arg, const struct pg_result *r)
{
	struct api *api = arg;
	api->reloading = false;
	if (api->reload_again) {
		reload(api);
		return;
	}
	if (!pg_ok(r))
		return; /* the listener reconnects as well, and then the query is repeated */
	free(api->maintenance);
	api->maintenance = pg_null(r, 0, 0) ? NULL : mem_strdup(pg_text(r, 0, 0));
}

/* One query at a time: of two on different connections, the older answer could arrive last. */
static void reload(struct api *api)
{
	api->reload_again = api->reloading;
	if (api->reloading)
		return;
	api->reloading = true;
	pg_pool_call(api->pool, "select maintenance()", 0, NULL, on_reloaded, api);
}

/* During maintenance only administrators may write. */
static void admit(struct request *req)
{
	const struct route *route = request_route(req);
	const struct api *api = api_of(req);
	bool is_admin = !(route->flags & ROUTE_PUBLIC) && caller_of(req)->admin;
	if (api->maintenance != NULL && strcmp(request_method(req), "GET") != 0 && !(route->flags & ROUTE_ALWAYS) &&
		!is_admin)
		request_problem(req, PROBLEM_MAINTENANCE, api->maintenance, "");
	else
		request_admit(req);
}

static void on_head(void *arg, struct request *req)
{
	struct api *api = arg;
	const struct route *route = request_route(req);
	if (request_on_metrics_port(req) && !(route->flags & ROUTE_OPERATOR))
		request_problem(req, PROBLEM_NOT_FOUND, NULL, "");
	else if (route->flags & ROUTE_PUBLIC)
		admit(req);
	else
		auth_request(api->auth, req, admit);
}

static void on_revalidated(void *arg, enum auth_validity validity)
{
	struct request *req = arg;
	if (validity == AUTH_VALID)
		request_route(req)->handle(req);
	else if (validity == AUTH_REVOKED)
		request_problem(req, PROBLEM_UNAUTHORIZED, "The credential isn't valid any more.", "");
	else
		request_problem(req, PROBLEM_DATABASE_AWAY, AUTH_UNAVAILABLE_DETAIL, "");
}

/* While the body was being received, the credential may have been revoked. */
static void on_request(void *arg, struct request *req)
{
	struct api *api = arg;
	if (request_route(req)->flags & ROUTE_PUBLIC)
		request_route(req)->handle(req);
	else
		auth_revalidate(api->auth, request_data(req), on_revalidated, req);
}

static bool may_stream(void *arg, struct request *req)
{
	return auth_is_current(((struct api *)arg)->auth, caller_of(req));
}

static void on_stream_gone(void *arg, uint64_t key) { streams_gone(arg, key); }

const struct http_events api_events = {
	.on_head = on_head, .on_request = on_request, .may_stream = may_stream, .on_stream_gone = on_stream_gone
};
