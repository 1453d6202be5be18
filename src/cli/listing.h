/* SPDX-License-Identifier: MIT
 * Lists from the SQL functions of the API, page by page: one line for each item, as text or as a JSON object. */
#ifndef CLI_LISTING_H
#define CLI_LISTING_H

#include <json.h>
#include <stdbool.h>

struct database;

struct listing {
	const char *sql;                      /* the call; $1 is the cursor, $2 param */
	const char *param;                    /* NULL: it takes none */
	const char *array;                    /* the page's member that contains the list */
	unsigned most;                        /* 0: all */
	void (*print)(struct json_object *o); /* prints one item; NULL: as JSON */
};

/* Prints it. Returns 0, or prints the reason and returns the exit status. */
int listing_print(struct database *d, const struct listing *l);

/* Returns the body of a call with one parameter (NULL: none), which the caller puts with json_object_put(). NULL:
 * refused, and the reason was printed; for a 404 that is `absent`. */
struct json_object *listing_call(struct database *d, const char *sql, const char *param, const char *absent);

void listing_print_json(struct json_object *o);
/* Prints a text in a column of that many characters; negative: right-aligned; 0: the last column, truncated to 100
 * characters. Control characters become question marks, since users' texts must not control the terminal. */
void listing_text(const char *text, int width);
void listing_cell(struct json_object *o, const char *name, int width); /* prints a member; "-" when it is absent */
/* Returns a member of any type; NULL: absent. */
struct json_object *listing_get(struct json_object *o, const char *name);

#endif
