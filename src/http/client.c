/* SPDX-License-Identifier: MIT
 * The client's address and protocol: see request_client() and request_is_https() in request.h. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "conf/conf.h"
#include "http/internal.h"
#include "http/request.h"
#include "http/server.h"

/* "192.0.2.1", "192.0.2.1:80", "[2001:db8::1]:80", with or without quotes. */
static bool parse_address(const char *s, size_t len, struct sockaddr_storage *ret)
{
	char text[INET6_ADDRSTRLEN + 1];
	while (len > 0 && (*s == ' ' || *s == '"' || *s == '['))
		s++, len--;
	size_t n = 0;
	bool six = memchr(s, ']', len) != NULL || (memchr(s, ':', len) != memrchr(s, ':', len));
	while (n < len && n < INET6_ADDRSTRLEN && strchr(six ? "]\" " : ":\" ", s[n]) == NULL)
		n++;
	memcpy(text, s, n);
	text[n] = '\0';
	memset(ret, 0, sizeof(*ret));
	ret->ss_family = six ? AF_INET6 : AF_INET;
	return inet_pton(ret->ss_family, text,
		       six ? (void *)&((struct sockaddr_in6 *)ret)->sin6_addr
			   : (void *)&((struct sockaddr_in *)ret)->sin_addr) == 1;
}

/* Finds the last address of a list that isn't a trusted proxy's. Returns false if there is none. */
static bool last_untrusted(const struct conf *conf, const char *list, const char *key, struct sockaddr_storage *ret)
{
	const char *end = list + strlen(list);
	while (end > list) {
		const char *begin = end;
		while (begin > list && begin[-1] != ',')
			begin--;
		const char *s = begin;
		while (s < end && *s == ' ')
			s++;
		if (key != NULL) {
			while (s < end && strncasecmp(s, key, strlen(key)) != 0)
				s++;
			s += s < end ? strlen(key) : 0;
		}
		const char *stop = key != NULL && s < end ? memchr(s, ';', (size_t)(end - s)) : NULL;
		if (s >= end || !parse_address(s, (size_t)((stop != NULL ? stop : end) - s), ret))
			return false;
		if (!conf_is_trusted_proxy(conf, (struct sockaddr *)ret))
			return true;
		end = begin > list ? begin - 1 : list;
	}
	return false;
}

/* Replaces separators within quotes by blanks: a proxy may quote a host that the client has chosen. It does so from the
 * end back, because that is what the trusted proxy has added; a quote that the client has left open is before it. */
static void blank_quoted(char *list, size_t len)
{
	bool quoted = false;
	for (size_t i = len; i-- > 0;) {
		size_t slashes = 0;
		while (list[i] == '"' && slashes < i && list[i - 1 - slashes] == '\\')
			slashes++;
		if (list[i] == '"' && slashes % 2 == 0)
			quoted = !quoted;
		else if (quoted && strchr(",;=", list[i]) != NULL)
			list[i] = ' ';
	}
}

struct lines {
	const char *name;
	struct buf list;
};

static enum MHD_Result add_line(void *arg, enum MHD_ValueKind kind, const char *name, const char *value)
{
	struct lines *l = arg;
	(void)kind;
	if (value != NULL && strcasecmp(name, l->name) == 0)
		buf_addf(&l->list, "%s%s", l->list.len ? "," : "", value);
	return MHD_YES;
}

/* Collects a list that may be in several header lines; a proxy may add its own line at the end (RFC 9110, 5.3). Returns
 * "" if there is none. The caller releases l->list. */
static const char *collect(const struct request *req, struct lines *l)
{
	buf_init(&l->list, 65536);
	MHD_get_connection_values(req->mhd, MHD_HEADER_KIND, add_line, l);
	if (l->list.len == 0 || buf_failed(&l->list))
		return "";
	blank_quoted(l->list.data, l->list.len);
	return l->list.data;
}

static bool forwarded_for(const struct request *req, const char *name, const char *key, struct sockaddr_storage *ret)
{
	struct lines l = { .name = name };
	bool found = last_untrusted(http_conf(req->server), collect(req, &l), key, ret);
	buf_release(&l.list);
	return found;
}

/* Returns true if the last element of Forwarded, which the proxy has added, says proto=https (RFC 7239, 5.4). */
static bool forwarded_says_https(const struct request *req)
{
	struct lines l = { .name = "Forwarded" };
	const char *list = collect(req, &l), *last = strrchr(list, ',');
	const char *proto = strcasestr(last != NULL ? last : list, "proto=");
	bool is_https = proto != NULL &&
		(strncasecmp(proto + 6, "https", 5) == 0 || strncasecmp(proto + 6, "\"https\"", 7) == 0);
	buf_release(&l.list);
	return is_https;
}

/* Turns ::ffff:a.b.c.d into a.b.c.d: both are one address. */
static void unmap(struct sockaddr_storage *a)
{
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)a;
	struct sockaddr_in four = { .sin_family = AF_INET };
	if (a->ss_family != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&six->sin6_addr))
		return;
	memcpy(&four.sin_addr, six->sin6_addr.s6_addr + 12, 4);
	memset(a, 0, sizeof(*a));
	memcpy(a, &four, sizeof(four));
}

static void client_address(const struct request *req, struct sockaddr_storage *ret)
{
	struct sockaddr_storage forwarded;
	*ret = req->conn->peer;
	const struct conf *conf = http_conf(req->server);
	bool is_standard = conf->forwarded_header == FORWARDED_STANDARD;
	if (conf_is_trusted_proxy(conf, (const struct sockaddr *)ret) &&
		forwarded_for(
			req, is_standard ? "Forwarded" : "X-Forwarded-For", is_standard ? "for=" : NULL, &forwarded))
		*ret = forwarded;
	unmap(ret);
}

static void address_text(const struct sockaddr_storage *a, char *out, size_t size)
{
	if (a->ss_family == AF_INET)
		inet_ntop(AF_INET, &((const struct sockaddr_in *)a)->sin_addr, out, (socklen_t)size);
	else if (a->ss_family == AF_INET6)
		inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)a)->sin6_addr, out, (socklen_t)size);
	else
		snprintf(out, size, "local");
}

void request_client(const struct request *req, char *out, size_t size)
{
	struct sockaddr_storage a;
	client_address(req, &a);
	address_text(&a, out, size);
}

void client_network(struct sockaddr_storage *a, char *out, size_t size)
{
	unmap(a);
	if (a->ss_family == AF_INET6)
		memset(((struct sockaddr_in6 *)a)->sin6_addr.s6_addr + 8, 0, 8);
	address_text(a, out, size);
}

void request_client_network(const struct request *req, char *out, size_t size)
{
	struct sockaddr_storage a;
	client_address(req, &a);
	client_network(&a, out, size);
}

bool request_is_loopback(const struct request *req)
{
	char text[INET6_ADDRSTRLEN];
	if (request_header(req, "X-Forwarded-For") != NULL || request_header(req, "Forwarded") != NULL)
		return false;
	request_client(req, text, sizeof(text));
	return strncmp(text, "127.", 4) == 0 || strcmp(text, "::1") == 0 || strcmp(text, "local") == 0;
}

bool request_is_https(const struct request *req)
{
	const struct conf *conf = http_conf(req->server);
	if (conf->public_url != NULL)
		return strncmp(conf->public_url, "https:", 6) == 0;
	if (!conf_is_trusted_proxy(conf, (const struct sockaddr *)&req->conn->peer))
		return false;
	if (conf->forwarded_header == FORWARDED_STANDARD)
		return forwarded_says_https(req);
	const char *proto = request_header(req, "X-Forwarded-Proto");
	return proto != NULL && strcasecmp(proto, "https") == 0;
}
