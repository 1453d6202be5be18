/* SPDX-License-Identifier: MIT
 * See unpack.h. Every directory is created here, inside an empty one, and links never are: so no name leads outside,
 * and O_EXCL detects a name that occurs twice. */
#include "cli/unpack.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/tar.h"

struct unpack {
	int dir, file; /* file: the one that is being written; -1: none */
	struct tar_entry entry;
	uint64_t left;    /* bytes of the file that are still to come */
	unsigned padding; /* bytes of padding that are still to come after them */
	unsigned char header[TAR_BLOCK];
	unsigned have; /* bytes of the header so far */
	bool over;     /* the end was seen: only zeros may follow */
};

struct unpack *unpack_new(const char *dir, struct buf *why)
{
	struct unpack *u = mem_zeroed(1, sizeof(*u));
	if ((u->dir = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)) < 0) {
		buf_addf(why, "%s: %s", dir, strerror(errno));
		free(u);
		return NULL;
	}
	u->file = -1;
	return u;
}

void unpack_free(struct unpack *u)
{
	if (u == NULL)
		return;
	if (u->file >= 0)
		close(u->file);
	close(u->dir);
	free(u);
}

static enum status failed(const struct unpack *u, struct buf *why)
{
	if (errno == EEXIST) {
		buf_addf(why, "the base backup has `%s` twice", u->entry.name);
		return ST_INVALID;
	}
	buf_addf(why, "writing %s of the base backup: %s", u->entry.name, strerror(errno));
	return ST_SYSTEM;
}

static enum status begin_entry(struct unpack *u, struct buf *why)
{
	struct buf reason;
	u->have = 0;
	if (tar_is_end(u->header)) {
		u->over = true;
		return ST_OK;
	}
	buf_init(&reason, 4096);
	enum status st = tar_parse(u->header, &u->entry, &reason);
	if (st != ST_OK)
		buf_addf(why, "the base backup: %s", buf_text(&reason));
	buf_release(&reason);
	if (st != ST_OK)
		return st;
	if (u->entry.is_directory)
		return mkdirat(u->dir, u->entry.name, 0700) == 0 ? ST_OK : failed(u, why);
	u->left = u->entry.size;
	u->padding = tar_padding(u->entry.size);
	u->file = openat(u->dir, u->entry.name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	return u->file >= 0 ? ST_OK : failed(u, why);
}

static enum status add_header(struct unpack *u, const unsigned char **data, size_t *len, struct buf *why)
{
	size_t n = TAR_BLOCK - u->have < *len ? TAR_BLOCK - u->have : *len;
	memcpy(u->header + u->have, *data, n);
	u->have += (unsigned)n;
	*data += n;
	*len -= n;
	return u->have == TAR_BLOCK ? begin_entry(u, why) : ST_OK;
}

static enum status add_content(struct unpack *u, const unsigned char **data, size_t *len, struct buf *why)
{
	size_t n = u->left < *len ? (size_t)u->left : *len;
	ssize_t written = n > 0 ? write(u->file, *data, n) : 0;
	if (written < 0 && errno != EINTR)
		return failed(u, why);
	if (written > 0) {
		*data += written;
		*len -= (size_t)written;
		u->left -= (uint64_t)written;
	}
	return ST_OK;
}

/* Closes the file if all of its bytes were written. An empty one is closed at once. */
static enum status end_content(struct unpack *u, struct buf *why)
{
	if (u->file < 0 || u->left > 0)
		return ST_OK;
	int fd = u->file;
	u->file = -1;
	return close(fd) == 0 ? ST_OK : failed(u, why);
}

enum status unpack_add(void *arg, const void *bytes, size_t len, struct buf *why)
{
	struct unpack *u = arg;
	const unsigned char *data = bytes;
	enum status st = ST_OK;
	while (st == ST_OK && len > 0 && !u->over) {
		if (u->file >= 0)
			st = add_content(u, &data, &len, why);
		else if (u->padding > 0) {
			size_t n = u->padding < len ? u->padding : len;
			data += n;
			len -= n;
			u->padding -= (unsigned)n;
		} else
			st = add_header(u, &data, &len, why);
		if (st == ST_OK)
			st = end_content(u, why);
	}
	for (; st == ST_OK && len > 0; data++, len--)
		if (*data != 0) {
			buf_adds(why, "the base backup: there are bytes after its end");
			st = ST_INVALID;
		}
	return st;
}

enum status unpack_end(const struct unpack *u, struct buf *why)
{
	if (u->over)
		return ST_OK;
	buf_adds(why, "the base backup: its end is missing");
	return ST_INVALID;
}
