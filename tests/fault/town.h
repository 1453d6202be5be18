/* SPDX-License-Identifier: MIT
 * Structures shared by load.c, watch.c and check.c. */
#ifndef FAULT_TOWN_H
#define FAULT_TOWN_H

#include "../lib/stream.h"
#include "load.h"

enum { PEOPLE_MAX = 128, ROOMS_MAX = 32, NODES_MAX = 4, SOCKETS_MAX = 512 };

/* The text of a message: its chat, and its index in load.messages. */
#define TEXT "%lld:%u"

struct room {
	long long chat;
	size_t confirmed; /* messages that every member must see */
};

struct person {
	struct client *client;
	bool joined[ROOMS_MAX];   /* at the beginning */
	bool away[ROOMS_MAX];     /* kicked at the moment */
	bool troubled[ROOMS_MAX]; /* was kicked at least once */
};

struct message {
	struct room *room;
	struct person *from;
	long long id; /* 0: not confirmed */
};

/* A person wasn't a member between two positions. */
struct absence {
	struct person *who;
	struct room *room;
	long long from, to; /* up to 0: still no member */
};

struct sender {
	struct person *who;
	struct wire *wire;
	struct message *message; /* in flight, or to be retried */
	bool in_flight;
	unsigned long long sent_ms, retry_ms;
};

/* The ids received in one room, ascending. */
struct arrivals {
	long long *ids;
	size_t count, size;
};

struct watcher {
	struct person *who;
	struct stream *stream; /* NULL: down */
	bool steady;           /* never cut */
	char *cursor;
	unsigned long long retry_ms;
	struct arrivals rooms[ROOMS_MAX];
};

struct load {
	struct plan plan;
	unsigned long long seed;
	struct server *nodes[NODES_MAX];
	unsigned node_count, person_count, room_count, sender_count, watcher_count;
	struct person people[PEOPLE_MAX]; /* 0: the owner */
	struct room rooms[ROOMS_MAX];
	struct sender *senders;
	struct watcher *watchers; /* 0: the witness */
	struct message *messages;
	size_t message_count, composed, decided;
	struct absence *absences; /* as the witness received them */
	size_t absence_count, absence_size;
	size_t kicks_done, kicks_seen; /* kicks and additions */
	size_t requests, repeated, refused, away, lost, deliveries, cuts, resumed;
	unsigned long long begin_ms, end_ms, progress_ms, next_cut_ms;
};

struct room *room_of(struct load *l, long long chat); /* NULL: not a room of the load */
static inline unsigned room_index(const struct load *l, const struct room *r) { return (unsigned)(r - l->rooms); }

void watcher_init(struct load *l, struct watcher *w, struct person *who, bool steady);
void watcher_release(struct load *l, struct watcher *w);
struct wire *watcher_wire(const struct watcher *w); /* NULL: none */
void watcher_turn(struct load *l, struct watcher *w, bool readable);
void watcher_cut(struct load *l, struct watcher *w);

/* Returns whether a watcher must have got that message, must not, or may have. */
enum duty { MUST, MUST_NOT, MAY };
enum duty duty_of(const struct load *l, const struct watcher *w, const struct message *m);
bool all_arrived(const struct load *l);
void explain_missing(const struct load *l);

#endif
