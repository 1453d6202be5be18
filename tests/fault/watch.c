/* SPDX-License-Identifier: MIT
 * Watchers: streams that are cut, and resume with the cursor of the last event that they received completely. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/suite.h"
#include "base/clock.h"
#include "town.h"

enum { RETRY_MS = 30, AWAY_MS = 300 };

void watcher_init(struct load *l, struct watcher *w, struct person *who, bool steady)
{
	struct client *at_first = on_server(who->client, l->nodes[0]);
	*w = (struct watcher) { .who = who, .steady = steady };
	w->cursor = strdup(json_str(expect_status(get(at_first, "/v1/sync"), 200).json, "cursor"));
}

void watcher_release(struct load *l, struct watcher *w)
{
	stream_free(w->stream);
	free(w->cursor);
	for (unsigned r = 0; r < l->room_count; r++)
		free(w->rooms[r].ids);
}

struct wire *watcher_wire(const struct watcher *w) { return w->stream != NULL ? stream_wire(w->stream) : NULL; }

static void hang_up(struct watcher *w)
{
	stream_free(w->stream);
	w->stream = NULL;
	w->retry_ms = clock_mono_ms() + RETRY_MS;
}

void watcher_cut(struct load *l, struct watcher *w)
{
	if (w->steady || w->stream == NULL)
		return;
	l->cuts++;
	hang_up(w);
	w->retry_ms = clock_mono_ms() + (load_random(l, 2) ? load_random(l, AWAY_MS) : 0);
}

static void open_stream(struct load *l, struct watcher *w)
{
	struct wire *wire = wire_new(l->nodes[load_random(l, l->node_count)], 0);
	char request[512];
	snprintf(request, sizeof(request),
		"GET /v1/stream?since=%s%s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n\r\n", w->cursor,
		load_random(l, 3) == 0 ? "&format=ndjson" : "", w->who->client->token);
	if (wire == NULL || !wire_bytes(wire, request, strlen(request))) {
		wire_free(wire);
		w->retry_ms = clock_mono_ms() + RETRY_MS;
		return;
	}
	w->stream = stream_new(wire);
}

static void arrived(struct load *l, struct watcher *w, struct json_object *json)
{
	struct room *room = room_of(l, json_num(json, "chat"));
	if (room == NULL || !w->who->joined[room_index(l, room)])
		ck_abort_msg("a message reached %s, who isn't in its chat: %s", w->who->client->name,
			json_object_to_json_string(json));
	struct arrivals *a = &w->rooms[room_index(l, room)];
	long long id = json_num(json, "id");
	if (a->count > 0 && a->ids[a->count - 1] >= id)
		ck_abort_msg("%lld reached %s after %lld", id, w->who->client->name, a->ids[a->count - 1]);
	if (a->count == a->size)
		a->ids = realloc(a->ids, (a->size = a->size ? 2 * a->size : 64) * sizeof(a->ids[0]));
	a->ids[a->count++] = id;
	l->deliveries++;
	l->progress_ms = clock_mono_ms();
}

static struct person *person_of(struct load *l, const char *name)
{
	for (unsigned i = 0; i < l->person_count; i++)
		if (strcmp(l->people[i].client->name, name) == 0)
			return &l->people[i];
	return NULL;
}

/* The witness records absences. */
static void witness(struct load *l, struct json_object *json)
{
	struct person *who = person_of(l, json_str(json, "name"));
	struct room *room = room_of(l, json_num(json, "chat"));
	long long rev = json_num(json, "rev");
	ck_assert(who != NULL && room != NULL);
	l->kicks_seen++;
	if (strcmp(json_str(json, "state"), "joined") != 0) {
		if (l->absence_count == l->absence_size)
			l->absences = realloc(l->absences,
				(l->absence_size = l->absence_size ? 2 * l->absence_size : 64) *
					sizeof(l->absences[0]));
		l->absences[l->absence_count++] = (struct absence) { .who = who, .room = room, .from = rev };
		return;
	}
	for (size_t i = l->absence_count; i-- > 0;)
		if (l->absences[i].who == who && l->absences[i].room == room) {
			l->absences[i].to = rev;
			return;
		}
	ck_abort_msg("%s joined without having been away", who->client->name);
}

static void on_event(struct load *l, struct watcher *w, const struct event *e)
{
	if (strcmp(e->name, "message") == 0)
		arrived(l, w, e->json);
	else if (strcmp(e->name, "member") == 0 && w == &l->watchers[0])
		witness(l, e->json);
	else if (strcmp(e->name, "hello") == 0)
		l->resumed++;
	else if (strcmp(e->name, "reset") == 0)
		ck_abort_msg("%s was reset: %s", w->who->client->name, json_object_to_json_string(e->json));
	if (e->cursor != NULL && strcmp(e->cursor, w->cursor) != 0) {
		free(w->cursor);
		w->cursor = strdup(e->cursor);
	}
}

void watcher_turn(struct load *l, struct watcher *w, bool readable)
{
	if (w->stream == NULL && clock_mono_ms() >= w->retry_ms)
		open_stream(l, w);
	if (w->stream == NULL || !readable)
		return;
	bool open = wire_pump(stream_wire(w->stream));
	for (struct event *e; (e = stream_next(w->stream)) != NULL; event_free(e)) {
		if (stream_status(w->stream) == 200)
			on_event(l, w, e);
	}
	int status = stream_status(w->stream);
	ck_assert_msg(status == 0 || status == 200 || status == 503, "a stream was answered %d", status);
	if (!open || status == 503)
		hang_up(w);
}
