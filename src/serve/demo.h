/* SPDX-License-Identifier: MIT
 * `postern serve --demo`: users, tokens and a chat to try the server with. */
#ifndef SERVE_DEMO_H
#define SERVE_DEMO_H

#include <stdio.h>

#include "base/buf.h"
#include "base/status.h"

struct demo;

/* In a database without users creates alice, bob and carol, and a group of the three. In any database creates a new
 * token for each of those three that it has. Blocks. On success *ret is the caller's, for demo_free(); otherwise why
 * says what went wrong. */
enum status demo_prepare(const char *conninfo, struct demo **ret, struct buf *why) MUST_CHECK;

/* Prints passwords, tokens and commands to type, with url as the server's address. */
void demo_print(const struct demo *d, const char *url, FILE *out);

/* Overwrites the secrets and frees d, which may be NULL. */
void demo_free(struct demo *d);

#endif
