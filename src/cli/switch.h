/* SPDX-License-Identifier: MIT
 * Replaces the cluster in use by a new one, in one step: after an interruption at any point, the state directory has
 * the old cluster or the new one, never none and never a mixture. A file CLUSTER_UNUSED marks the new one until that is
 * done, and the next start removes what is left. */
#ifndef CLI_SWITCH_H
#define CLI_SWITCH_H

#include <limits.h>
#include <stdbool.h>

#include "base/buf.h"
#include "base/status.h"

/* Creates ASIDE, a directory STATE/pg.new.RANDOM, in which the caller makes the new cluster as ASIDE/pg. The next start
 * of a server removes it if it is left. */
enum status switch_begin(const char *state, char aside[PATH_MAX], struct buf *why) MUST_CHECK;
/* Flushes ASIDE/pg to disk and puts it in place of STATE/pg. *kept becomes the new name of the old cluster; "": there
 * was none. No server may be running on either. */
enum status switch_in(const char *state, const char *aside, char kept[PATH_MAX], struct buf *why) MUST_CHECK;
/* The same; the old cluster's new name is prefix (CLUSTER_OLD, CLUSTER_BEFORE_UPGRADE) and the time. */
enum status switch_in_as(
	const char *state, const char *aside, const char *prefix, char kept[PATH_MAX], struct buf *why) MUST_CHECK;
/* Removes a directory with all that is in it. */
void switch_remove(const char *dir);

/* Calls on_kept for every old cluster that was kept, in order of age. */
void switch_each_kept(const char *state, void (*on_kept)(const char *dir, void *arg), void *arg);
/* The same for those whose names begin with prefix and a digit. */
void switch_each_kept_as(const char *state, const char *prefix, void (*on_kept)(const char *dir, void *arg), void *arg);

#endif
