/* SPDX-License-Identifier: MIT
 * See access.h. */
#include "http/access.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/broker.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "loop/loop.h"

enum {
	PENDING_MAX = 1 << 20, /* bytes that wait to be written */
	SEGMENT_MAX = 20,      /* of a path without a route: a longer segment may be a secret */
	PATH_SIZE = 512,
	ADDRESS_SIZE = 64,
	AGENT_SIZE = 256,
	STUCK_MS = 5000, /* without progress */
};

struct access {
	struct loop *loop;
	struct metrics *metrics;
	struct loop_hook *hook;
	char *where, *next; /* where: a file; NULL: standard error or none. next: "off", "on" or a file, from the next
			       turn on */
	bool on, writing, reopen, dying;
	struct buf pending, written; /* written: the buffer that the thread writes */
	int broker;
	int fd;         /* used by the thread while it works */
	unsigned lost;  /* lines of `written` that could not be written */
	int error;      /* the errno of that, or of opening the file; 0: none */
	unsigned lines; /* in pending */
	unsigned writing_lines;
};

/* ---- on the thread ---- */

static void open_file(struct access *a)
{
	int fd = broker_ask(a->broker, BROKER_ACCESS_LOG);
	if (fd < 0) {
		a->error = errno;
		return;
	}
	if (a->fd > STDERR_FILENO)
		close(a->fd);
	a->fd = fd;
}

static unsigned count_lines(const char *s, size_t len)
{
	unsigned n = 0;
	for (const char *end = s + len; s < end && (s = memchr(s, '\n', (size_t)(end - s))) != NULL; s++)
		n++;
	return n;
}

static void write_all(struct access *a)
{
	const char *at = a->written.data, *end = at + a->written.len;
	while (at < end) {
		ssize_t n = write(a->fd, at, (size_t)(end - at));
		struct pollfd p = { .fd = a->fd, .events = POLLOUT };
		if (n >= 0)
			at += n;
		else if (errno == EAGAIN && poll(&p, 1, STUCK_MS) > 0)
			continue;
		else if (errno != EINTR)
			break;
	}
	if (at < end) {
		a->error = errno;
		a->lost = count_lines(at, (size_t)(end - at));
	}
}

static void work(void *arg)
{
	struct access *a = arg;
	a->lost = 0;
	a->error = 0;
	if (a->where != NULL && (a->reopen || a->fd < 0))
		open_file(a);
	if (a->fd >= 0)
		write_all(a);
	else
		a->lost = a->writing_lines;
}

/* ---- on the loop ---- */

static void finish(struct access *a);

static void on_worked(void *arg)
{
	struct access *a = arg;
	a->writing = a->reopen = false;
	metrics_count(a->metrics, M_ACCESS_LINES, a->writing_lines - a->lost);
	metrics_count(a->metrics, M_ACCESS_DROPPED, a->lost);
	if (a->error != 0)
		log_event(LOG_WARN, "can't write the access log",
			F("file", a->where != NULL ? a->where : "standard error"), F("error", strerror(a->error)));
	buf_reset(&a->written);
	if (a->dying) {
		a->dying = false;
		finish(a);
	}
}

static void swap_buffers(struct access *a)
{
	struct buf empty = a->written;
	a->written = a->pending;
	a->pending = empty;
	a->writing_lines = a->lines;
	a->lines = 0;
}

static void apply_place(struct access *a)
{
	bool file = strcmp(a->next, "off") != 0 && strcmp(a->next, "on") != 0;
	if (!file && a->fd > STDERR_FILENO)
		close(a->fd);
	if (!file || a->fd == STDERR_FILENO)
		a->fd = file ? -1 : STDERR_FILENO;
	free(a->where);
	a->where = file ? a->next : NULL;
	if (!file)
		free(a->next);
	a->next = NULL;
	a->reopen = file;
}

static void on_turn(void *arg)
{
	struct access *a = arg;
	if (a->writing)
		return;
	if (a->pending.len > 0 || a->reopen) {
		swap_buffers(a);
		a->writing = true;
		if (loop_job(a->loop, work, on_worked, a) != ST_OK) {
			a->lost = a->writing_lines;
			on_worked(a);
		}
	} else if (a->next != NULL) { /* everything for the old place has been written */
		apply_place(a);
		loop_again(a->loop);
	}
}

void access_reopen(struct access *a, const char *where)
{
	free(a->next);
	a->next = mem_strdup(where != NULL ? where : "off");
	a->on = strcmp(a->next, "off") != 0;
}

struct access *access_new(struct loop *loop, struct metrics *metrics, const char *where, int broker)
{
	struct access *a = mem_zeroed(1, sizeof(*a));
	*a = (struct access) { .loop = loop, .metrics = metrics, .broker = broker, .fd = -1 };
	buf_init(&a->pending, PENDING_MAX);
	buf_init(&a->written, PENDING_MAX);
	access_reopen(a, where);
	apply_place(a);
	a->hook = loop_hook_new(loop, on_turn, a);
	return a;
}

static void release(struct access *a)
{
	if (a->fd > STDERR_FILENO)
		close(a->fd);
	free(a->where);
	free(a->next);
	buf_release(&a->pending);
	buf_release(&a->written);
	free(a);
}

/* Writes the last lines on the loop's thread, which has nothing else to do any more. */
static void finish(struct access *a)
{
	if (a->pending.len > 0) {
		swap_buffers(a);
		work(a);
		on_worked(a);
	}
	release(a);
}

void access_free(struct access *a)
{
	loop_hook_free(a->hook);
	a->hook = NULL;
	if (a->writing)
		a->dying = true; /* on_worked() continues within loop_free() */
	else
		finish(a);
}

/* ---- lines ---- */

static void add_line(struct access *a, const struct log_field *fields)
{
	char line[LOG_LINE_MAX];
	size_t len = log_line(LOG_INFO, "access", fields, a->where == NULL, line);
	if (a->pending.len + len > PENDING_MAX) {
		metrics_count(a->metrics, M_ACCESS_DROPPED, 1);
		return;
	}
	buf_add(&a->pending, line, len);
	a->lines++;
}

static bool has_secret(const char *template)
{
	return strstr(template, "{code}") != NULL || strstr(template, "{secret}") != NULL;
}

const char *access_path(const struct request *req, char *out, size_t size)
{
	const char *path = request_path(req);
	size_t used = 0;
	if (request_route(req) != NULL)
		return has_secret(request_route(req)->path) ? request_route(req)->path : path;
	while (*path != '\0') {
		size_t slash = strspn(path, "/"), n = strcspn(path + slash, "/");
		int written = snprintf(out + used, size - used, "%.*s%.*s", (int)slash, path,
			n > SEGMENT_MAX ? 3 : (int)n, n > SEGMENT_MAX ? "…" : path + slash);
		path += slash + n;
		if (written < 0 || used + (size_t)written >= size)
			break;
		used += (size_t)written;
	}
	out[used] = '\0';
	return out;
}

static const char *method_of(const struct request *req) { return request_is_head(req) ? "HEAD" : request_method(req); }

void access_request(struct access *a, const struct request *req, int status, uint64_t bytes, bool ok)
{
	char address[ADDRESS_SIZE], path[PATH_SIZE];
	if (!a->on)
		return;
	request_client(req, address, sizeof(address));
	add_line(a,
		(const struct log_field[]) { F("addr", address), F("user", request_user(req)),
			F("method", method_of(req)), F("path", access_path(req, path, sizeof(path))),
			F_NUMBER("status", status), F_NUMBER("bytes", bytes),
			F_SECONDS("duration", clock_mono_us() - request_began_us(req)), F("cut", ok ? NULL : "yes"),
			F("request", request_id(req)), F("agent", request_header(req, "User-Agent")), { 0 } });
}

/* ---- entries that outlive their request ---- */

struct access_entry *access_hold(const struct access *a, const struct request *req)
{
	char address[ADDRESS_SIZE], agent[AGENT_SIZE], text[PATH_SIZE];
	if (!a->on)
		return NULL;
	const char *header = request_header(req, "User-Agent"), *user = request_user(req);
	request_client(req, address, sizeof(address));
	snprintf(agent, sizeof(agent), "%s", header != NULL ? header : "");
	const char *const parts[] = { address, user != NULL ? user : "", request_id(req),
		access_path(req, text, sizeof(text)), agent };
	size_t size = 0;
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		size += strlen(parts[i]) + 1;
	struct access_entry *e = mem_alloc(sizeof(*e) + size);
	*e = (struct access_entry) { .began_us = request_began_us(req), .status = 200 };
	char *at = e->text;
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		at = stpcpy(at, parts[i]) + 1;
	return e;
}

static const char *unless_empty(const char *s) { return *s != '\0' ? s : NULL; }

void access_end(struct access *a, struct access_entry *e)
{
	if (e == NULL)
		return;
	const char *address = e->text, *user = address + strlen(address) + 1, *id = user + strlen(user) + 1,
		   *path = id + strlen(id) + 1;
	const char *agent = path + strlen(path) + 1;
	add_line(a,
		(const struct log_field[]) { F("addr", address), F("user", unless_empty(user)), F("method", "GET"),
			F("path", path), F_NUMBER("status", e->status), F_NUMBER("bytes", e->bytes),
			F_SECONDS("duration", clock_mono_us() - e->began_us), F_NUMBER("events", e->events),
			F("request", id), F("agent", unless_empty(agent)), { 0 } });
	free(e);
}
