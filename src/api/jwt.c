/* SPDX-License-Identifier: MIT
 * See jwt.h. */
#include "api/jwt.h"

#include <json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/call.h"
#include "api/jws.h"
#include "base/mem.h"
#include "conf/conf.h"

#define SKEW_S 30 /* how much the issuer's clock may be ahead */
#define TIME_MAX 1e11
#define HEADER_MAX 1024 /* bytes */
#define HEADER_DEPTH 4

bool jwt_is_one(const char *token)
{
	const char *dot = strchr(token, '.');
	return strncmp(token, "ey", 2) == 0 && dot != NULL && strchr(dot + 1, '.') != NULL;
}

static const char *text_of(struct json_object *claims, const char *name)
{
	struct json_object *v = NULL;
	return json_object_object_get_ex(claims, name, &v) && json_object_is_type(v, json_type_string)
		? json_object_get_string(v)
		: NULL;
}

/* Reads a claim that is a time; false: absent or invalid. */
static bool time_of(struct json_object *claims, const char *name, uint64_t *ret)
{
	struct json_object *v = NULL;
	if (!json_object_object_get_ex(claims, name, &v) ||
		(!json_object_is_type(v, json_type_int) && !json_object_is_type(v, json_type_double)))
		return false;
	double t = json_object_get_double(v);
	if (!(t >= 0 && t < TIME_MAX))
		return false;
	*ret = (uint64_t)t;
	return true;
}

static bool is_for(struct json_object *claims, const char *audience)
{
	struct json_object *v = NULL;
	if (!json_object_object_get_ex(claims, "aud", &v))
		return false;
	if (json_object_is_type(v, json_type_string))
		return strcmp(json_object_get_string(v), audience) == 0;
	for (size_t i = 0; json_object_is_type(v, json_type_array) && i < json_object_array_length(v); i++) {
		struct json_object *one = json_object_array_get_idx(v, i);
		if (json_object_is_type(one, json_type_string) && strcmp(json_object_get_string(one), audience) == 0)
			return true;
	}
	return false;
}

/* An ECDSA signature (r, s) has a second form (r, n - s), and anybody can make one of the other; so the signature isn't
 * part of the identity. jti is unique for its issuer (RFC 7519, 4.1.7). */
static void identify(const char *token, struct json_object *claims, struct jwt_claims *ret)
{
	struct json_object *iss = NULL, *sub = NULL, *jti = NULL, *id;
	if (!json_object_object_get_ex(claims, "jti", &jti) || !json_object_is_type(jti, json_type_string)) {
		secret_hash_hex(token, (size_t)(strrchr(token, '.') - token), ret->identity);
		return;
	}
	json_object_object_get_ex(claims, "iss", &iss);
	json_object_object_get_ex(claims, "sub", &sub);
	id = mem_checked(json_object_new_array());
	json_object_array_add(id, json_object_get(iss));
	json_object_array_add(id, json_object_get(sub));
	json_object_array_add(id, json_object_get(jti));
	const char *text = json_object_to_json_string_ext(id, JSON_C_TO_STRING_PLAIN);
	secret_hash_hex(text, strlen(text), ret->identity);
	json_object_put(id);
}

static const char *check(const struct conf *conf, struct json_object *claims, uint64_t now_s, struct jwt_claims *ret)
{
	uint64_t not_before = 0;
	const char *iss = text_of(claims, "iss"), *sub = text_of(claims, "sub");
	if (!time_of(claims, "exp", &ret->expires_s))
		return "The JWT has no exp.";
	if (ret->expires_s <= now_s)
		return "The JWT has expired.";
	if (conf->jwt_ttl_max > 0 && ret->expires_s > now_s + SKEW_S + conf->jwt_ttl_max)
		return "The JWT's exp is further ahead than this server accepts (jwt_ttl_max).";
	ret->issued_s = 0;
	if (json_object_object_get_ex(claims, "iat", NULL) && !time_of(claims, "iat", &ret->issued_s))
		return "The JWT's iat is no time.";
	if (json_object_object_get_ex(claims, "nbf", NULL) &&
		(!time_of(claims, "nbf", &not_before) || not_before > now_s + SKEW_S))
		return "The JWT isn't good yet.";
	if (conf->jwt_issuer != NULL && (iss == NULL || strcmp(iss, conf->jwt_issuer) != 0))
		return "The JWT is another issuer's.";
	if (conf->jwt_audience != NULL && !is_for(claims, conf->jwt_audience))
		return "The JWT is for somebody else.";
	if (sub == NULL || !call_is_name(sub))
		return "The JWT's sub is no user's name.";
	snprintf(ret->name, sizeof(ret->name), "%s", sub);
	return NULL;
}

/* Parses the header. Returns NULL if it isn't a JSON object. */
static struct json_object *parse_header(const unsigned char *text, int len)
{
	struct json_tokener *tokener = mem_checked(json_tokener_new_ex(HEADER_DEPTH));
	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT);
	struct json_object *header = json_tokener_parse_ex(tokener, (const char *)text, len);
	bool whole = json_tokener_get_error(tokener) == json_tokener_success &&
		json_tokener_get_parse_end(tokener) == (size_t)len;
	json_tokener_free(tokener);
	if (whole && json_object_is_type(header, json_type_object))
		return header;
	json_object_put(header);
	return NULL;
}

/* Checks what can be checked without a key, before jws_open() spends time on the token: a compressed payload would be
 * inflated before its signature is verified, and a token that can be respelled could be revoked in one spelling only.
 */
static const char *check_form(const char *token)
{
	unsigned char bytes[JWT_MAX];
	const char *part = token;
	struct json_object *header = NULL;
	for (int i = 0; i < 3; i++) {
		size_t len = strcspn(part, ".");
		int n = secret_from_base64url(part, len, bytes, i == 0 ? HEADER_MAX : sizeof(bytes));
		bool is_last = part[len] == '\0';
		if (n <= 0 || is_last != (i == 2) || (i == 0 && (header = parse_header(bytes, n)) == NULL)) {
			json_object_put(header);
			return "The JWT isn't three parts of unpadded base64url, the first one a JSON object.";
		}
		part += len + 1;
	}
	bool is_compressed = json_object_object_get_ex(header, "zip", NULL);
	bool has_extensions = json_object_object_get_ex(header, "crit", NULL);
	json_object_put(header);
	return is_compressed     ? "Compressed JWTs (zip) aren't accepted."
		: has_extensions ? "JWTs with critical extensions (crit) aren't accepted."
				 : NULL;
}

const char *jwt_verify(
	struct jws_keys *k, const struct conf *conf, const char *token, uint64_t now_s, struct jwt_claims *ret)
{
	const char *why = check_form(token);
	if (why != NULL)
		return why;
	char *text = jws_open(k, token, &why);
	if (text == NULL)
		return why;
	struct json_object *claims = json_tokener_parse(text);
	why = json_object_is_type(claims, json_type_object) ? check(conf, claims, now_s, ret)
							    : "The JWT can't be read.";
	if (why == NULL)
		identify(token, claims, ret);
	json_object_put(claims);
	free(text);
	return why;
}
