/* SPDX-License-Identifier: MIT
 * A load of many users: people in rooms who send with keys and retry, and watchers whose streams are cut and resumed
 * at random. One thread, one poll(2). An error fails the test at once, a missing message at the end.
 *
 *     struct load *l = load_new(&plan, nodes, 2);
 *     load_run(l, kill_something, arg);   // until every send is confirmed and has arrived
 *     load_check(l);                      // against the rules, and against the history
 *
 * The owner of all rooms is one more person; their watcher, the witness, is never cut. */
#ifndef FAULT_LOAD_H
#define FAULT_LOAD_H

#include <stdbool.h>
#include <stddef.h>

#include "../lib/client.h"

struct plan {
	unsigned people, rooms;     /* each person is in about a quarter of the rooms, at least in two */
	unsigned senders, watchers; /* distributed over the people and the nodes */
	unsigned messages;
	unsigned cuts_a_second;
	bool may_be_refused; /* members are kicked during the load: a send may be answered 404 */
	unsigned seed;
};

struct load;

struct load *load_new(const struct plan *plan, struct server *const nodes[], size_t node_count);
void load_free(void *load);

/* Runs the load. on_turn is called in every turn of the loop with the number of decided sends; may be NULL. */
void load_run(struct load *l, void (*on_turn)(struct load *l, size_t decided, void *arg), void *arg);
/* Asserts that every watcher got every message of their rooms once, in ascending order, and nothing else, and nothing
 * from an absence; and that nobody sent while absent. A stream that was cut may lack messages from before an absence,
 * if it was closed during both. */
void load_check(struct load *l);

/* For on_turn: kicks a person who isn't the owner from one of their rooms, or adds them again. Waits for the answer. */
void load_kick_or_return(struct load *l);
unsigned load_random(struct load *l, unsigned below);
size_t load_messages(const struct load *l);
/* Prints a summary as a TAP comment. */
void load_report(const struct load *l, const char *name);

#endif
