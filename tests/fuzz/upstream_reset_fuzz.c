/* What upstreams say about waiting and about codings: any bytes are read or refused, and a wait has its bound. */
#include "upstream_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rm_slice text = rm_slice_make((const char *)data, size);
    uint64_t wait_ms = 0;
    bool encoded = false;

    rm_status status = rm_upstream_parse_reset(text, 1700000000000ULL, &wait_ms);
    RM_CHECK(status == RM_OK || status == RM_EPARSE);
    RM_CHECK(wait_ms <= RM_TTL_MS_MAX);
    (void)rm_upstream__codings_known(rm_upstream__codings(), text, &encoded);
    return 0;
}
