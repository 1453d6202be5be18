/* SPDX-License-Identifier: MIT
 * The settings: one struct, filled from defaults, file, environment and flags, each overriding the one before.
 *
 * One table (table.c) defines the settings: a setting's flag (--rate-sends), its variable (POSTERN_RATE_SENDS), its
 * key in the file (rate_sends), the help and what check-config prints are derived from it. A new setting is a member
 * here and a row there. After conf_load() only SIGHUP changes settings, and only those that aren't marked as fixed.
 * Code that keeps a copy of such a value updates it in apply_settings() of serve/worker.c. */
#ifndef CONF_CONF_H
#define CONF_CONF_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>

#include "base/log.h"

struct buf;

/* EX_USAGE of this program, and EX_IOERR and EX_CONFIG of sysexits(3). */
enum { CONF_EXIT_USAGE = 2, CONF_EXIT_IO = 74, CONF_EXIT_CONFIG = 78 };

enum { CONF_SETTINGS_MAX = 64 };

/* The values of the setting forwarded_header. */
enum conf_forwarded { FORWARDED_X, FORWARDED_STANDARD };

/* The values of the setting registration. */
enum conf_registration { REGISTRATION_CLOSED, REGISTRATION_INVITE, REGISTRATION_OPEN };

struct conf_listen {
	char *text; /* as written: "127.0.0.1:8080", "[::]:8080", "unix:/run/postern.sock" */
	union {
		struct sockaddr sa;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
		struct sockaddr_un un;
	} addr;
	socklen_t len; /* of addr */
};

struct conf_net {
	int family; /* AF_INET, AF_INET6; AF_UNIX: every client of a Unix socket */
	unsigned char addr[16];
	unsigned prefix; /* bits */
};

/* The source of a value. */
struct conf_origin {
	enum { CONF_DEFAULT, CONF_FILE, CONF_ENV, CONF_FLAG } kind;
	unsigned line; /* of the file */
};

/* Sizes are in bytes, durations in seconds, rates per minute; a limit of 0 means none. Strings are NULL only where
 * noted. */
struct conf {
	/* where */
	struct conf_listen *listen;
	size_t listen_count;               /* at least 1 */
	struct conf_listen metrics_listen; /* text is NULL: none */
	char *state;                       /* directory; NULL only if there is a database and no default directory */
	char *database;                    /* conninfo; NULL: the private cluster in the state directory */
	char *database_read;               /* conninfo of a standby of that database; NULL: none */
	char *database_password_file;      /* NULL: none */
	char *pg_bindir;                   /* directory of initdb and postgres; NULL: searched for */
	char *user;       /* to become when started as root; NULL: postern, else postgres, whichever exists */
	char *public_url; /* "https://chat.example.org", perhaps with a path, without a slash at the end; NULL: unset */
	struct conf_net *trusted_proxies;
	size_t trusted_count;
	enum conf_forwarded forwarded_header;
	char **cors_origins; /* "https://app.example.org", lower case; "*" for any */
	size_t cors_count;

	/* how */
	unsigned workers;
	bool demo;
	bool debuggable;
	enum conf_registration registration;
	char *jwt_keys, *jwt_issuer, *jwt_audience; /* NULL: none, any */
	bool jwt_create;
	unsigned jwt_ttl_max; /* seconds; 0: none */
	bool deletion_removes_messages;
	enum log_level log_level;
	enum log_format log_format;
	char *access_log; /* "off", "on" or a file; NULL: off */

	/* limits for a request */
	size_t text_max, body_max, bulk_max, header_max;
	unsigned members_max;
	unsigned reactions_max;
	unsigned chats_max, rate_strangers; /* strangers an hour */

	/* limits for a user and for a worker */
	unsigned rate_sends, rate_sends_burst, rate_actions, rate_logins, rate_tokens, rate_searches, rate_joins,
		rate_invite, rate_exports;
	unsigned streams_per_user;
	unsigned streams_max; /* a worker; 0: as many as descriptors allow */
	size_t stream_queue_max, ring_bytes;
	size_t bodies_max, answers_max; /* a worker */
	unsigned connections_per_address;

	/* times, in seconds */
	unsigned session_ttl, key_ttl, tombstone_ttl;
	unsigned heartbeat, poll_wait, database_timeout, send_wait;

	/* set by conf itself */
	char *file;              /* the file that was read; NULL: none */
	uid_t uid;               /* the user who has read it */
	char *database_password; /* the content of database_password_file; NULL: none. Never shown */
	struct conf_origin origin[CONF_SETTINGS_MAX];
	const struct conf_args *args;
};

/* Which settings a command takes as flags: those of the database commands, or all. The file and the environment are
 * read in full in either case, so that every command reports a mistake there. */
enum conf_scope { CONF_NONE, CONF_DATABASE, CONF_ALL };

/* An option of one command, besides the settings: --expires 30d, --admin. An array of these ends with a NULL name. */
struct conf_option {
	const char *name;
	const char *value; /* its value's name in the help ("DURATION"); NULL: a switch, whose ret_value becomes "" */
	const char *help;
	const char **ret_value; /* points into argv; unchanged when the option isn't given */
};

/* A command line, without the command itself. */
struct conf_args {
	int argc;
	char **argv;
	enum conf_scope scope;
	const struct conf_option *options; /* may be NULL */
	char **operands;                   /* out: the operands, ended by a NULL; owned, points into argv */
	int operand_count;
	bool help; /* out: --help was given; nothing else was parsed */
};

/* Fills *c. args and argv must outlive it. Returns 0, or prints all mistakes on standard error and returns
 * CONF_EXIT_USAGE (a flag) or CONF_EXIT_CONFIG (the file, the environment). The caller releases *c and *args in either
 * case. If it has set args->help, *c is empty. */
int conf_load(struct conf *c, struct conf_args *args);
void conf_release(struct conf *c);

/* Parses only the operands and the command's own options, for a command that takes no settings (scope CONF_NONE). */
int conf_parse_args(struct conf_args *args);
void conf_args_release(struct conf_args *args);

/* For SIGHUP: reads the sources again and applies the settings that may change while the server runs. Logs each change,
 * and for a fixed setting that it needs a restart. Returns false if there is a mistake, which is logged; then nothing
 * is changed. */
bool conf_reload(struct conf *live);
/* Writes the names and values of all settings that may change, each ended by a NUL, for the other processes of this
 * server. */
void conf_pack(const struct conf *c, struct buf *out);
void conf_unpack(struct conf *c, const char *text, size_t len);
/* conf_load() for conf_reload(): logs mistakes, and reads the same file as `before` did. */
int conf_load_again(struct conf *c, struct conf_args *args, const struct conf *before);

/* Writes every setting and its value in the file's syntax, with its source as a comment. Passwords are masked. */
void conf_print(const struct conf *c, FILE *out);
void conf_help(enum conf_scope scope, const struct conf_option *options, FILE *out);
/* Reports on out the POSTERN_ variables that are no settings, most likely misspelled ones. Returns their number. */
unsigned conf_warn_environment(FILE *out);

/* Reports on out combinations of settings that are allowed, but are probably mistakes. */
void conf_warn_settings(const struct conf *c, FILE *out);

/* "30d", "12h", "90m", "15s" or plain seconds. */
bool conf_parse_duration(const char *text, uint64_t *ret_seconds);

/* Returns the path of public_url, where the site begins below its host; "" if there is none. */
const char *conf_public_path(const struct conf *c);
/* Returns true if the peer is in trusted_proxies. IPv4 in IPv6 (::ffff:…) counts as IPv4. */
bool conf_is_trusted_proxy(const struct conf *c, const struct sockaddr *peer);
/* Returns true if a page of that origin (the request's Origin, compared exactly) may read answers. */
bool conf_allows_origin(const struct conf *c, const char *origin);

#endif
