/* Any bytes as a weights file: refused with one line, or each array that is known can be read to its last element. */
#include "files.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_whole(const rm_embed__tensor *tensor, rm_slice bytes)
{
    static float out[256];
    uint64_t elements = 1, from = (uint64_t)((const char *)tensor->data - bytes.ptr);
    RM_CHECK(tensor->dimensions <= RM_EMBED__DIMENSIONS_MAX);
    for (uint32_t i = 0; i < tensor->dimensions; i++)
        elements *= tensor->shape[i];
    RM_CHECK(from <= bytes.len && elements <= bytes.len - from);
    for (uint64_t at = 0; at < elements; at += RM_COUNT(out))
        rm_embed__tensor_floats(tensor, at, elements - at < RM_COUNT(out) ? elements - at : RM_COUNT(out), out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"a", "b", "c", "embeddings.LayerNorm.bias"};
    rm_slice bytes = rm_slice_make((const char *)data, size);
    rm_embed__tensors *tensors = NULL;
    char memory[1024];
    rm_buf why = rm_buf_over(memory, sizeof(memory));
    if (rm_embed__tensors_parse("fuzz", bytes, &tensors, &why) != RM_OK) {
        RM_CHECK(!tensors && why.len > 0 && !memchr(why.ptr, '\n', why.len));
        return 0;
    }
    RM_CHECK(why.len == 0);
    for (size_t i = 0; i < RM_COUNT(names); i++) {
        const rm_embed__tensor *tensor = rm_embed__tensors_find(tensors, rm_slice_cstr(names[i]));
        if (tensor)
            read_whole(tensor, bytes);
    }
    rm_embed__tensors_close(tensors);
    return 0;
}
