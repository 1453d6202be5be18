/* SPDX-License-Identifier: MIT
 * Unpacks a base backup: the tar archive that pg_basebackup wrote, as its bytes arrive. The archive isn't trusted:
 * nothing is written outside the directory, nothing is written twice, and links are refused. */
#ifndef CLI_UNPACK_H
#define CLI_UNPACK_H

#include <stddef.h>

#include "base/buf.h"
#include "base/status.h"

struct unpack;

/* Unpacks into dir, which must be empty and accessible only to this user. NULL: failed; the reason is added to why. */
struct unpack *unpack_new(const char *dir, struct buf *why);
/* An archive_sink: arg is the unpack. */
enum status unpack_add(void *arg, const void *data, size_t len, struct buf *why) MUST_CHECK;
/* Returns ST_OK if the archive was complete. */
enum status unpack_end(const struct unpack *u, struct buf *why) MUST_CHECK;
void unpack_free(struct unpack *u); /* NULL is allowed */

#endif
