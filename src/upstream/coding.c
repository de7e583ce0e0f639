/* Content codings: which ones curl can undo. */
#include "upstream_internal.h"

enum { CODING_IDENTITY = 1, CODING_ZLIB = 2, CODING_BROTLI = 4, CODING_ZSTD = 8 };

static const struct {
    rm_slice name;
    unsigned coding;
} names[] = {
    {{"gzip", 4}, CODING_ZLIB},     {{"deflate", 7}, CODING_ZLIB},      {{"br", 2}, CODING_BROTLI},
    {{"zstd", 4}, CODING_ZSTD},     {{"identity", 8}, CODING_IDENTITY}, {{"x-gzip", 6}, CODING_ZLIB},
    {{"none", 4}, CODING_IDENTITY}, /* not registered; curl passes it through */
};

unsigned rm_upstream__codings(void)
{
    int features = curl_version_info(CURLVERSION_NOW)->features;

    return CODING_IDENTITY | (features & CURL_VERSION_LIBZ ? CODING_ZLIB : 0U) |
           (features & CURL_VERSION_BROTLI ? CODING_BROTLI : 0U) | (features & CURL_VERSION_ZSTD ? CODING_ZSTD : 0U);
}

static unsigned coding_of(rm_slice name)
{
    for (size_t i = 0; i < RM_COUNT(names); i++) {
        if (rm_slice_eq_nocase(name, names[i].name))
            return names[i].coding;
    }
    return 0;
}

bool rm_upstream__codings_known(unsigned codings, rm_slice list, bool *encoded)
{
    rm_slice part;

    while (rm_slice_split(&list, ',', &part)) {
        rm_slice name;
        if (!rm_slice_split(&part, ';', &name))
            continue;
        name = rm_slice_trim(name);
        if (name.len == 0)
            continue;
        unsigned coding = coding_of(name) & codings;
        if (coding == 0)
            return false;
        if (coding != CODING_IDENTITY)
            *encoded = true;
    }
    return true;
}
