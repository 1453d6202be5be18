/* SPDX-License-Identifier: MIT
 * `postern chats`: the chats of the token's user, over HTTP. (`postern chat` is for administrators, on the database.)
 */
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#include "cli/client.h"
#include "cli/command.h"
#include "cli/listing.h"

static const char *as_json;

const struct conf_option chats_options[] = {
	{ "json", NULL, "a JSON object a line, as the server sends it", &as_json },
	{ NULL, NULL, NULL, NULL },
};

static void print_chat(struct json_object *chat)
{
	struct json_object *peer = listing_get(chat, "peer");
	if (as_json != NULL) {
		listing_print_json(chat);
		return;
	}
	listing_cell(chat, "id", -6);
	listing_cell(chat, "kind", 7);
	listing_cell(chat, "unread", -6);
	listing_text(client_text(listing_get(chat, "last_message"), "at") != NULL
			? client_text(listing_get(chat, "last_message"), "at")
			: "-",
		24);
	if (peer != NULL)
		printf("@%s  ",
			json_object_get_string(peer)); /* names contain nothing that a terminal could interpret */
	listing_cell(chat, "title", 0);
}

/* Prints one page, and sets *ret_next to the cursor of the next ("" after the last). */
static int print_page(struct client *c, const char *cursor, char *ret_next, size_t size)
{
	CURLcode code;
	char path[96];
	snprintf(path, sizeof(path), *cursor != '\0' ? "/v1/chats?cursor=%s" : "/v1/chats", cursor);
	client_url(c, path);
	if (!client_perform(c, &code) || c->status != 200)
		return client_failed(c);
	struct json_object *page = client_json(c), *chats = listing_get(page, "chats"),
			   *next = listing_get(page, "next");
	if (!json_object_is_type(chats, json_type_array)) {
		json_object_put(page);
		return command_failed("the server's answer isn't understood");
	}
	for (size_t i = 0; i < json_object_array_length(chats); i++)
		print_chat(json_object_array_get_idx(chats, i));
	snprintf(ret_next, size, "%s", next != NULL ? json_object_get_string(next) : "");
	json_object_put(page);
	return 0;
}

int chats_command(const struct command *self, const struct conf *conf, const struct conf_args *args)
{
	struct client c;
	char cursor[64] = "";
	(void)conf;
	if (args->operand_count > 0)
		return command_misused(self);
	int code = client_open(&c);
	if (code != 0)
		return code;
	do {
		char next[64];
		code = print_page(&c, cursor, next, sizeof(next));
		if (code == 0)
			snprintf(cursor, sizeof(cursor), "%s", next);
	} while (code == 0 && *cursor != '\0');
	client_close(&c);
	return code;
}
