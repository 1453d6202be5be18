/* SPDX-License-Identifier: MIT
 * A town under load: people in rooms who send with keys and retry, and watchers whose streams are cut and resumed at
 * random. One thread, one poll(2); what goes wrong fails the test at once, what is missing does at the end.
 *
 *     struct load *l = load_new(&plan, nodes, 2);
 *     load_run(l, kill_something, arg);   // until every send is confirmed and has arrived
 *     load_check(l);                      // against the rules, and against the history
 *
 * The owner of all rooms is a person besides the planned ones; his watcher, the witness, is never cut. */
#ifndef FAULT_LOAD_H
#define FAULT_LOAD_H

#include <stdbool.h>
#include <stddef.h>

#include "../lib/client.h"

struct plan {
	unsigned people, rooms;     /* everyone is in about a quarter of the rooms, at least in two */
	unsigned senders, watchers; /* spread over the people, and over the nodes */
	unsigned messages;
	unsigned cuts_a_second;
	bool may_be_refused; /* members are kicked meanwhile: a send may be answered 404 */
	unsigned seed;
};

struct load;

struct load *load_new(const struct plan *plan, struct server *const nodes[], size_t node_count);
void load_free(void *load);

/* on_turn is called in every turn of the loop with the number of sends that are decided; may be NULL. */
void load_run(struct load *l, void (*on_turn)(struct load *l, size_t decided, void *arg), void *arg);
/* Every watcher saw every message of his rooms once, in ascending order, and nothing else; nothing from an absence
 * reached who was absent, and nobody sent while he was. A stream that was cut may lack what was sent before an absence,
 * if it was away for both. */
void load_check(struct load *l);

/* For on_turn: somebody who isn't the owner, in one of his rooms; kicks him, or takes him back. Waits for the answer.
 */
void load_kick_or_return(struct load *l);
unsigned load_random(struct load *l, unsigned below);
size_t load_messages(const struct load *l);
/* Says on standard output, as a TAP comment, what has happened. */
void load_report(const struct load *l, const char *name);

#endif
