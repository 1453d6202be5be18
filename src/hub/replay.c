/* SPDX-License-Identifier: MIT
 * See replay.h. A page never splits a position. Each page of the tables is read from a snapshot of its own, which is
 * correct because a row that changes in between only moves to a later page. */
#include "hub/replay.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/secret.h"
#include "hub/audience.h"
#include "log/ring.h"
#include "log/tail.h"
#include "loop/loop.h"
#include "pg/replica.h"

#define SLICE 1024                    /* frames queued at once from the ring, */
#define SLICE_BYTES ((size_t)1 << 20) /* or this many bytes; at most one position more */
#define PAGE "500"                    /* rows read at once from the tables, */
#define PAGE_BYTES "1048576"          /* or about this many bytes; at least one position */
#define RETRY_MS 500

struct replay {
	struct loop *loop;
	struct tail *tail;
	struct replica *replica;
	struct hub_stats *stats;
	struct loop_timer *retry;
	struct list waiting; /* reads that have failed and are tried again */
	/* The result of one walk of the ring; allocated once, because every catching up needs it. */
	struct frame **found;
	size_t found_count, found_size;
	uint64_t floor;  /* of the chat whose thread is walked */
	uint64_t reader; /* key of the user who reads */
};

/* A read of the tables in flight. s is READING, or ending. */
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

/* Returns true if f is about another member and was superseded by a frame that went to that member only. The tables,
 * which hold the latest state, don't give it either. */
static bool is_superseded_quietly(const struct replay *r, const struct frame *f)
{
	struct member_search m = { .of = f };
	if (f->kind == FRAME_MEMBER && f->user_key != r->reader)
		ring_walk(tail_ring(r->tail), ring_user_key(f->user_key), f->pos, on_member, &m);
	return m.superseded;
}

static void on_found(void *arg, struct frame *f)
{
	struct replay *r = arg;
	uint64_t message = frame_message_id(f);
	if ((message != 0 && message <= r->floor) || is_superseded_quietly(r, f))
		return;
	if (r->found_count == r->found_size) {
		r->found_size = r->found_size ? r->found_size * 2 : 256;
		r->found = mem_resize(r->found, r->found_size, sizeof(struct frame *));
	}
	r->found[r->found_count++] = f;
}

static int by_seq(const void *x, const void *y)
{
	uint64_t a = (*(struct frame *const *)x)->seq, b = (*(struct frame *const *)y)->seq;
	return (a > b) - (a < b);
}

/* Identifies the entity whose state a frame is: two frames with the same key are two states of one entity. */
static uint64_t entity_key(const struct frame *f)
{
	uint64_t what[5] = { f->kind == FRAME_DELETED ? FRAME_MESSAGE : f->kind, f->chats_count > 0 ? f->chats[0] : 0,
		frame_message_id(f) };
	if (f->kind == FRAME_REACTION)
		what[3] = f->user_key, what[4] = f->reaction.emoji_hash;
	if (f->kind == FRAME_MEMBER)
		what[2] = f->user_key;
	if (f->kind == FRAME_USER)
		what[1] = 0, what[2] = f->user_key;
	return secret_keyed_hash(what, sizeof(what));
}

/* Returns true if f is a reaction to a message that was deleted later. */
static bool is_of_deleted_message(const struct map *seen, const struct frame *f)
{
	uint64_t what[5] = { FRAME_MESSAGE, f->chats_count > 0 ? f->chats[0] : 0, frame_message_id(f) };
	const struct frame *newer =
		f->kind == FRAME_REACTION ? map_get(seen, secret_keyed_hash(what, sizeof(what))) : NULL;
	return newer != NULL && newer->kind == FRAME_DELETED;
}

static bool is_of_deleted_chat(const struct map *deleted, const struct frame *f)
{
	return f->chats_count == 1 && f->kind != FRAME_USER && map_get(deleted, f->chats[0]) != NULL;
}

/* Keeps the latest state of each entity among the found frames, which are in order; for a deleted chat, only the
 * deletion. */
static void drop_superseded(struct replay *r)
{
	struct map seen = { 0 }, deleted = { 0 };
	size_t i = 0, kept = 0;
	while (i < r->found_count && frame_is_new_message(r->found[i]))
		i++;
	if (i == r->found_count)
		return; /* nothing but new messages */
	for (i = r->found_count; i-- > 0;) {
		struct frame *f = r->found[i], *newer = map_get(&seen, entity_key(f));
		if ((newer != NULL && newer != f) || is_of_deleted_chat(&deleted, f) ||
			is_of_deleted_message(&seen, f)) {
			r->found[i] = NULL;
			continue;
		}
		map_set(&seen, entity_key(f), f);
		if (frame_is_chat_deletion(f))
			map_set(&deleted, f->chats[0], f);
	}
	for (i = 0; i < r->found_count; i++)
		if (r->found[i] != NULL)
			r->found[kept++] = r->found[i];
	r->found_count = kept;
	map_release(&seen);
	map_release(&deleted);
}

/* Finds what the user receives according to the memberships of now: of each chat what came after the join, and what is
 * about the user. */
static void find_as_of_now(struct replay *r, struct subscriber *s)
{
	struct ring *ring = tail_ring(r->tail);
	for (unsigned i = 0; i < hub_user_chats(s->user); i++) {
		struct hub_chat_view v = hub_user_chat(s->user, i);
		r->floor = v.floor;
		ring_walk(ring, ring_chat_key(v.chat), v.since > s->pos ? v.since : s->pos, on_found, r);
	}
	r->floor = 0;
	ring_walk(ring, ring_user_key(hub_user_key(s->user)), s->pos, on_found, r);
}

/* For a subscriber that was live and has fallen back: the user may have left chats since then. Each such member frame,
 * and the one before it in that chat, say from when to when the user was a member; adds what find_as_of_now() doesn't
 * find of that time. */
static void add_as_of_then(struct replay *r, struct subscriber *s)
{
	struct ring *ring = tail_ring(r->tail);
	size_t own = r->found_count, kept;
	for (size_t i = 0; i < own; i++) {
		const struct frame *left = r->found[i];
		if (left->kind != FRAME_MEMBER || left->user_key != hub_user_key(s->user) || left->member.since != 0)
			continue;
		const struct frame *before = NULL; /* the last member frame before that one, which has the join */
		for (size_t k = 0; k < own; k++) {
			const struct frame *f = r->found[k];
			if (f->kind == FRAME_MEMBER && f->user_key == left->user_key && f->chats[0] == left->chats[0] &&
				f->pos < left->pos && (before == NULL || f->pos > before->pos))
				before = f;
		}
		uint64_t from = before != NULL && before->member.since > s->pos ? before->member.since : s->pos;
		r->floor = left->member.floor;
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
	r->reader = hub_user_key(s->user);
	find_as_of_now(r, s);
	if (s->was_live)
		add_as_of_then(r, s);
	if (r->found_count > 1)
		qsort(r->found, r->found_count, sizeof(struct frame *), by_seq);
	drop_superseded(r);
	s->replaying = true;
	for (size_t i = 0; i < r->found_count; i++) {
		if (i > 0 && r->found[i] == r->found[i - 1])
			continue;
		if ((pushed >= SLICE || s->queued_bytes >= SLICE_BYTES) && r->found[i]->pos != s->pos) {
			hub_wake(s);
			return; /* the rest follows */
		}
		subscriber_push(s, r->found[i]);
		subscriber_set_position(s, frame_at(r->found[i]));
		pushed++;
	}
	if (tail_head(r->tail).pos > s->pos)
		subscriber_set_position(s, tail_head(r->tail));
	subscriber_set_state(s, SUBSCRIBER_LIVE);
	s->was_live = false;
	hub_wake(s);
}

/* Ends a read and returns its subscriber, which can be freed from now on. */
static struct subscriber *end_read(struct read *read)
{
	struct subscriber *s = read->s;
	s->read_pending = false;
	if (s->state == SUBSCRIBER_READING)
		subscriber_set_state(s, SUBSCRIBER_CATCHING_UP);
	free(read);
	return s;
}

static void on_retry(void *arg)
{
	struct replay *r = arg;
	struct list again;
	list_init(&again);
	list_splice(&again, &r->waiting);
	for (struct list *l; (l = list_shift(&again)) != NULL;)
		replay_next(r, end_read(container_of(l, struct read, link)));
}

static void on_page(void *arg, const struct pg_result *res)
{
	struct read *read = arg;
	struct replay *r = read->replay;
	struct subscriber *s = read->s;
	if (!pg_ok(res)) {
		bool expired = strcmp(pg_sqlstate(res), "PT002") == 0, rewound = strcmp(pg_sqlstate(res), "PT003") == 0;
		if (expired || rewound) {
			end_read(read);
			if (!subscriber_is_ending(s))
				s->ops->on_end(s, rewound ? END_REWOUND : END_EXPIRED);
			return;
		}
		if (!pg_away(res))
			log_error("can't read the missed events of %s: %s",
				s->state == SUBSCRIBER_DEAD ? "a closed stream" : hub_user_name(s->user),
				pg_message(res));
		list_append(&r->waiting, &read->link); /* the stream stays open */
		loop_timer_start(r->retry, RETRY_MS, 0);
		return;
	}
	end_read(read);
	if (subscriber_is_ending(s))
		return;
	for (int i = 0; i < pg_rows(res); i++) {
		struct position at = { (uint64_t)pg_int(res, i, 0), (uint32_t)pg_int(res, i, 1) };
		if (!pg_null(res, i, 2)) {
			s->replaying = true;
			struct frame *f = frame_new(
				pg_text(res, i, 2), at, pg_text(res, i, 3), pg_size(res, i, 3), tail_epoch(r->tail));
			if (f != NULL)
				subscriber_push(s, f);
			frame_unref(f);
		}
		subscriber_set_position(s, at);
	}
	hub_wake(s);
}

static void from_tables(struct replay *r, struct subscriber *s)
{
	char after[24], check[12];
	struct read *read = mem_zeroed(1, sizeof(*read));
	*read = (struct read) { .replay = r, .s = s };
	list_init(&read->link);
	snprintf(after, sizeof(after), "%" PRIu64, s->pos);
	snprintf(check, sizeof(check), "%" PRIu32, s->pos_check);
	s->read_pending = true;
	subscriber_set_state(s, SUBSCRIBER_READING);
	r->stats->replays_tables++;
	replica_call(r->replica,
		"select pos, \"check\", kind, json from replay($1, $2, $3, $4, $5) where reaches($6, $7)", 5,
		(const char *[]) { hub_user_name(s->user), after, check, PAGE, PAGE_BYTES }, on_page, read);
}

void replay_next(struct replay *r, struct subscriber *s)
{
	if (s->state != SUBSCRIBER_CATCHING_UP)
		return;
	if (s->pos >= tail_head(r->tail).pos) {
		subscriber_set_state(s, SUBSCRIBER_LIVE);
		hub_wake(s);
	} else if (s->pos >= ring_floor(tail_ring(r->tail))) {
		r->stats->replays_ring++;
		from_ring(r, s);
	} else {
		from_tables(r, s);
	}
}

struct replay *replay_new(struct loop *loop, struct tail *tail, struct replica *replica, struct hub_stats *stats)
{
	struct replay *r = mem_zeroed(1, sizeof(*r));
	*r = (struct replay) { .loop = loop, .tail = tail, .replica = replica, .stats = stats };
	list_init(&r->waiting);
	r->retry = loop_timer_new(loop, on_retry, r);
	return r;
}

void replay_free(struct replay *r)
{
	for (struct list *l; (l = list_shift(&r->waiting)) != NULL;)
		end_read(container_of(l, struct read, link));
	loop_timer_free(r->retry);
	free(r->found);
	free(r);
}
