/* SPDX-License-Identifier: MIT
 * Module tests of src/base: buffers, maps, slabs, UTF-8, times, log lines, tar headers. */
#include <check.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/linesafe.h"
#include "base/log.h"
#include "base/map.h"
#include "base/slab.h"
#include "base/tar.h"
#include "base/utf8.h"

START_TEST(buf_grows_to_its_cap_and_no_further)
{
	struct buf b;
	buf_init(&b, 8);
	buf_adds(&b, "1234");
	buf_addu(&b, 5678);
	ck_assert_str_eq(b.data, "12345678");
	buf_addc(&b, '9');
	ck_assert(buf_failed(&b));
	ck_assert_ptr_null(b.data);
	buf_adds(&b, "x");
	ck_assert(buf_failed(&b)); /* sticky error */
	buf_reset(&b);
	buf_adds(&b, "again");
	ck_assert_str_eq(b.data, "again");
	buf_release(&b);
}
END_TEST

START_TEST(arena_allocations_are_aligned_and_do_not_overlap)
{
	struct arena a = { 0 };
	char *parts[400];
	ck_assert_ptr_nonnull(arena_alloc(&a, 0));
	for (int i = 0; i < 400; i++) {
		size_t size = (size_t)(i * 37 % 700) + 1;
		parts[i] = i % 2 ? arena_alloc(&a, size) : arena_copy(&a, "abc", 3);
		if (i % 2) {
			ck_assert_uint_eq((uintptr_t)parts[i] % _Alignof(max_align_t), 0);
			memset(parts[i], 'x', size);
		}
	}
	for (int i = 0; i < 400; i += 2)
		ck_assert_str_eq(parts[i], "abc");
	arena_release(&a);
	arena_release(&a);
}
END_TEST

/* The size of a chunk depends on that of the chunk before. */
START_TEST(arena_allocations_after_large_odd_text_are_aligned)
{
	struct arena a = { 0 };
	char text[1000];
	memset(text, 'x', sizeof(text));
	arena_copy(&a, text, sizeof(text));
	for (int i = 0; i < 10; i++) {
		ck_assert_uint_eq((uintptr_t)arena_alloc(&a, 100) % _Alignof(max_align_t), 0);
		arena_copy(&a, "abc", 3);
	}
	arena_release(&a);
}
END_TEST

START_TEST(buf_quotes_json)
{
	struct buf b;
	const char *s = "a\"b\\c\nd\x01"
			"é";
	buf_init(&b, 100);
	buf_add_json(&b, s, strlen(s));
	ck_assert_str_eq(b.data, "\"a\\\"b\\\\c\\nd\\u0001é\"");
	buf_release(&b);
}
END_TEST

START_TEST(map_finds_keys_until_they_are_removed)
{
	struct map m = { 0 };
	static char values[2000];
	ck_assert_ptr_null(map_get(&m, 1));
	for (uint64_t i = 0; i < 2000; i++)
		map_set(&m, i * 7919, &values[i]);
	for (uint64_t i = 0; i < 2000; i += 2)
		ck_assert_ptr_eq(map_remove(&m, i * 7919), &values[i]);
	for (uint64_t i = 0; i < 2000; i++)
		ck_assert_ptr_eq(map_get(&m, i * 7919), i % 2 ? (void *)&values[i] : NULL);
	size_t seen = 0, at = 0;
	while (map_next(&m, &at) != NULL)
		seen++;
	ck_assert_uint_eq(seen, 1000);
	ck_assert_uint_eq(m.count, 1000);
	for (uint64_t i = 1; i < 2000; i += 2)
		map_remove(&m, i * 7919);
	ck_assert_uint_le(m.size, 64); /* the memory has been released */
	map_release(&m);
}
END_TEST

static bool all_are(const unsigned char *bytes, size_t from, size_t to, unsigned value)
{
	while (from < to && bytes[from] == value)
		from++;
	return from >= to;
}

/* Objects of every size are allocated, freed and resized side by side; each keeps its content, and new ones are
 * zeroed. */
START_TEST(slab_objects_do_not_overlap)
{
	enum { OBJECTS = 5000 };
	static struct {
		unsigned char *at;
		size_t size;
	} o[OBJECTS];
	unsigned random = 1;
	for (int step = 0; step < 20 * OBJECTS; step++) {
		random = random * 1103515245 + 12345;
		unsigned i = (random >> 8) % OBJECTS;
		size_t size = 1 + step % 600, kept = 0;
		ck_assert(all_are(o[i].at, 0, o[i].size, i % 251 + 1));
		if (step % 3 == 0 && o[i].at != NULL) {
			slab_put(o[i].at, o[i].size);
			o[i].at = NULL;
			o[i].size = 0;
			continue;
		}
		kept = size < o[i].size ? size : o[i].size;
		o[i].at = slab_resize(o[i].at, o[i].size, size);
		ck_assert_uint_eq((uintptr_t)o[i].at % 8, 0);
		ck_assert(all_are(o[i].at, 0, kept, i % 251 + 1) && all_are(o[i].at, kept, size, 0));
		memset(o[i].at, (int)(i % 251 + 1), size);
		o[i].size = size;
	}
	for (int i = 0; i < OBJECTS; i++)
		slab_put(o[i].at, o[i].size);
}
END_TEST

static const struct {
	const char *text;
	bool valid;
} texts[] = {
	{ "", true },
	{ "plain", true },
	{ "\xc3\xa9", true },
	{ "\xe2\x82\xac", true },
	{ "\xf0\x9f\x98\x80", true },
	{ "12345678\xc3\xa9", true },
	{ "\xf4\x8f\xbf\xbf", true },
	{ "\xed\x9f\xbf", true },
	{ "\xc3", false },
	{ "\x80", false },
	{ "\xc0\xaf", false },
	{ "\xe0\x80\xaf", false },
	{ "\xed\xa0\x80", false },
	{ "\xf4\x90\x80\x80", false },
	{ "\xff", false },
	{ "\xe2\x82", false },
	{ "1234567\xc3", false },
	{ "\xf0\x8f\xbf\xbf", false },
	{ "\xf8\x88\x80\x80\x80", false },
};

START_TEST(utf8_validation_follows_rfc_3629)
{
	ck_assert_msg(utf8_valid(texts[_i].text, strlen(texts[_i].text)) == texts[_i].valid, "text %d", _i);
}
END_TEST

static const struct {
	const char *in, *out;
	bool plus;
} escapes[] = {
	{ "a%20b", "a b", false },
	{ "a+b", "a+b", false },
	{ "a+b", "a b", true },
	{ "%C3%A9", "é", false },
	{ "%c3%a9", "é", false },
	{ "%", NULL, false },
	{ "%2", NULL, false },
	{ "%zz", NULL, false },
	{ "%00", NULL, false },
	{ "%ff", NULL, false },
};

START_TEST(percent_decoding_follows_rfc_3986)
{
	char s[32];
	strcpy(s, escapes[_i].in);
	bool ok = utf8_percent_decode(s, escapes[_i].plus);
	ck_assert(ok == (escapes[_i].out != NULL));
	if (ok)
		ck_assert_str_eq(s, escapes[_i].out);
}
END_TEST

START_TEST(times_are_parsed_and_printed_as_rfc_3339)
{
	char out[CLOCK_RFC3339_LEN + 1];
	clock_rfc3339(0, out);
	ck_assert_str_eq(out, "1970-01-01T00:00:00.000Z");
	clock_rfc3339(951782400123456, out);
	ck_assert_str_eq(out, "2000-02-29T00:00:00.123Z");
}
END_TEST

/* Returns the output up to a line with the text. */
static char *log_until(int fd, const char *text)
{
	static char said[16384];
	size_t len = 0;
	for (ssize_t n; strstr(said, text) == NULL; log_tick())
		if ((n = read(fd, said + len, sizeof(said) - 1 - len)) > 0)
			said[len += (size_t)n] = '\0';
	return said;
}

START_TEST(log_flood_is_counted_with_its_last_values)
{
	int ends[2], err = dup(STDERR_FILENO);
	ck_assert_int_eq(pipe2(ends, O_NONBLOCK | O_CLOEXEC), 0);
	dup2(ends[1], STDERR_FILENO);
	for (int i = 1; i <= 100; i++)
		log_warn("value %d of a flood", i);
	log_warn("another line");
	const char *said = log_until(ends[0], "the last one"); /* without another line of this kind */
	dup2(err, STDERR_FILENO);
	ck_assert_ptr_nonnull(strstr(said, "value 10 of a flood\n"));
	ck_assert_ptr_null(strstr(said, "value 11 of a flood\n"));
	ck_assert_ptr_nonnull(strstr(said, "another line\n"));
	ck_assert_ptr_nonnull(strstr(said, "90 more lines like this in "));
	ck_assert_ptr_nonnull(strstr(said, ", the last one: value 100 of a flood\n"));
}
END_TEST

static enum status read_back(unsigned char block[TAR_BLOCK], struct tar_entry *e)
{
	struct buf why;
	buf_init(&why, 1000);
	enum status st = tar_parse(block, e, &why);
	ck_assert(st == ST_OK ? why.len == 0 : why.len > 0);
	buf_release(&why);
	return st;
}

START_TEST(tar_headers_keep_sizes_and_detect_damage)
{
	static const uint64_t sizes[] = { 0, 1, 511, 512, ((uint64_t)1 << 33) - 1, (uint64_t)1 << 33,
		123456789012345678, INT64_MAX / 2 };
	unsigned char block[TAR_BLOCK], damaged[TAR_BLOCK];
	struct tar_entry e;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		tar_format(block, "database.dump", sizes[i], 1700000000);
		ck_assert_int_eq(read_back(block, &e), ST_OK);
		ck_assert_str_eq(e.name, "database.dump");
		ck_assert_uint_eq(e.size, sizes[i]);
		ck_assert(!e.is_directory && !tar_is_end(block));
		ck_assert_uint_eq((sizes[i] + tar_padding(sizes[i])) % TAR_BLOCK, 0);
	}
	for (size_t i = 0; i < TAR_BLOCK; i++) {
		memcpy(damaged, block, TAR_BLOCK);
		damaged[i] ^= 1;
		bool counts = i < 148 || i >= 156; /* not every byte of the checksum is significant */
		if (counts)
			ck_assert_int_eq(read_back(damaged, &e), ST_INVALID);
	}
	memset(block, 0, TAR_BLOCK);
	ck_assert(tar_is_end(block));
	ck_assert_int_eq(read_back(block, &e), ST_INVALID);
}
END_TEST

START_TEST(linesafe_escapes_every_line_terminator)
{
	static const struct {
		const char *json, *safe;
	} cases[] = {
		{ "", "" },
		{ "plain", "plain" },
		{ "\xe2\x80\xa8", "\\u2028" },
		{ "\xe2\x80\xa9x\xc2\x85", "\\u2029x\\u0085" },
		{ "\xc2\x85\xc2\x85\xe2\x80\xa8y\xe2\x80\xa8", "\\u0085\\u0085\\u2028y\\u2028" },
		{ "\xc2\xa9\xe2\x80\x94\xe2\x82\xac\xe2\x80\xaa",
			"\xc2\xa9\xe2\x80\x94\xe2\x82\xac\xe2\x80\xaa" }, /* similar characters are unchanged */
		{ "cut \xe2\x80", "cut \xe2\x80" },
		{ "cut \xc2", "cut \xc2" },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t len = strlen(cases[i].json);
		ck_assert_uint_eq(len + linesafe_growth(cases[i].json, len), strlen(cases[i].safe));
		char *taken = linesafe_take(strdup(cases[i].json), &len);
		ck_assert_uint_eq(len, strlen(cases[i].safe));
		ck_assert_str_eq(taken, cases[i].safe);
		free(taken);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("base");
	TCase *tc = tcase_create("base");
	tcase_add_test(tc, buf_grows_to_its_cap_and_no_further);
	tcase_add_test(tc, arena_allocations_are_aligned_and_do_not_overlap);
	tcase_add_test(tc, arena_allocations_after_large_odd_text_are_aligned);
	tcase_add_test(tc, buf_quotes_json);
	tcase_add_test(tc, map_finds_keys_until_they_are_removed);
	tcase_add_test(tc, slab_objects_do_not_overlap);
	tcase_add_loop_test(tc, utf8_validation_follows_rfc_3629, 0, sizeof(texts) / sizeof(texts[0]));
	tcase_add_loop_test(tc, percent_decoding_follows_rfc_3986, 0, sizeof(escapes) / sizeof(escapes[0]));
	tcase_add_test(tc, times_are_parsed_and_printed_as_rfc_3339);
	tcase_add_test(tc, tar_headers_keep_sizes_and_detect_damage);
	tcase_add_test(tc, linesafe_escapes_every_line_terminator);
	tcase_add_test(tc, log_flood_is_counted_with_its_last_values);
	suite_add_tcase(suite, tc);
	SRunner *runner = srunner_create(suite);
	srunner_set_tap(runner, "-");
	srunner_run_all(runner, CK_SILENT);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
