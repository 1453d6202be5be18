/* SPDX-License-Identifier: MIT
 * See listen.h. SO_REUSEPORT alone would let a second server share our port silently, if it runs as the same user: so each
 * address is bound once without it first. */
#include "serve/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "conf/conf.h"

enum { BACKLOG = 4096, STEP_MS = 20, PATIENCE_MS = 1000 };

static enum status failed(struct buf *why, const char *what, const char *address)
{
	buf_addf(why, "%s %s: %s", what, address, errno == EADDRINUSE ? "another server is using this address" : strerror(errno));
	return ST_SYSTEM;
}

/* [::] takes IPv4 too, unless that port is listed for IPv4 as well. */
static int wants_v6only(const struct conf *conf, const struct conf_listen *a)
{
	for (size_t i = 0; i < conf->listen_count; i++) {
		const struct conf_listen *b = &conf->listen[i];
		if (b->addr.sa.sa_family == AF_INET && b->addr.in.sin_port == a->addr.in6.sin6_port && b->addr.in.sin_port != 0)
			return 1;
	}
	return 0;
}

/* A bound TCP socket, not yet listening; -1: errno says why. */
static int bind_tcp(const struct conf *conf, const struct conf_listen *a, int reuseport)
{
	int one = 1, v6only = a->addr.sa.sa_family == AF_INET6 && wants_v6only(conf, a);
	int fd = socket(a->addr.sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) == 0 &&
			(!reuseport || setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)) == 0) &&
			(a->addr.sa.sa_family != AF_INET6 || setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6only, sizeof(v6only)) == 0) &&
			bind(fd, &a->addr.sa, a->len) == 0)
		return fd;
	int saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

/* Binds `a` alone for a moment, which also fills in port 0. The workers of a supervisor that has just been killed may
 * need a moment to die. */
static enum status probe_tcp(const struct conf *conf, struct conf_listen *a, struct buf *why)
{
	for (unsigned ms = 0;; ms += STEP_MS) {
		int fd = bind_tcp(conf, a, 0);
		/* The port of a bound address may be shared until somebody listens. */
		bool ok = fd >= 0 && listen(fd, 1) == 0 && getsockname(fd, &a->addr.sa, &a->len) == 0;
		int saved = errno;
		if (fd >= 0)
			close(fd);
		if (ok)
			return ST_OK;
		errno = saved;
		if (errno != EADDRINUSE || ms >= PATIENCE_MS)
			return failed(why, "listening on", a->text);
		usleep(STEP_MS * 1000);
	}
}

/* A socket for each worker at fds[0], fds[stride], … */
static enum status open_tcp(const struct conf *conf, const struct conf_listen *given, int *fds, size_t stride, struct conf_listen *ret_bound, struct buf *why)
{
	*ret_bound = *given;
	enum status st = probe_tcp(conf, ret_bound, why);
	for (unsigned w = 0; w < conf->workers && st == ST_OK; w++) {
		int fd = bind_tcp(conf, ret_bound, 1);
		fds[w * stride] = fd;
		if (fd < 0 || listen(fd, BACKLOG) < 0)
			st = failed(why, "listening on", given->text);
	}
	return st;
}

/* Removes the name of a socket whose server is gone. */
static enum status remove_stale(const struct conf_listen *a, struct buf *why)
{
	struct stat st;
	if (lstat(a->addr.un.sun_path, &st) < 0)
		return errno == ENOENT ? ST_OK : failed(why, "listening on", a->text);
	if (!S_ISSOCK(st.st_mode)) {
		buf_addf(why, "listening on %s: there is something else of that name", a->text);
		return ST_REFUSED;
	}
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return failed(why, "listening on", a->text);
	bool answers = connect(fd, &a->addr.sa, a->len) == 0 || errno != ECONNREFUSED;
	close(fd);
	if (answers)
		errno = EADDRINUSE;
	return !answers && unlink(a->addr.un.sun_path) == 0 ? ST_OK : failed(why, "listening on", a->text);
}

static char *copy(const char *text)
{
	char *s = strdup(text);
	if (s == NULL)
		fatal("out of memory");
	return s;
}

static void remember_path(struct listen *l, const char *path)
{
	size_t n = 0;
	while (l->unix_paths[n] != NULL)
		n++;
	l->unix_paths[n] = copy(path);
}

/* Whoever reaches the path may connect, as with TCP: a token is what lets people in. */
static enum status open_unix(struct listen *l, const struct conf *conf, const struct conf_listen *a, int *fds, size_t stride, struct buf *why)
{
	enum status st = remove_stale(a, why);
	if (st != ST_OK)
		return st;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	for (unsigned w = 0; w < conf->workers; w++)
		fds[w * stride] = fd;
	if (fd < 0 || bind(fd, &a->addr.sa, a->len) < 0 || chmod(a->addr.un.sun_path, 0666) < 0 || listen(fd, BACKLOG) < 0)
		return failed(why, "listening on", a->text);
	remember_path(l, a->addr.un.sun_path);
	return ST_OK;
}

/* "http://HOST:PORT"; an address that means all is replaced by one that can be reached if `local`. */
static char *url_of(const struct conf_listen *a, bool local)
{
	char host[INET6_ADDRSTRLEN + 2], *url;
	bool v6 = a->addr.sa.sa_family == AF_INET6;
	unsigned port = ntohs(v6 ? a->addr.in6.sin6_port : a->addr.in.sin_port);
	if (v6)
		inet_ntop(AF_INET6, &a->addr.in6.sin6_addr, host, sizeof(host));
	else
		inet_ntop(AF_INET, &a->addr.in.sin_addr, host, sizeof(host));
	if (local && v6 && IN6_IS_ADDR_UNSPECIFIED(&a->addr.in6.sin6_addr))
		strcpy(host, "::1");
	else if (local && !v6 && a->addr.in.sin_addr.s_addr == htonl(INADDR_ANY))
		strcpy(host, "127.0.0.1");
	if (asprintf(&url, v6 ? "http://[%s]:%u" : "http://%s:%u", host, port) < 0)
		fatal("out of memory");
	return url;
}

static enum status open_one(struct listen *l, const struct conf *conf, size_t i, struct buf *why)
{
	const struct conf_listen *a = &conf->listen[i];
	struct conf_listen bound;
	enum status st;
	if (a->addr.sa.sa_family == AF_UNIX) {
		st = open_unix(l, conf, a, &l->fds[i], l->count, why);
		if (st == ST_OK && l->url == NULL)
			l->url = copy(a->text);
		return st;
	}
	st = open_tcp(conf, a, &l->fds[i], l->count, &bound, why);
	if (st == ST_OK && l->url == NULL)
		l->url = url_of(&bound, false);
	if (st == ST_OK && l->local_url == NULL)
		l->local_url = url_of(&bound, true);
	return st;
}

enum status listen_open(struct listen *l, const struct conf *conf, struct buf *why)
{
	struct conf_listen bound;
	enum status st = ST_OK;
	*l = (struct listen){ .workers = conf->workers, .count = conf->listen_count };
	l->fds = malloc(l->workers * l->count * sizeof(int));
	l->metrics_fds = malloc(l->workers * sizeof(int));
	l->unix_paths = calloc(l->count + 2, sizeof(char *));
	if (l->fds == NULL || l->metrics_fds == NULL || l->unix_paths == NULL)
		fatal("out of memory");
	memset(l->fds, -1, l->workers * l->count * sizeof(int));
	memset(l->metrics_fds, -1, l->workers * sizeof(int));
	for (size_t i = 0; i < l->count && st == ST_OK; i++)
		st = open_one(l, conf, i, why);
	if (st == ST_OK && conf->metrics_listen.text != NULL && conf->metrics_listen.addr.sa.sa_family == AF_UNIX)
		st = open_unix(l, conf, &conf->metrics_listen, l->metrics_fds, 1, why);
	else if (st == ST_OK && conf->metrics_listen.text != NULL)
		st = open_tcp(conf, &conf->metrics_listen, l->metrics_fds, 1, &bound, why);
	if (st != ST_OK)
		listen_close(l, true);
	return st;
}

/* A Unix socket stands in every worker's place: the first one closes it. */
static void close_column(int *fds, unsigned workers, size_t stride)
{
	for (unsigned w = 0; w < workers; w++)
		if (fds[w * stride] >= 0 && (w == 0 || fds[w * stride] != fds[0]))
			close(fds[w * stride]);
}

void listen_close(struct listen *l, bool remove)
{
	for (size_t i = 0; i < l->count; i++)
		close_column(&l->fds[i], l->workers, l->count);
	close_column(l->metrics_fds, l->workers, 1);
	for (char **path = l->unix_paths; *path != NULL; path++) {
		if (remove)
			unlink(*path);
		free(*path);
	}
	free(l->fds);
	free(l->metrics_fds);
	free(l->unix_paths);
	free(l->url);
	free(l->local_url);
	*l = (struct listen){ 0 };
}

static void keep_in_column(int *fds, unsigned workers, size_t stride, unsigned worker)
{
	for (unsigned w = 0; w < workers; w++)
		if (w != worker && fds[w * stride] >= 0 && fds[w * stride] != fds[worker * stride])
			close(fds[w * stride]);
}

void listen_keep(struct listen *l, unsigned worker)
{
	for (size_t i = 0; i < l->count; i++)
		keep_in_column(&l->fds[i], l->workers, l->count, worker);
	keep_in_column(l->metrics_fds, l->workers, 1, worker);
}
