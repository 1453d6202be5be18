/* SPDX-License-Identifier: MIT
 * See args.h, and conf.h for conf_parse_args() and the help. */
#include "conf/args.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "conf/settings.h"

/* The option being parsed: --name, --name=value, -n or -nvalue. */
struct option {
	const char *dashes, *name;
	size_t len;
	const char *inline_value; /* NULL: none */
	const char *next;         /* the argument after it, which is its value if it takes one; NULL: none */
	bool next_is_value;
};

static int report(const struct option *o, const char *what)
{
	fprintf(stderr, "postern: %s%.*s: %s\n", o->dashes, (int)o->len, o->name, what);
	return CONF_EXIT_USAGE;
}

/* Returns the value of an option that takes one, inline or the next argument; NULL: there is none. */
static const char *value_of(struct option *o)
{
	if (o->inline_value != NULL)
		return o->inline_value;
	o->next_is_value = o->next != NULL;
	return o->next;
}

/* A name of one letter has one dash. */
static bool is(const struct option *o, const char *name)
{
	return strlen(name) == o->len && memcmp(name, o->name, o->len) == 0 && strlen(o->dashes) == 1 + (o->len > 1);
}

/* Returns 0, an exit code, or -1: it isn't one of the command's own options. */
static int own_option(struct option *o, const struct conf_option *own)
{
	while (own != NULL && own->name != NULL && !is(o, own->name))
		own++;
	if (own == NULL || own->name == NULL)
		return -1;
	if (own->value == NULL && o->inline_value != NULL)
		return report(o, "takes no value");
	const char *value = own->value == NULL ? "" : value_of(o);
	if (value == NULL)
		return report(o, "needs a value");
	*own->ret_value = value;
	return 0;
}

/* Returns 0, an exit code, or -1: there is no such setting. */
static int setting_flag(struct option *o, struct args *a, enum conf_scope scope)
{
	const struct setting *s = setting_find(o->name, o->len, scope);
	bool negated = s == NULL && o->len > 3 && memcmp(o->name, "no-", 3) == 0 && o->inline_value == NULL;
	if (negated)
		s = setting_find(o->name + 3, o->len - 3, scope);
	if (s == NULL || (negated && s->type != SETTING_BOOL))
		return -1;
	const char *value = negated ? "no" : s->type == SETTING_BOOL && o->inline_value == NULL ? "yes" : value_of(o);
	if (value == NULL)
		return report(o, "needs a value");
	a->flags = mem_resize(a->flags, a->flag_count + 1, sizeof(*a->flags));
	a->flags[a->flag_count++] = (struct args_flag) { s, value, mem_format("--%.*s", (int)o->len, o->name) };
	return 0;
}

static int option(struct option *o, struct args *a, struct conf_args *args)
{
	int code = own_option(o, args->options);
	if (code < 0 && args->scope != CONF_NONE && is(o, "config")) {
		a->config = value_of(o);
		return a->config != NULL ? 0 : report(o, "needs a value");
	}
	if (code < 0)
		code = setting_flag(o, a, args->scope);
	if (code < 0 && setting_find(o->name, o->len, CONF_ALL) != NULL)
		return report(o, "this command doesn't take it as an option; set it in the file or the environment");
	return code < 0 ? report(o, "no such option; see --help") : code;
}

static struct option option_at(const char *arg, const char *next)
{
	struct option o = { .dashes = "-", .name = arg + 1, .len = 1, .next = next };
	if (arg[1] == '-') {
		o = (struct option) { .dashes = "--", .name = arg + 2, .len = strcspn(arg + 2, "="), .next = next };
		o.inline_value = o.name[o.len] == '=' ? o.name + o.len + 1 : NULL;
	} else if (arg[2] != '\0')
		o.inline_value = arg + 2;
	return o;
}

int args_parse(struct args *a, struct conf_args *args)
{
	*a = (struct args) { 0 };
	bool options = true;
	int code = 0;
	args->operands = mem_zeroed((size_t)args->argc + 1, sizeof(char *));
	for (int i = 0; i < args->argc && code == 0; i++) {
		char *arg = args->argv[i];
		if (options && strcmp(arg, "--") == 0) {
			options = false;
		} else if (options && (strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0)) {
			args->help = true;
			return 0;
		} else if (options && arg[0] == '-' && arg[1] != '\0') {
			struct option o = option_at(arg, i + 1 < args->argc ? args->argv[i + 1] : NULL);
			code = option(&o, a, args);
			i += o.next_is_value;
		} else
			args->operands[args->operand_count++] = arg;
	}
	return code;
}

void args_release(struct args *a)
{
	for (size_t i = 0; i < a->flag_count; i++)
		free((char *)(uintptr_t)a->flags[i].spelled);
	free(a->flags);
}

int conf_parse_args(struct conf_args *args)
{
	struct args a;
	int code = args_parse(&a, args);
	args_release(&a);
	return code;
}

void conf_args_release(struct conf_args *args)
{
	free(args->operands);
	args->operands = NULL;
	args->operand_count = 0;
}
