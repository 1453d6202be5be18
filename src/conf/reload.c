/* SPDX-License-Identifier: MIT
 * See conf.h: settings that change while the server runs. The supervisor reads the sources and sends its workers names
 * and values: they may not be allowed to read the file, and all of them must get the same values. */
#include "conf/conf.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "conf/settings.h"

static bool is_live(const struct setting *s) { return s->type != SETTING_HEADING && !(s->flags & SETTING_FIXED); }

static char *must_format(const struct conf *c, const struct setting *s) { return setting_format(c, s); }

static const char *raw(const struct conf *c, const struct setting *s)
{
	const char *text = *(char *const *)((const char *)c + s->at);
	return text != NULL ? text : "";
}

static bool same(const struct conf *a, const struct conf *b, const struct setting *s)
{
	if (s->type == SETTING_CONNINFO) /* the shown form lacks the password */
		return strcmp(raw(a, s), raw(b, s)) == 0;
	char *x = must_format(a, s), *y = must_format(b, s);
	bool equal = strcmp(x, y) == 0;
	free(x);
	free(y);
	return equal;
}

static void set(struct conf *c, const struct setting *s, const char *text)
{
	char error[SETTING_ERROR_MAX];
	setting_clear(c, s);
	if (!setting_add(c, s, text, error))
		fatal("%s: %s", s->name, error); /* it was valid before */
}

/* A default may depend on the process's user (HOME): a difference in it isn't a change. */
static bool is_default(const struct conf *c, const struct setting *s)
{
	return c->origin[setting_index(s)].kind == CONF_DEFAULT;
}

static bool apply_change(struct conf *live, const struct conf *fresh, const struct setting *s)
{
	if (same(live, fresh, s) || (!is_live(s) && is_default(live, s) && is_default(fresh, s)))
		return false;
	char *was = must_format(live, s), *now = must_format(fresh, s);
	if (is_live(s)) {
		log_info(
			"%s is %s now; it was %s", s->name, *now != '\0' ? now : "unset", *was != '\0' ? was : "unset");
		set(live, s, now);
		live->origin[setting_index(s)] = fresh->origin[setting_index(s)];
	} else
		log_warn("%s was changed, which needs a restart: it stays %s", s->name, *was != '\0' ? was : "unset");
	free(was);
	free(now);
	return true;
}

bool conf_reload(struct conf *live)
{
	struct conf fresh;
	struct conf_args args = { .argc = live->args->argc,
		.argv = live->args->argv,
		.scope = live->args->scope,
		.options = live->args->options };
	bool ok = conf_load_again(&fresh, &args, live) == 0;
	unsigned changed = 0;
	for (const struct setting *s = settings; s->name != NULL && ok; s++)
		if (s->type != SETTING_HEADING)
			changed += apply_change(live, &fresh, s);
	if (!ok)
		log_error("the settings were read again and are invalid: no setting was changed");
	else if (changed == 0)
		log_info("the settings were read again: nothing has changed");
	conf_release(&fresh);
	conf_args_release(&args);
	return ok;
}

void conf_pack(const struct conf *c, struct buf *out)
{
	for (const struct setting *s = settings; s->name != NULL; s++)
		if (is_live(s)) {
			char *text = must_format(c, s);
			buf_add(out, s->name, strlen(s->name) + 1);
			buf_add(out, text, strlen(text) + 1);
			free(text);
		}
}

void conf_unpack(struct conf *c, const char *text, size_t len)
{
	for (const char *end = text + len; text < end;) {
		const char *name = text, *value = name + strlen(name) + 1;
		const struct setting *s = setting_find(name, strlen(name), CONF_ALL);
		text = value + strlen(value) + 1;
		if (s != NULL)
			set(c, s, value);
	}
}
