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

/* The store knows its state directory, and nothing else was done. *kept becomes where the old cluster is now; "": there
 * was none. Whatever fails leaves everything as it was. */
enum status restore_own(struct store *s, const struct conf *conf, struct archive *a, bool force, char kept[PATH_MAX],
	struct buf *why) MUST_CHECK;

/* The store is open. In one transaction. */
enum status restore_other(struct store *s, const struct conf *conf, struct archive *a, struct buf *why) MUST_CHECK;

/* Feeds the dump to pg_restore on that database. The server is of that major version. */
enum status restore_dump(struct archive *a, const struct conf *conf, int major, const char *conninfo, bool own,
	struct buf *why) MUST_CHECK;

#endif
