/* SPDX-License-Identifier: MIT
 * `postern doctor`: the files of a reverse proxy on this machine that pass requests on to this server. They are read as
 * text: a rule says what such a file must contain, or must not contain, for streams and polls to work. The complete
 * files to start from are in doc/. */
#include <errno.h>
#include <glob.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "cli/doctor.h"
#include "conf/conf.h"

enum { FILE_MAX = 1 << 20, POLL_SECONDS = 60 };

enum rule_kind {
	RULE_WANTED,   /* the text must be there */
	RULE_UNWANTED, /* the text must not be there */
	RULE_AT_LEAST, /* a duration of more than POLL_SECONDS must follow the text */
};

struct rule {
	enum rule_kind kind;
	const char *text;
	const char *problem, *advice;
};

struct proxy {
	const char *name;
	const char *directive; /* by which its files are recognised */
	const char *patterns[4];
	struct rule rules[7];
};

static const struct proxy proxies[] = {
	{ "nginx", "proxy_pass", { "/etc/nginx/nginx.conf", "/etc/nginx/conf.d/*.conf", "/etc/nginx/sites-enabled/*" },
		{ { RULE_WANTED, "proxy_http_version 1.1",
			  "nginx speaks HTTP/1.0 to Postern: a cut stream looks like one that ended",
			  "proxy_http_version 1.1;" },
			{ RULE_AT_LEAST, "proxy_read_timeout",
				"nginx ends polls that wait for 60 s (proxy_read_timeout is 60 s or less)",
				"proxy_read_timeout 90s;" },
			{ RULE_WANTED, "X-Forwarded-For",
				"nginx doesn't report the client's address: limits count all users as one address",
				"proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;" },
			{ RULE_WANTED, "X-Forwarded-Proto", "nginx doesn't report that the client used https",
				"proxy_set_header X-Forwarded-Proto $scheme;" },
			{ RULE_UNWANTED, "proxy_ignore_headers X-Accel-Buffering",
				"nginx buffers streams: events arrive late or never",
				"Remove X-Accel-Buffering from proxy_ignore_headers." } } },
	{ "Apache httpd", "ProxyPass",
		{ "/etc/apache2/sites-enabled/*", "/etc/apache2/conf-enabled/*.conf", "/etc/httpd/conf.d/*.conf" },
		{ { RULE_WANTED, "flushpackets=on", "Apache may buffer the events of a stream",
			  "Add flushpackets=on to the ProxyPass line." },
			{ RULE_AT_LEAST, "timeout=", "Apache ends polls that wait for 60 s",
				"Add timeout=90 to the ProxyPass line." },
			{ RULE_WANTED, "X-Forwarded-Proto", "Apache doesn't report that the client used https",
				"RequestHeader set X-Forwarded-Proto \"https\"" } } },
	{ "Caddy", "reverse_proxy", { "/etc/caddy/Caddyfile", "/etc/caddy/conf.d/*" },
		{ { RULE_WANTED, "flush_interval -1", "Caddy may buffer NDJSON streams",
			"flush_interval -1 in reverse_proxy" } } },
	{ "HAProxy", "backend", { "/etc/haproxy/haproxy.cfg", "/etc/haproxy/conf.d/*.cfg" },
		{ { RULE_AT_LEAST, "timeout server", "HAProxy ends streams and polls that are silent for 60 s",
			  "timeout server 90s" },
			{ RULE_AT_LEAST, "timeout client", "HAProxy ends clients that are silent for 60 s",
				"timeout client 90s" },
			{ RULE_WANTED, "forwardfor",
				"HAProxy doesn't report the client's address: limits count all users as one address",
				"option forwardfor" } } },
};

/* Returns the file without comments, for the rules; the caller frees it. NULL: it can't be read. */
static char *read_uncommented(const char *path)
{
	struct buf text;
	char *line = NULL;
	size_t size = 0;
	FILE *f = fopen(path, "re");
	if (f == NULL)
		return NULL;
	buf_init(&text, FILE_MAX);
	while (getline(&line, &size, f) >= 0) {
		char *begin = line + strspn(line, " \t");
		if (*begin != '#')
			buf_adds(&text, begin);
	}
	free(line);
	fclose(f);
	return buf_detach(&text, &size);
}

/* Returns true if the file names an address that this server listens on: by its port, or its socket's path. */
static bool names_server(const struct conf *conf, const char *text)
{
	for (size_t i = 0; i < conf->listen_count; i++) {
		const struct conf_listen *a = &conf->listen[i];
		char port[16];
		if (a->addr.sa.sa_family == AF_UNIX && strstr(text, a->addr.un.sun_path) != NULL)
			return true;
		if (a->addr.sa.sa_family == AF_UNIX)
			continue;
		snprintf(port, sizeof(port), ":%u",
			ntohs(a->addr.sa.sa_family == AF_INET6 ? a->addr.in6.sin6_port : a->addr.in.sin_port));
		for (const char *p = text; (p = strstr(p, port)) != NULL; p++)
			if (strspn(p + 1, "0123456789") == strlen(port) - 1)
				return true;
	}
	return false;
}

/* Returns "90", "90s", "2m", "1h", "90000ms" in seconds. A value that isn't understood counts as long enough. */
static double seconds_of(const char *text)
{
	char *unit;
	double n = strtod(text + strspn(text, " \t"), &unit);
	if (unit == text)
		return POLL_SECONDS + 1;
	return strncmp(unit, "ms", 2) == 0 ? n / 1000
		: *unit == 'm'             ? n * 60
		: *unit == 'h'             ? n * 3600
		: *unit == 'd'             ? n * 86400
					   : n;
}

static bool is_broken(const struct rule *r, const char *text, bool bare_is_ms)
{
	const char *found = strcasestr(text, r->text);
	if (r->kind == RULE_WANTED)
		return found == NULL;
	if (r->kind == RULE_UNWANTED)
		return found != NULL;
	if (found == NULL)
		return true;
	const char *value = found + strlen(r->text);
	const char *unit = value + strspn(value, " \t") + strspn(value + strspn(value, " \t"), "0123456789.");
	double seconds = seconds_of(value);
	if (bare_is_ms && strchr("smhd", *unit) == NULL)
		seconds /= 1000;
	return seconds <= POLL_SECONDS;
}

static void check_file(struct doctor *d, const struct proxy *p, const char *path, const char *text)
{
	unsigned before = d->warnings;
	for (const struct rule *r = p->rules; r->text != NULL; r++)
		if (is_broken(r, text, strcmp(p->name, "HAProxy") == 0))
			doctor_report(d, FINDING_WARNING, "proxy", r->advice, "%s: %s", path, r->problem);
	if (d->warnings == before)
		doctor_report(d, FINDING_OK, "proxy", NULL, "%s has the settings that streams and polls need", path);
}

/* Returns how many of the proxy's files pass requests to this server. */
static unsigned check_proxy(struct doctor *d, const struct proxy *p)
{
	unsigned n = 0;
	for (const char *const *pattern = p->patterns; *pattern != NULL; pattern++) {
		glob_t g;
		if (glob(*pattern, 0, NULL, &g) != 0)
			continue;
		for (size_t i = 0; i < g.gl_pathc; i++) {
			char *text = read_uncommented(g.gl_pathv[i]);
			if (text != NULL && names_server(d->conf, text)) {
				check_file(d, p, g.gl_pathv[i], text);
				n++;
			}
			free(text);
		}
		globfree(&g);
	}
	return n;
}

/* Checks a file that was named on the command line, wherever its proxy runs. */
static void check_named(struct doctor *d, const char *path)
{
	char *text = read_uncommented(path);
	const struct proxy *p = NULL;
	for (size_t i = 0; text != NULL && p == NULL && i < sizeof(proxies) / sizeof(proxies[0]); i++)
		if (strstr(text, proxies[i].directive) != NULL)
			p = &proxies[i];
	if (text == NULL)
		doctor_report(d, FINDING_FAILURE, "proxy", NULL, "%s: %s", path, strerror(errno));
	else if (p == NULL)
		doctor_report(d, FINDING_WARNING, "proxy", "Name a file of nginx, Apache httpd, Caddy or HAProxy.",
			"%s: not a file of a supported proxy", path);
	else
		check_file(d, p, path, text);
	free(text);
}

void doctor_check_proxies(struct doctor *d, const char *file)
{
	unsigned n = 0;
	if (file != NULL) {
		check_named(d, file);
		return;
	}
	for (size_t i = 0; i < sizeof(proxies) / sizeof(proxies[0]); i++)
		n += check_proxy(d, &proxies[i]);
	if (n == 0 && d->conf->public_url != NULL)
		doctor_report(d, FINDING_OK, "proxy",
			"If the proxy runs on another machine, check its file with --proxy-file.",
			"no proxy configuration on this machine names an address of this server");
}
