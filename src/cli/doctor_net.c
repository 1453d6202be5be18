/* SPDX-License-Identifier: MIT
 * `postern doctor`: whether the addresses can be listened on, or which server uses them, and where public_url leads. */
#include <arpa/inet.h>
#include <curl/curl.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/secret.h"
#include "cli/doctor.h"
#include "conf/conf.h"

enum { TIMEOUT_S = 5, BODY_MAX = 16, ID_LEN = 12 };

/* ---- requests ---- */

struct probe {
	char id[ID_LEN + 1]; /* sent as X-Request-Id, which Postern repeats in its answer */
	bool id_returned;
	char body[BODY_MAX];
	size_t len;
	long status;
	char error[CURL_ERROR_SIZE];
	CURLcode code;
};

static size_t on_header(char *data, size_t size, size_t n, void *arg)
{
	struct probe *p = arg;
	static const char name[] = "x-request-id:";
	size_t len = size * n;
	if (len > strlen(name) && strncasecmp(data, name, strlen(name)) == 0)
		p->id_returned = memmem(data, len, p->id, strlen(p->id)) != NULL;
	return len;
}

static size_t on_body(char *data, size_t size, size_t n, void *arg)
{
	struct probe *p = arg;
	for (size_t i = 0; i < size * n && p->len + 1 < BODY_MAX; i++)
		p->body[p->len++] = data[i];
	return size * n;
}

/* GET base/healthz, over a Unix socket if that isn't NULL. Returns true if a Postern answers that it is healthy. */
static bool is_postern(struct probe *p, const char *base, const char *unix_path)
{
	char url[1024], header[64];
	CURL *curl = mem_checked(curl_easy_init());
	*p = (struct probe) { 0 };
	secret_random_name(p->id, ID_LEN);
	snprintf(url, sizeof(url), "%s/healthz", base);
	snprintf(header, sizeof(header), "X-Request-Id: %s", p->id);
	struct curl_slist *headers = mem_checked(curl_slist_append(NULL, header));
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, unix_path);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(curl, CURLOPT_HEADERDATA, p);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, p);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, p->error);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)TIMEOUT_S);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	p->code = curl_easy_perform(curl);
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &p->status);
	curl_slist_free_all(headers);
	curl_easy_cleanup(curl);
	return p->code == CURLE_OK && p->status == 200 && p->id_returned && strcmp(p->body, "ok\n") == 0;
}

/* ---- ports ---- */

/* Returns the address to connect to: loopback in place of an address that means all of them. */
static void local_url(const struct conf_listen *a, char *out, size_t size)
{
	char host[INET6_ADDRSTRLEN];
	if (a->addr.sa.sa_family == AF_INET6) {
		bool any = IN6_IS_ADDR_UNSPECIFIED(&a->addr.in6.sin6_addr);
		inet_ntop(AF_INET6, &a->addr.in6.sin6_addr, host, sizeof(host));
		snprintf(out, size, "http://[%s]:%u", any ? "::1" : host, ntohs(a->addr.in6.sin6_port));
	} else {
		bool any = a->addr.in.sin_addr.s_addr == htonl(INADDR_ANY);
		inet_ntop(AF_INET, &a->addr.in.sin_addr, host, sizeof(host));
		snprintf(out, size, "http://%s:%u", any ? "127.0.0.1" : host, ntohs(a->addr.in.sin_port));
	}
}

/* Binds and listens for a moment. Returns 0 or an errno. */
static int try_listening(const struct conf_listen *a)
{
	int one = 1, error = 0;
	int fd = socket(a->addr.sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return errno;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
		(a->addr.sa.sa_family == AF_INET6 &&
			setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one)) < 0) ||
		bind(fd, &a->addr.sa, a->len) < 0 || listen(fd, 1) < 0)
		error = errno;
	close(fd);
	return error;
}

static void report_refused(struct doctor *d, const struct conf_listen *a, int error)
{
	const char *advice = error == EACCES
		? "Choose a port above 1023, or start as root or by the unit: it drops privileges later."
		: error == EADDRNOTAVAIL
		? "Set `listen` to an address of this machine (ip address), or to 0.0.0.0 or [::] for all."
		: NULL;
	doctor_report(d, FINDING_FAILURE, "ports", advice, "%s can't be listened on: %s", a->text, strerror(error));
}

static void check_tcp(struct doctor *d, const struct conf_listen *a)
{
	char url[128];
	struct probe p;
	int error = try_listening(a);
	if (error != 0 && error != EADDRINUSE) {
		report_refused(d, a, error);
		return;
	}
	local_url(a, url, sizeof(url));
	if (error == 0)
		doctor_report(d, FINDING_OK, "ports", NULL, "%s is free", a->text);
	else if (is_postern(&p, url, NULL))
		doctor_report(d, FINDING_OK, "ports", NULL, "a Postern answers at %s", url);
	else if (p.code == CURLE_OPERATION_TIMEDOUT)
		doctor_report(d, FINDING_FAILURE, "ports",
			"If it is a Postern, read its log; else choose another port (ss -ltnp shows the program).",
			"a program listens at %s and doesn't answer within %d s", url, TIMEOUT_S);
	else
		doctor_report(d, FINDING_FAILURE, "ports",
			"Stop it, or choose another port with `listen` (ss -ltnp shows the program).",
			"another program listens at %s", url);
}

static void check_unix(struct doctor *d, const struct conf_listen *a)
{
	struct stat st;
	struct probe p;
	const char *path = a->addr.un.sun_path, *slash = strrchr(path, '/');
	char dir[sizeof(a->addr.un.sun_path)];
	snprintf(dir, sizeof(dir), "%.*s", slash == NULL || slash == path ? 1 : (int)(slash - path),
		slash == NULL ? "." : path);
	if (lstat(path, &st) == 0 && !S_ISSOCK(st.st_mode))
		doctor_report(
			d, FINDING_FAILURE, "ports", "Remove it, or choose another path.", "%s isn't a socket", path);
	else if (is_postern(&p, "http://localhost", path))
		doctor_report(d, FINDING_OK, "ports", NULL, "a Postern answers at %s", a->text);
	else if (p.code == CURLE_OK)
		doctor_report(
			d, FINDING_FAILURE, "ports", "Choose another path.", "another program listens at %s", a->text);
	else if (access(dir, W_OK | X_OK) < 0)
		doctor_report(d, FINDING_FAILURE, "ports", "Make the directory, or give it to the server's user.",
			"%s: %s", dir, strerror(errno));
	else
		doctor_report(d, FINDING_OK, "ports", NULL, "%s is free", a->text);
}

static bool is_loopback(const struct conf_listen *a)
{
	if (a->addr.sa.sa_family == AF_INET)
		return ntohl(a->addr.in.sin_addr.s_addr) >> 24 == 127;
	return a->addr.sa.sa_family == AF_UNIX || IN6_IS_ADDR_LOOPBACK(&a->addr.in6.sin6_addr);
}

static void check_listen(struct doctor *d, const struct conf_listen *a)
{
	if (a->addr.sa.sa_family == AF_UNIX)
		check_unix(d, a);
	else
		check_tcp(d, a);
}

void doctor_check_ports(struct doctor *d)
{
	const struct conf *conf = d->conf;
	bool open = false;
	for (size_t i = 0; i < conf->listen_count; i++) {
		check_listen(d, &conf->listen[i]);
		open = open || !is_loopback(&conf->listen[i]);
	}
	if (conf->metrics_listen.text != NULL)
		check_listen(d, &conf->metrics_listen);
	if (open && conf->public_url == NULL)
		doctor_report(d, FINDING_WARNING, "ports",
			"Put a reverse proxy with TLS in front (doc/), and set `public_url` and `trusted_proxies`.",
			"other machines reach this server by plain HTTP: passwords and messages can be read on the "
			"way");
}

/* ---- public_url ---- */

static bool is_https(const char *url) { return strncmp(url, "https://", 8) == 0; }

static void report_unreachable(struct doctor *d, const char *url, const struct probe *p)
{
	if (p->code == CURLE_OK && (p->status == 502 || p->status == 503 || p->status == 504))
		doctor_report(d, FINDING_WARNING, "public_url",
			"Start the server; if it runs, compare the proxy's address for it with `listen`.",
			"the proxy at %s answers %ld: it doesn't reach a Postern", url, p->status);
	else if (p->code == CURLE_OK)
		doctor_report(d, FINDING_WARNING, "public_url",
			"Let the proxy pass on all requests below public_url, with the header X-Request-Id.",
			"%s/healthz is answered %ld, not by a Postern", url, p->status);
	else
		doctor_report(d, FINDING_WARNING, "public_url",
			"Check DNS, firewall, proxy and certificate. Inside a network, the route back to the public "
			"address may be missing.",
			"%s can't be reached from this machine: %s", url,
			*p->error != '\0' ? p->error : curl_easy_strerror(p->code));
}

void doctor_check_public_url(struct doctor *d)
{
	const struct conf *conf = d->conf;
	struct probe p;
	if (conf->public_url == NULL)
		return;
	if (!is_https(conf->public_url))
		doctor_report(d, FINDING_WARNING, "public_url",
			"Use https: with plain HTTP, cookies can be read on the network.", "public_url is %s",
			conf->public_url);
	if (conf->trusted_count == 0)
		doctor_report(d, FINDING_WARNING, "public_url",
			"Set `trusted_proxies` to the proxy's address (127.0.0.1 if it runs here).",
			"without trusted_proxies all users have the proxy's address: limits by address count them "
			"together");
	if (is_postern(&p, conf->public_url, NULL))
		doctor_report(d, FINDING_OK, "public_url", NULL, "%s leads to a Postern", conf->public_url);
	else
		report_unreachable(d, conf->public_url, &p);
}
