/* SPDX-License-Identifier: MIT
 * The versions of PostgreSQL that Postern supports, and those that its tests run on. */
#ifndef PG_VERSION_H
#define PG_VERSION_H

#include "base/buf.h"
#include "base/status.h"

enum { VERSION_MAJOR_MIN = 15, VERSION_MAJOR_TESTED = 18 };

/* Refuses a major version that is too old, with the reason in why; warns in the log of one newer than the tested. */
enum status version_check(int major, struct buf *why) MUST_CHECK;

#endif
