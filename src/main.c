/* SPDX-License-Identifier: MIT
 * The sub-commands. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/build.h"
#include "base/secret.h"
#include "base/service.h"
#include "cli/command.h"
#include "serve/supervisor.h"

/* The variables that the service manager has set. */
static struct service service;

static int serve_command(const struct command *self, const struct conf *conf, const struct conf_args *args)
{
	if (args->operand_count > 0)
		return command_misused(self);
	conf_warn_environment(stderr);
	conf_warn_settings(conf, stderr);
	return supervisor_run(
		(struct conf *)(uintptr_t)conf, &service); /* run() owns it, and doesn't use it after this */
}

static const struct command commands[] = {
	{ "serve", "serve [OPTION]…", "run the server", CONF_ALL, NULL, serve_command },
	{ "user",
		"user add NAME [--admin]\nuser list\nuser passwd NAME\nuser disable NAME\nuser enable NAME\nuser "
		"promote NAME\nuser demote NAME\nuser delete NAME\nuser reset-link NAME",
		"manage accounts; a password is read from standard input, or generated and printed", CONF_DATABASE,
		user_options, user_command },
	{ "token", "token NAME [--label TEXT] [--expires 30d]", "print a new token for a user", CONF_DATABASE,
		token_options, token_command },
	{ "chat", "chat list [--json]\nchat show CHAT [--json]\nchat delete CHAT",
		"show or delete chats, without their messages", CONF_DATABASE, chat_options, chat_command },
	{ "report", "report list [--all] [--json]\nreport resolve REPORT [--delete]",
		"list and resolve reported messages", CONF_DATABASE, report_options, report_command },
	{ "audit", "audit [--limit NUMBER] [--json]", "print the actions of administrators, newest first",
		CONF_DATABASE, audit_options, audit_command },
	{ "retention", "retention [DURATION|off] [--chat CHAT] [--json]",
		"show or set how long messages are kept, in all chats or in one", CONF_DATABASE, retention_options,
		retention_command },
	{ "announce", "announce TEXT… [--until TIME]", "announce a text to all users, now or when they connect",
		CONF_DATABASE, announce_options, announce_command },
	{ "maintenance", "maintenance TEXT…\nmaintenance --off",
		"start or end maintenance, when only administrators can write", CONF_DATABASE, maintenance_options,
		maintenance_command },
	{ "migrate", "migrate [--status]", "apply pending migrations to the database; serve does that, too",
		CONF_DATABASE, migrate_options, migrate_command },
	{ "backup", "backup FILE [--kind dump|base] [--force]",
		"write the database to a file, whether or not a server runs", CONF_DATABASE, backup_options,
		backup_command },
	{ "restore", "restore FILE [--force]", "restore a database from a backup; the server has to be stopped",
		CONF_DATABASE, restore_options, restore_command },
	{ "upgrade-database", "upgrade-database [--check] [--clone] [--old-bindir DIR]\nupgrade-database --remove-old",
		"move the private database to a newer version of PostgreSQL; the server has to be stopped",
		CONF_DATABASE, upgrade_options, upgrade_command },
	{ "check-config", "check-config [OPTION]…", "print the settings in effect and the origin of each", CONF_ALL,
		NULL, check_config_command },
	{ "doctor", "doctor [--json] [--proxy-file FILE] [OPTION]…",
		"check settings, system, network and database for problems, and print what to do", CONF_ALL,
		doctor_options, doctor_command },
	{ "send", "send CHAT [TEXT…] [--key KEY] [--reply-to ID] [--json]",
		"send a message (or standard input) to a chat (its number or @NAME), and print its id", CONF_NONE,
		send_options, send_command },
	{ "chats", "chats [--json]", "list the chats of the token's user", CONF_NONE, chats_options, chats_command },
	{ "tail", "tail [CHAT] [-n NUMBER | --since WHEN] [--cursor-file FILE] [--json]", "print new messages",
		CONF_NONE, tail_options, tail_command },
};

static const size_t command_count = sizeof(commands) / sizeof(commands[0]);

static int help(void)
{
	puts("usage: postern COMMAND [OPTION]…\n\nA chat server over plain HTTP.\n\nCommands:");
	for (size_t i = 0; i < command_count; i++)
		printf("  %-16s  %s\n", commands[i].name, commands[i].summary);
	puts("\nsend, chats and tail are clients: set POSTERN_URL [http://127.0.0.1:8080] and POSTERN_TOKEN.\n"
	     "`postern COMMAND --help` describes a command; `postern --version` prints the version.");
	return EXIT_SUCCESS;
}

static int command_help(const struct command *c)
{
	command_print_usage(c, stdout);
	printf("\n%s\n\n", c->summary);
	conf_help(c->scope, c->options, stdout);
	return EXIT_SUCCESS;
}

static int run(const struct command *c, int argc, char **argv)
{
	struct conf conf = { 0 };
	struct conf_args args = { .argc = argc, .argv = argv, .scope = c->scope, .options = c->options };
	int code = c->scope == CONF_NONE ? conf_parse_args(&args) : conf_load(&conf, &args);
	if (code == 0)
		code = args.help ? command_help(c) : c->run(c, c->scope == CONF_NONE ? NULL : &conf, &args);
	conf_release(&conf);
	conf_args_release(&args);
	return code;
}

static int dispatch(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "";
	service_init(&service);
	if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0)
		return help();
	if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0) {
		printf("postern %s (%s)\n", build_version, build_commit);
		return EXIT_SUCCESS;
	}
	secret_setup(); /* before any fork: the workers' tables share its key */
	for (size_t i = 0; i < command_count; i++)
		if (strcmp(name, commands[i].name) == 0)
			return run(&commands[i], argc - 2, argv + 2);
	fprintf(stderr,
		*name != '\0' ? "postern: %s: no such command; see postern --help\n"
			      : "postern: a command is missing; see postern --help%s\n",
		name);
	return CONF_EXIT_USAGE;
}

int main(int argc, char **argv)
{
	signal(SIGCHLD,
		SIG_DFL); /* a parent that ignores SIGCHLD passes that on, and the end of a child would be lost */
	int code = dispatch(argc, argv);
	if (command_close_output() != 0 && code == EXIT_SUCCESS) /* a token that couldn't be printed is a failure */
		code = CONF_EXIT_IO;
	return code;
}
