/* SPDX-License-Identifier: MIT
 * manifest.json of a backup: its kind, source, versions and parts. A new member doesn't change the format, and older
 * versions ignore it; older versions refuse a new part; any other change needs another FORMAT. */
#ifndef CLI_MANIFEST_H
#define CLI_MANIFEST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/digest.h"
#include "base/status.h"

enum { MANIFEST_FORMAT = 1, MANIFEST_PARTS_MAX = 8, MANIFEST_TEXT_MAX = 64 * 1024, MANIFEST_NAME_MAX = 64 };

/* The kinds, each with its part: a dump in pg_dump's custom format, and a tar archive of pg_basebackup with the WAL in
 * it. */
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
	char server_version[96];     /* PostgreSQL's, in full */
	char epoch[64];              /* identifies the database: postern.meta */
	char system_identifier[32];  /* of its cluster; "": unknown */
	bool is_private;             /* it was Postern's private cluster */
	struct manifest_part parts[MANIFEST_PARTS_MAX];
	unsigned part_count;
};

/* Returns the manifest as text, which the caller frees. */
char *manifest_format(const struct manifest *m);
/* ST_INVALID: it isn't a manifest; ST_REFUSED: this version can't read it. The reason is added to why. */
enum status manifest_parse(const char *text, size_t len, struct manifest *ret, struct buf *why) MUST_CHECK;

#endif
