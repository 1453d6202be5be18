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
	const char *name;  /* NULL: nobody */
	const char *token; /* NULL: no Authorization is sent */
	const struct server *server;
	const char *headers[CLIENT_HEADERS]; /* "Name: value"; NULL: none */
};

#define PASSWORD "under the gate"

/* The user of that name on this program's server, created on the first call. Lives until the program ends. */
struct client *user(const char *name);
/* A user whom no other test knows: no chats, no streams. */
struct client *new_user(void);
/* The same on another server; whoever has no token yet has none. */
struct client *user_at(const struct server *server, const char *name);
/* Somebody without credentials. */
struct client *anonymous(void);
/* The same client, who sends a header besides; one who asks another node; one with another token. For this test. */
struct client *with_header(const struct client *who, const char *fmt, ...) PATH_LIKE(2, 3);
struct client *on_server(const struct client *who, const struct server *server);
struct client *with_token(const struct client *who, const char *token);

struct answer get(const struct client *who, const char *path_fmt, ...) PATH_LIKE(2, 3);
struct answer del(const struct client *who, const char *path_fmt, ...) PATH_LIKE(2, 3);
struct answer post(const struct client *who, const char *path, const char *json_fmt, ...)
	PATH_LIKE(3, 4); /* json_fmt NULL: no body */
struct answer put(const struct client *who, const char *path, const char *json_fmt, ...) PATH_LIKE(3, 4);
struct answer patch(const struct client *who, const char *path, const char *json_fmt, ...) PATH_LIKE(3, 4);
/* Any method, any body; type NULL: no Content-Type, and no body either. */
struct answer send_request(
	const struct client *who, const char *method, const char *path, const char *type, const void *body, size_t len);
struct answer post_as(const struct client *who, const char *path, const char *type, const char *text);

/* Asserts an answer's status. Gives it. */
#define expect_status(answer, expected) client_expect_status(__FILE__, __LINE__, answer, expected)
struct answer client_expect_status(const char *file, int line, struct answer a, int status);
/* Asserts a refusal: status, code, and all that makes it a problem. */
#define expect_problem(answer, status, code) client_expect_problem(__FILE__, __LINE__, answer, status, code)
struct answer client_expect_problem(const char *file, int line, struct answer a, int status, const char *code);

/* A group of the owner's with those members, NULL ends them. Gives its number. */
#define make_group(...) client_make_group(__VA_ARGS__, (const struct client *)NULL)
long long client_make_group(const struct client *owner, ...);
/* Sends a text; gives the message's id. The second on a key of the sender's. */
long long say(const struct client *who, long long chat, const char *text);
struct answer say_with_key(const struct client *who, long long chat, const char *key, const char *text);
/* Paths. */
char *messages_path(long long chat);
char *message_path(long long chat, long long id);
char *member_path(long long chat, const struct client *who);

/* The sum over all labels of a metric of that server. Fails the test when it isn't there. */
double metric(const struct server *server, const char *name);
/* Asks for it until it is that. */
void await_metric(const struct server *server, const char *name, double value);

#endif
