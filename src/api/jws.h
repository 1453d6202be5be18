/* SPDX-License-Identifier: MIT
 * Signatures of JSON Web Tokens (RFC 7515), by the keys of a JWKS file (RFC 7517): HS256, RS256, ES256, EdDSA. The key
 * determines the algorithm, never the token; keys and certificates in a token's header are ignored. */
#ifndef API_JWS_H
#define API_JWS_H

#include <stdbool.h>

struct jws_keys;

/* path is borrowed; NULL: no keys. Reads the file, which it gets from broker (base/broker.h). Freed by
 * jws_keys_free(). */
struct jws_keys *jws_keys_new(const char *path, int broker);
/* Sets another file, or none (NULL), for the next jws_keys_reload(). */
void jws_keys_set_path(struct jws_keys *k, const char *path);
void jws_keys_free(struct jws_keys *k);
/* Reads the file, unless it is unchanged and always is false. Returns true if the keys have changed. If the file can't
 * be read, logs why and keeps the keys. */
bool jws_keys_reload(struct jws_keys *k, bool always);

/* Returns the claims of a token that one of the keys has signed, as JSON, which the caller frees. Otherwise returns
 * NULL, and *ret_why is a constant sentence. */
char *jws_open(struct jws_keys *k, const char *token, const char **ret_why);

#endif
