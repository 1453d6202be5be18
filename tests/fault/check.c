/* SPDX-License-Identifier: MIT
 * The assertions: which watcher must have seen which message, and that the history agrees. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/suite.h"
#include "town.h"

static bool was_absent(const struct load *l, const struct person *who, const struct room *room, long long position)
{
	for (size_t i = 0; i < l->absence_count; i++) {
		const struct absence *a = &l->absences[i];
		if (a->who == who && a->room == room && position > a->from && (a->to == 0 || position < a->to))
			return true;
	}
	return false;
}

/* Returns the position since which the person has been a member without a break; 0: always; LLONG_MAX: not a member
 * now. */
static long long last_return(const struct load *l, const struct person *who, const struct room *room)
{
	long long since = 0;
	for (size_t i = 0; i < l->absence_count; i++)
		if (l->absences[i].who == who && l->absences[i].room == room &&
			(l->absences[i].to > since || l->absences[i].to == 0))
			since = l->absences[i].to != 0 ? l->absences[i].to : LLONG_MAX;
	return since;
}

enum duty duty_of(const struct load *l, const struct watcher *w, const struct message *m)
{
	if (!w->who->joined[room_index(l, m->room)] || was_absent(l, w->who, m->room, m->id))
		return MUST_NOT;
	return w->steady || m->id > last_return(l, w->who, m->room) ? MUST : MAY;
}

static int by_id(const void *a, const void *b)
{
	const struct message *x = *(const struct message *const *)a, *y = *(const struct message *const *)b;
	return (x->id > y->id) - (x->id < y->id);
}

/* Returns the confirmed messages of a room, ascending; free() it. */
static const struct message **confirmed_in(const struct load *l, const struct room *room, size_t *ret_n)
{
	const struct message **list = malloc((l->message_count + 1) * sizeof(*list));
	*ret_n = 0;
	for (size_t i = 0; i < l->message_count; i++)
		if (l->messages[i].room == room && l->messages[i].id != 0)
			list[(*ret_n)++] = &l->messages[i];
	qsort(list, *ret_n, sizeof(*list), by_id);
	return list;
}

/* Returns the first message that a watcher must have and lacks; NULL: none. Asserts that the watcher was allowed to
 * have each message that it got. */
static const struct message *compare(
	const struct load *l, const struct watcher *w, const struct room *room, const struct message **list, size_t n)
{
	const struct arrivals *got = &w->rooms[room_index(l, room)];
	const struct message *missing = NULL;
	size_t at = 0;
	for (size_t i = 0; i < n; i++) {
		enum duty duty = duty_of(l, w, list[i]);
		if (at < got->count && got->ids[at] < list[i]->id)
			ck_abort_msg("%s got %lld, whose send wasn't confirmed", w->who->client->name, got->ids[at]);
		bool has_it = at < got->count && got->ids[at] == list[i]->id;
		at += has_it;
		if (has_it && duty == MUST_NOT)
			ck_abort_msg("%s got %lld without being a member then", w->who->client->name, list[i]->id);
		if (!has_it && duty == MUST && missing == NULL)
			missing = list[i];
	}
	if (at < got->count)
		ck_abort_msg("%s got %lld, whose send wasn't confirmed", w->who->client->name, got->ids[at]);
	return missing;
}

bool all_arrived(const struct load *l)
{
	bool arrived = l->kicks_seen == l->kicks_done;
	for (unsigned r = 0; arrived && r < l->room_count; r++) {
		size_t n;
		const struct message **list = confirmed_in(l, &l->rooms[r], &n);
		for (unsigned i = 0; arrived && i < l->watcher_count; i++)
			arrived = compare(l, &l->watchers[i], &l->rooms[r], list, n) == NULL;
		free(list);
	}
	return arrived;
}

void explain_missing(const struct load *l)
{
	for (unsigned r = 0; r < l->room_count; r++) {
		size_t n;
		const struct message **list = confirmed_in(l, &l->rooms[r], &n);
		for (unsigned i = 0; i < l->watcher_count; i++) {
			const struct message *m = compare(l, &l->watchers[i], &l->rooms[r], list, n);
			if (m != NULL)
				printf("# %s (watcher %u, at %s) lacks %lld of chat %lld\n",
					l->watchers[i].who->client->name, i, l->watchers[i].cursor, m->id,
					m->room->chat);
		}
		free(list);
	}
}

/* Asserts that the history of a room has each confirmed message once and no other. */
static void check_history(const struct load *l, const struct room *room)
{
	size_t n, at = 0;
	const struct message **list = confirmed_in(l, room, &n);
	for (long long after = 0;;) {
		struct answer page = expect_status(
			get(l->people[0].client, "%s?limit=200&after=%lld", messages_path(room->chat), after), 200);
		size_t rows = json_count(page.json, "messages");
		for (size_t i = 0; i < rows; i++, at++) {
			struct json_object *row =
				json_object_array_get_idx(json_object_object_get(page.json, "messages"), i);
			after = json_num(row, "id");
			ck_assert_msg(at < n && list[at]->id == after,
				"the history has %s, which was not confirmed, or twice",
				json_object_to_json_string(row));
			const char *text = format(TEXT, room->chat, (unsigned)(list[at] - l->messages));
			ck_assert_str_eq(json_str(row, "text"), text);
			ck_assert_str_eq(json_str(row, "from"), list[at]->from->client->name);
			ck_assert_msg(!was_absent(l, list[at]->from, room, after),
				"%lld was sent by a user who wasn't a member", after);
		}
		if (rows == 0)
			break;
	}
	ck_assert_msg(at == n, "the history of chat %lld has %zu messages, but %zu were confirmed", room->chat, at, n);
	free(list);
}

void load_check(struct load *l)
{
	ck_assert(all_arrived(l));
	for (unsigned r = 0; r < l->room_count; r++)
		check_history(l, &l->rooms[r]);
}

void load_kick_or_return(struct load *l)
{
	struct person *p;
	unsigned r;
	do {
		p = &l->people[1 + load_random(l, l->person_count - 1)];
		r = load_random(l, l->room_count);
	} while (!p->joined[r]);
	char *path = member_path(l->rooms[r].chat, p->client);
	if (p->away[r])
		expect_status(put(l->people[0].client, path, "{}"), 200);
	else
		expect_status(del(l->people[0].client, "%s", path), 204);
	p->away[r] = !p->away[r];
	l->kicks_done++;
}
