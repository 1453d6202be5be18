/* SPDX-License-Identifier: MIT
 * See suite.h. Tests run in this process (CK_FORK=no), because a forked test couldn't share the server with the
 * others. */
#include "suite.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

enum { TEST_SECONDS = 120 };

static struct server *main_server;
static const char *const *server_flags;
static const char *const no_limits[] = { "--rate-sends", "0", "--rate-actions", "0", "--rate-logins", "0",
	"--rate-searches", "0", "--rate-exports", "0", "--streams-per-user", "0", "--rate-strangers", "0",
	"--rate-tokens", "0", NULL };

static struct {
	void (*fn)(void *);
	void *p;
} * teardowns;
static size_t teardown_count, teardown_size;

struct server *test_server(void) { return main_server; }

void *on_teardown(void (*fn)(void *), void *p)
{
	if (teardown_count == teardown_size) {
		teardown_size = teardown_size ? 2 * teardown_size : 64;
		teardowns = realloc(teardowns, teardown_size * sizeof(*teardowns));
		ck_assert_ptr_nonnull(teardowns);
	}
	teardowns[teardown_count].fn = fn;
	teardowns[teardown_count++].p = p;
	return p;
}

char *format(const char *fmt, ...)
{
	char *text;
	va_list ap;
	va_start(ap, fmt);
	ck_assert_int_ge(vasprintf(&text, fmt, ap), 0);
	va_end(ap);
	return on_teardown(free, text);
}

int time_left(unsigned long long until_ms, const char *waiting_for)
{
	unsigned long long now = clock_mono_ms();
	if (now >= until_ms)
		ck_abort_msg("waited in vain for %s", waiting_for);
	return (int)(until_ms - now);
}

static void on_alarm(int sig)
{
	(void)sig;
	static const char line[] = "Bail out! a test hangs\n";
	if (write(STDOUT_FILENO, line, sizeof(line) - 1) < 0) { /* no reader */
	}
	server_kill_all(); /* NOLINT(bugprone-signal-handler): it calls kill() alone */
	_exit(1);
}

static void on_term(int sig)
{
	server_kill_all(); /* NOLINT(bugprone-signal-handler) */
	signal(sig, SIG_DFL);
	raise(sig);
}

void test_restart_timeout(void) { alarm(TEST_SECONDS); }

static void setup(void)
{
	/* Installed here, because libcheck's own handlers would kill the whole process group. */
	signal(SIGALRM, on_alarm);
	signal(SIGTERM, on_term);
	signal(SIGINT, on_term);
	test_restart_timeout();
}

static void teardown(void)
{
	while (teardown_count > 0) {
		teardown_count--;
		teardowns[teardown_count].fn(teardowns[teardown_count].p);
	}
	alarm(0);
}

START_TEST(setup_server_starts) { main_server = server_start(server_flags); }
END_TEST

START_TEST(teardown_server_stops) { server_stop(main_server); }
END_TEST

static TCase *tcase(Suite *suite, const char *name)
{
	TCase *tc = tcase_create(name);
	tcase_add_checked_fixture(tc, setup, teardown);
	suite_add_tcase(suite, tc);
	return tc;
}

int suite_run(const char *name, const TTest *const tests[], const char *const flags[])
{
	server_flags = flags != NULL ? flags : no_limits;
	signal(SIGPIPE, SIG_IGN);
	setvbuf(stdout, NULL, _IOLBF, 0);

	Suite *suite = suite_create(name);
	tcase_add_test(tcase(suite, "start"), setup_server_starts);
	TCase *tc = tcase(suite, name);
	for (size_t i = 0; tests[i] != NULL; i++)
		tcase_add_test(tc, tests[i]);
	tcase_add_test(tcase(suite, "stop"), teardown_server_stops);

	SRunner *runner = srunner_create(suite);
	srunner_set_fork_status(runner, CK_NOFORK);
	srunner_set_tap(runner, "-");
	srunner_run_all(runner, CK_SILENT);
	int failed = srunner_ntests_failed(runner);
	if (failed > 0)
		server_show_logs();
	server_remove_all();
	srunner_free(runner);
	free(teardowns);
	return failed > 0;
}
