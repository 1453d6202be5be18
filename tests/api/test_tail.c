/* SPDX-License-Identifier: MIT
 * `postern tail` prints history, then live messages, each once. It continues after a restart of its own with a state
 * file, and after a restore of the database with the history. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../lib/client.h"
#include "../lib/cluster.h"
#include "../lib/command.h"
#include "../lib/json_path.h"
#include "../lib/program.h"
#include "../lib/suite.h"
#include "base/clock.h"

static struct server *node; /* its database can be restored */
static struct cluster *home;

#define run_tail(who, ...) run_tail_args(who, (const char *const[]) { "tail", ##__VA_ARGS__, NULL })
static struct program *run_tail_args(const struct client *who, const char *const args[])
{
	const char *const env[] = { format("POSTERN_URL=%s", server_url(who->server)),
		format("POSTERN_TOKEN=%s", who->token), "TZ=UTC", NULL };
	return program_start(args, env, NULL);
}

/* Returns the texts of the messages printed up to one that says `last`, separated by blanks. */
static char *printed_texts(struct program *p, const char *last)
{
	char *all = format("%s", ""), *said;
	program_await(p, format(": %s\n", last));
	said = format("%s", program_said(p));
	for (char *line = strtok(said, "\n"); line != NULL; line = strtok(NULL, "\n"))
		if (*line == '2') /* the line begins with a time */
			all = format("%s%s%s", all, *all != '\0' ? " " : "", strchr(line + 24, ':') + 2);
	return all;
}

/* Sends messages until one is printed: a tail without backlog doesn't show when it begins to listen. */
static void await_listening(const struct client *who, long long chat, struct program *p)
{
	unsigned long long until = clock_mono_ms() + PATIENCE;
	while (strstr(program_said(p), ": ready\n") == NULL) {
		say(who, chat, "ready");
		time_left(until, "the tail to listen");
	}
}

static char *make_directory(void)
{
	char dir[] = "/tmp/ptXXXXXX";
	ck_assert_ptr_nonnull(mkdtemp(dir));
	return format("%s", dir);
}

START_TEST(tail_prints_latest_messages_of_all_chats_then_follows)
{
	struct client *ann = new_user();
	long long one = make_group(ann), two = make_group(ann), three = make_group(ann);
	say(ann, one, "a");
	say(ann, two, "b");
	say(ann, three, "c");
	say(ann, one, "d");
	say(ann, two, "e");
	struct program *all = run_tail(ann, "-n", "4"), *last = run_tail(ann, format("%lld", two), "-n1"),
		       *none = run_tail(ann);
	program_await(all, ": e\n");
	program_await(last, ": e\n");
	say(ann, one, "f");
	say(ann, two, "g");
	ck_assert_str_eq(printed_texts(all, "g"), "b c d e f g");
	ck_assert_str_eq(printed_texts(last, "g"), "e g");
	await_listening(ann, one, none);
	ck_assert_ptr_null(strstr(program_said(none), ": e\n"));
	struct program *more = run_tail(ann, "-n", "10000");
	ck_assert(strncmp(printed_texts(more, "g"), "a b c d e f g", 13) == 0);
}
END_TEST

START_TEST(tail_reads_many_pages_in_order)
{
	enum { MESSAGES = 450 };
	struct client *ann = new_user();
	long long chats[] = { make_group(ann), make_group(ann) };
	char *expected = format("%s", "");
	for (int i = 0; i < MESSAGES; i++) {
		say(ann, chats[i % 3 == 0], format("m%d", i));
		if (i >= 30)
			expected = format("%s%sm%d", expected, i > 30 ? " " : "", i);
	}
	ck_assert_str_eq(
		printed_texts(run_tail(ann, "-n", format("%d", MESSAGES - 30)), format("m%d", MESSAGES - 1)), expected);
}
END_TEST

START_TEST(tail_since_accepts_id_time_and_duration)
{
	struct client *ann = new_user();
	long long one = make_group(ann), two = make_group(ann);
	say(ann, one, "a");
	long long b = say(ann, two, "b");
	say(ann, one, "c");
	const char *at_b = json_str(expect_status(get(ann, "%s", message_path(two, b)), 200).json, "at");
	ck_assert_str_eq(printed_texts(run_tail(ann, "--since", format("%lld", b)), "c"), "c");
	ck_assert_str_eq(printed_texts(run_tail(ann, "--since=0"), "c"), "a b c");
	ck_assert_ptr_nonnull(strstr(printed_texts(run_tail(ann, "--since", at_b), "c"), "b c"));
	ck_assert_str_eq(printed_texts(run_tail(ann, "--since", "1h"), "c"), "a b c");
	ck_assert_str_eq(printed_texts(run_tail(ann, "--since", format("%.10s", at_b)), "c"), "a b c");
	ck_assert_str_eq(
		printed_texts(run_tail(ann, format("%lld", two), "--since", "2026-01-01T00:00:00+01:00"), "b"), "b");
	say(ann, two, "d");
	ck_assert_str_eq(printed_texts(run_tail(ann, "--since", format("%lld", b)), "d"), "c d");
}
END_TEST

START_TEST(tail_with_invalid_arguments_is_refused)
{
	struct client *ann = new_user();
	const char *const wrong[][3] = { { "-n", "x" }, { "-n", "-1" }, { "-n", "10001" }, { "-n", "" }, { "-n" },
		{ "--n", "5" }, { "-x" }, { "--since", "yesterday" }, { "--since", "2026-02-31" }, { "--since", "" },
		{ "--since", "2026-01-01T25:00" }, { "--since", "2026-01-01T10:00+1" }, { "--since", "99999w" },
		{ "-n", "1", "--since=1" }, { "1", "2" } };
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		const char *const args[] = { "tail", wrong[i][0], wrong[i][1], wrong[i][2], NULL };
		struct outcome o = command_run_args((struct invocation) { .who = ann }, args);
		ck_assert_msg(o.status == 2 && *o.err != '\0', "case %zu: %d %s", i, o.status, o.err);
	}
	struct client *bad = with_token(ann, "pt_wrong");
	ck_assert_int_eq(command_run((struct invocation) { .who = bad }, "tail").status, 77);
	struct invocation tls = { .who = ann, .url = format("https://127.0.0.1:%u", server_port(test_server())) };
	ck_assert_int_eq(command_run(tls, "tail").status, 69);
}
END_TEST

START_TEST(tail_json_prints_replayed_and_live_messages)
{
	struct client *ann = new_user();
	long long chat = make_group(ann);
	say(ann, chat, "old");
	struct program *p = run_tail(ann, "--json", "-n", "1");
	program_await(p, "\"old\"");
	say(ann, chat, "new");
	program_await(p, "\"new\"");
	unsigned messages_seen = 0;
	for (char *line = strtok(format("%s", program_said(p)), "\n"); line != NULL; line = strtok(NULL, "\n")) {
		struct json_object *o = json_path_parse(line, strlen(line));
		ck_assert_msg(o != NULL, "%s", line);
		if (strcmp(json_str(o, "event"), "message") == 0)
			ck_assert_str_eq(json_str(o, "data.text"), messages_seen++ == 0 ? "old" : "new");
		json_object_put(o);
	}
	ck_assert_uint_eq(messages_seen, 2);
}
END_TEST

START_TEST(tail_resumes_from_its_state_file)
{
	struct client *ann = new_user();
	long long chat = make_group(ann);
	char *dir = make_directory(), *file = format("%s/cursor", dir);
	struct stat st;
	say(ann, chat, "a");
	struct program *p = run_tail(ann, "--cursor-file", file, "-n", "1");
	program_await(p, ": a\n");
	say(ann, chat, "b");
	ck_assert_str_eq(printed_texts(p, "b"), "a b");
	ck_assert_int_eq(program_stop(p), 128 + SIGTERM);
	ck_assert_int_eq(stat(file, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0600);
	say(ann, chat, "c");
	p = run_tail(ann, "--cursor-file", file, "-n", "1"); /* it resumes: -n applies to the first run */
	say(ann, chat, "d");
	ck_assert_str_eq(printed_texts(p, "d"), "c d");
	ck_assert_int_eq(program_stop(p), 128 + SIGTERM);
	/* A state file belongs to one chat. */
	struct outcome o =
		command_run((struct invocation) { .who = ann }, "tail", format("%lld", chat), "--cursor-file", file);
	ck_assert_msg(o.status == 2 && strstr(o.err, file) != NULL, "%d %s", o.status, o.err);
	unlink(file);
	rmdir(dir);
}
END_TEST

/* While printing fails, the cursor doesn't advance. */
START_TEST(tail_does_not_save_cursor_of_unprinted_message)
{
	struct client *ann = new_user();
	long long chat = make_group(ann);
	char *dir = make_directory(), *file = format("%s/cursor", dir);
	struct program *first = run_tail(ann, "--cursor-file", file);
	await_listening(ann, chat, first);
	ck_assert_int_eq(program_stop(first), 128 + SIGTERM);
	say(ann, chat, "a");
	struct invocation full = { .who = ann, .output = "/dev/full" };
	ck_assert_int_eq(command_run(full, "tail", "--cursor-file", file).status, 74);
	program_await(run_tail(ann, "--cursor-file", file), ": a\n");
	unlink(file);
	rmdir(dir);
}
END_TEST

static void put_text(const char *file, const char *text)
{
	FILE *f = fopen(file, "we");
	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	fclose(f);
}

START_TEST(tail_with_damaged_state_file_fails_and_keeps_it)
{
	struct client *ann = new_user();
	char *dir = make_directory(), *file = format("%s/cursor", dir);
	struct stat st;
	const char *const damaged[] = { "", "nonsense", "[]", "{}", "{\"cursor\":\"\"}", "{\"cursor\":7}",
		"{\"cursor\":\"zzz\",\"printed\":[]}", "{\"cursor\":\"x.1\",\"printed\":[]} and more",
		"{\"cursor\":\"a b\",\"printed\":[]}", "{\"cursor\":\"abcdefgh.1\"}",
		"{\"cursor\":\"x.1\",\"printed\":[{}]}",
		"{\"cursor\":\"x.1\",\"printed\":[{\"id\":-1,\"chat\":1,\"at\":\"2026-01-01T00:00:00.000Z\"}]}" };
	for (size_t i = 0; i < sizeof(damaged) / sizeof(damaged[0]); i++) {
		put_text(file, damaged[i]);
		struct outcome o = command_run((struct invocation) { .who = ann }, "tail", "--cursor-file", file);
		ck_assert_msg(
			o.status == 78 && strstr(o.err, "damaged") != NULL, "case %zu: %d %s", i, o.status, o.err);
		ck_assert_int_eq(stat(file, &st), 0);
		ck_assert_uint_eq((size_t)st.st_size, strlen(damaged[i]));
	}
	ck_assert_int_eq(command_run((struct invocation) { .who = ann }, "tail", "--cursor-file", dir).status, 78);
	struct outcome nowhere =
		command_run((struct invocation) { .who = ann }, "tail", "--cursor-file", format("%s/no/such", dir));
	ck_assert_msg(nowhere.status == 74 && strstr(nowhere.err, "No such file") != NULL, "%s", nowhere.err);
	unlink(file);
	rmdir(dir);
}
END_TEST

/* The output is full or closed while the history is read: tail ends and reports it once. */
START_TEST(tail_ends_when_its_backlog_cannot_be_printed)
{
	struct client *ann = new_user();
	long long chat = make_group(ann);
	for (int i = 0; i < 250; i++)
		say(ann, chat, "a line that fills the output of the command more and more until it has to be written");
	struct invocation full = { .who = ann, .output = "/dev/full" };
	struct outcome o = command_run(full, "tail", "-n", "250");
	ck_assert_int_eq(o.status, 74);
	ck_assert_msg(strstr(o.err, "standard output") != NULL && strchr(o.err, '\n') == NULL, "%s", o.err);
}
END_TEST

/* tail is killed while it fills a gap: the next run prints what is missing. */
START_TEST(tail_interrupted_while_filling_a_gap_continues_it)
{
	enum { MESSAGES = 1200 };
	struct client *ann = new_user();
	long long chat = make_group(ann), first = say(ann, chat, "m0");
	char *dir = make_directory(), *file = format("%s/cursor", dir), *text = format("%0*d", 600, 7);
	const char *at = json_str(expect_status(get(ann, "%s", message_path(chat, first)), 200).json, "at");
	for (int i = 1; i < MESSAGES; i++)
		say(ann, chat, format("m%d %s", i, text));
	/* A cursor of another database. */
	put_text(file,
		format("{\"cursor\":\"AAAAAAAA00000000.9\",\"printed\":[{\"id\":%lld,\"chat\":%lld,\"at\":\"%s\"}]}",
			first, chat, at));
	/* Without a reader tail blocks on its output. It is killed then. */
	struct program *p = run_tail(ann, "--cursor-file", file);
	unsigned long long until = clock_mono_ms() + PATIENCE;
	while (program_unread(p) < 60000)
		time_left(until, "its output to be full");
	kill(program_pid(p), SIGKILL);
	ck_assert_int_eq(program_await_exit(p), 128 + SIGKILL);
	p = run_tail(ann, "--cursor-file", file);
	program_await(p, format(": m%d ", MESSAGES - 1));
	for (int i = 1; i < MESSAGES; i++)
		ck_assert_msg(strstr(program_said(p), format(": m%d ", i)) != NULL, "m%d is missing", i);
	unlink(file);
	rmdir(dir);
}
END_TEST

START_TEST(setup_cluster_starts)
{
	home = cluster_new();
	static const char *const flags[] = { "--rate-sends", "0", "--rate-actions", "0", NULL };
	node = server_on(cluster_conninfo(home, "postgres"), flags);
}
END_TEST

static void say_when_accepted(const struct client *who, long long chat, const char *text)
{
	unsigned long long until = clock_mono_ms() + PATIENCE;
	while (post(who, messages_path(chat), "{'text':'%s','key':'%s'}", text, text).status != 201)
		time_left(until, "the database to be back");
}

static void restore_database(void)
{
	cluster_run(home,
		"createdb other; PGDATABASE=other psql -qc 'drop database postgres with (force)'"
		" -c 'create database postgres'"
		" && psql -qX -v ON_ERROR_STOP=1 postgres < dump >/dev/null && dropdb other");
}

/* Positions are assigned again: new messages under them must not be taken for printed ones. */
START_TEST(tail_fills_the_gap_after_database_restore)
{
	struct client *ann = user_at(node, "ann");
	long long one = make_group(ann), two = make_group(ann);
	char *dir = make_directory(), *file = format("%s/cursor", dir);
	say(ann, one, "a");
	struct program *running = run_tail(ann, "-n", "1"), *stopped = run_tail(ann, "--cursor-file", file, "-n", "1");
	program_await(running, ": a\n");
	program_await(stopped, ": a\n");
	say(ann, two, "b");
	program_await(running, ": b\n");
	program_await(stopped, ": b\n");
	cluster_run(home, "pg_dump postgres > dump");
	for (int i = 0; i < 5; i++)
		say(ann, i % 2 ? one : two, format("lost%d", i));
	program_await(running, "lost4");
	program_await(stopped, "lost4");
	program_stop(stopped);
	restore_database();
	for (int i = 0; i < 8; i++)
		say_when_accepted(ann, i % 2 ? one : two, format("new%d", i));
	say_when_accepted(ann, two, "last");
	ck_assert_msg(strstr(printed_texts(running, "last"),
			      "b lost0 lost1 lost2 lost3 lost4 new0 new1 new2 new3 new4 new5 new6 new7 last") != NULL,
		"%s", program_said(running));
	/* The same for a tail that didn't run meanwhile. */
	stopped = run_tail(ann, "--cursor-file", file);
	ck_assert_str_eq(printed_texts(stopped, "last"), "new0 new1 new2 new3 new4 new5 new6 new7 last");
	ck_assert_int_eq(program_stop(stopped), 128 + SIGTERM);
	unlink(file);
	rmdir(dir);
}
END_TEST

/* The restored database lacks every message that tail has printed. */
START_TEST(tail_fills_the_gap_when_no_printed_message_is_left)
{
	struct client *ann = user_at(node, "ann");
	long long one = make_group(ann);
	say(ann, one, "before");
	cluster_run(home, "pg_dump postgres > dump");
	say(ann, one, "first");
	struct program *p = run_tail(ann, format("%lld", one), "-n", "1");
	program_await(p, ": first\n");
	for (int i = 0; i < 100; i++) /* more than tail remembers one by one */
		say(ann, one, format("lost%d", i));
	program_await(p, "lost99");
	restore_database();
	say_when_accepted(ann, one, "new");
	say_when_accepted(ann, one, "last");
	const char *all = printed_texts(p, "last");
	ck_assert_msg(strstr(all, "lost99 new last") != NULL && strstr(all, "before") == NULL, "%s", all);
}
END_TEST

START_TEST(teardown_node_stops) { server_stop(node); }
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		tail_prints_latest_messages_of_all_chats_then_follows,
		tail_reads_many_pages_in_order,
		tail_since_accepts_id_time_and_duration,
		tail_with_invalid_arguments_is_refused,
		tail_json_prints_replayed_and_live_messages,
		tail_resumes_from_its_state_file,
		tail_does_not_save_cursor_of_unprinted_message,
		tail_with_damaged_state_file_fails_and_keeps_it,
		tail_ends_when_its_backlog_cannot_be_printed,
		tail_interrupted_while_filling_a_gap_continues_it,
		setup_cluster_starts,
		tail_fills_the_gap_after_database_restore,
		tail_fills_the_gap_when_no_printed_message_is_left,
		teardown_node_stops,
		NULL,
	};
	int status = suite_run("tail", tests, NULL);
	clusters_remove_all();
	return status;
}
