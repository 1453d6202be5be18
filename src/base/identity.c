/* SPDX-License-Identifier: MIT
 * See identity.h. */
#include "base/identity.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/privileges.h"

static bool copy(const struct passwd *pw, struct identity *ret)
{
	if (pw == NULL)
		return false;
	ret->uid = pw->pw_uid;
	ret->gid = pw->pw_gid;
	return snprintf(ret->name, sizeof(ret->name), "%s", pw->pw_name) < (int)sizeof(ret->name) &&
		snprintf(ret->home, sizeof(ret->home), "%s", pw->pw_dir) < (int)sizeof(ret->home);
}

bool identity_find(const char *name, struct identity *ret) { return copy(getpwnam(name), ret); }
bool identity_of(uid_t uid, struct identity *ret) { return copy(getpwuid(uid), ret); }

enum status identity_become(const struct identity *id)
{
	/* The user's supplementary groups are left out: that of Debian's postgres may read TLS keys (ssl-cert). */
	privileges_bound();
	if (setgroups(0, NULL) < 0 || setresgid(id->gid, id->gid, id->gid) < 0 ||
		setresuid(id->uid, id->uid, id->uid) < 0)
		return ST_SYSTEM;
	if (id->uid != 0 && (setuid(0) == 0 || geteuid() != id->uid || getegid() != id->gid)) {
		errno = EPERM;
		return ST_SYSTEM;
	}
	/* Otherwise /proc/self belongs to root, and neither a debugger nor a leak checker works. */
	prctl(PR_SET_DUMPABLE, 1);
	/* libpq looks for its password file there, and root's isn't readable any more. */
	setenv("HOME", id->home, 1);
	setenv("USER", id->name, 1);
	setenv("LOGNAME", id->name, 1);
	return ST_OK;
}
