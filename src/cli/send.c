/* SPDX-License-Identifier: MIT
 * `postern send`: one message. Its key makes it safe to try again when the answer was lost. */
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/secret.h"
#include "cli/client.h"
#include "cli/command.h"

enum { TEXT_MAX = 64 << 20, ATTEMPTS = 5, KEY_LEN = 24, PATIENCE_S = 60 };

/* The words with a blank between them; without any, standard input less its last newline. */
static void gather_text(struct buf *text, char *const *words)
{
	char chunk[16384];
	for (char *const *w = words; *w != NULL; w++) {
		if (w > words)
			buf_addc(text, ' ');
		buf_adds(text, *w);
	}
	if (*words != NULL)
		return;
	for (size_t n; (n = fread(chunk, 1, sizeof(chunk), stdin)) > 0;)
		buf_add(text, chunk, n);
	if (text->len > 0 && text->data[text->len - 1] == '\n')
		text->data[--text->len] = '\0';
}

/* Whether to try again, after waiting. Nobody there at all is an answer of its own. */
static bool try_again(const struct client *c, CURLcode code, unsigned attempt)
{
	unsigned wait = 1u << attempt;
	if (attempt + 1 >= ATTEMPTS)
		return false;
	if (c->status == 0) {
		if (code == CURLE_COULDNT_CONNECT || code == CURLE_COULDNT_RESOLVE_HOST || code == CURLE_URL_MALFORMAT || code == CURLE_UNSUPPORTED_PROTOCOL)
			return false;
	} else if (c->status != 429 && c->status < 500)
		return false;
	else if (c->retry_after > 0)
		wait = c->retry_after;
	if (wait > PATIENCE_S)
		return false;
	sleep(wait);
	return true;
}

static int print_id(const struct client *c)
{
	struct json_object *message = client_json(c);
	const char *id = client_text(message, "id");
	int code = id != NULL ? EXIT_SUCCESS : command_failed("the server's answer isn't understood");
	if (id != NULL)
		puts(id);
	json_object_put(message);
	return code;
}

int send_command(const struct command *self, const struct conf *conf, const struct conf_args *args)
{
	struct client c;
	struct buf text;
	char key[KEY_LEN + 1], header[64];
	CURLcode code;
	(void)conf;
	if (args->operand_count == 0)
		return command_misused(self);
	int exit_code = client_open(&c);
	if (exit_code != 0)
		return exit_code;
	buf_init(&text, TEXT_MAX);
	gather_text(&text, args->operands + 1);
	if (buf_failed(&text))
		fatal("the text is too long");
	secret_random_name(key, KEY_LEN);
	snprintf(header, sizeof(header), "Idempotency-Key: %s", key);
	client_header(&c, header);
	client_header(&c, "Content-Type: text/plain; charset=utf-8");
	client_header(&c, "Expect:");
	client_chat_url(&c, args->operands[0], "/messages");
	curl_easy_setopt(c.curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)text.len);
	curl_easy_setopt(c.curl, CURLOPT_POSTFIELDS, text.data != NULL ? text.data : "");
	for (unsigned attempt = 0; !client_perform(&c, &code) || c.status >= 300; attempt++)
		if (!try_again(&c, code, attempt))
			break;
	exit_code = c.status >= 200 && c.status < 300 ? print_id(&c) : client_failed(&c);
	buf_release(&text);
	client_close(&c);
	return exit_code;
}
