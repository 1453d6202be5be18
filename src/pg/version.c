/* SPDX-License-Identifier: MIT
 * See version.h. */
#include "pg/version.h"

#include "base/log.h"

enum status version_check(int major, struct buf *why)
{
	if (major < VERSION_MAJOR_MIN) {
		buf_addf(why, "PostgreSQL %d is too old: Postern needs version %d to %d", major, VERSION_MAJOR_MIN,
			VERSION_MAJOR_TESTED);
		return ST_REFUSED;
	}
	if (major > VERSION_MAJOR_TESTED)
		log_warn("PostgreSQL %d is newer than this version of Postern is tested with (%d to %d)", major,
			VERSION_MAJOR_MIN, VERSION_MAJOR_TESTED);
	return ST_OK;
}
