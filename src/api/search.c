/* SPDX-License-Identifier: MIT
 * GET /v1/search: a call that is paid for first, because it costs more than others. */
#include <stdio.h>
#include <string.h>

#include "api/api.h"
#include "api/auth.h"
#include "api/call.h"
#include "base/clock.h"
#include "base/secret.h"
#include "conf/conf.h"

void search_get(struct request *req)
{
	struct api *api = api_of(req);
	unsigned rate = api->conf->rate_searches;
	uint64_t retry_us = 0;
	char text[64];
	int n = snprintf(text, sizeof(text), "search %s", caller_of(req)->name);
	if (rate == 0 ||
		shared_gcra(api->shared, secret_keyed_hash(text, (size_t)n), clock_mono_us(), 60000000 / rate, rate,
			&retry_us, NULL)) {
		call_handle(req);
		return;
	}
	request_add_rate(req, rate, retry_us / 1000000 + 1);
	metrics_count(api->metrics, M_RATE_LIMITED, 1);
	request_problem(req, "rate_limited", "You search faster than this server allows.", "");
}
