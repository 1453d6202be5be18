/* SPDX-License-Identifier: MIT
 * Log lines: whatever the values are, the result is one line that a reader of its format parses correctly. */
#include <check.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"

#define NASTY "bob\"\n2026-01-01 error \x1b[31m addr=10.0.0.1 \\ \xff\xe2\x80\xa8\xe2\x80\xae\xc2\x85é\t"

static const char *print(enum log_format format, const char *message, const struct log_field *fields)
{
	static char out[LOGLINE_MAX];
	const struct logline line = { .format = format,
		.time = "2026-01-31T12:00:00.000Z",
		.level = "warn",
		.process = "worker 0",
		.message = message,
		.fields = fields };
	size_t len = logline_print(&line, out);
	ck_assert_uint_eq(len, strlen(out));
	ck_assert_ptr_eq(strchr(out, '\n'), out + len - 1);
	return out;
}

START_TEST(line_in_each_format_has_the_same_fields)
{
	const struct log_field fields[] = { F("user", "bob"), F("absent", NULL), F_NUMBER("status", 401),
		F_SECONDS("duration", 1500), F("path", "/a b"), { 0 } };
	ck_assert_str_eq(print(LOG_TEXT, "it failed", fields),
		"2026-01-31T12:00:00.000Z warn worker 0 it failed user=bob status=401 duration=0.001500 path=\"/a "
		"b\"\n");
	ck_assert_str_eq(print(LOG_LOGFMT, "it failed", fields),
		"time=2026-01-31T12:00:00.000Z level=warn process=\"worker 0\" msg=\"it failed\" user=bob status=401 "
		"duration=0.001500 path=\"/a b\"\n");
	ck_assert_str_eq(print(LOG_JSON, "it failed", fields),
		"{\"time\":\"2026-01-31T12:00:00.000Z\",\"level\":\"warn\",\"process\":\"worker 0\",\"message\":\"it "
		"failed\","
		"\"user\":\"bob\",\"status\":401,\"duration\":0.001500,\"path\":\"/a b\"}\n");
}
END_TEST

START_TEST(line_of_hostile_values_is_escaped_in_every_format)
{
	static const char in_text[] =
		"\"bob\\\"\\n2026-01-01 error \\x1b[31m addr=10.0.0.1 \\\\ \\xff\\u2028\\u202e\\x85é\\t\"";
	const struct log_field fields[] = { F("user", NASTY), F("addr", "192.0.2.1"), { 0 } };
	for (enum log_format f = LOG_TEXT; f <= LOG_LOGFMT; f++) {
		const char *line = print(f, "it failed\nerror: not", fields);
		ck_assert_msg(strstr(line, "it failed\\nerror: not") != NULL, "%s", line);
		const char *user = strstr(line, "user=");
		ck_assert_ptr_nonnull(user);
		ck_assert_msg(strncmp(user + 5, in_text, sizeof(in_text) - 1) == 0, "%s", line);
		ck_assert_str_eq(user + 5 + sizeof(in_text) - 1, " addr=192.0.2.1\n");
	}
	const char *line = print(LOG_JSON, "it failed\nerror: not", fields);
	for (const char *s = line; s[1] != '\0'; s++)
		ck_assert_msg((unsigned char)*s >= ' ', "%s", line);
	struct json_object *o = json_tokener_parse(line), *value;
	ck_assert_ptr_nonnull(o);
	ck_assert(json_object_object_get_ex(o, "user", &value));
	ck_assert_str_eq(json_object_get_string(value),
		"bob\"\n2026-01-01 error \x1b[31m addr=10.0.0.1 \\ \xef\xbf\xbd\xe2\x80\xa8\xe2\x80\xae\xc2\x85é\t");
	ck_assert(json_object_object_get_ex(o, "message", &value));
	ck_assert_str_eq(json_object_get_string(value), "it failed\nerror: not");
	ck_assert_int_eq(json_object_object_length(o), 6);
	json_object_put(o);
}
END_TEST

START_TEST(line_that_is_too_long_is_truncated_and_well_formed)
{
	static char big[20000];
	memset(big, 1, sizeof(big) - 1); /* six bytes each in JSON */
	struct log_field fields[41] = { { 0 } };
	for (int i = 0; i < 40; i++)
		fields[i] = F("a_field", big);
	for (enum log_format f = LOG_TEXT; f <= LOG_JSON; f++) {
		const char *line = print(f, big, fields);
		ck_assert_ptr_nonnull(strstr(line, "…"));
		ck_assert_ptr_nonnull(strstr(line, "a_field"));
		struct json_object *o = f == LOG_JSON ? json_tokener_parse(line) : NULL;
		ck_assert_msg(f != LOG_JSON || o != NULL, "%s", line);
		json_object_put(o);
	}
}
END_TEST

/* Returns what the log writes to standard error when that is this file. */
static char *written_to(const char *path, const char *stream)
{
	static char said[16384];
	int err = dup(STDERR_FILENO), fd = open(path, O_RDWR | O_TRUNC | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	setenv("JOURNAL_STREAM", stream, 1);
	dup2(fd, STDERR_FILENO);
	log_setup(LOG_DEBUG, LOG_LOGFMT, "");
	log_error("one");
	log_warn("two");
	log_info("three");
	log_event(LOG_DEBUG, "four", F_NUMBER("n", 4));
	dup2(err, STDERR_FILENO);
	said[pread(fd, said, sizeof(said) - 1, 0)] = '\0';
	close(fd);
	close(err);
	return said;
}

START_TEST(log_priorities_are_written_to_the_journal_only)
{
	char path[] = "/tmp/postern-log-XXXXXX", stream[64];
	int fd = mkstemp(path);
	struct stat st;
	ck_assert_int_eq(fstat(fd, &st), 0);
	snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)st.st_dev, (unsigned long long)st.st_ino);
	char *said = written_to(path, stream);
	static const char *const begins[] = { "<3>time=", "<4>time=", "<6>time=", "<7>time=" };
	for (int i = 0; i < 4; i++) {
		ck_assert_msg(strncmp(said, begins[i], strlen(begins[i])) == 0, "%s", said);
		said = strchr(said, '\n') + 1;
	}
	snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)st.st_dev, (unsigned long long)st.st_ino + 1);
	ck_assert_int_eq(strncmp(written_to(path, stream), "time=", 5), 0);
	unlink(path);
	close(fd);
}
END_TEST

START_TEST(log_count_includes_suppressed_lines)
{
	uint64_t before = log_count(LOG_WARN);
	int err = dup(STDERR_FILENO), null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	dup2(null, STDERR_FILENO);
	for (int i = 0; i < 100; i++)
		log_event(LOG_WARN, "again", F_NUMBER("i", i));
	dup2(err, STDERR_FILENO);
	ck_assert_uint_eq(log_count(LOG_WARN), before + 100);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("logline");
	TCase *tc = tcase_create("logline");
	tcase_add_test(tc, line_in_each_format_has_the_same_fields);
	tcase_add_test(tc, line_of_hostile_values_is_escaped_in_every_format);
	tcase_add_test(tc, line_that_is_too_long_is_truncated_and_well_formed);
	tcase_add_test(tc, log_priorities_are_written_to_the_journal_only);
	tcase_add_test(tc, log_count_includes_suppressed_lines);
	suite_add_tcase(suite, tc);
	SRunner *runner = srunner_create(suite);
	srunner_set_tap(runner, "-");
	srunner_run_all(runner, CK_SILENT);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed > 0;
}
