/* SPDX-License-Identifier: MIT
 * The system user of this process, and giving up root for good. */
#ifndef BASE_IDENTITY_H
#define BASE_IDENTITY_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/status.h"

struct identity {
	uid_t uid;
	gid_t gid;
	char name[64], home[256];
};

bool identity_find(const char *name, struct identity *ret);
bool identity_of(uid_t uid, struct identity *ret); /* false: that number has no name */

/* From root to id, with its groups and environment, in a way that can't be undone. The process may be traced and dump
 * core afterwards, as if it had been started by that user. errno says why not. */
enum status identity_become(const struct identity *id) MUST_CHECK;

#endif
