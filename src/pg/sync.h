/* SPDX-License-Identifier: MIT
 * A blocking connection, for what happens before serving begins and for the command line. Never in a worker. */
#ifndef PG_SYNC_H
#define PG_SYNC_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/problem.h"
#include "base/status.h"

struct sync;
struct sync_rows;

/* Connects host by host (dial.h); the session finds the functions. NULL: why it failed was added to why. */
struct sync *sync_open(const char *conninfo, struct buf *why);
/* To look at a database, or to migrate it: without the functions and the settings that they are planned with. */
struct sync *sync_open_plain(const char *conninfo, struct buf *why);
void sync_close(struct sync *s); /* NULL is fine */

/* One call with values bound in text form, NULL being null, the last one followed by SYNC_END. Rows are owned by the
 * caller. NULL: refused or away; sync_error() says why. */
extern const char SYNC_END[];
struct sync_rows *sync_call(struct sync *s, const char *sql, ...);
void sync_rows_free(struct sync_rows *r); /* NULL is fine */
int sync_count(const struct sync_rows *r);
const char *sync_text(const struct sync_rows *r, int row, int col); /* "" for null */
bool sync_is(const struct sync_rows *r, int row, int col, const char *text);

/* A call for one value, with one parameter or none (NULL): it is cut to fit; "" for null or no row. false: see
 * sync_error(). */
bool sync_ask(struct sync *s, const char *sql, const char *param, char *out, size_t size);

/* Several statements, rows thrown away. */
enum status sync_exec(struct sync *s, const char *sql) MUST_CHECK;

/* Of the last failure: the message alone (and its hint or detail, when there is one), and where in the text of
 * the statement, as a character counted from 1 (0: unknown). */
const char *sync_error(const struct sync *s);
enum problem sync_problem(const struct sync *s); /* what the functions refused with; PROBLEM_NONE: another failure */
unsigned sync_error_position(const struct sync *s);

int sync_version(const struct sync *s);                             /* 150004 */
const char *sync_parameter(const struct sync *s, const char *name); /* what the server reported; "" */
/* Waits for a notification; "" when none came in time. The text is valid until the next call. */
const char *sync_notification(struct sync *s, unsigned timeout_ms);

/* The conninfo, in either form, as keywords, with `defaults` (an array of key, value, …, NULL) for what it leaves open.
 * Free it. NULL: malformed, and why was added to. */
char *sync_conninfo(const char *base, const char *const *defaults, struct buf *why);

/* Adds key=value as a conninfo has it, quoted. */
void sync_add_keyword(struct buf *b, const char *key, const char *value);

/* Returns whether connecting may succeed later: false if the server refuses us, or there is no such address. */
bool sync_may_come_up(const char *conninfo);

#endif
