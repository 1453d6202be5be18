/* SPDX-License-Identifier: MIT
 * `postern tail`: follows the stream, and prints messages as they come. It reconnects for as long as it takes, and what
 * came in the meantime is caught up with by the cursor. */
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/secret.h"
#include "cli/client.h"
#include "cli/command.h"

enum { LINE_MAX_BYTES = 16 << 20, PAUSE_MIN_MS = 250, PAUSE_MAX_MS = 30000, SILENCE_S = 60 };

static const char *raw;

const struct conf_option tail_options[] = {
	{ "json", NULL, "print every event as the server sends it, a JSON object a line", &raw },
	{ NULL, NULL, NULL, NULL },
};

struct tail {
	struct client client;
	char *chat;         /* only this one's messages, as a number; NULL: all */
	char *cursor;       /* of the last event; NULL: none yet */
	struct buf line;    /* that is coming in */
	unsigned pause_ms;  /* before the next connection */
	bool established;   /* this connection has brought an event */
};

/* Text from others must not reach the terminal as commands. Further lines are indented. */
static void print_tamed(const char *text)
{
	for (const char *p = text; *p != '\0'; p++) {
		unsigned char c = (unsigned char)*p;
		bool c1 = c == 0xc2 && (unsigned char)p[1] >= 0x80 && (unsigned char)p[1] < 0xa0;
		if (c == '\n')
			fputs("\n    ", stdout);
		else if ((c < 0x20 && c != '\t') || c == 0x7f)
			putchar('?');
		else if (c1) {
			putchar('?');
			p++;
		} else
			putchar(c);
	}
}

static void print_message(const struct tail *t, struct json_object *m)
{
	const char *at = client_text(m, "at"), *chat = client_text(m, "chat"), *from = client_text(m, "from");
	const char *text = client_text(m, "text"), *type = client_text(m, "type"), *edited = client_text(m, "edited_at");
	if (at == NULL || chat == NULL || from == NULL || (t->chat != NULL && strcmp(t->chat, chat) != 0))
		return;
	printf("%s %s %s: ", edited != NULL ? edited : at, chat, from);
	if (type != NULL)
		printf("[%s] ", type);
	print_tamed(text != NULL ? text : "");
	puts(edited != NULL ? " (edited)" : "");
}

static bool concerns(const struct tail *t, struct json_object *data)
{
	const char *chat = client_text(data, "chat");
	return t->chat == NULL || (chat != NULL && strcmp(chat, t->chat) == 0);
}

static void set_cursor(struct tail *t, const char *cursor)
{
	free(t->cursor);
	t->cursor = cursor != NULL ? strdup(cursor) : NULL;
}

static void take_event(struct tail *t, const char *line)
{
	struct json_object *o = json_tokener_parse(line), *data = NULL;
	const char *event = client_text(o, "event"), *cursor = client_text(o, "cursor");
	json_object_object_get_ex(o, "data", &data);
	if (event == NULL) {
		json_object_put(o);
		return;
	}
	t->established = true;
	t->pause_ms = PAUSE_MIN_MS;
	if (cursor != NULL)
		set_cursor(t, cursor);
	if (strcmp(event, "reset") == 0) {
		command_failed("the server can't continue from where this left off (%s): some events may be missing", client_text(data, "reason") != NULL ? client_text(data, "reason") : "?");
		set_cursor(t, NULL);
	} else if (strcmp(event, "bye") == 0 && client_text(data, "retry") != NULL)
		{
		int retry_ms = atoi(client_text(data, "retry"));
		t->pause_ms = retry_ms < 0 ? 0 : retry_ms > PAUSE_MAX_MS ? PAUSE_MAX_MS : (unsigned)retry_ms;
	}
	if (raw != NULL && (t->chat == NULL || concerns(t, data)))
		puts(line);
	else if (raw == NULL && strcmp(event, "message") == 0)
		print_message(t, data);
	fflush(stdout);
	json_object_put(o);
}

/* Error answers are gathered too: they are one short line, or none. */
static size_t on_data(char *data, size_t size, size_t n, void *arg)
{
	struct tail *t = arg;
	const char *end = data + size * n, *newline;
	long status = 0;
	curl_easy_getinfo(t->client.curl, CURLINFO_RESPONSE_CODE, &status);
	if (status != 200) {
		buf_add(&t->client.body, data, size * n);
		return buf_failed(&t->client.body) ? 0 : size * n;
	}
	for (const char *p = data; p < end; p = newline + 1) {
		newline = memchr(p, '\n', (size_t)(end - p));
		if (newline == NULL) {
			buf_add(&t->line, p, (size_t)(end - p));
			break;
		}
		buf_add(&t->line, p, (size_t)(newline - p));
		if (t->line.len > 0)
			take_event(t, t->line.data);
		buf_reset(&t->line);
	}
	return buf_failed(&t->line) ? 0 : size * n;
}

static void connect_once(struct tail *t)
{
	struct client *c = &t->client;
	struct buf path;
	buf_init(&path, 4096);
	buf_adds(&path, "/v1/stream?format=ndjson");
	if (t->cursor != NULL) {
		char *escaped = curl_easy_escape(c->curl, t->cursor, 0);
		buf_addf(&path, "&since=%s", escaped != NULL ? escaped : "");
		curl_free(escaped);
	}
	client_url(c, path.data);
	buf_release(&path);
	buf_reset(&t->line);
	buf_reset(&c->body);
	t->established = false;
	c->error[0] = '\0';
	c->status = 0;
	curl_easy_setopt(c->curl, CURLOPT_WRITEFUNCTION, on_data);
	curl_easy_setopt(c->curl, CURLOPT_WRITEDATA, t);
	curl_easy_setopt(c->curl, CURLOPT_TIMEOUT, 0L);
	/* Heartbeats come every 15 s: this much silence is a dead connection. */
	curl_easy_setopt(c->curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
	curl_easy_setopt(c->curl, CURLOPT_LOW_SPEED_TIME, (long)SILENCE_S);
	CURLcode code = curl_easy_perform(c->curl);
	curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &c->status);
	if (code == CURLE_OK && *c->error == '\0')
		snprintf(c->error, sizeof(c->error), "the server ended the stream");
}

/* Half fixed, half random, so that those who were cut together don't come back together. */
static void pause_before_next(struct tail *t)
{
	char random[9];
	secret_random_name(random, 8);
	unsigned half = t->pause_ms / 2, jitter = (unsigned)(secret_keyed_hash(random, 8) % (half + 1));
	usleep((half + jitter) * 1000);
	t->pause_ms = t->pause_ms * 2 < PAUSE_MAX_MS ? t->pause_ms * 2 : PAUSE_MAX_MS;
}

/* Turns @name, or whatever else names it, into the chat's number. */
static int resolve_chat(struct tail *t, const char *chat)
{
	CURLcode code;
	client_chat_url(&t->client, chat, "");
	if (!client_perform(&t->client, &code) || t->client.status != 200)
		return client_failed(&t->client);
	struct json_object *o = client_json(&t->client);
	const char *id = client_text(o, "id");
	t->chat = id != NULL ? strdup(id) : NULL;
	json_object_put(o);
	return t->chat != NULL ? 0 : command_failed("the server's answer isn't understood");
}

static int follow(struct tail *t)
{
	for (bool said = false;; pause_before_next(t)) {
		connect_once(t);
		long status = t->client.status;
		if (status != 200 && status != 0 && status != 429 && status < 500)
			return client_failed(&t->client);
		if (t->established)
			said = false;
		else if (!said) {
			command_failed("%s: %s; trying again", t->client.base, *t->client.error != '\0' ? t->client.error : "no answer");
			said = true;
		}
	}
}

int tail_command(const struct command *self, const struct conf *conf, const struct conf_args *args)
{
	struct tail t = { .pause_ms = PAUSE_MIN_MS };
	(void)conf;
	if (args->operand_count > 1)
		return command_misused(self);
	int code = client_open(&t.client);
	if (code != 0)
		return code;
	buf_init(&t.line, LINE_MAX_BYTES);
	if (args->operand_count == 1)
		code = resolve_chat(&t, args->operands[0]);
	if (code == 0)
		code = follow(&t);
	free(t.chat);
	free(t.cursor);
	buf_release(&t.line);
	client_close(&t.client);
	return code;
}
