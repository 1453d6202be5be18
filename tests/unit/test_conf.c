/* SPDX-License-Identifier: MIT
 * Settings: the order of their sources, the syntax of values, and error messages. */
#include <arpa/inet.h>
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "conf/conf.h"

static char path[64], said[4096];
static struct conf c;
static struct conf_args args;
static const char *label, *admin;
static const struct conf_option own[] = {
	{ "label", "TEXT", "a label", &label },
	{ "admin", NULL, "a switch", &admin },
	{ NULL, NULL, NULL, NULL },
};

static void write_file(const char *text)
{
	FILE *f = fopen(path, "w");
	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	fclose(f);
}

static void setup(void)
{
	snprintf(path, sizeof(path), "/tmp/test_conf.%ld", (long)getpid());
	write_file("");
	setenv("POSTERN_CONFIG", path, 1);
	label = admin = NULL;
}

static void release(void)
{
	conf_release(&c);
	conf_args_release(&args);
}

static void teardown(void)
{
	release();
	unlink(path);
}

/* Loads settings with the flags in one string, separated by blanks; standard error goes to `said`. */
static int load_scoped(enum conf_scope scope, const char *line)
{
	static char copy[512];
	static char *argv[32];
	int argc = 0, keep = dup(STDERR_FILENO);
	FILE *f = tmpfile();
	snprintf(copy, sizeof(copy), "%s", line);
	for (char *word = strtok(copy, " "); word != NULL; word = strtok(NULL, " "))
		argv[argc++] = word;
	args = (struct conf_args) { .argc = argc, .argv = argv, .scope = scope, .options = own };
	dup2(fileno(f), STDERR_FILENO);
	int code = conf_load(&c, &args);
	dup2(keep, STDERR_FILENO);
	close(keep);
	rewind(f);
	said[fread(said, 1, sizeof(said) - 1, f)] = '\0';
	fclose(f);
	return code;
}

static int load(const char *line) { return load_scoped(CONF_ALL, line); }

static void reject(int code, const char *line, const char *reason)
{
	ck_assert_int_eq(load(line), code);
	ck_assert_msg(strstr(said, reason) != NULL, "said: %s", said);
	release();
}

START_TEST(conf_without_settings_has_defaults)
{
	ck_assert_int_eq(load(""), 0);
	ck_assert_str_eq(said, "");
	ck_assert_uint_eq(c.listen_count, 1);
	ck_assert_str_eq(c.listen[0].text, "127.0.0.1:8080");
	ck_assert_uint_eq(ntohs(c.listen[0].addr.in.sin_port), 8080);
	ck_assert_uint_eq(c.text_max, 16 * 1024);
	ck_assert_uint_eq(c.rate_sends, 100);
	ck_assert_uint_eq(c.tombstone_ttl, 30 * 86400);
	ck_assert_ptr_null(c.database);
	ck_assert_int_eq(c.log_level, LOG_INFO);
	ck_assert(!c.demo);
}
END_TEST

START_TEST(conf_flags_override_environment_and_file)
{
	write_file("# a comment\n[limits]\nrate_sends = 1\nworkers=2 ; why\ntext_max = 4K # why\n\n  heartbeat = 3s\n");
	setenv("POSTERN_RATE_SENDS", "10", 1);
	setenv("POSTERN_WORKERS", "3", 1);
	setenv("POSTERN_HEARTBEAT", "", 1);
	ck_assert_int_eq(load("--rate-sends=100 --rate_sends 200 --demo"), 0);
	ck_assert_uint_eq(c.rate_sends, 200);
	ck_assert_uint_eq(c.workers, 3);
	ck_assert_uint_eq(c.text_max, 4096);
	ck_assert_uint_eq(c.heartbeat, 3);
	ck_assert(c.demo);
}
END_TEST

START_TEST(conf_list_in_later_source_replaces_then_appends)
{
	write_file("listen = 127.0.0.1:1, 127.0.0.1:2\nlisten = [::1]:3\n");
	ck_assert_int_eq(load(""), 0);
	ck_assert_uint_eq(c.listen_count, 3);
	ck_assert_str_eq(c.listen[2].text, "[::1]:3");
	release();
	write_file("listen = 127.0.0.1:1\n");
	ck_assert_int_eq(load("--listen 0.0.0.0:80 --listen unix:/tmp/x"), 0);
	ck_assert_uint_eq(c.listen_count, 2);
	ck_assert_int_eq(c.listen[1].addr.sa.sa_family, AF_UNIX);
	ck_assert_str_eq(c.listen[1].addr.un.sun_path, "/tmp/x");
}
END_TEST

START_TEST(conf_errors_name_their_source)
{
	char line[128];
	reject(2, "--workers 99", "postern: --workers: 99 is not between 1 and 64\n");
	reject(2, "--body-max=lots", "--body-max: lots: expected a size");
	reject(2, "--worker 2", "--worker: no such option");
	reject(2, "--workers", "--workers: needs a value");
	reject(2, "--listen example.org:80", "--listen: example.org:80: expected ADDRESS:PORT");
	reject(2, "-x", "-x: no such option");
	setenv("POSTERN_RATE_SENDS", "-1", 1);
	reject(78, "", "POSTERN_RATE_SENDS: -1: expected a number");
	unsetenv("POSTERN_RATE_SENDS");
	write_file("\nworkers = none\nwrokers = 2\nthis\nworkers = 3\n");
	snprintf(line, sizeof(line), "%s:2: workers: none: expected a number", path);
	reject(78, "", line);
	snprintf(line, sizeof(line), "%s:3: wrokers: no such setting", path);
	reject(78, "", line);
	snprintf(line, sizeof(line), "%s:4: expected NAME = VALUE", path);
	reject(78, "", line);
	snprintf(line, sizeof(line), "%s:5: workers: given before, in line 2", path);
	reject(78, "", line);
	write_file("this\nand this\nworkers = 3\n[section\n");
	for (int i = 1; i <= 4; i += i == 2 ? 2 : 1) { /* each of them is reported */
		snprintf(line, sizeof(line), "%s:%d: expected NAME = VALUE", path, i);
		reject(78, "", line);
	}
	reject(78, "--config /nonexistent/file", "/nonexistent/file: No such file");
}
END_TEST

START_TEST(conf_lines_that_are_too_long_are_refused)
{
	char text[1200] = "database = host=/run", line[128];
	memset(text + strlen(text), 'x', 1000);
	write_file(text);
	ck_assert_int_eq(load(""), 0);
	ck_assert_uint_eq(strlen(c.database), 1000 + strlen("host=/run"));
	release();
	char *huge = calloc(1, 20000);
	memset(huge, 'x', 19999);
	memcpy(huge, "database = ", 11);
	write_file(huge);
	free(huge);
	snprintf(line, sizeof(line), "%s:1: the line is too long", path);
	reject(78, "", line);
}
END_TEST

START_TEST(conf_comments_of_any_length_are_ignored)
{
	char *text = calloc(1, 20100);
	memset(text, 'x', 20000);
	text[0] = '#';
	memcpy(text + 10000, "\nworkers = 3 # ", 15);
	write_file(text);
	free(text);
	ck_assert_int_eq(load(""), 0);
	ck_assert_uint_eq(c.workers, 3);
	release();
}
END_TEST

START_TEST(conf_lines_of_every_form_are_parsed)
{
	write_file("\xef\xbb\xbf# a comment\r\n; another\n\n[a section]\r\n[one] with text behind it\n"
		   "  workers=3 # why\r\n\tlisten : 127.0.0.1:8001\nlog_level\t=\tdebug\n");
	ck_assert_int_eq(load(""), 0);
	ck_assert_uint_eq(c.workers, 3);
	ck_assert_str_eq(c.listen[0].text, "127.0.0.1:8001");
	release();
}
END_TEST

START_TEST(conf_options_and_operands_of_command_are_parsed)
{
	ck_assert_int_eq(load_scoped(CONF_DATABASE, "alice --label=x --admin bob --state /s -- --not-an-option -"), 0);
	ck_assert_int_eq(args.operand_count, 4);
	ck_assert_str_eq(args.operands[1], "bob");
	ck_assert_str_eq(args.operands[2], "--not-an-option");
	ck_assert_ptr_null(args.operands[4]);
	ck_assert_str_eq(label, "x");
	ck_assert_ptr_nonnull(admin);
	ck_assert_str_eq(c.state, "/s");
	release();
	ck_assert_int_eq(load_scoped(CONF_DATABASE, "--workers 2"), 2);
	ck_assert_ptr_nonnull(strstr(said, "this command doesn't take it"));
	release();
	ck_assert_int_eq(load("--bogus --help"), 2);
	release();
	ck_assert_int_eq(load("--workers 2 --help --bogus"), 0);
	ck_assert(args.help);
}
END_TEST

START_TEST(conf_values_with_units_are_parsed)
{
	uint64_t n;
	ck_assert_int_eq(load("--text-max 1M --bulk-max 16MiB --session-ttl 12h --key-ttl 90m --tombstone-ttl 2w "
			      "--streams-max 0 --no-demo"),
		0);
	ck_assert_uint_eq(c.text_max, 1 << 20);
	ck_assert_uint_eq(c.bulk_max, 16 << 20);
	ck_assert_uint_eq(c.session_ttl, 12 * 3600);
	ck_assert_uint_eq(c.key_ttl, 5400);
	ck_assert_uint_eq(c.tombstone_ttl, 14 * 86400);
	ck_assert(conf_parse_duration("30d", &n) && n == 30 * 86400);
	ck_assert(!conf_parse_duration("", &n));
	ck_assert(!conf_parse_duration("d", &n));
	ck_assert(!conf_parse_duration("1x", &n));
	ck_assert(!conf_parse_duration("99999999999999999999s", &n));
	ck_assert(!conf_parse_duration("18446744073709551615d", &n));
}
END_TEST

static bool trusted(const char *addr)
{
	union {
		struct sockaddr sa;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	} a;
	memset(&a, 0, sizeof(a));
	a.sa.sa_family = strchr(addr, ':') != NULL ? AF_INET6 : AF_INET;
	ck_assert_int_eq(inet_pton(a.sa.sa_family, addr,
				 a.sa.sa_family == AF_INET6 ? (void *)&a.in6.sin6_addr : (void *)&a.in.sin_addr),
		1);
	return conf_is_trusted_proxy(&c, &a.sa);
}

START_TEST(conf_trusted_proxies_match_addresses_and_networks)
{
	struct sockaddr local = { .sa_family = AF_UNIX };
	ck_assert_int_eq(
		load("--trusted-proxies 10.0.0.0/8,192.168.1.128/25 --trusted-proxies ::1,fd00::/7 --trusted-proxies "
		     "127.0.0.1"),
		0);
	ck_assert(trusted("10.255.0.1"));
	ck_assert(trusted("::ffff:10.1.2.3"));
	ck_assert(!trusted("11.0.0.1"));
	ck_assert(trusted("192.168.1.129"));
	ck_assert(!trusted("192.168.1.127"));
	ck_assert(trusted("::1"));
	ck_assert(!trusted("::2"));
	ck_assert(trusted("fc12::1"));
	ck_assert(!trusted("127.0.0.2"));
	ck_assert(!conf_is_trusted_proxy(&c, &local));
	release();
	ck_assert_int_eq(load("--trusted-proxies 0.0.0.0/0,unix"), 0);
	ck_assert(trusted("1.2.3.4"));
	ck_assert(!trusted("::1"));
	ck_assert(conf_is_trusted_proxy(&c, &local));
	release();
	reject(2, "--trusted-proxies 10.0.0.0/33", "expected an address");
	reject(2, "--trusted-proxies proxy.example", "expected an address");
}
END_TEST

START_TEST(conf_origins_and_urls_are_validated)
{
	ck_assert_int_eq(load("--cors-origins https://App.Example.org:443/,http://localhost:5173 --public-url "
			      "https://Chat.Example.org/Postern/"),
		0);
	ck_assert(conf_allows_origin(&c, "https://app.example.org"));
	ck_assert(conf_allows_origin(&c, "http://localhost:5173"));
	ck_assert(!conf_allows_origin(&c, "http://app.example.org"));
	ck_assert(!conf_allows_origin(&c, "null"));
	ck_assert_str_eq(c.public_url, "https://chat.example.org/Postern");
	release();
	ck_assert_int_eq(load("--cors-origins *"), 0);
	ck_assert(conf_allows_origin(&c, "https://any.example"));
	release();
	reject(2, "--cors-origins app.example.org", "expected an origin");
	reject(2, "--cors-origins https://a.example/path", "expected an origin");
	reject(2, "--public-url ftp://x", "expected http://HOST");
	reject(2, "--public-url http://", "expected http://HOST");
	reject(2, "--public-url http://h:99999", "expected http://HOST");
}
END_TEST

/* The output of check-config is a valid settings file, except for secrets. */
START_TEST(conf_printed_can_be_read_again)
{
	static char text[8192], again[8192];
	ck_assert_int_eq(
		load("--text-max 5000 --heartbeat 90 --trusted-proxies 10.0.0.0/8,::1 --listen [::]:0 --public-url "
		     "http://h/x"),
		0);
	FILE *f = fmemopen(text, sizeof(text), "w");
	conf_print(&c, f);
	fclose(f);
	release();
	write_file(text);
	ck_assert_int_eq(load(""), 0);
	ck_assert_str_eq(said, "");
	f = fmemopen(again, sizeof(again), "w");
	conf_print(&c, f);
	fclose(f);
	ck_assert_ptr_nonnull(strstr(text, "--trusted-proxies"));
	for (char *a = strtok(text, "#"), *b = again; a != NULL; a = strtok(NULL, "#")) {
		char *assign = strchr(a, '\n');
		ck_assert(assign == NULL || strstr(b, assign) != NULL);
	}
}
END_TEST

START_TEST(conf_printed_masks_passwords)
{
	static const char *const conninfos[] = { "postgres://u:S3cret@h/db?password=S3cret&x=1",
		"host=h password=S3cret dbname=d", "host=h password = 'S3cr\\'et S3cret' dbname=d" };
	for (size_t i = 0; i < 3; i++) {
		char text[8192] = "";
		setenv("POSTERN_DATABASE", conninfos[i], 1);
		ck_assert_int_eq(load(""), 0);
		FILE *f = fmemopen(text, sizeof(text), "w");
		conf_print(&c, f);
		fclose(f);
		ck_assert_ptr_null(strstr(text, "S3cr"));
		ck_assert_ptr_nonnull(strstr(text, "****"));
		ck_assert_ptr_nonnull(strstr(text, i == 0 ? "&x=1" : "dbname=d"));
		release();
	}
}
END_TEST

START_TEST(conf_reload_reads_settings_again)
{
	write_file("text_max = 1K\nworkers = 2\n");
	ck_assert_int_eq(load("--body-max 2K"), 0);
	write_file(
		"log_level = debug\nlog_format = json\nworkers = 3\nbody_max = 4K\ncors_origins = https://a.example, "
		"https://b.example\n");
	ck_assert(conf_reload(&c));
	ck_assert_int_eq(c.log_level, LOG_DEBUG);
	ck_assert_int_eq(c.log_format, LOG_JSON);
	ck_assert_uint_eq(c.text_max, 16 * 1024);
	ck_assert_uint_eq(c.body_max, 2 * 1024);
	ck_assert_uint_eq(c.cors_count, 2);
	ck_assert_uint_eq(c.workers, 2); /* needs a restart */
	write_file("log_level = info\ntext_max = nonsense\n");
	ck_assert(!conf_reload(&c));
	ck_assert_int_eq(c.log_level, LOG_DEBUG);
}
END_TEST

/* Settings that a reload may change are passed between processes. */
START_TEST(conf_packed_can_be_unpacked)
{
	char *before, *after;
	size_t len;
	struct buf packed;
	write_file(
		"public_url = https://chat.example.org/x\ntrusted_proxies = 10.0.0.0/8, ::1, unix\ncors_origins = *\n"
		"text_max = 0\n"
		"jwt_issuer = a b = c\nheartbeat = 90s\nring_bytes = 5000\nregistration = invite\nlog_level = warn\n");
	ck_assert_int_eq(load(""), 0);
	buf_init(&packed, 1 << 20);
	conf_pack(&c, &packed);
	FILE *f = open_memstream(&before, &len);
	conf_print(&c, f);
	fclose(f);
	struct conf_origin origins[CONF_SETTINGS_MAX];
	memcpy(origins, c.origin, sizeof(origins));
	release();
	write_file("");
	ck_assert_int_eq(load(""), 0);
	conf_unpack(&c, packed.data, packed.len);
	memcpy(c.origin, origins, sizeof(origins));
	f = open_memstream(&after, &len);
	conf_print(&c, f);
	fclose(f);
	ck_assert_str_eq(after, before);
	free(before);
	free(after);
	buf_release(&packed);
}
END_TEST

START_TEST(conf_check_names_settings_that_need_a_restart)
{
	char *text;
	size_t len;
	ck_assert_int_eq(load("--workers 2"), 0);
	FILE *f = open_memstream(&text, &len);
	conf_print(&c, f);
	fclose(f);
	ck_assert_ptr_nonnull(strstr(text, "# --workers; a change needs a restart\n"));
	ck_assert_ptr_nonnull(strstr(strstr(text, "\nrate_sends = "), "# default\n"));
	free(text);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("conf");
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, conf_without_settings_has_defaults);
	tcase_add_test(tc, conf_flags_override_environment_and_file);
	tcase_add_test(tc, conf_list_in_later_source_replaces_then_appends);
	tcase_add_test(tc, conf_errors_name_their_source);
	tcase_add_test(tc, conf_lines_that_are_too_long_are_refused);
	tcase_add_test(tc, conf_comments_of_any_length_are_ignored);
	tcase_add_test(tc, conf_lines_of_every_form_are_parsed);
	tcase_add_test(tc, conf_options_and_operands_of_command_are_parsed);
	tcase_add_test(tc, conf_values_with_units_are_parsed);
	tcase_add_test(tc, conf_trusted_proxies_match_addresses_and_networks);
	tcase_add_test(tc, conf_origins_and_urls_are_validated);
	tcase_add_test(tc, conf_printed_can_be_read_again);
	tcase_add_test(tc, conf_printed_masks_passwords);
	tcase_add_test(tc, conf_reload_reads_settings_again);
	tcase_add_test(tc, conf_packed_can_be_unpacked);
	tcase_add_test(tc, conf_check_names_settings_that_need_a_restart);
	Suite *suite = suite_create("conf");
	suite_add_tcase(suite, tc);
	SRunner *sr = srunner_create(suite);
	srunner_set_tap(sr, "-");
	srunner_run_all(sr, CK_SILENT);
	int failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
