/* SPDX-License-Identifier: MIT
 * See audience.h. An edge is a user's membership of a chat; it knows the user's place among the chat's members. Both
 * arrays are unordered. There are many users, most of them with few chats, so that their memory counts. */
#include "hub/audience.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/secret.h"
#include "base/slab.h"
#include "log/live.h"
#include "log/ring.h"
#include "log/tail.h"
#include "loop/loop.h"
#include "pg/pool.h"

#define IDLE_MS 60000
#define IDLE_MAX 20000
#define SWEEP_MS 5000

struct edge {
	struct chat *chat;
	uint64_t since; /* the user doesn't receive the chat's events up to this position */
	uint32_t place; /* among the chat's members */
};

struct chat {
	uint64_t id;
	struct chat_member {
		struct hub_user *user;
		uint64_t floor; /* messages with an id up to it are hidden from the user */
	} * members;
	uint32_t count, size;
};

struct hub_user {
	union {
		struct subscriber *subscribers;
		struct list idle; /* while is_idle: a link of the audience's list */
	};
	struct audience *audience;
	struct edge *edges;
	struct opening *openings; /* those that wait for the load, the last one first */
	uint64_t loaded_at;       /* the position of the snapshot that the edges come from */
	uint64_t key;
	uint64_t unconfirmed; /* the last message in an answer to a poll whose receipt wasn't confirmed yet; 1: what was
				 sent before the user was loaded isn't known; 0: none */
	uint32_t loaded_check; /* see struct position */
	uint32_t edges_count, edges_size, refs, idle_since_ms;
	bool loaded, is_idle;
	bool is_stale; /* the audience has forgotten it; only its subscribers and openings refer to it */
	char name[];
};

struct audience {
	struct loop *loop;
	struct hub *hub;
	struct tail *tail;
	struct pg_pool *pool;
	struct hub_stats *stats;
	struct map users, chats;
	struct list idle; /* users without references, the one that is idle for longest first */
	struct loop_timer *sweep;
	uint64_t horizon;
};

struct opening {
	struct opening *next;
	struct audience *audience;
	struct hub_user *user;
	bool has_since;
	struct cursor since;
	hub_open_fn *on_open;
	void *arg;
};

/* ---- edges ---- */

static struct chat *get_chat(struct audience *a, uint64_t id)
{
	struct chat *c = map_get(&a->chats, id);
	if (c == NULL) {
		c = slab_get(sizeof(*c));
		c->id = id;
		map_set(&a->chats, id, c);
	}
	return c;
}

static struct edge *find_edge(struct hub_user *u, uint64_t chat)
{
	for (uint32_t i = 0; i < u->edges_count; i++)
		if (u->edges[i].chat->id == chat)
			return &u->edges[i];
	return NULL;
}

/* Makes room for half as many entries more; returns the array, which may have moved. */
static void *grow(void *array, size_t entry, uint32_t *size)
{
	uint32_t was = *size;
	*size += was / 2 + 1;
	return slab_resize(array, was * entry, *size * entry);
}

static void add_edge(struct hub_user *u, uint64_t id, uint64_t since, uint64_t floor)
{
	struct chat *c = get_chat(u->audience, id);
	if (u->edges_count == u->edges_size)
		u->edges = grow(u->edges, sizeof(*u->edges), &u->edges_size);
	if (c->count == c->size)
		c->members = grow(c->members, sizeof(*c->members), &c->size);
	u->edges[u->edges_count] = (struct edge) { .chat = c, .since = since, .place = c->count };
	c->members[c->count++] = (struct chat_member) { .user = u, .floor = floor };
	u->edges_count++;
}

static void remove_edge(struct hub_user *u, struct edge *e)
{
	struct chat *c = e->chat;
	uint32_t place = e->place;
	c->members[place] = c->members[--c->count];
	if (place < c->count)
		find_edge(c->members[place].user, c->id)->place = place;
	if (c->count == 0) {
		map_remove(&u->audience->chats, c->id);
		slab_put(c->members, c->size * sizeof(*c->members));
		slab_put(c, sizeof(*c));
	}
	*e = u->edges[--u->edges_count];
}

static void remove_edges(struct hub_user *u)
{
	while (u->edges_count > 0)
		remove_edge(u, &u->edges[u->edges_count - 1]);
	slab_put(u->edges, u->edges_size * sizeof(*u->edges));
	u->edges = NULL;
	u->edges_size = 0;
}

/* ---- users ---- */

static size_t user_size(size_t name_len) { return offsetof(struct hub_user, name) + name_len + 1; }

static struct hub_user *new_user(struct audience *a, const char *name, uint64_t key)
{
	size_t len = strlen(name);
	struct hub_user *u = slab_get(user_size(len));
	u->audience = a;
	u->key = key;
	u->unconfirmed = 1;
	memcpy(u->name, name, len + 1);
	map_set(&a->users, key, u);
	a->stats->users++;
	return u;
}

static void fall_idle(struct hub_user *u)
{
	assert(u->subscribers == NULL);
	u->is_idle = true;
	u->idle_since_ms = (uint32_t)clock_mono_ms();
	list_append(&u->audience->idle, &u->idle);
	u->audience->stats->users_idle++;
}

static void wake(struct hub_user *u)
{
	if (!u->is_idle)
		return;
	list_remove(&u->idle);
	u->is_idle = false;
	u->subscribers = NULL;
	u->audience->stats->users_idle--;
}

static void free_user(struct hub_user *u)
{
	assert(u->refs == 0 && u->openings == NULL);
	wake(u);
	assert(u->subscribers == NULL);
	remove_edges(u);
	if (!u->is_stale)
		map_remove(&u->audience->users, u->key);
	u->audience->stats->users--;
	slab_put(u, user_size(strlen(u->name)));
}

static void ref_user(struct hub_user *u)
{
	u->refs++;
	wake(u);
}

void hub_user_unref(struct hub_user *u)
{
	struct audience *a = u->audience;
	assert(u->refs > 0);
	if (--u->refs > 0)
		return;
	if (u->is_stale || !u->loaded) {
		free_user(u);
		return;
	}
	fall_idle(u);
	if (a->stats->users_idle > IDLE_MAX)
		free_user(container_of(a->idle.next, struct hub_user, idle));
}

static void on_sweep(void *arg)
{
	struct audience *a = arg;
	uint32_t now = (uint32_t)clock_mono_ms();
	while (!list_empty(&a->idle)) {
		struct hub_user *u = container_of(a->idle.next, struct hub_user, idle);
		if (now - u->idle_since_ms < IDLE_MS)
			break;
		free_user(u);
	}
}

bool audience_add(struct hub_user *u, struct subscriber *s)
{
	s->user = u;
	s->next = u->subscribers;
	u->subscribers = s;
	return s->next == NULL;
}

void audience_each_user(struct audience *a, hub_user_fn *fn, void *arg)
{
	const struct hub_user *u;
	for (size_t i = 0; (u = map_next(&a->users, &i)) != NULL;)
		if (!u->is_idle && u->subscribers != NULL)
			fn(arg, u->name);
}

bool audience_remove(struct subscriber *s)
{
	struct subscriber **at = &s->user->subscribers;
	while (*at != s)
		at = &(*at)->next;
	*at = s->next;
	bool last = s->user->subscribers == NULL;
	s->user = NULL;
	return last;
}

void audience_each(struct audience *a, const char *name, audience_subscriber_fn *fn, void *arg)
{
	struct hub_user *u = NULL;
	size_t i = 0;
	if (name != NULL && (u = map_get(&a->users, secret_keyed_hash(name, strlen(name)))) == NULL)
		return;
	while (u != NULL || (name == NULL && (u = map_next(&a->users, &i)) != NULL)) {
		ref_user(u); /* fn may detach the last one */
		for (struct subscriber *s = u->subscribers, *next; s != NULL; s = next) {
			next = s->next;
			fn(arg, s);
		}
		struct hub_user *was = u;
		u = NULL;
		if (name == NULL && was->refs == 1) { /* freeing it now would move entries under map_next() */
			was->refs = 0;
			fall_idle(was);
			continue;
		}
		hub_user_unref(was);
		if (name != NULL)
			break;
	}
}

void audience_forget(struct audience *a)
{
	struct hub_user *u;
	size_t i = 0;
	while (!list_empty(&a->idle))
		free_user(container_of(a->idle.next, struct hub_user, idle));
	while (i = 0, (u = map_next(&a->users, &i)) != NULL) {
		remove_edges(u);
		u->is_stale = true;
		map_remove(&a->users, u->key);
	}
}

/* ---- delivering ---- */

static void apply_member(struct hub_user *u, const struct frame *f)
{
	struct edge *e = find_edge(u, f->chats[0]);
	if (f->member.since > 0 && e == NULL)
		add_edge(u, f->chats[0], f->member.since, f->member.floor);
	else if (f->member.since == 0 && e != NULL)
		remove_edge(u, e);
}

void audience_leave(struct audience *a, const struct frame *f)
{
	struct hub_user *u = map_get(&a->users, f->user_key);
	struct edge *e = u != NULL && u->loaded && f->pos > u->loaded_at ? find_edge(u, f->chats[0]) : NULL;
	if (e != NULL)
		remove_edge(u, e);
}

/* Returns true if a member receives an event of the chat, which is about a message (0: it isn't). The member may have
 * been loaded from a snapshot that is ahead of what was published here. */
static bool receives(const struct chat *c, const struct chat_member *m, const struct frame *f, uint64_t message)
{
	return !m->user->is_idle && (message == 0 || message > m->floor) &&
		(f->pos > m->user->loaded_at || f->pos > find_edge(m->user, c->id)->since);
}

void audience_deliver(struct audience *a, struct frame *f, audience_frame_fn *fn, void *arg)
{
	bool about_user = f->user != NULL && (f->kind == FRAME_MEMBER || f->kind == FRAME_USER);
	struct hub_user *subject = about_user ? map_get(&a->users, f->user_key) : NULL;
	bool applies = subject != NULL && f->kind == FRAME_MEMBER && subject->loaded && f->pos > subject->loaded_at;
	uint64_t message = frame_message_id(f);
	if (applies && f->member.since > 0)
		apply_member(subject, f);
	for (unsigned i = 0; i < f->chats_count && !f->to_user_only; i++) {
		struct chat *c = map_get(&a->chats, f->chats[i]);
		for (uint32_t m = 0; c != NULL && m < c->count; m++)
			if (receives(c, &c->members[m], f, message))
				for (struct subscriber *s = c->members[m].user->subscribers; s != NULL; s = s->next)
					fn(arg, s, f);
	}
	if (subject != NULL && !subject->is_idle)
		for (struct subscriber *s = subject->subscribers; s != NULL; s = s->next)
			fn(arg, s, f);
	if (applies && f->member.since == 0)
		apply_member(subject, f);
}

static void deliver_to_user(const struct hub_user *u, const struct live *l, audience_frame_fn *fn, void *arg)
{
	if (u->is_idle || u->key == l->except)
		return;
	for (struct subscriber *s = u->subscribers; s != NULL; s = s->next)
		fn(arg, s, l->f);
}

void audience_deliver_live(struct audience *a, const struct live *l, audience_frame_fn *fn, void *arg)
{
	struct live rest = *l; /* live_next_user() takes it apart */
	for (unsigned i = 0; i < l->f->chats_count; i++) {
		const struct chat *c = map_get(&a->chats, l->f->chats[i]);
		for (uint32_t m = 0; c != NULL && m < c->count; m++)
			deliver_to_user(c->members[m].user, l, fn, arg);
	}
	const struct hub_user *one;
	for (size_t i = 0; live_is_for_all(l) && (one = map_next(&a->users, &i)) != NULL;)
		deliver_to_user(one, l, fn, arg);
	for (uint64_t key; !live_is_for_all(l) && (key = live_next_user(&rest)) != 0;) {
		const struct hub_user *u = map_get(&a->users, key);
		if (u != NULL)
			deliver_to_user(u, l, fn, arg);
	}
}

/* ---- opening ---- */

static struct position later_of(struct position a, struct position b) { return a.pos > b.pos ? a : b; }

/* The position from which a user who asks for no history starts. */
static struct position now_of(const struct hub_user *u)
{
	return later_of(tail_head(u->audience->tail), (struct position) { u->loaded_at, u->loaded_check });
}

static void answer(struct opening *o, enum hub_start outcome, const char *reason, struct position at)
{
	if (o->user->is_stale)
		outcome = HUB_START_AWAY; /* what was loaded is of another history */
	struct hub_opening result = { .outcome = outcome, .reason = reason, .user = o->user, .at = at };
	if (outcome == HUB_START_AWAY) {
		hub_user_unref(o->user);
		result.user = NULL;
	}
	o->on_open(o->arg, &result);
	free(o);
}

static void away(struct opening *o) { answer(o, HUB_START_AWAY, NULL, (struct position) { 0 }); }

static void reset(struct opening *o, const char *reason) { answer(o, HUB_START_RESET, reason, now_of(o->user)); }

/* The database knows positions that this worker doesn't: those from before it started, and those of workers that are
 * ahead. If no position was given, the start is the database's head, because this worker may be a moment behind. */
static void on_looked(void *arg, const struct pg_result *r)
{
	struct opening *o = arg;
	if (!pg_ok(r) || strcmp(pg_text(r, 0, 4), tail_epoch(o->audience->tail)) != 0) {
		away(o);
		return;
	}
	struct position head = { (uint64_t)pg_int(r, 0, 2), (uint32_t)pg_int(r, 0, 3) }, at = o->since.at;
	bool exists = !pg_null(r, 0, 0);
	uint32_t check = (uint32_t)pg_int(r, 0, 0);
	if (!o->has_since)
		answer(o, HUB_START, NULL, later_of(now_of(o->user), head));
	else if (at.pos < (uint64_t)pg_int(r, 0, 5))
		reset(o, "expired");
	else if (!exists)
		reset(o, "future");
	else if (o->since.unchecked ? at.pos > (uint64_t)pg_int(r, 0, 1) : at.check != check)
		reset(o, "rewound");
	else
		answer(o, HUB_START, NULL, (struct position) { at.pos, check });
}

static void query_log(struct opening *o)
{
	char pos[24];
	snprintf(pos, sizeof(pos), "%" PRIu64, o->since.at.pos);
	pg_pool_call(o->audience->pool,
		"select \"check\", unchecked, head, head_check, epoch, horizon from log_look($1)", 1,
		(const char *[]) { o->has_since ? pos : NULL }, on_looked, o);
}

static void resolve(struct opening *o, bool just_loaded)
{
	const struct audience *a = o->audience;
	enum marks_answer known = o->has_since && !o->since.unchecked ? tail_look(a->tail, o->since.at) : MARKS_UNKNOWN;
	if (!o->has_since && just_loaded)
		answer(o, HUB_START, NULL, now_of(o->user));
	else if (o->has_since && strcmp(o->since.epoch, tail_epoch(a->tail)) != 0)
		reset(o, "foreign_epoch");
	else if (o->has_since && o->since.at.pos < a->horizon)
		reset(o, "expired");
	else if (known == MARKS_SAME)
		answer(o, HUB_START, NULL, o->since.at);
	else if (known == MARKS_OTHER)
		reset(o, "rewound");
	else
		query_log(o);
}

static void load(struct hub_user *u);

/* doc/protocols.md, "Chats of a subscriber". */
static void parse_edges(struct hub_user *u, const char *chats)
{
	uint64_t chat, since, floor;
	int n;
	while (sscanf(chats, "%" SCNu64 ":%" SCNu64 ":%" SCNu64 "%n", &chat, &since, &floor, &n) == 3) {
		add_edge(u, chat, since, floor);
		chats += n;
		chats += *chats == ' ';
	}
}

struct member_frames {
	struct frame **frames;
	size_t count;
};

static void collect(void *arg, struct frame *f)
{
	struct member_frames *m = arg;
	m->frames = mem_resize(m->frames, m->count + 1, sizeof(struct frame *));
	m->frames[m->count++] = f;
}

/* Applies the changes of the user's memberships between the snapshot and the head. */
static void apply_since_snapshot(struct hub_user *u)
{
	struct member_frames m = { 0 };
	ring_walk(tail_ring(u->audience->tail), ring_user_key(u->key), u->loaded_at, collect, &m);
	while (m.count > 0) { /* they are newest first: walks backwards */
		struct frame *f = m.frames[--m.count];
		if (f->kind == FRAME_MEMBER)
			apply_member(u, f);
	}
	free(m.frames);
}

static void on_loaded(void *arg, const struct pg_result *r)
{
	struct hub_user *u = arg;
	struct audience *a = u->audience;
	/* The answer is of no use if it is from a server that the tail doesn't follow. */
	bool ok = pg_ok(r) && !u->is_stale && strcmp(pg_text(r, 0, 2), tail_epoch(a->tail)) == 0 &&
		tail_look(a->tail, (struct position) { (uint64_t)pg_int(r, 0, 0), (uint32_t)pg_int(r, 0, 1) }) !=
			MARKS_OTHER;
	if (!pg_ok(r) && !pg_away(r))
		log_error("can't load the chats of %s: %s", u->name, pg_message(r));
	if (ok) {
		u->loaded_at = (uint64_t)pg_int(r, 0, 0);
		u->loaded_check = (uint32_t)pg_int(r, 0, 1);
		if (ring_floor(tail_ring(a->tail)) > u->loaded_at) {
			load(u); /* the ring doesn't reach back to the snapshot any more */
			return;
		}
		a->horizon = (uint64_t)pg_int(r, 0, 3);
		parse_edges(u, pg_text(r, 0, 4));
		apply_since_snapshot(u);
		u->loaded = true;
	}
	for (struct opening *o; (o = u->openings) != NULL;) {
		u->openings = o->next;
		if (ok)
			resolve(o, true);
		else
			away(o);
	}
	hub_user_unref(u); /* the load's own */
}

static void load(struct hub_user *u)
{
	pg_pool_call(u->audience->pool, "select head, head_check, epoch, horizon, chats from subscribe($1)", 1,
		(const char *[]) { u->name }, on_loaded, u);
}

void audience_open(struct audience *a, const char *name, const struct cursor *since, hub_open_fn *on_open, void *arg)
{
	uint64_t key = secret_keyed_hash(name, strlen(name));
	struct hub_user *u = map_get(&a->users, key);
	struct opening *o = mem_alloc(sizeof(*o));
	bool is_new = u == NULL;
	if (is_new)
		u = new_user(a, name, key);
	ref_user(u);
	*o = (struct opening) { .audience = a, .user = u, .has_since = since != NULL, .on_open = on_open, .arg = arg };
	if (since != NULL)
		o->since = *since;
	if (u->loaded) {
		resolve(o, false);
		return;
	}
	o->next = u->openings;
	u->openings = o;
	if (is_new) {
		ref_user(u);
		load(u);
	}
}

/* ---- */

struct audience *audience_new(
	struct loop *loop, struct hub *hub, struct tail *tail, struct pg_pool *pool, struct hub_stats *stats)
{
	struct audience *a = mem_alloc(sizeof(struct audience));
	*a = (struct audience) { .loop = loop, .hub = hub, .tail = tail, .pool = pool, .stats = stats };
	list_init(&a->idle);
	a->sweep = loop_timer_new(loop, on_sweep, a);
	loop_timer_start(a->sweep, SWEEP_MS, SWEEP_MS);
	return a;
}

void audience_free(struct audience *a)
{
	audience_forget(a);
	map_release(&a->users);
	map_release(&a->chats);
	loop_timer_free(a->sweep);
	free(a);
}

void hub_user_polled(struct hub_user *u, uint64_t pos) { u->unconfirmed = pos > u->unconfirmed ? pos : u->unconfirmed; }

bool hub_user_confirms(struct hub_user *u, uint64_t pos)
{
	bool confirms = u->unconfirmed != 0 && pos >= u->unconfirmed;
	u->unconfirmed = confirms ? 0 : u->unconfirmed;
	return confirms;
}

unsigned hub_user_chats(const struct hub_user *u) { return u->edges_count; }

struct hub_chat_view hub_user_chat(const struct hub_user *u, unsigned i)
{
	const struct edge *e = &u->edges[i];
	return (struct hub_chat_view) { e->chat->id, e->since, e->chat->members[e->place].floor };
}

bool hub_user_is_stale(const struct hub_user *u) { return u->is_stale; }
const char *hub_user_name(const struct hub_user *u) { return u->name; }
uint64_t hub_user_key(const struct hub_user *u) { return u->key; }
struct hub *hub_user_hub(const struct hub_user *u) { return u->audience->hub; }
