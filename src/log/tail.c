/* SPDX-License-Identifier: MIT
 * See tail.h. The notifications' format is that of log_append() in sql/functions/01_log.sql. */
#include "log/tail.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "base/secret.h"
#include "log/live.h"
#include "loop/loop.h"
#include "pg/conn.h"
#include "pg/fault.h"

#define BEAT_MS 2000
#define GRACE_MS 200           /* a notification may be on its way for that long */
#define FILL_POSITIONS "20000" /* how far back the ring is filled at the start, if it holds that much, */
#define FILL_MS 5000           /* and if the database gives it in that time */
#define PAGE "5000"            /* rows a read, */
#define PAGE_BYTES "1048576"   /* or about so many bytes; a position at least */
#define BATCH_MAX ((size_t)64 << 20)
#define HELD_MAX ((size_t)64 << 20)
#define MARKS_BYTES ((size_t)1 << 20)
/* The position that the workers share has a tag of its history in its upper bits: a worker that doesn't know of another
 * history yet can't hold up those that do. */
#define POSITION_BITS 48
#define POSITION_MASK ((UINT64_C(1) << POSITION_BITS) - 1)

struct batch {
	struct list link;
	uint64_t from, upto;
	uint32_t check, before; /* its own, and that of the batch before */
	bool own;
	size_t len;
	char lines[];
};

struct tail {
	struct loop *loop;
	struct pg_conn *conn;
	const struct tail_events *events;
	void *arg;
	char node[32], epoch[32];
	uint64_t head;
	uint32_t check;      /* of head */
	struct marks *marks; /* the last positions that were told */
	struct ring *ring;
	struct loop_timer *beat, *grace;
	bool attached, filling, live;
	enum { OPENING_ASKS, OPENING_FILLS, OPENED } opening; /* the ring is being filled for the first time */
	uint64_t opening_ms;                                  /* since when; 0: it hasn't begun */
	struct position opening_head;                         /* the head when it was attached last */
	bool anchored;              /* the head's check is known: it isn't until the first page was read */
	uint64_t promised;          /* a head that was seen and must be reached */
	_Atomic uint64_t *expected; /* the last position that a client was told of, with the tag of its history */
	uint64_t history;           /* that tag */
	/* a batch whose parts are coming in */
	struct buf parts;
	uint64_t from, upto;
	unsigned part;
	bool own;
	struct buf live_parts;
	unsigned live_part;
	struct list held; /* complete batches that wait for a read to end */
	size_t held_bytes;
	uint64_t holes, notifications;
};

static void fill(struct tail *t);
static void on_up(void *arg);

static void take(struct tail *t, struct frame *f, bool own)
{
	ring_add(t->ring, f);
	t->events->on_frame(t->arg, f, own);
	frame_unref(f);
}

static void take_lines(struct tail *t, const char *lines, size_t len, uint32_t check, bool own)
{
	const char *end = lines + len;
	while (lines < end) {
		const char *nl = memchr(lines, '\n', (size_t)(end - lines));
		if (nl == NULL)
			nl = end;
		struct frame *f = frame_parse(lines, (size_t)(nl - lines), t->epoch, check);
		if (f == NULL)
			log_error("a line of the log can't be read: %.*s", (int)(nl - lines > 80 ? 80 : nl - lines),
				lines);
		else if (f->pos > t->head)
			take(t, f, own);
		else
			frame_unref(f);
		lines = nl + 1;
	}
}

static void reach(struct tail *t, uint64_t from, uint64_t upto, uint32_t check)
{
	marks_add(t->marks, from, upto, check);
	if (upto < t->head)
		return;
	t->head = upto;
	t->check = check;
	t->anchored = true;
}

enum outcome { APPLIED, HOLE, REWOUND };

/* A batch that continues the head is told, an old one dropped; one beyond leaves a hole, and one that belongs elsewhere
 * is of another history. */
static enum outcome apply(struct tail *t, const struct batch *b)
{
	if (b->upto <= t->head)
		return marks_look(t->marks, (struct position) { b->upto, b->check }) == MARKS_OTHER ? REWOUND : APPLIED;
	if (b->from > t->head + 1)
		return HOLE;
	if (t->check != (b->from <= t->head ? b->check : b->before)) /* the head may lie within it: see tail_tell() */
		return REWOUND;
	take_lines(t, b->lines, b->len, b->check, b->own);
	reach(t, b->from, b->upto, b->check);
	return APPLIED;
}

static void drop_held(struct tail *t)
{
	struct list *l;
	while ((l = list_shift(&t->held)) != NULL)
		free(container_of(l, struct batch, link));
	t->held_bytes = 0;
}

/* What was told isn't what the database holds: begins anew, which finds out from where on. */
static void reattach(struct tail *t)
{
	t->attached = t->live = false;
	t->part = 0;
	drop_held(t);
	on_up(t);
}

static void apply_held(struct tail *t)
{
	while (!list_empty(&t->held)) {
		struct batch *b = container_of(t->held.next, struct batch, link);
		enum outcome outcome = apply(t, b);
		if (outcome == HOLE)
			fill(t);
		else if (outcome == REWOUND)
			reattach(t);
		if (outcome != APPLIED)
			return;
		list_remove(&b->link);
		t->held_bytes -= b->len;
		free(b);
	}
	t->live = t->attached;
	t->events->on_head(t->arg);
}

/* The rows hold the latest state only: of somebody who left and came back in between, only that he came. */
static void tell_rejoined(struct tail *t, const char *line, size_t len)
{
	struct frame *f = len > 0 ? frame_parse(line, len - 1, t->epoch, 0) : NULL;
	if (f != NULL && f->kind == FRAME_MEMBER && f->a > 0 && (uint64_t)f->a > t->head)
		t->events->on_rejoined(t->arg, f);
	frame_unref(f);
}

static void call_failed(struct tail *t, const struct pg_result *r)
{
	char why[1024];
	if (!pg_away(r))
		pg_conn_reset(t->conn, fault_text(r, why, sizeof(why)));
}

/* The rows of log_frames(): frames, and a last one that says how far they go. None: the head isn't in the database's
 * history. */
static void on_filled(void *arg, const struct pg_result *r)
{
	struct tail *t = arg;
	t->filling = false;
	if (!pg_ok(r)) {
		call_failed(t, r);
		return;
	}
	int rows = pg_rows(r);
	if (!t->attached)
		return;
	if (rows == 0) {
		reattach(t);
		return;
	}
	for (int i = 0; i < rows; i++)
		if (memmem(pg_text(r, i, 2), pg_size(r, i, 2) < 40 ? pg_size(r, i, 2) : 40, " member ", 8) != NULL)
			tell_rejoined(t, pg_text(r, i, 2), pg_size(r, i, 2));
	for (int i = 0; i < rows; i++) {
		uint64_t pos = (uint64_t)pg_int(r, i, 0);
		uint32_t check = (uint32_t)pg_int(r, i, 1);
		if (pg_null(r, i, 2)) {
			reach(t, pos, pos, check);
		} else {
			take_lines(t, pg_text(r, i, 2), pg_size(r, i, 2), check, true);
			marks_add(t->marks, pos, pos, check);
		}
	}
	t->events->on_head(t->arg);
}

/* Reads what lies behind the head; goes on in on_up(), since a connection takes one call at a time. */
static void fill(struct tail *t)
{
	char after[24], check[12];
	t->live = false;
	if (t->filling || t->opening == OPENING_ASKS || !pg_conn_ready(t->conn))
		return;
	snprintf(after, sizeof(after), "%" PRIu64, t->head);
	snprintf(check, sizeof(check), "%" PRIu32, t->check);
	t->filling = true;
	pg_conn_call(t->conn, "select pos, \"check\", line from log_frames($1, $2, $3, $4)", 4,
		(const char *[]) { after, t->anchored ? check : NULL, PAGE, PAGE_BYTES }, on_filled, t);
}

/* The answer of log_recent(): where the ring is filled from. */
static void on_recent(void *arg, const struct pg_result *r)
{
	struct tail *t = arg;
	if (!pg_ok(r)) {
		call_failed(t, r);
		return;
	}
	t->opening = OPENING_FILLS;
	t->head = (uint64_t)pg_int(r, 0, 0);
	ring_reset(t->ring, t->head);
	if (t->head == t->opening_head.pos)
		reach(t, t->head, t->head, t->opening_head.check);
}

static void ask_recent(struct tail *t)
{
	char head[24], bytes[24];
	snprintf(head, sizeof(head), "%" PRIu64, t->opening_head.pos);
	snprintf(bytes, sizeof(bytes), "%zu", ring_max(t->ring));
	pg_conn_call(t->conn, "select log_recent($1, $2, $3)", 3, (const char *[]) { head, bytes, FILL_POSITIONS },
		on_recent, t);
}

/* Goes on without what was said of late: a ring that is empty at first is better than no start. */
static void skip_filling(struct tail *t)
{
	log_warn("the database takes long to read: what was said of late is served from its tables, not from memory");
	t->opening = OPENED;
	t->head = 0;
	reach(t, t->opening_head.pos, t->opening_head.pos, t->opening_head.check);
	ring_reset(t->ring, t->head);
}

static void begin(struct tail *t, const char *epoch)
{
	snprintf(t->epoch, sizeof(t->epoch), "%s", epoch);
	marks_cut(t->marks, 0);
	t->opening = OPENING_ASKS;
	if (t->opening_ms == 0)
		t->opening_ms = clock_mono_ms();
}

/* The database doesn't hold what was told: goes on with what it holds. */
static void rewind_to(struct tail *t, const char *epoch, struct position head, uint64_t common)
{
	bool foreign = strcmp(t->epoch, epoch) != 0;
	if (foreign)
		log_warn("the database is another one now: all cursors are reset");
	else
		log_warn("the log was rewound: position %" PRIu64 " is gone, and %" PRIu64
			 " is the last that is known to be still there: "
			 "cursors past it are reset",
			t->head, common);
	snprintf(t->epoch, sizeof(t->epoch), "%s", epoch);
	marks_cut(t->marks, common);
	t->head = 0;
	reach(t, head.pos, head.pos, head.check);
	ring_reset(t->ring, t->head);
	t->events->on_rewind(t->arg, common, foreign);
}

static void on_attached(void *arg, const struct pg_result *r)
{
	struct tail *t = arg;
	char origin[256];
	if (!pg_ok(r)) {
		call_failed(t, r);
		return;
	}
	uint64_t head = (uint64_t)pg_int(r, 0, 1);
	snprintf(origin, sizeof(origin), "%s %s", pg_text(r, 0, 0), pg_text(r, 0, 4));
	t->history = secret_keyed_hash(origin, strlen(origin)) << POSITION_BITS;
	t->opening_head = (struct position) { head, (uint32_t)pg_int(r, 0, 2) };
	if (!t->anchored)
		begin(t, pg_text(r, 0, 0));
	else if (pg_null(r, 0, 3) || (uint64_t)pg_int(r, 0, 3) < t->head)
		rewind_to(t, pg_text(r, 0, 0), t->opening_head, (uint64_t)pg_int(r, 0, 3));
	t->attached = true;
	t->promised = head;
	t->events->on_control(t->arg, NULL, 0);
	t->events->on_settings(t->arg);
}

static void on_up(void *arg)
{
	struct tail *t = arg;
	if (!pg_conn_ready(t->conn))
		return;
	if (!t->attached) {
		struct buf known, checks;
		buf_init(&known, MARKS_BYTES);
		buf_init(&checks, MARKS_BYTES);
		marks_list(t->marks, &known, &checks);
		pg_conn_call(t->conn, "select epoch, head, head_check, common, origin from node_attach($1, $2, $3, $4)",
			4, (const char *[]) { t->node, *t->epoch != '\0' ? t->epoch : NULL, known.data, checks.data },
			on_attached, t);
		buf_release(&known);
		buf_release(&checks);
		return;
	}
	if (t->live)
		return;
	bool is_late = t->opening != OPENED && clock_mono_ms() - t->opening_ms > FILL_MS;
	if (is_late && t->head < t->opening_head.pos)
		skip_filling(t);
	if (t->opening == OPENING_ASKS) {
		ask_recent(t);
	} else if (t->head < t->promised) {
		fill(t);
	} else {
		t->opening = OPENED;
		apply_held(t);
	}
}

static void on_down(void *arg)
{
	struct tail *t = arg;
	t->attached = t->live = t->filling = false;
	t->part = 0;
	drop_held(t);
}

/* The batch that came in; NULL when it is too large or has no checks, as from a node that knows none. */
static struct batch *new_batch(struct tail *t)
{
	struct batch *b = malloc(sizeof(*b) + t->parts.len);
	const char *lines = t->parts.data,
		   *nl = b != NULL && t->parts.len > 0 ? memchr(lines, '\n', t->parts.len) : NULL;
	if (b == NULL || nl == NULL)
		goto unusable;
	*b = (struct batch) {
		.from = t->from, .upto = t->upto, .own = t->own, .len = t->parts.len - (size_t)(nl + 1 - lines)
	};
	if (!frame_parse_checks(lines, (size_t)(nl - lines), &b->check, &b->before))
		goto unusable;
	memcpy(b->lines, nl + 1, b->len);
	return b;
unusable:
	free(b);
	return NULL;
}

static void on_batch(struct tail *t)
{
	struct batch *b = new_batch(t);
	enum outcome outcome = b != NULL && t->live ? apply(t, b) : HOLE;
	if (b == NULL) {
		t->promised = t->upto > t->promised ? t->upto : t->promised; /* read it from the tables */
		fill(t);
		return;
	}
	if (outcome != HOLE) {
		free(b);
		if (outcome == APPLIED)
			t->events->on_head(t->arg);
		else
			reattach(t);
		return;
	}
	if (t->live) {
		t->holes++;
		log_info("notifications are missing behind position %" PRIu64 ": reading the tables", t->head);
		t->promised = b->from - 1;
		t->live = false;
	}
	if (t->held_bytes > HELD_MAX) {
		drop_held(t);
		t->promised = t->upto;
	}
	t->held_bytes += b->len;
	list_append(&t->held, &b->link);
	fill(t);
}

static void on_log(struct tail *t, const char *payload)
{
	uint64_t from, upto;
	unsigned part, parts;
	char node[32];
	int n = 0;
	if (sscanf(payload, "%" SCNu64 " %" SCNu64 " %u %u %31s%n", &from, &upto, &part, &parts, node, &n) != 5 ||
		payload[n] != '\n') {
		log_warn("a notification on postern_log isn't one of the log's");
		return;
	}
	t->notifications++;
	if (part == 1) {
		buf_reset(&t->parts);
		t->from = from;
		t->upto = upto;
		t->own = strcmp(node, t->node) == 0;
	} else if (part != t->part + 1 || from != t->from) {
		t->part = 0; /* the rest of something whose beginning was missed: the head's comparison finds it */
		return;
	}
	t->part = part;
	buf_adds(&t->parts, payload + n + 1);
	if (part == parts)
		on_batch(t);
}

static void tell_live(struct tail *t)
{
	struct live l;
	const char *at = t->live_parts.data, *end = at + t->live_parts.len;
	for (const char *nl; at < end && (nl = memchr(at, '\n', (size_t)(end - at))) != NULL; at = nl + 1) {
		if (!live_parse(at, (size_t)(nl - at), t->epoch, tail_position(t), &l)) {
			log_error("a line of postern_live can't be read");
			continue;
		}
		t->events->on_live(t->arg, &l);
		frame_unref(l.f);
	}
}

/* "PART PARTS", a newline, lines. The parts of one transaction follow each other. */
static void on_live(struct tail *t, const char *payload)
{
	unsigned part, parts;
	int n = 0;
	if (sscanf(payload, "%u %u%n", &part, &parts, &n) != 2 || payload[n] != '\n') {
		log_warn("a notification on postern_live isn't one of ours");
		return;
	}
	if (part == 1)
		buf_reset(&t->live_parts);
	else if (part != t->live_part + 1)
		return; /* the rest of something whose beginning was missed */
	t->live_part = part;
	buf_adds(&t->live_parts, payload + n + 1);
	if (part == parts && t->live && !buf_failed(&t->live_parts))
		tell_live(t);
}

static void on_notify(void *arg, const char *channel, const char *payload)
{
	struct tail *t = arg;
	char name[64];
	uint64_t credential = 0;
	if (strcmp(channel, "postern_log") == 0) {
		if (t->attached)
			on_log(t, payload);
		else if (sscanf(payload, "%*u %" SCNu64, &credential) == 1 && credential > t->promised)
			t->promised = credential; /* between listening and its answer */
	} else if (strcmp(channel, "postern_live") == 0) {
		on_live(t, payload);
	} else if (strcmp(payload, "settings") == 0) {
		t->events->on_settings(t->arg);
	} else if (sscanf(payload, "account %63s", name) == 1) {
		t->events->on_control(t->arg, name, 0);
	} else if (sscanf(payload, "credential %63s %" SCNu64, name, &credential) == 2) {
		t->events->on_control(t->arg, name, credential);
	}
}

static void on_grace(void *arg)
{
	struct tail *t = arg;
	if (!t->live || t->head >= t->promised)
		return;
	t->holes++;
	log_info("position %" PRIu64 " was not notified: reading the tables", t->promised);
	fill(t);
}

static void on_beaten(void *arg, const struct pg_result *r)
{
	struct tail *t = arg;
	if (!pg_ok(r) || pg_rows(r) != 1)
		return;
	uint64_t head = (uint64_t)pg_int(r, 0, 0);
	if (t->attached && pg_text(r, 0, 1)[0] != 't') {
		reattach(t);
		return;
	}
	if (head > t->head) {
		t->promised = head;
		loop_timer_start(t->grace, GRACE_MS, 0);
	}
}

static void on_beat(void *arg)
{
	struct tail *t = arg;
	char head[24], check[12];
	snprintf(head, sizeof(head), "%" PRIu64, t->head);
	snprintf(check, sizeof(check), "%" PRIu32, t->check);
	if (t->live && pg_conn_ready(t->conn))
		pg_conn_call(t->conn, "select node_beat($1), log_holds($2, $3)", 3,
			(const char *[]) { t->node, head, check }, on_beaten, t);
}

static const struct pg_events conn_events = { .on_up = on_up, .on_down = on_down, .on_notify = on_notify };

struct tail *tail_new(struct loop *loop, const char *conninfo, const char *node, size_t ring_bytes,
	unsigned deadline_ms, _Atomic uint64_t *expected, const struct tail_events *events, void *arg)
{
	struct tail *t = calloc(1, sizeof(*t));
	if (t == NULL)
		fatal("out of memory");
	t->loop = loop;
	t->expected = expected;
	t->events = events;
	t->arg = arg;
	snprintf(t->node, sizeof(t->node), "%s", node);
	t->ring = ring_new(ring_bytes);
	t->marks = marks_new();
	buf_init(&t->parts, BATCH_MAX);
	buf_init(&t->live_parts, BATCH_MAX);
	list_init(&t->held);
	t->grace = loop_timer_new(loop, on_grace, t);
	t->beat = loop_timer_new(loop, on_beat, t);
	loop_timer_start(t->beat, BEAT_MS, BEAT_MS);
	t->conn = pg_conn_new(loop, conninfo, &conn_events, t, deadline_ms);
	return t;
}

void tail_free(struct tail *t)
{
	pg_conn_free(t->conn);
	loop_timer_free(t->beat);
	loop_timer_free(t->grace);
	drop_held(t);
	buf_release(&t->parts);
	buf_release(&t->live_parts);
	ring_free(t->ring);
	marks_free(t->marks);
	free(t);
}

void tail_tell(struct tail *t, struct frame *f)
{
	reach(t, f->pos, f->pos, f->check);
	take(t, f, true);
	t->events->on_head(t->arg);
}

bool tail_awaits(const struct tail *t, uint64_t pos, uint32_t check, uint32_t before)
{
	return t->live && pos == t->head + 1 && (t->check == before || t->check == check);
}

struct position tail_position(const struct tail *t) { return (struct position) { t->head, t->check }; }
enum marks_answer tail_look(const struct tail *t, struct position at) { return marks_look(t->marks, at); }

uint64_t tail_expected(const struct tail *t)
{
	uint64_t known = atomic_load_explicit(t->expected, memory_order_acquire);
	return (known & ~POSITION_MASK) == t->history ? known & POSITION_MASK : 0;
}

void tail_expect(struct tail *t, uint64_t pos)
{
	uint64_t known = atomic_load_explicit(t->expected, memory_order_relaxed),
		 next = t->history | (pos & POSITION_MASK);
	while (((known & ~POSITION_MASK) != t->history || (known & POSITION_MASK) < pos) &&
		!atomic_compare_exchange_weak_explicit(
			t->expected, &known, next, memory_order_release, memory_order_relaxed))
		;
}

bool tail_is_behind(const struct tail *t) { return t->live && t->head < tail_expected(t); }
bool tail_live(const struct tail *t) { return t->live; }
const char *tail_epoch(const struct tail *t) { return t->epoch; }
uint64_t tail_head(const struct tail *t) { return t->head; }
void tail_set_ring_bytes(struct tail *t, size_t ring_bytes) { ring_set_max(t->ring, ring_bytes); }
struct ring *tail_ring(const struct tail *t) { return t->ring; }
uint64_t tail_holes(const struct tail *t) { return t->holes; }
uint64_t tail_notifications(const struct tail *t) { return t->notifications; }
