/* SPDX-License-Identifier: MIT
 * Which build this is. The definition is made by `make`, in a file of its own, so that a new commit compiles just that.
 */
#ifndef BASE_BUILD_H
#define BASE_BUILD_H

extern const char build_version[]; /* of the latest tag, "0.2.0"; "0.1.0" without one */
extern const char build_commit[];  /* `git describe`, "unknown" outside of a checkout and a distribution */

#endif
