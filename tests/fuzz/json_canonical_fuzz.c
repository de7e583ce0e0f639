/* Any bytes: what parses and has a canonical form has one that is JSON and its own canonical form. */
#include <stdint.h>

#include "remora/json.h"

#define OUT_MAX RM_MIB

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static rm_status canonical_of(rm_slice text, rm_buf *out)
{
    rm_arena arena;
    const rm_json *root;
    rm_arena_init(&arena, NULL, 16 * RM_MIB);
    rm_status status = rm_json_parse(&arena, text, &root);
    if (status == RM_OK) {
        status = rm_json_canonical(root, NULL, NULL, out);
        (void)rm_json_i64(root, 0);
        (void)rm_json_double(root, 0);
    }
    rm_arena_deinit(&arena);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rm_buf once, twice;
    rm_buf_init(&once, OUT_MAX);
    rm_buf_init(&twice, OUT_MAX);
    if (canonical_of(rm_slice_make((const char *)data, size), &once) == RM_OK) {
        RM_CHECK(canonical_of(rm_buf_slice(&once), &twice) == RM_OK);
        RM_CHECK(rm_slice_eq(rm_buf_slice(&once), rm_buf_slice(&twice)));
    } else {
        RM_CHECK(once.len == 0);
    }
    rm_buf_deinit(&once);
    rm_buf_deinit(&twice);
    return 0;
}
