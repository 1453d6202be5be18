/* SPDX-License-Identifier: MIT
 * See mentions.h. Code is recognised as in CommonMark: a run of backticks ends at the next run of the same length; a
 * line that begins with three or more opens a block, which reaches to such a line or to the end. */
#include "base/mentions.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

enum { NAME_MIN = 2, NAME_MAX = 32, MENTIONS_MAX = 50, NAMES_MAX = 200, RUN_MAX = 32, FENCE = 3 };

struct scan {
	const char *text, *at, *end;
	const char *paragraph_end; /* of the paragraph of at; NULL: unknown */
	const char *domain; /* where the run of letters, digits, "." and "-" before at begins; NULL: there is none */
	const char *unclosed_to[RUN_MAX + 1]; /* up to there no run of that length follows: each is looked for once */
	unsigned mentions, names;
};

static bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
static bool is_alnum(char c) { return is_letter(c) || (c >= '0' && c <= '9'); }
static bool is_separator(char c) { return c == '.' || c == '-' || c == '_'; }
static char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c; }

static size_t count_of(const char *at, const char *end, char c)
{
	const char *s = at;
	while (s < end && *s == c)
		s++;
	return (size_t)(s - at);
}

static const char *line_end(const char *at, const char *end)
{
	const char *nl = memchr(at, '\n', (size_t)(end - at));
	return nl != NULL ? nl : end;
}

/* ---- code ---- */

/* Returns the end of the paragraph: an empty line, or the end of the text. */
static const char *paragraph_end(struct scan *s)
{
	if (s->paragraph_end != NULL && s->paragraph_end > s->at)
		return s->paragraph_end;
	const char *nl = line_end(s->at, s->end);
	while (nl < s->end) {
		const char *next = nl + 1;
		while (next < s->end && strchr(" \t\r", *next) != NULL)
			next++;
		if (next == s->end || *next == '\n')
			break;
		nl = line_end(next, s->end);
	}
	return s->paragraph_end = nl;
}

/* Returns what follows the code that a run of n backticks at s->at opens; NULL: it isn't closed. */
static const char *span_end(struct scan *s, size_t n)
{
	if (n > RUN_MAX)
		return NULL;
	const char *end = n < FENCE ? paragraph_end(s) : s->end;
	if (s->unclosed_to[n] == end)
		return NULL;
	for (const char *at = s->at + n; (at = memchr(at, '`', (size_t)(end - at))) != NULL;) {
		size_t run = count_of(at, end, '`');
		if (run == n)
			return at + n;
		at += run;
	}
	s->unclosed_to[n] = end;
	return NULL;
}

static bool begins_line(const struct scan *s)
{
	const char *at = s->at;
	for (int blanks = 0; at > s->text && at[-1] == ' ' && blanks < 3; blanks++)
		at--;
	return at == s->text || at[-1] == '\n';
}

/* Returns what follows the block that n backticks at the beginning of a line open; NULL: they open none. */
static const char *block_end(const struct scan *s, size_t n)
{
	if (n < FENCE || !begins_line(s))
		return NULL;
	const char *nl = line_end(s->at, s->end);
	if (memchr(s->at + n, '`', (size_t)(nl - s->at) - n) != NULL)
		return NULL;
	while (nl < s->end) {
		const char *line = nl + 1, *at = line;
		nl = line_end(line, s->end);
		at += count_of(at, nl, ' ');
		size_t run = count_of(at, nl, '`');
		if (at - line > 3 || run < n)
			continue;
		at += run;
		while (at < nl && strchr(" \t\r", *at) != NULL)
			at++;
		if (at == nl)
			return nl;
	}
	return s->end;
}

static void skip_code(struct scan *s)
{
	size_t n = count_of(s->at, s->end, '`');
	const char *end = block_end(s, n);
	end = end != NULL ? end : span_end(s, n);
	s->at = end != NULL ? end : s->at + n;
}

/* ---- URLs ---- */

/* Returns true at a character that no URL contains: a blank, a quote, CJK or general punctuation. */
static bool ends_url(const char *at, const char *end)
{
	unsigned char c = (unsigned char)*at, next = at + 1 < end ? (unsigned char)at[1] : 0;
	return c <= ' ' || strchr("\"<>`", c) != NULL || (c == 0xc2 && next == 0xa0) ||
		(c == 0xe2 && (next == 0x80 || next == 0x81)) || (c == 0xe3 && next == 0x80) ||
		(c == 0xef && (next == 0xbc || next == 0xbd));
}

/* Returns true if from..to is a domain: with a full stop, and letters after the last one. */
static bool is_domain(const char *from, const char *to)
{
	const char *label = to;
	while (label > from && is_letter(label[-1]))
		label--;
	return to - label >= 2 && label - from >= 2 && label[-1] == '.';
}

/* Returns true if a URL's path, or its "://", begins at s->at. */
static bool is_in_url(const struct scan *s)
{
	const char *at = s->at;
	size_t left = (size_t)(s->end - at);
	if (*at == ':' && left >= 3 && at[1] == '/' && at[2] == '/')
		return at > s->text && is_alnum(at[-1]);
	if (s->domain == NULL || !is_domain(s->domain, at))
		return false;
	if (*at == ':') { /* a port */
		size_t digits = 0;
		while (digits < 6 && digits + 1 < left && at[1 + digits] >= '0' && at[1 + digits] <= '9')
			digits++;
		at += 1 + digits;
	}
	return at < s->end && (*at == '/' || *at == '?');
}

static void skip_url(struct scan *s)
{
	while (s->at < s->end && !ends_url(s->at, s->end))
		s->at++;
}

/* ---- names ---- */

static bool is_known(const struct buf *out, size_t from, const char *line, size_t len)
{
	for (const char *at = out->data + from, *end = out->data + out->len; at < end;) {
		const char *nl = line_end(at, end);
		if ((size_t)(nl - at) == len && memcmp(at, line, len) == 0)
			return true;
		at = nl < end ? nl + 1 : end;
	}
	return false;
}

/* Returns true for the "all" of @all-hands. That of "@all." and "@all.Please" means everyone. */
static bool is_part_of_word(const char *name, size_t n, const char *end)
{
	const char *at = name + n;
	if (n != 3 || strncasecmp(name, "all", 3) != 0 || at == end || *at == '.')
		return false;
	while (at < end && is_separator(*at))
		at++;
	return at < end;
}

/* Adds the names that what follows the @ at s->at can be, and moves on to what follows them. */
static void add_names(struct scan *s, struct buf *out, size_t from)
{
	const char *name = s->at + 1, *end = name;
	char line[(NAME_MAX + 1) * NAME_MAX];
	size_t len = 0;
	unsigned names = 0;
	while (end < s->end && (is_alnum(*end) || is_separator(*end)))
		end++;
	s->at = end;
	if (name == end || !is_alnum(*name))
		return;
	size_t longest = (size_t)(end - name) < NAME_MAX ? (size_t)(end - name) : NAME_MAX;
	for (size_t n = longest; n >= NAME_MIN; n--) {
		if ((name + n < end && !is_separator(name[n])) || is_part_of_word(name, n, end))
			continue;
		if (len > 0)
			line[len++] = ' ';
		for (size_t i = 0; i < n; i++)
			line[len++] = lower(name[i]);
		names++;
	}
	if (names == 0 || (out->len > from && is_known(out, from, line, len)))
		return;
	s->names += names;
	if (s->names > NAMES_MAX) {
		s->mentions = MENTIONS_MAX;
		return;
	}
	if (s->mentions++ > 0)
		buf_addc(out, '\n');
	buf_add(out, line, len);
}

void mentions_find(const char *text, size_t len, struct buf *out)
{
	struct scan s = { .text = text, .at = text, .end = text + len };
	size_t from = out->len;
	if (len == 0 || memchr(text, '@', len) == NULL)
		return;
	while (s.at < s.end && s.mentions < MENTIONS_MAX) {
		char c = *s.at;
		if (c == '`') {
			skip_code(&s);
			s.domain = NULL;
		} else if (c == '@') {
			bool follows = s.at > s.text && is_alnum(s.at[-1]);
			if (follows)
				s.at++;
			else
				add_names(&s, out, from);
			s.domain = NULL;
		} else if ((c == ':' || c == '/' || c == '?') && is_in_url(&s)) {
			skip_url(&s);
			s.domain = NULL;
		} else {
			bool in_domain = is_alnum(c) || c == '.' || c == '-';
			s.domain = !in_domain ? NULL : s.domain != NULL ? s.domain : s.at;
			s.at++;
		}
	}
}
