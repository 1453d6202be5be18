/* SPDX-License-Identifier: MIT
 * Raw connections and the parsing of responses. See wire.h. */
#include "wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "json_path.h"
#include "suite.h"

struct wire {
	int fd;
	char *data;
	size_t len, size;
	size_t taken; /* at the beginning of data */
	bool ended;
};

/* --- answers --- */

void answer_release(struct answer *a)
{
	free(a->head);
	free(a->body);
	json_object_put(a->json);
	memset(a, 0, sizeof(*a));
}

/* Returns the value of a header in a head; NULL: absent. */
static const char *find_header(const char *head, const char *name, size_t *ret_len)
{
	size_t n = strlen(name);
	for (const char *line = strstr(head, "\r\n"); line != NULL; line = strstr(line, "\r\n")) {
		line += 2;
		if (strncasecmp(line, name, n) == 0 && line[n] == ':') {
			const char *value = line + n + 1 + strspn(line + n + 1, " \t");
			*ret_len = strcspn(value, "\r");
			return value;
		}
	}
	return NULL;
}

const char *answer_header(struct answer a, const char *name)
{
	size_t len;
	const char *value = a.head != NULL ? find_header(a.head, name, &len) : NULL;
	return value != NULL ? format("%.*s", (int)len, value) : NULL;
}

const char *answer_expect_header(const char *file, int line, struct answer a, const char *name)
{
	const char *value = answer_header(a, name);
	if (value == NULL)
		fail_at(file, line, "there is no %s in: %s", name, a.head ? a.head : "(no answer)");
	return value;
}

/* Decodes chunks. Returns the bytes they take on the wire; 0: incomplete; -1: malformed. */
static long unchunk(const char *data, size_t len, char *body, size_t *ret_len)
{
	size_t at = 0;
	*ret_len = 0;
	for (;;) {
		char *end;
		const char *line = memmem(data + at, len - at, "\r\n", 2);
		if (line == NULL)
			return 0;
		unsigned long size = strtoul(data + at, &end, 16);
		if (end == data + at || size > len)
			return end == data + at ? -1 : 0;
		at = (size_t)(line - data) + 2;
		if (len - at < size + 2)
			return 0;
		if (memcmp(data + at + size, "\r\n", 2) != 0)
			return -1;
		memcpy(body + *ret_len, data + at, size);
		*ret_len += size;
		at += size + 2;
		if (size == 0)
			return (long)at;
	}
}

/* Reads the body that follows the head. Returns as unchunk(). */
static long read_body(
	const char *head, int status, bool no_body, const char *data, size_t len, bool eof, char *body, size_t *ret_len)
{
	size_t n;
	const char *value;
	*ret_len = 0;
	if (no_body || status == 204 || status == 304)
		return 0;
	if (find_header(head, "Transfer-Encoding", &n) != NULL) {
		long taken = unchunk(data, len, body, ret_len);
		return taken == 0 ? -2 : taken;
	}
	if ((value = find_header(head, "Content-Length", &n)) != NULL) {
		size_t length = strtoul(value, NULL, 10);
		if (len < length)
			return -2;
		memcpy(body, data, *ret_len = length);
		return (long)length;
	}
	if (!eof)
		return -2;
	memcpy(body, data, *ret_len = len);
	return (long)len;
}

long answer_parse(const char *data, size_t len, bool eof, bool no_body, struct answer *ret)
{
	memset(ret, 0, sizeof(*ret));
	const char *end = memmem(data, len, "\r\n\r\n", 4);
	if (end == NULL)
		return eof && len > 0 ? -1 : 0;
	size_t head_len = (size_t)(end - data) + 2;
	if (sscanf(data, "HTTP/1.%*1[01] %d", &ret->status) != 1)
		return -1;
	if (ret->status / 100 == 1) {
		long n = answer_parse(end + 4, len - head_len - 2, eof, no_body, ret);
		return n > 0 ? n + (long)head_len + 2 : n;
	}
	ret->head = strndup(data, head_len);
	ret->body = malloc(len + 1);
	long n = read_body(ret->head, ret->status, no_body, end + 4, len - head_len - 2, eof, ret->body, &ret->len);
	if (n < 0) {
		answer_release(ret);
		return n == -2 && !eof ? 0 : -1;
	}
	ret->body[ret->len] = '\0';
	ret->json = json_path_parse(ret->body, ret->len);
	return n + (long)head_len + 2;
}

/* --- connections --- */

struct wire *wire_new(const struct server *server, int receive_buffer)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)server_port(server)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
	if (receive_buffer > 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof(receive_buffer));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0) {
		int why = errno;
		if (fd >= 0)
			close(fd);
		errno = why;
		return NULL;
	}
	struct wire *w = calloc(1, sizeof(*w));
	w->fd = fd;
	return w;
}

void wire_free(void *wire)
{
	struct wire *w = wire;
	if (w == NULL)
		return;
	close(w->fd);
	free(w->data);
	free(w);
}

struct wire *wire_open(const struct server *server)
{
	struct wire *w = wire_new(server, 0);
	ck_assert_msg(w != NULL, "can't connect: %s", strerror(errno));
	return on_teardown(wire_free, w);
}

int wire_fd(const struct wire *w) { return w->fd; }

bool wire_ended(const struct wire *w) { return w->ended; }

bool wire_bytes(struct wire *w, const void *data, size_t len)
{
	const char *from = data;
	uint64_t until = clock_mono_ms() + PATIENCE;
	while (len > 0) {
		ssize_t n = send(w->fd, from, len, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n >= 0) {
			from += n;
			len -= (size_t)n;
			continue;
		}
		if (errno != EAGAIN)
			return false;
		struct pollfd p = { .fd = w->fd, .events = POLLOUT };
		poll(&p, 1, time_left(until, "the peer to read"));
	}
	return true;
}

bool wire_send(struct wire *w, const char *fmt, ...)
{
	char *text;
	va_list ap;
	va_start(ap, fmt);
	int len = vasprintf(&text, fmt, ap);
	va_end(ap);
	bool sent = len >= 0 && wire_bytes(w, text, (size_t)len);
	free(text);
	return sent;
}

void wire_shut(struct wire *w) { shutdown(w->fd, SHUT_WR); }

static void make_room(struct wire *w)
{
	if (w->taken > 0)
		memmove(w->data, w->data + w->taken, w->len - w->taken);
	w->len -= w->taken;
	w->taken = 0;
	if (w->size - w->len < 16384)
		w->data = realloc(w->data, w->size = 2 * w->size + 32768);
}

bool wire_pump(struct wire *w)
{
	while (!w->ended) {
		if (w->size - w->len < 16384)
			make_room(w);
		ssize_t n = recv(w->fd, w->data + w->len, w->size - w->len - 1, MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			break;
		if (n <= 0)
			w->ended = true;
		else
			w->len += (size_t)n;
		w->data[w->len] = '\0';
	}
	return !w->ended;
}

bool wire_wait(struct wire *w, int ms)
{
	struct pollfd p = { .fd = w->fd, .events = POLLIN };
	return w->ended || poll(&p, 1, ms) > 0;
}

const char *wire_data(const struct wire *w, size_t *ret_len)
{
	*ret_len = w->len - w->taken;
	return w->data != NULL ? w->data + w->taken : "";
}

void wire_take(struct wire *w, size_t n) { w->taken += n; }

static void drop(void *answer)
{
	answer_release(answer);
	free(answer);
}

static struct answer await_answer(struct wire *w, bool no_body)
{
	uint64_t until = clock_mono_ms() + PATIENCE;
	struct answer *a = on_teardown(drop, calloc(1, sizeof(*a)));
	for (;;) {
		size_t len;
		wire_pump(w);
		const char *data = wire_data(w, &len);
		long n = answer_parse(data, len, w->ended, no_body, a);
		ck_assert_msg(n >= 0, "that's no answer: %.200s", data);
		wire_take(w, (size_t)n);
		if (n > 0 || w->ended)
			return *a;
		wire_wait(w, time_left(until, "an answer"));
	}
}

struct answer wire_answer(struct wire *w) { return await_answer(w, false); }

struct answer wire_answer_to_head(struct wire *w) { return await_answer(w, true); }

void wire_expect_end(struct wire *w)
{
	size_t len;
	uint64_t until = clock_mono_ms() + PATIENCE;
	while (wire_pump(w))
		wire_wait(w, time_left(until, "the peer to close"));
	const char *data = wire_data(w, &len);
	ck_assert_msg(len == 0, "more came before the end: %.200s", data);
}
