/* SPDX-License-Identifier: MIT
 * `postern migrate` and `postern check-config`. */
#include <stdlib.h>

#include "cli/command.h"
#include "cli/database.h"
#include "pg/migrate.h"

static const char *status;

const struct conf_option migrate_options[] = {
	{ "status", NULL, "only print which migrations are applied and which are pending", &status },
	{ NULL, NULL, NULL, NULL },
};

int migrate_command(const struct command *self, const struct conf *conf, const struct conf_args *args)
{
	struct database d;
	struct buf why;
	buf_init(&why, 8192);
	if (args->operand_count > 0)
		return command_misused(self);
	int code = database_open(&d, conf);
	enum status st = ST_OK;
	if (code == 0 && status == NULL)
		st = store_migrate(&d.store, &why);
	if (code == 0 && st == ST_OK)
		st = migrate_status(d.store.base, stdout, &why);
	if (st != ST_OK)
		code = command_failed("%s", buf_text(&why));
	database_close(&d);
	buf_release(&why);
	return code;
}

int check_config_command(const struct command *self, const struct conf *conf, const struct conf_args *args)
{
	if (args->operand_count > 0)
		return command_misused(self);
	if (conf->file != NULL)
		printf("# %s\n\n", conf->file);
	conf_print(conf, stdout);
	fflush(stdout);
	conf_warn_environment(stderr);
	conf_warn_settings(conf, stderr);
	return 0;
}
