/* SPDX-License-Identifier: MIT
 * See digest.h. */
#include "base/digest.h"

void digest_init(struct digest *d) { crypto_hash_sha256_init(&d->state); }

void digest_add(struct digest *d, const void *data, size_t len) { crypto_hash_sha256_update(&d->state, data, len); }

void digest_hex(struct digest *d, char out[DIGEST_HEX + 1])
{
	unsigned char hash[crypto_hash_sha256_BYTES];
	crypto_hash_sha256_final(&d->state, hash);
	sodium_bin2hex(out, DIGEST_HEX + 1, hash, sizeof(hash));
}
