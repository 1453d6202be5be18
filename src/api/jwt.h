/* SPDX-License-Identifier: MIT
 * JSON Web Tokens (RFC 7519) as bearer tokens. */
#ifndef API_JWT_H
#define API_JWT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/secret.h"

struct conf;
struct jws_keys;

#define JWT_MAX 4096 /* bytes of a token */

struct jwt_claims {
	char name[33];      /* sub */
	uint64_t expires_s; /* exp, seconds since 1970 */
	uint64_t issued_s;  /* iat, likewise; 0: none */
	/* A hash over iss, sub and jti, or else over what is signed: the same for all spellings of the token. */
	char identity[SECRET_HASH_HEX + 1];
};

bool jwt_is_one(const char *token); /* true if it has the form of a JWT; Postern's tokens have no dots */

/* Verifies the signature, exp, nbf, sub, and iss and aud if they are configured, by their settings. Returns NULL and
 * fills *ret if the token is valid; otherwise a constant sentence. */
const char *jwt_verify(
	struct jws_keys *k, const struct conf *conf, const char *token, uint64_t now_s, struct jwt_claims *ret);

#endif
