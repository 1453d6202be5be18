/* SPDX-License-Identifier: MIT
 * See replay.h. Pages are bounded by frames, never by positions split in two; each page of the tables is a snapshot of
 * its own, which is right because a row that changes in between only moves to a later page. */
#include "hub/replay.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/map.h"
#include "base/secret.h"
#include "hub/audience.h"
#include "log/ring.h"
#include "log/tail.h"
#include "loop/loop.h"
#include "pg/replica.h"

#define SLICE 1024                    /* frames queued at once from the ring, */
#define SLICE_BYTES ((size_t)1 << 20) /* or so many bytes; a position more at most */
#define PAGE "500"                    /* rows read at once from the tables, */
#define PAGE_BYTES "1048576"          /* or about so many bytes; a position at least */
#define RETRY_MS 500

struct replay {
	struct loop *loop;
	struct hub *hub;
	struct audience *audience;
	struct replica *replica;
	struct hub_stats *stats;
	struct loop_timer *retry;
	struct list waiting; /* reads that wait for the database */
	/* the frames of one walk; kept, because it is needed all the time */
	struct frame **found;
	size_t found_count, found_size;
	uint64_t floor;  /* of the chat that is walked */
	uint64_t reader; /* the user's key */
};

struct read {
	struct list link;
	struct replay *replay;
	struct subscriber *s;
};

struct member_search {
	const struct frame *of;
	bool superseded;
};

static void on_member(void *arg, struct frame *f)
{
	struct member_search *m = arg;
	m->superseded |= f->to_user_only && f->pos > m->of->pos && f->chats[0] == m->of->chats[0];
}

/* What was said of another member has changed since, and the change was told to himself only: the tables know nothing
 * of it either. */
static bool is_untold(const struct replay *r, const struct frame *f)
{
	struct member_search m = { .of = f };
	if (f->kind == FRAME_MEMBER && f->user_key != r->reader)
		ring_walk(tail_ring(hub_tail(r->hub)), ring_user_key(f->user_key), f->pos, on_member, &m);
	return m.superseded;
}

static void on_found(void *arg, struct frame *f)
{
	struct replay *r = arg;
	bool has_id = f->kind == FRAME_MESSAGE || f->kind == FRAME_DELETED || f->kind == FRAME_REACTION;
	if ((has_id && (uint64_t)f->a <= r->floor) || is_untold(r, f))
		return;
	if (r->found_count == r->found_size) {
		r->found_size = r->found_size ? r->found_size * 2 : 256;
		r->found = realloc(r->found, r->found_size * sizeof(struct frame *));
		if (r->found == NULL)
			fatal("out of memory");
	}
	r->found[r->found_count++] = f;
}

static int by_seq(const void *x, const void *y)
{
	uint64_t a = (*(struct frame *const *)x)->seq, b = (*(struct frame *const *)y)->seq;
	return (a > b) - (a < b);
}

/* What a frame is the state of: two frames with one key are two states of one thing. */
static uint64_t entity_key(const struct frame *f)
{
	uint64_t what[5] = { f->kind == FRAME_DELETED ? FRAME_MESSAGE : f->kind, f->chats_count > 0 ? f->chats[0] : 0,
		(uint64_t)f->a };
	if (f->kind == FRAME_REACTION)
		what[3] = f->user_key, what[4] = (uint64_t)f->b;
	if (f->kind == FRAME_MEMBER)
		what[2] = f->user_key;
	if (f->kind == FRAME_USER)
		what[1] = 0, what[2] = f->user_key;
	return secret_keyed_hash(what, sizeof(what));
}

/* A reaction to a message that was deleted after it. */
static bool of_dead_message(const struct map *seen, const struct frame *f)
{
	uint64_t what[5] = { FRAME_MESSAGE, f->chats_count > 0 ? f->chats[0] : 0, (uint64_t)f->a };
	const struct frame *newer =
		f->kind == FRAME_REACTION ? map_get(seen, secret_keyed_hash(what, sizeof(what))) : NULL;
	return newer != NULL && newer->kind == FRAME_DELETED;
}

static bool of_dead_chat(const struct map *dead, const struct frame *f)
{
	return f->chats_count == 1 && f->kind != FRAME_USER && map_get(dead, f->chats[0]) != NULL;
}

/* Of everything that was found, in order, only the latest state stays; of a chat that was deleted, only that. */
static void drop_superseded(struct replay *r)
{
	struct map seen = { 0 }, dead = { 0 };
	size_t i = 0, kept = 0;
	while (i < r->found_count && r->found[i]->kind == FRAME_MESSAGE && (uint64_t)r->found[i]->a == r->found[i]->pos)
		i++;
	if (i == r->found_count)
		return; /* nothing but new messages */
	for (i = r->found_count; i-- > 0;) {
		struct frame *f = r->found[i], *newer = map_get(&seen, entity_key(f));
		if ((newer != NULL && newer != f) || of_dead_chat(&dead, f) || of_dead_message(&seen, f)) {
			r->found[i] = NULL;
			continue;
		}
		map_set(&seen, entity_key(f), f);
		if (f->kind == FRAME_CHAT && f->b == 1)
			map_set(&dead, f->chats[0], f);
	}
	for (i = 0; i < r->found_count; i++)
		if (r->found[i] != NULL)
			r->found[kept++] = r->found[i];
	r->found_count = kept;
	map_release(&seen);
	map_release(&dead);
}

/* What is his as of now: each chat from his joining on, and what is about himself. */
static void find_as_of_now(struct replay *r, struct subscriber *s)
{
	struct ring *ring = tail_ring(hub_tail(r->hub));
	for (unsigned i = 0; i < audience_chats(s->user); i++) {
		struct hub_chat_view v = audience_chat(s->user, i);
		r->floor = v.floor;
		ring_walk(ring, ring_chat_key(v.chat), v.since > s->pos ? v.since : s->pos, on_found, r);
	}
	r->floor = 0;
	ring_walk(ring, ring_user_key(audience_key(s->user)), s->pos, on_found, r);
}

/* For one who was live and read too slowly: his own member frames since then tell which of the chats that he has left
 * or joined were his when. What find_as_of_now() left out of them is added, as far as he was there. */
static void add_as_of_then(struct replay *r, struct subscriber *s)
{
	struct ring *ring = tail_ring(hub_tail(r->hub));
	size_t own = r->found_count, kept;
	for (size_t i = 0; i < own; i++) {
		const struct frame *left = r->found[i];
		if (left->kind != FRAME_MEMBER || left->user_key != audience_key(s->user) || left->a != 0)
			continue;
		const struct frame *before =
			NULL; /* the last word on his membership before that: says since when he had been there */
		for (size_t k = 0; k < own; k++) {
			const struct frame *f = r->found[k];
			if (f->kind == FRAME_MEMBER && f->user_key == left->user_key && f->chats[0] == left->chats[0] &&
				f->pos < left->pos && (before == NULL || f->pos > before->pos))
				before = f;
		}
		uint64_t from = before != NULL && (uint64_t)before->a > s->pos ? (uint64_t)before->a : s->pos;
		r->floor = (uint64_t)left->b;
		kept = r->found_count;
		ring_walk(ring, ring_chat_key(left->chats[0]), from, on_found, r);
		for (size_t k = kept; k < r->found_count; k++)
			if (r->found[k]->pos < left->pos)
				r->found[kept++] = r->found[k];
		r->found_count = kept;
	}
}

static void from_ring(struct replay *r, struct subscriber *s)
{
	unsigned pushed = 0;
	r->found_count = 0;
	r->reader = audience_key(s->user);
	find_as_of_now(r, s);
	if (s->set_back)
		add_as_of_then(r, s);
	if (r->found_count > 1)
		qsort(r->found, r->found_count, sizeof(struct frame *), by_seq);
	drop_superseded(r);
	s->replaying = true;
	for (size_t i = 0; i < r->found_count; i++) {
		if (i > 0 && r->found[i] == r->found[i - 1])
			continue;
		if ((pushed >= SLICE || s->queued_bytes >= SLICE_BYTES) && r->found[i]->pos != s->pos) {
			hub_ready(s);
			return; /* still catching */
		}
		subscriber_push(s, r->found[i]);
		subscriber_set_position(s, frame_at(r->found[i]));
		pushed++;
	}
	if (tail_head(hub_tail(r->hub)) > s->pos)
		subscriber_set_position(s, tail_position(hub_tail(r->hub)));
	s->catching = s->set_back = false;
	hub_ready(s);
}

static void from_tables(struct replay *r, struct subscriber *s);

static void on_retry(void *arg)
{
	struct replay *r = arg;
	struct list again;
	list_init(&again);
	list_splice(&again, &r->waiting);
	for (struct list *l; (l = list_shift(&again)) != NULL;) {
		struct read *read = container_of(l, struct read, link);
		read->s->busy = false;
		if (!read->s->dead)
			replay_next(r, read->s);
		free(read);
	}
}

static void on_page(void *arg, const struct pg_result *res)
{
	struct read *read = arg;
	struct replay *r = read->replay;
	struct subscriber *s = read->s;
	if (!pg_ok(res)) {
		bool rewound = strcmp(pg_hint(res), "cursor_rewound") == 0;
		if (rewound || strcmp(pg_hint(res), "cursor_expired") == 0) {
			s->busy = false;
			if (!s->dead && !s->closing)
				s->ops->on_end(s, rewound ? END_REWOUND : END_EXPIRED);
			free(read);
			return;
		}
		if (!pg_away(res))
			log_error("can't read what %s missed: %s", s->dead ? "somebody" : audience_name(s->user),
				pg_message(res));
		list_append(&r->waiting, &read->link); /* the stream stays open */
		loop_timer_start(r->retry, RETRY_MS, 0);
		return;
	}
	s->busy = false;
	free(read);
	if (s->dead || s->closing)
		return;
	for (int i = 0; i < pg_rows(res); i++) {
		struct position at = { (uint64_t)pg_int(res, i, 0), (uint32_t)pg_int(res, i, 1) };
		if (!pg_null(res, i, 2)) {
			s->replaying = true;
			struct frame *f = frame_new(pg_text(res, i, 2), at, pg_text(res, i, 3), pg_size(res, i, 3),
				tail_epoch(hub_tail(r->hub)));
			if (f != NULL)
				subscriber_push(s, f);
			frame_unref(f);
		}
		subscriber_set_position(s, at);
	}
	hub_ready(s);
}

static void from_tables(struct replay *r, struct subscriber *s)
{
	char after[24], check[12];
	struct read *read = calloc(1, sizeof(*read));
	if (read == NULL)
		fatal("out of memory");
	*read = (struct read) { .replay = r, .s = s };
	list_init(&read->link);
	snprintf(after, sizeof(after), "%" PRIu64, s->pos);
	snprintf(check, sizeof(check), "%" PRIu32, s->pos_check);
	s->busy = true;
	r->stats->replays_tables++;
	replica_call(r->replica,
		"select pos, \"check\", kind, json from replay($1, $2, $3, $4, $5) where reaches($6, $7)", 5,
		(const char *[]) { audience_name(s->user), after, check, PAGE, PAGE_BYTES }, on_page, read);
}

void replay_next(struct replay *r, struct subscriber *s)
{
	struct tail *tail = hub_tail(r->hub);
	if (s->busy || s->closing)
		return;
	if (s->pos >= tail_head(tail)) {
		s->catching = false;
		hub_ready(s);
	} else if (s->pos >= ring_floor(tail_ring(tail))) {
		r->stats->replays_ring++;
		from_ring(r, s);
	} else {
		from_tables(r, s);
	}
}

struct replay *replay_new(
	struct loop *loop, struct hub *hub, struct audience *audience, struct replica *replica, struct hub_stats *stats)
{
	struct replay *r = calloc(1, sizeof(*r));
	if (r == NULL)
		fatal("out of memory");
	*r = (struct replay) { .loop = loop, .hub = hub, .audience = audience, .replica = replica, .stats = stats };
	list_init(&r->waiting);
	r->retry = loop_timer_new(loop, on_retry, r);
	return r;
}

void replay_free(struct replay *r)
{
	for (struct list *l; (l = list_shift(&r->waiting)) != NULL;) {
		struct read *read = container_of(l, struct read, link);
		read->s->busy = false;
		free(read);
	}
	loop_timer_free(r->retry);
	free(r->found);
	free(r);
}
