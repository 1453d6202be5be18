/* SPDX-License-Identifier: MIT
 * See conf.h: collects the settings from their sources. All mistakes are reported, not only the first, each with its
 * place in the source ("/etc/postern.conf:12: …"). */
#include "conf/conf.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/identity.h"
#include "base/log.h"
#include "base/mem.h"
#include "conf/args.h"
#include "conf/secret_file.h"
#include "conf/settings.h"
#include "conf/value.h"

#ifndef CONFIG_FILE
#define CONFIG_FILE "/etc/postern.conf"
#endif

static const char default_file[] = CONFIG_FILE;
static const char env_prefix[] = "POSTERN_";

enum { LINE_LENGTH_MAX = 8192 };

/* The source that is being read: file, environment or flags. */
struct source {
	struct conf *conf;
	int exit_code; /* of the first mistake */
	FILE *file;
	const char *path;
	unsigned line;
	const struct conf *before; /* NULL: this isn't a reload */
};

static void report(struct source *src, int exit_code, const char *where, const char *what)
{
	if (src->before != NULL)
		log_error("%s: %s", where, what);
	else
		fprintf(stderr, "postern: %s: %s\n", where, what);
	if (src->exit_code == 0)
		src->exit_code = exit_code;
}

/* A source's first value replaces those of weaker sources; further ones are added to a list. */
static bool set_from(struct conf *c, const struct setting *s, struct conf_origin from, const char *text,
	char error[SETTING_ERROR_MAX])
{
	struct conf_origin *origin = &c->origin[setting_index(s)];
	if (origin->kind != from.kind)
		setting_clear(c, s);
	*origin = from;
	return setting_add(c, s, text, error);
}

static void set_defaults(struct conf *c)
{
	char error[SETTING_ERROR_MAX];
	for (const struct setting *s = settings; s->name != NULL; s++)
		if (s->def != NULL && !setting_add(c, s, s->def, error))
			fatal("default of %s: %s", s->name, error);
}

static void set_pair(struct source *src, const char *name, const char *value)
{
	char where[PATH_MAX + 128], error[SETTING_ERROR_MAX];
	snprintf(where, sizeof(where), "%s:%u", src->path, src->line);
	const struct setting *s = setting_find(name, strlen(name), CONF_ALL);
	if (s == NULL) {
		snprintf(error, sizeof(error), "%.80s: no such setting", name);
		report(src, CONF_EXIT_CONFIG, where, error);
		return;
	}
	size_t len = strlen(where);
	snprintf(where + len, sizeof(where) - len, ": %s", s->name);
	struct conf_origin *origin = &src->conf->origin[setting_index(s)];
	if (origin->kind == CONF_FILE && !setting_is_list(s)) {
		snprintf(error, sizeof(error), "given before, in line %u", origin->line);
		report(src, CONF_EXIT_CONFIG, where, error);
	} else if (!set_from(src->conf, s, (struct conf_origin) { CONF_FILE, src->line }, value, error))
		report(src, CONF_EXIT_CONFIG, where, error);
}

/* Removes blanks at both ends. */
static char *trimmed(char *text)
{
	text += strspn(text, " \t");
	size_t len = strlen(text);
	while (len > 0 && strchr(" \t\r\n", text[len - 1]) != NULL)
		text[--len] = '\0';
	return text;
}

/* A comment begins with # or ; at the beginning of the line or after a blank. */
static void cut_comment(char *line)
{
	for (char *p = line; *p != '\0'; p++)
		if ((*p == '#' || *p == ';') && (p == line || p[-1] == ' ' || p[-1] == '\t'))
			*p = '\0';
}

/* A line is NAME = VALUE or NAME: VALUE, [SECTION], or empty. Sections, and text after the bracket, have no meaning:
 * they are for the file's readers. */
static void parse_line(struct source *src, char *line)
{
	char where[PATH_MAX + 16];
	snprintf(where, sizeof(where), "%s:%u", src->path, src->line);
	if (src->line == 1 && strncmp(line, "\xef\xbb\xbf", 3) == 0) /* a byte order mark */
		line += 3;
	cut_comment(line);
	line = trimmed(line);
	size_t len = strlen(line), name_len = strcspn(line, "=:");
	if (len > LINE_LENGTH_MAX) {
		report(src, CONF_EXIT_CONFIG, where, "the line is too long");
		return;
	}
	if (len == 0 || (line[0] == '[' && strchr(line, ']') != NULL))
		return;
	if (line[0] == '[' || name_len == len) {
		report(src, CONF_EXIT_CONFIG, where, "expected NAME = VALUE");
		return;
	}
	line[name_len] = '\0';
	set_pair(src, trimmed(line), trimmed(line + name_len + 1));
}

static void parse_file(struct source *src)
{
	char *line = NULL;
	size_t allocated = 0;
	while (getline(&line, &allocated, src->file) >= 0) {
		src->line++;
		parse_line(src, line);
	}
	free(line);
	if (ferror(src->file))
		report(src, CONF_EXIT_CONFIG, src->path, "can't be read");
}

static bool same_content(FILE *a, FILE *b)
{
	int x, y;
	do {
		x = getc(a);
		y = getc(b);
	} while (x == y && x != EOF);
	rewind(a);
	rewind(b);
	return x == y;
}

/* Opens the usual file, or the copy that a service manager has made of it or of another file
 * (LoadCredential=postern.conf:…) for a user who may not read the original. If both have the same content, the original
 * is used, since the copy doesn't follow its changes. */
static FILE *open_usual(const char **ret_path)
{
	static char copy_path[PATH_MAX];
	const char *dir = getenv("CREDENTIALS_DIRECTORY");
	FILE *file = fopen(default_file, "re"), *copy = NULL;
	int saved = errno;
	*ret_path = default_file;
	if (dir != NULL && *dir == '/' &&
		snprintf(copy_path, sizeof(copy_path), "%s/postern.conf", dir) < (int)sizeof(copy_path))
		copy = fopen(copy_path, "re");
	errno = saved;
	if (copy == NULL)
		return file;
	if (file != NULL && same_content(file, copy)) {
		fclose(copy);
		return file;
	}
	if (file != NULL)
		fclose(file);
	*ret_path = copy_path;
	return copy;
}

/* Reads the file that --config names, else POSTERN_CONFIG, else the usual one if it exists. */
static void read_config(struct source *src, const char *flag)
{
	const char *env = getenv("POSTERN_CONFIG");
	bool named = flag != NULL || (env != NULL && *env != '\0');
	src->path = flag != NULL ? flag : env;
	if (!named && src->before != NULL && src->before->file != NULL) {
		src->path = src->before->file;
		named = true;
	}
	src->file = named ? fopen(src->path, "re") : open_usual(&src->path);
	if (src->file == NULL) {
		bool dropped = src->before != NULL && errno == EACCES && src->before->uid != geteuid();
		if (dropped)
			report(src, CONF_EXIT_CONFIG, src->path,
				"it was read by another user at the start, and the server's user may not read it: "
				"restart, or let its group read it (chmod 0640)");
		else if (named || errno != ENOENT)
			report(src, CONF_EXIT_CONFIG, src->path, strerror(errno));
		return;
	}
	src->conf->file = mem_strdup(src->path);
	parse_file(src);
	fclose(src->file);
}

static void env_name(const struct setting *s, char out[64])
{
	int n = snprintf(out, 64, "%s%s", env_prefix, s->name);
	for (int i = 0; i < n; i++)
		if (out[i] >= 'a' && out[i] <= 'z')
			out[i] -= 'a' - 'A';
}

/* An empty variable counts as unset, since container tools pass one for a value that isn't given. */
static void read_environment(struct source *src)
{
	char name[64], error[SETTING_ERROR_MAX];
	for (const struct setting *s = settings; s->name != NULL; s++) {
		if (s->type == SETTING_HEADING)
			continue;
		env_name(s, name);
		const char *value = getenv(name);
		if (value != NULL && *value != '\0' &&
			!set_from(src->conf, s, (struct conf_origin) { CONF_ENV, 0 }, value, error))
			report(src, CONF_EXIT_CONFIG, name, error);
	}
}

static void apply_flags(struct source *src, const struct args *a)
{
	char error[SETTING_ERROR_MAX];
	for (size_t i = 0; i < a->flag_count; i++) {
		const struct args_flag *f = &a->flags[i];
		if (!set_from(src->conf, f->setting, (struct conf_origin) { CONF_FLAG, 0 }, f->value, error))
			report(src, CONF_EXIT_USAGE, f->spelled, error);
	}
}

/* Reads it only at the start: later this process may not be allowed to, and connections keep the first value. */
static void read_password(struct source *src)
{
	struct conf *c = src->conf;
	char where[PATH_MAX + 16];
	if (c->database_password_file == NULL || c->database == NULL || src->before != NULL)
		return;
	const char *wrong = secret_file_read(c->database_password_file, &c->database_password);
	snprintf(where, sizeof(where), "database_password_file: %s", c->database_password_file);
	if (wrong != NULL)
		report(src, CONF_EXIT_CONFIG, where, wrong);
}

/* Completes settings that depend on the machine or on several settings. */
static void complete(struct source *src)
{
	struct conf *c = src->conf;
	read_password(src);
	const char *given = getenv("STATE_DIRECTORY"), *home = getenv("HOME");
	struct identity self;
	if (c->listen_count == 0)
		report(src, CONF_EXIT_CONFIG, "listen", "at least one address is needed");
	if (c->state != NULL)
		return;
	if (given != NULL && *given != '\0') /* systemd may give several, separated by colons */
		c->state = mem_format("%.*s", (int)strcspn(given, ":"), given);
	else if (geteuid() == 0)
		c->state = mem_format("/var/lib/postern");
	else if (home != NULL && *home != '\0')
		c->state = mem_format("%s/.local/share/postern", home);
	else if (identity_of(geteuid(), &self))
		c->state = mem_format("%s/.local/share/postern", self.home);
	else if (c->database == NULL) /* an external database needs no state directory */
		report(src, CONF_EXIT_CONFIG, "state",
			"not set, and neither is HOME: name the state directory with --state DIR (POSTERN_STATE)");
}

int conf_load(struct conf *c, struct conf_args *args) { return conf_load_again(c, args, NULL); }

int conf_load_again(struct conf *c, struct conf_args *args, const struct conf *before)
{
	struct args a;
	struct source src = { .conf = c, .before = before };
	*c = (struct conf) { .args = args, .uid = geteuid() };
	int code = args_parse(&a, args);
	if (code == 0 && !args->help) {
		set_defaults(c);
		read_config(&src, a.config);
		read_environment(&src);
		apply_flags(&src, &a);
		complete(&src);
		code = src.exit_code;
	}
	args_release(&a);
	return code;
}

void conf_release(struct conf *c)
{
	for (const struct setting *s = settings; s->name != NULL; s++)
		setting_clear(c, s);
	secret_file_forget(&c->database_password);
	free(c->file);
	c->file = NULL;
}

/* "# default", "# /etc/postern.conf:12", "# POSTERN_WORKERS" or "# --workers". */
static void print_origin(const struct conf *c, const struct setting *s, FILE *out)
{
	const struct conf_origin *origin = &c->origin[setting_index(s)];
	char name[64];
	env_name(s, name);
	if (origin->kind == CONF_FILE)
		fprintf(out, "# %s:%u", c->file, origin->line);
	else if (origin->kind == CONF_ENV)
		fprintf(out, "# %s", name);
	else if (origin->kind == CONF_FLAG) {
		fputs("# --", out);
		for (const char *p = s->name; *p != '\0'; p++)
			fputc(*p == '_' ? '-' : *p, out);
	} else
		fputs("# default", out);
	fputs(s->flags & SETTING_FIXED ? "; a change needs a restart\n" : "\n", out);
}

void conf_print(const struct conf *c, FILE *out)
{
	for (const struct setting *s = settings; s->name != NULL; s++) {
		if (s->type == SETTING_HEADING) {
			fprintf(out, "%s# %s\n", s == settings ? "" : "\n", s->name);
			continue;
		}
		char *value = setting_format(c, s);
		int n = fprintf(out, "%s = %s", s->name, value != NULL ? value : "");
		fprintf(out, "%*s", n < 40 ? 40 - n : 1, "");
		print_origin(c, s, out);
		free(value);
	}
}

unsigned conf_warn_environment(FILE *out)
{
	static const char *const others[] = { "CONFIG", "URL", "TOKEN", NULL }; /* read elsewhere, not from the table */
	unsigned unknown = 0;
	for (char **e = environ; *e != NULL; e++) {
		char name[64];
		size_t len = strcspn(*e, "="), prefix = strlen(env_prefix), i = 0;
		if (strncmp(*e, env_prefix, prefix) != 0)
			continue;
		snprintf(name, sizeof(name), "%.*s", (int)(len - prefix), *e + prefix);
		while (others[i] != NULL && strcmp(others[i], name) != 0)
			i++;
		for (char *p = name; *p != '\0'; p++)
			*p = (char)(*p >= 'A' && *p <= 'Z' ? *p + ('a' - 'A') : *p);
		if (others[i] == NULL && setting_find(name, strlen(name), CONF_ALL) == NULL) {
			fprintf(out, "postern: %.*s: no such setting; ignored\n", (int)len, *e);
			unknown++;
		}
	}
	return unknown;
}

void conf_warn_settings(const struct conf *c, FILE *out)
{
	if (c->database_password_file != NULL && c->database == NULL)
		fputs("postern: database_password_file without database: the private database needs no password\n",
			out);
	if (c->database_read != NULL && c->database == NULL)
		fputs("postern: database_read without database: the private database has no standby; ignored\n", out);
	if (c->jwt_keys != NULL && c->jwt_audience == NULL && c->jwt_issuer == NULL)
		fputs("postern: jwt_keys without jwt_audience and jwt_issuer: every JWT signed by these keys is "
		      "accepted, also one for another service\n",
			out);
}

bool conf_parse_duration(const char *text, uint64_t *ret_seconds) { return value_parse_duration(text, ret_seconds); }

const char *conf_public_path(const struct conf *c)
{
	const char *host = c->public_url != NULL ? strstr(c->public_url, "://") : NULL;
	const char *path = host != NULL ? strchr(host + 3, '/') : NULL;
	return path != NULL ? path : "";
}
