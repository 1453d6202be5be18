/* SPDX-License-Identifier: MIT
 * Which versions of PostgreSQL Postern works with, and which of them its tests run on. */
#ifndef PG_VERSION_H
#define PG_VERSION_H

#include "base/buf.h"
#include "base/status.h"

enum { VERSION_MAJOR_MIN = 15, VERSION_MAJOR_TESTED = 18 };

/* Refuses a major version that is too old, adding to why; warns in the log of one that is newer than the tests know. */
enum status version_check(int major, struct buf *why) MUST_CHECK;

#endif
