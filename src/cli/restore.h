/* SPDX-License-Identifier: MIT
 * The second part of `postern restore`, after the file was checked: into the state directory, or into an external
 * database. */
#ifndef CLI_RESTORE_H
#define CLI_RESTORE_H

#include <limits.h>
#include <stdbool.h>

#include "base/buf.h"
#include "base/status.h"

struct archive;
struct conf;
struct store;
struct tool;

/* Restores into the state directory. The store must have its state directory, and not be open. *kept becomes the path
 * of the old cluster; "": there was none. A failure leaves everything as it was. */
enum status restore_own(struct store *s, const struct conf *conf, struct archive *a, bool force, char kept[PATH_MAX],
	struct buf *why) MUST_CHECK;

/* Restores into an external database, in one transaction. The store must be open. */
enum status restore_other(struct store *s, const struct conf *conf, struct archive *a, struct buf *why) MUST_CHECK;

/* Passes the dump to pg_restore for that database, whose server has that major version. */
enum status restore_dump(struct archive *a, const struct conf *conf, int major, const char *conninfo, bool own,
	struct buf *why) MUST_CHECK;

#endif
