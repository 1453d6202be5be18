/* SPDX-License-Identifier: MIT
 * See client.h. */
#include "cli/client.h"

#include <json-c/json.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/secret.h"
#include "cli/command.h"

enum { BODY_MAX = 64 << 20, CONNECT_TIMEOUT_S = 10, ANSWER_TIMEOUT_S = 60, SLICE_MS = 500 };

static size_t on_body(char *data, size_t size, size_t n, void *arg)
{
	struct client *c = arg;
	buf_add(&c->body, data, size * n);
	return buf_failed(&c->body) ? 0 : size * n;
}

static char *format(const char *a, const char *b, const char *d, const char *e)
{
	return mem_format("%s%s%s%s", a, b, d, e);
}

void client_header(struct client *c, const char *line)
{
	c->headers = mem_checked(curl_slist_append(c->headers, line));
	curl_easy_setopt(c->curl, CURLOPT_HTTPHEADER, c->headers);
}

int client_open(struct client *c)
{
	const char *url = getenv("POSTERN_URL"), *token = getenv("POSTERN_TOKEN");
	*c = (struct client) { .pause_ms = CLIENT_PAUSE_MIN_MS };
	buf_init(&c->body, BODY_MAX);
	if (token == NULL || *token == '\0') {
		command_failed("POSTERN_TOKEN isn't set: `postern token NAME` prints a new token");
		return CONF_EXIT_USAGE;
	}
	if (url == NULL || *url == '\0')
		url = "http://127.0.0.1:8080";
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK || (c->curl = curl_easy_init()) == NULL)
		fatal("libcurl can't be initialised");
	if (strncmp(url, "unix:", 5) == 0) {
		curl_easy_setopt(c->curl, CURLOPT_UNIX_SOCKET_PATH, url + 5);
		url = "http://localhost";
	}
	c->base = format(url, "", "", "");
	for (size_t len = strlen(c->base); len > 0 && c->base[len - 1] == '/';)
		c->base[--len] = '\0';
	char *authorization = format("Authorization: Bearer ", token, "", "");
	client_header(c, authorization);
	free(authorization);
	curl_easy_setopt(c->curl, CURLOPT_ERRORBUFFER, c->error);
	curl_easy_setopt(c->curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(c->curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c->curl, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_TIMEOUT_S);
	curl_easy_setopt(c->curl, CURLOPT_USERAGENT, "postern");
	return 0;
}

void client_close(struct client *c)
{
	curl_slist_free_all(c->headers);
	curl_easy_cleanup(c->curl);
	free(c->base);
	buf_release(&c->body);
	curl_global_cleanup();
}

void client_url(struct client *c, const char *path)
{
	char *url = format(c->base, path, "", "");
	curl_easy_setopt(c->curl, CURLOPT_URL, url); /* copies it */
	free(url);
}

void client_chat_url(struct client *c, const char *chat, const char *suffix)
{
	char *escaped = mem_checked(curl_easy_escape(c->curl, chat, 0));
	char *url = format(c->base, "/v1/chats/", escaped, suffix);
	curl_easy_setopt(c->curl, CURLOPT_URL, url);
	free(url);
	curl_free(escaped);
}

bool client_perform(struct client *c, CURLcode *ret_code)
{
	curl_off_t wait = 0;
	buf_reset(&c->body);
	c->error[0] = '\0';
	c->status = 0;
	c->retry_after = 0;
	curl_easy_setopt(c->curl, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(c->curl, CURLOPT_WRITEDATA, c);
	curl_easy_setopt(c->curl, CURLOPT_TIMEOUT, (long)ANSWER_TIMEOUT_S);
	*ret_code = c->code = curl_easy_perform(c->curl);
	for (size_t len = strlen(c->error); len > 0 && c->error[len - 1] == ' ';)
		c->error[--len] = '\0';
	if (*ret_code != CURLE_OK)
		return false;
	curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &c->status);
	curl_easy_getinfo(c->curl, CURLINFO_RETRY_AFTER, &wait);
	c->retry_after = wait > 0 && wait < 3600 ? (unsigned)wait : 0;
	return true;
}

bool client_may_come_up(const struct client *c)
{
	bool refused_here =
		c->code == CURLE_WRITE_ERROR || c->code == CURLE_ABORTED_BY_CALLBACK; /* too large; stopped */
	return c->status == 0 ? !client_is_misdirected(c) && !refused_here : c->status == 429 || c->status >= 500;
}

void client_report_retry(struct client *c)
{
	if (!c->said && c->status != 0)
		command_failed("%s: status %ld; trying again", c->base, c->status);
	else if (!c->said)
		command_failed("%s: %s; trying again", c->base, *c->error != '\0' ? c->error : "no answer");
	c->said = true;
}

void client_pause(struct client *c)
{
	char random[9];
	secret_random_name(random, 8);
	unsigned half = c->pause_ms / 2, jitter = (unsigned)(secret_keyed_hash(random, 8) % (half + 1));
	unsigned ms = half + jitter > c->retry_after * 1000 ? half + jitter : c->retry_after * 1000;
	for (; ms > 0 && !client_stopped(c); ms -= ms < SLICE_MS ? ms : SLICE_MS)
		poll(NULL, 0, (int)(ms < SLICE_MS ? ms : SLICE_MS));
	c->pause_ms = c->pause_ms * 2 < CLIENT_PAUSE_MAX_MS ? c->pause_ms * 2 : CLIENT_PAUSE_MAX_MS;
}

void client_is_up(struct client *c)
{
	c->pause_ms = CLIENT_PAUSE_MIN_MS;
	c->said = false;
}

bool client_perform_patiently(struct client *c)
{
	CURLcode code;
	for (;;) {
		bool answered = client_perform(c, &code);
		if (answered && c->status >= 200 && c->status < 300) {
			client_is_up(c);
			return true;
		}
		if (client_stopped(c) || !client_may_come_up(c))
			return false;
		client_report_retry(c);
		client_pause(c);
	}
}

struct json_object *client_json(const struct client *c)
{
	return c->body.data != NULL ? json_tokener_parse(c->body.data) : NULL;
}

const char *client_text(struct json_object *o, const char *name)
{
	struct json_object *v;
	return json_object_object_get_ex(o, name, &v) && v != NULL ? json_object_get_string(v) : NULL;
}

bool client_is_misdirected(const struct client *c)
{
	switch (c->code) {
	case CURLE_URL_MALFORMAT:
	case CURLE_UNSUPPORTED_PROTOCOL: /* also an answer that isn't HTTP/1 */
	case CURLE_WEIRD_SERVER_REPLY:
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_PEER_FAILED_VERIFICATION: return true;
	default: return false;
	}
}

/* Returns a hint for failures whose text doesn't say what to do; "" for others. */
static const char *advice(const struct client *c)
{
	bool https = strncasecmp(c->base, "https:", 6) == 0;
	if (c->code == CURLE_SSL_CONNECT_ERROR && https)
		return ". If the server speaks plain HTTP, POSTERN_URL begins with http://";
	if (c->code == CURLE_PEER_FAILED_VERIFICATION)
		return ". Use the host name of the certificate, or add its authority to those of this machine";
	if ((c->code == CURLE_UNSUPPORTED_PROTOCOL || c->code == CURLE_WEIRD_SERVER_REPLY) && !https)
		return ". If the server speaks TLS, POSTERN_URL begins with https://";
	return "";
}

int client_failed(const struct client *c)
{
	if (c->status == 0) {
		command_failed("%s: %s%s", c->base, *c->error != '\0' ? c->error : "no answer", advice(c));
		return CLIENT_UNAVAILABLE;
	}
	struct json_object *problem = client_json(c);
	const char *detail = client_text(problem, "detail"), *title = client_text(problem, "title"),
		   *code = client_text(problem, "code");
	command_failed("%s (%ld%s%s)",
		detail != NULL          ? detail
			: title != NULL ? title
					: "the server refused",
		c->status, code != NULL ? " " : "", code != NULL ? code : "");
	json_object_put(problem);
	return c->status == 401 || c->status == 403 ? CLIENT_NO_PERMISSION
		: c->status == 503                  ? CLIENT_UNAVAILABLE
						    : EXIT_FAILURE;
}
