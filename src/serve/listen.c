/* SPDX-License-Identifier: MIT
 * See listen.h. With SO_REUSEPORT alone, a second server of the same user would share the port silently, so each
 * address is bound without it first. */
#include "serve/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/service.h"
#include "conf/conf.h"

enum { BACKLOG = 4096, STEP_MS = 20, PATIENCE_MS = 1000 };

static enum status failed(struct buf *why, const char *what, const char *address)
{
	buf_addf(why, "%s %s: %s", what, address,
		errno == EADDRINUSE ? "another server is using this address" : strerror(errno));
	return ST_SYSTEM;
}

/* [::] also accepts IPv4, unless conf has the same port for IPv4 as well. */
static int wants_v6only(const struct conf *conf, const struct conf_listen *a)
{
	for (size_t i = 0; i < conf->listen_count; i++) {
		const struct conf_listen *b = &conf->listen[i];
		if (b->addr.sa.sa_family == AF_INET && b->addr.in.sin_port == a->addr.in6.sin6_port &&
			b->addr.in.sin_port != 0)
			return 1;
	}
	return 0;
}

/* Returns a bound TCP socket that isn't listening yet; -1 on failure, with errno set. */
static int bind_tcp(const struct conf *conf, const struct conf_listen *a, int reuseport)
{
	int one = 1, v6only = a->addr.sa.sa_family == AF_INET6 && wants_v6only(conf, a);
	int fd = socket(a->addr.sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) == 0 &&
		(!reuseport || setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)) == 0) &&
		(a->addr.sa.sa_family != AF_INET6 ||
			setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6only, sizeof(v6only)) == 0) &&
		bind(fd, &a->addr.sa, a->len) == 0)
		return fd;
	int saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

/* Binds a without SO_REUSEPORT and closes the socket again, which also replaces port 0. Tries for a while, because the
 * workers of a supervisor that was just killed need a moment to exit. */
static enum status probe_tcp(const struct conf *conf, struct conf_listen *a, struct buf *why)
{
	for (unsigned ms = 0;; ms += STEP_MS) {
		int fd = bind_tcp(conf, a, 0);
		/* A bound port can still be shared as long as no socket listens on it. */
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

/* Opens a socket for each worker, at fds[0], fds[stride], … */
static enum status open_tcp(const struct conf *conf, const struct conf_listen *given, int *fds, size_t stride,
	struct conf_listen *ret_bound, struct buf *why)
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

static char *copy(const char *text)
{
	char *s = mem_strdup(text);
	return s;
}

/* Everybody who can reach the path may connect, as with TCP: access control is by credentials. */
static enum status open_unix(struct listen *l, const struct conf *conf, const struct conf_listen *a, int *fds,
	size_t stride, struct buf *why)
{
	enum status st = socket_file_clear(a, why);
	if (st != ST_OK)
		return st;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	for (unsigned w = 0; w < conf->workers; w++)
		fds[w * stride] = fd;
	if (fd < 0 || bind(fd, &a->addr.sa, a->len) < 0)
		return failed(why, "listening on", a->text);
	st = socket_file_made(&l->files, a, why);
	if (st == ST_OK && (chmod(a->addr.un.sun_path, 0666) < 0 || listen(fd, BACKLOG) < 0))
		st = failed(why, "listening on", a->text);
	return st;
}

/* Returns "http://HOST:PORT", which the caller frees. If local, a wildcard address is replaced by the loopback address.
 */
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
	url = v6 ? mem_format("http://[%s]:%u", host, port) : mem_format("http://%s:%u", host, port);
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

/* Finds the address of a passed socket, in the form of an address in the settings. */
static void name_of(int fd, struct conf_listen *ret)
{
	*ret = (struct conf_listen) { .len = sizeof(ret->addr) };
	if (getsockname(fd, &ret->addr.sa, &ret->len) < 0)
		ret->addr.sa.sa_family = AF_UNSPEC;
}

/* Uses a socket of the service manager's for all workers. It stays open there, so that connections that arrive during a
 * restart aren't lost. */
static enum status use_passed(int fd, int *fds, unsigned workers, size_t stride, struct buf *why)
{
	struct conf_listen a;
	int type = 0, listens = 0;
	socklen_t type_len = sizeof(type), listens_len = sizeof(listens);
	name_of(fd, &a);
	int family = a.addr.sa.sa_family;
	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_len) < 0 ||
		getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &listens_len) < 0 || type != SOCK_STREAM ||
		!listens || (family != AF_INET && family != AF_INET6 && family != AF_UNIX)) {
		buf_addf(why,
			"descriptor %d, passed by the service manager, isn't a listening stream socket: use "
			"ListenStream= with Accept=no",
			fd);
		return ST_REFUSED;
	}
	if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) < 0)
		return failed(why, "using", "a socket of the service manager's");
	for (unsigned w = 0; w < workers; w++)
		fds[w * stride] = fd;
	return ST_OK;
}

static void add_url(struct listen *l, int fd)
{
	struct conf_listen a;
	name_of(fd, &a);
	bool is_unix = a.addr.sa.sa_family == AF_UNIX;
	if (l->url == NULL && is_unix)
		l->url =
			mem_format("unix:%s", a.len > offsetof(struct sockaddr_un, sun_path) ? a.addr.un.sun_path : "");
	if (l->url == NULL)
		l->url = url_of(&a, false);
	if (l->local_url == NULL && !is_unix)
		l->local_url = url_of(&a, true);
}

/* Passed sockets replace those in the settings. */
static enum status use_all_passed(struct listen *l, const struct service *service, struct buf *why)
{
	enum status st = ST_OK;
	size_t i = 0;
	for (unsigned n = 0; n < service->fd_count && st == ST_OK; n++) {
		int fd = service->fds[n];
		st = service->for_metrics[n] ? use_passed(fd, l->metrics_fds, l->workers, 1, why)
					     : use_passed(fd, &l->fds[i], l->workers, l->count, why);
		l->metrics_passed |= service->for_metrics[n];
		l->passed |= !service->for_metrics[n];
		if (st == ST_OK && !service->for_metrics[n]) {
			add_url(l, fd);
			i++;
		}
	}
	return st;
}

static enum status open_metrics(struct listen *l, const struct conf *conf, struct buf *why)
{
	struct conf_listen bound;
	if (conf->metrics_listen.addr.sa.sa_family == AF_UNIX)
		return open_unix(l, conf, &conf->metrics_listen, l->metrics_fds, 1, why);
	return open_tcp(conf, &conf->metrics_listen, l->metrics_fds, 1, &bound, why);
}

static void make_room(struct listen *l)
{
	l->fds = mem_alloc(l->workers * l->count * sizeof(int));
	l->metrics_fds = mem_alloc(l->workers * sizeof(int));
	l->shared = mem_zeroed(l->count, sizeof(bool));
	memset(l->fds, -1, l->workers * l->count * sizeof(int));
	memset(l->metrics_fds, -1, l->workers * sizeof(int));
}

enum status listen_open(struct listen *l, const struct conf *conf, const struct service *service, struct buf *why)
{
	unsigned for_http = 0;
	for (unsigned i = 0; i < service->fd_count; i++)
		for_http += !service->for_metrics[i];
	*l = (struct listen) { .workers = conf->workers, .count = for_http > 0 ? for_http : conf->listen_count };
	make_room(l);
	enum status st = use_all_passed(l, service, why);
	for (size_t i = 0; i < l->count && for_http == 0 && st == ST_OK; i++)
		st = open_one(l, conf, i, why);
	if (st == ST_OK && l->metrics_fds[0] < 0 && conf->metrics_listen.text != NULL)
		st = open_metrics(l, conf, why);
	for (size_t i = 0; i < l->count && l->workers > 1; i++)
		l->shared[i] = l->fds[i] == l->fds[i + l->count];
	l->metrics_shared = l->workers > 1 && l->metrics_fds[0] == l->metrics_fds[1];
	if (st != ST_OK)
		listen_close(l);
	return st;
}

/* A shared socket has an entry for every worker: it is closed for the first one. */
static void close_column(int *fds, unsigned workers, size_t stride)
{
	for (unsigned w = 0; w < workers; w++)
		if (fds[w * stride] >= 0 && (w == 0 || fds[w * stride] != fds[0]))
			close(fds[w * stride]);
}

static void stop_all(const int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (fds[i] >= 0)
			shutdown(fds[i], SHUT_RDWR);
}

void listen_stop(struct listen *l)
{
	if (!l->passed)
		stop_all(l->fds, l->workers * l->count);
	if (!l->metrics_passed)
		stop_all(l->metrics_fds, l->workers);
}

void listen_close(struct listen *l)
{
	for (size_t i = 0; i < l->count; i++)
		close_column(&l->fds[i], l->workers, l->count);
	close_column(l->metrics_fds, l->workers, 1);
	socket_files_remove(&l->files);
	free(l->fds);
	free(l->metrics_fds);
	free(l->shared);
	free(l->url);
	free(l->local_url);
	*l = (struct listen) { 0 };
}

static void keep_in_column(int *fds, unsigned workers, size_t stride, unsigned worker)
{
	for (unsigned w = 0; w < workers; w++)
		if (w != worker && fds[w * stride] >= 0 && fds[w * stride] != fds[worker * stride])
			close(fds[w * stride]);
}

void listen_keep(struct listen *l, unsigned worker)
{
	socket_files_forget(&l->files);
	for (size_t i = 0; i < l->count; i++)
		keep_in_column(&l->fds[i], l->workers, l->count, worker);
	keep_in_column(l->metrics_fds, l->workers, 1, worker);
}
