/* SPDX-License-Identifier: MIT
 * Joining by oneself: by an invite, or into a public channel. A call like the others behind two rates: the user's, so
 * that codes aren't guessed and nobody hops through channels, and the invite's, so that a link that got around doesn't
 * fill a chat at once. */
#include <stdio.h>
#include <string.h>

#include "api/api.h"
#include "api/auth.h"
#include "api/call.h"
#include "base/clock.h"
#include "base/secret.h"
#include "base/shared.h"
#include "conf/conf.h"

/* Whether one more a minute is admitted; refuses the request otherwise. */
static bool take(struct request *req, const char *what, const char *who, unsigned rate)
{
	struct api *api = api_of(req);
	uint64_t retry_us = 0;
	char text[128];
	int n = snprintf(text, sizeof(text), "%s %s", what, who);
	if (rate == 0 ||
		shared_gcra(api->shared,
			secret_keyed_hash(text, (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1),
			clock_mono_us(), 60000000 / rate, rate, &retry_us, NULL))
		return true;
	metrics_count(api->metrics, M_RATE_LIMITED, 1);
	request_add_rate(req, rate, retry_us / 1000000 + 1);
	request_problem(req, "rate_limited", "Too many joins, or attempts at it.", "");
	return false;
}

void joins_handle(struct request *req)
{
	const struct conf *conf = api_of(req)->conf;
	bool by_invite = strncmp(request_route(req)->path, "/v1/invites/", 12) == 0,
	     joins = strcmp(request_method(req), "POST") == 0;
	if (!take(req, "joins of", caller_of(req)->name, conf->rate_joins))
		return;
	if (by_invite && joins && !take(req, "joins by", request_var(req, 0), conf->rate_invite))
		return;
	call_handle(req);
}
