/* SPDX-License-Identifier: MIT
 * See secret.h. */
#include "base/secret.h"

#include <sodium.h>
#include <string.h>

#include "base/log.h"

_Static_assert(crypto_pwhash_STRBYTES <= PASSWORD_HASH_MAX, "an encoded password hash must fit");
_Static_assert(crypto_shorthash_BYTES == sizeof(uint64_t), "SipHash gives 64 bits");

static unsigned char table_key[crypto_shorthash_KEYBYTES];

void secret_setup(void)
{
	if (sodium_init() < 0)
		fatal("can't initialise libsodium: no source of randomness");
	randombytes_buf(table_key, sizeof(table_key));
}

void secret_token(char out[SECRET_TOKEN_LEN + 1])
{
	unsigned char raw[32];
	randombytes_buf(raw, sizeof(raw));
	memcpy(out, "pt_", 3);
	sodium_bin2base64(
		out + 3, SECRET_TOKEN_LEN + 1 - 3, raw, sizeof(raw), sodium_base64_VARIANT_URLSAFE_NO_PADDING);
	sodium_memzero(raw, sizeof(raw));
}

void secret_hash(const char *token, size_t len, unsigned char out[SECRET_HASH_LEN])
{
	crypto_generichash(out, SECRET_HASH_LEN, (const unsigned char *)token, len, NULL, 0);
}

void secret_hash_hex(const char *token, size_t len, char out[SECRET_HASH_HEX + 1])
{
	unsigned char hash[SECRET_HASH_LEN];
	secret_hash(token, len, hash);
	sodium_bin2hex(out, SECRET_HASH_HEX + 1, hash, sizeof(hash));
}

void secret_random_name(char *out, size_t len)
{
	static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz234567";
	randombytes_buf(out, len);
	for (size_t i = 0; i < len; i++)
		out[i] = alphabet[(unsigned char)out[i] % 32];
	out[len] = '\0';
}

uint64_t secret_keyed_hash(const void *data, size_t len)
{
	uint64_t hash;
	crypto_shorthash((unsigned char *)&hash, data, len, table_key);
	return hash;
}

bool password_hash(const char *password, size_t len, char out[PASSWORD_HASH_MAX])
{
	memset(out, 0, PASSWORD_HASH_MAX);
	return crypto_pwhash_str(
		       out, password, len, crypto_pwhash_OPSLIMIT_INTERACTIVE, crypto_pwhash_MEMLIMIT_INTERACTIVE) == 0;
}

bool password_verify(const char *password, size_t len, const char *hash)
{
	char padded[PASSWORD_HASH_MAX] = { 0 };
	size_t n = strlen(hash);
	if (n >= sizeof(padded))
		return false;
	memcpy(padded, hash, n);
	return crypto_pwhash_str_verify(padded, password, len) == 0;
}

int secret_from_base64url(const char *text, size_t len, unsigned char *out, size_t size)
{
	size_t n = 0;
	const char *end = text;
	if (sodium_base642bin(out, size, text, len, NULL, &n, &end, sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0 ||
		end != text + len)
		return -1;
	return (int)n;
}
