/* SPDX-License-Identifier: MIT
 * See files.h. */
#include "serve/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "conf/conf.h"

/* A pipe without a reader must not block the supervisor. */
enum { FLAGS = O_NONBLOCK | O_NOCTTY | O_CLOEXEC };

static bool has_access_log(const struct conf *conf) { return conf->access_log != NULL && *conf->access_log == '/'; }

int files_open(const struct conf *conf, enum broker_file file)
{
	if (file == BROKER_ACCESS_LOG && has_access_log(conf))
		return open(conf->access_log, O_WRONLY | O_CREAT | O_APPEND | FLAGS, 0640);
	if (file == BROKER_JWT_KEYS && conf->jwt_keys != NULL)
		return open(conf->jwt_keys, O_RDONLY | FLAGS);
	errno = ENOENT;
	return -1;
}

enum status files_check(const struct conf *conf, struct buf *why)
{
	if (!has_access_log(conf))
		return ST_OK;
	int fd = files_open(conf, BROKER_ACCESS_LOG);
	if (fd >= 0)
		close(fd);
	if (fd >= 0 || errno == ENXIO) /* a pipe without a reader yet */
		return ST_OK;
	buf_addf(why, "access_log %s: %s (the server runs as uid %u)", conf->access_log, strerror(errno),
		(unsigned)geteuid());
	return ST_SYSTEM;
}
