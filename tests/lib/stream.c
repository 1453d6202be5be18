/* SPDX-License-Identifier: MIT
 * Streams of events. See stream.h. */
#include "stream.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "suite.h"

struct stream {
	struct wire *wire;
	const struct client *who; /* NULL: unknown */
	char *head;               /* NULL: not read yet */
	int status;
	bool ndjson;
	bool borrowed; /* the wire is not freed with the stream */
	/* SSE: fields of the event being parsed */
	char *kind, *data, *id;
	char *cursor;               /* of the last event taken */
	struct event *first, *last; /* events taken; freed with the stream */
	struct event *ahead;        /* received, not taken */
	unsigned heartbeats, heartbeats_seen;
	size_t comment_bytes;
	long retry;
};

void event_free(struct event *e)
{
	if (e == NULL)
		return;
	free(e->name);
	free(e->cursor);
	json_object_put(e->json);
	free(e);
}

struct stream *stream_new(struct wire *w)
{
	struct stream *s = calloc(1, sizeof(*s));
	s->wire = w;
	s->retry = -1;
	return s;
}

void stream_free(void *stream)
{
	struct stream *s = stream;
	if (s == NULL)
		return;
	for (struct event *e; (e = s->first) != NULL;) {
		s->first = e->next;
		event_free(e);
	}
	event_free(s->ahead);
	if (!s->borrowed)
		wire_free(s->wire);
	free(s->head);
	free(s->kind);
	free(s->data);
	free(s->id);
	free(s->cursor);
	free(s);
}

struct wire *stream_wire(const struct stream *s) { return s->wire; }
int stream_status(const struct stream *s) { return s->status; }
unsigned stream_heartbeats(const struct stream *s) { return s->heartbeats; }
long stream_retry(const struct stream *s) { return s->retry; }
size_t stream_comment_bytes(const struct stream *s) { return s->comment_bytes; }
const char *stream_cursor(const struct stream *s) { return s->cursor != NULL ? format("%s", s->cursor) : NULL; }

struct answer stream_head(const struct stream *s) { return (struct answer) { .head = s->head }; }

const char *stream_header(const struct stream *s, const char *name) { return answer_header(stream_head(s), name); }

/* --- reading --- */

static void replace(char **text, char *by)
{
	free(*text);
	*text = by;
}

static bool read_head(struct stream *s)
{
	size_t len;
	const char *data = wire_data(s->wire, &len), *end = memmem(data, len, "\r\n\r\n", 4);
	if (end == NULL)
		return false;
	s->head = strndup(data, (size_t)(end - data) + 2);
	if (sscanf(s->head, "HTTP/1.%*1[01] %d", &s->status) != 1)
		s->status = -1;
	const char *type = stream_header(s, "Content-Type");
	s->ndjson = type != NULL && strncmp(type, "application/x-ndjson", 20) == 0;
	wire_take(s->wire, (size_t)(end - data) + 4);
	return true;
}

/* Takes a line; NULL: no complete line. */
static char *read_line(struct stream *s)
{
	size_t len;
	const char *data = wire_data(s->wire, &len), *end = len > 0 ? memchr(data, '\n', len) : NULL;
	if (end == NULL)
		return NULL;
	size_t n = (size_t)(end - data);
	char *line = strndup(data, n > 0 && data[n - 1] == '\r' ? n - 1 : n);
	wire_take(s->wire, n + 1);
	return line;
}

static struct event *event_new(const char *name, const char *cursor, struct json_object *json)
{
	struct event *e = calloc(1, sizeof(*e));
	e->name = strdup(name);
	e->cursor = cursor != NULL ? strdup(cursor) : NULL;
	e->json = json;
	return e;
}

/* Ends an SSE event. NULL: it had no data, or was a heartbeat. */
static struct event *dispatch(struct stream *s)
{
	struct event *e = NULL;
	if (s->id != NULL)
		replace(&s->cursor, strdup(s->id));
	if (s->data != NULL) {
		struct json_object *json = json_path_parse(s->data, strlen(s->data));
		ck_assert_msg(json != NULL, "an event's data is no JSON: %s", s->data);
		if (s->kind != NULL && strcmp(s->kind, "heartbeat") == 0) {
			ck_assert_msg(s->id != NULL && json_object_object_length(json) == 0,
				"a heartbeat without an id, or with data: %s", s->data);
			s->heartbeats++;
			json_object_put(json);
		} else {
			e = event_new(s->kind != NULL ? s->kind : "message", s->cursor, json);
		}
	}
	replace(&s->kind, NULL);
	replace(&s->data, NULL);
	replace(&s->id, NULL);
	return e;
}

static void read_field(struct stream *s, const char *line)
{
	const char *colon = strchr(line, ':'), *value = colon != NULL ? colon + 1 + (colon[1] == ' ') : "";
	size_t n = colon != NULL ? (size_t)(colon - line) : strlen(line);
	if (n == 0)
		s->comment_bytes += strlen(line) + 1;
	else if (n == 2 && strncmp(line, "id", n) == 0)
		replace(&s->id, strdup(value));
	else if (n == 5 && strncmp(line, "event", n) == 0)
		replace(&s->kind, strdup(value));
	else if (n == 5 && strncmp(line, "retry", n) == 0)
		s->retry = strtol(value, NULL, 10);
	else if (n == 4 && strncmp(line, "data", n) == 0) {
		ck_assert_msg(s->data == NULL, "data in more than one line: %s", line);
		replace(&s->data, strdup(value));
	}
}

static struct event *read_ndjson(struct stream *s, const char *line)
{
	struct json_object *json = json_path_parse(line, strlen(line));
	ck_assert_msg(json != NULL, "a line is no JSON: %s", line);
	if (json_has(json, "cursor"))
		replace(&s->cursor, strdup(json_str(json, "cursor")));
	struct event *e = NULL;
	if (strcmp(json_str(json, "event"), "heartbeat") == 0)
		s->heartbeats++;
	else
		e = event_new(json_str(json, "event"), s->cursor, json_object_get(json_at(json, "data")));
	json_object_put(json);
	return e;
}

struct event *stream_next(struct stream *s)
{
	if (s->head == NULL && !read_head(s))
		return NULL;
	struct event *e = NULL;
	for (char *line; e == NULL && (line = read_line(s)) != NULL; free(line)) {
		if (s->ndjson)
			e = *line != '\0' ? read_ndjson(s, line) : NULL;
		else if (*line == '\0')
			e = dispatch(s);
		else
			read_field(s, line);
	}
	return e;
}

/* --- waiting --- */

static void await_head(struct stream *s)
{
	uint64_t until = clock_mono_ms() + PATIENCE;
	wire_pump(s->wire);
	while (!read_head(s)) {
		ck_assert_msg(!wire_ended(s->wire), "the server closed before it answered");
		wire_wait(s->wire, time_left(until, "the head of a stream"));
		wire_pump(s->wire);
	}
}

struct stream *stream_on(struct wire *w)
{
	struct stream *s = stream_new(w);
	s->borrowed = true;
	on_teardown(stream_free, s);
	await_head(s);
	return s;
}

static struct stream *open_at(const struct client *who, const char *query)
{
	struct wire *w = wire_new(who->server, 0);
	ck_assert_ptr_nonnull(w);
	struct stream *s = on_teardown(stream_free, stream_new(w));
	s->who = who;
	wire_send(w, "GET /v1/stream%s HTTP/1.1\r\nHost: localhost\r\n", query);
	if (who->token != NULL)
		wire_send(w, "Authorization: Bearer %s\r\n", who->token);
	for (size_t i = 0; i < CLIENT_HEADERS && who->headers[i] != NULL; i++)
		wire_send(w, "%s\r\n", who->headers[i]);
	wire_send(w, "\r\n");
	await_head(s);
	size_t len;
	ck_assert_msg(s->status == 200, "the stream was refused: %s%s", s->head, wire_data(w, &len));
	return s;
}

struct stream *stream_open(const struct client *who, const char *fmt, ...)
{
	char *query = NULL;
	va_list ap;
	va_start(ap, fmt);
	if (fmt != NULL)
		ck_assert_int_ge(vasprintf(&query, fmt, ap), 0);
	va_end(ap);
	return open_at(who, query != NULL ? on_teardown(free, query) : "");
}

struct stream *stream_from_now(const struct client *who)
{
	struct stream *s = open_at(who, "");
	expect(s, "hello");
	return s;
}

struct stream *stream_since(const struct client *who, const char *cursor)
{
	struct stream *s = open_at(who, format("?since=%s", cursor));
	expect(s, "hello");
	return s;
}

void stream_cut(struct stream *s)
{
	ck_assert(!s->borrowed);
	wire_free(s->wire);
	s->wire = NULL;
	s->borrowed = true;
}

static bool is_system(const struct event *e)
{
	return strcmp(e->name, "message") == 0 && json_has(e->json, "type") &&
		strcmp(json_str(e->json, "type"), "system") == 0;
}

static bool is_ephemeral(const char *kind)
{
	static const char *const kinds[] = { "delivered", "read", "typing", "presence", "signal", "announcement",
		"chat_request" };
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strcmp(kind, kinds[i]) == 0)
			return true;
	return false;
}

/* Waits for the next event and leaves it in s->ahead. NULL: the stream has ended. */
static struct event *await_event(const char *file, int line, struct stream *s, const char *kind)
{
	uint64_t until = clock_mono_ms() + PATIENCE;
	for (;;) {
		if (s->ahead == NULL)
			s->ahead = stream_next(s);
		bool wanted = s->ahead != NULL && strcmp(is_system(s->ahead) ? "system" : s->ahead->name, kind) == 0;
		if (wanted || (s->ahead != NULL && !is_system(s->ahead) && !is_ephemeral(s->ahead->name)))
			return s->ahead;
		if (s->ahead == NULL && wire_ended(s->wire))
			return NULL;
		if (s->ahead == NULL) {
			if (clock_mono_ms() >= until)
				fail_at(file, line, "waited in vain for %s, having got up to %s", kind,
					s->cursor != NULL ? s->cursor : "nothing");
			wire_wait(s->wire, (int)(until - clock_mono_ms()));
			wire_pump(s->wire);
		}
		if (s->ahead != NULL) {
			event_free(s->ahead);
			s->ahead = NULL;
		}
	}
}

/* Takes the event in s->ahead; it is kept until the stream is freed. */
static struct event *take(struct stream *s)
{
	struct event *e = s->ahead;
	s->ahead = NULL;
	if (e != NULL) {
		*(s->last != NULL ? &s->last->next : &s->first) = e;
		s->last = e;
	}
	return e;
}

const char *stream_peek(struct stream *s)
{
	struct event *e = await_event(__FILE__, __LINE__, s, "anything");
	ck_assert_msg(e != NULL, "the stream ended");
	return e->name;
}

bool stream_is_over(struct stream *s) { return await_event(__FILE__, __LINE__, s, "anything") == NULL; }

struct json_object *stream_expect(const char *file, int line, struct stream *s, const char *kind)
{
	(void)await_event(file, line, s, kind);
	struct event *e = take(s);
	if (e == NULL)
		fail_at(file, line, "the stream ended instead of saying %s", kind);
	if (strcmp(e->name, kind) != 0)
		fail_at(file, line, "%s came instead of %s: %s", e->name, kind, json_object_to_json_string(e->json));
	return e->json;
}

struct json_object *stream_expect_system(const char *file, int line, struct stream *s, const char *code)
{
	struct event *e;
	while ((e = await_event(file, line, s, "system")) != NULL && !is_system(e))
		take(s);
	take(s);
	if (e == NULL || strcmp(json_path_str(file, line, e->json, "content.code"), code) != 0)
		fail_at(file, line, "%s came instead of %s",
			e != NULL ? json_object_to_json_string(e->json) : "the end", code);
	return e->json;
}

struct json_object *stream_expect_message(const char *file, int line, struct stream *s, long long id)
{
	struct json_object *json = stream_expect(file, line, s, "message");
	if (json_path_num(file, line, json, "id") != id)
		fail_at(file, line, "message %lld came instead of %lld", json_path_num(file, line, json, "id"), id);
	return json;
}

void stream_expect_quiet(const char *file, int line, struct stream *s)
{
	ck_assert_ptr_nonnull(s->who);
	struct answer a =
		client_expect_status(file, line, post(s->who, "/v1/chats", "{'kind':'group','title':'quiet'}"), 201);
	long long chat = json_path_num(file, line, a.json, "id");
	if (json_path_num(file, line, stream_expect(file, line, s, "member"), "chat") != chat ||
		json_path_num(file, line, stream_expect(file, line, s, "chat"), "id") != chat)
		fail_at(file, line, "something came before: %s", json_object_to_json_string(s->last->json));
}

/* Takes the next event of any kind. */
static struct event *any_event(const char *file, int line, struct stream *s, const char *waiting_for)
{
	uint64_t until = clock_mono_ms() + PATIENCE;
	while (s->ahead == NULL && (s->ahead = stream_next(s)) == NULL) {
		if (wire_ended(s->wire))
			fail_at(file, line, "the stream ended instead of saying %s", waiting_for);
		if (clock_mono_ms() >= until)
			fail_at(file, line, "waited in vain for %s", waiting_for);
		wire_wait(s->wire, (int)(until - clock_mono_ms()));
		wire_pump(s->wire);
	}
	return take(s);
}

struct json_object *stream_expect_ephemeral(const char *file, int line, struct stream *s, const char *kind)
{
	struct event *e;
	while (strcmp((e = any_event(file, line, s, kind))->name, kind) != 0)
		if (is_ephemeral(e->name))
			fail_at(file, line, "%s came instead of %s: %s", e->name, kind,
				json_object_to_json_string(e->json));
	return e->json;
}

void stream_expect_no_ephemeral(const char *file, int line, struct stream *s)
{
	struct event *e;
	ck_assert_ptr_nonnull(s->who);
	struct answer a = client_expect_status(
		file, line, post(s->who, "/v1/chats", "{'kind':'group','title':'quiet','members':[]}"), 201);
	while (strcmp((e = any_event(file, line, s, "a chat"))->name, "chat") != 0 ||
		json_path_num(file, line, e->json, "id") != json_path_num(file, line, a.json, "id"))
		if (is_ephemeral(e->name))
			fail_at(file, line, "heard %s: %s", e->name, json_object_to_json_string(e->json));
}

void stream_expect_end(const char *file, int line, struct stream *s)
{
	struct event *e = await_event(file, line, s, "bye");
	if (e != NULL && strcmp(e->name, "bye") == 0) {
		take(s);
		e = await_event(file, line, s, "the end");
	}
	if (e != NULL)
		fail_at(file, line, "%s came instead of the end: %s", e->name, json_object_to_json_string(e->json));
}

void expect_heartbeat(struct stream *s)
{
	uint64_t until = clock_mono_ms() + PATIENCE;
	while (s->heartbeats == s->heartbeats_seen) {
		ck_assert_msg(s->ahead == NULL, "%s came instead of a heartbeat", s->ahead->name);
		s->ahead = stream_next(s);
		if (s->ahead == NULL && s->heartbeats == s->heartbeats_seen) {
			ck_assert_msg(!wire_ended(s->wire), "the stream ended instead of beating");
			wire_wait(s->wire, time_left(until, "a heartbeat"));
			wire_pump(s->wire);
		}
	}
	s->heartbeats_seen++;
}
