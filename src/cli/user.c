/* SPDX-License-Identifier: MIT
 * `postern user`: accounts, by the SQL functions of the administrators' routes, so that the audit trail has the same
 * entries. */
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "cli/command.h"
#include "cli/database.h"
#include "cli/password.h"
#include "pg/sync.h"

static const char *admin, *keep_tokens;

const struct conf_option user_options[] = {
	{ "admin", NULL, "add: make the user an administrator", &admin },
	{ "keep-tokens", NULL, "passwd: the user's tokens stay valid", &keep_tokens },
	{ NULL, NULL, NULL, NULL },
};

/* A password, read or generated, and its hash. A generated one is printed, alone on a line, once it is stored. */
static int with_password(struct database *d, const char *sql, const char *name, const char *third)
{
	char password[PASSWORD_MAX + 1], hash[PASSWORD_HASH_MAX];
	bool generated;
	int code = password_read(password, &generated);
	if (code == 0 && !password_hash(password, strlen(password), hash))
		code = command_failed("out of memory");
	if (code != 0)
		return code;
	struct sync_rows *r = sync_call(d->db, sql, name, hash, third, SYNC_END);
	if (r == NULL)
		code = database_failed(d);
	else if (generated)
		puts(password);
	sync_rows_free(r);
	explicit_bzero(password, sizeof(password));
	return code;
}

static int add(struct database *d, const char *name)
{
	return with_password(
		d, "select body from admin_user_add(null, $1, $2, $3)", name, admin != NULL ? "true" : "false");
}

static int passwd(struct database *d, const char *name)
{
	return with_password(d, "select body from admin_user_passwd(null, $1, $2, $3)", name,
		keep_tokens != NULL ? "false" : "true");
}

static int set(struct database *d, const char *sql, const char *name, const char *value)
{
	struct sync_rows *r = sync_call(d->db, sql, name, value, SYNC_END);
	if (r == NULL)
		return database_failed(d);
	sync_rows_free(r);
	return 0;
}

static int enable(struct database *d, const char *name)
{
	return set(d, "select body from admin_user_set_state(null, $1, $2)", name, "active");
}
static int disable(struct database *d, const char *name)
{
	return set(d, "select body from admin_user_set_state(null, $1, $2)", name, "disabled");
}
static int promote(struct database *d, const char *name)
{
	return set(d, "select body from admin_user_set_admin(null, $1, $2)", name, "true");
}
static int demote(struct database *d, const char *name)
{
	return set(d, "select body from admin_user_set_admin(null, $1, $2)", name, "false");
}

static int delete (struct database *d, const char *name)
{
	struct sync_rows *r = sync_call(d->db, "select body from admin_user_delete(null, $1)", name, SYNC_END);
	if (r == NULL)
		return database_failed(d);
	sync_rows_free(r);
	return 0;
}

/* Prints the token for POST /v1/password-reset, alone on a line. */
static int reset_link(struct database *d, const char *name)
{
	char token[SECRET_TOKEN_LEN + 1], hash[SECRET_HASH_HEX + 1];
	secret_token(token);
	secret_hash_hex(token, SECRET_TOKEN_LEN, hash);
	struct sync_rows *r = sync_call(d->db, "select body from admin_user_reset(null, $1, $2)", name, hash, SYNC_END);
	if (r == NULL)
		return database_failed(d);
	sync_rows_free(r);
	puts(token);
	explicit_bzero(token, sizeof(token));
	return 0;
}

static int list(struct database *d, const char *name)
{
	(void)name;
	struct sync_rows *r = sync_call(d->db,
		"select name, state, case when admin then 'admin' else '-' end, to_char(created_at at time zone 'UTC',"
		" 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), display_name from user_list()",
		SYNC_END);
	if (r == NULL)
		return database_failed(d);
	for (int i = 0; i < sync_count(r); i++)
		printf("%-20s  %-8s  %-5s  %s  %s\n", sync_text(r, i, 0), sync_text(r, i, 1), sync_text(r, i, 2),
			sync_text(r, i, 3), sync_text(r, i, 4));
	sync_rows_free(r);
	return 0;
}

static const struct action {
	const char *name;
	int operands;
	int (*run)(struct database *d, const char *name);
} actions[] = {
	{ "add", 1, add },
	{ "list", 0, list },
	{ "passwd", 1, passwd },
	{ "disable", 1, disable },
	{ "enable", 1, enable },
	{ "promote", 1, promote },
	{ "demote", 1, demote },
	{ "delete", 1, delete },
	{ "reset-link", 1, reset_link },
	{ NULL, 0, NULL },
};

int user_command(const struct command *self, const struct conf *conf, const struct conf_args *args)
{
	struct database d;
	const struct action *a = actions;
	while (a->name != NULL && (args->operand_count == 0 || strcmp(a->name, args->operands[0]) != 0))
		a++;
	if (a->name == NULL || args->operand_count != 1 + a->operands || (admin != NULL && a->run != add) ||
		(keep_tokens != NULL && a->run != passwd))
		return command_misused(self);
	int code = database_open(&d, conf);
	if (code == 0)
		code = database_connect(&d);
	if (code == 0)
		code = a->run(&d, args->operands[1]);
	database_close(&d);
	return code;
}
