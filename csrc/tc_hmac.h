/* tc_hmac: HMAC-SHA-256, for values that must not be readable but must still be equal where they were equal.
 *
 * A plain hash would not do: who knows SHA-256 tries all telephone numbers in
 * a minute. With a key nobody without it can, and with the same key two
 * services arrive at the same text.
 *
 * Source: FIPS 180-4 (SHA-256), RFC 2104 and FIPS 198-1 (HMAC), RFC 4231 (test vectors).
 */
#ifndef TC_HMAC_H
#define TC_HMAC_H

#include "tc_base.h"

#define TC_SHA256_BYTES 32u
#define TC_SHA256_BLOCK_BYTES 64u

/* A key made ready: both states after its block, so that a short message costs two blocks. */
typedef struct tc_hmac_key {
    uint32_t inner[8], outer[8];
} tc_hmac_key;

void tc_hmac_key_init(tc_hmac_key *key, const uint8_t *bytes, uint64_t n);
void tc_hmac(const tc_hmac_key *key, const uint8_t *message, uint64_t n, uint8_t out[TC_SHA256_BYTES]);

#endif
