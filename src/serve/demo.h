/* SPDX-License-Identifier: MIT
 * `postern serve --demo`: something to play with from the first minute. */
#ifndef SERVE_DEMO_H
#define SERVE_DEMO_H

#include <stdio.h>

#include "base/buf.h"
#include "base/status.h"

struct demo;

/* In a database without users makes alice, bob and carol, and a group of theirs. In any case a new token for each of
 * the three who is there. Blocks. */
enum status demo_prepare(const char *conninfo, struct demo **ret, struct buf *why) MUST_CHECK;
/* What to type, with that address. */
void demo_print(const struct demo *d, const char *url, FILE *out);
void demo_free(struct demo *d); /* NULL is fine */

#endif
