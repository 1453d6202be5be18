/* SPDX-License-Identifier: MIT
 * See privileges.h. Failures aren't reported: what the kernel refuses here, a container has already taken away. */
#include "base/privileges.h"

#include <limits.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/build.h"

#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#endif

void privileges_close_inherited(int from) { close_range((unsigned)from, UINT_MAX, 0); }

void privileges_bound(void)
{
	for (int capability = 0; prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0; capability++)
		;
}

void privileges_drop(bool debuggable)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = { 0 };
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	privileges_bound();
	syscall(SYS_capset, &head, none); /* the ambient set follows */
	struct rlimit core;
	if (debuggable || getrlimit(RLIMIT_CORE, &core) < 0)
		return;
	core.rlim_cur = 0;
	setrlimit(RLIMIT_CORE, &core);
}

int privileges_landlock_version(void)
{
	enum { GET_VERSION = 1 };
	return (int)syscall(SYS_landlock_create_ruleset, NULL, 0, GET_VERSION);
}

void privileges_hide(void)
{
	if (!BUILD_SANITIZED)
		prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}
