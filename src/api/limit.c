/* SPDX-License-Identifier: MIT
 * See limit.h. */
#include "api/limit.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "api/api.h"
#include "api/auth.h"
#include "base/clock.h"
#include "base/secret.h"
#include "base/shared.h"
#include "conf/conf.h"

#define MINUTE_US 60000000

static const struct {
	size_t setting; /* an unsigned in struct conf */
	const char *name, *what;
	unsigned times; /* this often what the setting says */
} limits[] = {
	[LIMIT_SENDS] = { offsetof(struct conf, rate_sends), "send", "messages", 1 },
	[LIMIT_ACTIONS] = { offsetof(struct conf, rate_actions), "action", "actions", 1 },
	[LIMIT_SEARCHES] = { offsetof(struct conf, rate_searches), "search", "searches", 1 },
	[LIMIT_EXPORTS] = { offsetof(struct conf, rate_exports), "export", "exports", 1 },
	[LIMIT_JOINS] = { offsetof(struct conf, rate_joins), "join", "joins, or attempts at it,", 1 },
	[LIMIT_INVITE] = { offsetof(struct conf, rate_invite), "invite", "joins by one invite", 1 },
	[LIMIT_TOKENS] = { offsetof(struct conf, rate_tokens), "token", "unknown credentials", 1 },
	[LIMIT_LOGINS] = { offsetof(struct conf, rate_logins), "sign-in", "attempts", 1 },
	[LIMIT_LOGINS_ADDRESS] = { offsetof(struct conf, rate_logins), "sign-in at address", "attempts", 10 },
	[LIMIT_LOGINS_ACCOUNT] = { offsetof(struct conf, rate_logins), "sign-in to account", "attempts", 20 },
	[LIMIT_PASSWORDS] = { offsetof(struct conf, rate_logins), "password", "attempts", 1 },
	[LIMIT_REGISTRATIONS] = { offsetof(struct conf, rate_logins), "registration", "registrations", 1 },
	[LIMIT_SECRETS] = { offsetof(struct conf, rate_logins), "secret", "attempts", 10 },
};

static unsigned rate_of(const struct api *api, enum limit limit)
{
	unsigned rate;
	memcpy(&rate, (const char *)api->conf + limits[limit].setting, sizeof(rate));
	return rate * limits[limit].times;
}

static unsigned burst_of(const struct api *api, enum limit limit)
{
	return limit == LIMIT_SENDS      ? api->conf->rate_sends_burst
		: limit == LIMIT_ACTIONS ? rate_of(api, limit) / 6
					 : rate_of(api, limit);
}

static uint64_t hash(const char *what, const char *kind, const char *subject)
{
	char text[256];
	int n = snprintf(text, sizeof(text), "%s %s %s", what, kind, subject);
	return secret_keyed_hash(text, (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1);
}

uint64_t limit_key(enum limit limit, const char *kind, const char *subject)
{
	if (limit == LIMIT_SENDS) /* counted by the sender's name as in frames: see on_frame() in api/api.c */
		return secret_keyed_hash(subject, strlen(subject));
	return hash(limits[limit].name, kind, subject) | 1;
}

bool limit_try(struct api *api, enum limit limit, uint64_t key, unsigned *ret_retry_s)
{
	unsigned rate = rate_of(api, limit);
	uint64_t retry_us = 0;
	if (rate == 0 ||
		shared_gcra(api->shared, key, clock_mono_us(), MINUTE_US / rate, burst_of(api, limit), &retry_us, NULL))
		return true;
	*ret_retry_s = (unsigned)(retry_us / 1000000) + 1;
	metrics_count(api->metrics, M_RATE_LIMITED, 1);
	return false;
}

bool limit_take(struct request *req, enum limit limit, uint64_t key)
{
	unsigned retry_s;
	if (limit_try(api_of(req), limit, key, &retry_s))
		return true;
	limit_refuse(req, limit, retry_s);
	return false;
}

void limit_refund(struct api *api, enum limit limit, uint64_t key)
{
	unsigned rate = rate_of(api, limit);
	if (rate > 0)
		shared_gcra_refund(api->shared, key, MINUTE_US / rate);
}

void limit_detail(const struct api *api, enum limit limit, unsigned retry_s, char *out, unsigned size)
{
	snprintf(out, size, "Rate limit exceeded: %u %s a minute. Retry in %u s.", rate_of(api, limit),
		limits[limit].what, retry_s);
}

void limit_refuse(struct request *req, enum limit limit, unsigned retry_s)
{
	char detail[128];
	limit_detail(api_of(req), limit, retry_s, detail, sizeof(detail));
	request_add_rate(req, rate_of(api_of(req), limit), retry_s);
	request_problem(req, PROBLEM_RATE_LIMITED, detail, "");
}

bool limit_route(struct request *req)
{
	enum limit limit = request_route(req)->limit;
	const char *name = caller_of(req)->name;
	if (limit == LIMIT_NONE)
		return true;
	if (limit == LIMIT_INVITE)
		return limit_take(req, LIMIT_JOINS, limit_key(LIMIT_JOINS, "of", name)) &&
			limit_take(req, LIMIT_INVITE, limit_key(LIMIT_INVITE, "code", request_var(req, 0)));
	return limit_take(req, limit, limit_key(limit, "of", name));
}

bool limit_once(struct request *req, const char *what, const char *object, unsigned interval_ms)
{
	char subject[128];
	snprintf(subject, sizeof(subject), "%s %s", caller_of(req)->name, object);
	return shared_gcra(api_of(req)->shared, hash("once", what, subject), clock_mono_us(),
		(uint64_t)interval_ms * 1000, 1, NULL, NULL);
}
