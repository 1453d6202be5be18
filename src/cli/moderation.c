/* SPDX-License-Identifier: MIT
 * `postern chat`, `postern report` and `postern audit`: for administrators, by the same SQL functions as the API. */
#include <stdlib.h>
#include <string.h>

#include "base/decimal.h"
#include "cli/command.h"
#include "cli/database.h"
#include "cli/listing.h"
#include "conf/value.h"

static const char *as_json, *all, *limit, *also_delete;

const struct conf_option chat_options[] = {
	{ "json", NULL, "list, show: as JSON, an object a line", &as_json },
	{ NULL, NULL, NULL, NULL },
};

const struct conf_option report_options[] = {
	{ "all", NULL, "list: include resolved reports", &all },
	{ "json", NULL, "list: as JSON, an object a line", &as_json },
	{ "delete", NULL, "resolve: also delete the message", &also_delete },
	{ NULL, NULL, NULL, NULL },
};

const struct conf_option audit_options[] = {
	{ "limit", "NUMBER", "print this many of the latest instead of 50", &limit },
	{ "json", NULL, "as JSON, an object a line", &as_json },
	{ NULL, NULL, NULL, NULL },
};

/* ---- chats ---- */

/* Prints its title, or the names of the users of a direct chat. */
static void print_title(struct json_object *chat)
{
	struct json_object *between = listing_get(chat, "between");
	if (between == NULL)
		listing_cell(chat, "title", 0);
	for (size_t i = 0; between != NULL && i < json_object_array_length(between); i++)
		printf("%s%s", json_object_get_string(json_object_array_get_idx(between, i)), i == 0 ? ", " : "\n");
}

static void print_duration(struct json_object *seconds, int width)
{
	char text[VALUE_TEXT_MAX] = "-";
	if (seconds != NULL)
		value_format_duration((uint64_t)json_object_get_int64(seconds), text);
	listing_text(text, width);
}

static void print_chat(struct json_object *chat)
{
	listing_cell(chat, "id", -6);
	listing_cell(chat, "kind", 7);
	listing_cell(chat, "members_count", -6);
	print_duration(listing_get(chat, "retention"), -6);
	listing_cell(chat, "created_at", 24);
	listing_cell(chat, "created_by", 16);
	print_title(chat);
}

static void print_member(struct json_object *member)
{
	fputs("  ", stdout);
	listing_cell(member, "name", 32);
	listing_cell(member, "role", 0);
}

/* A call about one object; if it doesn't exist: "there is no chat 5". */
static struct json_object *call(struct database *d, const char *sql, const char *kind, const char *number)
{
	char absent[64];
	snprintf(absent, sizeof(absent), "there is no %s %.20s", kind, number);
	return listing_call(d, sql, number, absent);
}

static int done(struct json_object *answer)
{
	int code = answer != NULL ? 0 : EXIT_FAILURE;
	json_object_put(answer);
	return code;
}

static int chat_list(struct database *d, const char *unused)
{
	(void)unused;
	return listing_print(d,
		&(struct listing) { .sql = "select body from admin_chats(null, $1, 200)",
			.array = "chats",
			.print = as_json ? NULL : print_chat });
}

static void print_details(struct json_object *chat)
{
	static const char *const plain[] = { "id", "kind", "handle", "members_count", "created_at", "created_by",
		"history", "posting", "adding", "rate_limit", "system_messages", NULL };
	static const char *const durations[] = { "slow_mode", "message_ttl", "retention", "retention_own", NULL };
	listing_text("title", 16);
	print_title(chat);
	for (const char *const *name = plain; *name != NULL; name++)
		if (listing_get(chat, *name) != NULL) {
			listing_text(*name, 16);
			listing_cell(chat, *name, 0);
		}
	for (const char *const *name = durations; *name != NULL; name++)
		if (listing_get(chat, *name) != NULL) {
			listing_text(*name, 16);
			print_duration(listing_get(chat, *name), 0);
		}
	puts("members");
}

static int chat_show(struct database *d, const char *number)
{
	struct json_object *chat = call(d, "select body from admin_chat_get(null, $1)", "chat", number);
	if (chat == NULL)
		return EXIT_FAILURE;
	if (as_json != NULL)
		listing_print_json(chat);
	else
		print_details(chat);
	json_object_put(chat);
	return listing_print(d,
		&(struct listing) { .sql = "select body from admin_chat_members(null, $2, 'joined', $1, 1000)",
			.param = number,
			.array = "members",
			.print = as_json ? NULL : print_member });
}

static int chat_delete(struct database *d, const char *number)
{
	return done(call(d, "select body from admin_chat_delete(null, $1)", "chat", number));
}

/* ---- reports ---- */

static void print_report(struct json_object *report)
{
	struct json_object *message = listing_get(report, "message");
	listing_cell(report, "id", -6);
	listing_cell(report, "at", 24);
	listing_text(listing_get(report, "resolved_at") != NULL ? "resolved" : "open", 8);
	listing_cell(report, "reporter", 16);
	listing_cell(report, "reason", 20);
	listing_cell(message, "chat", -6);
	listing_cell(message, "id", -8);
	listing_cell(message, "from", 16);
	listing_cell(message, "text", 0);
}

static int report_list(struct database *d, const char *unused)
{
	(void)unused;
	return listing_print(d,
		&(struct listing) { .array = "reports",
			.print = as_json ? NULL : print_report,
			.sql = all ? "select body from reports(null, null, $1, 200)"
				   : "select body from reports(null, 'open', $1, 200)" });
}

static int report_resolve(struct database *d, const char *number)
{
	return done(call(d,
		also_delete != NULL ? "select body from report_resolve(null, $1, 'delete_message')"
				    : "select body from report_resolve(null, $1, 'none')",
		"report", number));
}

/* ---- the audit trail ---- */

static void print_entry(struct json_object *entry)
{
	listing_cell(entry, "at", 24);
	listing_cell(entry, "actor", 16);
	listing_cell(entry, "act", 20);
	listing_cell(entry, "target", 16);
	listing_cell(entry, "details", 0);
}

static int audit_list(struct database *d, const char *most)
{
	return listing_print(d,
		&(struct listing) { .sql = "select body from admin_audit_list(null, $1, 200)",
			.array = "acts",
			.most = (unsigned)strtoul(most, NULL, 10),
			.print = as_json ? NULL : print_entry });
}

/* ---- */

struct action {
	const char *name;
	bool numbered, lists; /* it takes a number; it takes the options of lists */
	int (*run)(struct database *d, const char *operand);
};

static int with_database(
	const struct conf *conf, int (*run)(struct database *d, const char *operand), const char *operand)
{
	struct database d;
	int code = database_open(&d, conf);
	if (code == 0)
		code = database_connect(&d);
	if (code == 0)
		code = run(&d, operand);
	database_close(&d);
	return code;
}

static int act(const struct command *self, const struct conf *conf, const struct conf_args *args,
	const struct action *a, bool optioned)
{
	while (a->name != NULL && (args->operand_count == 0 || strcmp(a->name, args->operands[0]) != 0))
		a++;
	if (a->name == NULL || args->operand_count != 1 + a->numbered || (optioned && !a->lists))
		return command_misused(self);
	if (a->numbered && !decimal_is_bigint(args->operands[1])) {
		command_failed("%s: expected a number; see postern %s list", args->operands[1], self->name);
		return CONF_EXIT_USAGE;
	}
	return with_database(conf, a->run, args->operands[1]);
}

int chat_command(const struct command *self, const struct conf *conf, const struct conf_args *args)
{
	static const struct action actions[] = { { "list", false, true, chat_list }, { "show", true, true, chat_show },
		{ "delete", true, false, chat_delete }, { 0 } };
	return act(self, conf, args, actions, as_json != NULL);
}

int report_command(const struct command *self, const struct conf *conf, const struct conf_args *args)
{
	if (also_delete != NULL && (args->operand_count == 0 || strcmp(args->operands[0], "resolve") != 0))
		return command_misused(self);
	static const struct action actions[] = { { "list", false, true, report_list },
		{ "resolve", true, false, report_resolve }, { 0 } };
	return act(self, conf, args, actions, as_json != NULL || all != NULL);
}

int audit_command(const struct command *self, const struct conf *conf, const struct conf_args *args)
{
	if (args->operand_count > 0)
		return command_misused(self);
	if (limit != NULL && (!decimal_is_bigint(limit) || strlen(limit) > 9 || atol(limit) == 0)) {
		command_failed("--limit: %s: expected a number", limit);
		return CONF_EXIT_USAGE;
	}
	return with_database(conf, audit_list, limit != NULL ? limit : "50");
}
