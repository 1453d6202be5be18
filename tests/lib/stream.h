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

/* Opens /v1/stream with that query ("?since=…"; NULL: none) and reads the head, which must be a 200's. Until the test
 * is over. */
struct stream *stream_open(const struct client *who, const char *query_fmt, ...) PATH_LIKE(2, 3);
/* Opens one from now, or from a cursor, and takes its hello. */
struct stream *stream_from_now(const struct client *who);
struct stream *stream_since(const struct client *who, const char *cursor);
/* Makes one of a connection on which it has been asked for. */
struct stream *stream_on(struct wire *w);
/* Hangs up, at once: what has arrived and wasn't taken is lost. */
void stream_cut(struct stream *s);

/* Waits for the next event, which must be of that kind; gives its data. Ephemeral events (typing, presence, …), system
 * messages and heartbeats are passed over, unless it's one of them that is expected. */
#define expect(s, kind) stream_expect(__FILE__, __LINE__, s, kind)
struct json_object *stream_expect(const char *file, int line, struct stream *s, const char *kind);
/* The same, and that message: its id. */
#define expect_message(s, id) stream_expect_message(__FILE__, __LINE__, s, id)
struct json_object *stream_expect_message(const char *file, int line, struct stream *s, long long id);
/* Waits for the next system message, whatever else comes before it; it must have that code. */
#define expect_system(s, code) stream_expect_system(__FILE__, __LINE__, s, code)
struct json_object *stream_expect_system(const char *file, int line, struct stream *s, const char *code);
/* Asserts that nothing else has happened for this user so far: his next events are those of a chat he makes now. */
#define expect_quiet(s) stream_expect_quiet(__FILE__, __LINE__, s)
void stream_expect_quiet(const char *file, int line, struct stream *s);
/* Waits for the next ephemeral event, which must be of that kind; events of the log are passed over. */
#define expect_ephemeral(s, kind) stream_expect_ephemeral(__FILE__, __LINE__, s, kind)
struct json_object *stream_expect_ephemeral(const char *file, int line, struct stream *s, const char *kind);
/* Asserts that no ephemeral event has come up to now. */
#define expect_no_ephemeral(s) stream_expect_no_ephemeral(__FILE__, __LINE__, s)
void stream_expect_no_ephemeral(const char *file, int line, struct stream *s);
/* Asserts that the server ends the stream and has nothing more to say but bye. */
#define expect_end(s) stream_expect_end(__FILE__, __LINE__, s)
void stream_expect_end(const char *file, int line, struct stream *s);
/* Waits for the next event, without taking it; its kind, ephemeral ones passed over. */
const char *stream_peek(struct stream *s);
/* Waits for more, without taking it; true: there is no more, the server has ended the stream. */
bool stream_is_over(struct stream *s);
/* Waits until a heartbeat, and nothing else, has come since the last call, or the opening. */
void expect_heartbeat(struct stream *s);

const char *stream_cursor(const struct stream *s); /* of the latest event or heartbeat taken; until the test is over */
const char *stream_header(const struct stream *s, const char *name); /* NULL: absent */
struct answer stream_head(const struct stream *s);                   /* for expect_header() */
unsigned stream_heartbeats(const struct stream *s);
long stream_retry(const struct stream *s); /* in ms; -1: none was sent */
size_t stream_comment_bytes(const struct stream *s);

/* The pieces, for programs with many streams: none of these blocks. */
struct stream *stream_new(struct wire *w); /* takes the wire; stream_free() */
void stream_free(void *stream);
struct wire *stream_wire(const struct stream *s);
/* The next event that is wholly there, heartbeats and ephemerals included; event_free() it. NULL: none yet. */
struct event *stream_next(struct stream *s);
void event_free(struct event *e);
int stream_status(const struct stream *s); /* of the head; 0: it isn't there yet */

#endif
