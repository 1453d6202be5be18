/* SPDX-License-Identifier: MIT
 * See build.h. */
#include "base/build.h"

#include "base/build_commit.h"

#ifndef PACKAGE_VERSION
#define PACKAGE_VERSION "0"
#endif

const char build_version[] = PACKAGE_VERSION;
const char build_commit[] = BUILD_COMMIT;
