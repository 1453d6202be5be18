/* SPDX-License-Identifier: MIT
 * Which build this is. The definition is made by `make`, in a file of its own, so that a new commit compiles just that.
 */
#ifndef BASE_BUILD_H
#define BASE_BUILD_H

extern const char build_version[]; /* of the latest tag, "0.2.0"; "0.1.0" without one */
extern const char build_commit[];  /* `git describe`, "unknown" outside of a checkout and a distribution */

/* 1 in a build with AddressSanitizer, which needs more of the system than the program. */
#if defined(__SANITIZE_ADDRESS__)
#define BUILD_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define BUILD_SANITIZED 1
#endif
#endif
#ifndef BUILD_SANITIZED
#define BUILD_SANITIZED 0
#endif

/* 1 in a build whose processes write reports or counts into files, wherever the environment says. */
#ifdef BUILD_COVERAGE
#define BUILD_WRITES_REPORTS 1
#else
#define BUILD_WRITES_REPORTS BUILD_SANITIZED
#endif

#endif
