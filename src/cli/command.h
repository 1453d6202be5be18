/* SPDX-License-Identifier: MIT
 * A sub-command: a row in main's table. */
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

#include "conf/conf.h"

struct command {
	const char *name;
	const char *synopsis; /* what follows `postern`; several forms are separated by newlines */
	const char *summary;
	enum conf_scope scope; /* CONF_NONE: run gets no settings (NULL) */
	const struct conf_option *options;
	int (*run)(const struct command *self, const struct conf *conf,
		const struct conf_args *args); /* the exit status */
};

/* "usage: postern …" */
void command_print_usage(const struct command *c, FILE *out);
int command_misused(const struct command *c); /* prints the usage, and returns CONF_EXIT_USAGE */
/* Prints "postern: …" on standard error and returns EXIT_FAILURE. */
int command_failed(const char *fmt, ...) PRINTF_LIKE(1, 2);

/* Flushes standard output. Returns 0, or prints why it can't be written and returns CONF_EXIT_IO. */
int command_close_output(void);

extern const struct conf_option send_options[], chats_options[], doctor_options[];
extern const struct conf_option chat_options[], report_options[], audit_options[], retention_options[];
extern const struct conf_option backup_options[], restore_options[];
extern const struct conf_option upgrade_options[];
extern const struct conf_option announce_options[], maintenance_options[];
extern const struct conf_option user_options[], token_options[], migrate_options[], tail_options[];

int user_command(const struct command *self, const struct conf *conf, const struct conf_args *args);
int token_command(const struct command *self, const struct conf *conf, const struct conf_args *args);
int migrate_command(const struct command *self, const struct conf *conf, const struct conf_args *args);
int backup_command(const struct command *self, const struct conf *conf, const struct conf_args *args);
int restore_command(const struct command *self, const struct conf *conf, const struct conf_args *args);
int upgrade_command(const struct command *self, const struct conf *conf, const struct conf_args *args);
int check_config_command(const struct command *self, const struct conf *conf, const struct conf_args *args);
int chat_command(const struct command *self, const struct conf *conf, const struct conf_args *args);
int report_command(const struct command *self, const struct conf *conf, const struct conf_args *args);
int audit_command(const struct command *self, const struct conf *conf, const struct conf_args *args);
int retention_command(const struct command *self, const struct conf *conf, const struct conf_args *args);
int announce_command(const struct command *self, const struct conf *conf, const struct conf_args *args);
int maintenance_command(const struct command *self, const struct conf *conf, const struct conf_args *args);
int send_command(const struct command *self, const struct conf *conf, const struct conf_args *args);
int doctor_command(const struct command *self, const struct conf *conf, const struct conf_args *args);
int chats_command(const struct command *self, const struct conf *conf, const struct conf_args *args);
int tail_command(const struct command *self, const struct conf *conf, const struct conf_args *args);

#endif
