/* SPDX-License-Identifier: MIT
 * See bookmark.h. The file is a line of JSON: {"cursor":TEXT,"chat":NUMBER,"printed":[{"id":…,"chat":…,"at":…},…]};
 * "chat" is absent when all are followed. */
#include "cli/bookmark.h"

#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "cli/client.h"
#include "cli/command.h"
#include "cli/listing.h"

enum { FILE_MAX_BYTES = 64 << 10, CURSOR_MAX = 200 };

/* Drops every second one of the older half of the marks. */
static void thin_out(struct bookmark *b)
{
	size_t kept = 0;
	for (size_t i = 0; i < b->count; i++)
		if (i >= b->count / 2 || i % 2 == 0)
			b->marks[kept++] = b->marks[i];
	b->count = kept;
}

void bookmark_add(struct bookmark *b, uint64_t id, uint64_t chat, const char *at)
{
	if (b->count > 0 && id <= b->marks[b->count - 1].id)
		return;
	if (b->count == BOOKMARK_MARKS)
		thin_out(b);
	struct mark *m = &b->marks[b->count++];
	*m = (struct mark) { .id = id, .chat = chat };
	snprintf(m->at, sizeof(m->at), "%s", at);
	b->is_new = true;
}

void bookmark_shorten(struct bookmark *b, size_t count)
{
	if (count == 0 && b->count > 0)
		b->marks[count++].id = 0;
	b->count = count;
	b->is_new = true;
}

void bookmark_set_cursor(struct bookmark *b, const char *cursor)
{
	char *copy = mem_strdup(cursor);
	free(b->cursor);
	b->cursor = copy;
	b->is_new = true;
}

void bookmark_release(struct bookmark *b) { free(b->cursor); }

static bool read_number(struct json_object *o, const char *name, uint64_t *ret)
{
	struct json_object *v = listing_get(o, name);
	*ret = json_object_get_uint64(v);
	return json_object_is_type(v, json_type_int) && json_object_get_int64(v) >= 0;
}

static bool read_marks(struct bookmark *b, struct json_object *list)
{
	if (!json_object_is_type(list, json_type_array) || json_object_array_length(list) > BOOKMARK_MARKS)
		return false;
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		struct json_object *o = json_object_array_get_idx(list, i);
		const char *at = client_text(o, "at");
		uint64_t id, chat;
		if (!read_number(o, "id", &id) || !read_number(o, "chat", &chat) || at == NULL ||
			strlen(at) != CLOCK_RFC3339_LEN)
			return false;
		bookmark_add(b, id, chat, at);
	}
	return true;
}

int bookmark_is_damaged(const struct bookmark *b)
{
	command_failed("%s is damaged, or isn't a file of `postern tail --cursor-file`. Without it, tail starts again",
		b->path);
	return CONF_EXIT_CONFIG;
}

/* Returns NULL unless text is exactly one JSON value. */
static struct json_object *parse(const char *text, size_t len)
{
	struct json_tokener *tokener = mem_checked(json_tokener_new());
	struct json_object *o = json_tokener_parse_ex(tokener, text, (int)len + 1);
	size_t end = json_tokener_get_parse_end(tokener);
	if (json_tokener_get_error(tokener) != json_tokener_success || strspn(text + end, "\r\n\t ") != len - end) {
		json_object_put(o);
		o = NULL;
	}
	json_tokener_free(tokener);
	return o;
}

static int fill(struct bookmark *b, struct json_object *o)
{
	const char *cursor = client_text(o, "cursor"), *chat = client_text(o, "chat");
	size_t len = cursor != NULL ? strlen(cursor) : 0;
	if (len == 0 || len > CURSOR_MAX || strcspn(cursor, " \t\r\n") != len ||
		!read_marks(b, listing_get(o, "printed"))) {
		return bookmark_is_damaged(b);
	}
	if (strcmp(chat != NULL ? chat : "", b->chat != NULL ? b->chat : "") != 0) {
		command_failed("%s belongs to chat %s; each chat needs a file of its own", b->path,
			chat != NULL ? chat : "\"all\"");
		return CONF_EXIT_USAGE;
	}
	bookmark_set_cursor(b, cursor);
	b->is_new = false;
	return 0;
}

int bookmark_open(struct bookmark *b, const char *path, const char *chat)
{
	*b = (struct bookmark) { .path = path, .chat = chat };
	if (path == NULL)
		return 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0 || fstat(fd, &st) != 0) {
		command_failed("%s: %s", path, strerror(errno));
		if (fd >= 0)
			close(fd);
		return CONF_EXIT_IO;
	}
	char *text = mem_zeroed(1, FILE_MAX_BYTES + 1);
	ssize_t n = S_ISREG(st.st_mode) ? read(fd, text, FILE_MAX_BYTES) : 0;
	struct json_object *o = n > 0 ? parse(text, (size_t)n) : NULL;
	close(fd);
	free(text);
	int code = fill(b, o);
	json_object_put(o);
	return code;
}

static void write_text(const struct bookmark *b, struct buf *out)
{
	buf_adds(out, "{\"cursor\":");
	buf_add_json(out, b->cursor, strlen(b->cursor));
	if (b->chat != NULL)
		buf_addf(out, ",\"chat\":%s", b->chat);
	buf_adds(out, ",\"printed\":[");
	for (const struct mark *m = b->marks; m < b->marks + b->count; m++) {
		buf_addf(out, "%s{\"id\":%llu,\"chat\":%llu,\"at\":", m > b->marks ? "," : "",
			(unsigned long long)m->id, (unsigned long long)m->chat);
		buf_add_json(out, m->at, strlen(m->at));
		buf_addc(out, '}');
	}
	buf_adds(out, "]}\n");
}

/* Writes a temporary file and renames it, so that the file is always complete. Sets errno on failure. */
static bool replace(const char *path, const struct buf *text)
{
	char *beside = mem_format("%s.new", path);
	int fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	bool done = fd >= 0 && write(fd, text->data, text->len) == (ssize_t)text->len && fdatasync(fd) == 0;
	int error = errno;
	if (fd >= 0)
		close(fd);
	if (done && rename(beside, path) != 0) {
		error = errno;
		done = false;
	}
	if (!done && fd >= 0)
		unlink(beside);
	free(beside);
	errno = error;
	return done;
}

int bookmark_save(struct bookmark *b)
{
	struct buf text;
	if (b->path == NULL || b->cursor == NULL || !b->is_new)
		return 0;
	buf_init(&text, FILE_MAX_BYTES);
	write_text(b, &text);
	errno = ENOMEM;
	bool done = !buf_failed(&text) && replace(b->path, &text);
	if (!done)
		command_failed("the cursor can't be saved in %s: %s", b->path, strerror(errno));
	buf_release(&text);
	b->is_new = !done;
	b->saved_ms = clock_mono_ms();
	return done ? 0 : CONF_EXIT_IO;
}
