/* SPDX-License-Identifier: MIT
 * The files that the supervisor opens for its workers, which can't do that themselves (base/broker.h). Their names are
 * those of the supervisor's settings. */
#ifndef SERVE_FILES_H
#define SERVE_FILES_H

#include "base/broker.h"
#include "base/buf.h"
#include "base/status.h"

struct conf;

/* Returns a descriptor, which is close-on-exec and doesn't block, or -1 with errno set. */
int files_open(const struct conf *conf, enum broker_file file);

/* Checks at the start that the access log can be opened. */
enum status files_check(const struct conf *conf, struct buf *why) MUST_CHECK;

#endif
