/* SPDX-License-Identifier: MIT
 * POST /v1/chats/C/messages: one message as JSON or as a raw text, or many as NDJSON. Checked here, then passed to the
 * batcher. */
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "api/auth.h"
#include "api/body.h"
#include "api/call.h"
#include "api/limit.h"
#include "api/outgoing.h"
#include "base/arena.h"
#include "base/clock.h"
#include "base/decimal.h"
#include "base/list.h"
#include "base/mem.h"
#include "base/owner.h"
#include "base/problem.h"
#include "base/secret.h"
#include "base/trace.h"
#include "conf/conf.h"
#include "log/batch.h"
#include "loop/loop.h"
#include "pg/pool.h"

#define BULK_ITEMS_MAX 10000
#define SLICE_US 2000
#define LINE_ROOM 256 /* bytes of a refused line of a bulk in the answer, about */

/* The bulks whose lines are being read. They take turns, so that many don't hold the loop longer than one. */
struct bulks {
	struct api *api;
	struct list reading;
	struct loop_hook *hook;
};

static void free_post(struct post *p)
{
	for (unsigned i = 0; i < p->count; i++)
		free(p->items[i].answer);
	arena_release(&p->arena);
	free(p);
}

/* ---- the rate ---- */

/* Refused lines of a bulk count as well: reading them costs as much. */
static void check_rate(struct outgoing *o, const struct caller *caller)
{
	struct api *api = api_of(o->post->req);
	char detail[128];
	unsigned retry_s;
	if (limit_try(api, LIMIT_SENDS, limit_key(LIMIT_SENDS, "of", caller->name), &retry_s) ||
		o->error.code != PROBLEM_NONE)
		return;
	o->retry_s = retry_s;
	limit_detail(api, LIMIT_SENDS, o->retry_s, detail, sizeof(detail));
	body_fail(&o->error, PROBLEM_RATE_LIMITED, "%s", detail);
}

/* ---- answering ---- */

/* Adds the message's JSON with its key: {…} becomes {…,"key":"…"}. */
static void add_with_key(struct buf *out, const char *json, size_t len, const char *key)
{
	buf_add(out, json, len - 1);
	buf_adds(out, ",\"key\":");
	buf_add_json(out, key, strlen(key));
	buf_addc(out, '}');
}

/* After a failure of the server, the key makes a retry safe. */
static const char *detail_of(const struct send_result *r)
{
	return r->problem == PROBLEM_DATABASE_AWAY
		? "Not confirmed. Send it again with this key: it is stored once, however often it is sent."
		: r->problem == PROBLEM_OUT_OF_RANGE ? "The database can't store this content."
						     : problem_detail(r->problem);
}

/* Returns in how many seconds a message that a limit of its chat has refused may be sent, and sets *ret_limit to the
 * messages a minute. 0: another result. */
static uint64_t seconds_to_wait(const struct send_result *r, unsigned *ret_limit)
{
	uint64_t seconds = 0;
	return problem_status(r->problem) == 429 && sscanf(r->body, "%u %" SCNu64, ret_limit, &seconds) == 2 ? seconds
													     : 0;
}

static void answer_one(struct outgoing *o, const struct send_result *r)
{
	struct request *req = o->post->req;
	unsigned limit = 0;
	if (r->problem == PROBLEM_NONE) {
		struct buf out;
		size_t len;
		buf_init(&out, SIZE_MAX / 2);
		add_with_key(&out, r->body, r->body_len, o->item.key);
		char *body = buf_detach(&out, &len);
		request_reply(req, 201, "application/json", body, len);
		return;
	}
	uint64_t wait = seconds_to_wait(r, &limit);
	if (wait > 0)
		request_add_rate(req, limit, wait);
	struct buf extra;
	buf_init(&extra, 8192);
	if (problem_status(r->problem) >= 500) {
		buf_adds(&extra, ",\"key\":");
		buf_add_json(&extra, o->item.key, strlen(o->item.key));
	}
	request_problem(req, r->problem, detail_of(r), extra.data ? extra.data : "");
	buf_release(&extra);
}

/* Sets the item's line of the answer to a bulk. */
static void line_sent(struct outgoing *o, const struct send_result *r)
{
	struct buf out;
	buf_init(&out, SIZE_MAX / 2);
	buf_adds(&out, "{\"status\":201,\"message\":");
	add_with_key(&out, r->body, r->body_len, o->item.key);
	buf_adds(&out, "}\n");
	o->answer = buf_detach(&out, NULL);
}

static void line_refused(struct outgoing *o, enum problem p, const char *detail, uint64_t retry_s)
{
	struct buf out;
	buf_init(&out, SIZE_MAX / 2);
	detail = detail != NULL ? detail : problem_title(p);
	buf_addf(&out, "{\"status\":%d,\"code\":\"%s\",\"detail\":", problem_status(p), problem_code(p));
	buf_add_json(&out, detail, strlen(detail));
	if (o->item.key != NULL) {
		buf_adds(&out, ",\"key\":");
		buf_add_json(&out, o->item.key, strlen(o->item.key));
	}
	if (retry_s > 0)
		buf_addf(&out, ",\"retry_after\":%" PRIu64, retry_s);
	buf_adds(&out, "}\n");
	o->answer = buf_detach(&out, NULL);
}

static void answer_bulk(struct post *p)
{
	struct buf out;
	size_t len;
	buf_init(&out, SIZE_MAX / 2);
	for (unsigned i = 0; i < p->count; i++)
		buf_adds(&out, p->items[i].answer);
	char *body = buf_detach(&out, &len);
	request_reply(p->req, 200, "application/x-ndjson", body, len);
}

static void one_done(struct post *p)
{
	if (--p->left > 0)
		return;
	if (p->bulk)
		answer_bulk(p);
	free_post(p);
}

static void on_done(struct send_item *item, const struct send_result *r)
{
	struct outgoing *o = container_of(item, struct outgoing, item);
	struct api *api = api_of(o->post->req);
	if (r->problem == PROBLEM_NONE)
		metrics_count(api->metrics, item->type ? M_SENT_TYPED : M_SENT_TEXT, 1);
	else if (r->problem == PROBLEM_OVERLOADED)
		metrics_count(api->metrics, M_FULL_SENDS, 1);
	else if (problem_status(r->problem) == 429)
		metrics_count(api->metrics, M_RATE_LIMITED, 1);
	else if (r->problem == PROBLEM_NOT_FOUND &&
		request_var(o->post->req, 0)[0] == '@') /* deleted since its number was read */
		map_release(&api->direct_chats);
	unsigned limit;
	if (o->post->bulk && r->problem == PROBLEM_NONE)
		line_sent(o, r);
	else if (o->post->bulk)
		line_refused(o, r->problem, detail_of(r), seconds_to_wait(r, &limit));
	else
		answer_one(o, r);
	one_done(o->post);
}

/* ---- sending ---- */

static void refuse(struct outgoing *o)
{
	if (o->post->bulk)
		line_refused(o, o->error.code, o->error.detail, o->retry_s);
	else if (o->retry_s > 0)
		limit_refuse(o->post->req, LIMIT_SENDS, o->retry_s);
	else
		request_problem(o->post->req, o->error.code, o->error.detail, "");
}

/* Passes the items to the batcher, once the chat is known. The post counts one more pending item meanwhile, so that it
 * can't end before all were passed. */
static void send_all(struct post *p)
{
	struct api *api = api_of(p->req);
	p->left = p->count + 1;
	for (unsigned i = 0; i < p->count; i++) {
		struct outgoing *o = &p->items[i];
		o->item.chat = p->chat;
		o->item.on_done = on_done;
		check_rate(o, caller_of(p->req));
		if (o->error.code == PROBLEM_NONE) {
			batcher_add(api->batcher, &o->item);
		} else {
			refuse(o);
			p->left--;
		}
	}
	one_done(p);
}

static uint64_t pair_key(const char *me, const char *other)
{
	char both[80];
	int n = snprintf(both, sizeof(both), "%s %s", me, other);
	return secret_keyed_hash(both, (size_t)n);
}

#define DIRECT_CHATS_MAX 100000

static void on_direct(void *arg, const struct pg_result *r)
{
	struct post *p = arg;
	struct api *api = api_of(p->req);
	if (!pg_ok(r)) {
		call_refuse(p->req, r);
		free_post(p);
		return;
	}
	p->chat = (uint64_t)pg_int(r, 0, 0);
	if (api->direct_chats.count >= DIRECT_CHATS_MAX)
		map_release(&api->direct_chats);
	map_set(&api->direct_chats, pair_key(caller_of(p->req)->name, request_var(p->req, 0) + 1),
		(void *)(uintptr_t)p->chat);
	send_all(p);
}

static void create_direct(struct post *p, const char *other)
{
	const struct conf *conf = api_of(p->req)->conf;
	char chats[12], strangers[12];
	snprintf(chats, sizeof(chats), "%u", conf->chats_max);
	snprintf(strangers, sizeof(strangers), "%u", conf->rate_strangers);
	pg_pool_call(api_of(p->req)->pool, "select id from direct_chat($1, $2, $3, $4)", 4,
		(const char *[]) { caller_of(p->req)->name, other, chats, strangers }, on_direct, p);
}

/* Finds the chat; a direct chat with @name may have to be created first. */
static void find_chat(struct post *p)
{
	const char *chat = request_var(p->req, 0);
	if (*chat != '@') {
		if (!decimal_is_bigint(chat) || !decimal_parse(chat, &p->chat))
			p->chat = 0; /* no chat has this number: each message is answered 404 */
		send_all(p);
		return;
	}
	p->chat = (uintptr_t)map_get(&api_of(p->req)->direct_chats, pair_key(caller_of(p->req)->name, chat + 1));
	if (p->chat != 0)
		send_all(p);
	else
		create_direct(p, chat + 1);
}

static struct post *new_post(struct request *req, unsigned count)
{
	struct post *p = mem_zeroed(1, sizeof(*p));
	p->items = arena_alloc(&p->arena, count * sizeof(*p->items));
	memset(p->items, 0, count * sizeof(*p->items));
	p->req = req;
	p->count = count;
	for (unsigned i = 0; i < count; i++) {
		p->items[i].post = p;
		list_init(&p->items[i].item.link);
	}
	return p;
}

static unsigned count_lines(const struct buf *body)
{
	unsigned n = 0;
	for (const char *s = body->data, *end = s + body->len; s < end; n++) {
		const char *nl = memchr(s, '\n', (size_t)(end - s));
		s = nl ? nl + 1 : end;
	}
	return n;
}

static bool is_blank(const char *s, size_t len)
{
	while (len > 0 && strchr(" \t\r", s[len - 1]) != NULL && s[len - 1] != '\0')
		len--;
	return len == 0;
}

static void read_line(struct post *p, const char *line, size_t len)
{
	size_t max = api_of(p->req)->conf->body_max;
	if (is_blank(line, len))
		return;
	struct outgoing *o = &p->items[p->count++];
	if (max > 0 && len > max)
		body_fail(&o->error, PROBLEM_BODY_TOO_LARGE, "A line may have %zu bytes, this has %zu.", max, len);
	else
		outgoing_read_json(o, line, len);
	outgoing_complete(o, caller_of(p->req), NULL);
	p->good += o->error.code == PROBLEM_NONE;
}

/* Reads lines until the time, and submits the messages when all were read. Returns false if lines are left. */
static bool read_lines(struct post *p, uint64_t until_us)
{
	const struct buf *body = request_body(p->req);
	const char *end = body->data + body->len;
	while (p->at < end && clock_mono_us() < until_us) {
		const char *nl = memchr(p->at, '\n', (size_t)(end - p->at));
		read_line(p, p->at, (size_t)((nl ? nl : end) - p->at));
		p->at = nl ? nl + 1 : end;
	}
	if (p->at < end)
		return false;
	struct trace *trace = p->trace, *trace_before = trace_enter(trace);
	uint64_t owner_before = owner_enter(p->owner);
	if (p->good > 0)
		find_chat(p);
	else
		send_all(p); /* no message that needs a direct chat */
	owner_enter(owner_before);
	trace_enter(trace_before);
	trace_drop(trace);
	return true;
}

/* Reads lines for SLICE_US; the rest follows in the next turns of the loop. */
static void on_turn(void *arg)
{
	struct bulks *b = arg;
	uint64_t until = clock_mono_us() + SLICE_US;
	while (!list_empty(&b->reading) && clock_mono_us() < until) {
		struct post *p = container_of(list_shift(&b->reading), struct post, link);
		if (!read_lines(p, until))
			list_append(&b->reading, &p->link);
	}
	if (!list_empty(&b->reading))
		loop_again(b->api->loop);
}

struct bulks *bulks_new(struct api *api)
{
	struct bulks *b = mem_zeroed(1, sizeof(*b));
	b->api = api;
	list_init(&b->reading);
	b->hook = loop_hook_new(api->loop, on_turn, b);
	return b;
}

void bulks_stop(struct bulks *b)
{
	while (!list_empty(&b->reading)) {
		struct post *p = container_of(list_shift(&b->reading), struct post, link);
		request_problem(p->req, PROBLEM_STOPPING, NULL, "");
		trace_drop(p->trace);
		free_post(p);
	}
}

void bulks_free(struct bulks *b)
{
	loop_hook_free(b->hook);
	free(b);
}

static void send_bulk(struct request *req)
{
	const struct buf *body = request_body(req);
	unsigned lines = count_lines(body);
	if (request_header(req, "Idempotency-Key") != NULL) {
		request_problem(req, PROBLEM_BAD_PARAMETER, "Here every line has its own key: give it as \"key\".", "");
		return;
	}
	if (lines > BULK_ITEMS_MAX) {
		request_problem(req, PROBLEM_BODY_TOO_LARGE, "At most 10000 lines.", "");
		return;
	}
	if (!request_reserve_answer(req, (size_t)lines * LINE_ROOM))
		return;
	struct post *p = new_post(req, lines);
	p->bulk = true;
	p->count = 0;
	p->at = body->data;
	p->trace = trace_hold();
	p->owner = owner_current();
	list_init(&p->link);
	list_append(&api_of(req)->bulks->reading, &p->link);
	loop_again(api_of(req)->loop);
}

void messages_send(struct request *req)
{
	const struct buf *body = request_body(req);
	if (!call_allow_parameters(req, NULL))
		return;
	if (request_has_type(req, "application/x-ndjson")) {
		send_bulk(req);
		return;
	}
	struct post *p = new_post(req, 1);
	struct outgoing *o = &p->items[0];
	if (request_has_type(req, "application/json"))
		outgoing_read_json(o, body->len ? body->data : "", body->len);
	else
		outgoing_read_text(o, body->len ? body->data : "", body->len);
	outgoing_complete(o, caller_of(req), request_header(req, "Idempotency-Key"));
	if (o->error.code == PROBLEM_NONE) {
		find_chat(p);
		return;
	}
	refuse(o); /* before a direct chat is created for it */
	free_post(p);
}
