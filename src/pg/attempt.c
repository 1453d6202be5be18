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

#include "base/waiting.h"

/* Owned by the thread and by whoever waits for it; the last one frees it. */
struct attempt {
	_Atomic int owners;
	char *conninfo;
	int done_fd;
	bool pings;
	PGconn *pg;
	PGPing answer;
};

static void let_go(struct attempt *a)
{
	if (atomic_fetch_sub(&a->owners, 1) > 1)
		return;
	PQfinish(a->pg);
	close(a->done_fd);
	free(a->conninfo);
	free(a);
}

static void *run(void *arg)
{
	struct attempt *a = arg;
	uint64_t one = 1;
	if (a->pings)
		a->answer = PQping(a->conninfo);
	else
		a->pg = PQconnectdb(a->conninfo);
	if (write(a->done_fd, &one, sizeof(one)) < 0) { /* it can't overflow */
	}
	let_go(a);
	return NULL;
}

static struct attempt *attempt_new(const char *conninfo, bool pings)
{
	struct attempt *a = calloc(1, sizeof(*a));
	if (a == NULL)
		return NULL;
	*a = (struct attempt) { .owners = 1,
		.conninfo = strdup(conninfo),
		.done_fd = eventfd(0, EFD_CLOEXEC),
		.pings = pings,
		.answer = PQPING_NO_ATTEMPT };
	if (a->conninfo != NULL && a->done_fd >= 0)
		return a;
	free(a->conninfo);
	free(a);
	return NULL;
}

/* Signals are the first thread's. */
static bool start(struct attempt *a)
{
	sigset_t all, before;
	pthread_t thread;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	atomic_fetch_add(&a->owners, 1);
	bool ok = pthread_create(&thread, NULL, run, a) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (ok)
		pthread_detach(thread);
	else
		atomic_fetch_sub(&a->owners, 1);
	return ok;
}

static void leave(int status, void *arg)
{
	(void)arg;
	fflush(NULL);
	_exit(status);
}

/* Whether it came to an end. If not, the process is about to: then without the libraries' own last acts, for they would
 * take away from the thread what it works with (Kerberos' library aborts). */
static bool finish(struct attempt *a)
{
	if (!start(a))
		return false;
	if (waiting_for("the database", a->done_fd, POLLIN))
		return true;
	on_exit(leave, NULL);
	return false;
}

PGconn *attempt_connect(const char *conninfo)
{
	struct attempt *a = attempt_new(conninfo, false);
	PGconn *pg = NULL;
	if (a == NULL)
		return NULL;
	if (finish(a)) {
		pg = a->pg;
		a->pg = NULL;
	}
	let_go(a);
	return pg;
}

PGPing attempt_ping(const char *conninfo)
{
	struct attempt *a = attempt_new(conninfo, true);
	if (a == NULL)
		return PQPING_NO_ATTEMPT;
	PGPing answer = finish(a) ? a->answer : PQPING_NO_ATTEMPT;
	let_go(a);
	return answer;
}
