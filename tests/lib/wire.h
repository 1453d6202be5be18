/* SPDX-License-Identifier: MIT
 * A connection to a server, byte by byte: for what no well-behaved client would do, and for programs with many at once.
 *
 * Those that wait (up to PATIENCE) fail the test when it doesn't happen; the others never block. */
#ifndef LIB_WIRE_H
#define LIB_WIRE_H

#include <stdbool.h>
#include <stddef.h>

struct server;
struct json_object;

/* An answer, read in full. */
struct answer {
	int status;
	char *head; /* status line and headers, each line ended by \r\n */
	char *body; /* NUL-terminated; chunks put together */
	size_t len;
	struct json_object *json; /* NULL: the body isn't JSON */
};

void answer_release(struct answer *a);
/* The first header of that name, until the test is over. NULL: absent. */
const char *answer_header(struct answer a, const char *name);
/* The same for one that must be there. */
#define expect_header(answer, name) answer_expect_header(__FILE__, __LINE__, answer, name)
const char *answer_expect_header(const char *file, int line, struct answer a, const char *name);
/* Reads the first answer in data. 0: not complete; -1: that's no answer; else the bytes it takes. eof: nothing will
 * follow. no_body: it answers a HEAD. Release *ret when the result is positive. */
long answer_parse(const char *data, size_t len, bool eof, bool no_body, struct answer *ret);

struct wire;

/* Connects; receive_buffer 0 leaves SO_RCVBUF alone. NULL: refused. wire_free() it. */
struct wire *wire_new(const struct server *server, int receive_buffer);
void wire_free(void *wire);
/* The same, for the length of a test; it is an error when the server refuses. */
struct wire *wire_open(const struct server *server);

/* Waits until all is handed to the kernel. False: the peer has closed. */
bool wire_send(struct wire *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool wire_bytes(struct wire *w, const void *data, size_t len);
/* No more from us: the peer sees the end, we still read. */
void wire_shut(struct wire *w);

/* Waits for the next answer, which lives as long as the test. status 0: the peer closed without a (whole) one. */
struct answer wire_answer(struct wire *w);
struct answer wire_answer_to_head(struct wire *w);
/* Waits for the peer to close; gives how many bytes came before that and were not taken. */
size_t wire_drain(struct wire *w);
/* Asserts that the peer closes and has nothing more to say. */
void wire_expect_end(struct wire *w);

/* The pieces: */
int wire_fd(const struct wire *w);
bool wire_pump(struct wire *w);                               /* reads what is there; false: the peer has closed */
bool wire_wait(struct wire *w, int ms);                       /* until there is something to pump; false: there isn't */
const char *wire_data(const struct wire *w, size_t *ret_len); /* read and not taken; NUL-terminated */
void wire_take(struct wire *w, size_t n);
bool wire_ended(const struct wire *w); /* the peer has closed */

#endif
