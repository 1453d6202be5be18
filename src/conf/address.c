/* SPDX-License-Identifier: MIT
 * See address.h, and conf.h for the two functions at the end. */
#include "conf/address.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "conf/value.h"

static const char *parse_unix(const char *path, struct conf_listen *ret)
{
	size_t len = strlen(path);
	if (len == 0 || len >= sizeof(ret->addr.un.sun_path))
		return "the path of a Unix socket has 1 to 107 bytes";
	ret->addr.un.sun_family = AF_UNIX;
	memcpy(ret->addr.un.sun_path, path, len + 1);
	ret->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + 1);
	return NULL;
}

const char *address_parse_listen(const char *text, struct conf_listen *ret)
{
	static const char expected[] = "expected ADDRESS:PORT, [IPV6]:PORT or unix:PATH, with a numeric address";
	char host[64];
	uint64_t port;
	memset(&ret->addr, 0, sizeof(ret->addr));
	if (strncmp(text, "unix:", 5) == 0)
		return parse_unix(text + 5, ret);
	const char *colon = strrchr(text, ':');
	if (colon == NULL || !value_parse_number(colon + 1, &port) || port > 65535 ||
		(size_t)(colon - text) >= sizeof(host))
		return expected;
	memcpy(host, text, (size_t)(colon - text));
	host[colon - text] = '\0';
	size_t len = strlen(host);
	if (len > 2 && host[0] == '[' && host[len - 1] == ']') {
		host[len - 1] = '\0';
		ret->addr.in6.sin6_family = AF_INET6;
		ret->addr.in6.sin6_port = htons((uint16_t)port);
		ret->len = sizeof(ret->addr.in6);
		return inet_pton(AF_INET6, host + 1, &ret->addr.in6.sin6_addr) == 1 ? NULL : expected;
	}
	ret->addr.in.sin_family = AF_INET;
	ret->addr.in.sin_port = htons((uint16_t)port);
	ret->len = sizeof(ret->addr.in);
	/* The only name that is accepted: it means the same everywhere. */
	return inet_pton(AF_INET, strcmp(host, "localhost") == 0 ? "127.0.0.1" : host, &ret->addr.in.sin_addr) == 1
		? NULL
		: expected;
}

/* ::ffff:a.b.c.d, which a dual-stack socket gives for an IPv4 peer. */
static bool is_mapped(const unsigned char addr[16])
{
	static const unsigned char prefix[12] = { [10] = 0xff, [11] = 0xff };
	return memcmp(addr, prefix, sizeof(prefix)) == 0;
}

const char *address_parse_net(const char *text, struct conf_net *ret)
{
	static const char expected[] = "expected an address, a network (10.0.0.0/8, fd00::/8) or the word unix";
	char host[INET6_ADDRSTRLEN];
	const char *slash = strchr(text, '/');
	size_t len = slash != NULL ? (size_t)(slash - text) : strlen(text);
	memset(ret, 0, sizeof(*ret));
	if (strcmp(text, "unix") == 0) {
		ret->family = AF_UNIX;
		return NULL;
	}
	if (len >= sizeof(host))
		return expected;
	memcpy(host, text, len);
	host[len] = '\0';
	ret->family = strchr(host, ':') != NULL ? AF_INET6 : AF_INET;
	unsigned most = ret->family == AF_INET ? 32 : 128;
	uint64_t prefix = most;
	if (inet_pton(ret->family, host, ret->addr) != 1)
		return expected;
	if (slash != NULL && (!value_parse_number(slash + 1, &prefix) || prefix > most))
		return expected;
	ret->prefix = (unsigned)prefix;
	if (ret->family == AF_INET6 && prefix >= 96 && is_mapped(ret->addr)) {
		ret->family = AF_INET;
		ret->prefix -= 96;
		memmove(ret->addr, ret->addr + 12, 4);
	}
	return NULL;
}

void address_format_net(const struct conf_net *net, char out[64])
{
	char host[INET6_ADDRSTRLEN];
	if (net->family == AF_UNIX)
		strcpy(out, "unix");
	else if (net->prefix == (net->family == AF_INET ? 32 : 128))
		inet_ntop(net->family, net->addr, out, 64);
	else
		snprintf(out, 64, "%s/%u", inet_ntop(net->family, net->addr, host, sizeof(host)), net->prefix);
}

/* Returns the length of "http://" or "https://" at the start of text; 0: neither. */
static size_t scheme_len(const char *text)
{
	return strncasecmp(text, "http://", 7) == 0 ? 7 : strncasecmp(text, "https://", 8) == 0 ? 8 : 0;
}

/* Returns the length of HOST or HOST:PORT at the start of text; 0: neither. */
static size_t authority_len(const char *text)
{
	size_t len = strcspn(text, "/?#");
	size_t host = *text == '[' ? strcspn(text, "]") + 1 : strcspn(text, ":/?#");
	uint64_t port;
	char digits[8];
	if (host == 0 || host > len || host > 253 ||
		strspn(text, "[]:-._abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") < host)
		return 0;
	if (host == len)
		return len;
	if (text[host] != ':' || len - host - 1 >= sizeof(digits))
		return 0;
	snprintf(digits, sizeof(digits), "%.*s", (int)(len - host - 1), text + host + 1);
	return value_parse_number(digits, &port) && port > 0 && port <= 65535 ? len : 0;
}

static void lower(char *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
		s[i] = (char)tolower((unsigned char)s[i]);
}

/* A browser never writes the port that its scheme implies. */
static size_t without_default_port(const char *origin, size_t len)
{
	const char *implied = strncasecmp(origin, "https:", 6) == 0 ? ":443" : ":80";
	size_t n = strlen(implied);
	return len > n && strncmp(origin + len - n, implied, n) == 0 ? len - n : len;
}

const char *address_parse_origin(const char *text, char **ret)
{
	size_t scheme = scheme_len(text), authority = scheme > 0 ? authority_len(text + scheme) : 0;
	size_t len = scheme + authority;
	bool any = strcmp(text, "*") == 0;
	if (!any && (authority == 0 || (text[len] != '\0' && strcmp(text + len, "/") != 0)))
		return "expected an origin (https://app.example.org) or *";
	*ret = any ? mem_strdup("*") : mem_strndup(text, without_default_port(text, len));
	lower(*ret, strlen(*ret));
	return NULL;
}

const char *address_parse_url(const char *text, char **ret)
{
	size_t scheme = scheme_len(text), authority = scheme > 0 ? authority_len(text + scheme) : 0;
	size_t len = strlen(text);
	if (authority == 0 || strpbrk(text, "?# \t\"<>\\") != NULL)
		return "expected http://HOST or https://HOST, with a port or a path if need be";
	while (text[len - 1] == '/')
		len--;
	*ret = mem_strndup(text, len);
	lower(*ret, scheme + authority);
	return NULL;
}

static bool net_contains(const struct conf_net *net, int family, const unsigned char *addr)
{
	if (net->family != family)
		return false;
	unsigned bytes = net->prefix / 8, bits = net->prefix % 8;
	if (memcmp(net->addr, addr, bytes) != 0)
		return false;
	return bits == 0 || (net->addr[bytes] ^ addr[bytes]) >> (8 - bits) == 0;
}

bool conf_is_trusted_proxy(const struct conf *c, const struct sockaddr *peer)
{
	static const unsigned char nothing[16];
	int family = peer->sa_family;
	const unsigned char *addr = nothing;
	if (family == AF_INET)
		addr = (const unsigned char *)&((const struct sockaddr_in *)(const void *)peer)->sin_addr;
	else if (family == AF_INET6)
		addr = ((const struct sockaddr_in6 *)(const void *)peer)->sin6_addr.s6_addr;
	if (family == AF_INET6 && is_mapped(addr)) {
		family = AF_INET;
		addr += 12;
	}
	for (size_t i = 0; i < c->trusted_count; i++)
		if (net_contains(&c->trusted_proxies[i], family, addr))
			return true;
	return false;
}

bool conf_allows_origin(const struct conf *c, const char *origin)
{
	for (size_t i = 0; i < c->cors_count; i++)
		if (strcmp(c->cors_origins[i], "*") == 0 || strcmp(c->cors_origins[i], origin) == 0)
			return true;
	return false;
}
