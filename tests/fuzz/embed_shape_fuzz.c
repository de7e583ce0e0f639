/* Any bytes as a model's small JSON files, one behind the other with a NUL between: refused with one line, or a shape
 * that is within every bound. */
#include "files.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const rm_model_shape *shape)
{
    RM_CHECK(shape->layers >= 1 && shape->layers <= RM_EMBED_LAYERS_MAX);
    RM_CHECK(shape->heads >= 1 && shape->hidden >= 1 && shape->hidden <= RM_EMBED_HIDDEN_MAX);
    RM_CHECK(shape->hidden % shape->heads == 0 && shape->intermediate >= 1);
    RM_CHECK(shape->vocabulary >= 1 && shape->vocabulary <= RM_EMBED_VOCAB_TOKENS_MAX);
    RM_CHECK(shape->positions >= 2 && shape->positions <= RM_EMBED_POSITIONS_MAX);
    RM_CHECK(shape->tokens_max >= 2 && shape->tokens_max <= shape->positions);
    RM_CHECK(shape->tokens_max <= RM_EMBED_BATCH_TOKENS_MAX && shape->norm_epsilon > 0);
    RM_CHECK(shape->pooling == RM_POOLING_MEAN || shape->pooling == RM_POOLING_CLS);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rm_slice rest = rm_slice_make((const char *)data, size), texts[RM_EMBED__SHAPE_FILES] = {0};
    rm_model_shape shape;
    char memory[1024];
    rm_buf why = rm_buf_over(memory, sizeof(memory));
    for (int i = 0; i < RM_EMBED__SHAPE_FILES && rm_slice_split(&rest, '\0', &texts[i]); i++) {
    }
    if (rm_embed__shape_parse("fuzz", texts, &shape, &why) == RM_OK) {
        RM_CHECK(why.len == 0);
        check(&shape);
    } else {
        RM_CHECK(why.len > 0 && !memchr(why.ptr, '\n', why.len));
    }
    return 0;
}
