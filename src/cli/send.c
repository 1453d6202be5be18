/* SPDX-License-Identifier: MIT
 * `postern send`: one message. Its key makes it safe to try again when the answer was lost. */
#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/decimal.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/secret.h"
#include "base/utf8.h"
#include "cli/client.h"
#include "cli/command.h"
#include "cli/listing.h"

enum { TEXT_MAX = 64 << 20, ATTEMPTS = 5, KEY_LEN = 24, RETRY_MAX_S = 60 };

static const char *key, *reply_to, *as_json;

const struct conf_option send_options[] = {
	{ "key", "KEY", "the key of the message: a repeated send with the same key is stored once", &key },
	{ "reply-to", "ID", "the id of the message to which this one replies", &reply_to },
	{ "json", NULL, "print the message as JSON instead of its id", &as_json },
	{ NULL, NULL, NULL, NULL },
};

/* Joins the words with blanks; if there are none, reads standard input up to its end, without the last newline. Returns
 * 0 or an exit status. */
static int read_text(struct buf *text, char *const *words)
{
	char chunk[16384];
	for (char *const *w = words; *w != NULL; w++) {
		if (w > words)
			buf_addc(text, ' ');
		buf_adds(text, *w);
	}
	if (*words == NULL) {
		for (size_t n; (n = fread(chunk, 1, sizeof(chunk), stdin)) > 0;)
			buf_add(text, chunk, n);
		if (ferror(stdin))
			return command_failed("reading standard input: %s", strerror(errno));
		if (text->len > 0 && text->data[text->len - 1] == '\n')
			text->data[--text->len] = '\0';
	}
	if (buf_failed(text))
		return command_failed("the text is longer than %d bytes", TEXT_MAX);
	if (text->len > 0 && !utf8_valid(text->data, text->len))
		return command_failed("the text isn't valid UTF-8");
	return 0;
}

static char *body_of(const struct buf *text, const char *own_key)
{
	struct json_object *body = json_object_new_object();
	json_object_object_add(
		body, "text", json_object_new_string_len(text->data != NULL ? text->data : "", (int)text->len));
	json_object_object_add(body, "key", json_object_new_string(own_key));
	if (reply_to != NULL)
		json_object_object_add(body, "reply_to", json_object_new_int64(strtoll(reply_to, NULL, 10)));
	char *json = mem_strdup(
		json_object_to_json_string_ext(body, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(body);
	return json;
}

/* Returns true after waiting, if another attempt may have another result. A server that isn't there is reported at
 * once. */
static bool should_retry(const struct client *c, CURLcode code, unsigned attempt)
{
	unsigned wait = 1u << attempt;
	if (attempt + 1 >= ATTEMPTS)
		return false;
	if (c->status == 0) {
		if (code == CURLE_COULDNT_CONNECT || code == CURLE_COULDNT_RESOLVE_HOST || client_is_misdirected(c))
			return false;
	} else if (c->status != 429 && c->status < 500)
		return false;
	else if (c->retry_after > 0)
		wait = c->retry_after;
	if (wait > RETRY_MAX_S)
		return false;
	sleep(wait);
	return true;
}

/* Prints the message or its id. If that fails, reports the id as an error, because the message was sent. */
static int print_result(const struct client *c)
{
	struct json_object *message = client_json(c);
	const char *id = client_text(message, "id");
	int code = EXIT_SUCCESS;
	if (id == NULL)
		code = command_failed("the server's answer isn't understood");
	else if (as_json != NULL)
		listing_print_json(message);
	else
		puts(id);
	if (id != NULL && command_close_output() != 0) {
		command_failed("the message was sent: its id is %s", id);
		code = CONF_EXIT_IO;
	}
	json_object_put(message);
	return code;
}

/* Returns 0, or the exit status after saying why the message was not sent. */
static int send_text(struct client *c, const char *chat, const struct buf *text)
{
	char made[KEY_LEN + 1];
	CURLcode code;
	secret_random_name(made, KEY_LEN);
	char *body = body_of(text, key != NULL ? key : made);
	client_header(c, "Content-Type: application/json");
	client_header(c, "Expect:");
	client_chat_url(c, chat, "/messages");
	curl_easy_setopt(c->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(body));
	curl_easy_setopt(c->curl, CURLOPT_POSTFIELDS, body);
	for (unsigned attempt = 0; !client_perform(c, &code) || c->status >= 300; attempt++)
		if (!should_retry(c, code, attempt))
			break;
	free(body);
	return c->status >= 200 && c->status < 300 ? 0 : client_failed(c);
}

int send_command(const struct command *self, const struct conf *conf, const struct conf_args *args)
{
	struct client c;
	struct buf text;
	(void)conf;
	if (args->operand_count == 0)
		return command_misused(self);
	if (reply_to != NULL && !decimal_is_bigint(reply_to)) {
		command_failed("--reply-to: %s: expected the id of a message, a number", reply_to);
		return CONF_EXIT_USAGE;
	}
	if (key != NULL && *key == '\0') {
		command_failed("--key: a key has at least one character");
		return CONF_EXIT_USAGE;
	}
	int exit_code = client_open(&c);
	if (exit_code != 0)
		return exit_code;
	buf_init(&text, TEXT_MAX);
	exit_code = read_text(&text, args->operands + 1);
	if (exit_code == 0)
		exit_code = send_text(&c, args->operands[0], &text);
	if (exit_code == 0)
		exit_code = print_result(&c);
	buf_release(&text);
	client_close(&c);
	return exit_code;
}
