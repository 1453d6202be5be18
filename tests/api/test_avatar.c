/* SPDX-License-Identifier: MIT
 * Avatars: who sets and gets them, which images are refused, and when they are deleted. */
#include <stdlib.h>
#include <string.h>

#include "../lib/client.h"
#include "../lib/database.h"
#include "../lib/stream.h"
#include "../lib/suite.h"

struct picture {
	const char *type;
	size_t len;
	const char *data;
};

#define PICTURE(type, data) \
	{ \
		type, sizeof(data) - 1, data \
	}
/* png is a complete image of one pixel; the others end after their size, because the server doesn't decode images. */
static const struct picture png = PICTURE("image/png",
	"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x02\0\0\0\x90wS\xde"
	"\0\0\0\x0cIDATx\xda"
	"c\xd0\x9a;\x01\0\x02L\x01X\xdb\x87\x81\xec\0\0\0\0IEND\xae"
	"B`\x82");
static const struct picture gif = PICTURE("image/gif", "GIF89a\x10\0\x20\0\x80\0\0");
static const struct picture old_gif = PICTURE("image/gif", "GIF87a\x10\0\x20\0\x80\0\0");
static const struct picture jpeg = PICTURE("image/jpeg",
	"\xff\xd8\xff\xe0\0\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0"
	"\xff\xff\xff\xc2\0\x11\x08\0\x20\0\x10\x03\x01\"\0\x02\x11\x01\x03\x11\x01");
static const struct picture webp_lossy =
	PICTURE("image/webp", "RIFF\x20\0\0\0WEBPVP8 \x14\0\0\0\x30\x01\0\x9d\x01\x2a\x10\0\x20\0\0\0");
static const struct picture webp_lossless =
	PICTURE("image/webp", "RIFF\x20\0\0\0WEBPVP8L\x14\0\0\0\x2f\x0f\xc0\x07\0\0\0\0\0\0\0\0");
static const struct picture webp_extended =
	PICTURE("image/webp", "RIFF\x20\0\0\0WEBPVP8X\x0a\0\0\0\x10\0\0\0\x0f\0\0\x1f\0\0");

static struct answer put_as(const struct client *who, const char *type, const struct picture *p)
{
	return send_request(who, "PUT", "/v1/me/avatar", type, p->data, p->len);
}

/* Sets the user's own avatar; returns its hash. */
static const char *set_avatar(const struct client *who, const struct picture *p)
{
	return json_str(expect_status(put_as(who, p->type, p), 200).json, "avatar");
}

static char *avatar_of(const struct client *who) { return format("/v1/users/%s/avatar", who->name); }

static void expect_picture(struct answer a, const struct picture *p)
{
	ck_assert_str_eq(expect_header(a, "Content-Type"), p->type);
	ck_assert_uint_eq(a.len, p->len);
	ck_assert_mem_eq(a.body, p->data, p->len);
}

START_TEST(avatar_set_is_visible_to_every_user)
{
	struct client *ann = new_user(), *ben = new_user(), *cid = new_user();
	make_group(ann, ben);
	struct stream *bens = stream_from_now(ben), *anns = stream_from_now(ann), *cids = stream_from_now(cid);
	ck_assert(!json_has(expect_status(get(ann, "/v1/me"), 200).json, "avatar"));
	struct answer a = expect_status(put_as(ann, "image/png", &png), 200);
	const char *hash = json_str(a.json, "avatar");
	ck_assert_str_eq(json_str(a.json, "name"), ann->name);
	ck_assert_uint_eq(strlen(hash), 16);
	struct json_object *e = expect(bens, "user");
	ck_assert_str_eq(json_str(e, "name"), ann->name);
	ck_assert_str_eq(json_str(e, "avatar"), hash);
	ck_assert_int_eq(json_num(e, "rev"), json_num(a.json, "rev"));
	ck_assert_str_eq(json_str(expect(anns, "user"), "avatar"), hash);
	expect_quiet(cids);
	ck_assert_str_eq(json_str(expect_status(get(cid, "/v1/users/%s", ann->name), 200).json, "avatar"), hash);
	ck_assert_str_eq(
		json_str(expect_status(get(cid, "/v1/users?q=%s", ann->name), 200).json, "users.0.avatar"), hash);
	ck_assert_str_eq(json_str(expect_status(get(ann, "/v1/me"), 200).json, "avatar"), hash);
	ck_assert_str_eq(json_str(expect_status(get(ann, "/v1/sync"), 200).json, "me.avatar"), hash);

	a = expect_status(get(cid, "%s", avatar_of(ann)), 200);
	expect_picture(a, &png);
	ck_assert_str_eq(expect_header(a, "ETag"), format("\"%s\"", hash));
	ck_assert_str_eq(expect_header(a, "X-Content-Type-Options"), "nosniff");
	ck_assert_ptr_nonnull(strstr(expect_header(a, "Content-Security-Policy"), "default-src 'none'"));
	ck_assert_str_eq(expect_header(a, "Cache-Control"), "private, max-age=60");
	ck_assert_str_eq(expect_header(expect_status(get(cid, "%s?v=0123", avatar_of(ann)), 200), "Cache-Control"),
		"private, max-age=60");
	a = expect_status(get(cid, "%s?v=%s", avatar_of(ann), hash), 200);
	expect_picture(a, &png);
	ck_assert_str_eq(expect_header(a, "Cache-Control"), "private, max-age=86400, immutable");
	a = expect_status(send_request(cid, "HEAD", avatar_of(ann), NULL, NULL, 0), 200);
	ck_assert_str_eq(expect_header(a, "Content-Length"), format("%zu", png.len));
	ck_assert_uint_eq(a.len, 0);
	expect_problem(get(cid, "%s?size=small", avatar_of(ann)), 400, "bad_parameter");
}
END_TEST

START_TEST(avatar_with_matching_etag_is_not_modified)
{
	struct client *ann = new_user(), *ben = new_user();
	const char *hash = set_avatar(ann, &png);
	struct answer a =
		expect_status(get(with_header(ben, "If-None-Match: \"%s\"", hash), "%s", avatar_of(ann)), 304);
	ck_assert_uint_eq(a.len, 0);
	ck_assert_str_eq(expect_header(a, "ETag"), format("\"%s\"", hash));
	expect_status(
		get(with_header(ben, "If-None-Match: \"x\", W/\"%s\"", hash), "%s?v=%s", avatar_of(ann), hash), 304);
	expect_status(get(with_header(ben, "If-None-Match: *"), "%s", avatar_of(ann)), 304);
	expect_status(get(with_header(ben, "If-None-Match: \"\xff\""), "%s", avatar_of(ann)), 200);
	expect_status(get(with_header(ben, "If-None-Match: %s", hash), "%s", avatar_of(ann)), 200);
	const char *other = set_avatar(ann, &gif);
	ck_assert_str_ne(hash, other);
	a = expect_status(get(with_header(ben, "If-None-Match: \"%s\"", hash), "%s", avatar_of(ann)), 200);
	expect_picture(a, &gif);
	ck_assert_str_eq(expect_header(a, "ETag"), format("\"%s\"", other));
}
END_TEST

START_TEST(avatar_changes_are_one_event_after_resume)
{
	struct client *ann = new_user(), *ben = new_user();
	make_group(ann, ben);
	struct stream *s = stream_from_now(ben);
	const char *before = stream_cursor(s), *hash = set_avatar(ann, &png);
	ck_assert_str_eq(json_str(expect(s, "user"), "avatar"), hash);
	ck_assert_str_eq(set_avatar(ann, &png), hash); /* the same image again is no change */
	const char *other = set_avatar(ann, &gif);
	ck_assert_str_eq(json_str(expect(s, "user"), "avatar"), other);
	stream_cut(s);
	s = stream_since(ben, before);
	ck_assert_str_eq(json_str(expect(s, "user"), "avatar"), other);
	expect_quiet(s);
	expect_status(patch(ann, "/v1/me", "{'display_name':'Ann'}"), 200);
	ck_assert_str_eq(json_str(expect(s, "user"), "avatar"), other);
	PGconn *db = database_open(test_server());
	ck_assert_str_eq(sql(db, "select count(*) from postern.avatar where name = '%s'", ann->name), "1");
}
END_TEST

START_TEST(avatar_of_each_type_is_returned_unchanged)
{
	static const struct picture *const all[] = { &png, &gif, &old_gif, &jpeg, &webp_lossy, &webp_lossless,
		&webp_extended };
	struct client *ann = new_user(), *ben = new_user();
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		set_avatar(ann, all[i]);
		expect_picture(expect_status(get(ben, "%s", avatar_of(ann)), 200), all[i]);
		expect_status(put_as(ann, "application/octet-stream", all[i]), 200); /* without the right media type */
		expect_status(put_as(ann, "application/x-www-form-urlencoded", all[i]), 200);
	}
	expect_status(put_as(ann, "image/jpg", &jpeg), 200);
	expect_status(put_as(ann, "IMAGE/PNG; x=y", &png), 200);
}
END_TEST

START_TEST(avatar_that_is_not_an_image_is_refused)
{
	static const struct picture none[] = {
		PICTURE("image/svg+xml", "<svg xmlns=\"http://www.w3.org/2000/svg\"><script>alert(1)</script></svg>"),
		PICTURE("text/html", "<!doctype html><script>alert(1)</script>"), PICTURE("image/png", "not one"),
		PICTURE("application/json", "{}"), PICTURE("image/gif", "GIF89a\0\0\x10\0\0\0\0"),
		PICTURE("image/gif", "GIF89b\x10\0\x10\0\0\0\0"), PICTURE("image/bmp", "BM\x10\0\0\0\0\0\0\0"),
		PICTURE("image/jpeg",
			"\xff\xd8\xff\xda\0\x04\0\0\0\0\xff\xc0\0\x11\x08\0\x20\0\x10\x03"), /* data before a frame */
		PICTURE("image/jpeg",
			"\xff\xd8\xff\xe0\xff\xff"
			"abcdefgh"),
		PICTURE("image/jpeg", "\xff\xd8\xff\xe0\0\0\xff\xc0\0\x11\x08\0\x20\0\x10\x03"),
		PICTURE("image/webp", "RIFF\x20\0\0\0WEBPALPH\x14\0\0\0\x30\x01\0\x9d\x01\x2a\x10\0\x20\0\0\0"),
		PICTURE("image/webp", "RIFF\x20\0\0\0WAVEVP8 \x14\0\0\0\x30\x01\0\x9d\x01\x2a\x10\0\x20\0\0\0")
	};
	static const struct picture *const cut[] = { &png, &gif, &jpeg, &webp_lossy, &webp_lossless, &webp_extended };
	static const size_t needed[] = { 24, 10, 30, 30, 30, 30 };
	struct client *ann = new_user();
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		expect_problem(put_as(ann, none[i].type, &none[i]), 415, "unsupported_type");
	for (size_t i = 0; i < sizeof(cut) / sizeof(cut[0]); i++) /* every shorter prefix of an image */
		for (size_t len = needed[i] - 1; len > 0; len--) {
			struct picture p = { cut[i]->type, len, cut[i]->data };
			expect_problem(put_as(ann, p.type, &p), 415, "unsupported_type");
		}
	expect_problem(put_as(ann, "image/jpeg", &png), 415, "unsupported_type");
	expect_problem(put_as(ann, "image/svg+xml", &png), 415, "unsupported_type");
	expect_problem(put_as(ann, "image/pngx", &png), 415, "unsupported_type");
	expect_problem(put(ann, "/v1/me/avatar", NULL), 422, "missing_field");
	expect_problem(
		send_request(ann, "PUT", "/v1/me/avatar?x=y", "image/png", png.data, png.len), 400, "bad_parameter");
	struct picture wide = PICTURE("image/gif", "GIF89a\x01\x10\x01\0\0\0\0"),
		       high = PICTURE("image/gif", "GIF89a\x01\0\x01\x10\0\0\0");
	expect_problem(put_as(ann, "image/gif", &wide), 422, "out_of_range");
	expect_problem(put_as(ann, "image/gif", &high), 422, "out_of_range");
	struct picture largest = PICTURE("image/gif", "GIF89a\0\x10\0\x10\0\0\0");
	expect_problem(get(ann, "%s", avatar_of(ann)), 404, "not_found");
	expect_status(put_as(ann, "image/gif", &largest), 200);
}
END_TEST

START_TEST(avatar_over_256_kib_is_refused)
{
	const char *const flags[] = { "--body-max", "1M", NULL };
	struct server *roomy = server_join(test_server(), flags);
	struct client *ann = new_user();
	struct picture big = { "image/gif", 256 * 1024 + 1, NULL };
	char *data = on_teardown(free, malloc(big.len));
	for (size_t i = 0; i < big.len; i++)
		data[i] = (char)(i * 7 + i / 251);
	memcpy(data, gif.data, gif.len);
	big.data = data;
	expect_problem(put_as(ann, "image/gif", &big), 413, "body_too_large");
	expect_problem(put_as(on_server(ann, roomy), "image/gif", &big), 413, "body_too_large");
	big.len--;
	set_avatar(ann, &big);
	expect_picture(expect_status(get(ann, "%s", avatar_of(ann)), 200), &big);
	server_stop(roomy);
}
END_TEST

START_TEST(avatar_accepts_cookie_and_ticket)
{
	struct client *ann = new_user(), *ben = new_user();
	const struct client *here = with_header(anonymous(), "Origin: %s", server_url(test_server()));
	struct answer in =
		expect_status(post(here, "/v1/session", "{'name':'%s','password':'" PASSWORD "'}", ann->name), 201);
	struct client *page = with_header(anonymous(), "Cookie: postern_session=%s", json_str(in.json, "token"));
	expect_problem(put_as(page, "image/png", &png), 403, "origin_required");
	expect_problem(
		put_as(with_header(page, "Origin: http://elsewhere.example"), "image/png", &png), 403, "bad_origin");
	expect_problem(del(page, "/v1/me/avatar"), 403, "origin_required");
	expect_problem(get(page, "%s", avatar_of(ann)), 404, "not_found");
	expect_status(put_as(with_header(page, "Sec-Fetch-Site: same-origin"), "image/png", &png), 200);
	expect_picture(expect_status(get(page, "%s", avatar_of(ann)), 200), &png);
	const char *ticket = json_str(expect_status(post(ben, "/v1/stream-tickets", NULL), 201).json, "ticket");
	expect_picture(expect_status(get(anonymous(), "%s?ticket=%s", avatar_of(ann), ticket), 200), &png);
	expect_problem(get(anonymous(), "%s?ticket=%s", avatar_of(ann), ticket), 401, "unauthorized");
	expect_picture(expect_status(get(anonymous(), "%s?access_token=%s", avatar_of(ann), ben->token), 200), &png);
	expect_problem(get(anonymous(), "%s", avatar_of(ann)), 401, "unauthorized");
	expect_problem(put_as(anonymous(), "image/png", &png), 401, "unauthorized");
	expect_problem(send_request(anonymous(), "PUT", format("/v1/me/avatar?access_token=%s", ben->token),
			       "image/png", png.data, png.len),
		401, "unauthorized");
	expect_problem(del(anonymous(), "/v1/me/avatar"), 401, "unauthorized");
}
END_TEST

static const char *without_id(struct answer a)
{
	return format("%.*s", (int)(strstr(a.body, "\"request_id\"") - a.body), a.body);
}

START_TEST(avatar_missing_and_user_missing_answers_are_identical)
{
	struct client *ann = new_user(), *ben = new_user();
	struct answer none = expect_problem(get(ben, "%s", avatar_of(ann)), 404, "not_found");
	ck_assert_str_eq(without_id(none),
		without_id(expect_problem(get(ben, "/v1/users/nobody-by-that-name/avatar"), 404, "not_found")));
	ck_assert_str_eq(without_id(none),
		without_id(expect_problem(get(ben, "/v1/users/%%D0%%B1%%27/avatar"), 404, "not_found")));
	expect_status(get(ben, "/v1/users/%s", ann->name), 200);
}
END_TEST

START_TEST(avatar_deleted_by_its_user_is_gone)
{
	struct client *ann = new_user(), *ben = new_user();
	make_group(ann, ben);
	expect_status(del(ann, "/v1/me/avatar"), 204);
	const char *hash = set_avatar(ann, &png);
	struct stream *s = stream_from_now(ben);
	expect_status(del(ann, "/v1/me/avatar"), 204);
	struct json_object *e = expect(s, "user");
	ck_assert_str_eq(json_str(e, "name"), ann->name);
	ck_assert(!json_has(e, "avatar"));
	expect_problem(get(ben, "%s?v=%s", avatar_of(ann), hash), 404, "not_found");
	expect_problem(get(with_header(ben, "If-None-Match: \"%s\"", hash), "%s", avatar_of(ann)), 404, "not_found");
	expect_status(del(ann, "/v1/me/avatar"), 204);
	expect_quiet(s);
	PGconn *db = database_open(test_server());
	ck_assert_str_eq(sql(db, "select count(*) from postern.avatar where name = '%s'", ann->name), "0");
	ck_assert_str_eq(set_avatar(ann, &png), hash);
	ck_assert_str_eq(json_str(expect(s, "user"), "avatar"), hash);
}
END_TEST

START_TEST(avatar_deleted_by_administrator_is_gone)
{
	struct client *ann = new_user(), *ben = new_user(), *root = user("avatar.root");
	PGconn *db = database_open(test_server());
	server_command(test_server(), NULL, "user", "promote", root->name);
	make_group(ann, ben);
	set_avatar(ann, &png);
	struct stream *s = stream_from_now(ben);
	char *path = format("/v1/admin/users/%s/avatar", ann->name);
	expect_problem(del(ben, "%s", path), 403, "forbidden");
	expect_problem(del(ann, "%s", path), 403, "forbidden");
	expect_problem(del(root, "/v1/admin/users/nobody-by-that-name/avatar"), 404, "not_found");
	expect_quiet(s);
	expect_status(del(root, "%s", path), 204);
	ck_assert(!json_has(expect(s, "user"), "avatar"));
	expect_problem(get(ben, "%s", avatar_of(ann)), 404, "not_found");
	expect_status(del(root, "%s", path), 204);
	expect_quiet(s);
	ck_assert_str_eq(
		sql(db,
			"select string_agg(actor || ' ' || act, ', ') from postern.admin_audit where target = '%s' "
			"and act = 'avatar_removed'",
			ann->name),
		format("%s avatar_removed", root->name));
}
END_TEST

START_TEST(avatar_is_deleted_with_the_account)
{
	struct client *ann = new_user(), *ben = new_user();
	PGconn *db = database_open(test_server());
	make_group(ann, ben);
	set_avatar(ann, &png);
	struct stream *s = stream_from_now(ben);
	expect_status(del(ann, "/v1/me"), 204);
	struct json_object *e = expect(s, "user");
	ck_assert_str_eq(json_str(e, "state"), "deleted");
	ck_assert(!json_has(e, "avatar"));
	ck_assert(!json_has(expect_status(get(ben, "/v1/users/%s", ann->name), 200).json, "avatar"));
	expect_problem(get(ben, "%s", avatar_of(ann)), 404, "not_found");
	ck_assert_str_eq(sql(db, "select count(*) from postern.avatar where name = '%s'", ann->name), "0");
}
END_TEST

START_TEST(avatar_set_during_account_deletion_is_refused)
{
	struct client *ann = new_user();
	PGconn *db = database_open(test_server());
	expect_status(get(ann, "/v1/me"), 200); /* the worker knows the token from here on */
	sql(db, "begin; select pg_advisory_xact_lock(5788050871298354032)");
	struct wire *deletion = wire_open(test_server()), *upload = wire_open(test_server());
	wire_send(deletion, "DELETE /v1/me HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", ann->token);
	await_waiting(db, 1);
	wire_send(upload,
		"PUT /v1/me/avatar HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: %zu\r\n\r\n",
		ann->token, png.len);
	wire_bytes(upload, png.data, png.len);
	await_waiting(db, 2);
	sql(db, "commit");
	expect_status(wire_answer(deletion), 204);
	expect_problem(wire_answer(upload), 401, "unauthorized");
	ck_assert_str_eq(sql(db, "select count(*) from postern.avatar where name = '%s'", ann->name), "0");
}
END_TEST

START_TEST(avatar_changes_are_rate_limited)
{
	const char *const flags[] = { "--rate-actions", "6", NULL };
	struct server *node = server_join(test_server(), flags);
	struct client *ann = on_server(new_user(), node);
	expect_problem(put_as(ann, "image/gif", &png), 415, "unsupported_type"); /* a refused image doesn't count */
	expect_status(put_as(ann, "image/png", &png), 200);
	ck_assert_ptr_nonnull(
		answer_header(expect_problem(put_as(ann, "image/gif", &gif), 429, "rate_limited"), "Retry-After"));
	expect_problem(del(ann, "/v1/me/avatar"), 429, "rate_limited");
	expect_picture(expect_status(get(ann, "%s", avatar_of(ann)), 200), &png);
	server_stop(node);
}
END_TEST

START_TEST(avatar_is_part_of_the_export)
{
	struct client *ann = new_user();
	ck_assert_ptr_null(strstr(expect_status(get(ann, "/v1/me/export"), 200).body, "avatar"));
	const char *hash = set_avatar(ann, &gif);
	struct answer a = expect_status(get(ann, "/v1/me/export"), 200);
	const char *line = strstr(a.body, "{\"kind\":\"avatar\"");
	ck_assert_msg(line != NULL, "%s", a.body);
	struct json_object *o = json_path_parse(line, strcspn(line, "\n"));
	ck_assert_ptr_nonnull(o);
	ck_assert_str_eq(json_str(o, "data.hash"), hash);
	ck_assert_str_eq(json_str(o, "data.type"), "image/gif");
	ck_assert_str_eq(json_str(o, "data.data"), "R0lGODlhEAAgAIAAAA==");
	json_object_put(o);
	ck_assert_str_eq(strstr(a.body, "{\"kind\":\"end\""),
		"{\"kind\":\"end\",\"lines\":3}\n"); /* the profile, the avatar, the token */
}
END_TEST

int main(void)
{
	const TTest *const tests[] = { avatar_set_is_visible_to_every_user, avatar_with_matching_etag_is_not_modified,
		avatar_changes_are_one_event_after_resume, avatar_of_each_type_is_returned_unchanged,
		avatar_that_is_not_an_image_is_refused, avatar_over_256_kib_is_refused,
		avatar_accepts_cookie_and_ticket, avatar_missing_and_user_missing_answers_are_identical,
		avatar_deleted_by_its_user_is_gone, avatar_deleted_by_administrator_is_gone,
		avatar_changes_are_rate_limited, avatar_is_part_of_the_export,
		avatar_set_during_account_deletion_is_refused, avatar_is_deleted_with_the_account, NULL };
	return suite_run("avatar", tests, NULL);
}
