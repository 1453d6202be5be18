/* SPDX-License-Identifier: MIT
 * Lists that come in pages from the functions behind the routes: a line each, for people, or as JSON, an object a line.
 */
#ifndef CLI_LISTING_H
#define CLI_LISTING_H

#include <json.h>
#include <stdbool.h>

struct database;

struct listing {
	const char *sql;                      /* the call; $1 is the cursor, $2 param */
	const char *param;                    /* NULL: it takes none */
	const char *array;                    /* the member of the page that the list is in */
	unsigned most;                        /* 0: all of it */
	void (*print)(struct json_object *o); /* a line; NULL: as JSON */
};

/* Prints it. Returns 0, or says why not and returns the exit status. */
int listing_print(struct database *d, const struct listing *l);

/* What a call with one parameter (NULL: none) gives as its body; json_object_put() it. NULL: refused, which was said; a
 * 404 as `absent`. */
struct json_object *listing_call(struct database *d, const char *sql, const char *param, const char *absent);

void listing_print_json(struct json_object *o);
/* A text in a column of that many characters, negative: to the right; 0: the last of its line, of which 100 characters
 * are shown. Control characters become question marks: what users wrote must not steer the terminal. */
void listing_text(const char *text, int width);
void listing_cell(struct json_object *o, const char *name, int width); /* a member; "-" when it is absent */
/* A member, a number or an object too; NULL: absent. */
struct json_object *listing_get(struct json_object *o, const char *name);

#endif
