/* SPDX-License-Identifier: MIT
 * See setback.h. */
#include "follow/setback.h"

#include "base/log.h"
#include "pg/conn.h"
#include "pg/fault.h"

#define PAUSE_MIN_MS 1000
#define PAUSE_MAX_MS 30000

uint64_t setback_after(struct setback *s, const struct pg_result *r, const char *who, uint64_t usual_ms)
{
	char text[1024];
	if (pg_ok(r)) {
		s->pause_ms = 0;
		return usual_ms;
	}
	if (pg_away(r)) /* said by the connection, and nothing that we ask makes it worse */
		return usual_ms > PAUSE_MIN_MS ? usual_ms : PAUSE_MIN_MS;
	s->pause_ms = s->pause_ms == 0 ? PAUSE_MIN_MS : s->pause_ms * 2 > PAUSE_MAX_MS ? PAUSE_MAX_MS : s->pause_ms * 2;
	log_warn(
		"%s: %s: trying again in %u s", who, fault_text(r, text, sizeof(text)), (unsigned)(s->pause_ms / 1000));
	return s->pause_ms > usual_ms ? s->pause_ms : usual_ms;
}
