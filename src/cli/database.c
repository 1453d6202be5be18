/* SPDX-License-Identifier: MIT
 * See database.h. */
#include "cli/database.h"

#include <stdlib.h>
#include <sys/stat.h>

#include "base/log.h"
#include "cli/command.h"
#include "conf/conf.h"
#include "pg/sync.h"

static int finish(enum status st, struct buf *why)
{
	int code = st == ST_OK ? 0 : command_failed("%s", buf_text(why));
	buf_release(why);
	return code;
}

int database_begin(struct database *d, const struct conf *conf)
{
	struct buf why;
	buf_init(&why, 8192);
	*d = (struct database) { .store = STORE_INIT };
	umask(0077);
	/* Success isn't reported here: the command does that. */
	log_setup(conf->log_level == LOG_INFO ? LOG_WARN : conf->log_level, conf->log_format, "");
	return finish(store_become_owner(&d->store, conf, &why), &why);
}

int database_find(struct database *d, const struct conf *conf)
{
	struct buf why;
	buf_init(&why, 8192);
	return finish(store_open(&d->store, conf, false, &why), &why);
}

int database_open(struct database *d, const struct conf *conf)
{
	int code = database_begin(d, conf);
	return code == 0 ? database_find(d, conf) : code;
}

int database_connect(struct database *d)
{
	struct buf why;
	buf_init(&why, 8192);
	enum status st = store_migrate(&d->store, &why);
	if (st == ST_OK && (d->db = sync_open(d->store.conninfo, &why)) == NULL)
		st = ST_AWAY;
	return finish(st, &why);
}

void database_close(struct database *d)
{
	sync_close(d->db);
	store_release(&d->store);
	d->db = NULL;
}

int database_failed(const struct database *d) { return command_failed("%s", sync_error(d->db)); }
