/* SPDX-License-Identifier: MIT
 * The table of settings, and operations on a row of it. conf.c knows where values come from. */
#ifndef CONF_SETTINGS_H
#define CONF_SETTINGS_H

#include "conf/conf.h"

enum setting_type {
	SETTING_HEADING, /* not a setting: a line of the help */
	SETTING_BOOL,
	SETTING_NUMBER,
	SETTING_SIZE,
	SETTING_DURATION,
	SETTING_LEVEL,
	SETTING_FORMAT,
	SETTING_STRING,
	SETTING_OUTPUT,
	SETTING_CONNINFO,
	SETTING_URL,
	SETTING_REGISTRATION,
	SETTING_FORWARDED,
	SETTING_ADDRESS,
	SETTING_LISTEN,
	SETTING_NETS,
	SETTING_ORIGINS,
};

enum {
	SETTING_OR_NONE = 1, /* 0 is allowed too: no limit */
	SETTING_FIXED = 2,   /* a change needs a restart; every other one takes effect on SIGHUP */
};

struct setting {
	const char *name; /* rate_sends */
	enum setting_type type;
	size_t at;       /* in struct conf */
	const char *def; /* as it would be written in the file; NULL: unset */
	uint64_t min, max;
	unsigned flags;        /* SETTING_… */
	enum conf_scope scope; /* the smallest scope in which it is a flag */
	const char *value;     /* the value's name in the help */
	const char *help;
};

enum { SETTING_ERROR_MAX = 256 };

extern const struct setting settings[]; /* ends with a row that has no name */
size_t setting_index(const struct setting *s);
/* Finds a setting by the len bytes of its name; dashes and underscores are the same. NULL: there is none, or its flag
 * isn't in scope. */
const struct setting *setting_find(const char *name, size_t len, enum conf_scope scope);
bool setting_is_list(const struct setting *s);

/* Makes it empty or unset, ready for setting_add(). */
void setting_clear(struct conf *c, const struct setting *s);
/* Sets it, or appends to it if it is a list, whose items are separated by commas or blanks. false: error says why. */
bool setting_add(struct conf *c, const struct setting *s, const char *text, char error[SETTING_ERROR_MAX]);
/* Returns the value as it would be written, which the caller frees; "" if it is unset. Passwords are masked. */
char *setting_format(const struct conf *c, const struct setting *s);

#endif
