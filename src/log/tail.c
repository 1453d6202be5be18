/* SPDX-License-Identifier: MIT
 * See tail.h. The notifications' format is described in doc/protocols.md. */
#include "log/tail.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/secret.h"
#include "log/expected.h"
#include "log/live.h"
#include "loop/loop.h"
#include "pg/conn.h"
#include "pg/fault.h"

#define CHECK_MS 2000            /* between two comparisons with the database's head */
#define GRACE_MS 200             /* how long a notification may be on its way */
#define WARMUP_POSITIONS "20000" /* how far back the ring is filled at the start, if it holds that much */
#define WARMUP_MS 5000           /* how long that may take */
#define PAGE "5000"              /* rows a read, */
#define PAGE_BYTES "1048576"     /* or about this many bytes; at least one position */
#define BATCH_MAX ((size_t)64 << 20)
#define PENDING_MAX ((size_t)64 << 20)
#define MARKS_BYTES ((size_t)1 << 20)

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
	struct {
		const struct tail_events *events;
		void *arg;
	} listeners[TAIL_LISTENERS_MAX];
	unsigned listeners_count;
	struct tail_stats stats;
	char node[32], epoch[32];
	struct position head; /* the last position that was published */
	bool head_is_checked; /* head.check is known: it isn't until the first page was read */
	uint64_t known_head;  /* the database has at least this position; the tables are read up to it */
	struct marks *marks;  /* the checks of the last positions that were published */
	struct ring *ring;
	struct loop_timer *check_timer; /* compares the head with the database's */
	struct loop_timer *grace;       /* runs while a notification may still be on its way */
	bool attached;                  /* node_attach() has answered on this connection */
	bool was_attached;              /* it has answered at least once */
	bool reading;                   /* a read of the tables is in flight */
	bool live;
	enum { WARMUP_ASK, WARMUP_READ, WARMUP_DONE } warmup; /* the ring is filled for the first time */
	uint64_t warmup_ms;                                   /* when that began; 0: it hasn't */
	struct position attached_head;                        /* the database's head when it was last attached */
	struct expected expected;
	/* The batch whose parts are coming in. */
	struct buf parts;
	uint64_t from, upto;
	unsigned part;
	bool own;
	struct buf live_parts;
	unsigned live_part;
	struct list pending; /* complete batches that wait for a read to end */
	size_t pending_bytes;
};

/* Calls every listener that handles the event; the arguments are those after arg. */
#define EMIT(t, event, ...) \
	do \
		for (unsigned i_ = 0; i_ < (t)->listeners_count; i_++) \
			if ((t)->listeners[i_].events->event != NULL) \
				(t)->listeners[i_].events->event((t)->listeners[i_].arg, ##__VA_ARGS__); \
	while (0)

static void read_tables(struct tail *t);
static void on_up(void *arg);

static void consume(struct tail *t, struct frame *f, bool own)
{
	ring_add(t->ring, f);
	EMIT(t, on_frame, f, own);
	frame_unref(f);
}

static void consume_lines(struct tail *t, const char *lines, size_t len, uint32_t check, bool own)
{
	const char *end = lines + len;
	while (lines < end) {
		const char *nl = memchr(lines, '\n', (size_t)(end - lines));
		if (nl == NULL)
			nl = end;
		struct frame *f = frame_parse(lines, (size_t)(nl - lines), t->epoch, check);
		if (f == NULL)
			log_error("a line of the log is malformed: %.*s", (int)(nl - lines > 80 ? 80 : nl - lines),
				lines);
		else if (f->pos > t->head.pos)
			consume(t, f, own);
		else
			frame_unref(f);
		lines = nl + 1;
	}
}

static void advance(struct tail *t, uint64_t from, uint64_t upto, uint32_t check)
{
	marks_add(t->marks, from, upto, check);
	if (upto < t->head.pos)
		return;
	t->head = (struct position) { upto, check };
	t->head_is_checked = true;
}

enum outcome { APPLIED, GAP, REWOUND };

/* Publishes a batch that continues the head, and drops an old one. A batch beyond the head leaves a gap; one whose
 * checks don't match is of another history. */
static enum outcome apply(struct tail *t, const struct batch *b)
{
	if (b->upto <= t->head.pos)
		return marks_look(t->marks, (struct position) { b->upto, b->check }) == MARKS_OTHER ? REWOUND : APPLIED;
	if (b->from > t->head.pos + 1)
		return GAP;
	/* The head may lie within the batch: see tail_publish(). */
	if (t->head.check != (b->from <= t->head.pos ? b->check : b->before))
		return REWOUND;
	consume_lines(t, b->lines, b->len, b->check, b->own);
	advance(t, b->from, b->upto, b->check);
	return APPLIED;
}

static void drop_pending(struct tail *t)
{
	struct list *l;
	while ((l = list_shift(&t->pending)) != NULL)
		free(container_of(l, struct batch, link));
	t->pending_bytes = 0;
}

/* The database doesn't hold what was published: attaches again, which finds the last common position. */
static void reattach(struct tail *t)
{
	t->attached = t->live = false;
	t->part = 0;
	drop_pending(t);
	on_up(t);
}

static void apply_pending(struct tail *t)
{
	while (!list_empty(&t->pending)) {
		struct batch *b = container_of(t->pending.next, struct batch, link);
		enum outcome outcome = apply(t, b);
		if (outcome == GAP)
			read_tables(t);
		else if (outcome == REWOUND)
			reattach(t);
		if (outcome != APPLIED)
			return;
		list_remove(&b->link);
		t->pending_bytes -= b->len;
		free(b);
	}
	t->live = t->attached;
	EMIT(t, on_head);
}

/* Rows hold the latest state only: of a user who left a chat and joined it again in the gap, only the join. */
static void publish_rejoined(struct tail *t, const char *line, size_t len)
{
	struct frame *f = len > 0 ? frame_parse(line, len - 1, t->epoch, 0) : NULL;
	if (f != NULL && f->kind == FRAME_MEMBER && f->member.since > t->head.pos)
		EMIT(t, on_rejoined, f);
	frame_unref(f);
}

static void call_failed(struct tail *t, const struct pg_result *r)
{
	char why[1024];
	if (!pg_away(r))
		pg_conn_reset(t->conn, fault_text(r, why, sizeof(why)));
}

/* The rows of log_frames(): frames, and a last row that says how far they go. No rows: the head isn't in the database's
 * history. */
static void on_page(void *arg, const struct pg_result *r)
{
	struct tail *t = arg;
	t->reading = false;
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
			publish_rejoined(t, pg_text(r, i, 2), pg_size(r, i, 2));
	for (int i = 0; i < rows; i++) {
		uint64_t pos = (uint64_t)pg_int(r, i, 0);
		uint32_t check = (uint32_t)pg_int(r, i, 1);
		if (pg_null(r, i, 2)) {
			advance(t, pos, pos, check);
		} else {
			consume_lines(t, pg_text(r, i, 2), pg_size(r, i, 2), check, true);
			marks_add(t->marks, pos, pos, check);
		}
	}
	EMIT(t, on_head);
}

/* Reads a page of what follows the head. on_up() continues when the connection takes the next call. */
static void read_tables(struct tail *t)
{
	char after[24], check[12];
	t->live = false;
	if (t->reading || t->warmup == WARMUP_ASK || !pg_conn_ready(t->conn))
		return;
	snprintf(after, sizeof(after), "%" PRIu64, t->head.pos);
	snprintf(check, sizeof(check), "%" PRIu32, t->head.check);
	t->reading = true;
	pg_conn_call(t->conn, "select pos, \"check\", line from log_frames($1, $2, $3, $4)", 4,
		(const char *[]) { after, t->head_is_checked ? check : NULL, PAGE, PAGE_BYTES }, on_page, t);
}

/* log_recent() says from which position the ring is to be filled. */
static void on_warmup_start(void *arg, const struct pg_result *r)
{
	struct tail *t = arg;
	if (!pg_ok(r)) {
		call_failed(t, r);
		return;
	}
	t->warmup = WARMUP_READ;
	t->head.pos = (uint64_t)pg_int(r, 0, 0);
	ring_reset(t->ring, t->head.pos);
	if (t->head.pos == t->attached_head.pos)
		advance(t, t->head.pos, t->head.pos, t->attached_head.check);
}

static void begin_warmup(struct tail *t)
{
	char head[24], bytes[24];
	snprintf(head, sizeof(head), "%" PRIu64, t->attached_head.pos);
	snprintf(bytes, sizeof(bytes), "%zu", ring_max(t->ring));
	pg_conn_call(t->conn, "select log_recent($1, $2, $3)", 3, (const char *[]) { head, bytes, WARMUP_POSITIONS },
		on_warmup_start, t);
}

/* The database is slow: serving with an empty ring is better than not serving. */
static void skip_warmup(struct tail *t)
{
	log_warn("the database is slow to read: recent events are served from its tables, not from memory");
	t->warmup = WARMUP_DONE;
	t->head.pos = 0;
	advance(t, t->attached_head.pos, t->attached_head.pos, t->attached_head.check);
	ring_reset(t->ring, t->head.pos);
}

static void begin(struct tail *t, const char *epoch)
{
	snprintf(t->epoch, sizeof(t->epoch), "%s", epoch);
	marks_cut(t->marks, 0);
	t->warmup = WARMUP_ASK;
	if (t->warmup_ms == 0)
		t->warmup_ms = clock_mono_ms();
}

/* The database's history isn't the one that was published: continues with the database's. */
static void rewind_to(struct tail *t, const char *epoch, struct position head, uint64_t common)
{
	bool foreign = strcmp(t->epoch, epoch) != 0;
	if (foreign)
		log_warn("the database was replaced by another one: all cursors are reset");
	else
		log_warn("the log was rewound: position %" PRIu64 " is lost, and %" PRIu64
			 " is the last known common one: "
			 "cursors past it are reset",
			t->head.pos, common);
	snprintf(t->epoch, sizeof(t->epoch), "%s", epoch);
	marks_cut(t->marks, common);
	t->head.pos = 0;
	advance(t, head.pos, head.pos, head.check);
	ring_reset(t->ring, t->head.pos);
	EMIT(t, on_rewind, common, foreign);
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
	expected_begin(&t->expected, secret_keyed_hash(origin, strlen(origin)));
	t->attached_head = (struct position) { head, (uint32_t)pg_int(r, 0, 2) };
	if (!t->head_is_checked)
		begin(t, pg_text(r, 0, 0));
	else if (pg_null(r, 0, 3) || (uint64_t)pg_int(r, 0, 3) < t->head.pos)
		rewind_to(t, pg_text(r, 0, 0), t->attached_head, (uint64_t)pg_int(r, 0, 3));
	if (t->was_attached)
		t->stats.reconnects++;
	t->attached = t->was_attached = true;
	t->known_head = head;
	EMIT(t, on_control, NULL, 0);
	EMIT(t, on_settings);
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
	bool is_late = t->warmup != WARMUP_DONE && clock_mono_ms() - t->warmup_ms > WARMUP_MS;
	if (is_late && t->head.pos < t->attached_head.pos)
		skip_warmup(t);
	if (t->warmup == WARMUP_ASK) {
		begin_warmup(t);
	} else if (t->head.pos < t->known_head) {
		read_tables(t);
	} else {
		t->warmup = WARMUP_DONE;
		apply_pending(t);
	}
}

static void on_down(void *arg)
{
	struct tail *t = arg;
	t->attached = t->live = t->reading = false;
	t->part = 0;
	drop_pending(t);
}

/* Makes a batch of the parts that came in. Returns NULL if it is too large or has no checks: nodes from before there
 * were checks send none. */
static struct batch *assemble_batch(struct tail *t)
{
	const char *lines = t->parts.data, *nl = t->parts.len > 0 ? memchr(lines, '\n', t->parts.len) : NULL;
	if (nl == NULL)
		return NULL;
	struct batch *b = mem_alloc(sizeof(*b) + t->parts.len);
	*b = (struct batch) {
		.from = t->from, .upto = t->upto, .own = t->own, .len = t->parts.len - (size_t)(nl + 1 - lines)
	};
	if (!frame_parse_checks(lines, (size_t)(nl - lines), &b->check, &b->before)) {
		free(b);
		return NULL;
	}
	memcpy(b->lines, nl + 1, b->len);
	return b;
}

static void on_batch(struct tail *t)
{
	struct batch *b = assemble_batch(t);
	enum outcome outcome = b != NULL && t->live ? apply(t, b) : GAP;
	if (b == NULL) {
		t->known_head = t->upto > t->known_head ? t->upto : t->known_head; /* it is read from the tables */
		read_tables(t);
		return;
	}
	if (outcome != GAP) {
		free(b);
		if (outcome == APPLIED)
			EMIT(t, on_head);
		else
			reattach(t);
		return;
	}
	if (t->live) {
		t->stats.holes++;
		log_info("notifications are missing after position %" PRIu64 ": reading the tables", t->head.pos);
		t->known_head = b->from - 1;
		t->live = false;
	}
	if (t->pending_bytes > PENDING_MAX) {
		drop_pending(t);
		t->known_head = t->upto;
	}
	t->pending_bytes += b->len;
	list_append(&t->pending, &b->link);
	read_tables(t);
}

static void on_log(struct tail *t, const char *payload)
{
	uint64_t from, upto;
	unsigned part, parts;
	char node[32];
	int n = 0;
	if (sscanf(payload, "%" SCNu64 " %" SCNu64 " %u %u %31s%n", &from, &upto, &part, &parts, node, &n) != 5 ||
		payload[n] != '\n') {
		log_warn("a notification on postern_log is malformed");
		return;
	}
	t->stats.notifications++;
	if (part == 1) {
		buf_reset(&t->parts);
		t->from = from;
		t->upto = upto;
		t->own = strcmp(node, t->node) == 0;
	} else if (part != t->part + 1 || from != t->from) {
		t->part = 0; /* its first part was missed; check_head() finds the gap */
		return;
	}
	t->part = part;
	buf_adds(&t->parts, payload + n + 1);
	if (part == parts)
		on_batch(t);
}

static void publish_live(struct tail *t)
{
	struct live l;
	const char *at = t->live_parts.data, *end = at + t->live_parts.len;
	for (const char *nl; at < end && (nl = memchr(at, '\n', (size_t)(end - at))) != NULL; at = nl + 1) {
		if (!live_parse(at, (size_t)(nl - at), t->epoch, t->head, &l)) {
			log_error("a line of postern_live is malformed");
			continue;
		}
		EMIT(t, on_live, &l);
		frame_unref(l.f);
	}
}

/* A payload is "PART PARTS", a newline, lines. The parts of a transaction follow each other. */
static void on_live(struct tail *t, const char *payload)
{
	unsigned part, parts;
	int n = 0;
	if (sscanf(payload, "%u %u%n", &part, &parts, &n) != 2 || payload[n] != '\n') {
		log_warn("a notification on postern_live is malformed");
		return;
	}
	if (part == 1)
		buf_reset(&t->live_parts);
	else if (part != t->live_part + 1)
		return; /* its first part was missed */
	t->live_part = part;
	buf_adds(&t->live_parts, payload + n + 1);
	if (part == parts && t->live && !buf_failed(&t->live_parts))
		publish_live(t);
}

static void on_notify(void *arg, const char *channel, const char *payload)
{
	struct tail *t = arg;
	char name[64];
	uint64_t credential = 0, upto;
	if (strcmp(channel, "postern_log") == 0) {
		if (t->attached)
			on_log(t, payload);
		else if (sscanf(payload, "%*u %" SCNu64, &upto) == 1 && upto > t->known_head)
			t->known_head = upto; /* node_attach() is in flight */
	} else if (strcmp(channel, "postern_live") == 0) {
		on_live(t, payload);
	} else if (strcmp(payload, "settings") == 0) {
		EMIT(t, on_settings);
	} else if (sscanf(payload, "account %63s", name) == 1) {
		EMIT(t, on_control, name, 0);
	} else if (sscanf(payload, "credential %63s %" SCNu64, name, &credential) == 2) {
		EMIT(t, on_control, name, credential);
	}
}

static void on_grace(void *arg)
{
	struct tail *t = arg;
	if (!t->live || t->head.pos >= t->known_head)
		return;
	t->stats.holes++;
	log_info("position %" PRIu64 " was not notified: reading the tables", t->known_head);
	read_tables(t);
}

static void on_head_checked(void *arg, const struct pg_result *r)
{
	struct tail *t = arg;
	if (!pg_ok(r) || pg_rows(r) != 1)
		return;
	uint64_t head = (uint64_t)pg_int(r, 0, 0);
	if (t->attached && pg_text(r, 0, 1)[0] != 't') {
		reattach(t);
		return;
	}
	if (head > t->head.pos) {
		t->known_head = head;
		loop_timer_start(t->grace, GRACE_MS, 0);
	}
}

static void check_head(void *arg)
{
	struct tail *t = arg;
	char head[24], check[12];
	snprintf(head, sizeof(head), "%" PRIu64, t->head.pos);
	snprintf(check, sizeof(check), "%" PRIu32, t->head.check);
	if (t->live && pg_conn_ready(t->conn))
		pg_conn_call(t->conn, "select node_beat($1), log_holds($2, $3)", 3,
			(const char *[]) { t->node, head, check }, on_head_checked, t);
}

static const struct pg_events conn_events = { .on_up = on_up, .on_down = on_down, .on_notify = on_notify };

struct tail *tail_new(struct loop *loop, const char *conninfo, const char *node, size_t ring_bytes,
	unsigned deadline_ms, _Atomic uint64_t *expected)
{
	struct tail *t = mem_zeroed(1, sizeof(*t));
	t->loop = loop;
	t->expected = (struct expected) { .shared = expected };
	snprintf(t->node, sizeof(t->node), "%s", node);
	t->ring = ring_new(ring_bytes);
	t->marks = marks_new();
	buf_init(&t->parts, BATCH_MAX);
	buf_init(&t->live_parts, BATCH_MAX);
	list_init(&t->pending);
	t->grace = loop_timer_new(loop, on_grace, t);
	t->check_timer = loop_timer_new(loop, check_head, t);
	loop_timer_start(t->check_timer, CHECK_MS, CHECK_MS);
	t->conn = pg_conn_new(loop, conninfo, &conn_events, t, deadline_ms);
	return t;
}

void tail_free(struct tail *t)
{
	pg_conn_free(t->conn);
	loop_timer_free(t->check_timer);
	loop_timer_free(t->grace);
	drop_pending(t);
	buf_release(&t->parts);
	buf_release(&t->live_parts);
	ring_free(t->ring);
	marks_free(t->marks);
	free(t);
}

void tail_listen(struct tail *t, const struct tail_events *events, void *arg)
{
	assert(t->listeners_count < TAIL_LISTENERS_MAX);
	t->listeners[t->listeners_count].events = events;
	t->listeners[t->listeners_count++].arg = arg;
}

void tail_publish(struct tail *t, struct frame *f)
{
	advance(t, f->pos, f->pos, f->check);
	consume(t, f, true);
	EMIT(t, on_head);
}

bool tail_continues(const struct tail *t, uint64_t pos, uint32_t check, uint32_t before)
{
	return t->live && pos == t->head.pos + 1 && (t->head.check == before || t->head.check == check);
}

struct position tail_head(const struct tail *t) { return t->head; }
enum marks_answer tail_look(const struct tail *t, struct position at) { return marks_look(t->marks, at); }

uint64_t tail_expected(const struct tail *t) { return expected_get(&t->expected); }
void tail_expect(struct tail *t, uint64_t pos) { expected_raise(&t->expected, pos); }
bool tail_is_behind(const struct tail *t) { return t->live && t->head.pos < tail_expected(t); }
bool tail_live(const struct tail *t) { return t->live; }
const char *tail_epoch(const struct tail *t) { return t->epoch; }
struct ring *tail_ring(const struct tail *t) { return t->ring; }
const struct tail_stats *tail_stats(const struct tail *t) { return &t->stats; }
