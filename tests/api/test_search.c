/* SPDX-License-Identifier: MIT
 * Search: what is found, by whom and when. The index follows the log with a delay, but deleted and forbidden messages
 * must be omitted at once. */
#include <stdio.h>
#include <string.h>

#include "../lib/client.h"
#include "../lib/database.h"
#include "../lib/suite.h"
#include "base/clock.h"

static struct answer search(const struct client *who, const char *query)
{
	return expect_status(get(who, "/v1/search?%s", query), 200);
}

static unsigned found(const struct client *who, const char *query)
{
	return (unsigned)json_count(search(who, query).json, "results");
}

/* Waits until that many messages are found. */
static struct answer await_found(const struct client *who, const char *query, unsigned n)
{
	unsigned long long until = clock_mono_ms() + PATIENCE;
	struct answer a;
	while (json_count((a = search(who, query)).json, "results") != n)
		time_left(until, query);
	return a;
}

/* Waits until the index includes everything up to that position. */
static void await_index(long long pos)
{
	PGconn *pg = database_open(test_server());
	unsigned long long until = clock_mono_ms() + PATIENCE;
	while (strcmp(sql(pg, "select pos >= %lld from postern.follower where name = 'search_parts'", pos), "t") != 0)
		time_left(until, "the index");
}

static const char *first(const struct client *who, const char *query)
{
	return json_str(search(who, query).json, "results.0.message.text");
}

START_TEST(search_finds_words_prefixes_and_phrases)
{
	static const struct {
		const char *query;
		unsigned n;
	} queries[] = { { "q=run", 1 }, { "q=RUNNING", 1 }, { "q=meetings", 1 }, { "q=the", 2 }, { "q=xylograph", 0 },
		{ "q=%D0%BA%D0%BD%D0%B8%D0%B3%D0%B0", 2 }, /* книга, for книги and книгу */
		{ "q=%D0%B5%D1%89%D0%B5", 1 },             /* еще, for ещё */
		{ "q=me*", 1 }, { "q=runni*", 1 }, { "q=%D0%BA%D0%BD*", 2 }, { "q=eeting*", 0 },
		{ "q=%22brown%20fox%22", 1 }, { "q=%22fox%20brown%22", 0 }, { "q=fox%20brown", 1 },
		{ "q=the%20-fox", 1 }, { "q=the%20-%22brown%20fox%22", 1 }, { "q=quick%20running", 0 },
		{ "q=fooled%20then", 1 }, { "q=%22brown+fax%22", 0 }, { "q=up-to-date", 1 }, { "q=up-to*", 1 },
		{ "q=up-to-d*", 1 }, { "q=to-da", 0 }, { "q=%22an%20up-to-date%22", 1 } };
	struct client *ann = new_user(), *ben = new_user();
	long long chat = make_group(ann, ben);
	say(ann, chat, "I was running to the meeting, ещё книги лежат");
	say(ann, chat, "Книгу читал");
	say(ann, chat, "an up-to-date list");
	say(ann, chat, "if (a <fooled) b > then");
	await_index(say(ben, chat, "The quick brown fox"));
	for (size_t i = 0; i < sizeof(queries) / sizeof(queries[0]); i++)
		ck_assert_msg(found(ben, queries[i].query) == queries[i].n, "%s: %s", queries[i].query,
			search(ben, queries[i].query).body);
}
END_TEST

START_TEST(search_finds_misspelt_words)
{
	static const char *const typos[] = { "q=conections", "q=conenctions", "q=connectoins",
		"q=%D0%B1%D0%B8%D0%B1%D0%BB%D0%B5%D0%BE%D1%82%D0%B5%D0%BA%D0%B0" };
	struct client *ann = new_user();
	long long chat = make_group(ann);
	await_index(say(ann, chat, "two connections, одна библиотека"));
	for (size_t i = 0; i < sizeof(typos) / sizeof(typos[0]); i++) {
		struct answer a = search(ann, typos[i]);
		ck_assert_msg(json_count(a.json, "results") == 1, "%s: %s", typos[i], a.body);
		ck_assert(i == 3 || json_true(a.json, "fuzzy"));
	}
	ck_assert(!json_has(search(ann, "q=connections").json, "fuzzy"));
	ck_assert(strstr(search(ann, "q=conections").body, "\\u0002connections\\u0003") != NULL);
}
END_TEST

START_TEST(search_returns_only_readable_messages)
{
	struct client *ann = new_user(), *ben = new_user(), *cem = new_user(), *dan = new_user();
	long long chat = make_group(ann, ben), direct;
	say(ann, chat, "ephialtes before");
	expect_status(patch(ann, format("/v1/chats/%lld", chat), "{'history':'joined'}"), 200);
	expect_status(put(ann, member_path(chat, cem), NULL), 200);
	await_index(say(ann, chat, "ephialtes after"));
	ck_assert_uint_eq(found(ben, "q=ephialtes"), 2);
	ck_assert_uint_eq(found(cem, "q=ephialtes"), 1);
	ck_assert_str_eq(first(cem, "q=ephialtes"), "ephialtes after");
	/* For a user without access, a word that others use and an unused one give the same answer. */
	ck_assert_str_eq(search(dan, "q=ephialtes").body, search(dan, "q=xylograph").body);
	ck_assert_str_eq(search(dan, "q=ephialtes&order=rank").body, search(dan, "q=xylograph&order=rank").body);
	expect_problem(get(dan, "/v1/search?q=ephialtes&chat=%lld", chat), 404, "not_found");
	expect_problem(get(dan, "/v1/search?q=ephialtes&chat=999999999"), 404, "not_found");
	expect_problem(get(anonymous(), "/v1/search?q=ephialtes"), 401, "unauthorized");
	expect_status(del(ann, "%s", member_path(chat, ben)), 204);
	ck_assert_uint_eq(found(ben, "q=ephialtes"), 0);
	expect_problem(get(ben, "/v1/search?q=ephialtes&chat=%lld", chat), 404, "not_found");
	expect_status(
		put(ann, member_path(chat, ben), NULL), 200); /* a member added again finds messages from then on */
	ck_assert_uint_eq(found(ben, "q=ephialtes"), 0);
	direct = json_num(
		expect_status(
			post(ann, format("/v1/chats/@%s/messages", dan->name), "{'text':'ephialtes between us'}"), 201)
			.json,
		"id");
	await_index(direct);
	ck_assert_uint_eq(found(dan, "q=ephialtes"), 1);
	ck_assert_uint_eq(found(ann, format("q=ephialtes&chat=@%s", dan->name)), 1);
	ck_assert_uint_eq(found(ann, "q=ephialtes"), 3);
	expect_status(del(ann, "/v1/chats/%lld", chat), 204);
	ck_assert_uint_eq(found(ann, "q=ephialtes"), 1);
	ck_assert_uint_eq(found(cem, "q=ephialtes"), 0);
}
END_TEST

/* For a user in that many chats the query doesn't use the index by chat. */
START_TEST(search_of_user_in_many_chats_returns_only_theirs)
{
	struct client *ann = new_user(), *ben = new_user();
	long long chat = 0;
	for (int i = 0; i < 25; i++)
		chat = make_group(ann);
	say(ann, chat, "liriodendron of ann");
	await_index(say(ben, make_group(ben), "liriodendron of ben"));
	ck_assert_uint_eq(found(ann, "q=liriodendron"), 1);
	ck_assert_uint_eq(found(ann, "q=liriodendron&order=rank"), 1);
	ck_assert_str_eq(first(ann, "q=liriodendron"), "liriodendron of ann");
	ck_assert_str_eq(search(ann, "q=%22of%20ben%22").body, search(ann, "q=xylograph").body);
	expect_status(del(ann, "%s", member_path(chat, ann)), 204);
	ck_assert_uint_eq(found(ann, "q=liriodendron"), 0);
}
END_TEST

START_TEST(search_omits_deleted_and_edited_text_at_once)
{
	struct client *ann = new_user();
	long long chat = make_group(ann), deleted = say(ann, chat, "zanzibarian one"),
		  edited = say(ann, chat, "zanzibarian two");
	PGconn *pg = database_open(test_server());
	await_index(edited);
	ck_assert_uint_eq(found(ann, "q=zanzibarian"), 2);
	sql(pg, "begin");
	sql(pg, "select from postern.follower for update"); /* the follower is blocked */
	expect_status(del(ann, "%s", message_path(chat, deleted)), 204);
	long long rev = json_num(
		expect_status(patch(ann, message_path(chat, edited), "{'text':'quillaja two'}"), 200).json, "rev");
	for (int i = 0; i < 2; i++) {
		ck_assert_uint_eq(found(ann, "q=zanzibarian"), 0);
		ck_assert_uint_eq(found(ann, "q=zanzibarian&order=rank"), 0);
		ck_assert_uint_eq(found(ann, "q=zanzibarien"), 0);
	}
	ck_assert_uint_eq(found(ann, "q=quillaja"), 0);
	sql(pg, "commit");
	await_index(rev);
	ck_assert_uint_eq(found(ann, "q=quillaja"), 1);
	ck_assert_uint_eq(found(ann, "q=zanzibarian"), 0);
	/* Nothing of a deleted message remains. */
	ck_assert_uint_eq(search_entries(pg, chat, format("#%lld", chat)), 1);
	ck_assert_uint_eq(search_entries(pg, chat, "quillaja"), 1);
}
END_TEST

START_TEST(search_finds_pinned_message_before_reindexing)
{
	struct client *ann = new_user();
	long long chat = make_group(ann), id = say(ann, chat, "rhododendron");
	PGconn *pg = database_open(test_server());
	await_index(id);
	sql(pg, "begin");
	sql(pg, "select from postern.follower for update"); /* the follower is blocked */
	expect_status(put(ann, format("%s/pin", message_path(chat, id)), NULL), 200);
	ck_assert_uint_eq(found(ann, "q=rhododendron"), 1);
	ck_assert_uint_eq(found(ann, "q=rhododendron&order=rank"), 1);
	sql(pg, "commit");
}
END_TEST

START_TEST(search_filters_limit_results)
{
	struct client *ann = new_user(), *ben = new_user();
	long long here = make_group(ann, ben), there = make_group(ann, ben), one = say(ann, here, "filtered one");
	char now[CLOCK_RFC3339_LEN + 1];
	do /* times have millisecond precision: the next message must have a later one */
		clock_rfc3339(clock_real_us(), now);
	while (strcmp(now, json_str(expect_status(get(ann, "%s", message_path(here, one)), 200).json, "at")) <= 0);
	long long two = say(ben, here, "filtered two"), three = say(ann, there, "filtered three");
	const char *when = json_str(expect_status(get(ann, "%s", message_path(here, two)), 200).json, "at");
	await_index(json_num(
		expect_status(post(ann, messages_path(there),
				      "{'text':'filtered four','type':'photo','content':{'media':[{'id':1}]}}"),
			201)
			.json,
		"id"));
	ck_assert_uint_eq(found(ann, "q=filtered"), 4);
	ck_assert_uint_eq(found(ann, format("q=filtered&chat=%lld", here)), 2);
	ck_assert_uint_eq(found(ann, format("q=filtered&from=%s", ann->name)), 3);
	ck_assert_uint_eq(found(ann, format("q=filtered&from=%s&chat=%lld", ben->name, here)), 1);
	ck_assert_uint_eq(found(ann, "q=filtered&from=nobody-of-that-name"), 0);
	ck_assert_uint_eq(found(ann, "q=filtered&has=media"), 1);
	ck_assert_str_eq(first(ann, "q=filtered&has=media"), "filtered four");
	ck_assert_uint_eq(found(ann, format("q=filtered&before=%lld", two)), 1);
	ck_assert_uint_eq(found(ann, format("q=filtered&after=%lld", two)), 2);
	ck_assert_uint_eq(found(ann, format("q=filtered&after=%lld&before=%lld", one, three)), 1);
	ck_assert_uint_eq(found(ann, format("q=filtered&before=%s", when)), 1);
	ck_assert_uint_eq(found(ann, format("q=filtered&after=%s", when)), 3);
	ck_assert_uint_eq(found(ann, "q=filtered&after=2020-01-01&before=2999-01-01"), 4);
	ck_assert_uint_eq(found(ann, "q=filtered&before=2020-01-01"), 0);
	ck_assert_uint_eq(found(ann, "q=filtered&after=2999-01-01"), 0);
}
END_TEST

/* Asserts that every result is returned once, with pages of different sizes. */
static void expect_each_result_once(const struct client *who, const char *query, unsigned n, bool by_time)
{
	for (int limit = 1; limit <= 7; limit += 2) {
		unsigned got = 0;
		long long seen = 0, last = INT64_MAX;
		const char *cursor = "";
		do {
			struct answer a = search(who, format("%s&limit=%d&cursor=%s", query, limit, cursor));
			size_t c = json_count(a.json, "results");
			ck_assert_uint_le(c, limit);
			for (size_t i = 0; i < c; i++) {
				long long id = json_num(a.json, format("results.%zu.message.id", i));
				ck_assert(!by_time || id < last);
				last = id;
				seen += id;
			}
			got += (unsigned)c;
			cursor = json_has(a.json, "next") ? json_str(a.json, "next") : NULL;
		} while (cursor != NULL && got <= n);
		ck_assert_uint_eq(got, n);
		ck_assert_int_eq(seen,
			json_num(expect_status(get(who, "/v1/chats"), 200).json, "chats.0.last_message.id") * n -
				n * (n - 1) / 2);
	}
}

START_TEST(search_results_are_paginated)
{
	struct client *ann = new_user();
	long long chat = make_group(ann), id = 0;
	/* One batch, so that the ids are consecutive. */
	struct answer a = expect_status(
		post_as(ann, messages_path(chat), "application/x-ndjson",
			"{\"text\":\"paginated\"}\n{\"text\":\"a paginated word\"}\n"
			"{\"text\":\"paginated paginated\"}\n{\"text\":\"paginated\"}\n{\"text\":\"much later it was "
			"paginated\"}\n{\"text\":\"paginated, once\"}\n"
			"{\"text\":\"paginated\"}\n{\"text\":\"paginated\"}\n{\"text\":\"paginated\"}\n"),
		200);
	for (const char *p = a.body; (p = strstr(p, "\"id\":")) != NULL; p++)
		sscanf(p, "\"id\":%lld", &id);
	await_index(id);
	expect_each_result_once(ann, "q=paginated", 9, true);
	expect_each_result_once(ann, "q=paginatde", 9, true);
	expect_each_result_once(ann, "q=paginated&order=rank", 9, false);
	expect_each_result_once(ann, "q=paginatde&order=rank", 9, false);
	ck_assert_str_eq(
		json_str(search(ann, "q=paginated&order=rank").json, "results.0.message.text"), "paginated paginated");
	expect_problem(get(ann, "/v1/search?q=paginated&cursor=r1_0.1_1"), 400, "bad_cursor");
	expect_problem(get(ann, "/v1/search?q=paginated&order=rank&cursor=t1"), 400, "bad_cursor");
	expect_problem(get(ann, "/v1/search?q=paginated&order=rank&cursor=r1_0_1e999_1"), 400, "bad_cursor");
}
END_TEST

START_TEST(search_snippets_mark_matches_without_markup)
{
	struct client *ann = new_user();
	long long chat = make_group(ann);
	expect_status(
		post(ann, messages_path(chat), "{'text':'<b onclick=x>gravitas</b> \\u0002forged\\u0003 &amp; <i>'}"),
		201);
	char *text = format("%4000s", "");
	memset(text, 'a', 4000);
	for (int i = 5; i < 4000; i += 6)
		text[i] = ' ';
	memcpy(text + 2999, " gravitas ", 10);
	await_index(say(ann, chat, text));
	struct answer a = search(ann, "q=gravitas");
	ck_assert_str_eq(json_str(a.json, "results.1.snippet"), "<b onclick=x>\x02gravitas\x03</b> forged &amp; <i>");
	ck_assert_uint_lt(strlen(json_str(a.json, "results.0.snippet")), 600);
	ck_assert(strstr(json_str(a.json, "results.0.snippet"), "\x02") != NULL);
	ck_assert(strstr(search(ann, "q=gravi*").body, "\\u0002gravitas\\u0003") != NULL);
}
END_TEST

START_TEST(search_with_invalid_parameters_is_refused)
{
	static const struct {
		const char *query, *code;
		int status;
	} refusals[] = { { "", "missing_field", 422 }, { "q=", "missing_field", 422 }, { "q=-not", "empty_text", 422 },
		{ "q=%2B%2B%2B", "empty_text", 422 }, { "q=*", "empty_text", 422 }, { "q=%22%22", "empty_text", 422 },
		{ "q=a&limit=0", "out_of_range", 422 }, { "q=a&limit=101", "out_of_range", 422 },
		{ "q=a&order=best", "out_of_range", 422 }, { "q=a&has=hope", "out_of_range", 422 },
		{ "q=a&before=yesterday", "bad_parameter", 400 }, { "q=a&after=2026-02-30", "bad_parameter", 400 },
		{ "q=a&after=2026-02-01T25:00:00Z", "bad_parameter", 400 }, { "q=a&cursor=1", "bad_cursor", 400 },
		{ "q=a&what=1", "bad_parameter", 400 } };
	static const char *const unusual[] = { "q='", "q=%5C", "q=a'b", "q=a%5C%5C'", "q=%26%7C!()%3A*a", "q=a%3A*",
		"q=%27a%27%3AB", "q=a%2Fb%5C%27c", "q=%22a%22%22b", "q=--a%20b",
		"q=http%3A%2F%2Fx.example%2Fa%27b%5C%3Fc", "q=%F0%9F%98%80%20a", "q=%01a", "q=a%20%3C-%3E%20b" };
	struct client *ann = new_user();
	make_group(ann);
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++)
		expect_problem(get(ann, "/v1/search?%s", refusals[i].query), refusals[i].status, refusals[i].code);
	for (size_t i = 0; i < sizeof(unusual) / sizeof(unusual[0]); i++) {
		struct answer a = get(ann, "/v1/search?%s", unusual[i]);
		ck_assert_msg(a.status == 200 || a.status == 422, "%s: %d %s", unusual[i], a.status, a.body);
	}
}
END_TEST

/* Any text is indexed without stopping the follower, and any query is answered. */
START_TEST(search_of_hostile_texts_does_not_fail)
{
	static const char *const texts[] = { "'", "\\\\", "\\\\'a", "a:1A,2B 'b':*", "!&|()<->", "a\\\\b'c",
		"\\\\'\\\\'\\\\''", "\\u0001\\u0002\\u0003hostility", "\\u00ad\\u200f\\u202e",
		"http://x.example/a'b\\\\?c=%27", "a@b.example-c.d", "-1e400 1e-9", "<!-- <a href='x'> &lt; &#x27;",
		"\\uffff\\ufffe", "\\ud83d\\ude00\\ufe0f\\u200d" };
	struct client *ann = new_user();
	long long chat = make_group(ann), id = 0;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		expect_status(send_request(ann, "POST", messages_path(chat), "application/json",
				      format("{\"text\":\"%s hostile\"}", texts[i]), strlen(texts[i]) + 19),
			201);
	char *dots = format("%16000s", ""), *word = format("%16000s", "");
	memset(dots, '.', 16000);
	memset(word, 'w', 16000);
	for (int i = 0; i < 16000; i += 2)
		dots[i] = (char)('a' + i % 26);
	say(ann, chat, word);
	for (int i = 0; i < 40; i++) /* more than the follower indexes in one step */
		id = say(ann, chat, dots);
	await_index(id);
	ck_assert_uint_eq(found(ann, "q=hostile&limit=100"), sizeof(texts) / sizeof(texts[0]));
	ck_assert_uint_eq(found(ann, "q=%22c%20hostile%22"), 1);
	expect_status(get(ann, "/v1/search?q=%.190s", word), 200);
}
END_TEST

/* What others write never changes what a user finds: neither hits nor suggestions nor whether there is more. */
START_TEST(search_answers_depend_only_on_readable_messages)
{
	static const char *const queries[] = { "q=barbarozsa", "q=barbarozsa&limit=3", "q=barbarosza", "q=barbaross*",
		"q=barbarossa&order=rank", "q=barbarossa", "q=-barbarossa%20barbarozsa", "q=barbarozs",
		"q=barbarosssa" };
	enum { QUERIES = sizeof(queries) / sizeof(queries[0]) };
	struct client *ann = new_user(), *ben = new_user(), *cem = new_user();
	long long mine = make_group(ann), others = make_group(ben, cem), id = 0;
	char *before[QUERIES];
	for (int i = 0; i < 20; i++)
		id = say(ann, mine, "barbarozsa");
	await_index(id);
	for (unsigned i = 0; i < QUERIES; i++)
		before[i] = format("%s", search(ann, queries[i]).body);
	for (int i = 0; i < 30; i++)
		id = say(ben, others, i % 2 == 0 ? "barbarossa" : "barbarozsa barbarosssa");
	await_index(id);
	for (unsigned i = 0; i < QUERIES; i++)
		ck_assert_str_eq(search(ann, queries[i]).body, before[i]);
	ck_assert_uint_eq(found(ann, "q=barbarosza&limit=100"), 20);
	ck_assert_uint_eq(found(ben, "q=barbarosa&limit=100"), 30);
}
END_TEST

/* Percent-encodes a text. */
static char *encoded(const char *text)
{
	char *out = format("%*s", (int)(3 * strlen(text) + 1), ""), *p = out;
	for (; *text != '\0'; text++)
		p += sprintf(p, "%%%02X", (unsigned char)*text);
	return out;
}

START_TEST(search_finds_each_run_of_letters_or_digits)
{
	static const struct {
		const char *text, *queries[8];
	} cases[] = {
		{ "all done.Please check", { "done", "please", "done.Please", "check" } },
		{ "see Report.pdf,v2", { "report", "pdf", "Report.pdf", "v2" } },
		{ "it went 90 km/h there", { "km", "90", "km/h", "h" } },
		{ "write to ivan.petrov@example.com", { "petrov", "ivan", "ivan.petrov@example.com", "example.com" } },
		{ "part ABC-777", { "777", "abc", "ABC-777" } },
		{ "read docs.example.org/start", { "docs", "docs.example.org", "start", "example.org/start" } },
		{ "on 15.05.2026 at 10:30", { "2026", "15.05.2026", "10:30", "30" } },
		{ "a_snake_case_name", { "snake", "snake_case", "name" } },
		{ "свежий и\xcc\x86огурт", { "йогурт", "и\xcc\x86огурт", "Йогурт", "йогу*" } },
		{ "José met Fédération and Ødegaard", { "jose", "José", "JOSE", "federation", "odegaard" } },
		{ "зелёная Ёлка", { "елка", "ёлка", "зеленая" } },
		{ "Straße und ﬁne Ｗｉｄｅ", { "strasse", "STRASSE", "straße", "fine", "wide" } },
		{ "今天下午三点开会", { "开会", "下午", "今天下午三点开会", "会", "今" } },
		{ "東京タワーへ", { "東京", "タワー", "東" } },
		{ "สวัสดีครับทุกคน", { "สวัสดี", "ครับ" } },
		{ "학교에서 만나요", { "학교", "학교에서", "만나" } },
		{ "wow 🎉 great👍🏽", { "🎉", "👍", "great", "👍🏽" } },
		{ "Яндексmaps внутри", { "яндекс", "maps", "Яндексmaps" } },
		{ "key "
		  "https://x.example/f/"
		  "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef?dl=1",
			{ "https://x.example/f/"
			  "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef?dl=1",
				"x.example", "dl" } },
	};
	struct client *ann = new_user();
	long long chat = make_group(ann), id = 0;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		id = say(ann, chat, cases[i].text);
	await_index(id);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		for (unsigned k = 0; k < 8 && cases[i].queries[k] != NULL; k++) {
			struct answer a = search(ann, format("q=%s", encoded(cases[i].queries[k])));
			ck_assert_msg(json_count(a.json, "results") == 1 && !json_has(a.json, "fuzzy"), "%s in %s: %s",
				cases[i].queries[k], cases[i].text, a.body);
			ck_assert_msg(strstr(a.body, "\\u0002") != NULL, "not marked: %s", a.body);
		}
	ck_assert_uint_eq(found(ann, "q=snakes.case"), 1);
	ck_assert_uint_eq(found(ann, "q=777-abc"), 0);
	ck_assert_uint_eq(found(ann, format("q=%s", encoded("午下"))), 0);
	ck_assert_uint_eq(found(ann, format("q=%s", encoded("🎈"))), 0);
}
END_TEST

START_TEST(search_marks_only_what_was_looked_for)
{
	static const struct {
		const char *text, *query, *snippet;
	} cases[] = {
		{ "all done.Please check", "please", "all done.\x02Please\x03 check" },
		{ "he is José at the Café", "cafe",
			"he is José at the \x02"
			"Café\x03" },
		{ "今天下午三点开会吗", "开会", "今天下午三点\x02开会\x03吗" },
		{ "wow 🎉🎈", "🎉", "wow \x02🎉\x03🎈" },
		{ "running runners", "runni*", "\x02running\x03 runners" },
		{ "a@b.example", "b.example",
			"a@\x02"
			"b\x03.\x02"
			"example\x03" },
	};
	struct client *ann = new_user();
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		long long chat = make_group(ann);
		await_index(say(ann, chat, cases[i].text));
		struct answer a = search(ann, format("q=%s&chat=%lld", encoded(cases[i].query), chat));
		ck_assert_str_eq(json_str(a.json, "results.0.snippet"), cases[i].snippet);
	}
}
END_TEST

/* A segment has 8,192 positions. */
START_TEST(search_reads_sealed_segments_and_drops_emptied_ones)
{
	struct client *ann = new_user();
	PGconn *pg = database_open(test_server());
	long long chat = make_group(ann), id = say(ann, chat, "calycanthus first"),
		  edited = say(ann, chat, "philodendron"), kept = say(ann, chat, "calycanthus kept");
	char lines[64 * 400] = "";
	for (int i = 0; i < 400; i++)
		strcat(lines, "{\"text\":\"filler\"}\n");
	for (int i = 0; i < 21; i++)
		expect_status(post_as(ann, messages_path(chat), "application/x-ndjson", lines), 200);
	await_index(say(ann, chat, "calycanthus last"));
	unsigned long long until = clock_mono_ms() + PATIENCE;
	while (strcmp(sql(pg, "select sealed from postern.search_part where segment = %lld", kept >> 13), "t") != 0)
		time_left(until, "sealing");
	ck_assert_uint_eq(found(ann, "q=calycanthus"), 3);
	ck_assert_uint_eq(found(ann, "q=calycantus"), 3);
	expect_status(del(ann, "%s", message_path(chat, id)), 204);
	ck_assert_uint_eq(found(ann, "q=calycanthus"), 2);
	long long rev = json_num(
		expect_status(patch(ann, message_path(chat, edited), "{'text':'calycanthus edited'}"), 200).json,
		"rev");
	await_index(rev);
	ck_assert_uint_eq(found(ann, "q=calycanthus"), 3);
	ck_assert_uint_eq(found(ann, "q=philodendron"), 0);
	ck_assert_uint_eq(found(ann, "q=calycanthus&order=rank"), 3);
	/* As if every other message of the segment had been deleted. */
	sql(pg, "delete from postern.search_part_%llx where id <> %lld", (unsigned long long)(kept >> 13), kept);
	sql(pg, "update postern.search_part set entries = 1 where segment = %lld", kept >> 13);
	expect_status(del(ann, "%s", message_path(chat, kept)), 204);
	until = clock_mono_ms() + PATIENCE;
	while (strcmp(sql(pg, "select to_regclass('postern.search_part_%llx') is null",
			      (unsigned long long)(kept >> 13)),
		       "t") != 0)
		time_left(until, "dropping the table");
	ck_assert_str_eq(first(ann, "q=calycanthus"), "calycanthus last");
}
END_TEST

/* As after an upgrade of a version with the former index: it answers until the present one has all messages. */
START_TEST(search_finds_messages_while_index_is_rebuilt)
{
	struct client *ann = new_user();
	PGconn *pg = database_open(test_server());
	long long chat = make_group(ann), one = say(ann, chat, "stephanotis one"),
		  two = say(ann, chat, "stephanotis two");
	await_index(two);
	sql(pg, "begin");
	sql(pg, "select from postern.follower for update"); /* the follower is blocked */
	sql(pg, "delete from postern.search_part_%llx where id in (%lld, %lld)", (unsigned long long)(one >> 13), one,
		two);
	sql(pg, "update postern.search_part set entries = entries - 2 where segment = %lld", one >> 13);
	sql(pg,
		"insert into postern.search_entry select m.chat_id, m.id, m.rev, m.at, "
		"format('''%%1$s:stephanoti'':1 ''%%1$s:#%%2$s''', to_hex(m.id >> 13), m.chat_id)::tsvector "
		"from postern.message m where m.chat_id = %lld",
		chat);
	sql(pg,
		"insert into postern.search_segment select distinct id >> 13, '-infinity'::timestamptz, "
		"'infinity'::timestamptz from postern.search_entry on conflict do nothing");
	sql(pg, "commit");
	sql(pg, "begin");
	sql(pg, "select from postern.follower where name = 'search_parts' for update");
	sql(pg, "commit");
	/* The holder is elsewhere, so that the rebuilding doesn't begin. */
	sql(pg,
		"update postern.follower set holder = 'elsewhere', until = now() + interval '1 hour' "
		"where name = 'search_parts'");
	sql(pg, "update postern.follower set pos = %lld where name = 'search_back'", two);
	ck_assert_uint_eq(found(ann, "q=stephanotis"), 2);
	ck_assert_uint_eq(found(ann, "q=stephanotis&order=rank"), 2);
	ck_assert_uint_eq(found(ann, "q=stephanotis&limit=1"), 1);
	expect_status(del(ann, "%s", message_path(chat, two)), 204);
	ck_assert_str_eq(first(ann, "q=stephanotis"), "stephanotis one");
	sql(pg, "delete from postern.search_entry");
	ck_assert_uint_eq(found(ann, "q=stephanotis"), 0);
	sql(pg, "delete from postern.search_part where segment = %lld and entries < 0", one >> 13);
	sql(pg, "update postern.follower set until = now() where name = 'search_parts'");
	await_found(ann, "q=stephanotis", 1);
	ck_assert_str_eq(first(ann, "q=stephanotis"), "stephanotis one");
}
END_TEST

START_TEST(searches_are_rate_limited)
{
	struct server *node = server_join(test_server(), (const char *const[]) { "--rate-searches", "3", NULL });
	struct client *ann = new_user(), *ben = new_user(), *there = on_server(ann, node);
	for (int i = 0; i < 3; i++)
		search(there, "q=a");
	struct answer a = expect_problem(get(there, "/v1/search?q=a"), 429, "rate_limited");
	ck_assert_ptr_nonnull(answer_header(a, "Retry-After"));
	ck_assert_str_eq(answer_header(a, "RateLimit-Limit"), "3");
	search(on_server(ben, node), "q=a");
	expect_status(get(there, "/v1/me"), 200);
	server_stop(node);
}
END_TEST

/* The trigger stands for a text that PostgreSQL can't index. */
START_TEST(search_skips_change_that_fails_alone)
{
	struct client *ann = new_user();
	PGconn *pg = database_open(test_server());
	long long chat = make_group(ann);
	long long edited = say(ann, chat, "bullfinch");
	await_index(say(ann, chat, "before it"));
	double skipped = metric(test_server(), "postern_follower_skipped_total{follower=\"search\"}");
	sql(pg,
		"create function public.refuse_entry() returns trigger language plpgsql as "
		"$$ begin if new.words::text like '%%poison%%' then raise 'poisonous'; end if; return new; end $$");
	sql(pg,
		"create trigger refuse_entry before insert on postern.search_part_%llx for each row "
		"execute function public.refuse_entry()",
		(unsigned long long)(edited >> 13));
	say(ann, chat, "poisonous");
	await_index(say(ann, chat, "nightingale"));
	await_found(ann, "q=nightingale", 1);
	await_metric(test_server(), "postern_follower_skipped_total{follower=\"search\"}", skipped + 1);
	await_found(ann, "q=bullfinch", 1);
	expect_status(patch(ann, format("/v1/chats/%lld/messages/%lld", chat, edited), "{'text':'poisonous'}"), 200);
	await_metric(test_server(), "postern_follower_skipped_total{follower=\"search\"}", skipped + 2);
	await_found(ann, "q=bullfinch", 0);
	sql(pg, "drop function public.refuse_entry() cascade");
}
END_TEST

START_TEST(search_index_is_updated_by_one_node_at_a_time)
{
	struct client *ann = new_user();
	long long chat = make_group(ann);
	PGconn *pg = database_open(test_server());
	await_index(say(ann, chat, "before"));
	sql(pg, "update postern.follower set holder = 'elsewhere', until = now() + interval '1 hour'");
	say(ann, chat, "hemerocallis");
	await_metric(test_server(), "postern_search_lag_positions",
		1); /* the follower sees the other holder and does nothing */
	ck_assert_uint_eq(found(ann, "q=hemerocallis"), 0);
	ck_assert_str_eq(sql(pg, "select holder from postern.follower where name = 'search_parts'"), "elsewhere");
	sql(pg, "update postern.follower set until = now()"); /* the holder has expired */
	await_found(ann, "q=hemerocallis", 1);
	await_metric(test_server(), "postern_search_lag_positions", 0);
}
END_TEST

START_TEST(search_index_continues_after_crash)
{
	struct client *ann = new_user();
	long long chat = make_group(ann);
	struct server *node = server_join(test_server(), NULL);
	PGconn *pg = database_open(test_server());
	for (int i = 0; i < 30; i++) {
		if (i == 10)
			server_kill(node, 9);
		say(ann, chat, format("sequoiadendron %d", i));
	}
	sql(pg, "update postern.follower set until = now()"); /* makes it expire without waiting */
	await_found(ann, "q=sequoiadendron&limit=100", 30);
	ck_assert_uint_eq(search_entries(pg, chat, "sequoiadendron"), 30);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = { search_finds_words_prefixes_and_phrases, search_finds_misspelt_words,
		search_returns_only_readable_messages, search_of_user_in_many_chats_returns_only_theirs,
		search_omits_deleted_and_edited_text_at_once, search_finds_pinned_message_before_reindexing,
		search_filters_limit_results, search_results_are_paginated, search_snippets_mark_matches_without_markup,
		search_with_invalid_parameters_is_refused, search_of_hostile_texts_does_not_fail,
		search_answers_depend_only_on_readable_messages, search_finds_each_run_of_letters_or_digits,
		search_marks_only_what_was_looked_for, search_reads_sealed_segments_and_drops_emptied_ones,
		search_finds_messages_while_index_is_rebuilt, searches_are_rate_limited,
		search_skips_change_that_fails_alone, search_index_is_updated_by_one_node_at_a_time,
		search_index_continues_after_crash, NULL };
	return suite_run("search", tests, NULL);
}
