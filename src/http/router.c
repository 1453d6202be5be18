/* SPDX-License-Identifier: MIT
 * Finds the row of the route table for a request, and checks and decodes its path variables and parameters. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "http/internal.h"

#define SEGMENTS_MAX 12

/* Splits path (decoded is its copy) at its slashes. Returns the number of segments; -1: an invalid escape, or too many
 * segments. */
static int split_path(char *path, const char *segments[SEGMENTS_MAX])
{
	int n = 0;
	for (char *at = path; at != NULL;) {
		char *slash = strchr(at, '/');
		if (slash != NULL)
			*slash++ = '\0';
		if (n == SEGMENTS_MAX || !utf8_percent_decode(at, false))
			return -1;
		segments[n++] = at;
		at = slash;
	}
	return n;
}

static bool is_cursor(const char *name)
{
	static const char *const names[] = { "since", "cursor", "before", "after", "around" };
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}

/* Returns PROBLEM_NONE, or the problem. */
static enum problem parse_query(struct request *req, char *query)
{
	for (char *at = query, *next; at != NULL; at = next) {
		next = strchr(at, '&');
		if (next != NULL)
			*next++ = '\0';
		if (*at == '\0')
			continue;
		char *value = strchr(at, '=');
		if (value != NULL)
			*value++ = '\0';
		else
			value = at + strlen(at);
		if (req->params_count == PARAMS_MAX || !utf8_percent_decode(at, true))
			return PROBLEM_BAD_PARAMETER;
		if (!utf8_percent_decode(value, true))
			return is_cursor(at) ? PROBLEM_BAD_CURSOR : PROBLEM_BAD_PARAMETER;
		req->params[req->params_count].name = at;
		req->params[req->params_count++].value = value;
	}
	return PROBLEM_NONE;
}

/* Returns true, and fills vars, if the segments match pattern ("/v1/chats/{chat}"). */
static bool matches(const char *pattern, const char *const segments[], int n, const char *vars[REQUEST_VARS_MAX])
{
	unsigned vars_count = 0;
	int i = 0;
	for (const char *at = pattern + 1;; i++) {
		size_t len = strcspn(at, "/");
		if (i == n)
			return false;
		if (*at == '{') {
			if (*segments[i] == '\0')
				return false;
			vars[vars_count++] = segments[i];
		} else if (strlen(segments[i]) != len || memcmp(segments[i], at, len) != 0) {
			return false;
		}
		if (at[len] == '\0')
			return i + 1 == n;
		at += len + 1;
	}
}

static void allow_add(char *allow, size_t size, const char *method)
{
	size_t len = strlen(allow);
	snprintf(allow + len, size - len, "%s%s", len ? ", " : "", method);
	if (strcmp(method, "GET") == 0)
		allow_add(allow, size, "HEAD");
}

enum problem router_find(struct request *req, const struct route *routes, char *allow, size_t size)
{
	const char *segments[SEGMENTS_MAX];
	*allow = '\0';
	req->decoded = arena_copy(&req->arena, req->target, strlen(req->target));
	if (req->decoded[0] != '/')
		return PROBLEM_BAD_PATH;
	char *query = strchr(req->decoded, '?');
	if (query != NULL)
		*query++ = '\0';
	int n = split_path(req->decoded + 1, segments);
	if (n < 0)
		return PROBLEM_BAD_PATH;
	for (const struct route *r = routes; r->path != NULL; r++) {
		if (!matches(r->path, segments, n, req->vars))
			continue;
		if (strcmp(r->method, req->method) == 0) {
			req->route = r;
			return parse_query(req, query);
		}
		allow_add(allow, size, r->method);
	}
	return *allow != '\0' ? PROBLEM_METHOD_NOT_ALLOWED : PROBLEM_NOT_FOUND;
}
