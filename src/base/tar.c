/* SPDX-License-Identifier: MIT
 * See tar.h. */
#include "base/tar.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/* The ustar header of POSIX: every field is text, numbers are octal. */
struct header {
	char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8], type, link[100], magic[6],
		version[2];
	char user[32], group[32], major[8], minor[8], prefix[155], unused[12];
};

_Static_assert(sizeof(struct header) == TAR_BLOCK, "a header is one block");

static const char zeros[TAR_BLOCK];

bool tar_is_end(const unsigned char block[TAR_BLOCK]) { return memcmp(block, zeros, TAR_BLOCK) == 0; }

/* Returns the sum of all bytes, with those of the checksum counted as blanks. */
static unsigned checksum(const unsigned char block[TAR_BLOCK])
{
	unsigned sum = 0;
	for (size_t i = 0; i < TAR_BLOCK; i++) {
		size_t from = offsetof(struct header, checksum);
		sum += i >= from && i < from + sizeof(((struct header *)0)->checksum) ? ' ' : block[i];
	}
	return sum;
}

static bool parse_octal(const char *text, size_t len, uint64_t *ret)
{
	size_t i = 0, digits = 0;
	*ret = 0;
	while (i < len && text[i] == ' ')
		i++;
	for (; i < len && text[i] >= '0' && text[i] <= '7'; i++, digits++)
		*ret = *ret << 3 | (uint64_t)(text[i] - '0');
	for (size_t end = i; end < len; end++)
		if (text[end] != '\0' && text[end] != ' ')
			return false;
	return digits > 0;
}

/* Reads an octal number, or one in base 256 after a byte 0x80. */
static bool parse_size(const char size[12], uint64_t *ret)
{
	const unsigned char *bytes = (const unsigned char *)size;
	if (bytes[0] < 0x80)
		return parse_octal(size, 12, ret);
	*ret = 0;
	if (bytes[0] != 0x80 || bytes[1] != 0 || bytes[2] != 0 || bytes[3] != 0 || bytes[4] >= 0x40)
		return false; /* negative, or more than any file has */
	for (size_t i = 4; i < 12; i++)
		*ret = *ret << 8 | bytes[i];
	return true;
}

/* Returns true for a relative, printable name without empty components, `.` and `..`. */
static bool is_safe(const char *name)
{
	for (const unsigned char *c = (const unsigned char *)name; *c != '\0'; c++)
		if (*c < 0x20 || *c >= 0x7f)
			return false;
	for (;;) {
		size_t len = strcspn(name, "/");
		if (len == 0 || (len == 1 && name[0] == '.') || (len == 2 && strncmp(name, "..", 2) == 0))
			return false;
		if (name[len] == '\0')
			return true;
		name += len + 1;
	}
}

/* For messages: replaces control characters, because the archive isn't trusted. */
static void add_name(struct buf *why, const char *name)
{
	for (; *name != '\0'; name++)
		buf_addc(why, *name < 0x20 || *name == 0x7f ? '?' : *name);
}

static void join_name(const struct header *h, char out[TAR_NAME_MAX + 2])
{
	if (h->prefix[0] != '\0' && memcmp(h->magic, "ustar", 6) == 0)
		snprintf(out, TAR_NAME_MAX + 2, "%.*s/%.*s", (int)sizeof(h->prefix), h->prefix, (int)sizeof(h->name),
			h->name);
	else
		snprintf(out, TAR_NAME_MAX + 2, "%.*s", (int)sizeof(h->name), h->name);
}

enum status tar_parse(const unsigned char block[TAR_BLOCK], struct tar_entry *ret, struct buf *why)
{
	struct header h;
	uint64_t sum;
	memcpy(&h, block, sizeof(h));
	if (memcmp(h.magic, "ustar", 5) != 0 || !parse_octal(h.checksum, sizeof(h.checksum), &sum) ||
		sum != checksum(block)) {
		buf_adds(why, "a header of the tar archive is damaged, or it is no tar archive");
		return ST_INVALID;
	}
	join_name(&h, ret->name);
	if (strncmp(ret->name, "./", 2) == 0)
		memmove(ret->name, ret->name + 2, strlen(ret->name + 2) + 1);
	ret->is_directory = h.type == '5';
	size_t len = strlen(ret->name);
	if (ret->is_directory && len > 1 && ret->name[len - 1] == '/')
		ret->name[len - 1] = '\0';
	const char *wrong = NULL;
	if (!is_safe(ret->name))
		wrong = "has a name that isn't allowed in a backup";
	else if (h.type != '0' && h.type != '\0' && !ret->is_directory)
		wrong = "is neither a file nor a directory";
	else if (!parse_size(h.size, &ret->size) || (ret->is_directory && ret->size != 0))
		wrong = "has a size that can't be";
	if (wrong == NULL)
		return ST_OK;
	buf_adds(why, "the member `");
	add_name(why, ret->name);
	buf_addf(why, "` %s", wrong);
	return ST_INVALID;
}

static void format_size(char out[12], uint64_t size)
{
	if (size < (uint64_t)1 << 33) {
		snprintf(out, 12, "%011llo", (unsigned long long)size);
		return;
	}
	memset(out, 0, 12);
	out[0] = (char)0x80;
	for (size_t i = 11; i >= 4; i--, size >>= 8)
		out[i] = (char)(size & 0xff);
}

void tar_format(unsigned char block[TAR_BLOCK], const char *name, uint64_t size, uint64_t mtime)
{
	struct header h = { .type = '0', .magic = "ustar", .version = { '0', '0' } };
	size_t len = strlen(name);
	assert(len > 0 && len < sizeof(h.name));
	memcpy(h.name, name, len);
	strcpy(h.mode, "0000600");
	strcpy(h.uid, "0000000");
	strcpy(h.gid, "0000000");
	format_size(h.size, size);
	snprintf(h.mtime, sizeof(h.mtime), "%011llo", (unsigned long long)(mtime & 0x1ffffffffULL));
	memcpy(block, &h, sizeof(h));
	snprintf(h.checksum, sizeof(h.checksum), "%06o", checksum(block));
	h.checksum[7] = ' ';
	memcpy(block, &h, sizeof(h));
}
