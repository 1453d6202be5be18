/* SPDX-License-Identifier: MIT
 * When, from where and with what credentials were last used: noted with the first request of some minutes, and written
 * for many at once. Never waited for; what is lost with the database comes again some minutes later. */
#ifndef API_USES_H
#define API_USES_H

#include <stdint.h>

#include "api/api.h"

struct uses *uses_new(struct api *api);
void uses_free(struct uses *u); /* after the pool has ended its calls */

/* Whether a use now is worth noting when the last one was noted at that time (clock_mono_ms() / 1000; 0: never). Sets
 * *told_s if so. */
bool uses_due(uint32_t *told_s);
void uses_note(struct uses *u, const struct request *req, uint64_t credential);

#endif
