/* SPDX-License-Identifier: MIT
 * Users and their requests to the server, by libcurl:
 *     expect_status(post(alice, messages_path(chat), "{'text':'hi'}"), 201);
 *
 * In the bodies of post(), put() and patch() a single quote stands for a double one. Answers live as long as the test.
 */
#ifndef LIB_CLIENT_H
#define LIB_CLIENT_H

#include <stddef.h>

#include "json_path.h"
#include "wire.h"

#define PATH_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))

enum { CLIENT_HEADERS = 6 };

struct client {
	const char *name;  /* NULL: anonymous */
	const char *token; /* NULL: no Authorization is sent */
	const struct server *server;
	const char *headers[CLIENT_HEADERS]; /* "Name: value"; NULL: none */
};

#define PASSWORD "under the gate"

/* The user of that name on this program's server, created on the first call. Lives until the program ends. */
struct client *user(const char *name);
/* Creates a user that no other test uses: no chats, no streams. */
struct client *new_user(void);
/* The same on another server; the user has no token there yet. */
struct client *user_at(const struct server *server, const char *name);
/* A client without credentials. */
struct client *anonymous(void);
/* Copies of a client that live as long as the test: with one more header, on another server, with another token. */
struct client *with_header(const struct client *who, const char *fmt, ...) PATH_LIKE(2, 3);
struct client *on_server(const struct client *who, const struct server *server);
struct client *with_token(const struct client *who, const char *token);

struct answer get(const struct client *who, const char *path_fmt, ...) PATH_LIKE(2, 3);
struct answer del(const struct client *who, const char *path_fmt, ...) PATH_LIKE(2, 3);
struct answer post(const struct client *who, const char *path, const char *json_fmt, ...)
	PATH_LIKE(3, 4); /* json_fmt NULL: no body */
struct answer put(const struct client *who, const char *path, const char *json_fmt, ...) PATH_LIKE(3, 4);
struct answer patch(const struct client *who, const char *path, const char *json_fmt, ...) PATH_LIKE(3, 4);
/* Sends any method and body. type NULL: no Content-Type and no body. */
struct answer send_request(
	const struct client *who, const char *method, const char *path, const char *type, const void *body, size_t len);
struct answer post_as(const struct client *who, const char *path, const char *type, const char *text);

/* Asserts the status of an answer. Returns the answer. */
#define expect_status(answer, expected) client_expect_status(__FILE__, __LINE__, answer, expected)
struct answer client_expect_status(const char *file, int line, struct answer a, int status);
/* Asserts that the answer is a problem document with this status and code. Returns the answer. */
#define expect_problem(answer, status, code) client_expect_problem(__FILE__, __LINE__, answer, status, code)
struct answer client_expect_problem(const char *file, int line, struct answer a, int status, const char *code);

/* Creates a group of the owner with the members that follow. Returns its id. */
#define make_group(...) client_make_group(__VA_ARGS__, (const struct client *)NULL)
long long client_make_group(const struct client *owner, ...);
/* Sends a text and returns the message's id; or sends it with a key and returns the answer. */
long long say(const struct client *who, long long chat, const char *text);
struct answer say_with_key(const struct client *who, long long chat, const char *key, const char *text);
/* Paths of requests. They live as long as the test. */
char *messages_path(long long chat);
char *message_path(long long chat, long long id);
char *member_path(long long chat, const struct client *who);

/* Returns the sum of a metric over all its labels. Fails the test if the server doesn't export it. */
double metric(const struct server *server, const char *name);
/* Waits until the metric has the value. */
void await_metric(const struct server *server, const char *name, double value);

#endif
