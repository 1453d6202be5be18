/* SPDX-License-Identifier: MIT
 * See batch.h. No timer delays a batch: idle means batches of one at once, load makes larger ones by itself. */
#include "log/batch.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/map.h"
#include "base/secret.h"
#include "log/tail.h"
#include "loop/loop.h"
#include "pg/conn.h"

#define ITEMS_MAX 512
#define BYTES_MAX ((size_t)1 << 20) /* of texts and contents; one item may be larger */
#define WAITING_MAX 50000
#define SWEEP_MS 250

enum { P_NODE, P_CHAT, P_SENDER, P_KEY, P_HASH, P_TEXT, P_TYPE, P_CONTENT, P_REPLY_TO, P_RECEIVED, PARAMS };

struct batcher {
	struct loop *loop;
	struct tail *tail;
	struct pg_conn *conn;
	struct loop_hook *hook;
	struct loop_timer *sweep;
	unsigned wait_ms, waiting;
	char node[32];
	struct list queue, flight;
	unsigned flight_count;
	uint64_t started_us;
	struct buf params[PARAMS];
	bool used[PARAMS]; /* some item has it */
	void (*on_commit)(void *arg, unsigned items, uint64_t took_us);
	void *arg;
};

static void done(struct batcher *b, struct send_item *item, const struct send_result *result)
{
	list_remove(&item->link);
	b->waiting--;
	item->on_done(item, result);
}

static void fail(struct batcher *b, struct send_item *item, int status, const char *code)
{
	done(b, item, &(struct send_result){ .status = status, .code = code, .body = "" });
}

/* An element of an array in PostgreSQL's text form. */
static void add_text(struct buf *out, const char *s)
{
	if (s == NULL) {
		buf_adds(out, "NULL");
		return;
	}
	buf_addc(out, '"');
	for (size_t n; *s != '\0'; s += n) {
		n = strcspn(s, "\"\\");
		buf_add(out, s, n);
		if (s[n] != '\0') {
			buf_addc(out, '\\');
			buf_addc(out, s[n++]);
		}
	}
	buf_addc(out, '"');
}

static void add_item(struct batcher *b, const struct send_item *item)
{
	struct buf *p = b->params;
	char c = b->flight_count == 0 ? '{' : ',';
	for (int i = P_CHAT; i < PARAMS; i++)
		buf_addc(&p[i], c);
	buf_addu(&p[P_CHAT], item->chat);
	add_text(&p[P_SENDER], item->sender);
	add_text(&p[P_KEY], item->key);
	add_text(&p[P_HASH], item->hash);
	add_text(&p[P_TEXT], item->text);
	add_text(&p[P_TYPE], item->type);
	add_text(&p[P_CONTENT], item->content);
	b->used[P_TYPE] |= item->type != NULL;
	b->used[P_CONTENT] |= item->content != NULL;
	b->used[P_REPLY_TO] |= item->reply_to != 0;
	if (item->reply_to != 0)
		buf_addu(&p[P_REPLY_TO], item->reply_to);
	else
		buf_adds(&p[P_REPLY_TO], "NULL");
	buf_addu(&p[P_RECEIVED], item->received_us);
}

static size_t item_size(const struct send_item *item)
{
	return 128 + (item->text ? strlen(item->text) : 0) + (item->content ? strlen(item->content) : 0);
}

/* Whether an item with the same chat, sender and key is in the batch already: send() wants to see it committed first. */
static bool is_twin(struct map *keys, const struct send_item *item)
{
	char text[320];
	int n = snprintf(text, sizeof(text), "%" PRIu64 " %s %s", item->chat, item->sender, item->key);
	uint64_t key = secret_keyed_hash(text, (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1);
	if (map_get(keys, key) != NULL)
		return true;
	map_set(keys, key, keys);
	return false;
}

/* Moves what goes into the next batch from the queue to the flight. */
static void gather(struct batcher *b)
{
	struct map keys = { 0 };
	size_t bytes = 0;
	for (int i = 0; i < PARAMS; i++) {
		buf_reset(&b->params[i]);
		b->used[i] = i != P_TYPE && i != P_CONTENT && i != P_REPLY_TO;
	}
	buf_adds(&b->params[P_NODE], b->node);
	while (!list_empty(&b->queue) && b->flight_count < ITEMS_MAX) {
		struct send_item *item = container_of(b->queue.next, struct send_item, link);
		size_t size = item_size(item);
		if (b->flight_count > 0 && (item->alone || bytes + size > BYTES_MAX))
			break;
		if (is_twin(&keys, item))
			break;
		bytes += size;
		add_item(b, item);
		list_remove(&item->link);
		list_append(&b->flight, &item->link);
		b->flight_count++;
		if (item->alone)
			break;
	}
	for (int i = P_CHAT; i < PARAMS; i++)
		buf_addc(&b->params[i], '}');
	map_release(&keys);
}

/* Puts the items in flight back to the front of the queue, in their order. */
static void requeue(struct batcher *b, bool alone)
{
	for (struct list *l = b->flight.next; l != &b->flight; l = l->next)
		container_of(l, struct send_item, link)->alone |= alone;
	list_splice(&b->flight, &b->queue);
	list_splice(&b->queue, &b->flight);
	b->flight_count = 0;
}

/* Errors that say nothing about the items: the server is going away, out of something, or read-only. */
static bool is_passing(const char *sqlstate)
{
	static const char *const passing[] = { "57P", "53", "40", "08", "25006", "57014", "55P03" };
	for (size_t i = 0; i < sizeof(passing) / sizeof(passing[0]); i++)
		if (strncmp(sqlstate, passing[i], strlen(passing[i])) == 0)
			return true;
	return false;
}

static void on_failed(struct batcher *b, const struct pg_result *r)
{
	if (pg_away(r)) {
		requeue(b, false);
	} else if (is_passing(pg_sqlstate(r))) {
		requeue(b, false);
		pg_conn_reset(b->conn, pg_message(r));
	} else if (b->flight_count > 1) {
		log_warn("a batch of %u failed (%s): trying its items singly", b->flight_count, pg_message(r));
		requeue(b, true);
	} else {
		bool bad_value = strncmp(pg_sqlstate(r), "22", 2) == 0; /* a content that jsonb can't hold */
		if (!bad_value)
			log_error("a message can't be stored: %s %s", pg_sqlstate(r), pg_message(r));
		b->flight_count = 0;
		fail(b, container_of(b->flight.next, struct send_item, link), bad_value ? 422 : 500, bad_value ? "out_of_range" : "internal");
	}
}

/* The tail hears of what was committed from here: the notification comes by way of another process, and later. */
static void tell(struct batcher *b, const struct send_item *item, const struct send_result *r, bool is_new)
{
	tail_expect(b->tail, r->id);
	if (!is_new || !tail_awaits(b->tail, r->id))
		return;
	struct frame *f = frame_message(r->id, item->chat, item->sender, item->received_us, r->body, r->body_len, tail_epoch(b->tail));
	if (f != NULL)
		tail_tell(b->tail, f);
}

static void on_sent(void *arg, const struct pg_result *r)
{
	struct batcher *b = arg;
	if (!pg_ok(r) || (unsigned)pg_rows(r) != b->flight_count) {
		on_failed(b, r);
		return;
	}
	unsigned n = b->flight_count;
	b->flight_count = 0;
	b->on_commit(b->arg, n, clock_mono_us() - b->started_us);
	for (unsigned i = 0; i < n; i++) {
		struct send_item *item = container_of(b->flight.next, struct send_item, link);
		struct send_result result = { .status = (int)pg_int(r, (int)i, 0), .code = pg_text(r, (int)i, 1),
			.id = (uint64_t)pg_int(r, (int)i, 2), .body = pg_text(r, (int)i, 3), .body_len = pg_size(r, (int)i, 3) };
		if (result.status == 201)
			tell(b, item, &result, *pg_text(r, (int)i, 4) == 't');
		done(b, item, &result);
	}
}

static void send_batch(struct batcher *b)
{
	const char *values[PARAMS];
	if (list_empty(&b->queue) || b->flight_count > 0 || !pg_conn_ready(b->conn))
		return;
	gather(b);
	for (int i = 0; i < PARAMS; i++)
		values[i] = b->used[i] ? b->params[i].data : NULL; /* an array of nulls costs as much as any */
	b->started_us = clock_mono_us();
	pg_conn_call(b->conn, "select status, code, id, body, is_new from send($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)", PARAMS, values, on_sent, b);
}

static void on_turn(void *arg) { send_batch(arg); }
static void on_up(void *arg) { send_batch(arg); }

static void on_sweep(void *arg)
{
	struct batcher *b = arg;
	uint64_t now = clock_mono_ms();
	while (!list_empty(&b->queue)) {
		struct send_item *oldest = container_of(b->queue.next, struct send_item, link);
		if (now - oldest->since_ms < b->wait_ms)
			break;
		fail(b, oldest, 503, "database_away");
	}
}

static const struct pg_events events = { .on_up = on_up };

struct batcher *batcher_new(struct loop *loop, struct tail *tail, const char *conninfo, const char *node, unsigned deadline_ms, unsigned wait_ms,
	void (*on_commit)(void *, unsigned, uint64_t), void *arg)
{
	struct batcher *b = calloc(1, sizeof(*b));
	if (b == NULL)
		fatal("out of memory");
	b->loop = loop;
	b->tail = tail;
	b->wait_ms = wait_ms;
	b->on_commit = on_commit;
	b->arg = arg;
	snprintf(b->node, sizeof(b->node), "%s", node);
	list_init(&b->queue);
	list_init(&b->flight);
	for (int i = 0; i < PARAMS; i++)
		buf_init(&b->params[i], (size_t)256 << 20);
	b->hook = loop_hook_new(loop, on_turn, b);
	b->sweep = loop_timer_new(loop, on_sweep, b);
	loop_timer_start(b->sweep, SWEEP_MS, SWEEP_MS);
	b->conn = pg_conn_new(loop, conninfo, &events, b, deadline_ms);
	return b;
}

void batcher_free(struct batcher *b)
{
	pg_conn_free(b->conn); /* puts the flight back into the queue */
	b->conn = NULL;
	while (!list_empty(&b->queue))
		fail(b, container_of(b->queue.next, struct send_item, link), 503, "database_away");
	loop_hook_free(b->hook);
	loop_timer_free(b->sweep);
	for (int i = 0; i < PARAMS; i++)
		buf_release(&b->params[i]);
	free(b);
}

void batcher_add(struct batcher *b, struct send_item *item)
{
	item->since_ms = clock_mono_ms();
	item->alone = false;
	list_append(&b->queue, &item->link);
	if (++b->waiting > WAITING_MAX)
		fail(b, item, 503, "overloaded");
}

unsigned batcher_waiting(const struct batcher *b) { return b->waiting; }
