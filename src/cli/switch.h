/* SPDX-License-Identifier: MIT
 * Replaces the cluster in use by one that was made aside, in one step: at any interruption the
 * state directory holds the old cluster or the new one, never none and never a mixture. A file CLUSTER_UNUSED marks
 * the new one until it is done, and the next start removes what is left. */
#ifndef CLI_SWITCH_H
#define CLI_SWITCH_H

#include <limits.h>
#include <stdbool.h>

#include "base/buf.h"
#include "base/status.h"

/* Makes a directory STATE/pg.new.RANDOM, a state directory of its own for what is made aside. The next start of a
 * server removes what was left of one. */
enum status switch_begin(const char *state, char aside[PATH_MAX], struct buf *why) MUST_CHECK;
/* Flushes ASIDE/pg to disk and puts it in place of STATE/pg. *kept becomes the name that an old one has from now on,
 * "": there was none. The servers on both have stopped. */
enum status switch_in(const char *state, const char *aside, char kept[PATH_MAX], struct buf *why) MUST_CHECK;
/* The same; the old one's name begins with prefix (CLUSTER_OLD, CLUSTER_BEFORE_UPGRADE), and then says when. */
enum status switch_in_as(
	const char *state, const char *aside, const char *prefix, char kept[PATH_MAX], struct buf *why) MUST_CHECK;
/* Removes a directory with all that is in it. */
void switch_remove(const char *dir);

/* Calls on_kept for every old cluster that was kept, in order of age. */
void switch_each_kept(const char *state, void (*on_kept)(const char *dir, void *arg), void *arg);
/* Likewise, of those with that prefix and a digit behind it. */
void switch_each_kept_as(const char *state, const char *prefix, void (*on_kept)(const char *dir, void *arg), void *arg);

#endif
