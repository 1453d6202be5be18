/* SPDX-License-Identifier: MIT
 * See build.h. */
#include "base/build.h"

#include "base/build_commit.h"

const char build_version[] = BUILD_VERSION;
const char build_commit[] = BUILD_COMMIT;
