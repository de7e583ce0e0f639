/* Any bytes as a cost map. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "remora/provider.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* One unlinked file for all inputs, reached by its descriptor's path. */
static int file(void)
{
    static int fd = -1;
    if (fd < 0) {
        char path[] = "/tmp/remora-prices-fuzz-XXXXXX";
        fd = mkstemp(path);
        RM_CHECK(fd >= 0);
        RM_CHECK(unlink(path) == 0);
    }
    return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64];
    rm_prices *prices;
    size_t skipped;
    rm_usage usage = {.input_tokens = 7, .cached_input_tokens = 3, .output_tokens = 9};
    RM_CHECK(ftruncate(file(), 0) == 0);
    RM_CHECK(pwrite(file(), data, size, 0) == (ssize_t)size);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", file());
    if (rm_prices_load(path, &prices, &skipped) != RM_OK)
        return 0;
    const rm_price *price = rm_prices_find(prices, RM_SLICE("openai/gpt-4o-2024-11-20"));
    static const char *const tiers[] = {NULL, "default", "flex", "balanced", "priority", "ultrafast"};
    for (size_t i = 0; price && i < 2 * RM_COUNT(tiers); i++) {
        usage.input_tokens = i < RM_COUNT(tiers) ? 7 : 1000000;
        RM_CHECK(!isnan(rm_price_cost(price, &usage, rm_slice_cstr(tiers[i % RM_COUNT(tiers)]))));
    }
    (void)rm_prices_find(prices, rm_slice_make((const char *)data, size));
    rm_prices_destroy(prices);
    return 0;
}
