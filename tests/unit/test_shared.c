/* SPDX-License-Identifier: MIT
 * Shared memory: what one process admits, counts or leaves behind is visible to the others. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/shared.h"

static struct shared *s;

static void setup(void) { ck_assert_ptr_nonnull(s = shared_new(3)); }
static void teardown(void) { shared_free(s); }

enum { SECOND = 1000000 };

START_TEST(rate_limit_allows_burst_then_rate)
{
	uint64_t now = 5 * SECOND, retry;
	unsigned left;
	for (unsigned i = 0; i < 4; i++) {
		ck_assert(shared_gcra(s, 42, now, SECOND, 4, &retry, &left));
		ck_assert_uint_eq(retry, 0);
		ck_assert_uint_eq(left, 3 - i);
	}
	ck_assert(!shared_gcra(s, 42, now, SECOND, 4, &retry, &left));
	ck_assert_uint_eq(retry, SECOND);
	ck_assert_uint_eq(left, 0);
	ck_assert(shared_gcra(s, 43, now, SECOND, 4, NULL, NULL)); /* another client */
	ck_assert(!shared_gcra(s, 42, now + SECOND - 1, SECOND, 4, &retry, NULL));
	ck_assert_uint_eq(retry, 1);
	ck_assert(shared_gcra(s, 42, now + SECOND, SECOND, 4, NULL, &left));
	ck_assert_uint_eq(left, 0);
	ck_assert(shared_gcra(s, 42, now + 60 * SECOND, SECOND, 4, NULL, &left));
	ck_assert_uint_eq(left, 3);
}
END_TEST

START_TEST(rate_limit_of_zero_allows_everything)
{
	for (unsigned i = 0; i < 1000; i++)
		ck_assert(shared_gcra(s, 42, 1, 0, 1, NULL, NULL));
}
END_TEST

START_TEST(rate_limit_charge_counts_sends_admitted_elsewhere)
{
	uint64_t retry;
	shared_gcra_charge(s, 7, 1000, SECOND, 3);
	ck_assert(shared_gcra(s, 7, 1000, SECOND, 4, NULL, NULL));
	ck_assert(!shared_gcra(s, 7, 1000, SECOND, 4, &retry, NULL));
	shared_gcra_charge(s, 7, 1000, SECOND, 2);
	ck_assert(!shared_gcra(s, 7, 1000, SECOND, 4, &retry, NULL));
	ck_assert_uint_eq(retry, 3 * SECOND);
}
END_TEST

/* With nine keys in a window of eight, the one that has been idle longest is replaced. */
START_TEST(rate_limit_full_window_replaces_the_oldest)
{
	for (uint64_t i = 1; i <= 8; i++)
		ck_assert(shared_gcra(s, 100 + (i << 32), 1000 * i, SECOND, 1, NULL, NULL));
	ck_assert(shared_gcra(s, 100 + (UINT64_C(9) << 32), 9000, SECOND, 1, NULL, NULL));
	for (uint64_t i = 2; i <= 9; i++)
		ck_assert(!shared_gcra(s, 100 + (i << 32), 9000, SECOND, 1, NULL, NULL));
	ck_assert(shared_gcra(s, 100 + (UINT64_C(1) << 32), 9000, SECOND, 1, NULL, NULL));
}
END_TEST

/* Every key is new to all processes at the same moment, when an entry could be created twice. */
START_TEST(rate_limit_is_exact_over_processes)
{
	enum { PROCESSES = 4, KEYS = 20000, TRIES = 3, BURST = 5 };
	pid_t pids[PROCESSES];
	for (unsigned p = 0; p < PROCESSES; p++)
		if ((pids[p] = fork()) == 0) {
			shared_set(&shared_gauges(s, 0)[p], 1);
			while (shared_sum_gauge(s, 0) + shared_sum_gauge(s, 1) + shared_sum_gauge(s, 2) +
					shared_sum_gauge(s, 3) <
				PROCESSES)
				;
			for (uint64_t k = 0; k < KEYS; k++)
				for (unsigned t = 0; t < TRIES; t++)
					if (shared_gcra(s, 1 + k * UINT64_C(0x9e3779b97f4a7c15), 1000, SECOND, BURST,
						    NULL, NULL))
						atomic_fetch_add(&shared_counters(s, 0)[0], 1);
			_exit(0);
		}
	for (unsigned p = 0; p < PROCESSES; p++)
		waitpid(pids[p], NULL, 0);
	ck_assert_uint_eq(shared_sum_counter(s, 0), (uint64_t)KEYS * BURST);
}
END_TEST

START_TEST(rate_limit_of_one_key_is_shared_by_processes)
{
	enum { PROCESSES = 2, TRIES = 300000, BURST = 1000 };
	for (unsigned p = 0; p < PROCESSES; p++)
		if (fork() == 0) {
			for (unsigned t = 0; t < TRIES; t++)
				if (shared_gcra(s, 9, 1000 + t / 1000, SECOND, BURST, NULL, NULL))
					shared_add(&shared_counters(s, p)[0], 1);
			_exit(0);
		}
	while (wait(NULL) > 0)
		;
	ck_assert_uint_eq(shared_sum_counter(s, 0), BURST);
}
END_TEST

START_TEST(stream_count_is_summed_over_workers)
{
	ck_assert_uint_eq(shared_streams_add(s, 0, 5), 1);
	ck_assert_uint_eq(shared_streams_add(s, 1, 5), 2);
	ck_assert_uint_eq(shared_streams_add(s, 1, 5), 3);
	ck_assert_uint_eq(shared_streams_add(s, 2, 6), 1);
	shared_streams_sub(s, 1, 5);
	ck_assert_uint_eq(shared_streams_add(s, 0, 5), 3);
	shared_reset_worker(s, 0);
	ck_assert_uint_eq(shared_streams_add(s, 2, 5), 2);
}
END_TEST

/* Colliding keys are found after others of their probe sequence were added and removed. */
START_TEST(stream_count_survives_collisions)
{
	uint64_t key[5];
	for (uint64_t i = 0; i < 5; i++) {
		key[i] = 65535 + (i << 20);
		ck_assert_uint_eq(shared_streams_add(s, 0, key[i]), 1);
	}
	shared_streams_sub(s, 0, key[1]);
	shared_streams_sub(s, 0, key[3]);
	ck_assert_uint_eq(shared_streams_add(s, 0, key[4]), 2);
	ck_assert_uint_eq(shared_streams_add(s, 0, key[3]), 1);
	ck_assert_uint_eq(shared_streams_add(s, 0, key[3]), 2);
	shared_streams_sub(s, 0, key[4]);
	shared_streams_sub(s, 0, key[4]);
	shared_streams_sub(s, 0, key[4]); /* one subtraction too many is harmless */
	ck_assert_uint_eq(shared_streams_add(s, 0, key[4]), 1);
	ck_assert_uint_eq(shared_streams_add(s, 0, key[0]), 2);
}
END_TEST

START_TEST(stream_count_table_reuses_entries)
{
	for (uint64_t k = 1; k <= 300000; k++) {
		ck_assert_uint_eq(shared_streams_add(s, 0, k * 7919), 1);
		shared_streams_sub(s, 0, k * 7919);
	}
}
END_TEST

START_TEST(counters_remain_after_worker_exit_and_gauges_do_not)
{
	shared_add(&shared_counters(s, 0)[3], 10);
	shared_add(&shared_counters(s, 1)[3], 5);
	shared_set(&shared_gauges(s, 1)[2], 4);
	shared_beat(s, 1);
	ck_assert_uint_le(clock_mono_ms() - shared_last_beat(s, 1), 1000);
	shared_reset_worker(s, 1);
	ck_assert_uint_eq(shared_last_beat(s, 1), 0);
	ck_assert_uint_eq(shared_sum_counter(s, 3), 15);
	ck_assert_uint_eq(shared_sum_gauge(s, 2), 0);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("shared");
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, rate_limit_allows_burst_then_rate);
	tcase_add_test(tc, rate_limit_of_zero_allows_everything);
	tcase_add_test(tc, rate_limit_charge_counts_sends_admitted_elsewhere);
	tcase_add_test(tc, rate_limit_full_window_replaces_the_oldest);
	tcase_add_test(tc, rate_limit_is_exact_over_processes);
	tcase_add_test(tc, rate_limit_of_one_key_is_shared_by_processes);
	tcase_add_test(tc, stream_count_is_summed_over_workers);
	tcase_add_test(tc, stream_count_survives_collisions);
	tcase_add_test(tc, stream_count_table_reuses_entries);
	tcase_add_test(tc, counters_remain_after_worker_exit_and_gauges_do_not);
	Suite *suite = suite_create("shared");
	suite_add_tcase(suite, tc);
	SRunner *sr = srunner_create(suite);
	srunner_set_tap(sr, "-");
	srunner_run_all(sr, CK_SILENT);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
