/* SPDX-License-Identifier: MIT
 * The access log: a line for each answer, and one for each stream and poll when it has ended. Lines are collected
 * during a turn of the loop and written by a thread of the pool, so that neither a slow disk nor a stuck reader blocks
 * requests; lines that don't fit meanwhile are dropped and counted. Paths are logged without their query and without
 * codes that give access. */
#ifndef HTTP_ACCESS_H
#define HTTP_ACCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "http/request.h"

struct access;
struct loop;
struct metrics;

/* where: "off", "on" (standard error), or a file, which is appended to, and which broker opens (base/broker.h). */
struct access *access_new(struct loop *loop, struct metrics *metrics, const char *where, int broker);
void access_free(struct access *a); /* writes what is left, and waits for it */
/* Changes the place, or opens the same file again after it was renamed. */
void access_reopen(struct access *a, const char *where);

/* Logs a request that was answered. ok: the client has received the answer. */
void access_request(struct access *a, const struct request *req, int status, uint64_t bytes, bool ok);

/* The part of a request that is kept while its connection is a stream or poll. */
struct access_entry {
	uint64_t began_us, bytes, events;
	int status;
	char text[]; /* strings, each with its NUL: address, user, id, path, agent */
};
/* NULL: the access log is off. */
struct access_entry *access_hold(const struct access *a, const struct request *req);
/* Writes its line and frees it; NULL is allowed. */
void access_end(struct access *a, struct access_entry *e);

/* Writes the request's path for a log: without the query, and as the template if the path contains a secret. */
const char *access_path(const struct request *req, char *out, size_t size);

#endif
