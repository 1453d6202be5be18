/* SPDX-License-Identifier: MIT
 * Chats and reports as administrators manage them, over HTTP and by command. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/client.h"
#include "../lib/database.h"
#include "../lib/stream.h"
#include "../lib/suite.h"

static struct client *administrator(void)
{
	struct client *c = new_user();
	sql(database_open(test_server()), "update postern.account set admin = true where name = '%s'", c->name);
	return c;
}

static char *admin_path(long long chat) { return format("/v1/admin/chats/%lld", chat); }

/* Returns the line of a command's output that begins with that number. */
static char *line_of(const char *text, long long number)
{
	for (const char *line = text; *line != '\0'; line += strcspn(line, "\n"), line += *line == '\n')
		if (atoll(line) == number)
			return format("%.*s", (int)strcspn(line, "\n"), line);
	ck_abort_msg("there is no line %lld in\n%s", number, text);
}

/* Asserts a command's exit status; returns its standard error. */
static char *expect_refusal_args(int status, const char *const args[])
{
	const char *all[8] = { 0 };
	int n = 0;
	char *said;
	for (; args[n] != NULL; n++)
		all[n] = args[n];
	all[n++] = "--state";
	all[n] = server_state(test_server());
	ck_assert_int_eq(server_try(all, 20, &said), status);
	return said;
}
#define expect_refusal(status, ...) expect_refusal_args(status, (const char *const[]) { __VA_ARGS__, NULL })

START_TEST(administrator_reads_any_chat_and_its_members)
{
	struct client *root = administrator(), *ann = new_user(), *ben = new_user(), *cem = new_user();
	long long chat = make_group(ann, ben, cem);
	say(ann, chat, "private");
	expect_status(put(ann, member_path(chat, cem), "{'state':'banned'}"), 200);
	struct answer a = expect_status(get(root, "%s", admin_path(chat)), 200);
	ck_assert_int_eq(json_num(a.json, "members_count"), 2);
	ck_assert_ptr_null(strstr(a.body, "private"));
	a = expect_status(get(root, "%s/members?limit=1", admin_path(chat)), 200);
	ck_assert_uint_eq(json_count(a.json, "members"), 1);
	a = expect_status(get(root, "%s/members?cursor=%s", admin_path(chat), json_str(a.json, "next")), 200);
	ck_assert_uint_eq(json_count(a.json, "members"), 1);
	ck_assert(!json_has(a.json, "next"));
	ck_assert_str_eq(json_str(expect_status(get(root, "%s/members?state=banned", admin_path(chat)), 200).json,
				 "members.0.name"),
		cem->name);
	expect_problem(get(ann, "%s", admin_path(chat)), 403, "forbidden");
	expect_problem(get(ann, "%s/members", admin_path(chat)), 403, "forbidden");
	expect_status(del(ann, "/v1/chats/%lld", chat), 204);
	expect_problem(get(root, "%s", admin_path(chat)), 404, "not_found");
	expect_problem(get(root, "%s/members", admin_path(chat)), 404, "not_found");
}
END_TEST

START_TEST(direct_chat_deleted_can_be_created_again)
{
	struct client *root = administrator(), *ann = new_user(), *ben = new_user();
	char *to_ben = format("/v1/chats/@%s/messages", ben->name);
	long long first = json_num(expect_status(post(ann, to_ben, "{'text':'one'}"), 201).json, "chat");
	struct stream *s = stream_from_now(ben);
	const char *second_name = strcmp(ann->name, ben->name) < 0 ? ben->name : ann->name;
	ck_assert_str_eq(
		json_str(expect_status(get(root, "%s", admin_path(first)), 200).json, "between.1"), second_name);
	expect_status(del(root, "%s", admin_path(first)), 204);
	ck_assert_str_eq(json_str(expect(s, "chat"), "state"), "deleted");
	long long second = json_num(expect_status(post(ann, to_ben, "{'text':'two'}"), 201).json, "chat");
	ck_assert_int_ne(first, second);
	expect(s, "member");
	if (strcmp(stream_peek(s), "member") == 0)
		expect(s, "member");
	ck_assert_int_eq(json_num(expect(s, "chat"), "id"), second);
	ck_assert_str_eq(
		json_str(expect_status(get(ben, "/v1/chats/@%s/messages", ann->name), 200).json, "messages.0.text"),
		"two");
}
END_TEST

START_TEST(channel_deleted_releases_its_handle)
{
	struct client *root = administrator(), *ann = new_user();
	long long chat = json_num(
		expect_status(post(ann, "/v1/chats", "{'kind':'channel','title':'News','handle':'free-again'}"), 201)
			.json,
		"id");
	expect_status(del(root, "%s", admin_path(chat)), 204);
	expect_status(post(ann, "/v1/chats", "{'kind':'channel','title':'News','handle':'free-again'}"), 201);
}
END_TEST

START_TEST(reports_are_listed_for_administrators)
{
	struct client *alice = user("alice"), *bob = user("bob"), *root = administrator();
	long long chat = make_group(alice, bob), id = say(bob, chat, "abuse");
	char *path = format("%s/report", message_path(chat, id));
	expect_status(post(alice, path, "{'reason':'spam'}"), 204);
	expect_status(post(alice, path, "{'reason':'worse'}"), 204);
	expect_status(post(bob, path, NULL), 204);
	expect_problem(post(user("mallory"), path, "{}"), 404, "not_found");
	expect_problem(post(alice, path, "{'reason':5}"), 422, "wrong_type");
	expect_status(del(bob, "%s", message_path(chat, id)), 204);
	expect_problem(post(alice, path, "{}"), 410, "gone");
	expect_problem(get(alice, "/v1/admin/reports"), 403, "forbidden");
	struct answer a = expect_status(get(root, "/v1/admin/reports?limit=1"), 200);
	ck_assert_str_eq(json_str(a.json, "reports.0.reporter"), "bob");
	a = expect_status(get(root, "/v1/admin/reports?limit=1&cursor=%s", json_str(a.json, "next")), 200);
	ck_assert_str_eq(json_str(a.json, "reports.0.reporter"), "alice");
	ck_assert_str_eq(json_str(a.json, "reports.0.reason"), "worse");
	ck_assert_str_eq(json_str(a.json, "reports.0.message.text"), "abuse");
	ck_assert_str_eq(json_str(a.json, "reports.0.message.from"), "bob");
}
END_TEST

START_TEST(report_is_resolved_by_administrators_only)
{
	struct client *root = administrator(), *other = administrator(), *ann = new_user(), *ben = new_user();
	long long chat = make_group(ann, ben), id = say(ben, chat, "abuse");
	char *report = format("%s/report", message_path(chat, id));
	expect_status(post(ann, report, "{'reason':'spam'}"), 204);
	struct answer a = expect_status(get(root, "/v1/admin/reports?state=open&limit=1"), 200);
	long long number = json_num(a.json, "reports.0.id");
	ck_assert(!json_has(a.json, "reports.0.resolved_at"));
	char *path = format("/v1/admin/reports/%lld/resolve", number);
	expect_problem(post(ann, path, NULL), 403, "forbidden");
	expect_problem(post(root, "/v1/admin/reports/999999999/resolve", NULL), 404, "not_found");
	a = expect_status(post(root, path, NULL), 200);
	ck_assert_str_eq(json_str(a.json, "resolved_by"), root->name);
	const char *when = json_str(a.json, "resolved_at");
	ck_assert_str_eq(
		json_str(expect_status(post(other, path, NULL), 200).json, "resolved_at"), when); /* unchanged */
	ck_assert_str_eq(json_str(expect_status(get(root, "/v1/admin/audit?limit=1"), 200).json, "acts.0.act"),
		"report_resolved");
	ck_assert_int_eq(json_num(expect_status(get(root, "/v1/admin/reports?state=resolved&limit=1"), 200).json,
				 "reports.0.id"),
		number);
	a = expect_status(get(root, "/v1/admin/reports?state=open&limit=200"), 200);
	for (size_t i = 0; i < json_count(a.json, "reports"); i++)
		ck_assert_int_ne(json_num(a.json, format("reports.%zu.id", i)), number);
	expect_problem(get(root, "/v1/admin/reports?state=closed"), 422, "out_of_range");
	/* A new report of an edited message reopens the report, with the current text. */
	expect_status(patch(ben, message_path(chat, id), "{'text':'more abuse'}"), 200);
	expect_status(post(ann, report, "{'reason':'again'}"), 204);
	a = expect_status(get(root, "/v1/admin/reports?state=open&limit=1"), 200);
	ck_assert_int_eq(json_num(a.json, "reports.0.id"), number);
	ck_assert_str_eq(json_str(a.json, "reports.0.message.text"), "more abuse");
	ck_assert(!json_has(a.json, "reports.0.resolved_by"));
	expect_status(post(ann, report, "{'reason':''}"), 204); /* an empty reason keeps the earlier one */
	ck_assert_str_eq(
		json_str(expect_status(get(root, "/v1/admin/reports?limit=1"), 200).json, "reports.0.reason"), "again");
	expect_status(
		post(ann, format("%s/report", message_path(chat, say(ben, chat, "abuse again"))), "{'reason':''}"),
		204);
	ck_assert(!json_has(expect_status(get(root, "/v1/admin/reports?limit=1"), 200).json, "reports.0.reason"));
}
END_TEST

START_TEST(report_resolution_can_delete_the_message)
{
	struct client *root = administrator(), *ann = new_user(), *ben = new_user();
	long long chat = make_group(ann, ben), id = say(ben, chat, "abuse"), other = say(ben, chat, "more");
	expect_status(post(ann, format("%s/report", message_path(chat, id)), NULL), 204);
	struct answer a = expect_status(get(root, "/v1/admin/reports?state=open&limit=1"), 200);
	char *path = format("/v1/admin/reports/%lld/resolve", json_num(a.json, "reports.0.id"));
	struct stream *s = stream_from_now(ann);
	expect_problem(post(ben, path, "{'action':'delete_message'}"), 403, "forbidden");
	expect_problem(post(root, path, "{'action':'delete'}"), 422, "out_of_range");
	expect_status(post(root, path, NULL), 200);
	expect_quiet(s);
	expect_status(post(root, path, "{'action':'delete_message'}"), 200); /* also after it was resolved */
	ck_assert_int_eq(json_num(expect(s, "deleted"), "id"), id);
	expect_problem(get(ann, "%s", message_path(chat, id)), 410, "gone");
	a = expect_status(get(ann, "/v1/chats/%lld/audit", chat), 200);
	ck_assert_str_eq(json_str(a.json, "acts.0.act"), "message_deleted");
	ck_assert_str_eq(json_str(a.json, "acts.0.actor"), root->name);
	ck_assert_str_eq(json_str(expect_status(get(root, "/v1/admin/audit?limit=1"), 200).json, "acts.0.act"),
		"message_deleted");
	expect_status(post(root, path, "{'action':'delete_message'}"), 200); /* already deleted */
	expect_quiet(s);
	expect_status(post(ann, format("%s/report", message_path(chat, other)), NULL), 204);
	a = expect_status(get(root, "/v1/admin/reports?state=open&limit=1"), 200);
	server_command(
		test_server(), NULL, "report", "resolve", format("%lld", json_num(a.json, "reports.0.id")), "--delete");
	ck_assert_int_eq(json_num(expect(s, "deleted"), "id"), other);
	expect_refusal(2, "report", "list", "--delete");
}
END_TEST

START_TEST(chat_command_lists_shows_and_deletes_chats)
{
	struct client *ann = new_user(), *ben = new_user();
	long long chat = json_num(
		expect_status(
			post(ann, "/v1/chats", "{'kind':'group','title':'Garden','members':['%s']}", ben->name), 201)
			.json,
		"id");
	char *number = format("%lld", chat);
	say(ann, chat, "private");
	char *all = server_command(test_server(), NULL, "chat", "list"), *line = line_of(all, chat);
	ck_assert_msg(strstr(line, "group") && strstr(line, ann->name) && strstr(line, "Garden"), "%s", line);
	ck_assert_ptr_null(strstr(all, "private"));
	ck_assert_ptr_nonnull(
		strstr(server_command(test_server(), NULL, "chat", "list", "--json"), format("{\"id\":%lld,", chat)));
	char *shown = server_command(test_server(), NULL, "chat", "show", number);
	ck_assert_msg(strstr(shown, "Garden") && strstr(shown, ann->name) && strstr(shown, "owner") &&
			strstr(shown, ben->name),
		"%s", shown);
	shown = server_command(test_server(), NULL, "chat", "show", number, "--json");
	int objects = 0;
	for (char *at = strtok(shown, "\n"); at != NULL; at = strtok(NULL, "\n"), objects++)
		json_object_put(json_path_parse(at, strlen(at)));
	ck_assert_int_eq(objects, 3);
	struct stream *s = stream_from_now(ben);
	server_command(test_server(), NULL, "chat", "delete", number);
	ck_assert_str_eq(json_str(expect(s, "chat"), "state"), "deleted");
	ck_assert_str_eq(expect_refusal(1, "chat", "show", number), format("postern: there is no chat %s", number));
	ck_assert_str_eq(expect_refusal(1, "chat", "delete", number), format("postern: there is no chat %s", number));
	expect_refusal(2, "chat");
	expect_refusal(2, "chat", "show");
	expect_refusal(2, "chat", "show", "Garden");
	expect_refusal(2, "chat", "delete", number, "--json");
	ck_assert_ptr_nonnull(strstr(server_command(test_server(), NULL, "audit", "--limit", "1"), "chat_deleted"));
}
END_TEST

START_TEST(report_command_lists_and_resolves_reports)
{
	struct client *ann = new_user(), *ben = new_user();
	long long chat = make_group(ann, ben),
		  id = json_num(
			  expect_status(post(ben, messages_path(chat), "{'text':'\\u001b[31mabuse'}"), 201).json, "id");
	expect_status(post(ann, format("%s/report", message_path(chat, id)), "{'reason':'sp\\u0085am'}"), 204);
	char *number = sql(database_open(test_server()), "select id from postern.report where chat_id = %lld", chat);
	char *line = line_of(server_command(test_server(), NULL, "report", "list"), atoll(number));
	ck_assert_msg(strstr(line, "open") && strstr(line, ann->name) && strstr(line, ben->name), "%s", line);
	ck_assert_msg(strstr(line, "?[31mabuse") && strstr(line, "sp?am"), "%s", line);
	server_command(test_server(), NULL, "report", "resolve", number);
	ck_assert_ptr_null(strstr(server_command(test_server(), NULL, "report", "list"), ben->name));
	line = line_of(server_command(test_server(), NULL, "report", "list", "--all"), atoll(number));
	ck_assert_ptr_nonnull(strstr(line, "resolved"));
	ck_assert_ptr_nonnull(strstr(server_command(test_server(), NULL, "report", "list", "--all", "--json"),
		"\"resolved_by\":\"server\""));
	ck_assert_str_eq(expect_refusal(1, "report", "resolve", "999999999"), "postern: there is no report 999999999");
	expect_refusal(2, "report", "resolve", "this");
	expect_refusal(2, "report", "resolve", number, "--all");
	char *entry = server_command(test_server(), NULL, "audit", "--limit", "1", "--json");
	ck_assert_msg(
		strstr(entry, "\"act\":\"report_resolved\"") && strstr(entry, "\"actor\":\"server\""), "%s", entry);
	ck_assert_ptr_null(strchr(entry, '\n'));
	expect_refusal(2, "audit", "--limit", "none");
}
END_TEST

START_TEST(chat_command_lists_all_pages)
{
	struct client *ann = new_user();
	long long first = make_group(ann), last = 0;
	for (int i = 0; i < 200; i++)
		last = make_group(ann);
	char *all = server_command(test_server(), NULL, "chat", "list");
	line_of(all, first);
	line_of(all, last);
}
END_TEST

START_TEST(retention_command_shows_and_changes_retention)
{
	struct client *ann = new_user();
	long long chat = make_group(ann), old = say(ann, chat, "old");
	char *number = format("%lld", chat);
	struct stream *s = stream_from_now(ann);
	ck_assert_str_eq(server_command(test_server(), NULL, "retention"), "off");
	ck_assert_str_eq(server_command(test_server(), NULL, "retention", "--chat", number), "off, as for all");
	ck_assert_str_eq(server_command(test_server(), NULL, "retention", "12h", "--chat", number), "12h");
	ck_assert_int_eq(json_num(expect(s, "chat"), "retention"), 43200);
	ck_assert_ptr_nonnull(strstr(server_command(test_server(), NULL, "retention", "--chat", number, "--json"),
		"\"retention_own\":43200"));
	ck_assert_str_eq(server_command(test_server(), NULL, "retention", "off", "--chat", number), "off, as for all");
	ck_assert(!json_has(expect(s, "chat"), "retention"));
	sql(database_open(test_server()), "update postern.message set at = at - interval '15 days' where id = %lld",
		old);
	ck_assert_str_eq(server_command(test_server(), NULL, "retention", "2w"), "14d, not in all chats yet");
	ck_assert_int_eq(json_num(expect(s, "chat"), "retention"), 14 * 86400);
	ck_assert_int_eq(json_num(expect(s, "deleted"), "id"), old);
	server_command(test_server(), NULL, "retention", "off");
	ck_assert(!json_has(expect(s, "chat"), "retention"));
	ck_assert_str_eq(
		expect_refusal(1, "retention", "--chat", "999999999", "1d"), "postern: there is no chat 999999999");
	expect_refusal(2, "retention", "30");
	expect_refusal(2, "retention", "always");
	expect_refusal(2, "retention", "1d", "2d");
	expect_refusal(2, "retention", "--chat", "Garden");
	ck_assert_ptr_nonnull(
		strstr(server_command(test_server(), NULL, "audit", "--limit", "1"), "retention_changed"));
}
END_TEST

int main(void)
{
	const TTest *const tests[] = { administrator_reads_any_chat_and_its_members,
		direct_chat_deleted_can_be_created_again, channel_deleted_releases_its_handle,
		reports_are_listed_for_administrators, report_is_resolved_by_administrators_only,
		report_resolution_can_delete_the_message, chat_command_lists_shows_and_deletes_chats,
		report_command_lists_and_resolves_reports, chat_command_lists_all_pages,
		retention_command_shows_and_changes_retention, NULL };
	return suite_run("moderation", tests, NULL);
}
