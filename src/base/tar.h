/* SPDX-License-Identifier: MIT
 * Headers of tar archives (POSIX ustar), for plain files and directories, with sizes of more than 8 GiB in base 256 as
 * PostgreSQL and GNU tar write them. An archive that is read isn't trusted: names are checked here, and no files are
 * created. */
#ifndef BASE_TAR_H
#define BASE_TAR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/status.h"

enum { TAR_BLOCK = 512, TAR_NAME_MAX = 255 };

struct tar_entry {
	char name[TAR_NAME_MAX + 2]; /* without a leading ./, and for a directory without the trailing slash */
	bool is_directory;
	uint64_t size; /* 0 for a directory */
};

/* Reads a header. ST_INVALID: damaged, a link or a device, an unsafe name (absolute, with `..`), or an impossible size;
 * the reason is added to why. */
enum status tar_parse(const unsigned char block[TAR_BLOCK], struct tar_entry *ret, struct buf *why) MUST_CHECK;
/* Writes the header of a plain file, mode 0600, without an owner. The name has at most 99 bytes. */
void tar_format(unsigned char block[TAR_BLOCK], const char *name, uint64_t size, uint64_t mtime);
/* Two of these end an archive. */
bool tar_is_end(const unsigned char block[TAR_BLOCK]);
/* Returns the number of zero bytes that pad a file of that size. */
static inline unsigned tar_padding(uint64_t size) { return (unsigned)((TAR_BLOCK - size % TAR_BLOCK) % TAR_BLOCK); }

#endif
