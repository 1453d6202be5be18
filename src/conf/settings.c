/* SPDX-License-Identifier: MIT
 * See settings.h: reading, clearing and writing one setting, by its type. */
#include "conf/settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "conf/address.h"
#include "conf/value.h"

enum { ITEM_MAX = 512, FORMAT_MAX = 64 * 1024 };

static void *place(const struct conf *c, const struct setting *s) { return (char *)(uintptr_t)c + s->at; }

static void clear_listen(struct conf *c)
{
	for (size_t i = 0; i < c->listen_count; i++)
		free(c->listen[i].text);
	free(c->listen);
	c->listen = NULL;
	c->listen_count = 0;
}

static void clear_origins(struct conf *c)
{
	for (size_t i = 0; i < c->cors_count; i++)
		free(c->cors_origins[i]);
	free(c->cors_origins);
	c->cors_origins = NULL;
	c->cors_count = 0;
}

void setting_clear(struct conf *c, const struct setting *s)
{
	switch (s->type) {
	case SETTING_STRING:
	case SETTING_OUTPUT:
	case SETTING_CONNINFO:
	case SETTING_URL: {
		char **p = place(c, s);
		free(*p);
		*p = NULL;
		break;
	}
	case SETTING_ADDRESS: {
		struct conf_listen *l = place(c, s);
		free(l->text);
		l->text = NULL;
		break;
	}
	case SETTING_LISTEN: clear_listen(c); break;
	case SETTING_NETS:
		free(c->trusted_proxies);
		c->trusted_proxies = NULL;
		c->trusted_count = 0;
		break;
	case SETTING_ORIGINS: clear_origins(c); break;
	default: /* the others are overwritten as a whole */ break;
	}
}

/* Adds one zeroed item at the end of an array of them. */
static void *grow(void **array, size_t *count, size_t size)
{
	char *grown = mem_resize(*array, *count + 1, size);
	*array = grown;
	memset(grown + *count * size, 0, size);
	return grown + size * (*count)++;
}

static const char *add_address(struct conf_listen *l, const char *item)
{
	const char *wrong = address_parse_listen(item, l);
	if (wrong == NULL)
		l->text = mem_strdup(item);
	return wrong;
}

static const char *add_item(struct conf *c, const struct setting *s, const char *item)
{
	if (s->type == SETTING_LISTEN)
		return add_address(grow((void **)&c->listen, &c->listen_count, sizeof(*c->listen)), item);
	if (s->type == SETTING_NETS) {
		struct conf_net *net = grow((void **)&c->trusted_proxies, &c->trusted_count, sizeof(*net));
		return address_parse_net(item, net);
	}
	char **origin = grow((void **)&c->cors_origins, &c->cors_count, sizeof(*origin));
	return address_parse_origin(item, origin);
}

static bool add_items(struct conf *c, const struct setting *s, const char *text, char error[SETTING_ERROR_MAX])
{
	static const char separators[] = ", \t";
	while (*(text += strspn(text, separators)) != '\0') {
		char item[ITEM_MAX];
		size_t len = strcspn(text, separators);
		snprintf(item, sizeof(item), "%.*s", (int)(len < ITEM_MAX ? len : ITEM_MAX), text);
		const char *wrong = len < ITEM_MAX ? add_item(c, s, item) : "too long";
		if (wrong != NULL) {
			snprintf(error, SETTING_ERROR_MAX, "%.80s: %s", item, wrong);
			return false;
		}
		text += len;
	}
	return true;
}

static void format_number(const struct setting *s, uint64_t n, char out[VALUE_TEXT_MAX])
{
	if (s->type == SETTING_SIZE)
		value_format_size(n, out);
	else if (s->type == SETTING_DURATION)
		value_format_duration(n, out);
	else
		snprintf(out, VALUE_TEXT_MAX, "%llu", (unsigned long long)n);
}

static bool set_number(struct conf *c, const struct setting *s, const char *text, char error[SETTING_ERROR_MAX])
{
	uint64_t n;
	char min[VALUE_TEXT_MAX], max[VALUE_TEXT_MAX];
	bool size = s->type == SETTING_SIZE, duration = s->type == SETTING_DURATION;
	if (!(size ? value_parse_size : duration ? value_parse_duration : value_parse_number)(text, &n)) {
		snprintf(error, SETTING_ERROR_MAX, "%.80s: expected %s", text,
			size               ? "a size (512, 16K, 8M)"
				: duration ? "a duration (15s, 12h, 30d)"
					   : "a number");
		return false;
	}
	if ((n < s->min || n > s->max) && !(n == 0 && (s->flags & SETTING_OR_NONE))) {
		format_number(s, s->min, min);
		format_number(s, s->max, max);
		snprintf(error, SETTING_ERROR_MAX, "%.80s is not between %s and %s%s", text, min, max,
			(s->flags & SETTING_OR_NONE) ? " (or 0 for no limit)" : "");
		return false;
	}
	if (size)
		*(size_t *)place(c, s) = (size_t)n;
	else
		*(unsigned *)place(c, s) = (unsigned)n;
	return true;
}

static bool set_string(struct conf *c, const struct setting *s, const char *text, char error[SETTING_ERROR_MAX])
{
	char **p = place(c, s);
	const char *wrong = NULL;
	setting_clear(c, s);
	if (*text == '\0')
		return true;
	if (s->type == SETTING_URL)
		wrong = address_parse_url(text, p);
	else if (s->type == SETTING_OUTPUT && *text != '/' && strcmp(text, "on") != 0 && strcmp(text, "off") != 0)
		wrong = "expected off, on or the absolute path of a file";
	else
		*p = mem_strdup(text);
	if (wrong != NULL)
		snprintf(error, SETTING_ERROR_MAX, "%.80s: %s", text, wrong);
	return wrong == NULL;
}

/* In the order of their enums. */
static const char *const registrations[] = { "closed", "invite", "open", NULL };
static const char *const forwarded_headers[] = { "x-forwarded", "forwarded", NULL };

static bool parse_word(const char *const words[], const char *text, unsigned *ret)
{
	for (unsigned i = 0; words[i] != NULL; i++)
		if (strcmp(text, words[i]) == 0) {
			*ret = i;
			return true;
		}
	return false;
}

bool setting_add(struct conf *c, const struct setting *s, const char *text, char error[SETTING_ERROR_MAX])
{
	const char *wrong = NULL;
	switch (s->type) {
	case SETTING_BOOL:
		if (!value_parse_bool(text, place(c, s)))
			wrong = "expected yes or no";
		break;
	case SETTING_LEVEL:
		if (!log_level_parse(text, place(c, s)))
			wrong = "expected error, warn, info, debug or trace";
		break;
	case SETTING_FORMAT:
		if (!log_format_parse(text, place(c, s)))
			wrong = "expected text, logfmt or json";
		break;
	case SETTING_REGISTRATION:
		if (!parse_word(registrations, text, place(c, s)))
			wrong = "expected open, invite or closed";
		break;
	case SETTING_FORWARDED:
		if (!parse_word(forwarded_headers, text, place(c, s)))
			wrong = "expected x-forwarded or forwarded";
		break;
	case SETTING_ADDRESS:
		setting_clear(c, s);
		if (*text != '\0')
			wrong = add_address(place(c, s), text);
		break;
	case SETTING_NUMBER:
	case SETTING_SIZE:
	case SETTING_DURATION: return set_number(c, s, text, error);
	case SETTING_LISTEN:
	case SETTING_NETS:
	case SETTING_ORIGINS: return add_items(c, s, text, error);
	default: return set_string(c, s, text, error);
	}
	if (wrong != NULL)
		snprintf(error, SETTING_ERROR_MAX, "%.80s: %s", text, wrong);
	return wrong == NULL;
}

/* Adds a conninfo, either form, without the passwords in it. */
static void add_masked(struct buf *b, const char *text)
{
	const char *scheme = strstr(text, "://");
	const char *at = scheme != NULL ? strchr(scheme, '@') : NULL;
	const char *colon = at != NULL ? memchr(scheme + 3, ':', (size_t)(at - scheme - 3)) : NULL;
	if (colon != NULL) {
		buf_addf(b, "%.*s****", (int)(colon + 1 - text), text);
		text = at;
	}
	for (const char *p; (p = strcasestr(text, "password")) != NULL;) {
		p += strlen("password");
		p += strspn(p, " ");
		buf_add(b, text, (size_t)(p - text));
		text = p;
		if (*p != '=')
			continue;
		p += 1 + strspn(p + 1, " ");
		bool quoted = *p == '\'';
		for (p += quoted; *p != '\0' && (quoted ? *p != '\'' : *p != ' ' && *p != '&'); p++)
			if (*p == '\\' && p[1] != '\0')
				p++;
		text = p + (quoted && *p == '\'');
		buf_adds(b, "=****");
	}
	buf_adds(b, text);
}

static void format_list(struct buf *b, const struct conf *c, const struct setting *s)
{
	size_t n = s->type == SETTING_LISTEN ? c->listen_count
		: s->type == SETTING_NETS    ? c->trusted_count
					     : c->cors_count;
	for (size_t i = 0; i < n; i++) {
		char net[64];
		if (i > 0)
			buf_addc(b, ' ');
		if (s->type == SETTING_LISTEN)
			buf_adds(b, c->listen[i].text);
		else if (s->type == SETTING_ORIGINS)
			buf_adds(b, c->cors_origins[i]);
		else {
			address_format_net(&c->trusted_proxies[i], net);
			buf_adds(b, net);
		}
	}
}

char *setting_format(const struct conf *c, const struct setting *s)
{
	struct buf b;
	char text[VALUE_TEXT_MAX];
	const void *p = place(c, s);
	buf_init(&b, FORMAT_MAX);
	switch (s->type) {
	case SETTING_BOOL: buf_adds(&b, *(const bool *)p ? "yes" : "no"); break;
	case SETTING_LEVEL: buf_adds(&b, log_level_name(*(const enum log_level *)p)); break;
	case SETTING_FORMAT: buf_adds(&b, log_format_name(*(const enum log_format *)p)); break;
	case SETTING_REGISTRATION: buf_adds(&b, registrations[*(const unsigned *)p]); break;
	case SETTING_FORWARDED: buf_adds(&b, forwarded_headers[*(const unsigned *)p]); break;
	case SETTING_NUMBER:
	case SETTING_SIZE:
	case SETTING_DURATION:
		format_number(s, s->type == SETTING_SIZE ? *(const size_t *)p : *(const unsigned *)p, text);
		buf_adds(&b, text);
		break;
	case SETTING_STRING:
	case SETTING_OUTPUT:
	case SETTING_URL: buf_adds(&b, *(char *const *)p != NULL ? *(char *const *)p : ""); break;
	case SETTING_CONNINFO: add_masked(&b, *(char *const *)p != NULL ? *(char *const *)p : ""); break;
	case SETTING_ADDRESS:
		buf_adds(
			&b, ((const struct conf_listen *)p)->text != NULL ? ((const struct conf_listen *)p)->text : "");
		break;
	default: format_list(&b, c, s); break;
	}
	return buf_detach(&b, NULL);
}
