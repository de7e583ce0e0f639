/* XXH3, inlined: keys are short and a call through the library costs as much as the hash. */
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "remora/base.h"

rm_key128 rm_hash128(rm_slice bytes)
{
    XXH128_hash_t hash = XXH3_128bits(bytes.ptr, bytes.len);
    return (rm_key128){.hi = hash.high64, .lo = hash.low64};
}

uint64_t rm_hash64(rm_slice bytes)
{
    return XXH3_64bits(bytes.ptr, bytes.len);
}

static void format_half(uint64_t value, char *text)
{
    for (int i = 15; i >= 0; i--, value >>= 4)
        text[i] = "0123456789abcdef"[value & 15];
}

void rm_key128_format(rm_key128 key, char *text)
{
    format_half(key.hi, text);
    format_half(key.lo, text + 16);
    text[32] = '\0';
}

static bool parse_half(const char *text, uint64_t *ret_value)
{
    uint64_t value = 0;
    for (int i = 0; i < 16; i++) {
        char c = text[i];
        unsigned digit;
        if (c >= '0' && c <= '9')
            digit = (unsigned)(c - '0');
        else if (c >= 'a' && c <= 'f')
            digit = (unsigned)(c - 'a') + 10;
        else
            return false;
        value = value << 4 | digit;
    }
    *ret_value = value;
    return true;
}

rm_status rm_key128_parse(rm_slice text, rm_key128 *ret_key)
{
    rm_key128 key;
    if (text.len != 32 || !parse_half(text.ptr, &key.hi) || !parse_half(text.ptr + 16, &key.lo))
        return RM_EPARSE;
    *ret_key = key;
    return RM_OK;
}
