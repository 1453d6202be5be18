/* SPDX-License-Identifier: MIT
 * See logline.h. */
#include "base/logline.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum {
	MESSAGE_MAX = 2400, /* of the written message, escapes included */
	VALUE_MAX = 600,
	END_ROOM = 16,   /* for what closes a line */
	FIELD_ROOM = 48, /* a field's name and a number */
};

struct out {
	char *at, *end; /* end: after the last byte that may be used, without END_ROOM */
};

static void add(struct out *o, const char *s, size_t n)
{
	memcpy(o->at, s, n);
	o->at += n;
}

static void adds(struct out *o, const char *s) { add(o, s, strlen(s)); }

/* Decodes one character of UTF-8. Returns its length; 0: invalid. */
static size_t decode(const unsigned char *s, unsigned *ret)
{
	static const unsigned least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t n = *s < 0x80              ? 1
		: *s >= 0xf0 && *s < 0xf8 ? 4
		: *s >= 0xe0 && *s < 0xf0 ? 3
		: *s >= 0xc0 && *s < 0xe0 ? 2
					  : 0;
	unsigned c = n == 1 ? *s : n == 2 ? *s & 0x1f : n == 3 ? *s & 0xf : *s & 7;
	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	if (n == 0 || c > 0x10ffff || (c >= 0xd800 && c < 0xe000) || (n > 1 && c < least[n]))
		return 0;
	*ret = c;
	return n;
}

/* Returns true for characters that a terminal or a line reader could interpret. */
static bool is_active(unsigned c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) ||
		c == 0xfeff;
}

/* Writes a character, escaped if need be; quoted: it is between quotes. Returns the length. */
static size_t escape(enum log_format format, bool quoted, const unsigned char *s, size_t n, unsigned c, char out[12])
{
	static const char *const named[] = { ['\n'] = "\\n", ['\r'] = "\\r", ['\t'] = "\\t" };
	if (n == 0)
		return (size_t)(format == LOG_JSON ? snprintf(out, 12, "\\ufffd") : snprintf(out, 12, "\\x%02x", *s));
	if (c < sizeof(named) / sizeof(named[0]) && named[c] != NULL)
		return (size_t)snprintf(out, 12, "%s", named[c]);
	if (is_active(c))
		return (size_t)(format == LOG_JSON || c > 0xff ? snprintf(out, 12, "\\u%04x", c)
							       : snprintf(out, 12, "\\x%02x", c));
	if (quoted && (c == '"' || c == '\\'))
		return (size_t)snprintf(out, 12, "\\%c", (char)c);
	memcpy(out, s, n);
	return n;
}

static void add_escaped(struct out *o, enum log_format format, bool quoted, const char *text, size_t most)
{
	const unsigned char *s = (const unsigned char *)text;
	size_t room = (size_t)(o->end - o->at), used = 0;
	most = most < room ? most : room;
	while (*s != '\0') {
		unsigned c = 0;
		char one[12];
		size_t n = decode(s, &c), written = escape(format, quoted, s, n, c, one);
		if (used + written > most) {
			adds(o, "…");
			return;
		}
		add(o, one, written);
		used += written;
		s += n > 0 ? n : 1;
	}
}

static void add_quoted(struct out *o, enum log_format format, const char *text, size_t most)
{
	adds(o, "\"");
	add_escaped(o, format, true, text, most);
	adds(o, "\"");
}

/* Returns true if a value needs no quotes in text and logfmt. */
static bool is_plain(const char *text)
{
	for (const char *s = text; *s != '\0'; s++)
		if ((unsigned char)*s <= ' ' || (unsigned char)*s >= 0x7f || strchr("\"\\=", *s) != NULL)
			return false;
	return *text != '\0' && strlen(text) <= VALUE_MAX;
}

static void add_value(struct out *o, enum log_format format, const struct log_field *f)
{
	char number[32];
	if (f->kind == FIELD_NUMBER)
		snprintf(number, sizeof(number), "%llu", (unsigned long long)f->number);
	else if (f->kind == FIELD_SECONDS)
		snprintf(number, sizeof(number), "%llu.%06llu", (unsigned long long)f->number / 1000000,
			(unsigned long long)f->number % 1000000);
	if (f->kind != FIELD_TEXT)
		adds(o, number);
	else if (format != LOG_JSON && is_plain(f->text))
		add_escaped(o, format, false, f->text, VALUE_MAX);
	else
		add_quoted(o, format, f->text, VALUE_MAX);
}

static void add_field(struct out *o, enum log_format format, const struct log_field *f)
{
	if ((f->kind == FIELD_TEXT && f->text == NULL) || o->end - o->at < (ptrdiff_t)(strlen(f->name) + FIELD_ROOM))
		return;
	adds(o, format == LOG_JSON ? ",\"" : " ");
	adds(o, f->name);
	adds(o, format == LOG_JSON ? "\":" : "=");
	add_value(o, format, f);
}

static void begin_text(struct out *o, const struct logline *l)
{
	if (l->time != NULL) {
		adds(o, l->time);
		adds(o, " ");
		adds(o, l->level);
		adds(o, *l->process != '\0' ? " " : "");
		adds(o, l->process);
		adds(o, " ");
	}
	add_escaped(o, LOG_TEXT, false, l->message, MESSAGE_MAX);
}

static void begin_structured(struct out *o, const struct logline *l)
{
	const struct log_field process = F("process", *l->process != '\0' ? l->process : NULL);
	bool json = l->format == LOG_JSON;
	adds(o, json ? "{\"time\":\"" : "time=");
	adds(o, l->time);
	adds(o, json ? "\",\"level\":\"" : " level=");
	adds(o, l->level);
	adds(o, json ? "\"" : "");
	add_field(o, l->format, &process);
	adds(o, json ? ",\"message\":" : " msg=");
	add_quoted(o, l->format, l->message, MESSAGE_MAX);
}

size_t logline_print(const struct logline *l, char out[LOGLINE_MAX])
{
	struct out o = { out, out + LOGLINE_MAX - END_ROOM };
	enum log_format format = l->time != NULL ? l->format : LOG_TEXT;
	if (format == LOG_TEXT)
		begin_text(&o, l);
	else
		begin_structured(&o, l);
	for (const struct log_field *f = l->fields; f != NULL && f->name != NULL; f++)
		add_field(&o, format, f);
	adds(&o, format == LOG_JSON ? "}" : "");
	adds(&o, l->time != NULL ? "\n" : "");
	*o.at = '\0';
	return (size_t)(o.at - out);
}
