/* SPDX-License-Identifier: MIT
 * The client commands: send, chats, and doctor, which checks what a server depends on. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../lib/client.h"
#include "../lib/command.h"
#include "../lib/database.h"
#include "../lib/json_path.h"
#include "../lib/suite.h"
#include "base/clock.h"

#define invoked_by(client) ((struct invocation) { .who = (client) })

static void put_json(void *o) { json_object_put(o); }

static struct json_object *parse(const char *text)
{
	struct json_object *o = json_path_parse(text, strlen(text));
	ck_assert_msg(o != NULL, "no JSON: %s", text);
	return on_teardown(put_json, o);
}

static struct json_object *latest(const struct client *who, long long chat)
{
	return expect_status(get(who, "/v1/chats/%lld/messages?limit=1", chat), 200).json;
}

START_TEST(send_prints_message_id)
{
	struct client *ann = new_user();
	long long chat = make_group(ann);
	struct outcome sent = command_run(invoked_by(ann), "send", format("%lld", chat), "hello", "there");
	ck_assert_msg(sent.status == 0, "%s", sent.err);
	ck_assert_int_eq(json_num(latest(ann, chat), "messages.0.id"), atoll(sent.out));
	ck_assert_str_eq(json_str(latest(ann, chat), "messages.0.text"), "hello there");
}
END_TEST

START_TEST(send_reads_standard_input_without_its_last_newline)
{
	struct client *ann = new_user();
	long long chat = make_group(ann);
	struct invocation piped = invoked_by(ann);
	piped.input = "one\n\ttwo \xe2\x80\xa8 \"three\"\n";
	ck_assert_int_eq(command_run(piped, "send", format("%lld", chat)).status, 0);
	ck_assert_str_eq(json_str(latest(ann, chat), "messages.0.text"), "one\n\ttwo \xe2\x80\xa8 \"three\"");
	piped.input = "not \xff UTF-8\n";
	ck_assert_int_eq(command_run(piped, "send", format("%lld", chat)).status, 1);
	ck_assert_str_eq(json_str(latest(ann, chat), "messages.0.text"), "one\n\ttwo \xe2\x80\xa8 \"three\"");
}
END_TEST

START_TEST(send_repeated_with_same_key_happens_once)
{
	struct client *ann = new_user();
	const char *chat = format("%lld", make_group(ann));
	struct outcome first = command_run(invoked_by(ann), "send", chat, "once", "--key", "backup-2026-11");
	struct outcome again = command_run(invoked_by(ann), "send", "--key", "backup-2026-11", chat, "once");
	ck_assert_int_eq(first.status, 0);
	ck_assert_int_eq(again.status, 0);
	ck_assert_str_eq(first.out, again.out);
	struct outcome other = command_run(invoked_by(ann), "send", chat, "twice", "--key", "backup-2026-11");
	ck_assert_int_eq(other.status, 1);
	ck_assert_msg(strstr(other.err, "key_conflict") != NULL, "%s", other.err);
	ck_assert_int_eq(command_run(invoked_by(ann), "send", chat, "x", "--key", "").status, 2);
}
END_TEST

START_TEST(send_replies_and_prints_json)
{
	struct client *ann = new_user();
	long long chat = make_group(ann), id = say(ann, chat, "question");
	struct outcome sent = command_run(
		invoked_by(ann), "send", format("%lld", chat), "answer", "--reply-to", format("%lld", id), "--json");
	ck_assert_msg(sent.status == 0, "%s", sent.err);
	ck_assert_int_eq(json_num(parse(sent.out), "reply_to"), id);
	ck_assert_str_eq(json_str(parse(sent.out), "text"), "answer");
	ck_assert_int_eq(
		command_run(invoked_by(ann), "send", format("%lld", chat), "x", "--reply-to", "the last one").status,
		2);
	struct outcome lost =
		command_run(invoked_by(ann), "send", format("%lld", chat), "x", "--reply-to", "999999999");
	ck_assert_int_eq(lost.status, 1);
	ck_assert_msg(strstr(lost.err, "unknown_reply_to") != NULL, "%s", lost.err);
}
END_TEST

START_TEST(commands_fail_when_output_cannot_be_written)
{
	struct client *ann = new_user();
	long long chat = make_group(ann);
	struct invocation full = invoked_by(ann);
	full.output = "/dev/full";
	struct outcome sent = command_run(full, "send", format("%lld", chat), "hello");
	ck_assert_int_eq(sent.status, 74);
	/* The message was sent, so the error must say so before the user retries. */
	ck_assert_msg(strstr(sent.err, format("its id is %lld", json_num(latest(ann, chat), "messages.0.id"))) != NULL,
		"%s", sent.err);
	ck_assert_int_eq(command_run(full, "chats").status, 74);
	ck_assert_int_eq(command_run(full, "--help").status, 74);
	ck_assert_int_eq(command_run(full, "--version").status, 74);
	ck_assert_int_eq(
		command_run(full, "token", "nobody-of-that-name", "--state", server_state(test_server())).status, 1);
	ck_assert_int_eq(command_run(full, "user", "list", "--state", server_state(test_server())).status, 74);
}
END_TEST

START_TEST(send_with_tls_to_plain_server_fails_at_once)
{
	struct client *ann = new_user();
	struct invocation tls = { .who = ann, .url = format("https://127.0.0.1:%u", server_port(test_server())) };
	struct outcome sent = command_run(tls, "send", "1", "hello");
	ck_assert_int_eq(sent.status, 69);
	ck_assert_msg(strstr(sent.err, "http://") != NULL, "%s", sent.err);
	ck_assert_int_eq(command_run(tls, "chats").status, 69);
}
END_TEST

START_TEST(chats_lists_only_chats_of_the_user)
{
	struct client *ann = new_user(), *bob = new_user();
	long long shared = make_group(ann, bob), own = make_group(bob);
	say(ann, shared, "one");
	say(ann, shared, "two");
	struct outcome list = command_run(invoked_by(bob), "chats", "--json");
	ck_assert_int_eq(list.status, 0);
	char *second = strchr(list.out, '\n');
	ck_assert_ptr_nonnull(second);
	ck_assert_ptr_null(strchr(second + 1, '\n'));
	*second++ = '\0';
	ck_assert_int_eq(json_num(parse(list.out), "id"), shared);
	ck_assert_int_eq(json_num(parse(list.out), "unread"), 2);
	ck_assert_int_eq(json_num(parse(second), "id"), own);
	struct outcome shown = command_run(invoked_by(bob), "chats");
	ck_assert_msg(strstr(shown.out, format("%lld", shared)) != NULL && strstr(shown.out, "group") != NULL, "%s",
		shown.out);
	ck_assert_int_eq(command_run(invoked_by(new_user()), "chats").status, 0);
	ck_assert_int_eq(command_run(invoked_by(NULL), "chats").status, 2);
	ck_assert_int_eq(command_run(invoked_by(with_token(bob, "pt_wrong")), "chats").status, 77);
}
END_TEST

START_TEST(chats_reads_every_page)
{
	struct client *ann = new_user();
	enum { CHATS = 230 };
	long long last = 0;
	for (int i = 0; i < CHATS; i++)
		last = make_group(ann);
	struct outcome list = command_run(invoked_by(ann), "chats");
	int lines = 1;
	for (const char *p = list.out; (p = strchr(p, '\n')) != NULL; p++)
		lines++;
	ck_assert_int_eq(lines, CHATS);
	ck_assert_ptr_nonnull(strstr(list.out, format("%lld", last)));
}
END_TEST

/* ---- doctor ---- */

/* Returns the worst finding of a check among JSON lines ("failure", "warning" or "ok"; "": none), and its text. */
static const char *worst_finding(const struct outcome *o, const char *check, const char **ret_text)
{
	const char *worst = "";
	char *lines = format("%s", o->out), *rest = NULL;
	for (char *line = strtok_r(lines, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
		struct json_object *f = parse(line);
		const char *finding = json_str(f, "finding");
		if (strcmp(json_str(f, "check"), check) != 0)
			continue;
		bool worse = *worst == '\0' || strcmp(finding, "failure") == 0 || (strcmp(worst, "ok") == 0);
		if (worse && strcmp(worst, "failure") != 0) {
			worst = finding;
			*ret_text = json_str(f, "text");
		}
	}
	return worst;
}

#define expect_finding(outcome, check, finding) \
	do { \
		const char *text_ = "nothing was reported"; \
		const char *worst_ = worst_finding(&(outcome), check, &text_); \
		ck_assert_msg(strcmp(worst_, finding) == 0, "%s: %s (%s)", check, worst_, text_); \
	} while (0)

START_TEST(doctor_on_running_server_finds_no_fault)
{
	char *listen = format("127.0.0.1:%u", server_port(test_server()));
	struct outcome o = command_run(
		invoked_by(NULL), "doctor", "--json", "--state", server_state(test_server()), "--listen", listen);
	ck_assert_msg(o.status == 0, "%s\n%s", o.out, o.err);
	expect_finding(o, "settings", "ok");
	expect_finding(o, "ports", "ok");
	expect_finding(o, "postgresql", "ok");
	expect_finding(o, "database", "ok");
	expect_finding(o, "schema", "ok");
	struct outcome shown =
		command_run(invoked_by(NULL), "doctor", "--state", server_state(test_server()), "--listen", listen);
	ck_assert_msg(strstr(shown.out, "a Postern answers at") != NULL && strstr(shown.out, "0 failures") != NULL,
		"%s", shown.out);
}
END_TEST

START_TEST(doctor_without_state_creates_no_cluster)
{
	char *dir = on_teardown(free, strdup("/tmp/pt-doctor-XXXXXX"));
	ck_assert_ptr_nonnull(mkdtemp(dir));
	char *state = format("%s/state", dir);
	struct outcome o =
		command_run(invoked_by(NULL), "doctor", "--json", "--state", state, "--listen", "127.0.0.1:0");
	ck_assert_msg(o.status == 0, "%s\n%s", o.out, o.err);
	expect_finding(o, "database", "ok");
	ck_assert_int_ne(access(state, F_OK), 0);
	rmdir(dir);
}
END_TEST

START_TEST(doctor_reports_port_in_use)
{
	struct sockaddr_in addr = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(addr);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&addr, sizeof(addr)) | listen(fd, 1), 0);
	getsockname(fd, (struct sockaddr *)&addr, &len);
	char *listen_at = format("127.0.0.1:%u", ntohs(addr.sin_port));
	struct outcome o = command_run(
		invoked_by(NULL), "doctor", "--json", "--state", server_state(test_server()), "--listen", listen_at);
	close(fd);
	ck_assert_int_eq(o.status, 1);
	expect_finding(o, "ports", "failure");
	o = command_run(invoked_by(NULL), "doctor", "--json", "--state", server_state(test_server()), "--listen",
		"192.0.2.1:8080");
	ck_assert_int_eq(o.status, 1);
	expect_finding(o, "ports", "failure");
}
END_TEST

START_TEST(doctor_reports_unreachable_database)
{
	struct outcome o = command_run(invoked_by(NULL), "doctor", "--json", "--database",
		"host=127.0.0.1 port=1 dbname=x", "--listen", "127.0.0.1:0");
	ck_assert_int_eq(o.status, 1);
	expect_finding(o, "database", "failure");
}
END_TEST

static void change_setting(PGconn *pg, const char *change, const char *name, const char *value)
{
	sql(pg, "%s", change);
	sql(pg, "select pg_reload_conf()");
	for (unsigned long long until = clock_mono_ms() + PATIENCE; strcmp(sql(pg, "show %s", name), value) != 0;)
		time_left(until, "a setting of the database");
}

START_TEST(doctor_reports_unsafe_database_settings)
{
	PGconn *pg = database_open(test_server());
	change_setting(pg, "alter system set full_page_writes = off", "full_page_writes", "off");
	struct outcome o = command_run(invoked_by(NULL), "doctor", "--json", "--state", server_state(test_server()),
		"--listen", "127.0.0.1:0");
	change_setting(pg, "alter system reset full_page_writes", "full_page_writes", "on");
	ck_assert_int_eq(o.status, 1);
	expect_finding(o, "database", "failure");
}
END_TEST

/* Copies the named file of the source tree without the lines that contain `without`; returns the copy's path. */
static char *copy_without(const char *name, const char *without)
{
	char line[1024], *path = format("/tmp/pt-proxy-%d-%s", (int)getpid(), strrchr(name, '/') + 1);
	FILE *from = fopen(format("%s/%s", getenv("TOP_SRCDIR"), name), "re"), *into = fopen(path, "we");
	ck_assert(from != NULL && into != NULL);
	while (fgets(line, sizeof(line), from) != NULL)
		if (without == NULL || strstr(line, without) == NULL)
			fputs(line, into);
	fclose(from);
	fclose(into);
	return path;
}

static struct outcome run_doctor_on(char *file)
{
	struct outcome o = command_run(invoked_by(NULL), "doctor", "--json", "--state", server_state(test_server()),
		"--listen", "127.0.0.1:0", "--proxy-file", file);
	unlink(file);
	return o;
}

START_TEST(doctor_checks_proxy_configuration_files)
{
	static const struct {
		const char *name, *without;
	} broken[] = { { "doc/nginx.conf", "proxy_http_version" }, { "doc/nginx.conf", "proxy_read_timeout" },
		{ "doc/nginx.conf", "X-Forwarded-For" }, { "doc/apache.conf", "X-Forwarded-Proto" },
		{ "doc/caddy/Caddyfile", "flush_interval" } };
	static const char *const sound[] = { "doc/nginx.conf", "doc/apache.conf", "doc/caddy/Caddyfile" };
	for (size_t i = 0; i < sizeof(sound) / sizeof(sound[0]); i++) {
		struct outcome o = run_doctor_on(copy_without(sound[i], NULL));
		expect_finding(o, "proxy", "ok");
	}
	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
		struct outcome o = run_doctor_on(copy_without(broken[i].name, broken[i].without));
		expect_finding(o, "proxy", "warning");
	}
	struct outcome o = command_run(invoked_by(NULL), "doctor", "--json", "--state", server_state(test_server()),
		"--listen", "127.0.0.1:0", "--proxy-file", "/nowhere/nginx.conf");
	expect_finding(o, "proxy", "failure");
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		send_prints_message_id,
		send_reads_standard_input_without_its_last_newline,
		send_repeated_with_same_key_happens_once,
		send_replies_and_prints_json,
		commands_fail_when_output_cannot_be_written,
		send_with_tls_to_plain_server_fails_at_once,
		chats_lists_only_chats_of_the_user,
		chats_reads_every_page,
		doctor_on_running_server_finds_no_fault,
		doctor_without_state_creates_no_cluster,
		doctor_reports_port_in_use,
		doctor_reports_unreachable_database,
		doctor_reports_unsafe_database_settings,
		doctor_checks_proxy_configuration_files,
		NULL,
	};
	return suite_run("cli", tests, NULL);
}
