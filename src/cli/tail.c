/* SPDX-License-Identifier: MIT
 * `postern tail`: follows the stream, and prints messages as they arrive. It reconnects until it succeeds, and gets the
 * messages that it has missed by its cursor or, if the server can't resume from that, from the history. */
#include <json-c/json.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/decimal.h"
#include "base/log.h"
#include "base/mem.h"
#include "cli/backlog.h"
#include "cli/bookmark.h"
#include "cli/client.h"
#include "cli/command.h"
#include "cli/listing.h"
#include "cli/moment.h"

enum { LINE_MAX_BYTES = 16 << 20, SILENCE_S = 60, LATEST_MAX = 10000, SAVE_MS = 1000 };

static const char *raw, *latest, *since, *cursor_file;
static volatile sig_atomic_t stopped; /* the signal */

const struct conf_option tail_options[] = {
	{ "n", "NUMBER", "first print this many of the latest messages", &latest },
	{ "since", "WHEN", "first print the messages after this id, since this time, or of the last 10m, 12h, 30d",
		&since },
	{ "cursor-file", "FILE", "save the position in this file, and continue from there if it exists", &cursor_file },
	{ "json", NULL, "print every event as the server sends it, a JSON object a line", &raw },
	{ NULL, NULL, NULL, NULL },
};

struct tail {
	struct client client;
	char *chat;             /* the number of the only chat whose messages are printed; NULL: all */
	struct bookmark at;     /* how far everything has been printed */
	struct backlog backlog; /* what was printed from history last */
	struct buf line;        /* the line that is being received */
	bool established;       /* this connection has received an event */
	bool is_cut_off;        /* the server can't resume from the cursor */
	int code;               /* the exit status after a failure that lasts; 0: none */
};

/* Flushes the output. A signal that interrupts it ends the command anyway: then nothing is reported. */
static int flush(const struct tail *t)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return 0;
	return client_stopped(&t->client) ? CONF_EXIT_IO : command_close_output();
}

/* Text from others must not reach the terminal as commands. Further lines are indented. */
static void print_sanitized(const char *text)
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

static int print_message(void *arg, struct json_object *m)
{
	struct tail *t = arg;
	const char *at = client_text(m, "at"), *chat = client_text(m, "chat"), *from = client_text(m, "from");
	const char *text = client_text(m, "text"), *type = client_text(m, "type"),
		   *edited = client_text(m, "edited_at");
	if (client_text(m, "id") == NULL || at == NULL || chat == NULL || from == NULL)
		return 0;
	bookmark_add(&t->at, strtoull(client_text(m, "id"), NULL, 10), strtoull(chat, NULL, 10), at);
	if (raw != NULL) {
		fputs("{\"event\":\"message\",\"data\":", stdout);
		fputs(json_object_to_json_string_ext(m, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE),
			stdout);
		puts("}");
		return ferror(stdout) ? flush(t) : 0;
	}
	printf("%s %s %s: ", edited != NULL ? edited : at, chat, from);
	if (type != NULL)
		printf("[%s] ", type);
	print_sanitized(text != NULL ? text : "");
	puts(edited != NULL ? " (edited)" : "");
	return ferror(stdout) ? flush(t) : 0;
}

static bool is_wanted(const struct tail *t, struct json_object *data)
{
	const char *chat = client_text(data, "chat");
	return t->chat == NULL || (chat != NULL && strcmp(chat, t->chat) == 0);
}

/* Returns true for a new message that the backlog has printed already. Its later edits are printed. */
static bool was_printed(const struct tail *t, struct json_object *m)
{
	uint64_t id = json_object_get_uint64(listing_get(m, "id")), rev = json_object_get_uint64(listing_get(m, "rev"));
	return id == rev && id <= backlog_printed(&t->backlog, json_object_get_uint64(listing_get(m, "chat")));
}

static void on_message(struct tail *t, const char *line, struct json_object *m)
{
	if (!is_wanted(t, m) || was_printed(t, m))
		return;
	if (raw == NULL) {
		print_message(t, m);
		return;
	}
	puts(line);
	if (client_text(m, "at") != NULL)
		bookmark_add(&t->at, json_object_get_uint64(listing_get(m, "id")),
			json_object_get_uint64(listing_get(m, "chat")), client_text(m, "at"));
}

static void set_retry(struct client *c, const char *retry)
{
	int ms = retry != NULL ? atoi(retry) : -1;
	if (ms >= 0)
		c->pause_ms = ms < CLIENT_PAUSE_MAX_MS ? (unsigned)ms : CLIENT_PAUSE_MAX_MS;
}

static void on_event(struct tail *t, const char *line)
{
	struct json_object *o = json_tokener_parse(line), *data = listing_get(o, "data");
	const char *event = client_text(o, "event"), *cursor = client_text(o, "cursor");
	if (event != NULL && !t->established)
		client_is_up(&t->client);
	t->established |= event != NULL;
	t->is_cut_off = event != NULL && strcmp(event, "reset") == 0;
	if (t->is_cut_off)
		command_failed(
			"the server can't resume from the cursor (%s): reading the missing messages from the history",
			client_text(data, "reason") != NULL ? client_text(data, "reason") : "?");
	if (event != NULL && strcmp(event, "message") == 0)
		on_message(t, line, data);
	else if (event != NULL && raw != NULL && is_wanted(t, data))
		puts(line);
	if (event != NULL && strcmp(event, "bye") == 0)
		set_retry(&t->client, client_text(data, "retry"));
	/* A hello says where the stream begins, and a reset may follow it: its cursor isn't stored. */
	if (event != NULL && cursor != NULL && !t->is_cut_off && strcmp(event, "hello") != 0)
		bookmark_set_cursor(&t->at, cursor);
	json_object_put(o);
}

/* Returns false to end the connection: what follows isn't needed, or can't be printed. */
static bool feed_lines(struct tail *t, const char *data, const char *end)
{
	const char *newline;
	for (const char *p = data; p < end && !t->is_cut_off; p = newline + 1) {
		newline = memchr(p, '\n', (size_t)(end - p));
		if (newline == NULL) {
			buf_add(&t->line, p, (size_t)(end - p));
			break;
		}
		buf_add(&t->line, p, (size_t)(newline - p));
		if (t->line.len > 0)
			on_event(t, t->line.data);
		buf_reset(&t->line);
	}
	t->code = flush(t);
	return t->code == 0 && !t->is_cut_off && !buf_failed(&t->line);
}

/* An error answer's body is kept for its message: it is one short line, or none. */
static size_t on_data(char *data, size_t size, size_t n, void *arg)
{
	struct tail *t = arg;
	long status = 0;
	curl_easy_getinfo(t->client.curl, CURLINFO_RESPONSE_CODE, &status);
	if (status == 200)
		return feed_lines(t, data, data + size * n) ? size * n : 0;
	buf_add(&t->client.body, data, size * n);
	return buf_failed(&t->client.body) ? 0 : size * n;
}

/* Called once a second at least. The cursor file is saved only after the output was flushed. */
static int on_progress(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	struct tail *t = arg;
	(void)a, (void)b, (void)c, (void)d;
	if (t->code == 0 && clock_mono_ms() - t->at.saved_ms >= SAVE_MS) {
		t->code = flush(t);
		if (t->code == 0)
			t->code = bookmark_save(&t->at);
	}
	return t->code != 0 || client_stopped(&t->client);
}

static void connect_once(struct tail *t)
{
	struct client *c = &t->client;
	struct buf path;
	char *escaped = curl_easy_escape(c->curl, t->at.cursor, 0);
	buf_init(&path, 4096);
	buf_addf(&path, "/v1/stream?format=ndjson&since=%s", escaped != NULL ? escaped : "");
	client_url(c, path.data);
	curl_free(escaped);
	buf_release(&path);
	buf_reset(&t->line);
	buf_reset(&c->body);
	t->established = t->is_cut_off = false;
	c->error[0] = '\0';
	c->status = 0;
	c->retry_after = 0;
	curl_easy_setopt(c->curl, CURLOPT_WRITEFUNCTION, on_data);
	curl_easy_setopt(c->curl, CURLOPT_WRITEDATA, t);
	curl_easy_setopt(c->curl, CURLOPT_TIMEOUT, 0L);
	c->code = curl_easy_perform(c->curl);
	curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &c->status);
	if (c->code == CURLE_OK && *c->error == '\0')
		snprintf(c->error, sizeof(c->error), "the server ended the stream");
}

/* Turns @name, or another name of a chat, into its number. */
static int resolve_chat(struct tail *t, const char *chat)
{
	CURLcode code;
	client_chat_url(&t->client, chat, "");
	if (!client_perform(&t->client, &code) || t->client.status != 200)
		return client_failed(&t->client);
	struct json_object *o = client_json(&t->client);
	const char *id = client_text(o, "id");
	t->chat = id != NULL ? mem_strdup(id) : NULL;
	json_object_put(o);
	return t->chat != NULL ? 0 : command_failed("the server's answer isn't understood");
}

/* Sets the start that -n and --since ask for. */
static int choose_start(struct backlog *b)
{
	char at[CLOCK_RFC3339_LEN + 1];
	if (latest != NULL)
		return backlog_latest(b, (unsigned)strtoul(latest, NULL, 10));
	if (since == NULL)
		return 0;
	if (decimal_is_bigint(since))
		return backlog_after_id(b, strtoull(since, NULL, 10));
	return moment_parse(since, at) ? backlog_from_time(b, at) : CONF_EXIT_USAGE;
}

/* Prints from history what was asked for or is missing, up to now; the stream continues from there. */
static int print_backlog(struct tail *t, bool is_start)
{
	backlog_release(&t->backlog);
	int code = backlog_open(&t->backlog, &t->client, t->chat);
	if (code == 0)
		code = is_start ? choose_start(&t->backlog) : backlog_after_marks(&t->backlog, &t->at);
	if (code == 0)
		code = backlog_print(&t->backlog, print_message, t);
	if (code == 0)
		code = flush(t);
	if (t->code != 0 || code != 0) /* t->code: why the request in progress was ended */
		return t->code != 0 ? t->code : code;
	backlog_mark(&t->backlog, &t->at);
	bookmark_set_cursor(&t->at, t->backlog.cursor);
	return bookmark_save(&t->at);
}

/* Prints until a failure that lasts, or a signal. Returns the exit status. */
static int follow(struct tail *t)
{
	struct client *c = &t->client;
	bool was_up = false;
	int code = t->at.cursor == NULL ? print_backlog(t, true) : 0;
	while (code == 0) {
		connect_once(t);
		was_up |= t->established;
		if (t->code != 0 || client_stopped(c))
			return t->code != 0 ? t->code : CLIENT_STOPPED;
		if (t->is_cut_off)
			code = print_backlog(t, false);
		else if (c->status == 400 && cursor_file != NULL)
			code = bookmark_is_damaged(&t->at);
		else if (c->status != 200 && !(was_up && c->status == 0) && !client_may_come_up(c))
			code = client_failed(c);
		else {
			if (!t->established)
				client_report_retry(c);
			client_pause(c);
		}
	}
	return code;
}

static void on_signal(int sig) { stopped = sig; }

/* A signal that is ignored stays ignored: nohup(1) and shells rely on that. */
static void catch_signal(int sig)
{
	struct sigaction action = { .sa_handler = on_signal }, before;
	if (sigaction(sig, NULL, &before) == 0 && before.sa_handler != SIG_IGN)
		sigaction(sig, &action, NULL);
}

/* With a cursor file, a signal ends the command after the file was written. */
static void prepare(struct tail *t)
{
	CURL *curl = t->client.curl;
	t->client.stop = &stopped;
	for (int i = 0; cursor_file != NULL && i < 3; i++)
		catch_signal((int[]) { SIGINT, SIGTERM, SIGHUP }[i]);
	/* TLS raises it on a closed connection; a closed standard output is reported by fflush(). */
	signal(SIGPIPE, SIG_IGN);
	curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
	curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
	curl_easy_setopt(curl, CURLOPT_XFERINFODATA, t);
	/* Heartbeats come every 15 s: this much silence is a dead connection. */
	curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
	curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, (long)SILENCE_S);
}

static void end_by(int sig)
{
	signal(sig, SIG_DFL);
	raise(sig);
}

static int check_options(void)
{
	char at[CLOCK_RFC3339_LEN + 1];
	uint64_t most;
	if (latest != NULL && (!decimal_parse(latest, &most) || most > LATEST_MAX))
		command_failed("-n: %s: expected a number from 0 to %d", latest, LATEST_MAX);
	else if (latest != NULL && since != NULL)
		command_failed("only one of -n and --since");
	else if (since != NULL && !decimal_is_bigint(since) && !moment_parse(since, at))
		command_failed(
			"--since: %s: expected a message id, a time (2026-01-31, 2026-01-31T12:00:00Z) or a duration"
			" (10m, 12h, 30d)",
			since);
	else
		return 0;
	return CONF_EXIT_USAGE;
}

int tail_command(const struct command *self, const struct conf *conf, const struct conf_args *args)
{
	struct tail t = { 0 };
	(void)conf;
	if (args->operand_count > 1)
		return command_misused(self);
	int code = check_options();
	if (code == 0)
		code = client_open(&t.client);
	if (code != 0)
		return code;
	prepare(&t);
	buf_init(&t.line, LINE_MAX_BYTES);
	if (args->operand_count == 1)
		code = resolve_chat(&t, args->operands[0]);
	if (code == 0)
		code = bookmark_open(&t.at, cursor_file, t.chat);
	if (code == 0)
		code = follow(&t);
	if (code != CONF_EXIT_IO && flush(&t) == 0)
		bookmark_save(&t.at);
	backlog_release(&t.backlog);
	bookmark_release(&t.at);
	free(t.chat);
	buf_release(&t.line);
	client_close(&t.client);
	if (stopped != 0)
		end_by(stopped);
	return code;
}
