/* SPDX-License-Identifier: MIT
 * Tokens and passwords, over libsodium. Call secret_setup() once a process.
 * Sources: BLAKE2b (RFC 7693) for tokens, which are random and need no salt; Argon2id (RFC 9106) for passwords. */
#ifndef BASE_SECRET_H
#define BASE_SECRET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SECRET_TOKEN_LEN 46 /* "pt_" and 43 characters of unpadded base64url: 256 random bits */
#define SECRET_HASH_LEN 32  /* bytes: BLAKE2b-256 of the token's text */
#define SECRET_HASH_HEX 64
#define PASSWORD_HASH_MAX 128 /* crypto_pwhash_STRBYTES: an encoded Argon2id string with its NUL */

void secret_setup(void); /* exits when the system has no randomness */
void secret_token(char out[SECRET_TOKEN_LEN + 1]);
void secret_hash(const char *token, size_t len, unsigned char out[SECRET_HASH_LEN]);
void secret_hash_hex(
	const char *token, size_t len, char out[SECRET_HASH_HEX + 1]); /* the form that the database stores */
void secret_random_name(
	char *out, size_t len); /* len characters of [a-z2-7] and a NUL: for keys, ids of tickets, demo passwords */
uint64_t secret_keyed_hash(const void *data,
	size_t len); /* SipHash-2-4 with a key made by secret_setup(), for hash tables whose keys clients choose */

/* Decodes unpadded base64url (RFC 4648, 5) in its canonical form. Returns the number of bytes written to out; -1: it is
 * something else, or too long. */
int secret_from_base64url(const char *text, size_t len, unsigned char *out, size_t size);

/* Both take about 50 ms and 64 MiB: never call them on the loop. false: out of memory, or a wrong password. */
bool password_hash(const char *password, size_t len, char out[PASSWORD_HASH_MAX]);
bool password_verify(const char *password, size_t len, const char *hash);

#endif
