/* SPDX-License-Identifier: MIT
 * Takes a command line apart into operands, the command's own options and flags of settings, whose values are not
 * looked at here. getopt_long(3) doesn't do: it wants to know the options in a table of its own, and in one spelling.
 */
#ifndef CONF_ARGS_H
#define CONF_ARGS_H

#include "conf/conf.h"

struct setting;

struct args_flag {
	const struct setting *setting;
	const char *value, *spelled; /* "--rate-sends", for messages; owned by args */
};

struct args {
	struct args_flag *flags; /* in their order */
	size_t flag_count;
	const char *config; /* of --config; NULL: not given */
};

/* 0 or CONF_EXIT_USAGE. Release it in either case. */
int args_parse(struct args *a, struct conf_args *args);
void args_release(struct args *a);

#endif
