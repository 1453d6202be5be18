/* SPDX-License-Identifier: MIT
 * See backoff.h. */
#include "follow/backoff.h"

#include "base/log.h"
#include "pg/conn.h"
#include "pg/fault.h"

#define PAUSE_MIN_MS 1000
#define PAUSE_MAX_MS 30000

uint64_t backoff_after(struct backoff *b, const struct pg_result *r, const char *what, uint64_t usual_ms)
{
	char text[1024];
	if (pg_ok(r)) {
		b->pause_ms = 0;
		return usual_ms;
	}
	if (pg_away(r)) /* no load on the database: no need to wait longer */
		return usual_ms > PAUSE_MIN_MS ? usual_ms : PAUSE_MIN_MS;
	b->pause_ms = b->pause_ms == 0 ? PAUSE_MIN_MS : b->pause_ms * 2 > PAUSE_MAX_MS ? PAUSE_MAX_MS : b->pause_ms * 2;
	log_warn("%s: %s: trying again in %u s", what, fault_text(r, text, sizeof(text)),
		(unsigned)(b->pause_ms / 1000));
	return b->pause_ms > usual_ms ? b->pause_ms : usual_ms;
}
