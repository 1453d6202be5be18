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

/* What the service manager has told this process. */
static struct service service;

static int serve_command(const struct command *self, const struct conf *conf, const struct conf_args *args)
{
	if (args->operand_count > 0)
		return command_misused(self);
	conf_warn_environment(stderr);
	conf_warn_settings(conf, stderr);
	return supervisor_run(
		(struct conf *)(uintptr_t)conf, &service); /* it is run()'s, and no command goes on after this */
}

static const struct command commands[] = {
	{ "serve", "serve [OPTION]…", "run the server", CONF_ALL, NULL, serve_command },
	{ "user",
		"user add NAME [--admin]\nuser list\nuser passwd NAME\nuser disable NAME\nuser enable NAME\nuser "
		"promote NAME\nuser demote NAME\nuser delete NAME\nuser reset-link NAME",
		"accounts; a password is read from standard input, or made and printed", CONF_DATABASE, user_options,
		user_command },
	{ "token", "token NAME [--label TEXT] [--expires 30d]", "print a new token for a user", CONF_DATABASE,
		token_options, token_command },
	{ "chat", "chat list [--json]\nchat show CHAT [--json]\nchat delete CHAT",
		"all chats, without what is written in them", CONF_DATABASE, chat_options, chat_command },
	{ "report", "report list [--all] [--json]\nreport resolve REPORT [--delete]",
		"messages that were brought before the administrators", CONF_DATABASE, report_options, report_command },
	{ "audit", "audit [--limit NUMBER] [--json]", "what administrators have done, the latest first", CONF_DATABASE,
		audit_options, audit_command },
	{ "retention", "retention [DURATION|off] [--chat CHAT] [--json]",
		"how long messages are kept, in all chats or in one", CONF_DATABASE, retention_options,
		retention_command },
	{ "announce", "announce TEXT… [--until TIME]", "show every user a text, now or when they next connect",
		CONF_DATABASE, announce_options, announce_command },
	{ "maintenance", "maintenance TEXT…\nmaintenance --off",
		"let nobody but administrators write, until it is over", CONF_DATABASE, maintenance_options,
		maintenance_command },
	{ "migrate", "migrate [--status]", "bring the database up to date; serve does that too", CONF_DATABASE,
		migrate_options, migrate_command },
	{ "backup", "backup FILE [--kind dump|base] [--force]",
		"write the database to a file, while a server runs or while none does", CONF_DATABASE, backup_options,
		backup_command },
	{ "restore", "restore FILE [--force]", "put the database of a backup in place; the server has to be stopped",
		CONF_DATABASE, restore_options, restore_command },
	{ "upgrade-database", "upgrade-database [--check] [--clone] [--old-bindir DIR]\nupgrade-database --remove-old",
		"move the private database to a newer version of PostgreSQL; the server has to be stopped",
		CONF_DATABASE, upgrade_options, upgrade_command },
	{ "check-config", "check-config [OPTION]…", "print the settings in effect, and where each comes from", CONF_ALL,
		NULL, check_config_command },
	{ "doctor", "doctor [--json] [--proxy-file FILE] [OPTION]…",
		"look for what keeps a server from starting or working well, and say what to do", CONF_ALL,
		doctor_options, doctor_command },
	{ "send", "send CHAT [TEXT…] [--key KEY] [--reply-to ID] [--json]",
		"send a message (or standard input) to a chat, a number or @NAME, and print its id", CONF_NONE,
		send_options, send_command },
	{ "chats", "chats [--json]", "list the chats that the token's user is in", CONF_NONE, chats_options,
		chats_command },
	{ "tail", "tail [CHAT] [-n NUMBER | --since WHEN] [--cursor-file FILE] [--json]", "print messages as they come",
		CONF_NONE, tail_options, tail_command },
};

static const size_t command_count = sizeof(commands) / sizeof(commands[0]);

static int help(void)
{
	puts("usage: postern COMMAND [OPTION]…\n\nA chat server over plain HTTP.\n\nCommands:");
	for (size_t i = 0; i < command_count; i++)
		printf("  %-16s  %s\n", commands[i].name, commands[i].summary);
	puts("\nsend, chats and tail are clients: POSTERN_URL [http://127.0.0.1:8080] and POSTERN_TOKEN say where "
	     "and as whom.\n"
	     "`postern COMMAND --help` says more about one; `postern --version` prints the version.");
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
	service_take(&service);
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
			      : "postern: which command? See postern --help%s\n",
		name);
	return CONF_EXIT_USAGE;
}

int main(int argc, char **argv)
{
	signal(SIGCHLD, SIG_DFL); /* who started us may have had it ignored, which is inherited: no child's end would be
				     known */
	int code = dispatch(argc, argv);
	if (command_close_output() != 0 && code == EXIT_SUCCESS) /* a token that nobody received is no success */
		code = CONF_EXIT_IO;
	return code;
}
