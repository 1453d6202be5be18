/* SPDX-License-Identifier: MIT
 * See batch.h. No timer delays a batch: an idle batcher submits an item at once, and under load batches grow by
 * themselves. */
#include "log/batch.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/secret.h"
#include "base/trace.h"
#include "log/tail.h"
#include "loop/loop.h"
#include "pg/array.h"
#include "pg/conn.h"
#include "pg/fault.h"

#define ITEMS_MAX 512
#define BEHIND_MIN 24                      /* items of a batch that is submitted while another one is in flight */
#define BYTES_MAX ((size_t)1 << 20)        /* of texts and contents; one item may be larger */
#define ITEM_BYTES_MAX ((size_t)255 << 20) /* PostgreSQL's jsonb holds no larger string */
#define WAITING_MAX 50000
#define SWEEP_MS 250
#define PAUSE_MIN_MS 20 /* after a failure that isn't an item's fault; doubles until something succeeds */
#define PAUSE_MAX_MS 2000
#define PROBE_MS 2000      /* without sends, how often the database is asked whether it would store one */
#define PROBE_AGAIN_MS 500 /* while there is trouble */
#define REMIND_MS 60000    /* between two log lines about the same trouble */
#define SLOW_MS 3000       /* a batch that takes longer is trouble, although it may still succeed */
#define IN_FLIGHT_MAX PG_CALLS_MAX

struct batch {
	struct list items;
	unsigned count;
	uint64_t turn, started_us;
};

struct batcher {
	struct loop *loop;
	struct tail *tail;
	struct pg_conn *conn;
	struct loop_hook *hook;
	struct loop_timer *sweep, *pause; /* pause: runs while nothing is submitted */
	unsigned wait_ms, pause_ms, waiting, queued;
	bool pausing, probing;
	const struct fault *trouble; /* why the last batch or probe failed; NULL: it succeeded */
	char sqlstate[6];
	uint64_t succeeded_ms, probed_ms, warned_ms;
	char node[32];
	struct list queue;
	/* The batches in flight, a ring: the second one is submitted after the first, so that the database needn't
	 * wait for this process. Results come in the order of submission. */
	struct batch in_flight[IN_FLIGHT_MAX];
	unsigned oldest, in_flight_count;
	struct list retry; /* items of failed batches, in order; they return to the front of the queue when nothing is
			      in flight any more */
	unsigned retry_count;
	uint64_t turns;
	struct buf row, items; /* a send_item, an array of them */
	batch_commit_fn *on_commit;
	void *arg;
};

/* The batch at place i of those in flight; 0 is the oldest. */
static struct batch *batch_at(struct batcher *b, unsigned i) { return &b->in_flight[(b->oldest + i) % IN_FLIGHT_MAX]; }

static void finish(struct batcher *b, struct send_item *item, const struct send_result *result)
{
	list_remove(&item->link);
	b->waiting--;
	struct trace *trace = item->trace, *before = trace_enter(trace);
	trace_step(trace, "message judged",
		F("refused", result->problem != PROBLEM_NONE ? problem_code(result->problem) : NULL),
		F_NUMBER("id", result->id));
	item->on_done(item, result);
	trace_enter(before);
	trace_drop(trace);
}

static void fail(struct batcher *b, struct send_item *item, enum problem p)
{
	finish(b, item, &(struct send_result) { .problem = p, .body = "" });
}

static void fail_queued(struct batcher *b, struct send_item *item, enum problem p)
{
	b->queued--;
	fail(b, item, p);
}

/* ---- completing ---- */

/* Takes the oldest batch, whose items are on other lists by now, out of flight. */
static void complete(struct batcher *b)
{
	batch_at(b, 0)->count = 0;
	b->oldest = (b->oldest + 1) % IN_FLIGHT_MAX;
	if (--b->in_flight_count > 0)
		return;
	list_splice(&b->retry, &b->queue);
	list_splice(&b->queue, &b->retry);
	b->queued += b->retry_count;
	b->retry_count = 0;
}

/* Puts the items of the oldest batch back, in their order. */
static void retry(struct batcher *b, bool alone)
{
	struct batch *batch = batch_at(b, 0);
	for (struct list *l = batch->items.next; l != &batch->items; l = l->next)
		container_of(l, struct send_item, link)->alone |= alone;
	list_splice(&b->retry, &batch->items);
	b->retry_count += batch->count;
	complete(b);
}

/* send() refuses a batch if the one before it has failed. */
static bool is_out_of_turn(const struct pg_result *r) { return strcmp(pg_sqlstate(r), "PT001") == 0; }

static void submit(struct batcher *b);

static void on_pause_over(void *arg)
{
	struct batcher *b = arg;
	b->pausing = false;
	submit(b);
}

/* Submits nothing for a while, longer each time. The pause stays short, because the database may recover at any time.
 */
static void pause_sending(struct batcher *b)
{
	b->pausing = true;
	loop_timer_start(b->pause, b->pause_ms - b->pause_ms / 4 + (unsigned)random() % (b->pause_ms / 2), 0);
	b->pause_ms = b->pause_ms * 2 > PAUSE_MAX_MS ? PAUSE_MAX_MS : b->pause_ms * 2;
}

/* Logs one line for each kind of trouble, and one a minute while it lasts. */
static void set_trouble(struct batcher *b, const struct pg_result *r)
{
	char text[1024];
	const struct fault *f = fault_of(r);
	uint64_t now = clock_mono_ms();
	bool is_news = f != b->trouble || now - b->warned_ms >= REMIND_MS;
	b->trouble = f;
	snprintf(b->sqlstate, sizeof(b->sqlstate), "%s", pg_sqlstate(r));
	if (!is_news || pg_away(r)) /* the connection logs why it was lost */
		return;
	b->warned_ms = now;
	log_error("messages can't be stored: %s", fault_text(r, text, sizeof(text)));
}

static void clear_trouble(struct batcher *b)
{
	if (b->trouble != NULL)
		log_info("messages can be stored again");
	b->trouble = NULL;
	b->pause_ms = PAUSE_MIN_MS;
	b->succeeded_ms = clock_mono_ms();
}

/* Fails the only item of the oldest batch, which has caused the failure or may have. Other items aren't affected. */
static void fail_alone(struct batcher *b, const struct pg_result *r)
{
	char text[1024];
	const struct fault *f = fault_of(r);
	struct send_item *item = container_of(batch_at(b, 0)->items.next, struct send_item, link);
	list_remove(&item->link);
	complete(b);
	if (f->kind == FAULT_NONE) { /* a content that jsonb can't hold */
		fail(b, item, PROBLEM_OUT_OF_RANGE);
	} else if (fault_passes(f)) {
		set_trouble(b, r);
		pause_sending(b);
		fail(b, item, PROBLEM_DATABASE_AWAY);
	} else {
		log_error("a message can't be stored: %s", fault_text(r, text, sizeof(text)));
		fail(b, item, PROBLEM_INTERNAL);
	}
}

static void on_failed(struct batcher *b, const struct pg_result *r)
{
	const struct fault *f = fault_of(r);
	unsigned count = batch_at(b, 0)->count;
	if (!pg_away(r) && is_out_of_turn(r)) {
		retry(b, false);
	} else if (fault_passes(f) && !f->by_item) {
		char why[1024];
		set_trouble(b, r);
		retry(b, false);
		if (f->kind == FAULT_RECONNECT && !pg_away(r))
			pg_conn_reset(b->conn, fault_text(r, why, sizeof(why)));
		else if (!pg_away(r))
			pause_sending(b);
	} else if (count > 1) {
		log_warn("a batch of %u failed (%s %s): retrying its items one by one", count, pg_sqlstate(r),
			pg_message(r));
		retry(b, true);
	} else {
		fail_alone(b, r);
	}
}

/* Publishes a message that was just committed: its notification comes by way of another process, and later. */
static void publish(
	struct batcher *b, const struct send_item *item, const struct send_result *r, uint32_t check, uint32_t before)
{
	if (!tail_continues(b->tail, r->id, check, before))
		return;
	tail_publish(b->tail,
		frame_message(r->id, item->chat, item->sender, item->received_us, r->body, r->body_len,
			tail_epoch(b->tail), check));
}

static void on_result(void *arg, const struct pg_result *r)
{
	struct batcher *b = arg;
	struct list items;
	const struct batch *batch = batch_at(b, 0);
	unsigned n = batch->count;
	uint32_t check = 0, before = 0;
	if (!pg_ok(r) || (unsigned)pg_rows(r) != n) {
		on_failed(b, r);
		return;
	}
	clear_trouble(b);
	list_init(&items);
	list_splice(&items, &batch_at(b, 0)->items);
	b->on_commit(b->arg, n, clock_mono_us() - batch->started_us);
	complete(b);
	/* The checks are the same in each row, null if nothing is new. */
	bool has_checks = sscanf(pg_text(r, 0, 4), "%" SCNu32 " %" SCNu32, &check, &before) == 2;
	for (unsigned i = 0; i < n; i++) {
		struct send_item *item = container_of(items.next, struct send_item, link);
		struct send_result result = { .problem = problem_find(pg_text(r, (int)i, 0)),
			.id = (uint64_t)pg_int(r, (int)i, 1),
			.body = pg_text(r, (int)i, 2),
			.body_len = pg_size(r, (int)i, 2) };
		if (result.problem == PROBLEM_NONE)
			tail_expect(b->tail, result.id);
		if (result.problem == PROBLEM_NONE && has_checks && *pg_text(r, (int)i, 3) == 't')
			publish(b, item, &result, check, before);
		finish(b, item, &result);
	}
}

/* ---- submitting ---- */

/* Adds a send_item of sql/functions/messages/send.sql: its fields in their order. */
static void add_item(struct buf *row, const struct send_item *item)
{
	pg_row_begin(row);
	pg_row_add_id(row, item->chat);
	pg_row_add(row, item->sender);
	pg_row_add(row, item->key);
	pg_row_add(row, item->hash);
	pg_row_add(row, item->text);
	pg_row_add(row, item->type);
	pg_row_add(row, item->content);
	pg_row_add_id(row, item->reply_to);
	pg_row_add_id(row, item->received_us);
	pg_row_add_id(row, item->forward_chat);
	pg_row_add_id(row, item->forward_id);
	pg_row_add(row, item->names);
	pg_row_end(row);
}

static void add_items(struct batcher *b, const struct batch *batch)
{
	buf_reset(&b->items);
	pg_array_begin(&b->items);
	for (const struct list *l = batch->items.next; l != &batch->items; l = l->next) {
		buf_reset(&b->row);
		add_item(&b->row, container_of(l, struct send_item, link));
		pg_array_add(&b->items, b->row.data);
	}
	pg_array_end(&b->items);
}

/* Calls send(), or send_one() if the batch has one item. The items go as text and are cast by name: a prepared
 * statement with a parameter of the type itself would fail forever once the functions' schema is dropped and restored.
 * turn is the batch's number, after that of the batch in flight before it; NULL: there is none. */
static void call(struct batcher *b, const struct batch *batch, const char *turn, const char *after)
{
	const char *values[] = { b->node, turn, after, NULL };
	if (batch->count == 1) {
		buf_reset(&b->row);
		add_item(&b->row, container_of(batch->items.next, struct send_item, link));
		values[3] = b->row.data;
		pg_conn_call(b->conn,
			"select code, id, body, is_new, checks from send_one($1, $2, $3, $4::text::send_item)", 4,
			values, on_result, b);
		if (b->row.size > BYTES_MAX * 4) { /* after a message of unusual size */
			buf_release(&b->row);
			buf_init(&b->row, ITEM_BYTES_MAX * 3);
		}
		return;
	}
	add_items(b, batch);
	values[3] = b->items.data;
	pg_conn_call(b->conn, "select code, id, body, is_new, checks from send($1, $2, $3, $4::text::send_item[])", 4,
		values, on_result, b);
}

static size_t item_size(const struct send_item *item)
{
	return 128 + (item->text ? strlen(item->text) : 0) + (item->content ? strlen(item->content) : 0);
}

/* Adds the item's key to keys, unless it is there already: then returns false. An item with the same chat, sender and
 * key must be committed before send() gets this one. */
static bool add_key(struct map *keys, const struct send_item *item)
{
	char text[320];
	int n = snprintf(text, sizeof(text), "%" PRIu64 " %s %s", item->chat, item->sender, item->key);
	uint64_t key = secret_keyed_hash(text, (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1);
	if (map_get(keys, key) != NULL)
		return false;
	map_set(keys, key, keys); /* any value but NULL */
	return true;
}

/* Moves the items of the next batch from the queue to it. */
static void gather(struct batcher *b, struct batch *batch)
{
	struct map keys = { 0 };
	size_t bytes = 0;
	while (!list_empty(&b->queue) && batch->count < ITEMS_MAX) {
		struct send_item *item = container_of(b->queue.next, struct send_item, link);
		size_t size = item_size(item);
		if (batch->count > 0 && (item->alone || bytes + size > BYTES_MAX))
			break;
		if (!add_key(&keys, item))
			break;
		bytes += size;
		list_remove(&item->link);
		list_append(&batch->items, &item->link);
		batch->count++;
		b->queued--;
		trace_step(item->trace, "message submitted", F_NUMBER("batch", batch->turn));
		if (item->alone)
			break;
	}
	map_release(&keys);
}

/* An item is submitted within wait_ms or not at all, and a batch ends within the connection's deadline: the two
 * together bound the time to an answer. */
static void expire(struct batcher *b)
{
	uint64_t now = list_empty(&b->queue) ? 0 : clock_mono_ms();
	while (!list_empty(&b->queue)) {
		struct send_item *oldest = container_of(b->queue.next, struct send_item, link);
		if (now - oldest->since_ms < b->wait_ms)
			break;
		fail_queued(b, oldest, PROBLEM_DATABASE_AWAY);
	}
}

/* A second batch in flight is worth its commit unless it is small: few senders, or many nodes that queue for the log
 * lock, are served better by fewer and larger batches. While items wait for a retry, nothing overtakes them. */
static bool may_submit(struct batcher *b)
{
	if (list_empty(&b->queue) || b->in_flight_count == IN_FLIGHT_MAX || b->pausing || !pg_conn_has_room(b->conn))
		return false;
	const struct send_item *first = container_of(b->queue.next, struct send_item, link);
	return b->in_flight_count == 0 ||
		(b->retry_count == 0 && !first->alone && b->queued >= BEHIND_MIN &&
			b->queued * 2 >= batch_at(b, b->in_flight_count - 1)->count);
}

static void submit(struct batcher *b)
{
	char turn[24], after[24] = "";
	expire(b);
	if (!may_submit(b))
		return;
	struct batch *batch = batch_at(b, b->in_flight_count);
	batch->turn = ++b->turns;
	batch->started_us = clock_mono_us();
	snprintf(turn, sizeof(turn), "%" PRIu64, batch->turn);
	if (b->in_flight_count > 0)
		snprintf(after, sizeof(after), "%" PRIu64, batch_at(b, b->in_flight_count - 1)->turn);
	gather(b, batch);
	b->in_flight_count++;
	call(b, batch, turn, *after != '\0' ? after : NULL);
}

static void on_turn(void *arg) { submit(arg); }
static void on_up(void *arg) { submit(arg); }

/* ---- probing ---- */

static void on_probed(void *arg, const struct pg_result *r)
{
	struct batcher *b = arg;
	b->probing = false;
	if (pg_ok(r)) {
		clear_trouble(b);
		return;
	}
	char why[1024];
	set_trouble(b, r);
	if (fault_of(r)->kind == FAULT_RECONNECT && !pg_away(r))
		pg_conn_reset(b->conn, fault_text(r, why, sizeof(why)));
}

/* A server without sends finds out as well whether the database would store one: see log_probe(). */
static void probe(struct batcher *b)
{
	uint64_t now = clock_mono_ms();
	uint64_t since = b->trouble != NULL ? now - b->probed_ms + PROBE_MS - PROBE_AGAIN_MS
					    : now - (b->probed_ms > b->succeeded_ms ? b->probed_ms : b->succeeded_ms);
	if (b->probing || b->in_flight_count > 0 || !pg_conn_ready(b->conn) || since < PROBE_MS)
		return;
	b->probing = true;
	b->probed_ms = now;
	pg_conn_call(b->conn, "select log_probe($1)", 1, (const char *[]) { b->trouble != NULL ? b->sqlstate : "" },
		on_probed, b);
}

static void on_sweep(void *arg)
{
	struct batcher *b = arg;
	expire(b);
	probe(b);
}

bool batcher_connected(const struct batcher *b) { return pg_conn_up(b->conn); }

const char *batcher_trouble(const struct batcher *b, const char **ret_sqlstate)
{
	uint64_t now = clock_mono_ms();
	*ret_sqlstate = b->trouble != NULL ? b->sqlstate : "";
	if (b->trouble != NULL)
		return b->trouble->reason;
	if (b->in_flight_count > 0 && now - b->in_flight[b->oldest].started_us / 1000 > SLOW_MS)
		return "the database is slow to store messages: check for locks, a missing standby, or a slow disk";
	if (b->probing && now - b->probed_ms > SLOW_MS)
		return "the database is slow to commit: check for a missing standby, or a slow disk";
	return batcher_connected(b) ? NULL : "there is no connection to the database";
}

static const struct pg_events events = { .on_up = on_up };

struct batcher *batcher_new(struct loop *loop, struct tail *tail, const char *conninfo, const char *node,
	unsigned deadline_ms, unsigned wait_ms, batch_commit_fn *on_commit, void *arg)
{
	struct batcher *b = mem_zeroed(1, sizeof(*b));
	b->loop = loop;
	b->tail = tail;
	batcher_set_wait(b, wait_ms);
	b->pause_ms = PAUSE_MIN_MS;
	b->on_commit = on_commit;
	b->arg = arg;
	snprintf(b->node, sizeof(b->node), "%s", node);
	list_init(&b->queue);
	list_init(&b->retry);
	for (unsigned i = 0; i < IN_FLIGHT_MAX; i++)
		list_init(&b->in_flight[i].items);
	buf_init(&b->row, ITEM_BYTES_MAX * 3);
	buf_init(&b->items, ITEM_BYTES_MAX * 3);
	b->hook = loop_hook_new(loop, on_turn, b);
	b->pause = loop_timer_new(loop, on_pause_over, b);
	b->sweep = loop_timer_new(loop, on_sweep, b);
	loop_timer_start(b->sweep, SWEEP_MS, SWEEP_MS);
	b->conn = pg_conn_new(loop, conninfo, &events, b, deadline_ms);
	return b;
}

void batcher_free(struct batcher *b)
{
	pg_conn_free(b->conn); /* puts the items in flight back into the queue */
	b->conn = NULL;
	while (!list_empty(&b->queue))
		fail_queued(b, container_of(b->queue.next, struct send_item, link), PROBLEM_DATABASE_AWAY);
	loop_hook_free(b->hook);
	loop_timer_free(b->sweep);
	loop_timer_free(b->pause);
	buf_release(&b->row);
	buf_release(&b->items);
	free(b);
}

void batcher_add(struct batcher *b, struct send_item *item)
{
	item->since_ms = clock_mono_ms();
	item->alone = item->forward_id != 0;
	item->trace = trace_hold();
	list_append(&b->queue, &item->link);
	b->queued++;
	if (++b->waiting > WAITING_MAX)
		fail_queued(b, item, PROBLEM_OVERLOADED);
	else if (item_size(item) > ITEM_BYTES_MAX)
		fail_queued(b, item, PROBLEM_BODY_TOO_LARGE);
}

/* At least a sweep, so that every item is submitted once. */
void batcher_set_wait(struct batcher *b, unsigned wait_ms) { b->wait_ms = wait_ms > SWEEP_MS ? wait_ms : SWEEP_MS; }
unsigned batcher_waiting(const struct batcher *b) { return b->waiting; }
