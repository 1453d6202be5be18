/* SPDX-License-Identifier: MIT
 * The table of settings: the one place for a setting's name, default, bounds and help. The help and check-config use
 * its order. See settings.h for the columns. */
#include <stdint.h>
#include <string.h>

#include "conf/settings.h"

#define AT(member) offsetof(struct conf, member)
#define KIB(n) ((uint64_t)(n) << 10)
#define MIB(n) ((uint64_t)(n) << 20)
#define DAYS(n) ((uint64_t)(n)*86400)
/* clang-format off */
#define HEADING(text) { text, SETTING_HEADING, 0, NULL, 0, 0, 0, CONF_ALL, NULL, NULL }
/* clang-format on */

const struct setting settings[] = {
	HEADING("Addresses, database and files"),
	{ "listen", SETTING_LISTEN, AT(listen), "127.0.0.1:8080", 0, 0, SETTING_FIXED, CONF_ALL, "ADDR:PORT",
		"serve HTTP at this address; repeatable; also [::]:8080 (with IPv4, unless that is listed itself) and "
		"unix:PATH; with port 0 the system chooses one" },
	{ "metrics_listen", SETTING_ADDRESS, AT(metrics_listen), NULL, 0, 0, SETTING_FIXED, CONF_ALL, "ADDR:PORT",
		"serve /metrics at this address, instead of to loopback and administrators" },
	{ "state", SETTING_STRING, AT(state), NULL, 0, 0, SETTING_FIXED, CONF_DATABASE, "DIR",
		"state directory, which holds the private database ($STATE_DIRECTORY, else ~/.local/share/postern; "
		"root: /var/lib/postern)" },
	{ "database", SETTING_CONNINFO, AT(database), NULL, 0, 0, SETTING_FIXED, CONF_DATABASE, "CONNINFO",
		"use this PostgreSQL instead of a private one (a libpq connection string)" },
	{ "database_read", SETTING_CONNINFO, AT(database_read), NULL, 0, 0, SETTING_FIXED, CONF_ALL, "CONNINFO",
		"read history, search and missed events from this standby of the database, if it is up to date" },
	{ "database_password_file", SETTING_STRING, AT(database_password_file), NULL, 0, 0, SETTING_FIXED,
		CONF_DATABASE, "FILE",
		"file whose first line is the password for these databases; read before root's rights are given up" },
	{ "pg_bindir", SETTING_STRING, AT(pg_bindir), NULL, 0, 0, SETTING_FIXED, CONF_DATABASE, "DIR",
		"directory of initdb and postgres for the private database, like /usr/lib/postgresql/18/bin (the "
		"newest found)" },
	{ "user", SETTING_STRING, AT(user), NULL, 0, 0, SETTING_FIXED, CONF_ALL, "NAME",
		"change to this user if started as root (postern, else postgres, whichever exists)" },
	{ "public_url", SETTING_URL, AT(public_url), NULL, 0, 0, 0, CONF_ALL, "URL",
		"URL by which users reach the server, if there is a reverse proxy" },
	{ "trusted_proxies", SETTING_NETS, AT(trusted_proxies), NULL, 0, 0, 0, CONF_ALL, "NETWORK",
		"proxies that report the client's address (forwarded_header): addresses, networks, or unix; "
		"repeatable" },
	{ "forwarded_header", SETTING_FORWARDED, AT(forwarded_header), "x-forwarded", 0, 0, 0, CONF_ALL, "NAME",
		"what they set: x-forwarded (X-Forwarded-For, X-Forwarded-Proto) or forwarded (RFC 7239)" },
	{ "cors_origins", SETTING_ORIGINS, AT(cors_origins), NULL, 0, 0, 0, CONF_ALL, "ORIGIN",
		"origins whose pages may read responses (https://app.example.org), or * for any; repeatable" },

	HEADING("Service"),
	{ "workers", SETTING_NUMBER, AT(workers), "1", 1, 64, SETTING_FIXED, CONF_ALL, "N",
		"number of worker processes" },
	{ "demo", SETTING_BOOL, AT(demo), "no", 0, 0, SETTING_FIXED, CONF_ALL, NULL,
		"create users alice, bob and carol with a group, and print how to use them" },
	{ "debuggable", SETTING_BOOL, AT(debuggable), "no", 0, 0, SETTING_FIXED, CONF_ALL, NULL,
		"don't confine the workers, and let the server be traced and dump core: for debuggers" },
	{ "registration", SETTING_REGISTRATION, AT(registration), "closed", 0, 0, 0, CONF_ALL, "WHO",
		"who may register: open (everybody), invite (with an administrator's invitation) or "
		"closed" },
	{ "jwt_keys", SETTING_STRING, AT(jwt_keys), NULL, 0, 0, 0, CONF_ALL, "FILE",
		"accept JSON Web Tokens signed by a key of this JWKS as bearer tokens; read again when it changes" },
	{ "jwt_issuer", SETTING_STRING, AT(jwt_issuer), NULL, 0, 0, 0, CONF_ALL, "TEXT", "required iss of a JWT" },
	{ "jwt_audience", SETTING_STRING, AT(jwt_audience), NULL, 0, 0, 0, CONF_ALL, "TEXT",
		"value that aud of a JWT must contain" },
	{ "jwt_create", SETTING_BOOL, AT(jwt_create), "no", 0, 0, 0, CONF_ALL, NULL,
		"create an account for a user who has a valid JWT and no account" },
	{ "jwt_ttl_max", SETTING_DURATION, AT(jwt_ttl_max), "30d", 1, DAYS(36500), SETTING_OR_NONE, CONF_ALL,
		"DURATION", "how far ahead exp of a JWT may be; 0: as far as it likes" },
	{ "deletion_removes_messages", SETTING_BOOL, AT(deletion_removes_messages), "no", 0, 0, 0, CONF_ALL, NULL,
		"remove the messages of a deleted account; otherwise they stay under its name" },
	{ "log_level", SETTING_LEVEL, AT(log_level), "info", 0, 0, 0, CONF_DATABASE, "LEVEL",
		"error, warn, info, debug or trace" },
	{ "log_format", SETTING_FORMAT, AT(log_format), "text", 0, 0, 0, CONF_DATABASE, "FORMAT",
		"format of log lines: text, logfmt or json" },
	{ "access_log", SETTING_OUTPUT, AT(access_log), "off", 0, 0, 0, CONF_ALL, "WHERE",
		"a line for each request: off, on (standard error) or a file, which is opened again on SIGHUP" },

	HEADING("Limits of a request (0: none)"),
	{ "text_max", SETTING_SIZE, AT(text_max), "16K", 1, MIB(64), SETTING_OR_NONE, CONF_ALL, "SIZE",
		"text of a message, UTF-8" },
	{ "body_max", SETTING_SIZE, AT(body_max), "256K", KIB(1), MIB(1024), SETTING_OR_NONE, CONF_ALL, "SIZE",
		"body of a request" },
	{ "bulk_max", SETTING_SIZE, AT(bulk_max), "8M", KIB(1), MIB(1024), SETTING_OR_NONE, CONF_ALL, "SIZE",
		"body of many messages (application/x-ndjson)" },
	{ "header_max", SETTING_SIZE, AT(header_max), "8K", KIB(1), MIB(1), 0, CONF_ALL, "SIZE",
		"header of a request; always bounded" },
	{ "members_max", SETTING_NUMBER, AT(members_max), "10000", 2, 1000000, SETTING_OR_NONE, CONF_ALL, "N",
		"members of a group" },
	{ "reactions_max", SETTING_NUMBER, AT(reactions_max), "20", 1, 1000, SETTING_OR_NONE, CONF_ALL, "N",
		"kinds of reactions to a message" },

	HEADING("Limits of a user and of a worker (0: none)"),
	{ "rate_sends", SETTING_NUMBER, AT(rate_sends), "100", 1, 1000000, SETTING_OR_NONE, CONF_ALL, "N",
		"messages a minute and user" },
	{ "rate_sends_burst", SETTING_NUMBER, AT(rate_sends_burst), "20", 1, 100000, 0, CONF_ALL, "N",
		"messages at once, before that rate counts" },
	{ "rate_actions", SETTING_NUMBER, AT(rate_actions), "600", 1, 1000000, SETTING_OR_NONE, CONF_ALL, "N",
		"other actions a minute and user: typing, signals, reactions, edits, changes of chats" },
	{ "rate_logins", SETTING_NUMBER, AT(rate_logins), "10", 1, 1000000, SETTING_OR_NONE, CONF_ALL, "N",
		"failed sign-ins a minute to an account from an address; more in all, see postern.conf(5)" },
	{ "rate_tokens", SETTING_NUMBER, AT(rate_tokens), "600", 1, 1000000, SETTING_OR_NONE, CONF_ALL, "N",
		"unknown tokens, sessions, tickets and JWTs a minute and address" },
	{ "rate_joins", SETTING_NUMBER, AT(rate_joins), "20", 1, 1000000, SETTING_OR_NONE, CONF_ALL, "N",
		"joins by invite or of a public channel a minute and user, including failed ones" },
	{ "chats_max", SETTING_NUMBER, AT(chats_max), "2000", 2, 1000000, SETTING_OR_NONE, CONF_ALL, "N",
		"chats of a user; half of them by being added" },
	{ "rate_strangers", SETTING_NUMBER, AT(rate_strangers), "500", 1, 1000000, SETTING_OR_NONE, CONF_ALL, "N",
		"users who don't know them that a user adds or writes to first, an hour" },
	{ "rate_invite", SETTING_NUMBER, AT(rate_invite), "600", 1, 1000000, SETTING_OR_NONE, CONF_ALL, "N",
		"joins with one invite a minute" },
	{ "rate_searches", SETTING_NUMBER, AT(rate_searches), "60", 1, 1000000, SETTING_OR_NONE, CONF_ALL, "N",
		"searches a minute and user; all may come at once" },
	{ "rate_exports", SETTING_NUMBER, AT(rate_exports), "2", 1, 1000000, SETTING_OR_NONE, CONF_ALL, "N",
		"exports of one's own data a minute and user" },
	{ "streams_per_user", SETTING_NUMBER, AT(streams_per_user), "16", 1, 1000000, SETTING_OR_NONE, CONF_ALL, "N",
		"open streams of a user" },
	{ "streams_max", SETTING_NUMBER, AT(streams_max), "0", 1, 10000000, SETTING_OR_NONE, CONF_ALL, "N",
		"open streams of a worker; 0: as many as descriptors allow" },
	{ "stream_queue_max", SETTING_SIZE, AT(stream_queue_max), "256K", KIB(4), MIB(64), 0, CONF_ALL, "SIZE",
		"size of the events queued for a slow stream; beyond that it reads missed events from memory or the "
		"tables" },
	{ "connections_per_address", SETTING_NUMBER, AT(connections_per_address), "1000", 1, 1000000, SETTING_OR_NONE,
		CONF_ALL, "N",
		"connections of an address (IPv6: of a /64) to a worker, without streams; trusted_proxies may have "
		"more" },
	{ "bodies_max", SETTING_SIZE, AT(bodies_max), "128M", MIB(1), MIB(65536), SETTING_OR_NONE, CONF_ALL, "SIZE",
		"bodies of unfinished requests, a worker; a user or address may have a quarter of it" },
	{ "answers_max", SETTING_SIZE, AT(answers_max), "128M", MIB(1), MIB(65536), SETTING_OR_NONE, CONF_ALL, "SIZE",
		"answers that clients haven't read yet, a worker; a user or address may have a quarter of it" },
	{ "ring_bytes", SETTING_SIZE, AT(ring_bytes), "16M", KIB(4), MIB(65536), 0, CONF_ALL, "SIZE",
		"size of the recent events that a worker keeps in memory" },

	HEADING("Times"),
	{ "session_ttl", SETTING_DURATION, AT(session_ttl), "30d", 1, DAYS(3650), 0, CONF_ALL, "DURATION",
		"lifetime of a session" },
	{ "key_ttl", SETTING_DURATION, AT(key_ttl), "7d", 1, DAYS(3650), 0, CONF_ALL, "DURATION",
		"how long idempotency keys are kept" },
	{ "tombstone_ttl", SETTING_DURATION, AT(tombstone_ttl), "30d", 1, DAYS(3650), 0, CONF_ALL, "DURATION",
		"how long deletions are kept; a client that was away for longer starts again" },
	{ "heartbeat", SETTING_DURATION, AT(heartbeat), "15s", 1, 3600, 0, CONF_ALL, "DURATION",
		"interval of the heartbeats of a stream" },
	{ "poll_wait", SETTING_DURATION, AT(poll_wait), "25s", 0, 60, 0, CONF_ALL, "DURATION",
		"how long a long-poll waits, unless the request sets a time" },
	{ "database_timeout", SETTING_DURATION, AT(database_timeout), "10s", 1, 600, SETTING_FIXED, CONF_ALL,
		"DURATION", "how long a database operation may take before its connection is closed" },
	{ "send_wait", SETTING_DURATION, AT(send_wait), "5s", 0, 60, 0, CONF_ALL, "DURATION",
		"how long a send waits for a database that is unreachable" },
	{ 0 },
};

_Static_assert(sizeof(settings) / sizeof(settings[0]) <= CONF_SETTINGS_MAX, "conf.origin has room for every setting");

size_t setting_index(const struct setting *s) { return (size_t)(s - settings); }

bool setting_is_list(const struct setting *s)
{
	return s->type == SETTING_LISTEN || s->type == SETTING_NETS || s->type == SETTING_ORIGINS;
}

static bool same_name(const char *name, const char *given, size_t len)
{
	if (strlen(name) != len)
		return false;
	for (size_t i = 0; i < len; i++)
		if (name[i] != (given[i] == '-' ? '_' : given[i]))
			return false;
	return true;
}

const struct setting *setting_find(const char *name, size_t len, enum conf_scope scope)
{
	for (const struct setting *s = settings; s->name != NULL; s++)
		if (s->type != SETTING_HEADING && s->scope <= scope && same_name(s->name, name, len))
			return s;
	return NULL;
}
