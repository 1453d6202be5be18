/* SPDX-License-Identifier: MIT
 * For operators and their tools: health, readiness, metrics; and the page's files. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "api/auth.h"
#include "api/limit.h"
#include "base/build.h"
#include "base/embedded.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/secret.h"
#include "conf/conf.h"
#include "log/batch.h"
#include "log/tail.h"
#include "pg/pool.h"

static void reply(struct request *req, int status, const char *text)
{
	request_add_header(req, "Cache-Control", "no-store");
	request_reply_static(req, status, "text/plain; charset=utf-8", text, strlen(text));
}

/* Answering proves that the process is alive and its loop runs. */
void ops_health(struct request *req) { reply(req, 200, "ok\n"); }

/* Ready if the database is up, the log is followed, and messages can be stored. */
void ops_ready(struct request *req)
{
	struct api *api = api_of(req);
	const char *sqlstate, *trouble = batcher_trouble(api->batcher, &sqlstate);
	char detail[256];
	if (trouble == NULL && !pg_pool_up(api->pool))
		trouble = "there is no connection to the database";
	if (trouble == NULL && !tail_live(api->tail))
		trouble = "the log is not followed yet";
	if (http_is_stopping(request_server(req))) {
		request_problem(req, PROBLEM_STOPPING, NULL, "");
	} else if (trouble != NULL) {
		snprintf(detail, sizeof(detail), "%c%s%s%s%s.", toupper((unsigned char)*trouble), trouble + 1,
			*sqlstate != '\0' ? " (SQLSTATE " : "", sqlstate, *sqlstate != '\0' ? ")" : "");
		request_problem(req, PROBLEM_DATABASE_AWAY, detail, "");
	} else {
		reply(req, 200, "ready\n");
	}
}

static void add_build_info(struct buf *out, const char *postgresql)
{
	buf_addf(out,
		"# HELP postern_build_info What runs here; the value is always 1.\n# TYPE postern_build_info gauge\n"
		"postern_build_info{version=\"%s\",commit=\"%s\",postgresql=\"%s\"} 1\n",
		build_version, build_commit, postgresql);
}

enum { METRICS_MAX = 8 << 20 };

static void show(struct request *req)
{
	struct api *api = api_of(req);
	struct buf out;
	size_t len;
	unsigned n = 0;
	while (api->routes[n].path != NULL)
		n++;
	struct metrics_route *routes = mem_zeroed(n + 1, sizeof(*routes));
	for (unsigned i = 0; i < n; i++)
		routes[i] = (struct metrics_route) { api->routes[i].method, api->routes[i].path };
	buf_init(&out, METRICS_MAX);
	metrics_render(api->shared, routes, n, api->notify_queue, &out);
	free(routes);
	add_build_info(&out, api->postgresql);
	char *body = buf_detach(&out, &len);
	request_add_header(req, "Cache-Control", "no-store");
	request_reply(req, 200, "text/plain; version=0.0.4; charset=utf-8", body, len);
}

static void show_to_admin(struct request *req)
{
	if (caller_of(req)->admin)
		show(req);
	else
		request_problem(req, PROBLEM_FORBIDDEN, "Metrics are for administrators.", "");
}

void ops_metrics(struct request *req)
{
	struct api *api = api_of(req);
	if (api->metrics_apart ? request_on_metrics_port(req) : request_is_loopback(req))
		show(req);
	else if (api->metrics_apart)
		request_problem(req, PROBLEM_NOT_FOUND, NULL, "");
	else
		auth_request(api->auth, req, show_to_admin);
}

/* ---- the page ---- */

static const char *type_of(const char *name)
{
	static const struct {
		const char *end, *type;
	} types[] = { { ".html", "text/html; charset=utf-8" }, { ".css", "text/css; charset=utf-8" },
		{ ".js", "text/javascript; charset=utf-8" }, { ".json", "application/json" },
		{ ".svg", "image/svg+xml" }, { ".png", "image/png" }, { ".ico", "image/x-icon" },
		{ ".txt", "text/plain; charset=utf-8" }, { ".webmanifest", "application/manifest+json" } };
	size_t len = strlen(name);
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		size_t n = strlen(types[i].end);
		if (len > n && strcmp(name + len - n, types[i].end) == 0)
			return types[i].type;
	}
	return "application/octet-stream";
}

void assets_get(struct request *req)
{
	const struct embedded *file = request_route(req)->spec;
	char hex[SECRET_HASH_HEX + 1], etag[24];
	secret_hash_hex((const char *)file->data, file->size, hex);
	snprintf(etag, sizeof(etag), "\"%.16s\"", hex);
	const char *have = request_header(req, "If-None-Match");
	request_add_header(req, "ETag", etag);
	request_add_header(req, "Cache-Control", "no-cache");
	request_add_header(req, "X-Content-Type-Options", "nosniff");
	request_add_header(req, "Content-Security-Policy",
		"default-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; object-src 'none'; base-uri "
		"'none'; form-action 'self'; frame-ancestors 'none'");
	request_add_header(req, "Referrer-Policy", "no-referrer");
	if (have != NULL && strstr(have, etag) != NULL)
		request_reply_static(req, 304, NULL, NULL, 0);
	else
		request_reply_static(req, 200, type_of(file->name), file->data, file->size);
}

unsigned assets_count(void)
{
	unsigned n = 1; /* index.html has two paths */
	for (const struct embedded *f = embedded_assets; f->name != NULL; f++)
		n++;
	return n;
}

void assets_routes(struct route *rows)
{
	for (const struct embedded *f = embedded_assets; f->name != NULL; f++) {
		size_t len = strlen(f->name) + 2;
		char *path = mem_alloc(len);
		snprintf(path, len, "/%s", f->name);
		*rows++ = (struct route) { "GET", path, SCOPE_NONE, LIMIT_NONE, assets_get, f, ROUTE_PUBLIC };
		if (strcmp(f->name, "index.html") == 0) {
			char *root = mem_strdup("/");
			*rows++ = (struct route) { "GET", root, SCOPE_NONE, LIMIT_NONE, assets_get, f, ROUTE_PUBLIC };
		}
	}
}
