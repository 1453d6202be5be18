/* SPDX-License-Identifier: MIT
 * A test program: one real server, the house, and a list of tests that run in order against it, reported as TAP.
 *
 * The first point is that the house starts, the last that it stops as it should. A test that hangs ends the program:
 * the server is part of what hangs. Whatever a test makes goes away after it, see later(). */
#ifndef LIB_SUITE_H
#define LIB_SUITE_H

#include <check.h>
#include <stddef.h>

#include "server.h"

/* Runs the tests (NULL ends the list) on a house started with those flags (NULL ends them; may be NULL itself: then
 * limits are off and there is one worker). Returns main's exit status. */
int suite_run(const char *name, const TTest *const tests[], const char *const flags[]);

/* The server of this program. */
struct server *house(void);

/* fn(p) is called when the running test is over, last come first served. Gives p. */
void *later(void (*fn)(void *), void *p);
/* A string that lives as long as the test. */
char *format(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* How long anything that must happen may take to happen: long enough for sanitizers on a busy machine. In milliseconds.
 */
enum { PATIENCE = 20000 };
/* A test may take two minutes; whoever sees it move on begins them anew. */
void test_moves(void);
/* What is left until that time of clock_mono_ms(); fails the test when it has passed. */
int left(unsigned long long until_ms, const char *waiting_for);

/* Fails the test at a place of its own: what helpers call with the place they were called from. */
#define fail_at(file, line, ...) _ck_assert_failed(file, line, "Failed", __VA_ARGS__)

#endif
