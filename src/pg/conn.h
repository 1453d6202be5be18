/* SPDX-License-Identifier: MIT
 * One connection to PostgreSQL that reconnects by itself: it connects host by host (dial.h), after pauses that grow
 * until a call has succeeded, prepares each statement once, and ends calls that take longer than the deadline. Nothing
 * here blocks.
 *
 * A call whose connection is lost ends with pg_away(): whether it took effect is unknown. */
#ifndef PG_CONN_H
#define PG_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct loop;
struct pg_conn;

/* A call's result. Only valid during the callback that gets it. */
struct pg_result;
bool pg_ok(const struct pg_result *r);              /* rows; else an error: see pg_away() to pg_hint() */
bool pg_away(const struct pg_result *r);            /* no answer: the database is away, and the outcome unknown */
const char *pg_sqlstate(const struct pg_result *r); /* "" when away */
const char *pg_message(const struct pg_result *r);  /* the error's message and hint, "" when absent; never NULL */
const char *pg_hint(const struct pg_result *r);
int pg_rows(const struct pg_result *r);
int pg_column(const struct pg_result *r, const char *name); /* -1: no such column */
bool pg_null(const struct pg_result *r, int row, int col);
const char *pg_text(const struct pg_result *r, int row, int col); /* NUL-terminated; "" for null */
size_t pg_size(const struct pg_result *r, int row, int col);      /* bytes */
int64_t pg_int(const struct pg_result *r, int row, int col);      /* 0 for null */

typedef void pg_result_fn(void *arg, const struct pg_result *r);

/* Ends a call that never reached a connection: its result is pg_away(). */
void pg_call_away(pg_result_fn *on_result, void *arg);

struct pg_events {
	void (*on_up)(void *arg);   /* connected, or a call has ended: it can take a call now */
	void (*on_down)(void *arg); /* lost; it reconnects by itself. May be NULL */
	void (*on_notify)(void *arg, const char *channel, const char *payload); /* may be NULL */
};

/* conninfo is copied. deadline_ms bounds every call, from when it is made. */
struct pg_conn *pg_conn_new(
	struct loop *loop, const char *conninfo, const struct pg_events *events, void *arg, unsigned deadline_ms);
void pg_conn_free(struct pg_conn *c);           /* a call in flight ends with pg_away() */
bool pg_conn_ready(const struct pg_conn *c);    /* connected and without a call */
bool pg_conn_has_room(const struct pg_conn *c); /* for one more call, after those in flight */
bool pg_conn_up(const struct pg_conn *c);

#define PG_PARAMS_MAX 16
#define PG_CALLS_MAX 2 /* in flight at a time; each is a transaction of its own, and they run in order */
/* Runs sql (a string literal: its address is its identity) with values bound in text form, NULL being null. Copies the
 * values. The connection must have room. on_result is called exactly once, later. */
void pg_conn_call(
	struct pg_conn *c, const char *sql, unsigned n, const char *const values[], pg_result_fn *on_result, void *arg);

/* Drops the connection and connects again: for a caller that knows that the connection is useless. */
void pg_conn_reset(struct pg_conn *c, const char *why);

#endif
