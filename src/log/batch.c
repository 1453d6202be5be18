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
#include "pg/array.h"
#include "pg/conn.h"
#include "pg/fault.h"

#define ITEMS_MAX 512
#define BEHIND_MIN 24               /* items of a batch that is sent behind another one */
#define BYTES_MAX ((size_t)1 << 20) /* of texts and contents; one item may be larger */
#define WAITING_MAX 50000
#define SWEEP_MS 250
#define PAUSE_MIN_MS 20 /* after a failure that isn't the items', until something succeeds */
#define PAUSE_MAX_MS 2000
#define PROBE_MS 2000      /* without a send, the database is asked that often whether it would take one */
#define PROBE_AGAIN_MS 500 /* while there is trouble */
#define REMIND_MS 60000
#define SLOW_MS 3000 /* a batch that takes longer is trouble, although it may succeed yet */

enum {
	P_NODE,
	P_TURN,
	P_AFTER,
	P_CHAT,
	P_SENDER,
	P_KEY,
	P_HASH,
	P_TEXT,
	P_TYPE,
	P_CONTENT,
	P_REPLY_TO,
	P_RECEIVED,
	PARAMS
};

#define FLIGHTS PG_CALLS_MAX

/* A batch on its way. The next one may be sent behind it, so that the database is never waiting for us. */
struct flight {
	struct list items;
	unsigned count;
	uint64_t turn, started_us;
};

struct batcher {
	struct loop *loop;
	struct tail *tail;
	struct pg_conn *conn;
	struct loop_hook *hook;
	struct loop_timer *sweep, *again; /* again: runs during a pause */
	unsigned wait_ms, pause_ms, waiting, queued;
	bool pausing, probing;
	const struct fault *trouble; /* why the last batch or probe failed; NULL: it didn't */
	char sqlstate[6];
	uint64_t succeeded_ms, probed_ms, complained_ms;
	char node[32];
	struct list queue;
	struct flight flights[FLIGHTS]; /* the oldest first */
	unsigned flying;
	struct list redo; /* what has failed with its flight, in order: it goes back to the queue's front when the last
			     flight has landed */
	unsigned redo_count;
	uint64_t turns;
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
	done(b, item, &(struct send_result) { .status = status, .code = code, .body = "" });
}

static void fail_queued(struct batcher *b, struct send_item *item, const char *code)
{
	b->queued--;
	fail(b, item, 503, code);
}

static void add_item(struct batcher *b, const struct send_item *item)
{
	struct buf *p = b->params;
	char c = b->flights[b->flying].count == 0 ? '{' : ',';
	for (int i = P_CHAT; i < PARAMS; i++)
		buf_addc(&p[i], c);
	buf_addu(&p[P_CHAT], item->chat);
	pg_array_quote(&p[P_SENDER], item->sender);
	pg_array_quote(&p[P_KEY], item->key);
	pg_array_quote(&p[P_HASH], item->hash);
	pg_array_quote(&p[P_TEXT], item->text);
	pg_array_quote(&p[P_TYPE], item->type);
	pg_array_quote(&p[P_CONTENT], item->content);
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

/* Whether an item with the same chat, sender and key is in the batch already: send() wants to see it committed first.
 */
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

static void reset_params(struct batcher *b, const struct flight *f)
{
	for (int i = 0; i < PARAMS; i++) {
		buf_reset(&b->params[i]);
		b->used[i] = i != P_AFTER && i != P_TYPE && i != P_CONTENT && i != P_REPLY_TO;
	}
	buf_adds(&b->params[P_NODE], b->node);
	buf_addu(&b->params[P_TURN], f->turn);
	if (b->flying > 0) {
		buf_addu(&b->params[P_AFTER], b->flights[b->flying - 1].turn);
		b->used[P_AFTER] = true;
	}
}

/* Moves what goes into the next batch from the queue to the flight. */
static void gather(struct batcher *b, struct flight *f)
{
	struct map keys = { 0 };
	size_t bytes = 0;
	reset_params(b, f);
	while (!list_empty(&b->queue) && f->count < ITEMS_MAX) {
		struct send_item *item = container_of(b->queue.next, struct send_item, link);
		size_t size = item_size(item);
		if (f->count > 0 && (item->alone || bytes + size > BYTES_MAX))
			break;
		if (is_twin(&keys, item))
			break;
		bytes += size;
		add_item(b, item);
		list_remove(&item->link);
		list_append(&f->items, &item->link);
		f->count++;
		b->queued--;
		if (item->alone)
			break;
	}
	for (int i = P_CHAT; i < PARAMS; i++)
		buf_addc(&b->params[i], '}');
	map_release(&keys);
}

/* ---- landing ---- */

/* The oldest flight is over; its items are on no list that is in the air any more. */
static void land(struct batcher *b)
{
	b->flying--;
	for (unsigned i = 0; i < b->flying; i++) {
		b->flights[i] = b->flights[i + 1];
		list_init(&b->flights[i].items);
		list_splice(&b->flights[i].items, &b->flights[i + 1].items);
	}
	list_init(&b->flights[b->flying].items);
	b->flights[b->flying].count = 0;
	if (b->flying > 0)
		return;
	list_splice(&b->redo, &b->queue);
	list_splice(&b->queue, &b->redo);
	b->queued += b->redo_count;
	b->redo_count = 0;
}

/* Puts the items of the oldest flight back, in their order. */
static void redo(struct batcher *b, bool alone)
{
	struct flight *f = &b->flights[0];
	for (struct list *l = f->items.next; l != &f->items; l = l->next)
		container_of(l, struct send_item, link)->alone |= alone;
	list_splice(&b->redo, &f->items);
	b->redo_count += f->count;
	land(b);
}

/* The flight before it has failed, so that this one was refused: see send(). */
static bool is_out_of_turn(const struct pg_result *r) { return strcmp(pg_sqlstate(r), "PT001") == 0; }

static void send_batch(struct batcher *b);

static void on_again(void *arg)
{
	struct batcher *b = arg;
	b->pausing = false;
	send_batch(b);
}

/* Nothing is sent for a while: longer each time, and never long, since the database may be well again at any time. */
static void pause_sending(struct batcher *b)
{
	b->pausing = true;
	loop_timer_start(b->again, b->pause_ms - b->pause_ms / 4 + (unsigned)random() % (b->pause_ms / 2), 0);
	b->pause_ms = b->pause_ms * 2 > PAUSE_MAX_MS ? PAUSE_MAX_MS : b->pause_ms * 2;
}

/* One line for each kind of trouble, and one a minute while it lasts. */
static void set_trouble(struct batcher *b, const struct pg_result *r)
{
	char text[1024];
	const struct fault *f = fault_of(r);
	uint64_t now = clock_mono_ms();
	bool is_news = f != b->trouble || now - b->complained_ms >= REMIND_MS;
	b->trouble = f;
	snprintf(b->sqlstate, sizeof(b->sqlstate), "%s", pg_sqlstate(r));
	if (!is_news || pg_away(r)) /* the connection says why it is gone */
		return;
	b->complained_ms = now;
	log_error("messages can't be stored: %s", fault_text(r, text, sizeof(text)));
}

static void set_well(struct batcher *b)
{
	if (b->trouble != NULL)
		log_info("messages are stored again");
	b->trouble = NULL;
	b->pause_ms = PAUSE_MIN_MS;
	b->succeeded_ms = clock_mono_ms();
}

/* The item of a flight of one is the matter, or may be: the others are tried without it. */
static void fail_alone(struct batcher *b, const struct pg_result *r)
{
	char text[1024];
	const struct fault *f = fault_of(r);
	struct send_item *item = container_of(b->flights[0].items.next, struct send_item, link);
	list_remove(&item->link);
	land(b);
	if (f->kind == FAULT_NONE) { /* a content that jsonb can't hold */
		fail(b, item, 422, "out_of_range");
	} else if (fault_passes(f)) {
		set_trouble(b, r);
		pause_sending(b);
		fail(b, item, 503, "database_away");
	} else {
		log_error("a message can't be stored: %s", fault_text(r, text, sizeof(text)));
		fail(b, item, 500, "internal");
	}
}

static void on_failed(struct batcher *b, const struct pg_result *r)
{
	const struct fault *f = fault_of(r);
	struct flight *flight = &b->flights[0];
	if (!pg_away(r) && is_out_of_turn(r)) {
		redo(b, false);
	} else if (fault_passes(f) && !f->by_item) {
		char why[1024];
		set_trouble(b, r);
		redo(b, false);
		if (f->kind == FAULT_RECONNECT && !pg_away(r))
			pg_conn_reset(b->conn, fault_text(r, why, sizeof(why)));
		else if (!pg_away(r))
			pause_sending(b);
	} else if (flight->count > 1) {
		log_warn("a batch of %u failed (%s %s): trying its items singly", flight->count, pg_sqlstate(r),
			pg_message(r));
		redo(b, true);
	} else {
		fail_alone(b, r);
	}
}

/* The tail hears of what was committed from here: the notification comes by way of another process, and later. */
static void tell(
	struct batcher *b, const struct send_item *item, const struct send_result *r, uint32_t check, uint32_t before)
{
	if (!tail_awaits(b->tail, r->id, check, before))
		return;
	struct frame *f = frame_message(
		r->id, item->chat, item->sender, item->received_us, r->body, r->body_len, tail_epoch(b->tail), check);
	if (f != NULL)
		tail_tell(b->tail, f);
}

static void on_sent(void *arg, const struct pg_result *r)
{
	struct batcher *b = arg;
	struct list items;
	unsigned n = b->flights[0].count;
	uint32_t check, before;
	if (!pg_ok(r) || (unsigned)pg_rows(r) != n) {
		on_failed(b, r);
		return;
	}
	set_well(b);
	list_init(&items);
	list_splice(&items, &b->flights[0].items);
	b->on_commit(b->arg, n, clock_mono_us() - b->flights[0].started_us);
	land(b);
	/* The same in each row; null where nothing is new. */
	bool has_checks = sscanf(pg_text(r, 0, 5), "%" SCNu32 " %" SCNu32, &check, &before) == 2;
	for (unsigned i = 0; i < n; i++) {
		struct send_item *item = container_of(items.next, struct send_item, link);
		struct send_result result = { .status = (int)pg_int(r, (int)i, 0),
			.code = pg_text(r, (int)i, 1),
			.id = (uint64_t)pg_int(r, (int)i, 2),
			.body = pg_text(r, (int)i, 3),
			.body_len = pg_size(r, (int)i, 3) };
		if (result.status == 201)
			tail_expect(b->tail, result.id);
		if (result.status == 201 && has_checks && *pg_text(r, (int)i, 4) == 't')
			tell(b, item, &result, check, before);
		done(b, item, &result);
	}
}

/* ---- taking off ---- */

/* An item takes off within wait_ms or not at all; a flight ends within the connection's deadline. So the two together
 * bound an answer. */
static void expire(struct batcher *b)
{
	uint64_t now = list_empty(&b->queue) ? 0 : clock_mono_ms();
	while (!list_empty(&b->queue)) {
		struct send_item *oldest = container_of(b->queue.next, struct send_item, link);
		if (now - oldest->since_ms < b->wait_ms)
			break;
		fail_queued(b, oldest, "database_away");
	}
}

/* A flight behind another one is worth its commit if it isn't small: few senders, or many nodes that queue for the log
 * lock, are served better by fewer and larger batches. Nothing flies beside what failed before. */
static bool may_take_off(const struct batcher *b)
{
	if (list_empty(&b->queue) || b->flying == FLIGHTS || b->pausing || !pg_conn_has_room(b->conn))
		return false;
	const struct send_item *first = container_of(b->queue.next, struct send_item, link);
	return b->flying == 0 ||
		(b->redo_count == 0 && !first->alone && b->queued >= BEHIND_MIN &&
			b->queued * 2 >= b->flights[b->flying - 1].count);
}

static void send_batch(struct batcher *b)
{
	const char *values[PARAMS + 2] = { NULL };
	char chat[24], reply_to[24], received[24], forward_chat[24], forward_id[24];
	expire(b);
	if (!may_take_off(b))
		return;
	struct flight *f = &b->flights[b->flying];
	f->turn = ++b->turns;
	f->started_us = clock_mono_us();
	gather(b, f);
	b->flying++;
	for (int i = 0; i < PARAMS; i++)
		values[i] = b->used[i] ? b->params[i].data : NULL; /* an array of nulls costs as much as any */
	if (f->count == 1) {
		const struct send_item *item = container_of(f->items.next, struct send_item, link);
		snprintf(chat, sizeof(chat), "%" PRIu64, item->chat);
		snprintf(reply_to, sizeof(reply_to), "%" PRIu64, item->reply_to);
		snprintf(received, sizeof(received), "%" PRIu64, item->received_us);
		values[P_CHAT] = chat;
		values[P_SENDER] = item->sender;
		values[P_KEY] = item->key;
		values[P_HASH] = item->hash;
		values[P_TEXT] = item->text;
		values[P_TYPE] = item->type;
		values[P_CONTENT] = item->content;
		values[P_REPLY_TO] = item->reply_to != 0 ? reply_to : NULL;
		values[P_RECEIVED] = received;
		if (item->forward_id != 0) {
			snprintf(forward_chat, sizeof(forward_chat), "%" PRIu64, item->forward_chat);
			snprintf(forward_id, sizeof(forward_id), "%" PRIu64, item->forward_id);
			values[PARAMS] = forward_chat;
			values[PARAMS + 1] = forward_id;
			pg_conn_call(b->conn,
				"select status, code, id, body, is_new, checks from send_one($1, $2, $3, $4, $5, $6, "
				"$7, $8, $9, $10, $11, $12, $13, $14)",
				PARAMS + 2, values, on_sent, b);
			return;
		}
	}
	pg_conn_call(b->conn,
		f->count == 1
			? "select status, code, id, body, is_new, checks from send_one($1, $2, $3, $4, $5, $6, $7, "
			  "$8, $9, $10, $11, $12)"
			: "select status, code, id, body, is_new, checks from send($1, $2, $3, $4, $5, $6, $7, $8, "
			  "$9, $10, $11, $12)",
		PARAMS, values, on_sent, b);
}

static void on_turn(void *arg) { send_batch(arg); }
static void on_up(void *arg) { send_batch(arg); }

/* ---- whether it would be taken ---- */

static void on_probed(void *arg, const struct pg_result *r)
{
	struct batcher *b = arg;
	b->probing = false;
	if (pg_ok(r)) {
		set_well(b);
		return;
	}
	char why[1024];
	set_trouble(b, r);
	if (fault_of(r)->kind == FAULT_RECONNECT && !pg_away(r))
		pg_conn_reset(b->conn, fault_text(r, why, sizeof(why)));
}

/* A server that nobody sends to is asked as well, by what a send does: see log_probe(). */
static void probe(struct batcher *b)
{
	uint64_t now = clock_mono_ms();
	uint64_t since = b->trouble != NULL ? now - b->probed_ms + PROBE_MS - PROBE_AGAIN_MS
					    : now - (b->probed_ms > b->succeeded_ms ? b->probed_ms : b->succeeded_ms);
	if (b->probing || b->flying > 0 || !pg_conn_ready(b->conn) || since < PROBE_MS)
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
	if (b->flying > 0 && now - b->flights[0].started_us / 1000 > SLOW_MS)
		return "the database takes long to store messages: a lock, a missing standby, or a slow disk";
	if (b->probing && now - b->probed_ms > SLOW_MS)
		return "the database takes long to commit: a missing standby, or a slow disk";
	return batcher_connected(b) ? NULL : "there is no connection to the database";
}

static const struct pg_events events = { .on_up = on_up };

struct batcher *batcher_new(struct loop *loop, struct tail *tail, const char *conninfo, const char *node,
	unsigned deadline_ms, unsigned wait_ms, void (*on_commit)(void *, unsigned, uint64_t), void *arg)
{
	struct batcher *b = calloc(1, sizeof(*b));
	if (b == NULL)
		fatal("out of memory");
	b->loop = loop;
	b->tail = tail;
	batcher_set_wait(b, wait_ms);
	b->pause_ms = PAUSE_MIN_MS;
	b->on_commit = on_commit;
	b->arg = arg;
	snprintf(b->node, sizeof(b->node), "%s", node);
	list_init(&b->queue);
	list_init(&b->redo);
	for (unsigned i = 0; i < FLIGHTS; i++)
		list_init(&b->flights[i].items);
	for (int i = 0; i < PARAMS; i++)
		buf_init(&b->params[i], (size_t)256 << 20);
	b->hook = loop_hook_new(loop, on_turn, b);
	b->again = loop_timer_new(loop, on_again, b);
	b->sweep = loop_timer_new(loop, on_sweep, b);
	loop_timer_start(b->sweep, SWEEP_MS, SWEEP_MS);
	b->conn = pg_conn_new(loop, conninfo, &events, b, deadline_ms);
	return b;
}

void batcher_free(struct batcher *b)
{
	pg_conn_free(b->conn); /* puts the flights back into the queue */
	b->conn = NULL;
	while (!list_empty(&b->queue))
		fail_queued(b, container_of(b->queue.next, struct send_item, link), "database_away");
	loop_hook_free(b->hook);
	loop_timer_free(b->sweep);
	loop_timer_free(b->again);
	for (int i = 0; i < PARAMS; i++)
		buf_release(&b->params[i]);
	free(b);
}

void batcher_add(struct batcher *b, struct send_item *item)
{
	item->since_ms = clock_mono_ms();
	item->alone = item->forward_id != 0;
	list_append(&b->queue, &item->link);
	b->queued++;
	if (++b->waiting > WAITING_MAX)
		fail_queued(b, item, "overloaded");
}

/* Each item is tried once, whatever it may wait. */
void batcher_set_wait(struct batcher *b, unsigned wait_ms) { b->wait_ms = wait_ms > SWEEP_MS ? wait_ms : SWEEP_MS; }
unsigned batcher_waiting(const struct batcher *b) { return b->waiting; }
