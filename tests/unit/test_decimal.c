/* SPDX-License-Identifier: MIT
 * Decimal numbers in requests: only digits are accepted, and an overflow is detected. */
#include <check.h>
#include <stdlib.h>

#include "base/decimal.h"

START_TEST(decimal_of_digits_is_parsed)
{
	static const struct {
		const char *text;
		uint64_t value;
	} cases[] = { { "0", 0 }, { "7", 7 }, { "007", 7 }, { "999999999999999999", 999999999999999999 },
		{ "1000000000000000000", UINT64_MAX }, { "0000000000000000001", UINT64_MAX },
		{ "99999999999999999999999999", UINT64_MAX } };
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t n = 1234;
		ck_assert_msg(decimal_parse(cases[i].text, &n), "%s", cases[i].text);
		ck_assert_msg(n == cases[i].value, "%s is read as %llu", cases[i].text, (unsigned long long)n);
		ck_assert_msg(decimal_is_bigint(cases[i].text) == (n != UINT64_MAX), "%s", cases[i].text);
	}
}
END_TEST

START_TEST(decimal_with_other_characters_is_refused)
{
	static const char *const cases[] = { "", " ", " 1", "1 ", "+1", "-1", "1.0", "1e3", "0x1", "1\n", "\u0661" };
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t n = 1234;
		ck_assert_msg(!decimal_parse(cases[i], &n), "\"%s\" is read as a number", cases[i]);
		ck_assert_uint_eq(n, 1234);
		ck_assert(!decimal_is_bigint(cases[i]));
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("decimal");
	TCase *tc = tcase_create("decimal");
	tcase_add_test(tc, decimal_of_digits_is_parsed);
	tcase_add_test(tc, decimal_with_other_characters_is_refused);
	suite_add_tcase(suite, tc);
	SRunner *runner = srunner_create(suite);
	srunner_set_tap(runner, "-");
	srunner_run_all(runner, CK_SILENT);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
