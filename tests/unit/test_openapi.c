/* SPDX-License-Identifier: MIT
 * Compares the route table with openapi.json, both ways: routes, their variables, parameters, bodies, authentication,
 * and the codes of problems. tests/api checks the behaviour of the server. */
#include <check.h>
#include <ctype.h>
#include <json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "api/api.h"
#include "api/call.h"
#include "base/embedded.h"
#include "base/problem.h"

static struct json_object *doc;

#define assert_operation(condition, what, ...) ck_assert_msg(condition, "%s %s: " what, r->method, r->path, __VA_ARGS__)

/* ---- reading the document ---- */

/* Returns the target of a reference; any other object itself. */
static struct json_object *resolve(struct json_object *o)
{
	struct json_object *ref;
	while (json_object_is_type(o, json_type_object) && json_object_object_get_ex(o, "$ref", &ref)) {
		const char *path = json_object_get_string(ref);
		ck_assert_msg(path[0] == '#' && json_pointer_get(doc, path + 1, &o) == 0,
			"the reference %s has no target", path);
	}
	return o;
}

/* Returns a member; NULL if it or o is absent. */
static struct json_object *get(struct json_object *o, const char *name)
{
	struct json_object *v = NULL;
	if (json_object_is_type(o, json_type_object))
		json_object_object_get_ex(o, name, &v);
	return resolve(v);
}

static const char *text(struct json_object *o, const char *name)
{
	struct json_object *v = get(o, name);
	return json_object_is_type(v, json_type_string) ? json_object_get_string(v) : "";
}

static bool has_string(struct json_object *array, const char *s)
{
	for (size_t i = 0; json_object_is_type(array, json_type_array) && i < json_object_array_length(array); i++) {
		const char *v = json_object_get_string(json_object_array_get_idx(array, i));
		if (v != NULL && strcmp(v, s) == 0)
			return true;
	}
	return false;
}

static struct json_object *operation(const struct route *r)
{
	char method[16] = "";
	for (size_t i = 0; r->method[i] != '\0' && i + 1 < sizeof(method); i++)
		method[i] = (char)tolower((unsigned char)r->method[i]);
	return get(get(get(doc, "paths"), r->path), method);
}

static struct json_object *in_list(struct json_object *list, const char *in, const char *name)
{
	for (size_t i = 0; json_object_is_type(list, json_type_array) && i < json_object_array_length(list); i++) {
		struct json_object *p = resolve(json_object_array_get_idx(list, i));
		if (strcmp(text(p, "in"), in) == 0 && strcmp(text(p, "name"), name) == 0)
			return p;
	}
	return NULL;
}

/* Finds a parameter of the operation or of its path. */
static struct json_object *parameter(const struct route *r, const char *in, const char *name)
{
	struct json_object *p = in_list(get(operation(r), "parameters"), in, name);
	return p ? p : in_list(get(get(get(doc, "paths"), r->path), "parameters"), in, name);
}

static const struct field *field(const struct route *r, enum field_source from, const char *name)
{
	const struct call *call = r->spec;
	for (const struct field *f = call->fields; f->from != FROM_END; f++)
		if (f->from == from && strcmp(f->name, name) == 0)
			return f;
	return NULL;
}

static struct json_object *body_schema(const struct route *r)
{
	return get(get(get(get(operation(r), "requestBody"), "content"), "application/json"), "schema");
}

static unsigned route_count(void)
{
	unsigned n = 0;
	while (api_routes[n].path != NULL)
		n++;
	return n;
}

/* ---- each route ---- */

START_TEST(route_has_an_operation)
{
	const struct route *r = &api_routes[_i];
	struct json_object *op = operation(r), *responses = get(op, "responses");
	assert_operation(op != NULL, "%s", "has no operation");
	assert_operation(*text(op, "operationId") != '\0' && *text(op, "summary") != '\0', "%s",
		"operationId or summary is missing");
	for (const struct route *other = api_routes; other < r; other++)
		assert_operation(strcmp(text(operation(other), "operationId"), text(op, "operationId")) != 0,
			"operationId %s is also that of %s", text(op, "operationId"), other->path);
	bool succeeds = false;
	assert_operation(json_object_is_type(responses, json_type_object), "%s", "has no responses");
	json_object_object_foreach(responses, status, response)
	{
		struct json_object *content = get(resolve(response), "content");
		assert_operation(*text(resolve(response), "description") != '\0', "%s has no description", status);
		succeeds |= *status == '2';
		if (*status == '2' || *status == '3')
			continue;
		assert_operation(content != NULL && json_object_object_length(content) == 1 &&
				get(content, "application/problem+json") != NULL,
			"%s isn't a problem document", status);
	}
	assert_operation(succeeds, "%s", "has no 2xx response");
	assert_operation(get(responses, "default") != NULL, "%s", "has no default response");
}
END_TEST

START_TEST(route_path_variables_are_parameters)
{
	const struct route *r = &api_routes[_i];
	for (const char *at = r->path; (at = strchr(at, '{')) != NULL; at++) {
		char name[32];
		snprintf(name, sizeof(name), "%.*s", (int)strcspn(at + 1, "}"), at + 1);
		struct json_object *p = parameter(r, "path", name);
		assert_operation(p != NULL && json_object_get_boolean(get(p, "required")),
			"{%s} isn't a required parameter", name);
	}
}
END_TEST

START_TEST(route_authentication_matches_security)
{
	const struct route *r = &api_routes[_i];
	struct json_object *op = operation(r), *security = get(op, "security");
	bool anybody = security != NULL && json_object_array_length(security) == 0, ticket = false;
	for (size_t i = 0; security != NULL && i < json_object_array_length(security); i++) {
		struct json_object *one = json_object_array_get_idx(security, i);
		anybody |= json_object_object_length(one) == 0;
		ticket |= get(one, "ticket") != NULL;
	}
	assert_operation(
		anybody == !!(r->flags & ROUTE_PUBLIC), "security says that it is %spublic", anybody ? "" : "not ");
	assert_operation(
		(r->scope == SCOPE_NONE) == !!(r->flags & ROUTE_PUBLIC), "%s", "scope and ROUTE_PUBLIC disagree");
	assert_operation((r->scope == SCOPE_ADMIN) == (strncmp(r->path, "/v1/admin/", 10) == 0), "%s",
		"the scope admin is for /v1/admin/");
	assert_operation(
		ticket == !!(r->flags & ROUTE_TICKET), "security %s a ticket", ticket ? "allows" : "doesn't allow");
	assert_operation(anybody || (get(get(op, "responses"), "401") && get(get(op, "responses"), "503")), "%s",
		"401 or 503 is missing");
}
END_TEST

static void check_range(const struct route *r, const struct field *f, struct json_object *schema)
{
	assert_operation(json_object_get_int64(get(schema, "minimum")) == f->min && get(schema, "minimum") != NULL,
		"%s: the minimum must be %lld", f->name, (long long)f->min);
	if (f->max < INT64_MAX - 1)
		assert_operation(json_object_get_int64(get(schema, "maximum")) == f->max,
			"%s: the maximum must be %lld", f->name, (long long)f->max);
	if (f->preset != NULL)
		assert_operation(json_object_get_int64(get(schema, "default")) == atoll(f->preset),
			"%s: the default must be %s", f->name, f->preset);
}

static void check_field(const struct route *r, const struct field *f, struct json_object *schema)
{
	assert_operation(schema != NULL, "%s is missing", f->name);
	if (f->type == TYPE_INT)
		check_range(r, f, schema);
	for (unsigned i = 0; f->one_of != NULL && f->one_of[i] != NULL; i++)
		assert_operation(has_string(get(schema, "enum"), f->one_of[i]), "the enum of %s lacks %s", f->name,
			f->one_of[i]);
	if (f->from == FROM_BODY)
		assert_operation(has_string(get(body_schema(r), "required"), f->name) == f->required,
			"%s is%s required", f->name, f->required ? "" : "n't");
}

START_TEST(route_parameters_and_body_match)
{
	const struct route *r = &api_routes[_i];
	struct json_object *op = operation(r), *body = get(op, "requestBody"), *params = get(op, "parameters"),
			   *properties = get(body_schema(r), "properties");
	assert_operation((body != NULL) == !!(r->flags & (ROUTE_BODY | ROUTE_BULK)), "the route %s a body",
		body ? "doesn't take" : "takes");
	if (r->handle != call_handle)
		return;
	const struct call *call = r->spec;
	for (const struct field *f = call->fields; f->from != FROM_END; f++) {
		if (f->from == FROM_QUERY || f->from == FROM_BODY)
			check_field(r, f,
				f->from == FROM_BODY ? get(properties, f->name)
						     : get(parameter(r, "query", f->name), "schema"));
		if (f->from == FROM_IF_MATCH)
			assert_operation(parameter(r, "header", "If-Match") != NULL, "%s", "If-Match is missing");
	}
	for (size_t i = 0; params != NULL && i < json_object_array_length(params); i++) {
		struct json_object *p = resolve(json_object_array_get_idx(params, i));
		assert_operation(strcmp(text(p, "in"), "query") != 0 || field(r, FROM_QUERY, text(p, "name")) != NULL,
			"the route takes no parameter %s", text(p, "name"));
	}
	if (properties == NULL)
		return;
	json_object_object_foreach(properties, name, schema)
	{
		assert_operation(
			schema != NULL && field(r, FROM_BODY, name) != NULL, "the route takes no field %s", name);
	}
}
END_TEST

/* ---- the document ---- */

static bool is_asset(const char *path)
{
	for (const struct embedded *f = embedded_assets; f->name != NULL; f++)
		if (path[0] == '/' && strcmp(f->name, path + 1) == 0)
			return true;
	return false;
}

static bool is_route(const char *method, const char *path)
{
	for (const struct route *r = api_routes; r->path != NULL; r++)
		if (strcasecmp(r->method, method) == 0 && strcmp(r->path, path) == 0)
			return true;
	return strcasecmp(method, "GET") == 0 && is_asset(path);
}

START_TEST(operation_has_a_route)
{
	json_object_object_foreach(get(doc, "paths"), path, item)
	{
		json_object_object_foreach(item, method, op)
		{
			ck_assert_msg(op != NULL && (strcmp(method, "parameters") == 0 || is_route(method, path)),
				"%s %s isn't a route", method, path);
		}
	}
}
END_TEST

/* Asserts that the code is in the enumeration and described with its status. */
START_TEST(problem_codes_are_described)
{
	struct json_object *codes = get(get(get(get(doc, "components"), "schemas"), "ProblemCode"), "enum");
	for (enum problem p = PROBLEM_NONE + 1; p < PROBLEM_COUNT; p++) {
		char status[8], name[64];
		bool named = false;
		snprintf(status, sizeof(status), "%d", problem_status(p));
		snprintf(name, sizeof(name), "`%s`", problem_code(p));
		ck_assert_msg(has_string(codes, problem_code(p)), "the enum ProblemCode lacks %s", problem_code(p));
		for (const struct route *r = api_routes; r->path != NULL; r++) {
			struct json_object *responses = get(operation(r), "responses"),
					   *response = get(responses, status);
			named |= strstr(text(response ? response : get(responses, "default"), "description"), name) !=
				NULL;
		}
		ck_assert_msg(named, "no response describes %s with its status %s", problem_code(p), status);
	}
	ck_assert_uint_eq(json_object_array_length(codes), PROBLEM_COUNT - 1);
}
END_TEST

static void check_references(struct json_object *o)
{
	resolve(o);
	for (size_t i = 0; json_object_is_type(o, json_type_array) && i < json_object_array_length(o); i++)
		check_references(json_object_array_get_idx(o, i));
	if (!json_object_is_type(o, json_type_object))
		return;
	json_object_object_foreach(o, name, value)
	{
		ck_assert_ptr_nonnull(name);
		check_references(value);
	}
}

START_TEST(references_resolve)
{
	ck_assert_int_eq(strncmp(text(doc, "openapi"), "3.1.", 4), 0);
	check_references(doc);
}
END_TEST

static struct json_object *load(void)
{
	for (const struct embedded *f = embedded_assets; f->name != NULL; f++)
		if (strcmp(f->name, "openapi.json") == 0)
			return json_tokener_parse((const char *)f->data);
	return NULL;
}

int main(void)
{
	Suite *suite = suite_create("openapi");
	TCase *tc = tcase_create("openapi");
	int n = (int)route_count();
	doc = load();
	if (doc == NULL) {
		puts("Bail out! openapi.json isn't embedded, or isn't JSON");
		return EXIT_FAILURE;
	}
	tcase_add_loop_test(tc, route_has_an_operation, 0, n);
	tcase_add_loop_test(tc, route_path_variables_are_parameters, 0, n);
	tcase_add_loop_test(tc, route_authentication_matches_security, 0, n);
	tcase_add_loop_test(tc, route_parameters_and_body_match, 0, n);
	tcase_add_test(tc, operation_has_a_route);
	tcase_add_test(tc, problem_codes_are_described);
	tcase_add_test(tc, references_resolve);
	suite_add_tcase(suite, tc);
	SRunner *runner = srunner_create(suite);
	srunner_set_tap(runner, "-");
	srunner_run_all(runner, CK_SILENT);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	json_object_put(doc);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
