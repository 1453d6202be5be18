/* SPDX-License-Identifier: MIT
 * Which texts are one emoji, and the canonical form of each. */
#include <check.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/emoji.h"

/* Returns the canonical form of s, until the program ends; NULL: not an emoji. */
static const char *form(const char *s)
{
	struct buf out;
	buf_init(&out, 256);
	if (!emoji_canonical(s, &out)) {
		buf_release(&out);
		return NULL;
	}
	return buf_detach(&out, NULL);
}

START_TEST(emoji_are_accepted_unchanged)
{
	static const char *const whole[] = { "👍", "👍🏽", "❤️", "☝🏿", "1️⃣", "#️⃣", "🇩🇪",
		"👩‍🚀", "👩🏽‍🚀", "👨‍👩‍👧‍👦", "🏳️‍🌈", "🏴‍☠️",
		"🏴󠁧󠁢󠁥󠁮󠁧󠁿", "🏴", "👁️‍🗨️", "🧑🏻‍❤️‍💋‍🧑🏿",
		"🙂‍↔️", "©️", "⌚", "🫩" };
	for (size_t i = 0; i < sizeof(whole) / sizeof(whole[0]); i++) {
		const char *f = form(whole[i]);
		ck_assert_msg(f != NULL, "%s is no emoji", whole[i]);
		ck_assert_str_eq(f, whole[i]);
		free((void *)(uintptr_t)f);
	}
}
END_TEST

START_TEST(emoji_spellings_have_one_form)
{
	static const char *const pairs[][2] = { { "\u2764", "\u2764\ufe0f" }, { "\u231a\ufe0f", "\u231a" },
		{ "1\u20e3", "1\ufe0f\u20e3" }, { "\U0001f3f3\u200d\U0001f308", "\U0001f3f3\ufe0f\u200d\U0001f308" },
		{ "\U0001f441\u200d\U0001f5e8", "\U0001f441\ufe0f\u200d\U0001f5e8\ufe0f" } };
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		const char *f = form(pairs[i][0]);
		ck_assert_msg(f != NULL, "%s is no emoji", pairs[i][0]);
		ck_assert_str_eq(f, pairs[i][1]);
		free((void *)(uintptr_t)f);
	}
}
END_TEST

START_TEST(text_that_is_not_one_emoji_is_refused)
{
	static const char *const none[] = { "", "a", "1", "#", " ", "👍👍", "👍a", "a👍", "👍 ", "❤️❤️", "★", "é",
		"你", "\u200d", "\ufe0f", "👍\u200d", "\u200d👍", "👍\u200d\u200d👍", "👍\u200da", "❤\ufe0e",
		"⌚\ufe0f\ufe0f", "🏽", "🚗🏽", "👍🏽🏽", "🇩", "🇩🇪🇫", "🇩🇪🇫🇷", "1\ufe0f", "11\ufe0f\u20e3",
		"1\ufe0f\u20e3\ufe0f", "a\u20e3", "👍\u20e3", "\U0001f3f4\U000e0067\U000e0062",
		"\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f\U000e007f",
		"👍\U000e0067\U000e007f", "👍\u0301", "\n",
		"👍\u200d👍\u200d👍\u200d👍\u200d👍\u200d👍\u200d👍\u200d👍\u200d👍\u200d👍\u200d👍\u200d👍\u200d👍", "\U0001f1e6a",
		"<script>", "\U0010ffff" };
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		ck_assert_msg(form(none[i]) == NULL, "\"%s\" (%zu) counts as an emoji", none[i], i);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("emoji");
	TCase *tc = tcase_create("emoji");
	tcase_add_test(tc, emoji_are_accepted_unchanged);
	tcase_add_test(tc, emoji_spellings_have_one_form);
	tcase_add_test(tc, text_that_is_not_one_emoji_is_refused);
	suite_add_tcase(suite, tc);
	SRunner *runner = srunner_create(suite);
	srunner_set_tap(runner, "-");
	srunner_run_all(runner, CK_SILENT);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
