/* SPDX-License-Identifier: MIT
 * See listing.h. */
#include "cli/listing.h"

#include <stdlib.h>
#include <string.h>

#include "cli/command.h"
#include "cli/database.h"
#include "pg/sync.h"

#define LAST_MAX 100

struct json_object *listing_get(struct json_object *o, const char *name)
{
	struct json_object *v = NULL;
	return json_object_object_get_ex(o, name, &v) ? v : NULL;
}

static const char *plain(struct json_object *o)
{
	return json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
}

void listing_print_json(struct json_object *o) { puts(plain(o)); }

static bool begins_character(char c) { return ((unsigned char)c & 0xc0) != 0x80; }

static int characters(const char *text)
{
	int n = 0;
	for (; *text != '\0'; text++)
		n += begins_character(*text);
	return n;
}

void listing_text(const char *text, int width)
{
	int n = characters(text), most = width != 0 ? n : LAST_MAX; /* a name in a column isn't truncated */
	if (width < 0)
		printf("%*s", n < -width ? -width - n : 0, "");
	for (const char *c = text; *c != '\0' && (most -= begins_character(*c)) >= 0; c++) {
		bool c1 = *c == '\xc2' && (unsigned char)c[1] < 0xa0;
		putchar((unsigned char)*c < 0x20 || *c == 0x7f || c1 ? '?' : *c);
		c += c1;
	}
	if (width == 0)
		puts(n > LAST_MAX ? "\xe2\x80\xa6" : "");
	else
		printf("%*s", n < width ? width - n + 2 : 2, "");
}

void listing_cell(struct json_object *o, const char *name, int width)
{
	struct json_object *v = listing_get(o, name);
	listing_text(v == NULL                                     ? "-"
			: json_object_is_type(v, json_type_string) ? json_object_get_string(v)
								   : plain(v),
		width);
}

struct json_object *listing_call(struct database *d, const char *sql, const char *param, const char *absent)
{
	struct sync_rows *r = param != NULL ? sync_call(d->db, sql, param, SYNC_END) : sync_call(d->db, sql, SYNC_END);
	if (r == NULL && sync_problem(d->db) == PROBLEM_NOT_FOUND && absent != NULL)
		command_failed("%s", absent);
	else if (r == NULL)
		database_failed(d);
	struct json_object *o = r != NULL ? json_tokener_parse(sync_text(r, 0, 0)) : NULL;
	if (r != NULL && o == NULL)
		o = json_object_new_object(); /* an empty answer */
	sync_rows_free(r);
	return o;
}

/* Prints up to *left items of a page. Returns false after the last page. */
static bool print_page(const struct listing *l, struct json_object *page, unsigned *left)
{
	struct json_object *array = listing_get(page, l->array);
	for (size_t i = 0; array != NULL && i < json_object_array_length(array) && *left > 0; i++, --*left) {
		struct json_object *o = json_object_array_get_idx(array, i);
		if (l->print != NULL)
			l->print(o);
		else
			listing_print_json(o);
	}
	return *left > 0 && listing_get(page, "next") != NULL;
}

int listing_print(struct database *d, const struct listing *l)
{
	char cursor[64] = "";
	unsigned left = l->most > 0 ? l->most : UINT32_MAX;
	bool more = true;
	while (more) {
		const char *from = *cursor != '\0' ? cursor : NULL;
		struct sync_rows *r = l->param != NULL ? sync_call(d->db, l->sql, from, l->param, SYNC_END)
						       : sync_call(d->db, l->sql, from, SYNC_END);
		if (r == NULL)
			return database_failed(d);
		struct json_object *page = json_tokener_parse(sync_text(r, 0, 0));
		more = print_page(l, page, &left);
		if (more)
			snprintf(cursor, sizeof(cursor), "%s", json_object_get_string(listing_get(page, "next")));
		json_object_put(page);
		sync_rows_free(r);
	}
	return 0;
}
