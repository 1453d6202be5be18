/* SPDX-License-Identifier: MIT
 * See signals.h. */
#include "base/signals.h"

#include <signal.h>
#include <stddef.h>

void signals_reset(int ignored)
{
	sigset_t none;
	for (int signum = 1; signum < NSIG; signum++)
		signal(signum, signum == ignored ? SIG_IGN : SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

bool signals_stop_pending(void)
{
	sigset_t pending;
	return sigpending(&pending) == 0 && (sigismember(&pending, SIGTERM) || sigismember(&pending, SIGINT));
}
