/* SPDX-License-Identifier: MIT
 * The last use of each credential: time, address and client. A use is noted at most once every few minutes, and written
 * together with others. No request waits for that; a use that can't be written is noted again minutes later. */
#ifndef API_USES_H
#define API_USES_H

#include <stdint.h>

#include "api/api.h"

struct uses *uses_new(struct api *api);
void uses_free(struct uses *u); /* after the pool's calls have ended */

/* Returns true, and sets *noted_s to now, if the last use was noted long enough ago (*noted_s: clock_mono_ms() / 1000;
 * 0: never). */
bool uses_due(uint32_t *noted_s);
void uses_note(struct uses *u, const struct request *req, uint64_t credential);

#endif
