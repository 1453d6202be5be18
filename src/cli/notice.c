/* SPDX-License-Identifier: MIT
 * `postern announce` and `postern maintenance`: an administrator's messages to everybody. */
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/utf8.h"
#include "cli/command.h"
#include "cli/database.h"
#include "pg/sync.h"

#define TEXT_MAX 1000

static const char *until, *off;

const struct conf_option announce_options[] = {
	{ "until", "TIME", "when the announcement ends, like 2026-01-31T12:00:00Z", &until },
	{ NULL, NULL, NULL, NULL },
};

const struct conf_option maintenance_options[] = {
	{ "off", NULL, "end the maintenance", &off },
	{ NULL, NULL, NULL, NULL },
};

/* Joins the operands with spaces; false: none, too long, or invalid UTF-8. */
static bool join(const struct conf_args *args, struct buf *text)
{
	buf_init(text, TEXT_MAX + 1);
	for (int i = 0; i < args->operand_count; i++) {
		if (i > 0)
			buf_addc(text, ' ');
		buf_adds(text, args->operands[i]);
	}
	return text->len > 0 && !buf_failed(text) && utf8_valid(text->data, text->len);
}

static int call(const struct conf *conf, const char *sql, const char *first, const char *second)
{
	struct database d;
	struct sync_rows *r = NULL;
	int code = database_open(&d, conf);
	if (code == 0)
		code = database_connect(&d);
	if (code == 0 &&
		(r = second != NULL             ? sync_call(d.db, sql, first, second, SYNC_END)
				: first != NULL ? sync_call(d.db, sql, first, SYNC_END)
						: sync_call(d.db, sql, SYNC_END)) == NULL)
		code = database_failed(&d);
	sync_rows_free(r);
	database_close(&d);
	return code;
}

int announce_command(const struct command *self, const struct conf *conf, const struct conf_args *args)
{
	struct buf text;
	if (args->operand_count == 0)
		return command_misused(self);
	int code = !join(args, &text) ? command_failed("an announcement is up to %d bytes of UTF-8", TEXT_MAX)
		: until != NULL
		? call(conf, "select body from announcement_add(null, $1, $2::timestamptz)", text.data, until)
		: call(conf, "select body from announcement_add(null, $1, null)", text.data, NULL);
	buf_release(&text);
	return code;
}

int maintenance_command(const struct command *self, const struct conf *conf, const struct conf_args *args)
{
	struct buf text;
	if ((off != NULL) != (args->operand_count == 0))
		return command_misused(self);
	if (off != NULL)
		return call(conf, "select body from maintenance_set(null, null)", NULL, NULL);
	int code = !join(args, &text) ? command_failed("the text is up to %d bytes of UTF-8", TEXT_MAX)
				      : call(conf, "select body from maintenance_set(null, $1)", text.data, NULL);
	buf_release(&text);
	return code;
}
