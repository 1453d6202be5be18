/* SPDX-License-Identifier: MIT
 * The benchmark measures a real server and its references in turn, in several rounds. It prints medians and ratios, and
 * stores the values (results.h). It doesn't pass or fail, because machines differ and are noisy.
 *
 *     bench [SCENARIO]...      POSTERN_BIN names the server, BENCH_DIR this folder; without a scenario, all run
 *     bench report             measures nothing; makes the table, RESULTS.md and the charts from the stored results
 *     BENCH_ROUNDS=3 BENCH_SECONDS=3 BENCH_STREAMS=10000 BENCH_FULL=     the defaults */
#include <errno.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "bench.h"
#include "proc.h"
#include "results.h"

struct settings settings;

static const struct {
	const char *name;
	void (*run)(void);
} scenarios[] = {
	{ "send", scenario_send },
	{ "latency", scenario_latency },
	{ "fanout", scenario_fanout },
	{ "groups", scenario_groups },
	{ "unicast", scenario_unicast },
	{ "slow", scenario_slow },
	{ "idle", scenario_idle },
	{ "poll", scenario_poll },
	{ "history", scenario_history },
	{ "reconnect", scenario_reconnect },
	{ "scale", scenario_scale },
	{ "receipts", scenario_receipts },
	{ "search", scenario_search },
};

#define COUNT (sizeof(scenarios) / sizeof(scenarios[0]))

void die(const char *what)
{
	fflush(stdout);
	fprintf(stderr, "bench: %s%s%s\n", what, errno ? ": " : "", errno ? strerror(errno) : "");
	exit(1);
}

void say(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
	fflush(stdout);
}

static unsigned number(const char *name, unsigned otherwise)
{
	const char *s = getenv(name);
	return s != NULL && atoi(s) > 0 ? (unsigned)atoi(s) : otherwise;
}

static void read_settings(void)
{
	const char *server = getenv("POSTERN_BIN"), *folder = getenv("BENCH_DIR"), *full = getenv("BENCH_FULL");
	settings = (struct settings) { .rounds = number("BENCH_ROUNDS", 3),
		.seconds = number("BENCH_SECONDS", 3),
		.streams = number("BENCH_STREAMS", 10000),
		.full = full != NULL && *full != '\0',
		.server = server ? server : "src/postern",
		.folder = folder ? folder : "tests/bench" };
	if (settings.rounds > VALUES_MAX)
		settings.rounds = VALUES_MAX;
}

static void raise_limit(void)
{
	struct rlimit r;
	if (getrlimit(RLIMIT_NOFILE, &r) != 0)
		die("getrlimit");
	r.rlim_cur = r.rlim_max;
	setrlimit(RLIMIT_NOFILE, &r);
}

/* NAME-full is the scenario NAME with its long variants. */
static bool is_wanted(const char *name, int argc, char **argv)
{
	size_t n = strlen(name);
	for (int i = 1; i < argc; i++) {
		if (strncmp(argv[i], name, n) == 0 && strcmp(argv[i] + n, "-full") == 0)
			return settings.full = true;
		if (strcmp(argv[i], name) == 0)
			return true;
	}
	return argc < 2;
}

static void check_names(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		bool is_known = false;
		for (size_t k = 0; k < COUNT; k++)
			is_known |= strncmp(argv[i], scenarios[k].name, strcspn(argv[i], "-")) == 0;
		if (is_known)
			continue;
		fprintf(stderr, "bench: there is no scenario %s; the scenarios are:", argv[i]);
		for (size_t k = 0; k < COUNT; k++)
			fprintf(stderr, " %s", scenarios[k].name);
		fputc('\n', stderr);
		exit(2);
	}
}

static void print_table(const bool wanted[COUNT])
{
	static struct results r;
	printf("\n%-10s %-44s %-11s %10s %10s %-26s %7s  %-10s\n", "scenario", "what", "unit", "Postern", "reference",
		"", "ratio", "target");
	for (size_t i = 0; i < COUNT; i++)
		if (wanted[i] && results_load(&r, scenarios[i].name))
			results_print(&r, stdout);
}

int main(int argc, char **argv)
{
	const char *names[COUNT + 1] = { NULL };
	bool wanted[COUNT], only_report = argc == 2 && strcmp(argv[1], "report") == 0;
	argc = only_report ? 1 : argc;
	check_names(argc, argv);
	read_settings();
	for (size_t i = 0; i < COUNT; i++) {
		names[i] = scenarios[i].name;
		wanted[i] = is_wanted(names[i], argc, argv);
	}
	if (!only_report) {
		raise_limit();
		if (sodium_init() < 0)
			die("sodium");
		proc_init();
	}
	for (size_t i = 0; i < COUNT; i++)
		if (wanted[i] && !only_report) {
			scenarios[i].run();
			document_write(names);
		}
	if (only_report)
		document_write(names);
	print_table(wanted);
	return 0;
}
