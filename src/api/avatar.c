/* SPDX-License-Identifier: MIT
 * Users' pictures: accepted if their bytes are a picture's, stored unchanged, and served so that no browser treats one
 * as anything else. */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "api/api.h"
#include "api/auth.h"
#include "api/call.h"
#include "api/limit.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/picture.h"
#include "base/utf8.h"
#include "pg/pool.h"

#define AVATAR_MAX ((size_t)256 << 10)
#define SIDE_MAX \
	4096 /* pixels: a small file may have very many of them, and every viewer's browser would decode them */
#define BASE64 sodium_base64_VARIANT_ORIGINAL

static void *room_for(size_t size)
{
	void *p = mem_alloc(size);
	return p;
}

/* A Content-Type that isn't a picture's is ignored: some clients always send the same. */
static bool is_as_said(const struct request *req, const char *type)
{
	const char *given = request_header(req, "Content-Type");
	return given == NULL || strncasecmp(given, "image/", 6) != 0 || request_has_type(req, type) ||
		(strcmp(type, "image/jpeg") == 0 && request_has_type(req, "image/jpg"));
}

static void on_stored(void *arg, const struct pg_result *r) { call_answer(arg, r); }

static void store(struct request *req, const char *type, const struct buf *picture)
{
	size_t size = sodium_base64_ENCODED_LEN(picture->len, BASE64);
	char *text = room_for(size);
	sodium_bin2base64(text, size, (const unsigned char *)picture->data, picture->len, BASE64);
	pg_pool_call(api_of(req)->pool, "select pos, body from avatar_put($1, $2, $3)", 3,
		(const char *[]) { caller_of(req)->name, type, text }, on_stored, req);
	free(text);
}

void avatar_put(struct request *req)
{
	const struct buf *body = request_body(req);
	unsigned width = 0, height = 0;
	const char *type = picture_type(body->data, body->len, &width, &height);
	if (!call_allow_parameters(req, NULL))
		return;
	if (body->len == 0)
		request_problem(req, PROBLEM_MISSING_FIELD, "The body is the picture, and there is none.", "");
	else if (body->len > AVATAR_MAX)
		request_problem(req, PROBLEM_BODY_TOO_LARGE, "A picture may have 256 KiB.", "");
	else if (type == NULL)
		request_problem(req, PROBLEM_UNSUPPORTED_TYPE, "A picture is a PNG, JPEG, WebP or GIF.", "");
	else if (!is_as_said(req, type))
		request_problem(
			req, PROBLEM_UNSUPPORTED_TYPE, "The picture isn't of the type that Content-Type says.", "");
	else if (width > SIDE_MAX || height > SIDE_MAX)
		request_problem(req, PROBLEM_OUT_OF_RANGE, "A picture may be 4096 pixels wide and as high.", "");
	else if (limit_route(req))
		store(req, type, body);
}

/* The address with the picture's hash never leads to another picture. Without the hash, or with another one, caches
 * must revalidate soon. */
static void add_headers(struct request *req, const char *hash)
{
	char etag[80];
	const char *v = request_param(req, "v");
	snprintf(etag, sizeof(etag), "\"%s\"", hash);
	request_add_header(req, "ETag", etag);
	request_add_header(req, "Cache-Control",
		v != NULL && strcmp(v, hash) == 0 ? "private, max-age=86400, immutable" : "private, max-age=60");
	request_add_header(req, "X-Content-Type-Options", "nosniff");
	request_add_header(req, "Content-Security-Policy", "default-src 'none'; sandbox");
}

static void on_found(void *arg, const struct pg_result *r)
{
	struct request *req = arg;
	if (!pg_ok(r)) {
		call_refuse(req, r);
		return;
	}
	add_headers(req, pg_text(r, 0, 0));
	if (pg_null(r, 0, 2)) {
		request_reply_static(req, 304, NULL, NULL, 0);
		return;
	}
	size_t size = pg_size(r, 0, 2) / 4 * 3 + 3, len = 0;
	char *picture = room_for(size);
	if (sodium_base642bin(
		    (unsigned char *)picture, size, pg_text(r, 0, 2), pg_size(r, 0, 2), "\n", &len, NULL, BASE64) != 0)
		fatal("a picture's base64 can't be read");
	request_reply(req, 200, pg_text(r, 0, 1), picture, len);
}

void avatar_get(struct request *req)
{
	static const char *const known[] = { "v", "ticket", "access_token", NULL };
	const char *have = request_header(req, "If-None-Match");
	if (have != NULL && !utf8_valid(have, strlen(have)))
		have = NULL;
	if (call_allow_parameters(req, known))
		pg_pool_call(api_of(req)->pool, "select hash, type, data from avatar_get($1, $2)", 2,
			(const char *[]) { request_var(req, 0), have }, on_found, req);
}
