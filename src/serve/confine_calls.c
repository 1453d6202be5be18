/* SPDX-License-Identifier: MIT
 * The system calls of a worker, including those of glibc's resolver, its threads and dlopen(), and of libcurl. See
 * confine.h.
 *
 * Every other call fails with ENOSYS, as on a kernel that hasn't got it: libraries try a newer call first and fall back
 * to an older one then, and only then (glibc from clone3 to clone, whose flags a filter can see). */
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <linux/sockios.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/build.h"
#include "serve/confine.h"

#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#endif

enum { BINARY_TREE = 2 };

/* Allowed with any arguments. The kernel (since 5.11) doesn't even run the filter for these. */
static const int calls[] = {
	/* the loop, and connections */
	SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait), SCMP_SYS(epoll_pwait2), SCMP_SYS(epoll_ctl),
	SCMP_SYS(epoll_create1), SCMP_SYS(recvfrom), SCMP_SYS(recv), SCMP_SYS(recvmsg), SCMP_SYS(recvmmsg),
	SCMP_SYS(sendto), SCMP_SYS(send), SCMP_SYS(sendmsg), SCMP_SYS(sendmmsg), SCMP_SYS(read), SCMP_SYS(readv),
	SCMP_SYS(write), SCMP_SYS(writev), SCMP_SYS(sendfile), SCMP_SYS(accept), SCMP_SYS(accept4), SCMP_SYS(close),
	SCMP_SYS(shutdown), SCMP_SYS(connect), SCMP_SYS(bind), SCMP_SYS(socketpair), SCMP_SYS(getsockopt),
	SCMP_SYS(setsockopt), SCMP_SYS(getsockname), SCMP_SYS(getpeername), SCMP_SYS(poll), SCMP_SYS(ppoll),
	SCMP_SYS(select), SCMP_SYS(pselect6), SCMP_SYS(pipe), SCMP_SYS(pipe2), SCMP_SYS(eventfd2), SCMP_SYS(fcntl),
	SCMP_SYS(dup), SCMP_SYS(dup2), SCMP_SYS(dup3),
	/* time */
	SCMP_SYS(clock_gettime), SCMP_SYS(clock_getres), SCMP_SYS(clock_nanosleep), SCMP_SYS(gettimeofday),
	SCMP_SYS(nanosleep), SCMP_SYS(time), SCMP_SYS(times),
	/* memory and threads */
	SCMP_SYS(futex), SCMP_SYS(brk), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise), SCMP_SYS(mlock),
	SCMP_SYS(mlock2), SCMP_SYS(munlock), SCMP_SYS(membarrier), SCMP_SYS(rseq), SCMP_SYS(set_robust_list),
	SCMP_SYS(set_tid_address), SCMP_SYS(gettid), SCMP_SYS(getpid), SCMP_SYS(getppid), SCMP_SYS(exit),
	SCMP_SYS(exit_group), SCMP_SYS(sched_yield), SCMP_SYS(sched_getaffinity), SCMP_SYS(sched_getparam),
	SCMP_SYS(sched_getscheduler), SCMP_SYS(sched_get_priority_max), SCMP_SYS(sched_get_priority_min),
	SCMP_SYS(getcpu), SCMP_SYS(get_mempolicy),
	/* signals */
	SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn), SCMP_SYS(rt_sigtimedwait),
	SCMP_SYS(rt_sigpending), SCMP_SYS(sigaltstack), SCMP_SYS(restart_syscall),
	/* files, as far as Landlock allows */
	SCMP_SYS(open), SCMP_SYS(openat), SCMP_SYS(openat2), SCMP_SYS(stat), SCMP_SYS(fstat), SCMP_SYS(lstat),
	SCMP_SYS(newfstatat), SCMP_SYS(fstatat64), SCMP_SYS(statx), SCMP_SYS(statfs), SCMP_SYS(fstatfs),
	SCMP_SYS(access), SCMP_SYS(faccessat), SCMP_SYS(faccessat2), SCMP_SYS(readlink), SCMP_SYS(readlinkat),
	SCMP_SYS(getdents), SCMP_SYS(getdents64), SCMP_SYS(lseek), SCMP_SYS(pread64), SCMP_SYS(fadvise64),
	SCMP_SYS(getcwd),
	/* facts about the process and the machine */
	SCMP_SYS(getrandom), SCMP_SYS(getuid), SCMP_SYS(geteuid), SCMP_SYS(getgid), SCMP_SYS(getegid),
	SCMP_SYS(getresuid), SCMP_SYS(getresgid), SCMP_SYS(getgroups), SCMP_SYS(getrusage), SCMP_SYS(getrlimit),
	SCMP_SYS(uname), SCMP_SYS(sysinfo), SCMP_SYS(capget)
};

/* Of a build with sanitizers: its leak checker stops the threads of its process from another process, and a report
 * starts a program for its symbols. */
static const int sanitizer_calls[] = { SCMP_SYS(ptrace), SCMP_SYS(clone), SCMP_SYS(fork), SCMP_SYS(vfork),
	SCMP_SYS(wait4), SCMP_SYS(waitid), SCMP_SYS(execve), SCMP_SYS(prctl), SCMP_SYS(personality), SCMP_SYS(mmap),
	SCMP_SYS(mprotect), SCMP_SYS(ioctl), SCMP_SYS(kill), SCMP_SYS(tgkill), SCMP_SYS(process_vm_readv),
	SCMP_SYS(setrlimit), SCMP_SYS(prlimit64), SCMP_SYS(mkdir), SCMP_SYS(unlink), SCMP_SYS(rename),
	SCMP_SYS(arch_prctl), SCMP_SYS(msync) };

/* Calls that are allowed if an argument, masked, has this value. Several rows of a call are alternatives. */
static const struct {
	int call;
	unsigned arg;
	scmp_datum_t mask, value;
} conditions[] = {
	{ SCMP_SYS(socket), 0, UINT32_MAX, AF_UNIX }, { SCMP_SYS(socket), 0, UINT32_MAX, AF_INET },
	{ SCMP_SYS(socket), 0, UINT32_MAX, AF_INET6 },
	{ SCMP_SYS(socket), 0, UINT32_MAX, AF_NETLINK }, /* getaddrinfo() asks for the machine's addresses */
	{ SCMP_SYS(clone), 0, CLONE_VM | CLONE_THREAD, CLONE_VM | CLONE_THREAD },
	/* No memory is both written and executed, or becomes executable later. */
	{ SCMP_SYS(mmap), 2, PROT_EXEC, 0 }, { SCMP_SYS(mmap), 2, PROT_WRITE | PROT_EXEC, PROT_EXEC },
	{ SCMP_SYS(mprotect), 2, PROT_EXEC, 0 }, { SCMP_SYS(prctl), 0, UINT32_MAX, PR_SET_NAME },
	{ SCMP_SYS(prctl), 0, UINT32_MAX, PR_GET_NAME }, { SCMP_SYS(prctl), 0, UINT32_MAX, PR_SET_VMA },
	{ SCMP_SYS(prctl), 0, UINT32_MAX, PR_GET_DUMPABLE }, { SCMP_SYS(prctl), 0, UINT32_MAX, PR_CAPBSET_READ },
	{ SCMP_SYS(prlimit64), 2, UINT64_MAX, 0 }, /* reads only */
	{ SCMP_SYS(ioctl), 1, UINT32_MAX, SIOCINQ }, { SCMP_SYS(ioctl), 1, UINT32_MAX, SIOCOUTQ },
	{ SCMP_SYS(ioctl), 1, UINT32_MAX, FIONBIO }, { SCMP_SYS(ioctl), 1, UINT32_MAX, FIOCLEX },
	{ SCMP_SYS(ioctl), 1, UINT32_MAX, SIOCGIFINDEX }, { SCMP_SYS(ioctl), 1, UINT32_MAX, SIOCGIFNAME },
	{ SCMP_SYS(ioctl), 1, UINT32_MAX, TCGETS }, /* isatty() */
};

static bool is_unknown_here(int rc) { return rc == -EDOM || rc == -EOPNOTSUPP; }

/* A call that this architecture hasn't got is left out. */
static int allow(scmp_filter_ctx filter, const int list[], size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, list[i], 0);
		if (rc < 0 && !is_unknown_here(rc))
			return rc;
	}
	return 0;
}

static int allow_conditions(scmp_filter_ctx filter)
{
	for (size_t i = 0; i < sizeof(conditions) / sizeof(conditions[0]); i++) {
		struct scmp_arg_cmp is =
			SCMP_CMP64(conditions[i].arg, SCMP_CMP_MASKED_EQ, conditions[i].mask, conditions[i].value);
		int rc = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, conditions[i].call, 1, &is);
		if (rc < 0 && !is_unknown_here(rc) && !(BUILD_SANITIZED && rc == -EEXIST))
			return rc;
	}
	if (BUILD_SANITIZED)
		return 0;
	/* raise() and abort(): signals to this process only. */
	struct scmp_arg_cmp self = { .arg = 0, .op = SCMP_CMP_EQ, .datum_a = (scmp_datum_t)getpid() };
	return seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1, &self);
}

/* What an older kernel or library hasn't got can be missing: there is one thread yet, and the rest is about speed. */
static void set_attributes(scmp_filter_ctx filter)
{
	seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
	seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS); /* else it kills the thread */
	/* A worker runs no code of others beside secrets, so that it needs no slower kind of speculation. */
	seccomp_attr_set(filter, SCMP_FLTATR_CTL_SSB, 1);
	seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, BINARY_TREE);
}

static int set_up(scmp_filter_ctx filter)
{
	set_attributes(filter);
	int rc = allow(filter, calls, sizeof(calls) / sizeof(calls[0]));
	if (rc == 0 && BUILD_SANITIZED)
		rc = allow(filter, sanitizer_calls, sizeof(sanitizer_calls) / sizeof(sanitizer_calls[0]));
	if (rc == 0)
		rc = allow_conditions(filter);
	return rc;
}

bool confine_calls(void)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
	if (filter == NULL) {
		errno = ENOMEM;
		return false;
	}
	int rc = set_up(filter);
	errno = 0;
	if (rc == 0)
		rc = seccomp_load(filter);
	int error = errno != 0 ? errno : -rc; /* the first is the kernel's */
	seccomp_release(filter);
	errno = error;
	return rc == 0;
}
