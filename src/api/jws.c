/* SPDX-License-Identifier: MIT
 * See jws.h. rhonabwy uses jansson, whose header can't be included beside json-c's, so jwt.c reads the claims. */
#include "api/jws.h"

#include <errno.h>
#include <rhonabwy.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/broker.h"
#include "base/log.h"
#include "base/mem.h"

#define FILE_MAX ((size_t)1 << 20)

struct jws_keys {
	const char *path;
	int broker;
	jwks_t *keys;
	struct timespec modified;
	off_t size;
};

/* Returns the algorithm of a key; R_JWA_ALG_UNKNOWN if it is too short (RSA below 2048 bits) or can't be used. */
static jwa_alg alg_of(jwk_t *key)
{
	unsigned bits = 0;
	int type = r_jwk_key_type(key, &bits, R_FLAG_IGNORE_REMOTE);
	if (type & R_KEY_TYPE_HMAC)
		return bits >= 256 ? R_JWA_ALG_HS256 : R_JWA_ALG_UNKNOWN;
	if (type & R_KEY_TYPE_RSA)
		return bits >= 2048 ? R_JWA_ALG_RS256 : R_JWA_ALG_UNKNOWN;
	if (type & R_KEY_TYPE_EDDSA)
		return R_JWA_ALG_EDDSA;
	return (type & R_KEY_TYPE_EC) && bits == 256 ? R_JWA_ALG_ES256 : R_JWA_ALG_UNKNOWN;
}

static char *read_file(int fd)
{
	FILE *f = mem_checked(fdopen(fd, "re"));
	char *text = mem_alloc(FILE_MAX + 1);
	size_t n = fread(text, 1, FILE_MAX + 1, f);
	fclose(f);
	if (n == 0 || n > FILE_MAX) {
		free(text);
		return NULL;
	}
	text[n] = '\0';
	return text;
}

/* Returns the number of keys that can verify signatures. */
static unsigned useful(jwks_t *keys)
{
	unsigned n = 0;
	for (size_t i = 0; i < r_jwks_size(keys); i++) {
		jwk_t *key = r_jwks_get_at(keys, i);
		n += alg_of(key) != R_JWA_ALG_UNKNOWN;
		r_jwk_free(key);
	}
	return n;
}

bool jws_keys_reload(struct jws_keys *k, bool always)
{
	struct stat st;
	if (k->path == NULL)
		return false;
	if (stat(k->path, &st) != 0) {
		if (always)
			log_error("jwt_keys %s: %s", k->path, strerror(errno));
		return false;
	}
	if (!always && st.st_size == k->size && st.st_mtim.tv_sec == k->modified.tv_sec &&
		st.st_mtim.tv_nsec == k->modified.tv_nsec)
		return false;
	k->size = st.st_size;
	k->modified = st.st_mtim;
	jwks_t *keys = NULL;
	int fd = broker_ask(k->broker, BROKER_JWT_KEYS);
	if (fd < 0) {
		log_error("jwt_keys %s: %s", k->path, strerror(errno));
		if (errno == ETIMEDOUT) /* the supervisor is busy, such as with the database: at the next check again */
			k->size = -1;
		return false;
	}
	char *text = read_file(fd);
	unsigned n = 0;
	bool taken = false;
	if (text != NULL && r_jwks_init(&keys) == RHN_OK && r_jwks_import_from_json_str(keys, text) == RHN_OK &&
		(n = useful(keys)) > 0) {
		r_jwks_free(k->keys);
		k->keys = keys;
		keys = NULL;
		taken = true;
		log_info("%u keys for JWTs", n);
	} else {
		log_error("jwt_keys %s: no JWKS with a key for HS256, RS256, ES256 or EdDSA", k->path);
	}
	if (keys != NULL)
		r_jwks_free(keys);
	if (text != NULL)
		explicit_bzero(text, strlen(text));
	free(text);
	return taken;
}

struct jws_keys *jws_keys_new(const char *path, int broker)
{
	struct jws_keys *k = mem_zeroed(1, sizeof(*k));
	*k = (struct jws_keys) { .path = path, .broker = broker };
	jws_keys_reload(k, true);
	return k;
}

void jws_keys_set_path(struct jws_keys *k, const char *path)
{
	k->path = path;
	if (path != NULL || k->keys == NULL)
		return;
	r_jwks_free(k->keys);
	k->keys = NULL;
}

void jws_keys_free(struct jws_keys *k)
{
	if (k->keys != NULL)
		r_jwks_free(k->keys);
	free(k);
}

static bool signs(jwt_t *jwt, jwk_t *key)
{
	const char *use = r_jwk_get_property_str(key, "use");
	return alg_of(key) != R_JWA_ALG_UNKNOWN && alg_of(key) == r_jwt_get_sign_alg(jwt) &&
		(use == NULL || strcmp(use, "sig") == 0) &&
		r_jwt_verify_signature(jwt, key, R_FLAG_IGNORE_REMOTE) == RHN_OK;
}

/* Verifies by the key that the token names; by any key if it names none. */
static bool is_signed(struct jws_keys *k, jwt_t *jwt)
{
	const char *kid = r_jwt_get_header_str_value(jwt, "kid");
	bool good = false;
	for (size_t i = 0; k->keys != NULL && !good && i < r_jwks_size(k->keys); i++) {
		jwk_t *key = r_jwks_get_at(k->keys, i);
		const char *id = r_jwk_get_property_str(key, "kid");
		if (kid == NULL || (id != NULL && strcmp(id, kid) == 0))
			good = signs(jwt, key);
		r_jwk_free(key);
	}
	return good;
}

char *jws_open(struct jws_keys *k, const char *token, const char **ret_why)
{
	jwt_t *jwt = NULL;
	char *claims = NULL, *copy = NULL;
	*ret_why = "The JWT can't be read.";
	if (r_jwt_init(&jwt) == RHN_OK &&
		r_jwt_advanced_parse(jwt, token, R_PARSE_NONE, R_FLAG_IGNORE_REMOTE) == RHN_OK) {
		*ret_why = "The JWT isn't signed by a key that is known here.";
		claims = is_signed(k, jwt) ? r_jwt_get_full_claims_str(jwt) : NULL;
	}
	if (claims != NULL)
		copy = mem_strdup(claims);
	r_free(claims);
	r_jwt_free(jwt);
	return copy;
}
