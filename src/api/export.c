/* SPDX-License-Identifier: MIT
 * GET /v1/me/export: the caller's data as lines of JSON. It is read from the database piece by piece, each when the
 * client has read the one before. So only one piece is in memory, and no database connection is in use meanwhile. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "api/auth.h"
#include "api/call.h"
#include "api/limit.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/secret.h"
#include "base/shared.h"
#include "conf/conf.h"
#include "pg/pool.h"

#define CURSOR_MAX 128

struct export
{
	struct request *req;
	char cursor[CURSOR_MAX]; /* "": from the beginning */
	uint64_t lines;
	bool begun; /* the head was sent */
};

static void on_piece(void *arg, const struct pg_result *r);

static void ask(void *arg)
{
	struct export *e = arg;
	char id[24];
	snprintf(id, sizeof(id), "%" PRIu64, caller_of(e->req)->credential);
	pg_pool_call(api_of(e->req)->pool, "select lines, count, next from export_page($1, $2, $3)", 3,
		(const char *[]) { caller_of(e->req)->name, id, *e->cursor ? e->cursor : NULL }, on_piece, e);
}

static void begin(struct export *e)
{
	char name[96];
	snprintf(name, sizeof(name), "attachment; filename=\"%s.ndjson\"", caller_of(e->req)->name);
	request_add_header(e->req, "Content-Disposition", name);
	request_add_header(e->req, "Cache-Control", "no-store");
	e->begun = true;
	request_reply_pieces(e->req, 200, "application/x-ndjson", ask, free, e);
}

static void on_piece(void *arg, const struct pg_result *r)
{
	struct export *e = arg;
	struct buf out;
	if (!pg_ok(r) && !e->begun) {
		call_refuse(e->req, r);
		free(e);
		return;
	}
	if (!pg_ok(r)) { /* the status was sent already: the missing last line tells the client */
		if (!pg_away(r))
			log_warn("an export was cut: %s", pg_message(r));
		request_feed(e->req, NULL, 0, FEED_CUT);
		return;
	}
	bool last = pg_null(r, 0, 2);
	snprintf(e->cursor, sizeof(e->cursor), "%s", last ? "" : pg_text(r, 0, 2));
	e->lines += (uint64_t)pg_int(r, 0, 1);
	if (!last && pg_size(r, 0, 0) == 0) {
		ask(e);
		return;
	}
	if (!e->begun)
		begin(e);
	buf_init(&out, SIZE_MAX / 2);
	buf_add(&out, pg_text(r, 0, 0), pg_size(r, 0, 0));
	if (last)
		buf_addf(&out, "{\"kind\":\"end\",\"lines\":%" PRIu64 "}\n", e->lines);
	size_t len;
	char *data = buf_detach(&out, &len);
	request_feed(e->req, data, len, last ? FEED_LAST : FEED_MORE);
}

void export_get(struct request *req)
{
	if (!call_allow_parameters(req, NULL) || !limit_route(req))
		return;
	struct export *e = mem_zeroed(1, sizeof(*e));
	e->req = req;
	ask(e);
}
