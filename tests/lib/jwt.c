/* SPDX-License-Identifier: MIT
 * See jwt.h. */
#include "jwt.h"

#include <rhonabwy.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static struct key {
	const char *kid;
	int type;
	unsigned bits;
	jwa_alg alg;
	jwk_t *private, *public;
} keys[] = {
	{ "hs", R_KEY_TYPE_HMAC, 256, R_JWA_ALG_HS256, NULL, NULL },
	{ "rs", R_KEY_TYPE_RSA, 2048, R_JWA_ALG_RS256, NULL, NULL },
	{ "es", R_KEY_TYPE_EC, 256, R_JWA_ALG_ES256, NULL, NULL },
	{ "ed", R_KEY_TYPE_EDDSA, 256, R_JWA_ALG_EDDSA, NULL, NULL },
};
enum { KEYS = sizeof(keys) / sizeof(keys[0]) };

static void must(int rc)
{
	if (rc == RHN_OK)
		return;
	fprintf(stderr, "a key or token can't be made: %d\n", rc);
	abort();
}

static struct key *key_of(const char *kid)
{
	struct key *k = keys;
	while (strcmp(k->kid, kid) != 0)
		k++;
	return k;
}

void jwt_make_keys(void)
{
	static const unsigned char secret[] = "a secret of thirty-two bytes, or";
	for (struct key *k = keys; k < keys + KEYS; k++) {
		must(r_jwk_init(&k->private));
		must(r_jwk_init(&k->public));
		if (k->type != R_KEY_TYPE_HMAC) {
			must(r_jwk_generate_key_pair(k->private, k->public, k->type, k->bits, k->kid));
			continue;
		}
		must(r_jwk_import_from_symmetric_key(k->private, secret, 32));
		must(r_jwk_set_property_str(k->private, "kid", k->kid));
		r_jwk_free(k->public);
		k->public = r_jwk_copy(k->private);
	}
}

void jwt_write_keys(const char *path, const char *const kids[])
{
	char *temporary = NULL;
	if (asprintf(&temporary, "%s.new", path) < 0)
		abort();
	FILE *f = fopen(temporary, "w");
	fputs("{\"keys\":[", f);
	for (int i = 0; kids[i] != NULL; i++) {
		char *json = r_jwk_export_to_json_str(key_of(kids[i])->public, 0);
		fprintf(f, "%s%s", i > 0 ? "," : "", json);
		r_free(json);
	}
	fputs("]}\n", f);
	fclose(f);
	chmod(temporary, 0644);
	if (rename(temporary, path) != 0)
		abort();
	free(temporary);
}

static char *serialized(jwk_t *key, jwa_alg alg, const char *kid, const char *claims)
{
	jwt_t *jwt = NULL;
	must(r_jwt_init(&jwt));
	must(r_jwt_set_full_claims_json_str(jwt, claims));
	must(r_jwt_set_sign_alg(jwt, alg));
	if (kid != NULL)
		must(r_jwt_set_header_str_value(jwt, "kid", kid));
	char *made = key != NULL ? r_jwt_serialize_signed(jwt, key, R_FLAG_IGNORE_REMOTE)
				 : r_jwt_serialize_signed_unsecure(jwt, NULL, R_FLAG_IGNORE_REMOTE);
	if (made == NULL)
		abort();
	char *copy = strdup(made);
	r_free(made);
	r_jwt_free(jwt);
	return copy;
}

char *jwt_sign(const char *kid, const char *claims)
{
	struct key *k = key_of(kid != NULL ? kid : "hs");
	jwk_t *key = r_jwk_copy(k->private);
	if (kid == NULL)
		must(r_jwk_delete_property_str(key, "kid"));
	char *made = serialized(key, k->alg, kid, claims);
	r_jwk_free(key);
	return made;
}

char *jwt_confuse(const char *claims)
{
	jwk_t *key = NULL;
	unsigned char pem[4096];
	size_t len = sizeof(pem);
	must(r_jwk_init(&key));
	must(r_jwk_export_to_pem_der(key_of("rs")->public, R_FORMAT_PEM, pem, &len, R_FLAG_IGNORE_REMOTE));
	must(r_jwk_import_from_symmetric_key(key, pem, len));
	must(r_jwk_set_property_str(key, "kid", "rs"));
	char *made = serialized(key, R_JWA_ALG_HS256, "rs", claims);
	r_jwk_free(key);
	return made;
}

char *jwt_unsigned(const char *claims) { return serialized(NULL, R_JWA_ALG_NONE, NULL, claims); }
