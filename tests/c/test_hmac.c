/* tc_hmac: the vectors of RFC 4231. tests/test_patterns.py compares with hashlib. */
#include "check.h"
#include "faults.h"
#include "tc_hmac.h"

static void gives(const uint8_t *key, uint64_t n_key, const char *message, uint64_t n, const char *digits) {
    tc_hmac_key made;
    uint8_t out[TC_SHA256_BYTES];
    char text[2 * TC_SHA256_BYTES + 1];
    tc_hmac_key_init(&made, key, n_key);
    tc_hmac(&made, (const uint8_t *)message, n, out);
    for (uint32_t i = 0; i < TC_SHA256_BYTES; i++) snprintf(text + 2 * i, 3, "%02x", out[i]);
    CHECK(strcmp(text, digits) == 0);
}

int main(void) {
    uint8_t key[131];
    memset(key, 0x0b, 20);
    gives(key, 20, "Hi There", 8, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    gives((const uint8_t *)"Jefe", 4, "what do ya want for nothing?", 28,
          "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    char message[50];
    memset(key, 0xaa, sizeof key);
    memset(message, 0xdd, sizeof message);
    gives(key, 20, message, 50, "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe");
    gives(key, 131, "Test Using Larger Than Block-Size Key - Hash Key First", 54,
          "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    gives(NULL, 0, NULL, 0, "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
    CHECK(faults_n_held() == 0);
    return 0;
}
