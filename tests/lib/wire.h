/* SPDX-License-Identifier: MIT
 * A raw connection to a server: for requests that no well-behaved client sends, and for programs with many
 * connections.
 *
 * Functions that wait do so up to PATIENCE and fail the test on timeout; the others never block. */
#ifndef LIB_WIRE_H
#define LIB_WIRE_H

#include <stdbool.h>
#include <stddef.h>

struct server;
struct json_object;

/* A complete response. */
struct answer {
	int status;
	char *head; /* status line and headers, each line ended by \r\n */
	char *body; /* NUL-terminated; chunks decoded */
	size_t len;
	struct json_object *json; /* NULL: the body isn't JSON */
};

void answer_release(struct answer *a);
/* Returns the first header of that name, until the end of the test. NULL: absent. */
const char *answer_header(struct answer a, const char *name);
/* The same; fails the test if the header is absent. */
#define expect_header(answer, name) answer_expect_header(__FILE__, __LINE__, answer, name)
const char *answer_expect_header(const char *file, int line, struct answer a, const char *name);
/* Parses the first response in data. Returns the bytes it takes; 0: incomplete; -1: malformed. eof: nothing follows.
 * no_body: it answers a HEAD. Release *ret if the result is positive. */
long answer_parse(const char *data, size_t len, bool eof, bool no_body, struct answer *ret);

struct wire;

/* Connects; receive_buffer 0 leaves SO_RCVBUF unchanged. NULL: refused. Release with wire_free(). */
struct wire *wire_new(const struct server *server, int receive_buffer);
void wire_free(void *wire);
/* The same until the end of the test; fails the test if the server refuses. */
struct wire *wire_open(const struct server *server);

/* Waits until the kernel has taken all data. Returns false if the peer has closed. */
bool wire_send(struct wire *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool wire_bytes(struct wire *w, const void *data, size_t len);
/* Shuts down the sending side; receiving goes on. */
void wire_shut(struct wire *w);

/* Waits for the next response, which lives as long as the test. status 0: the peer closed before it was complete. */
struct answer wire_answer(struct wire *w);
struct answer wire_answer_to_head(struct wire *w);
/* Asserts that the peer closes without sending more. */
void wire_expect_end(struct wire *w);

/* Primitives: */
int wire_fd(const struct wire *w);
bool wire_pump(struct wire *w);                               /* reads what has arrived; false: the peer has closed */
bool wire_wait(struct wire *w, int ms);                       /* waits for data to pump; false: timeout */
const char *wire_data(const struct wire *w, size_t *ret_len); /* read and not taken; NUL-terminated */
void wire_take(struct wire *w, size_t n);
bool wire_ended(const struct wire *w); /* the peer has closed */

#endif
