/* SPDX-License-Identifier: MIT
 * A test program: one real server and a list of tests that run in order against it, reported as TAP.
 *
 * The first point is that the server starts, the last that it stops as it should. A test that hangs ends the program,
 * because the server may hang too. What a test creates is released after it, see on_teardown(). */
#ifndef LIB_SUITE_H
#define LIB_SUITE_H

#include <check.h>
#include <stddef.h>

#include "server.h"

/* Starts a server with these flags and runs the tests on it; NULL ends either list. flags NULL: limits are off and
 * there is one worker. Returns main's exit status. */
int suite_run(const char *name, const TTest *const tests[], const char *const flags[]);

/* The server of this program. */
struct server *test_server(void);

/* Calls fn(p) after the running test, in reverse order of registration. Returns p. */
void *on_teardown(void (*fn)(void *), void *p);
/* Returns a formatted string that lives as long as the test. */
char *format(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* How long a test waits for what must happen, in milliseconds: enough for sanitizers on a busy machine. */
enum { PATIENCE = 20000 };
/* A test has two minutes; a test that sees progress starts them again. */
void test_restart_timeout(void);
/* Returns the milliseconds left until that time of clock_mono_ms(); fails the test when it has passed. */
int time_left(unsigned long long until_ms, const char *waiting_for);

/* Fails the test at the given place: helpers pass that of their caller. */
#define fail_at(file, line, ...) _ck_assert_failed(file, line, "Failed", __VA_ARGS__)

#endif
