/* SPDX-License-Identifier: MIT
 * Keys and JSON Web Tokens for tests. In a file of its own, because the headers of rhonabwy and json-c conflict. */
#ifndef LIB_JWT_H
#define LIB_JWT_H

/* Makes keys with the kids hs, rs, es and ed, one for each algorithm. Called once. */
void jwt_make_keys(void);
/* Writes a JWKS with these kids (NULL ends them). Only hs includes its secret. Replaces the file atomically. */
void jwt_write_keys(const char *path, const char *const kids[]);
/* Signs claims (JSON) with the key of that kid and its algorithm. kid NULL: key hs, without a kid header. free() the
 * result. */
char *jwt_sign(const char *kid, const char *claims);
/* Signs with HS256 and the public key of rs as the secret, with kid rs. free() the result. */
char *jwt_confuse(const char *claims);
/* Makes a token with alg none. free() the result. */
char *jwt_unsigned(const char *claims);

#endif
