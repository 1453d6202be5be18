/* SPDX-License-Identifier: MIT
 * See waiting.h. A signalfd shows a pending signal to poll(2) without consuming it: the supervisor reads it later. */
#include "base/waiting.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/signals.h"

enum { STEP_MS = 1000 };

static struct {
	void (*on_wait)(void *arg, const char *what);
	void *arg;
	uint64_t reported_ms;
} waiting;

void waiting_setup(void (*on_wait)(void *, const char *), void *arg)
{
	waiting.on_wait = on_wait;
	waiting.arg = arg;
}

static void report(const char *what)
{
	uint64_t now = clock_mono_ms();
	if (waiting.reported_ms != 0 && now - waiting.reported_ms < STEP_MS)
		return;
	waiting.reported_ms = now;
	log_debug("waiting for %s", what);
	if (waiting.on_wait != NULL)
		waiting.on_wait(waiting.arg, what);
}

static int stop_fd(void)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	return signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

/* ms UINT64_MAX: no limit. */
static int wait_for(const char *what, int fd, short events, uint64_t ms)
{
	struct pollfd p[2] = { { .fd = fd, .events = events }, { .fd = stop_fd(), .events = POLLIN } };
	uint64_t until = ms == UINT64_MAX ? UINT64_MAX : clock_mono_ms() + ms;
	int result = -1;
	while (!signals_stop_pending()) {
		uint64_t now = clock_mono_ms(), left = until > now ? until - now : 0;
		int n = poll(p, 2, left < STEP_MS ? (int)left : STEP_MS);
		if (n > 0 && p[0].revents != 0) {
			result = 1;
			break;
		}
		if (n == 0 && left < STEP_MS) {
			result = 0;
			break;
		}
		if (n == 0 || (n < 0 && errno == EINTR))
			report(what);
	}
	if (p[1].fd >= 0)
		close(p[1].fd);
	return result;
}

bool waiting_pause(const char *what, unsigned ms)
{
	report(what);
	return wait_for(what, -1, 0, ms) == 0;
}

bool waiting_for(const char *what, int fd, short events) { return wait_for(what, fd, events, UINT64_MAX) == 1; }
int waiting_until(const char *what, int fd, short events, unsigned ms) { return wait_for(what, fd, events, ms); }
