/* SPDX-License-Identifier: MIT
 * Times in requests: every form of RFC 3339 is accepted and becomes UTC; anything else is refused. */
#include <check.h>
#include <stdlib.h>

#include "base/rfc3339.h"

START_TEST(rfc3339_time_is_converted_to_utc)
{
	static const struct {
		const char *text, *utc;
	} cases[] = {
		{ "2026-01-31T12:00:00Z", "2026-01-31T12:00:00.000000Z" },
		{ "2026-01-31t12:00:00z", "2026-01-31T12:00:00.000000Z" },
		{ "2026-01-31T12:00:00.5Z", "2026-01-31T12:00:00.500000Z" },
		{ "2026-01-31T12:00:00.1234567899999Z", "2026-01-31T12:00:00.123456Z" },
		{ "2026-01-01T00:30:00+01:00", "2025-12-31T23:30:00.000000Z" },
		{ "2026-01-31T12:00:00-23:59", "2026-02-01T11:59:00.000000Z" },
		{ "2026-01-31T12:00:00-00:00", "2026-01-31T12:00:00.000000Z" },
		{ "2016-12-31T23:59:60Z", "2017-01-01T00:00:00.000000Z" },
		{ "2016-12-31t23:59:60.9z", "2017-01-01T00:00:00.900000Z" },
		{ "2017-01-01T00:59:60+01:00", "2017-01-01T00:00:00.000000Z" },
		{ "2024-02-29T00:00:00Z", "2024-02-29T00:00:00.000000Z" },
		{ "1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000000Z" },
		{ "9999-12-31T23:59:59Z", "9999-12-31T23:59:59.000000Z" },
		{ "9999-12-31T23:59:59.99999999Z", "9999-12-31T23:59:59.999999Z" },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char out[RFC3339_UTC_LEN + 1] = "";
		ck_assert_msg(rfc3339_utc(cases[i].text, out), "%s", cases[i].text);
		ck_assert_str_eq(out, cases[i].utc);
	}
}
END_TEST

START_TEST(rfc3339_refuses_what_is_no_time)
{
	static const char *const cases[] = { "", "x", "2026", "2026-01-31", "2026-01-31T12:00Z", "2026-01-31T12:00:00",
		"2026-01-31 12:00:00Z", "2026-01-31T12:00:00ZZ", "2026-01-31T12:00:00Z ", " 2026-01-31T12:00:00Z",
		"2026-02-29T00:00:00Z", "2100-02-29T00:00:00Z", "2026-13-01T00:00:00Z", "2026-00-01T00:00:00Z",
		"2026-01-32T00:00:00Z", "2026-01-00T00:00:00Z", "2026-01-31T24:00:00Z", "2026-01-31T12:60:00Z",
		"2026-01-31T12:00:61Z", "2026-01-31T12:00:00.Z", "2026-01-31T12:00:00+24:00",
		"2026-01-31T12:00:00+01:60", "2026-01-31T12:00:00+0100", "2026-01-31T12:00:00+1:00",
		"2026-01-31T+1:00:00Z", "2026-01-31T 1:00:00Z", "+026-01-31T12:00:00Z", "0000-01-01T00:00:00Z",
		"1969-12-31T23:59:59Z", "1970-01-01T00:00:00+00:01", "9999-12-31T23:59:60Z",
		"9999-12-31T23:59:59-00:01", "10000-01-01T00:00:00Z", "2026-1-31T12:00:00Z" };
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char out[RFC3339_UTC_LEN + 1];
		ck_assert_msg(!rfc3339_utc(cases[i], out), "\"%s\" is read as a time", cases[i]);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("rfc3339");
	TCase *tc = tcase_create("rfc3339");
	tcase_add_test(tc, rfc3339_time_is_converted_to_utc);
	tcase_add_test(tc, rfc3339_refuses_what_is_no_time);
	suite_add_tcase(suite, tc);
	SRunner *runner = srunner_create(suite);
	srunner_set_tap(runner, "-");
	srunner_run_all(runner, CK_SILENT);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
