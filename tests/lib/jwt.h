/* SPDX-License-Identifier: MIT
 * Keys and JSON Web Tokens for tests. rhonabwy's header can't stand beside json-c's: hence a file of its own. */
#ifndef LIB_JWT_H
#define LIB_JWT_H

/* Keys for each algorithm, of the kids hs, rs, es, ed. Made once. */
void jwt_make_keys(void);
/* Writes a JWKS of those kids (NULL ends them), without what is secret but for hs. Replaces the file at once. */
void jwt_write_keys(const char *path, const char *const kids[]);
/* A token of those claims (JSON), signed with the key of that kid by what it is for; kid NULL: hs, but not named.
 * free() it. */
char *jwt_sign(const char *kid, const char *claims);
/* Signed with HS256 and the public key of rs as the secret, naming rs. */
char *jwt_confuse(const char *claims);
/* With alg none. */
char *jwt_unsigned(const char *claims);

#endif
