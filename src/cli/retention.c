/* SPDX-License-Identifier: MIT
 * `postern retention`: how long messages are kept, in all chats or in one. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/decimal.h"
#include "cli/command.h"
#include "cli/database.h"
#include "cli/listing.h"
#include "conf/value.h"
#include "pg/sync.h"

#define RETENTION_MIN 3600
#define RETENTION_MAX 1000000000

static const char *chat, *as_json;

const struct conf_option retention_options[] = {
	{ "chat", "CHAT", "of this chat (its number); with it, off means: as all other chats", &chat },
	{ "json", NULL, "as JSON", &as_json },
	{ NULL, NULL, NULL, NULL },
};

static uint64_t seconds(struct json_object *o, const char *name)
{
	struct json_object *v = listing_get(o, name);
	return v != NULL ? (uint64_t)json_object_get_int64(v) : 0;
}

/* Prints the periods in effect, then notes about them. */
static void print(struct json_object *o)
{
	char text[VALUE_TEXT_MAX];
	if (as_json != NULL) {
		listing_print_json(o);
		return;
	}
	value_format_duration(seconds(o, "retention"), text);
	fputs(seconds(o, "retention") > 0 ? text : "off", stdout);
	if (chat != NULL)
		fputs(listing_get(o, "retention_own") != NULL ? "" : ", as for all", stdout);
	else if (!json_object_get_boolean(listing_get(o, "applied")))
		fputs(", not in all chats yet", stdout);
	if (seconds(o, "behind") > 0) {
		value_format_duration(seconds(o, "behind"), text);
		printf(", %s behind", text);
	}
	putchar('\n');
}

/* Sets the retention of the chat, or the default, to value (seconds); NULL: only reads it. */
static struct sync_rows *call(struct database *d, const char *value)
{
	if (chat == NULL)
		return value != NULL ? sync_call(d->db, "select body from retention_set(null, $1)", value, SYNC_END)
				     : sync_call(d->db, "select body from retention_get(null)", SYNC_END);
	return value != NULL
		? sync_call(d->db, "select body from admin_chat_patch(null, $1, $2)", chat, value, SYNC_END)
		: sync_call(d->db, "select body from admin_chat_get(null, $1)", chat, SYNC_END);
}

static int run(struct database *d, const char *value)
{
	struct sync_rows *r = call(d, value);
	if (r == NULL)
		return sync_problem(d->db) == PROBLEM_NOT_FOUND ? command_failed("there is no chat %s", chat)
								: database_failed(d);
	struct json_object *o = json_tokener_parse(sync_text(r, 0, 0));
	print(o);
	json_object_put(o);
	sync_rows_free(r);
	return 0;
}

int retention_command(const struct command *self, const struct conf *conf, const struct conf_args *args)
{
	struct database d;
	uint64_t n = 0;
	char value[24];
	const char *given = args->operands[0];
	if (args->operand_count > 1)
		return command_misused(self);
	if (chat != NULL && !decimal_is_bigint(chat)) {
		command_failed("--chat: %s: expected a number; see postern chat list", chat);
		return CONF_EXIT_USAGE;
	}
	if (given != NULL && strcmp(given, "off") != 0 &&
		(!conf_parse_duration(given, &n) || n < RETENTION_MIN || n > RETENTION_MAX)) {
		command_failed("%s: expected a duration (365d, 2w, 12h), an hour or more, or off", given);
		return CONF_EXIT_USAGE;
	}
	snprintf(value, sizeof(value), "%" PRIu64, n);
	int code = database_open(&d, conf);
	if (code == 0)
		code = database_connect(&d);
	if (code == 0)
		code = run(&d, given != NULL ? value : NULL);
	database_close(&d);
	return code;
}
