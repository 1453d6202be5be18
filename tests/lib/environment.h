/* SPDX-License-Identifier: MIT
 * The environment of the programs under test: that of a clean Debian, not the developer's. */
#ifndef LIB_ENVIRONMENT_H
#define LIB_ENVIRONMENT_H

/* Replaces the environment of this process, which should be a child about to exec, with PATH, HOME, the options of
 * sanitizers, and POSTERN_PG_BINDIR if $TEST_PG_BINDIR names a PostgreSQL to run the tests on. Tests add more
 * variables. */
void environment_plain(void);

#endif
