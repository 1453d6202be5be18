/* SPDX-License-Identifier: MIT
 * Users and their requests to the server. See client.h. */
#include "client.h"

#include <curl/curl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "suite.h"

/* --- users --- */

enum { USERS_MAX = 512 };
static struct client users[USERS_MAX];
static size_t user_count;

static struct client *make_user(const struct server *server, const char *name)
{
	ck_assert_uint_lt(user_count, USERS_MAX);
	server_command(server, PASSWORD "\n", "user", "add", name);
	char *token = server_command(server, NULL, "token", name);
	struct client *c = &users[user_count++];
	*c = (struct client) { .name = strdup(name), .token = strdup(token), .server = server };
	return c;
}

struct client *user_at(const struct server *server, const char *name)
{
	for (size_t i = 0; i < user_count; i++)
		if (users[i].server == server && strcmp(users[i].name, name) == 0)
			return &users[i];
	return make_user(server, name);
}

struct client *user(const char *name) { return user_at(test_server(), name); }

struct client *new_user(void)
{
	static unsigned n;
	return make_user(test_server(), format("somebody-%u", ++n));
}

static struct client *copy(const struct client *who)
{
	struct client *c = on_teardown(free, malloc(sizeof(*c)));
	*c = *who;
	return c;
}

struct client *anonymous(void) { return copy(&(struct client) { .server = test_server() }); }

struct client *with_header(const struct client *who, const char *fmt, ...)
{
	struct client *c = copy(who);
	char *text;
	size_t i = 0;
	va_list ap;
	va_start(ap, fmt);
	ck_assert_int_ge(vasprintf(&text, fmt, ap), 0);
	va_end(ap);
	while (i < CLIENT_HEADERS - 1 && c->headers[i] != NULL)
		i++;
	c->headers[i] = on_teardown(free, text);
	return c;
}

struct client *on_server(const struct client *who, const struct server *server)
{
	struct client *c = copy(who);
	c->server = server;
	return c;
}

struct client *with_token(const struct client *who, const char *token)
{
	struct client *c = copy(who);
	c->token = token;
	return c;
}

/* --- requests --- */

struct bytes {
	char *data;
	size_t len;
};

static size_t gather(char *data, size_t size, size_t n, void *arg)
{
	struct bytes *b = arg;
	b->data = realloc(b->data, b->len + size * n + 1);
	memcpy(b->data + b->len, data, size * n);
	b->len += size * n;
	b->data[b->len] = '\0';
	return size * n;
}

/* Keeps only the last head, because a 100 response may precede it. */
static size_t gather_head(char *data, size_t size, size_t n, void *arg)
{
	struct bytes *b = arg;
	if (size * n > 5 && strncmp(data, "HTTP/", 5) == 0)
		b->len = 0;
	return gather(data, size, n, arg);
}

static CURL *handle(void)
{
	static CURL *curl;
	if (curl == NULL) {
		curl_global_init(CURL_GLOBAL_DEFAULT);
		curl = curl_easy_init();
	}
	curl_easy_reset(curl); /* keeps its connections */
	return curl;
}

static struct curl_slist *headers_of(const struct client *who, const char *type)
{
	struct curl_slist *list =
		curl_slist_append(NULL, type != NULL ? format("Content-Type: %s", type) : "Content-Type:");
	if (who->token != NULL)
		list = curl_slist_append(list, format("Authorization: Bearer %s", who->token));
	for (size_t i = 0; i < CLIENT_HEADERS && who->headers[i] != NULL; i++)
		list = curl_slist_append(list, who->headers[i]);
	return list;
}

static void drop(void *answer)
{
	answer_release(answer);
	free(answer);
}

struct answer send_request(
	const struct client *who, const char *method, const char *path, const char *type, const void *body, size_t len)
{
	CURL *curl = handle();
	struct bytes head = { 0 }, content = { 0 };
	struct curl_slist *headers = headers_of(who, type);
	curl_easy_setopt(curl, CURLOPT_URL, format("%s%s", server_url(who->server), path));
	curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
	curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_NOBODY, strcmp(method, "HEAD") == 0 ? 1L : 0L);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)PATIENCE);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, gather);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, &content);
	curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, gather_head);
	curl_easy_setopt(curl, CURLOPT_HEADERDATA, &head);
	if (body != NULL) {
		curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)len);
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
		curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
	}
	CURLcode result = curl_easy_perform(curl);
	curl_slist_free_all(headers);

	struct answer *a = on_teardown(drop, calloc(1, sizeof(*a)));
	long status = 0;
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	a->status = (int)status;
	a->head = head.data;
	a->body = content.data != NULL ? content.data : strdup("");
	a->len = content.len;
	a->json = json_path_parse(a->body, a->len);
	ck_assert_msg(result == CURLE_OK, "%s %s: %s", method, path, curl_easy_strerror(result));
	return *a;
}

static struct answer ask_json(
	const struct client *who, const char *method, const char *path, const char *fmt, va_list ap) PATH_LIKE(4, 0);
static struct answer ask_json(
	const struct client *who, const char *method, const char *path, const char *fmt, va_list ap)
{
	char *body = NULL;
	if (fmt == NULL)
		return send_request(who, method, path, NULL, NULL, 0);
	ck_assert_int_ge(vasprintf(&body, fmt, ap), 0);
	on_teardown(free, body);
	for (char *c = body; *c != '\0'; c++)
		if (*c == '\'')
			*c = '"';
	return send_request(who, method, path, "application/json", body, strlen(body));
}

#define FORWARD(who, method, path, fmt) \
	va_list ap; \
	va_start(ap, fmt); \
	struct answer a = ask_json(who, method, path, fmt, ap); \
	va_end(ap); \
	return a

struct answer post(const struct client *who, const char *path, const char *fmt, ...)
{
	FORWARD(who, "POST", path, fmt);
}
struct answer put(const struct client *who, const char *path, const char *fmt, ...) { FORWARD(who, "PUT", path, fmt); }
struct answer patch(const struct client *who, const char *path, const char *fmt, ...)
{
	FORWARD(who, "PATCH", path, fmt);
}

#define FORWARD_PATH(who, method, fmt) \
	char *path; \
	va_list ap; \
	va_start(ap, fmt); \
	ck_assert_int_ge(vasprintf(&path, fmt, ap), 0); \
	va_end(ap); \
	return send_request(who, method, on_teardown(free, path), NULL, NULL, 0)

struct answer get(const struct client *who, const char *fmt, ...) { FORWARD_PATH(who, "GET", fmt); }
struct answer del(const struct client *who, const char *fmt, ...) { FORWARD_PATH(who, "DELETE", fmt); }

struct answer post_as(const struct client *who, const char *path, const char *type, const char *text)
{
	return send_request(who, "POST", path, type, text, strlen(text));
}

/* --- assertions --- */

struct answer client_expect_status(const char *file, int line, struct answer a, int status)
{
	if (a.status != status)
		fail_at(file, line, "answered %d, not %d: %.500s", a.status, status,
			a.body != NULL ? a.body : "(nothing)");
	/* A 204 has no body. */
	if (status == 204 && a.len != 0)
		fail_at(file, line, "a 204 with a body: %.500s", a.body);
	return a;
}

struct answer client_expect_problem(const char *file, int line, struct answer a, int status, const char *code)
{
	client_expect_status(file, line, a, status);
	const char *type = answer_header(a, "Content-Type"), *id = answer_header(a, "X-Request-Id");
	if (type == NULL || strncmp(type, "application/problem+json", 24) != 0)
		fail_at(file, line, "a refusal of type %s: %.500s", type ? type : "(none)", a.body);
	if (strcmp(json_path_str(file, line, a.json, "code"), code) != 0)
		fail_at(file, line, "code is %s, not %s: %.500s", json_path_str(file, line, a.json, "code"), code,
			a.body);
	if (json_path_num(file, line, a.json, "status") != status ||
		*json_path_str(file, line, a.json, "title") == '\0' ||
		json_path_str(file, line, a.json, "type") == NULL)
		fail_at(file, line, "not a whole problem: %.500s", a.body);
	if (id == NULL || strcmp(json_path_str(file, line, a.json, "request_id"), id) != 0)
		fail_at(file, line, "X-Request-Id is %s, but: %.500s", id ? id : "(none)", a.body);
	return a;
}

/* --- chats --- */

long long client_make_group(const struct client *owner, ...)
{
	char names[1024] = "";
	size_t len = 0;
	va_list ap;
	va_start(ap, owner);
	for (const struct client *c; (c = va_arg(ap, const struct client *)) != NULL;)
		len += (size_t)snprintf(names + len, sizeof(names) - len, "%s'%s'", len > 0 ? "," : "", c->name);
	va_end(ap);
	ck_assert_uint_lt(len, sizeof(names));
	return json_num(
		expect_status(post(owner, "/v1/chats", "{'kind':'group','title':'garden','members':[%s]}", names), 201)
			.json,
		"id");
}

char *messages_path(long long chat) { return format("/v1/chats/%lld/messages", chat); }
char *message_path(long long chat, long long id) { return format("/v1/chats/%lld/messages/%lld", chat, id); }
char *member_path(long long chat, const struct client *who)
{
	return format("/v1/chats/%lld/members/%s", chat, who->name);
}

long long say(const struct client *who, long long chat, const char *text)
{
	return json_num(expect_status(post(who, messages_path(chat), "{'text':'%s'}", text), 201).json, "id");
}

struct answer say_with_key(const struct client *who, long long chat, const char *key, const char *text)
{
	return post(who, messages_path(chat), "{'text':'%s','key':'%s'}", text, key);
}

double metric(const struct server *server, const char *name)
{
	struct answer a = expect_status(get(&(struct client) { .server = server }, "/metrics"), 200);
	double sum = 0;
	bool found = false;
	size_t n = strlen(name);
	for (const char *line = a.body; line != NULL; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, name, n) != 0 || (line[n] != ' ' && line[n] != '{'))
			continue;
		const char *value = memrchr(line, ' ', strcspn(line, "\n")); /* a label may have braces */
		ck_assert_ptr_nonnull(value);
		sum += strtod(value, NULL);
		found = true;
	}
	ck_assert_msg(found, "there is no metric %s", name);
	return sum;
}

void await_metric(const struct server *server, const char *name, double value)
{
	uint64_t until = clock_mono_ms() + PATIENCE;
	for (double is_now; (is_now = metric(server, name)) != value;)
		if (clock_mono_ms() >= until)
			ck_abort_msg("%s is %g and not %g", name, is_now, value);
}
