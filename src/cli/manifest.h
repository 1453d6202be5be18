/* SPDX-License-Identifier: MIT
 * manifest.json of a backup: what it is, what it was made of and by, and which parts it has. A new member is no new
 * format, and older versions ignore it; a new part is one that they refuse; anything else takes another FORMAT. */
#ifndef CLI_MANIFEST_H
#define CLI_MANIFEST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/digest.h"
#include "base/status.h"

enum { MANIFEST_FORMAT = 1, MANIFEST_PARTS_MAX = 8, MANIFEST_TEXT_MAX = 64 * 1024, MANIFEST_NAME_MAX = 64 };

/* Kinds, each with its one part: what pg_dump writes in its custom format, and a tar archive of pg_basebackup's with
 * the WAL in it. */
#define MANIFEST_DUMP "dump"
#define MANIFEST_PART_DUMP "database.dump"
#define MANIFEST_BASE "base"
#define MANIFEST_PART_BASE "base.tar"

struct manifest_part {
	char name[MANIFEST_NAME_MAX];
	uint64_t size;
	char sha256[DIGEST_HEX + 1];
};

struct manifest {
	char kind[16];
	char made_at[32];            /* RFC 3339 */
	char version[64], build[96]; /* Postern's */
	int major;                   /* PostgreSQL's */
	char server_version[96];     /* likewise, in full */
	char epoch[64];              /* which database it is: postern.meta */
	char system_identifier[32];  /* of its cluster; "": not known */
	bool is_private;             /* it was a cluster of Postern's own */
	struct manifest_part parts[MANIFEST_PARTS_MAX];
	unsigned part_count;
};

/* Returns the manifest as text, which the caller frees. */
char *manifest_format(const struct manifest *m);
/* ST_INVALID: it is no manifest; ST_REFUSED: one that this version can't read. The reason is added to why. */
enum status manifest_parse(const char *text, size_t len, struct manifest *ret, struct buf *why) MUST_CHECK;

#endif
