/* SPDX-License-Identifier: MIT
 * A backup's file: a tar archive of the parts, then manifest.json, then manifest.sha256 with the manifest's checksum in
 * the format of sha256sum(1). The manifest comes after the parts since it contains their sizes and checksums; its
 * presence shows that nothing was cut off.
 *
 * A file that is read isn't trusted. archive_open() reads all of it and compares every checksum before anything is done
 * with it. */
#ifndef CLI_ARCHIVE_H
#define CLI_ARCHIVE_H

#include <sys/types.h>

#include "base/buf.h"
#include "base/digest.h"
#include "base/status.h"
#include "cli/manifest.h"

struct archive {
	int fd;           /* the caller's: a regular file */
	const char *name; /* for messages; the caller's */
	struct manifest manifest;
	off_t at[MANIFEST_PARTS_MAX]; /* where each part is */
	struct digest digest;         /* of the part that is being written */
};

/* --- writing, to an empty file --- */

void archive_begin(struct archive *a, int fd, const char *name);
enum status archive_begin_part(struct archive *a, const char *name, struct buf *why) MUST_CHECK;
enum status archive_write(struct archive *a, const void *data, size_t len, struct buf *why) MUST_CHECK;
/* Writes everything that can be read from that descriptor. */
enum status archive_write_from(struct archive *a, int from, struct buf *why) MUST_CHECK;
enum status archive_end_part(struct archive *a, struct buf *why) MUST_CHECK;
/* The caller has filled in the rest of the manifest. */
enum status archive_end(struct archive *a, struct buf *why) MUST_CHECK;

/* --- reading --- */

/* Reads the whole file. A SIGTERM or SIGINT that is blocked and pending ends it. */
enum status archive_open(struct archive *a, int fd, const char *name, struct buf *why) MUST_CHECK;

typedef enum status archive_sink(void *arg, const void *data, size_t len, struct buf *why);
/* Passes a part to the sink, piece by piece. The last piece is passed only if the checksum is still right, so that a
 * part that was changed in between is never complete. If the sink returns another status than ST_OK, reading ends and
 * returns it. */
enum status archive_read(
	struct archive *a, const char *part, archive_sink *sink, void *arg, struct buf *why) MUST_CHECK;

#endif
