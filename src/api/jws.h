/* SPDX-License-Identifier: MIT
 * Signatures of JSON Web Tokens (RFC 7515), by the keys of a JWKS file (RFC 7517): HS256, RS256, ES256, EdDSA. The key
 * decides which algorithm is right, never the token; keys and certificates in a token's header are not looked at. */
#ifndef API_JWS_H
#define API_JWS_H

#include <stdbool.h>

struct jws_keys;

struct jws_keys *jws_keys_new(const char *path); /* path NULL: no keys; it is borrowed */
/* Another file, or none; jws_keys_reload() reads it. */
void jws_keys_set_path(struct jws_keys *k, const char *path);
void jws_keys_free(struct jws_keys *k);
/* Reads the file if it has changed, or always; whether there are other keys now. One that can't be read leaves them as
 * they were, and is logged. */
bool jws_keys_reload(struct jws_keys *k, bool always);

/* The claims of a token that is signed by one of the keys, JSON, to be freed; NULL: it isn't, and *ret_why is a
 * sentence. */
char *jws_open(struct jws_keys *k, const char *token, const char **ret_why);

#endif
