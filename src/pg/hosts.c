/* SPDX-License-Identifier: MIT
 * See hosts.h. */
#include "pg/hosts.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"

static char *copy(const char *s, size_t len) { return len > 0 ? mem_strndup(s, len) : NULL; }

static unsigned count_items(const char *list)
{
	unsigned n = 1;
	for (; *list != '\0'; list++)
		n += *list == ',';
	return n;
}

/* Returns the i-th item of a list; NULL: it is empty or absent. A list of one item applies to all hosts. */
static char *item(const char *list, unsigned i)
{
	if (list == NULL)
		return NULL;
	if (count_items(list) == 1)
		i = 0;
	for (; i > 0; i--) {
		list = strchr(list, ',');
		if (list == NULL)
			return NULL;
		list++;
	}
	return copy(list, strcspn(list, ","));
}

static const char *value_of(const PQconninfoOption *options, const char *keyword)
{
	for (const PQconninfoOption *o = options; o != NULL && o->keyword != NULL; o++)
		if (strcmp(o->keyword, keyword) == 0)
			return o->val != NULL && *o->val != '\0' ? o->val : NULL;
	return NULL;
}

/* Returns true for the options that hosts_connect() sets itself. */
static bool is_per_host(const char *keyword)
{
	static const char *const own[] = { "host", "hostaddr", "port", "target_session_attrs", "load_balance_hosts",
		"connect_timeout" };
	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		if (strcmp(own[i], keyword) == 0)
			return true;
	return false;
}

static void keep_others(struct hosts *h, const PQconninfoOption *given)
{
	for (const PQconninfoOption *o = given; o->keyword != NULL && h->keys_count < HOSTS_KEYS; o++) {
		if (o->val == NULL || *o->val == '\0' || is_per_host(o->keyword))
			continue;
		h->keys[h->keys_count] = copy(o->keyword, strlen(o->keyword));
		h->values[h->keys_count++] = copy(o->val, strlen(o->val));
	}
}

/* Only libpq knows what a service file and the environment add, and it shows that only on a connection. An invalid
 * channel_binding makes it fail after it has combined everything and before it connects. */
static PQconninfoOption *complete(const char *conninfo)
{
	PGconn *pg = PQconnectStartParams((const char *const[]) { "dbname", "channel_binding", NULL },
		(const char *const[]) { conninfo, "-", NULL }, 1);
	PQconninfoOption *options = pg != NULL ? PQconninfo(pg) : NULL;
	PQfinish(pg);
	return options;
}

static enum status list_hosts(struct hosts *h, const PQconninfoOption *all, struct buf *why)
{
	const char *names = value_of(all, "host"), *addresses = value_of(all, "hostaddr"),
		   *ports = value_of(all, "port");
	h->count = addresses != NULL ? count_items(addresses) : names != NULL ? count_items(names) : 1;
	if (h->count > HOSTS_MAX) {
		buf_addf(why, "%u hosts are too many: at most %d", h->count, HOSTS_MAX);
		return ST_INVALID;
	}
	if (names != NULL && addresses != NULL && count_items(names) != h->count) {
		buf_addf(why, "host names %u hosts, and hostaddr %u addresses", count_items(names), h->count);
		return ST_INVALID;
	}
	if (ports != NULL && count_items(ports) != 1 && count_items(ports) != h->count) {
		buf_addf(why, "port names %u ports for %u hosts: give one, or one for each", count_items(ports),
			h->count);
		return ST_INVALID;
	}
	for (unsigned i = 0; i < h->count; i++)
		h->list[i] = (struct host) { .name = h->count > 1 || names == NULL ? item(names, i)
										   : copy(names, strlen(names)),
			.address = item(addresses, i),
			.port = item(ports, i) };
	return ST_OK;
}

enum status hosts_parse(struct hosts *h, const char *conninfo, struct buf *why)
{
	char *error = NULL;
	*h = (struct hosts) { 0 };
	PQconninfoOption *given = PQconninfoParse(conninfo, &error);
	if (given == NULL) {
		buf_addf(why, "%s", error != NULL ? error : "out of memory");
		PQfreemem(error);
		return ST_INVALID;
	}
	PQconninfoOption *all = complete(conninfo);
	enum status st = list_hosts(h, all, why);
	const char *timeout = value_of(all, "connect_timeout"), *attrs = value_of(all, "target_session_attrs"),
		   *balance = value_of(all, "load_balance_hosts");
	long seconds = timeout != NULL ? strtol(timeout, NULL, 10) : 0;
	h->timeout_s = seconds > 0 && seconds < 3600 ? (unsigned)seconds : 0;
	h->session_attrs = attrs != NULL ? copy(attrs, strlen(attrs)) : NULL;
	h->any_order = balance != NULL && strcmp(balance, "random") == 0;
	keep_others(h, given);
	PQconninfoFree(given);
	PQconninfoFree(all);
	return st;
}

void hosts_release(struct hosts *h)
{
	for (unsigned i = 0; i < h->count && i < HOSTS_MAX; i++) {
		free(h->list[i].name);
		free(h->list[i].address);
		free(h->list[i].port);
	}
	for (unsigned i = 0; i < h->keys_count; i++) {
		free(h->keys[i]);
		free(h->values[i]);
	}
	free(h->session_attrs);
	*h = (struct hosts) { 0 };
}

bool host_needs_lookup(const struct host *host)
{
	unsigned char numbers[16];
	return host->address == NULL && host->name != NULL && *host->name != '/' && *host->name != '@' &&
		inet_pton(AF_INET, host->name, numbers) != 1 && inet_pton(AF_INET6, host->name, numbers) != 1;
}

PGconn *hosts_connect(const struct hosts *h, const struct host *host, const char *address, const char *attrs)
{
	const char *const own[][2] = { { "host", host->name },
		{ "hostaddr", address != NULL ? address : host->address }, { "port", host->port },
		{ "target_session_attrs", attrs } };
	const char *keys[HOSTS_KEYS + 5], *values[HOSTS_KEYS + 5];
	unsigned n = 0;
	for (; n < h->keys_count; n++) {
		keys[n] = h->keys[n];
		values[n] = h->values[n];
	}
	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		if (own[i][1] != NULL) {
			keys[n] = own[i][0];
			values[n++] = own[i][1];
		}
	keys[n] = values[n] = NULL;
	return PQconnectStartParams(keys, values, 0);
}
