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

#define BASE64_STEP (48 * RM_KIB) /* bytes at once: a multiple of three, so that only the last piece is padded */

rm_status rm_buf_append_base64(rm_buf *buf, const void *ptr, size_t len)
{
    const unsigned char *from = ptr;
    while (len && buf->status == RM_OK) {
        size_t part = len < BASE64_STEP ? len : BASE64_STEP;
        /* The library ends what it writes with a NUL. */
        if (rm_buf_reserve(buf, (part + 2) / 3 * 4 + 1) != RM_OK)
            break;
        buf->len += (size_t)EVP_EncodeBlock((unsigned char *)buf->ptr + buf->len, from, (int)part);
        from += part;
        len -= part;
    }
    return buf->status;
}
