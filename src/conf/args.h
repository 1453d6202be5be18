/* SPDX-License-Identifier: MIT
 * Parses a command line into operands, the command's own options and flags of settings, whose values aren't checked
 * here. getopt_long(3) doesn't fit: it needs a table of its own, and allows one spelling for each option. */
#ifndef CONF_ARGS_H
#define CONF_ARGS_H

#include "conf/conf.h"

struct setting;

struct args_flag {
	const struct setting *setting;
	const char *value, *spelled; /* spelled: "--rate-sends", for messages; owned by args */
};

struct args {
	struct args_flag *flags; /* in the given order */
	size_t flag_count;
	const char *config; /* of --config; NULL: not given */
};

/* Returns 0 or CONF_EXIT_USAGE. The caller releases it in either case. */
int args_parse(struct args *a, struct conf_args *args);
void args_release(struct args *a);

#endif
