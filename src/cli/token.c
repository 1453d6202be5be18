/* SPDX-License-Identifier: MIT
 * `postern token`: a token for a user, for scripts and for people without a password. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/secret.h"
#include "cli/command.h"
#include "cli/database.h"
#include "pg/sync.h"

static const char *label, *expires;

const struct conf_option token_options[] = {
	{ "label", "TEXT", "a label that identifies the token", &label },
	{ "expires", "DURATION", "the token expires after this time (30d, 12h); by default never", &expires },
	{ NULL, NULL, NULL, NULL },
};

enum { YEAR_S = 366 * 86400, YEARS_MAX = 1000 };

static int make(struct database *d, const char *name, const char *expires_at)
{
	char token[SECRET_TOKEN_LEN + 1], hash[SECRET_HASH_HEX + 1];
	secret_token(token);
	secret_hash_hex(token, SECRET_TOKEN_LEN, hash);
	struct sync_rows *r = sync_call(d->db, "select body from admin_token_add(null, $1, $2, $3, $4)", name, hash,
		label, expires_at, SYNC_END);
	if (r == NULL)
		return database_failed(d);
	sync_rows_free(r);
	puts(token);
	return 0;
}

int token_command(const struct command *self, const struct conf *conf, const struct conf_args *args)
{
	struct database d;
	uint64_t seconds = 0;
	char expires_at[CLOCK_RFC3339_LEN + 1];
	if (args->operand_count != 1)
		return command_misused(self);
	if (expires != NULL &&
		(!conf_parse_duration(expires, &seconds) || seconds == 0 || seconds > (uint64_t)YEARS_MAX * YEAR_S)) {
		command_failed("--expires: %s: expected a duration (30d, 12h)", expires);
		return CONF_EXIT_USAGE;
	}
	clock_rfc3339(clock_real_us() + seconds * 1000000, expires_at);
	int code = database_open(&d, conf);
	if (code == 0)
		code = database_connect(&d);
	if (code == 0)
		code = make(&d, args->operands[0], expires != NULL ? expires_at : NULL);
	database_close(&d);
	return code;
}
