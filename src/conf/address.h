/* SPDX-License-Identifier: MIT
 * Addresses in settings: to listen on, trusted proxies, origins. Numeric only: a name would have to be resolved, and
 * its address can change. Each parser returns NULL, or what was expected instead. */
#ifndef CONF_ADDRESS_H
#define CONF_ADDRESS_H

#include "conf/conf.h"

const char *address_parse_listen(const char *text, struct conf_listen *ret); /* ret->text is not set */
const char *address_parse_net(const char *text, struct conf_net *ret);
/* Both return a new string, in the form in which addresses are compared. */
const char *address_parse_origin(const char *text, char **ret);
const char *address_parse_url(const char *text, char **ret);

void address_format_net(const struct conf_net *net, char out[64]);

#endif
