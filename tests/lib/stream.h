/* SPDX-License-Identifier: MIT
 * A stream of events as a client has it: SSE by the WHATWG's rules, or NDJSON, whichever the server answers with.
 *
 *     struct stream *s = stream_from_now(bob);   // opened, its hello read
 *     say(alice, chat, "hi");
 *     ck_assert_str_eq(json_str(expect(s, "message"), "text"), "hi"); */
#ifndef LIB_STREAM_H
#define LIB_STREAM_H

#include <stdbool.h>
#include <stddef.h>

#include "client.h"

struct stream;

struct event {
	char *name;   /* "message", … */
	char *cursor; /* its id */
	struct json_object *json;
	struct event *next;
};

/* Opens /v1/stream with a query ("?since=…"; NULL: none) and reads the head, which must be a 200. Lives until the end
 * of the test. */
struct stream *stream_open(const struct client *who, const char *query_fmt, ...) PATH_LIKE(2, 3);
/* Opens a stream from now, or from a cursor, and takes hello. */
struct stream *stream_from_now(const struct client *who);
struct stream *stream_since(const struct client *who, const char *cursor);
/* Makes a stream of a connection on which it was requested. */
struct stream *stream_on(struct wire *w);
/* Closes the connection at once; data received and not taken is lost. */
void stream_cut(struct stream *s);

/* Waits for the next event, which must be of this kind; returns its data. Skips ephemeral events (typing, presence,
 * …), system messages and heartbeats, unless one of them is expected. */
#define expect(s, kind) stream_expect(__FILE__, __LINE__, s, kind)
struct json_object *stream_expect(const char *file, int line, struct stream *s, const char *kind);
/* The same for a message with this id. */
#define expect_message(s, id) stream_expect_message(__FILE__, __LINE__, s, id)
struct json_object *stream_expect_message(const char *file, int line, struct stream *s, long long id);
/* Waits for the next system message, skipping everything else; it must have this code. */
#define expect_system(s, code) stream_expect_system(__FILE__, __LINE__, s, code)
struct json_object *stream_expect_system(const char *file, int line, struct stream *s, const char *code);
/* Asserts that there are no other events for this user: creates a chat as that user, whose events must be next. */
#define expect_quiet(s) stream_expect_quiet(__FILE__, __LINE__, s)
void stream_expect_quiet(const char *file, int line, struct stream *s);
/* Waits for the next ephemeral event, which must be of this kind; skips events of the log. */
#define expect_ephemeral(s, kind) stream_expect_ephemeral(__FILE__, __LINE__, s, kind)
struct json_object *stream_expect_ephemeral(const char *file, int line, struct stream *s, const char *kind);
/* Asserts that no ephemeral event has arrived so far. */
#define expect_no_ephemeral(s) stream_expect_no_ephemeral(__FILE__, __LINE__, s)
void stream_expect_no_ephemeral(const char *file, int line, struct stream *s);
/* Asserts that the server ends the stream and sends nothing but bye. */
#define expect_end(s) stream_expect_end(__FILE__, __LINE__, s)
void stream_expect_end(const char *file, int line, struct stream *s);
/* Waits for the next event and returns its kind without taking it; skips ephemeral events. */
const char *stream_peek(struct stream *s);
/* Waits for more data without taking it. Returns true if the server has ended the stream. */
bool stream_is_over(struct stream *s);
/* Waits until a heartbeat and nothing else has arrived since the last call or the opening. */
void expect_heartbeat(struct stream *s);

const char *stream_cursor(
	const struct stream *s); /* of the last event or heartbeat taken; lives until the end of the test */
const char *stream_header(const struct stream *s, const char *name); /* NULL: absent */
struct answer stream_head(const struct stream *s);                   /* for expect_header() */
unsigned stream_heartbeats(const struct stream *s);
long stream_retry(const struct stream *s); /* in ms; -1: none was sent */
size_t stream_comment_bytes(const struct stream *s);

/* Primitives for programs with many streams. None of them blocks. */
struct stream *stream_new(struct wire *w); /* owns the wire; release with stream_free() */
void stream_free(void *stream);
struct wire *stream_wire(const struct stream *s);
/* Returns the next complete event, including heartbeats and ephemeral events; NULL: none yet. Release with
 * event_free(). */
struct event *stream_next(struct stream *s);
void event_free(struct event *e);
int stream_status(const struct stream *s); /* of the head; 0: not read yet */

#endif
