/* SPDX-License-Identifier: MIT
 * A blocking connection, for the start of the server and for commands. Never in a worker. */
#ifndef PG_SYNC_H
#define PG_SYNC_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/problem.h"
#include "base/status.h"

struct sync;
struct sync_rows;

/* Connects host by host (dial.h); the session finds the functions. NULL: the reason is added to why. */
struct sync *sync_open(const char *conninfo, struct buf *why);
/* The same, to inspect or migrate a database: without the functions and the settings for their plans. */
struct sync *sync_open_plain(const char *conninfo, struct buf *why);
void sync_close(struct sync *s); /* NULL is allowed */

/* Runs one statement with values bound in text form, NULL being null, the last one followed by SYNC_END. The caller
 * frees the rows. NULL: refused or away; sync_error() says why. */
extern const char SYNC_END[];
struct sync_rows *sync_call(struct sync *s, const char *sql, ...);
void sync_rows_free(struct sync_rows *r); /* NULL is allowed */
int sync_count(const struct sync_rows *r);
const char *sync_text(const struct sync_rows *r, int row, int col); /* "" for null */
bool sync_is(const struct sync_rows *r, int row, int col, const char *text);

/* Reads one value by a statement with one parameter or none (NULL); it is truncated to fit; "" for null or no row.
 * false: see sync_error(). */
bool sync_ask(struct sync *s, const char *sql, const char *param, char *out, size_t size);

/* Runs several statements and discards their rows. */
enum status sync_exec(struct sync *s, const char *sql) MUST_CHECK;

/* The last failure's message, with its hint or detail if there is one; and its place in the statement's text, as a
 * character counted from 1 (0: unknown). */
const char *sync_error(const struct sync *s);
enum problem sync_problem(
	const struct sync *s); /* the code of a refusal of the functions; PROBLEM_NONE: another failure */
unsigned sync_error_position(const struct sync *s);

int sync_version(const struct sync *s);                             /* 150004 */
const char *sync_parameter(const struct sync *s, const char *name); /* as the server reported it; "": unknown */
/* Waits for a notification; "" if none came in time. The text is valid until the next call. */
const char *sync_notification(struct sync *s, unsigned timeout_ms);

/* Returns the conninfo, given in either form, as keywords, with `defaults` (key, value, …, NULL) added where it doesn't
 * set them. The caller frees it. NULL: malformed; the reason is added to why. */
char *sync_conninfo(const char *base, const char *const *defaults, struct buf *why);

/* Adds key=value, quoted for a conninfo. */
void sync_add_keyword(struct buf *b, const char *key, const char *value);

/* Returns true if connecting may succeed later; false if the server refuses the connection, or there is no such
 * address. */
bool sync_may_come_up(const char *conninfo);

#endif
