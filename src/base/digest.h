/* SPDX-License-Identifier: MIT
 * SHA-256 (FIPS 180-4) of a stream of bytes, for checksums that other programs can check as well. Not for secrets: see
 * secret.h. */
#ifndef BASE_DIGEST_H
#define BASE_DIGEST_H

#include <stddef.h>

#include <sodium.h>

enum { DIGEST_HEX = 64 };

struct digest {
	crypto_hash_sha256_state state;
};

void digest_init(struct digest *d);
void digest_add(struct digest *d, const void *data, size_t len);
/* Lower-case hexadecimal digits and a NUL; d has to be initialised again afterwards. */
void digest_hex(struct digest *d, char out[DIGEST_HEX + 1]);

#endif
