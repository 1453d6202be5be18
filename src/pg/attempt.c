/* SPDX-License-Identifier: MIT
 * See attempt.h. */
#include "pg/attempt.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/waiting.h"

#define PING_MS 10000 /* for all hosts together, with the resolution of their names */

/* Owned by the thread and by the code that waits for it; the last one to drop it frees it. */
struct attempt {
	_Atomic int owners;
	char *conninfo;
	int done_fd;
	PGPing answer;
};

static void attempt_unref(struct attempt *a)
{
	if (atomic_fetch_sub(&a->owners, 1) > 1)
		return;
	close(a->done_fd);
	free(a->conninfo);
	free(a);
}

static void *run(void *arg)
{
	struct attempt *a = arg;
	uint64_t one = 1;
	a->answer = PQping(a->conninfo);
	if (write(a->done_fd, &one, sizeof(one)) < 0) { /* can't happen: the counter can't overflow */
	}
	attempt_unref(a);
	return NULL;
}

static struct attempt *attempt_new(const char *conninfo)
{
	struct attempt *a = mem_alloc(sizeof(*a));
	*a = (struct attempt) { .owners = 1,
		.conninfo = mem_strdup(conninfo),
		.done_fd = eventfd(0, EFD_CLOEXEC),
		.answer = PQPING_NO_ATTEMPT };
	if (a->done_fd >= 0)
		return a;
	free(a->conninfo);
	free(a);
	return NULL;
}

/* Starts the thread with all signals blocked: the main thread handles them. */
static bool start(struct attempt *a, pthread_t *thread)
{
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	atomic_fetch_add(&a->owners, 1);
	bool ok = pthread_create(thread, NULL, run, a) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (!ok)
		atomic_fetch_sub(&a->owners, 1);
	return ok;
}

static void leave(int status, void *arg)
{
	(void)arg;
	fflush(NULL);
	_exit(status);
}

/* Joins a thread that has answered, since OpenSSL's memory for a thread is freed at the thread's end. One that hasn't
 * answered is left running. Then the process must exit without the libraries' exit handlers, which would free what that
 * thread uses (Kerberos' library aborts). */
static PGPing finish(struct attempt *a)
{
	pthread_t thread;
	if (!start(a, &thread))
		return PQPING_NO_ATTEMPT;
	int n = waiting_until("the database", a->done_fd, POLLIN, PING_MS);
	if (n > 0) {
		pthread_join(thread, NULL);
		return a->answer;
	}
	pthread_detach(thread);
	static bool prepared;
	if (!prepared)
		on_exit(leave, NULL);
	prepared = true;
	return n == 0 ? PQPING_NO_RESPONSE : PQPING_NO_ATTEMPT;
}

PGPing attempt_ping(const char *conninfo)
{
	struct attempt *a = attempt_new(conninfo);
	if (a == NULL)
		return PQPING_NO_ATTEMPT;
	PGPing answer = finish(a);
	attempt_unref(a);
	return answer;
}
