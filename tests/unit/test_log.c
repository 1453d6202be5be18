/* SPDX-License-Identifier: MIT
 * Module tests of src/log: frames, the ring, cursors, marks. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"
#include "log/cursor.h"
#include "log/frame.h"
#include "log/marks.h"
#include "log/ring.h"

static struct frame *parse(const char *line) { return frame_parse(line, strlen(line), "ep", 0xbeef); }

static struct frame *message(uint64_t pos, unsigned chat)
{
	char line[200];
	snprintf(line, sizeof(line), "%llu message %u alice %llu 0 {\"id\":%llu}", (unsigned long long)pos, chat,
		(unsigned long long)pos, (unsigned long long)pos);
	return parse(line);
}

/* The frame of a notification, and the one that the worker makes that has committed the message. */
START_TEST(frame_has_the_fields_of_its_line)
{
	static const char json[] = "{\"id\":12,\"text\":\"a b\"}";
	struct frame *f = _i == 0 ? parse("12 message 7 alice 12 1700000000000001 {\"id\":12,\"text\":\"a b\"}")
				  : frame_message(12, 7, "alice", 1700000000000001, json, strlen(json), "ep", 0xbeef);
	ck_assert_uint_eq(f->pos, 12);
	ck_assert_int_eq(f->kind, FRAME_MESSAGE);
	ck_assert_uint_eq(f->chats_count, 1);
	ck_assert_uint_eq(f->chats[0], 7);
	ck_assert_str_eq(f->user, "alice");
	ck_assert_uint_eq(f->user_len, 5);
	ck_assert_uint_eq(f->user_key, secret_keyed_hash("alice", 5));
	ck_assert_uint_eq(f->message.id, 12);
	ck_assert_uint_eq(f->message.received_us, 1700000000000001);
	ck_assert_uint_eq(frame_message_id(f), 12);
	ck_assert(frame_is_new_message(f));
	ck_assert_uint_eq(f->json_len, strlen(json));
	ck_assert_mem_eq(f->json, json, f->json_len);
	const char *sse = "id: ep0000beef.12\nevent: message\ndata: {\"id\":12,\"text\":\"a b\"}\n\n";
	ck_assert_uint_eq(f->sse_len, strlen(sse));
	ck_assert_mem_eq(f->sse, sse, f->sse_len);
	const char *head = "{\"event\":\"message\",\"cursor\":\"ep0000beef.12\",\"data\":";
	ck_assert_uint_eq(f->ndjson_head_len, strlen(head));
	ck_assert_mem_eq(f->ndjson_head, head, f->ndjson_head_len);
	frame_unref(f);
}
END_TEST

START_TEST(frame_details_depend_on_its_kind)
{
	struct frame *f = parse("9 message 7 alice 5 0 {}");
	ck_assert_uint_eq(frame_message_id(f), 5);
	ck_assert(!frame_is_new_message(f));
	frame_unref(f);
	f = parse("9 deleted 7 - 5 0 {}");
	ck_assert_uint_eq(frame_message_id(f), 5);
	frame_unref(f);
	f = parse("9 reaction 7 bob 5 -1 {}");
	ck_assert_uint_eq(frame_message_id(f), 5);
	ck_assert_uint_eq(f->reaction.emoji_hash, UINT64_MAX);
	frame_unref(f);
	f = parse("9 member 7 bob 9 4 {}");
	ck_assert_uint_eq(f->member.since, 9);
	ck_assert_uint_eq(f->member.floor, 4);
	ck_assert_uint_eq(frame_message_id(f), 0);
	frame_unref(f);
	f = parse("9 chat 7 - 0 1 {}");
	ck_assert(frame_is_chat_deletion(f));
	frame_unref(f);
	f = parse("9 chat 7 - 0 0 {}");
	ck_assert(!frame_is_chat_deletion(f));
	frame_unref(f);
}
END_TEST

START_TEST(frame_audience_is_parsed)
{
	struct frame *f = parse("3 user 5,6,77 bob 0 0 {}");
	ck_assert_uint_eq(f->chats_count, 3);
	ck_assert_uint_eq(f->chats[2], 77);
	frame_unref(f);
	f = parse("3 user - bob 0 0 {}");
	ck_assert_uint_eq(f->chats_count, 0);
	ck_assert_str_eq(f->user, "bob");
	frame_unref(f);
	f = parse("4 deleted 5 - 3 0 {}");
	ck_assert_ptr_null(f->user);
	frame_unref(f);
	f = parse("5 member 17 bob 5 0 {}");
	ck_assert(!f->to_user_only);
	frame_unref(f);
	f = parse("5 member ~17 bob 5 0 {}");
	ck_assert(f->to_user_only);
	ck_assert_uint_eq(f->chats_count, 1);
	ck_assert_uint_eq(f->chats[0], 17);
	frame_unref(f);
}
END_TEST

static const char *const bad_lines[] = { "", "x", "0 message 1 a 1 0 {}", "5", "5 message", "5 nonsense 1 a 1 0 {}",
	"5 message 1 a x 0 {}", "-1 message 1 a 1 0 {}", "5  message 1 a 1 0 {}" };

START_TEST(frame_refuses_malformed_lines) { ck_assert_ptr_null(parse(bad_lines[_i])); }
END_TEST

struct walk {
	uint64_t pos[100];
	unsigned count;
};

static void on_frame(void *arg, struct frame *f)
{
	struct walk *w = arg;
	w->pos[w->count++] = f->pos;
}

START_TEST(ring_walks_one_thread_newest_first)
{
	struct ring *r = ring_new(1 << 20);
	ring_reset(r, 10);
	for (uint64_t pos = 11; pos <= 40; pos++) {
		struct frame *f = message(pos, (unsigned)(pos % 3) + 1);
		ring_add(r, f);
		frame_unref(f);
	}
	struct walk w = { .count = 0 };
	ring_walk(r, ring_chat_key(1), 30, on_frame, &w);
	ck_assert_uint_eq(w.count, 3);
	ck_assert_uint_eq(w.pos[0], 39);
	ck_assert_uint_eq(w.pos[2], 33);
	ck_assert_uint_eq(ring_floor(r), 10);
	w.count = 0;
	ring_walk(r, ring_chat_key(99), 0, on_frame, &w);
	ck_assert_uint_eq(w.count, 0);
	ring_free(r);
}
END_TEST

START_TEST(ring_keeps_frame_for_one_user_on_their_thread_only)
{
	struct ring *r = ring_new(1 << 20);
	struct frame *f = parse("5 member ~17 bob 5 0 {}");
	struct walk w = { .count = 0 };
	ring_add(r, f);
	ring_walk(r, ring_chat_key(17), 0, on_frame, &w);
	ck_assert_uint_eq(w.count, 0);
	ring_walk(r, ring_user_key(f->user_key), 0, on_frame, &w);
	ck_assert_uint_eq(w.count, 1);
	frame_unref(f);
	ring_free(r);
}
END_TEST

START_TEST(ring_drops_the_oldest_and_reports_it)
{
	struct ring *r = ring_new(20000);
	uint64_t pos = 0;
	for (; pos < 1000; pos++) {
		struct frame *f = message(pos + 1, (unsigned)(pos % 5));
		ring_add(r, f);
		frame_unref(f);
		ck_assert_uint_le(ring_bytes(r), 20000);
	}
	ck_assert_uint_gt(ring_floor(r), 0);
	ck_assert_uint_eq(ring_floor(r) + ring_count(r), 1000); /* gapless: all above the floor are there */
	struct walk w = { .count = 0 };
	ring_walk(r, ring_chat_key(2), ring_floor(r), on_frame, &w);
	ck_assert_uint_gt(w.count, 5);
	for (unsigned i = 0; i < w.count; i++)
		ck_assert_uint_gt(w.pos[i], ring_floor(r));
	ring_reset(r, 5000);
	ck_assert_uint_eq(ring_count(r), 0);
	ck_assert_uint_eq(ring_floor(r), 5000);
	w.count = 0;
	ring_walk(r, ring_chat_key(2), 0, on_frame, &w);
	ck_assert_uint_eq(w.count, 0);
	ring_free(r);
}
END_TEST

START_TEST(ring_finds_member_frame_by_chat_and_by_user)
{
	struct ring *r = ring_new(1 << 20);
	struct frame *f = parse("1 member 7 bob 1 0 {}"), *g = parse("2 message 7 bob 2 0 {}");
	ring_add(r, f);
	ring_add(r, g);
	struct walk w = { .count = 0 };
	ring_walk(r, ring_user_key(f->user_key), 0, on_frame, &w);
	ck_assert_uint_eq(w.count, 1); /* the sender of a message isn't its audience */
	w.count = 0;
	ring_walk(r, ring_chat_key(7), 0, on_frame, &w);
	ck_assert_uint_eq(w.count, 2);
	frame_unref(f);
	frame_unref(g);
	ring_free(r);
}
END_TEST

static const struct {
	const char *text;
	bool good, unchecked;
} cursors[] = {
	{ "abcDEF12a0000001.12", true, false },
	{ "abcDEF12ffffffff.0", true, false },
	{ "abcDEF12.12", true, true },
	{ "A9z.0", true, true },
	{ "12345678.5", true, true },
	{ "abcDEF12notahexa.5", true, true },
	{ "abcdefg00000000.999999999999999999", true, false },
	{ "", false, false },
	{ "12", false, false },
	{ ".12", false, false },
	{ "abc.", false, false },
	{ "abc.-1", false, false },
	{ "abc.1x", false, false },
	{ "abc.9999999999999999999", false, false },
	{ "a b.1", false, false },
	{ "abc.1.2", false, false },
	{ "abcdefghijklmnopqrstuvwxyzabcdefghijkl.1", false, false },
};

START_TEST(cursor_malformed_is_refused)
{
	struct cursor c;
	char again[CURSOR_MAX];
	bool ok = cursor_parse(cursors[_i].text, &c);
	ck_assert_msg(ok == cursors[_i].good, "%s", cursors[_i].text);
	if (ok)
		ck_assert(c.unchecked == cursors[_i].unchecked);
	if (ok && !c.unchecked) {
		cursor_print(c.epoch, c.at, again);
		ck_assert_str_eq(again, cursors[_i].text);
	}
}
END_TEST

START_TEST(batch_checks_are_read_from_the_first_line)
{
	static const char line[] = "11 user - - 4294967295 7 ", frame[] = "11 user - bob 0 0 {}";
	uint32_t check, before;
	ck_assert(frame_parse_checks(line, strlen(line), &check, &before));
	ck_assert_uint_eq(check, 4294967295);
	ck_assert_uint_eq(before, 7);
	ck_assert(!frame_parse_checks(frame, strlen(frame), &check, &before));
}
END_TEST

static enum marks_answer look_up(const struct marks *m, uint64_t pos, uint32_t check)
{
	return marks_look(m, (struct position) { pos, check });
}

START_TEST(marks_contain_published_positions_only)
{
	struct marks *m = marks_new();
	marks_add(m, 11, 15, 1); /* a notification */
	marks_add(m, 18, 18, 2); /* read from the tables: the batches of 16, 17 and 19 are unknown */
	marks_add(m, 21, 21, 3); /* the first message of a batch, published by its sender, then the second */
	marks_add(m, 22, 22, 3);
	ck_assert_int_eq(look_up(m, 10, 1), MARKS_UNKNOWN);
	ck_assert_int_eq(look_up(m, 11, 1), MARKS_SAME);
	ck_assert_int_eq(look_up(m, 15, 2), MARKS_OTHER);
	ck_assert_int_eq(look_up(m, 17, 2), MARKS_UNKNOWN);
	ck_assert_int_eq(look_up(m, 18, 2), MARKS_SAME);
	ck_assert_int_eq(look_up(m, 19, 3), MARKS_UNKNOWN);
	ck_assert_int_eq(look_up(m, 22, 3), MARKS_SAME);
	ck_assert_int_eq(look_up(m, 23, 3), MARKS_UNKNOWN);
	marks_cut(m, 18);
	ck_assert_int_eq(look_up(m, 21, 3), MARKS_UNKNOWN);
	ck_assert_int_eq(look_up(m, 18, 2), MARKS_SAME);
	for (uint64_t pos = 30; pos < 20000; pos++)
		marks_add(m, pos, pos, (uint32_t)pos);
	ck_assert_int_eq(look_up(m, 18, 2), MARKS_UNKNOWN); /* the oldest are dropped */
	ck_assert_int_eq(look_up(m, 19999, 19999), MARKS_SAME);
	marks_free(m);
}
END_TEST

int main(void)
{
	secret_setup();
	Suite *suite = suite_create("log");
	TCase *tc = tcase_create("log");
	tcase_add_loop_test(tc, frame_has_the_fields_of_its_line, 0, 2);
	tcase_add_test(tc, frame_details_depend_on_its_kind);
	tcase_add_test(tc, frame_audience_is_parsed);
	tcase_add_loop_test(tc, frame_refuses_malformed_lines, 0, sizeof(bad_lines) / sizeof(bad_lines[0]));
	tcase_add_test(tc, ring_walks_one_thread_newest_first);
	tcase_add_test(tc, ring_keeps_frame_for_one_user_on_their_thread_only);
	tcase_add_test(tc, ring_drops_the_oldest_and_reports_it);
	tcase_add_test(tc, ring_finds_member_frame_by_chat_and_by_user);
	tcase_add_loop_test(tc, cursor_malformed_is_refused, 0, sizeof(cursors) / sizeof(cursors[0]));
	tcase_add_test(tc, batch_checks_are_read_from_the_first_line);
	tcase_add_test(tc, marks_contain_published_positions_only);
	suite_add_tcase(suite, tc);
	SRunner *runner = srunner_create(suite);
	srunner_set_tap(runner, "-");
	srunner_run_all(runner, CK_SILENT);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
