/* SPDX-License-Identifier: MIT
 * Faults under load: cut streams, killed processes, kicked members, and concurrent changes of one message.
 *
 *     chaos [--full] [load|kill|kick|races]…      default: all of them, small */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../lib/stream.h"
#include "../lib/suite.h"
#include "load.h"

static bool full;

static const char *const flags[] = { "--workers", "2", "--rate-sends", "0", "--rate-actions", "0", "--streams-per-user",
	"0", "--log-level", "warn", NULL };

/* Returns the two nodes. */
static struct server *const *both_nodes(void)
{
	static struct server *nodes[2];
	if (nodes[0] == NULL) {
		nodes[0] = test_server();
		nodes[1] = server_join(test_server(), flags);
	}
	return nodes;
}

static struct plan plan(void)
{
	return full ? (struct plan) { .people = 50,
		.rooms = 20,
		.senders = 50,
		.watchers = 200,
		.messages = 20000,
		.cuts_a_second = 50,
		.seed = 1 }
		    : (struct plan) { .people = 8,
			      .rooms = 5,
			      .senders = 8,
			      .watchers = 32,
			      .messages = 2000,
			      .cuts_a_second = 100,
			      .seed = 1 };
}

START_TEST(load_delivers_every_message_to_every_member_once)
{
	struct plan p = plan();
	struct load *l = load_new(&p, both_nodes(), 2);
	load_run(l, NULL, NULL);
	load_report(l, "load");
	load_check(l);
}
END_TEST

/* --- kill --- */

struct killer {
	unsigned times, done;
};

static void kill_worker(struct load *l, struct server *node)
{
	pid_t pids[8];
	size_t n = server_workers(node, pids, 8);
	if (n > 0)
		kill(pids[load_random(l, (unsigned)n)], SIGKILL);
}

static void kill_one_more(struct load *l, size_t decided, void *arg)
{
	struct killer *k = arg;
	if (k->done == k->times || decided < (k->done + 1) * load_messages(l) / (k->times + 1))
		return;
	struct server *node = both_nodes()[k->done / 4 % 2];
	switch (k->done++ % 4) {
	case 0:
	case 2: kill_worker(l, node); break;
	case 1:
		ck_assert_int_gt(server_postmaster(node), 0);
		kill(server_postmaster(node), SIGKILL);
		break;
	case 3:
		server_kill(node, SIGKILL);
		server_restart(node);
		break;
	}
}

START_TEST(kill_of_any_process_loses_no_acknowledged_message)
{
	struct plan p = plan();
	struct killer k = { .times = full ? 20 : 4 };
	p.seed = 2;
	struct load *l = load_new(&p, both_nodes(), 2);
	load_run(l, kill_one_more, &k);
	ck_assert_uint_eq(k.done, k.times);
	load_report(l, "kill");
	load_check(l);
}
END_TEST

/* --- kick --- */

static void kick_now_and_then(struct load *l, size_t decided, void *arg)
{
	for (size_t *next = arg; *next <= decided; *next += 10)
		load_kick_or_return(l);
}

START_TEST(kick_under_load_delivers_nothing_to_absent_members)
{
	struct plan p = plan();
	size_t next = 0;
	p.may_be_refused = true;
	p.seed = 3;
	struct load *l = load_new(&p, both_nodes(), 2);
	load_run(l, kick_now_and_then, &next);
	load_report(l, "kick");
	load_check(l);
}
END_TEST

/* --- races --- */

/* Sends two requests on two connections to two nodes before either is answered. */
struct race {
	struct wire *first, *second;
};

static void send_on(
	struct wire *w, const struct client *who, const char *method, const char *path, long long rev, const char *body)
{
	char *match = rev ? format("If-Match: \"%lld\"\r\n", rev) : format("%s", "");
	ck_assert(wire_send(w,
		"%s %s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n%sContent-Type: "
		"application/json\r\nContent-Length: %zu\r\n\r\n%s",
		method, path, who->token, match, strlen(body), body));
}

static void both_delete(struct race *r, struct client *alice, long long chat, long long id)
{
	send_on(r->first, alice, "DELETE", message_path(chat, id), 0, "");
	send_on(r->second, alice, "DELETE", message_path(chat, id), 0, "");
	expect_status(wire_answer(r->first), 204);
	expect_status(wire_answer(r->second), 204);
}

static void both_edit(struct race *r, struct client *alice, long long chat, long long id)
{
	send_on(r->first, alice, "PATCH", message_path(chat, id), id, "{\"text\":\"first\"}");
	send_on(r->second, alice, "PATCH", message_path(chat, id), id, "{\"text\":\"second\"}");
	struct answer a = wire_answer(r->first), b = wire_answer(r->second);
	ck_assert_msg((a.status == 200 && b.status == 412) || (a.status == 412 && b.status == 200),
		"two edits: %d and %d", a.status, b.status);
	struct answer now = expect_status(get(alice, "%s", message_path(chat, id)), 200);
	ck_assert_str_eq(json_str(now.json, "text"), a.status == 200 ? "first" : "second");
	expect_status(del(alice, "%s", message_path(chat, id)), 204);
}

static void delete_and_edit(struct race *r, struct client *alice, long long chat, long long id)
{
	send_on(r->first, alice, "DELETE", message_path(chat, id), 0, "");
	send_on(r->second, alice, "PATCH", message_path(chat, id), id, "{\"text\":\"edited\"}");
	expect_status(wire_answer(r->first), 204);
	struct answer b = wire_answer(r->second);
	ck_assert_msg(b.status == 200 || b.status == 410, "an edit against a delete: %d", b.status);
	expect_problem(get(alice, "%s", message_path(chat, id)), 410, "gone");
}

/* Asserts what a stream gets of a message: it is created, edited that often, deleted. */
static void expect_life(struct stream *s, long long id, unsigned most_edits)
{
	expect_message(s, id);
	for (unsigned edits = 0;; edits++) {
		ck_assert_uint_le(edits, most_edits);
		if (strcmp(stream_peek(s), "message") != 0)
			break;
		expect_message(s, id);
	}
	ck_assert_int_eq(json_num(expect(s, "deleted"), "id"), id);
}

START_TEST(concurrent_changes_of_one_message_get_correct_responses)
{
	static void (*const races[])(
		struct race *, struct client *, long long, long long) = { both_delete, both_edit, delete_and_edit };
	struct client *alice = user("alice"), *bob = user("bob");
	long long chat = make_group(alice, bob);
	struct stream *s = stream_from_now(bob);
	struct race r = { wire_open(both_nodes()[0]), wire_open(both_nodes()[1]) };
	for (int i = 0; i < (full ? 3000 : 90); i++) {
		long long id = say(alice, chat, "new");
		races[i % 3](&r, alice, chat, id);
		expect_life(s, id, (unsigned)i % 3 > 0);
		test_restart_timeout();
	}
	ck_assert_uint_eq(json_count(expect_status(get(bob, "%s", messages_path(chat)), 200).json, "messages"), 0);
}
END_TEST

START_TEST(key_sent_concurrently_sends_once)
{
	struct client *alice = user("alice"), *bob = user("bob");
	long long chat = make_group(alice, bob);
	struct stream *s = stream_from_now(bob);
	struct race r = { wire_open(both_nodes()[0]), wire_open(both_nodes()[1]) };
	for (int i = 0; i < (full ? 1000 : 30); i++) {
		char *body = format("{\"text\":\"once\",\"key\":\"race-%d\"}", i);
		send_on(r.first, alice, "POST", messages_path(chat), 0, body);
		send_on(r.second, alice, "POST", messages_path(chat), 0, body);
		long long a = json_num(expect_status(wire_answer(r.first), 201).json, "id"),
			  b = json_num(expect_status(wire_answer(r.second), 201).json, "id");
		ck_assert_int_eq(a, b);
		expect_message(s, a);
		test_restart_timeout();
	}
	expect_quiet(s);
}
END_TEST

START_TEST(teardown_second_node_stops) { server_stop(both_nodes()[1]); }
END_TEST

int main(int argc, char **argv)
{
	const struct {
		const char *name;
		const TTest *test;
	} parts[] = {
		{ "load", load_delivers_every_message_to_every_member_once },
		{ "kill", kill_of_any_process_loses_no_acknowledged_message },
		{ "kick", kick_under_load_delivers_nothing_to_absent_members },
		{ "races", concurrent_changes_of_one_message_get_correct_responses },
		{ "races", key_sent_concurrently_sends_once },
	};
	const TTest *tests[8];
	size_t n = 0, named = 0;
	for (int i = 1; i < argc; i++) {
		full = full || strcmp(argv[i], "--full") == 0;
		named += strcmp(argv[i], "--full") != 0;
	}
	for (size_t p = 0; p < sizeof(parts) / sizeof(parts[0]); p++) {
		bool wanted = named == 0;
		for (int i = 1; i < argc; i++)
			wanted = wanted || strcmp(argv[i], parts[p].name) == 0;
		if (wanted)
			tests[n++] = parts[p].test;
	}
	tests[n++] = teardown_second_node_stops;
	tests[n] = NULL;
	return suite_run("chaos", tests, flags);
}
