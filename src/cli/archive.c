/* SPDX-License-Identifier: MIT
 * See archive.h. */
#include "cli/archive.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/signals.h"
#include "base/tar.h"

enum { PIECE = 256 * 1024, SHA256_LINE_MAX = DIGEST_HEX + 32 };

static const char manifest_name[] = "manifest.json", sum_name[] = "manifest.sha256";

static enum status failed(const struct archive *a, struct buf *why)
{
	buf_addf(why, "%s: %s", a->name, strerror(errno));
	return ST_SYSTEM;
}

static struct manifest_part *last_part(struct archive *a) { return &a->manifest.parts[a->manifest.part_count - 1]; }

/* --- writing --- */

void archive_begin(struct archive *a, int fd, const char *name) { *a = (struct archive) { .fd = fd, .name = name }; }

static enum status write_all(struct archive *a, const void *data, size_t len, struct buf *why)
{
	for (const char *p = data; len > 0;) {
		ssize_t n = write(a->fd, p, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return failed(a, why);
		p += n;
		len -= (size_t)n;
	}
	return ST_OK;
}

static enum status write_zeros(struct archive *a, size_t len, struct buf *why)
{
	static const char zeros[2 * TAR_BLOCK];
	return write_all(a, zeros, len, why);
}

enum status archive_begin_part(struct archive *a, const char *name, struct buf *why)
{
	assert(a->manifest.part_count < MANIFEST_PARTS_MAX);
	struct manifest_part *p = &a->manifest.parts[a->manifest.part_count];
	off_t at = lseek(a->fd, 0, SEEK_CUR);
	if (at < 0)
		return failed(a, why);
	a->at[a->manifest.part_count++] = at;
	*p = (struct manifest_part) { 0 };
	snprintf(p->name, sizeof(p->name), "%s", name);
	digest_init(&a->digest);
	return write_zeros(a, TAR_BLOCK, why); /* a placeholder: the header is written when the size is known */
}

enum status archive_write(struct archive *a, const void *data, size_t len, struct buf *why)
{
	last_part(a)->size += len;
	digest_add(&a->digest, data, len);
	return write_all(a, data, len, why);
}

enum status archive_write_from(struct archive *a, int from, struct buf *why)
{
	static char piece[PIECE];
	for (;;) {
		ssize_t n = read(from, piece, sizeof(piece));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			buf_addf(why, "reading from PostgreSQL's program: %s", strerror(errno));
			return ST_SYSTEM;
		}
		if (n == 0)
			return ST_OK;
		enum status st = archive_write(a, piece, (size_t)n, why);
		if (st != ST_OK)
			return st;
	}
}

enum status archive_end_part(struct archive *a, struct buf *why)
{
	unsigned char header[TAR_BLOCK];
	struct manifest_part *p = last_part(a);
	digest_hex(&a->digest, p->sha256);
	enum status st = write_zeros(a, tar_padding(p->size), why);
	tar_format(header, p->name, p->size, (uint64_t)time(NULL));
	if (st == ST_OK && pwrite(a->fd, header, TAR_BLOCK, a->at[a->manifest.part_count - 1]) != TAR_BLOCK)
		st = failed(a, why);
	return st;
}

static enum status write_text(struct archive *a, const char *name, const char *text, struct buf *why)
{
	unsigned char header[TAR_BLOCK];
	size_t len = strlen(text);
	tar_format(header, name, len, (uint64_t)time(NULL));
	enum status st = write_all(a, header, TAR_BLOCK, why);
	if (st == ST_OK)
		st = write_all(a, text, len, why);
	return st == ST_OK ? write_zeros(a, tar_padding(len), why) : st;
}

/* Writes a line in the format of `sha256sum -c`. */
static void format_sum(const char *text, size_t len, char out[SHA256_LINE_MAX])
{
	struct digest d;
	char hex[DIGEST_HEX + 1];
	digest_init(&d);
	digest_add(&d, text, len);
	digest_hex(&d, hex);
	snprintf(out, SHA256_LINE_MAX, "%s  %s\n", hex, manifest_name);
}

enum status archive_end(struct archive *a, struct buf *why)
{
	char sum[SHA256_LINE_MAX], *text = manifest_format(&a->manifest);
	format_sum(text, strlen(text), sum);
	enum status st = write_text(a, manifest_name, text, why);
	if (st == ST_OK)
		st = write_text(a, sum_name, sum, why);
	free(text);
	return st == ST_OK ? write_zeros(a, 2 * TAR_BLOCK, why) : st;
}

/* --- reading --- */

/* One pass through the file. */
struct scan {
	struct archive *a;
	off_t at, end;
	struct manifest_part found[MANIFEST_PARTS_MAX + 2];
	off_t found_at[MANIFEST_PARTS_MAX + 2];
	unsigned count;
	char *piece; /* PIECE bytes */
	struct buf manifest, sum;
	struct buf *why;
};

static enum status damaged(struct scan *s, const char *what)
{
	buf_addf(s->why, "%s: %s", s->a->name, what);
	return ST_INVALID;
}

/* Reads exactly that many bytes at s->at. */
static enum status read_at(struct scan *s, void *out, size_t len)
{
	if (signals_stop_pending()) {
		buf_addf(s->why, "stopped by a signal while reading %s", s->a->name);
		return ST_REFUSED;
	}
	for (char *p = out; len > 0;) {
		ssize_t n = pread(s->a->fd, p, len, s->at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return failed(s->a, s->why);
		if (n == 0)
			return damaged(s, "it is truncated: the end is missing");
		p += n;
		len -= (size_t)n;
		s->at += n;
	}
	return ST_OK;
}

static bool is_zero(const char *data, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (data[i] != '\0')
			return false;
	return true;
}

static enum status read_member(struct scan *s, uint64_t size, struct digest *d, struct buf *keep)
{
	for (uint64_t left = size; left > 0;) {
		size_t n = left < PIECE ? (size_t)left : PIECE;
		enum status st = read_at(s, s->piece, n);
		if (st != ST_OK)
			return st;
		digest_add(d, s->piece, n);
		if (keep != NULL)
			buf_add(keep, s->piece, n);
		left -= n;
	}
	enum status st = read_at(s, s->piece, tar_padding(size));
	if (st == ST_OK && !is_zero(s->piece, tar_padding(size)))
		return damaged(s, "it is damaged: there are bytes between two members");
	return st;
}

static struct buf *kept(struct scan *s, const char *name)
{
	return strcmp(name, manifest_name) == 0 ? &s->manifest : strcmp(name, sum_name) == 0 ? &s->sum : NULL;
}

static enum status scan_member(struct scan *s, const struct tar_entry *e)
{
	struct digest d;
	if (e->is_directory || strchr(e->name, '/') != NULL || strlen(e->name) >= MANIFEST_NAME_MAX) {
		buf_addf(s->why, "%s: the member `%s` doesn't belong in a backup", s->a->name, e->name);
		return ST_INVALID;
	}
	for (unsigned i = 0; i < s->count; i++)
		if (strcmp(s->found[i].name, e->name) == 0) {
			buf_addf(s->why, "%s: the member `%s` occurs twice", s->a->name, e->name);
			return ST_INVALID;
		}
	if (s->count == sizeof(s->found) / sizeof(s->found[0]))
		return damaged(s, "it has more members than any backup");
	if (e->size > (uint64_t)(s->end - s->at)) {
		buf_addf(s->why, "%s: it is truncated: the member `%s` has %llu bytes, and %llu follow", s->a->name,
			e->name, (unsigned long long)e->size, (unsigned long long)(s->end - s->at));
		return ST_INVALID;
	}
	struct manifest_part *p = &s->found[s->count];
	snprintf(p->name, sizeof(p->name), "%.*s", MANIFEST_NAME_MAX - 1, e->name);
	p->size = e->size;
	s->found_at[s->count++] = s->at;
	digest_init(&d);
	enum status st = read_member(s, e->size, &d, kept(s, e->name));
	digest_hex(&d, p->sha256);
	return st;
}

/* Nothing but zeros may follow the end; tar(1) writes up to 10 KiB of them. */
static enum status read_end(struct scan *s)
{
	enum status st = ST_OK;
	while (st == ST_OK && s->at < s->end) {
		size_t n = s->end - s->at < PIECE ? (size_t)(s->end - s->at) : PIECE;
		st = read_at(s, s->piece, n);
		if (st == ST_OK && !is_zero(s->piece, n))
			st = damaged(s, "it is damaged: there are bytes after its end");
	}
	return st;
}

static enum status read_members(struct scan *s)
{
	unsigned char block[TAR_BLOCK];
	for (;;) {
		struct tar_entry e;
		enum status st = read_at(s, block, TAR_BLOCK);
		if (st != ST_OK)
			return st;
		if (tar_is_end(block)) {
			st = read_at(s, block, TAR_BLOCK);
			return st != ST_OK          ? st
				: tar_is_end(block) ? read_end(s)
						    : damaged(s, "it is damaged at its end");
		}
		struct buf reason;
		buf_init(&reason, 4096);
		if ((st = tar_parse(block, &e, &reason)) != ST_OK)
			damaged(s, reason.data != NULL ? reason.data : "it is damaged");
		buf_release(&reason);
		if (st == ST_OK)
			st = scan_member(s, &e);
		if (st != ST_OK)
			return st;
	}
}

/* Checks the manifest against its checksum, then each part against the manifest. */
static enum status compare_part(struct scan *s, unsigned i)
{
	struct manifest_part *p = &s->a->manifest.parts[i];
	unsigned f = 0;
	while (f < s->count && strcmp(s->found[f].name, p->name) != 0)
		f++;
	if (f == s->count)
		buf_addf(s->why, "%s: the part `%s` is missing", s->a->name, p->name);
	else if (s->found[f].size != p->size || strcmp(s->found[f].sha256, p->sha256) != 0)
		buf_addf(s->why, "%s: the part `%s` is damaged: its checksum isn't that of the manifest", s->a->name,
			p->name);
	else {
		s->a->at[i] = s->found_at[f];
		return ST_OK;
	}
	return ST_INVALID;
}

static bool in_manifest(const struct archive *a, const char *name)
{
	for (unsigned i = 0; i < a->manifest.part_count; i++)
		if (strcmp(a->manifest.parts[i].name, name) == 0)
			return true;
	return false;
}

static enum status compare(struct scan *s)
{
	char sum[SHA256_LINE_MAX];
	if (s->manifest.len == 0 || s->sum.len == 0)
		return damaged(s, "it isn't a backup of Postern: it has no manifest");
	format_sum(s->manifest.data, s->manifest.len, sum);
	if (strcmp(sum, s->sum.data) != 0)
		return damaged(s, "its manifest.json is damaged: its checksum isn't that in manifest.sha256");
	struct buf reason;
	buf_init(&reason, 4096);
	enum status st = manifest_parse(s->manifest.data, s->manifest.len, &s->a->manifest, &reason);
	if (st != ST_OK)
		damaged(s, buf_text(&reason));
	buf_release(&reason);
	for (unsigned i = 0; st == ST_OK && i < s->a->manifest.part_count; i++)
		st = compare_part(s, i);
	for (unsigned i = 0; st == ST_OK && i < s->count; i++)
		if (kept(s, s->found[i].name) == NULL && !in_manifest(s->a, s->found[i].name)) {
			buf_addf(s->why, "%s: the member `%s` isn't in the manifest", s->a->name, s->found[i].name);
			st = ST_INVALID;
		}
	return st;
}

enum status archive_open(struct archive *a, int fd, const char *name, struct buf *why)
{
	struct stat file;
	struct scan s = { .a = a, .why = why, .piece = mem_alloc(PIECE) };
	archive_begin(a, fd, name);
	buf_init(&s.manifest, MANIFEST_TEXT_MAX);
	buf_init(&s.sum, SHA256_LINE_MAX);
	enum status st = ST_OK;
	if (fstat(fd, &file) < 0)
		st = failed(a, why);
	else if (!S_ISREG(file.st_mode))
		st = damaged(&s, "it isn't a regular file");
	else {
		s.end = file.st_size;
		st = read_members(&s);
	}
	if (st == ST_OK)
		st = compare(&s);
	buf_release(&s.manifest);
	buf_release(&s.sum);
	free(s.piece);
	return st;
}

static unsigned find_part(const struct archive *a, const char *name)
{
	unsigned i = 0;
	while (strcmp(a->manifest.parts[i].name, name) != 0)
		i++;
	assert(i < a->manifest.part_count);
	return i;
}

enum status archive_read(struct archive *a, const char *part, archive_sink *sink, void *arg, struct buf *why)
{
	unsigned i = find_part(a, part);
	struct scan s = { .a = a, .at = a->at[i], .why = why, .piece = mem_alloc(PIECE) };
	char hex[DIGEST_HEX + 1];
	enum status st = ST_OK;
	digest_init(&a->digest);
	for (uint64_t left = a->manifest.parts[i].size; st == ST_OK && left > 0;) {
		size_t n = left < PIECE ? (size_t)left : PIECE;
		st = read_at(&s, s.piece, n);
		digest_add(&a->digest, s.piece, n);
		left -= n;
		if (st == ST_OK && left == 0) {
			digest_hex(&a->digest, hex);
			if (strcmp(hex, a->manifest.parts[i].sha256) != 0)
				st = damaged(&s, "it was changed while it was being read");
		}
		if (st == ST_OK)
			st = sink(arg, s.piece, n, why);
	}
	free(s.piece);
	return st;
}
