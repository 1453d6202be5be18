/* SPDX-License-Identifier: MIT
 * Intrusive doubly linked list: a node is embedded in what it links, so that joining and leaving a list never
 * allocates. An initialised node that is on no list points to itself. */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
	struct list *prev, *next;
};

#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

static inline void list_init(struct list *l) { l->prev = l->next = l; }
static inline bool list_empty(const struct list *l) { return l->next == l; }

/* Puts a node that is on no list at the end of l. */
static inline void list_append(struct list *l, struct list *node)
{
	node->prev = l->prev;
	node->next = l;
	l->prev->next = node;
	l->prev = node;
}

/* Removes the node from its list; does nothing if it is in none. */
static inline void list_remove(struct list *node)
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
	list_init(node);
}

/* Moves every node of from to the end of to. */
static inline void list_splice(struct list *to, struct list *from)
{
	if (list_empty(from))
		return;
	from->next->prev = to->prev;
	to->prev->next = from->next;
	from->prev->next = to;
	to->prev = from->prev;
	list_init(from);
}

/* Removes and returns the first node; NULL when the list is empty. */
static inline struct list *list_shift(struct list *l)
{
	struct list *first = l->next;
	if (first == l)
		return NULL;
	list_remove(first);
	return first;
}

#endif
