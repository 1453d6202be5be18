/* SPDX-License-Identifier: MIT
 * The export of a user's data: all of their own, nothing of others, complete or visibly truncated. */
#include <stdlib.h>
#include <string.h>

#include "../lib/client.h"
#include "../lib/suite.h"
#include "base/clock.h"

struct lines {
	struct json_object *all; /* an array */
	size_t count;            /* without the end line */
};

static void put_json(void *o) { json_object_put(o); }

/* Asserts that every line is JSON and that the last has the number of lines before it. */
static struct lines read_export(const struct client *who)
{
	struct answer a = expect_status(get(who, "/v1/me/export"), 200);
	struct lines l = { .all = on_teardown(put_json, json_object_new_array()) };
	ck_assert_str_eq(expect_header(a, "Content-Type"), "application/x-ndjson");
	for (const char *line = a.body; *line != '\0'; line += strcspn(line, "\n") + 1) {
		struct json_object *o = json_path_parse(line, strcspn(line, "\n"));
		ck_assert_msg(o != NULL && line[strcspn(line, "\n")] == '\n', "%.200s", line);
		json_object_array_add(l.all, o);
	}
	l.count = json_object_array_length(l.all) - 1;
	struct json_object *end = json_object_array_get_idx(l.all, l.count);
	ck_assert_str_eq(json_str(end, "kind"), "end");
	ck_assert_int_eq(json_num(end, "lines"), (long long)l.count);
	return l;
}

/* Returns the data of the only line of that kind whose member has this value; 0: of the only line of that kind. */
static struct json_object *export_line(struct lines l, const char *kind, const char *member, long long value)
{
	struct json_object *found = NULL;
	for (size_t i = 0; i < l.count; i++) {
		struct json_object *o = json_object_array_get_idx(l.all, i);
		if (strcmp(json_str(o, "kind"), kind) != 0 ||
			(value != 0 && json_num(json_at(o, "data"), member) != value))
			continue;
		ck_assert_msg(found == NULL, "a second %s: %s", kind, json_object_to_json_string(o));
		found = json_at(o, "data");
	}
	ck_assert_msg(found != NULL, "no %s of %lld in %s", kind, value, json_object_to_json_string(l.all));
	return found;
}

START_TEST(export_contains_only_data_of_its_user)
{
	struct client *ann = new_user(), *ben = new_user(), *cid = new_user();
	long long chat = make_group(ann, ben), was = make_group(ben, ann), gone = make_group(ann, ben);
	long long secret = say(ben, chat, format("SECRET of ben for @%s", ann->name)), mine = say(ann, chat, "of ann");
	long long reply = json_num(
		expect_status(post(ann, messages_path(chat), "{'text':'a reply','reply_to':%lld}", secret), 201).json,
		"id");
	long long note = json_num(
		expect_status(post(ann, messages_path(chat), "{'type':'note','content':{'a':null,'b':[1]}}"), 201).json,
		"id");
	long long forwarded = json_num(
		expect_status(post(ann, messages_path(chat), "{'forward':{'chat':%lld,'id':%lld}}", chat, secret), 201)
			.json,
		"id");
	long long again = json_num(
		expect_status(post(ann, messages_path(chat), "{'forward':{'chat':%lld,'id':%lld}}", chat, mine), 201)
			.json,
		"id");
	long long before = say(ann, was, "before I left");
	say(ann, gone, "DELETED");
	expect_status(patch(ann, message_path(chat, mine), "{'text':'of ann, edited'}"), 200);
	expect_status(put(ann, format("%s/reactions/%%F0%%9F%%91%%8D", message_path(chat, secret)), NULL), 200);
	expect_status(put(ben, format("%s/reactions/%%F0%%9F%%91%%8D", message_path(chat, mine)), NULL), 200);
	expect_status(put(ann, format("%s/reactions/%%F0%%9F%%91%%8E", message_path(chat, mine)), NULL), 200);
	expect_status(del(ann, "%s/reactions/%%F0%%9F%%91%%8E", message_path(chat, mine)), 204);
	expect_status(post(ann, format("%s/report", message_path(chat, secret)), "{'reason':'spam'}"), 204);
	expect_status(post(ann, format("/v1/chats/%lld/read", chat), "{'up_to':%lld}", mine), 204);
	expect_status(put(ann, format("/v1/contacts/%s", ben->name), NULL), 200);
	expect_status(put(ann, format("/v1/blocks/%s", cid->name), NULL), 204);
	expect_status(patch(ann, "/v1/me", "{'display_name':'Ann','presence':'contacts'}"), 200);
	expect_status(del(ann, "/v1/chats/%lld", gone), 204);
	expect_status(patch(ben, format("/v1/chats/%lld", was), "{'title':'SECRET now'}"), 200);
	expect_status(del(ann, "%s", member_path(was, ann)), 204);

	struct lines l = read_export(ann);
	struct json_object *o = export_line(l, "profile", NULL, 0);
	ck_assert_str_eq(json_str(o, "name"), ann->name);
	ck_assert_str_eq(json_str(o, "presence"), "contacts");
	ck_assert(json_true(o, "has_password"));
	ck_assert(json_has(export_line(l, "credential", NULL, 0), "created_at"));
	ck_assert_str_eq(json_str(export_line(l, "contact", NULL, 0), "name"), ben->name);
	ck_assert_str_eq(json_str(export_line(l, "block", NULL, 0), "name"), cid->name);
	o = export_line(l, "chat", "id", chat);
	ck_assert_str_eq(json_str(o, "role"), "owner");
	ck_assert_str_eq(json_str(o, "title"), "garden");
	ck_assert_int_eq(json_num(o, "read"), mine);
	ck_assert(!json_has(export_line(l, "chat", "id", was), "title"));
	ck_assert_str_eq(json_str(export_line(l, "chat", "id", was), "state"), "left");
	ck_assert_str_eq(json_str(export_line(l, "message", "id", mine), "text"), "of ann, edited");
	ck_assert_str_eq(json_str(export_line(l, "message", "id", before), "text"), "before I left");
	ck_assert_str_eq(json_str(export_line(l, "message", "id", again), "text"), "of ann");
	ck_assert_int_eq(json_num(export_line(l, "message", "id", reply), "reply_to"), secret);
	ck_assert_int_eq(json_num(export_line(l, "message", "id", note), "content.b.0"), 1);
	ck_assert_str_eq(json_str(export_line(l, "message", "id", forwarded), "forwarded.from"), ben->name);
	ck_assert_str_eq(json_str(export_line(l, "edit", "id", mine), "text"), "of ann");
	ck_assert_int_eq(json_num(export_line(l, "reaction", NULL, 0), "id"), secret);
	ck_assert_int_eq(json_num(export_line(l, "mention", NULL, 0), "id"), secret);
	ck_assert_str_eq(json_str(export_line(l, "report", NULL, 0), "reason"), "spam");
	const char *whole = json_object_to_json_string(l.all);
	ck_assert_ptr_null(strstr(whole, "SECRET"));
	ck_assert_ptr_null(strstr(whole, "DELETED"));
	ck_assert_ptr_null(strstr(whole, "pt_"));
	ck_assert_uint_eq(l.count, 1 + 1 + 1 + 1 + 2 + 6 + 1 + 1 + 1 + 1);
	ck_assert_uint_eq(read_export(cid).count, 2); /* their profile and their token */
	/* A HEAD request returns no body. */
	struct wire *w = wire_open(test_server());
	wire_send(w, "HEAD /v1/me/export HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", ann->token);
	expect_status(wire_answer_to_head(w), 200);
	wire_expect_end(w);
}
END_TEST

/* Sends that many texts of that size, alternating between the users. */
static void say_much(
	const struct client *one, const struct client *other, long long chat, unsigned count, unsigned size)
{
	for (unsigned i = 0; i < count; i += 50) {
		char *lines = format("%s", "");
		for (unsigned k = 0; k < 50; k++)
			lines = format("%s{\"text\":\"%0*u\"}\n", lines, (int)size, i + k);
		expect_status(post_as(one, messages_path(chat), "application/x-ndjson", lines), 200);
		if (other != NULL)
			expect_status(post_as(other, messages_path(chat), "application/x-ndjson", lines), 200);
	}
}

START_TEST(export_of_large_data_is_complete)
{
	struct client *ann = new_user(), *ben = new_user();
	long long chat = make_group(ann, ben), empty = make_group(ben, ann);
	say_much(ann, ben, chat, 3000, 300); /* more than one page of the query and one piece of the response */
	for (unsigned i = 0; i < 3; i++)
		ck_assert_int_gt(say(ann, chat, "x"), 0);
	ck_assert_int_gt(say(ann, empty, "the last"), 0);
	struct lines l = read_export(ann);
	long long last = 0;
	unsigned n = 0;
	for (size_t i = 0; i < l.count; i++) {
		struct json_object *o = json_object_array_get_idx(l.all, i);
		if (strcmp(json_str(o, "kind"), "message") != 0)
			continue;
		if (n < 3000)
			ck_assert_int_eq(atoi(json_str(o, "data.text")), (int)n);
		ck_assert_int_gt(json_num(o, "data.id"), last);
		last = json_num(o, "data.id");
		n++;
	}
	ck_assert_uint_eq(n, 3004);
	/* An export includes when its credential was last used, which is written a moment after the first use. */
	unsigned long long until = clock_mono_ms() + PATIENCE;
	while (!json_has(expect_status(get(ann, "/v1/tokens"), 200).json, "tokens.0.last_used_at"))
		time_left(until, "the use to be recorded");
	/* HTTP/1.0 works too, and so do two requests on one connection. */
	struct wire *w = wire_open(test_server());
	wire_send(w, "GET /v1/me/export HTTP/1.0\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", ann->token);
	struct answer a = expect_status(wire_answer(w), 200);
	ck_assert_ptr_nonnull(strstr(a.body, "{\"kind\":\"end\","));
	w = wire_open(test_server());
	for (int i = 0; i < 2; i++)
		wire_send(w, "GET /v1/me/export HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", ann->token);
	ck_assert_uint_eq(expect_status(wire_answer(w), 200).len, expect_status(wire_answer(w), 200).len);
}
END_TEST

static bool has_ended(const struct wire *w)
{
	size_t len;
	return strstr(wire_data(w, &len), "\"kind\":\"end\"") != NULL;
}

/* The export is larger than the socket buffers. */
START_TEST(export_after_losing_access_is_visibly_truncated)
{
	struct client *ann = new_user(), *ben = new_user();
	long long chat = make_group(ann);
	say_much(ann, NULL, chat, 1500, 15000);
	struct wire *w = on_teardown(wire_free, wire_new(test_server(), 16384)), *gone = wire_new(test_server(), 16384);
	wire_send(gone, "GET /v1/me/export HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", ann->token);
	wire_send(w, "GET /v1/me/export HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", ann->token);
	ck_assert(wire_wait(w, PATIENCE) && wire_pump(w));
	ck_assert(wire_wait(gone, PATIENCE));
	wire_free(gone); /* during the export */
	server_command(test_server(), NULL, "user", "disable", ann->name);
	expect_status(get(ben, "/v1/me"), 200);
	while (wire_pump(w))
		ck_assert(wire_wait(w, PATIENCE));
	ck_assert(!has_ended(w));
	size_t len;
	ck_assert_uint_gt((wire_data(w, &len), len), 1000);
	ck_assert_str_ne(wire_data(w, &len) + len - 5, "0\r\n\r\n");
}
END_TEST

START_TEST(exports_are_rate_limited)
{
	const char *const flags[] = { "--rate-exports", "1", NULL };
	struct server *node = server_join(test_server(), flags);
	struct client *ann = on_server(new_user(), node), *ben = on_server(new_user(), node);
	expect_status(get(ann, "/v1/me/export"), 200);
	ck_assert_ptr_nonnull(
		answer_header(expect_problem(get(ann, "/v1/me/export"), 429, "rate_limited"), "Retry-After"));
	expect_status(get(ben, "/v1/me/export"), 200);
	expect_problem(get(ben, "/v1/me/export?cursor=1"), 400, "bad_parameter");
	server_stop(node);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = { export_contains_only_data_of_its_user, export_of_large_data_is_complete,
		export_after_losing_access_is_visibly_truncated, exports_are_rate_limited, NULL };
	return suite_run("export", tests, NULL);
}
