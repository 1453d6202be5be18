/* SPDX-License-Identifier: MIT
 * The system user of this process, and dropping root's privileges for good. */
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
bool identity_of(uid_t uid, struct identity *ret); /* false: no user has that number */

/* Changes the process from root to id, with its primary group only and its environment, irrevocably. It can be traced
 * and dump core afterwards, as if that user had started it. errno is set on failure. */
enum status identity_become(const struct identity *id) MUST_CHECK;

#endif
