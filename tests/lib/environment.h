/* SPDX-License-Identifier: MIT
 * What the programs under test start from: the environment of a clean Debian, whatever a developer has in theirs. */
#ifndef LIB_ENVIRONMENT_H
#define LIB_ENVIRONMENT_H

/* Replaces this process's environment, which should be a child about to exec: PATH and HOME, what sanitizers are told,
 * and POSTERN_PG_BINDIR if $TEST_PG_BINDIR names a PostgreSQL to run the tests on. Tests add what they mean to add. */
void environment_plain(void);

/* The directory of initdb and postgres of a major version, from tests/postgres. NULL: it isn't installed, or the user
 * that servers started by root become can't go there. Lives until the test is over. */
const char *postgres_bindir(int major);

#endif
