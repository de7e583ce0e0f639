/* The few things that need a real crypto library. */
#include <limits.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include "remora/base.h"

rm_status rm_hmac_sha256(rm_slice key, rm_slice message, uint8_t ret_mac[RM_HMAC_BYTES])
{
    uint8_t mac[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    if (key.len > INT_MAX)
        return RM_EINTERNAL;
    /* A NULL key means "the previous one" to this library. */
    const void *key_ptr = key.len ? key.ptr : "";
    const void *message_ptr = message.len ? message.ptr : "";
    if (!HMAC(EVP_sha256(), key_ptr, (int)key.len, message_ptr, message.len, mac, &len) || len != RM_HMAC_BYTES)
        return RM_EINTERNAL;
    memcpy(ret_mac, mac, RM_HMAC_BYTES);
    return RM_OK;
}

rm_status rm_random_bytes(void *ptr, size_t len)
{
    unsigned char *at = ptr;
    while (len) {
        int part = len > INT_MAX ? INT_MAX : (int)len;
        if (RAND_bytes(at, part) != 1)
            return RM_EINTERNAL;
        at += part;
        len -= (size_t)part;
    }
    return RM_OK;
}
