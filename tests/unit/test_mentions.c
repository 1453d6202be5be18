/* SPDX-License-Identifier: MIT
 * Which names a text mentions, and which mentions are none. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/mentions.h"

static void expect_names(const char *text, const char *names)
{
	struct buf out;
	buf_init(&out, 1 << 20);
	mentions_find(text, strlen(text), &out);
	ck_assert_msg(strcmp(buf_text(&out), names) == 0, "\"%s\" has the names \"%s\", not \"%s\"", text,
		buf_text(&out), names);
	buf_release(&out);
}

START_TEST(mention_is_found_after_anything_but_ascii_letters_and_digits)
{
	expect_names("@bob", "bob");
	expect_names("Hi @Bob!", "bob");
	expect_names("\u8bf7@bob\u770b", "bob");
	expect_names("\u00e9@bob", "bob");
	expect_names("(@bob)", "bob");
	expect_names(".@bob", "bob");
	expect_names("@@bob", "bob");
	expect_names("@ann/@bob,@cay", "ann\nbob\ncay");
	expect_names("@ann @ann @ANN", "ann");
	expect_names("mail@bob", "");
	expect_names("7@bob.example", "");
	expect_names("@", "");
	expect_names("@b", "");
	expect_names("@-bob @.bob @_bob", "");
	expect_names("", "");
}
END_TEST

START_TEST(mention_may_end_before_a_full_stop_hyphen_or_underscore)
{
	expect_names("@bob.", "bob. bob");
	expect_names("@bob...ok", "bob...ok bob.. bob. bob");
	expect_names("@bob.Please", "bob.please bob");
	expect_names("_@bob_", "bob_ bob");
	expect_names("@a.b", "a.b");
	expect_names("@aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"); /* 32 */
	expect_names("@aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "");
	expect_names("@bob-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "bob");
}
END_TEST

START_TEST(mention_of_all_is_a_word)
{
	expect_names("@all", "all");
	expect_names("@all.", "all. all");
	expect_names("_@all_", "all_ all");
	expect_names("@All.Please", "all.please all");
	expect_names("@all-hands @all_staff", "all-hands\nall_staff");
}
END_TEST

START_TEST(mention_in_code_is_none)
{
	expect_names("`@bob`", "");
	expect_names("`a` @bob `b`", "bob");
	expect_names("`` @bob ` ``", "");
	expect_names("`` @bob `", "bob");
	expect_names("`@bob", "bob");
	expect_names("``@bob`", "bob");
	expect_names("`a\n@bob`", "");
	expect_names("`a\n\n@bob`", "bob");
	expect_names("``` @bob ``` @ann", "ann");
	expect_names("```\n@bob\n\n@cay\n```\n@ann", "ann");
	expect_names("```c\n@bob\n  ```  \n@ann", "ann");
	expect_names("```\n@bob\n``` x\n@ann", "");
	expect_names("````\n@bob\n```\n@ann", "");
	expect_names("   ```\n@bob", "");
	expect_names("look: ```\n@bob\n\n@cay\n``` @ann", "ann");
	expect_names("look: ```\n@bob", "bob");
}
END_TEST

START_TEST(mention_in_url_is_none)
{
	expect_names("https://example.org/@bob", "");
	expect_names("HTTPS://example.org/a?b=@bob&c @ann", "ann");
	expect_names("(see medium.com/@bob) @ann", "ann");
	expect_names("example.org:8080/@bob", "");
	expect_names("www.example.org?to=@bob", "");
	expect_names("<https://example.org/a>@bob", "bob");
	expect_names("https://example.org/a\uff0c@bob", "bob");
	expect_names("and/@bob v1.2/@ann", "bob\nann");
	expect_names("@ann.lee/@bob", "ann.lee ann\nbob");
	expect_names("note: //@bob", "bob");
}
END_TEST

START_TEST(mentions_count_up_to_fifty)
{
	struct buf text, out;
	buf_init(&text, 1 << 20);
	buf_init(&out, 1 << 20);
	for (int i = 0; i < 1000; i++)
		buf_adds(&text, "@ a@b @@ @- "); /* no candidates */
	for (int i = 0; i < 60; i++)
		buf_addf(&text, "@user%d @user%d ", i, i);
	mentions_find(text.data, text.len, &out);
	ck_assert_ptr_nonnull(strstr(out.data, "user0\n"));
	ck_assert_ptr_nonnull(strstr(out.data, "\nuser49"));
	ck_assert_ptr_null(strstr(out.data, "user50"));
	buf_release(&text);
	buf_release(&out);
}
END_TEST

/* Twice the text takes about twice the time. With a quadratic loop, a text of this size takes minutes. */
START_TEST(mentions_of_hostile_text_are_found_in_linear_time)
{
	static const char *const pieces[] = { "@", "@ab ", "`", "`a", "``a`", "```\n", "\n`", "` ```` ", "@a.-",
		"a.bc/", "a://", "a.", "\n\n`a``", ":1", "@aa`" };
	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		struct buf text, out;
		buf_init(&text, 16 << 20);
		buf_init(&out, 1 << 20);
		while (text.len < 4 << 20)
			buf_adds(&text, pieces[i]);
		buf_adds(&text, "@end");
		mentions_find(text.data, text.len, &out);
		ck_assert(!buf_failed(&out));
		buf_release(&text);
		buf_release(&out);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("mentions");
	TCase *tc = tcase_create("mentions");
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, mention_is_found_after_anything_but_ascii_letters_and_digits);
	tcase_add_test(tc, mention_may_end_before_a_full_stop_hyphen_or_underscore);
	tcase_add_test(tc, mention_of_all_is_a_word);
	tcase_add_test(tc, mention_in_code_is_none);
	tcase_add_test(tc, mention_in_url_is_none);
	tcase_add_test(tc, mentions_count_up_to_fifty);
	tcase_add_test(tc, mentions_of_hostile_text_are_found_in_linear_time);
	suite_add_tcase(suite, tc);
	SRunner *runner = srunner_create(suite);
	srunner_set_tap(runner, "-");
	srunner_run_all(runner, CK_SILENT);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
