/* OpenAI's embeddings, for models that run inside Remora. */
#include <math.h>

#include "provider_internal.h"

/* ---- request ----------------------------------------------------------------------------------------------------- */

static rm_status refuse(const char *why, const char **ret_why)
{
    *ret_why = why;
    return RM_EINVAL;
}

static rm_status read_text(const rm_json *value, rm_slice *ret_text, const char **ret_why)
{
    rm_slice text = rm_json_string(value);
    if (rm_json_typeof(value) != RM_JSON_STRING)
        return refuse("`input` must be a text or an array of texts: this model does not take token ids (in LangChain: "
                      "check_embedding_ctx_length=False).",
                      ret_why);
    if (text.len == 0)
        return refuse("`input` must not hold an empty text.", ret_why);
    *ret_text = text;
    return RM_OK;
}

static rm_status read_texts(const rm_json *input, rm_arena *arena, rm_embeddings *embeddings, const char **ret_why)
{
    bool many = rm_json_typeof(input) == RM_JSON_ARRAY;
    size_t count = many ? rm_json_count(input) : 1, i = 0;
    if (!rm_provider__given(input))
        return refuse("`input` is missing: give a text or an array of texts.", ret_why);
    if (count == 0)
        return refuse("`input` must not be empty.", ret_why);
    if (count > RM_EMBED_INPUTS_MAX)
        return refuse("`input` holds more than 2048 texts.", ret_why);
    rm_slice *texts = rm_arena_alloc(arena, count * sizeof(*texts));
    if (!texts)
        return RM_ENOMEM;
    embeddings->texts = texts;
    embeddings->count = (uint32_t)count;
    if (!many)
        return read_text(input, texts, ret_why);
    for (rm_json_iter it = rm_json_iterate(input); rm_json_iter_next(&it);) {
        rm_status status = read_text(it.value, &texts[i++], ret_why);
        if (status != RM_OK)
            return status;
    }
    return RM_OK;
}

rm_status rm_provider_read_embeddings(const rm_request_info *info, uint32_t hidden, rm_arena *arena,
                                      rm_embeddings *ret_embeddings, const char **ret_why)
{
    const rm_json *format = rm_json_get(info->root, "encoding_format");
    const rm_json *dimensions = rm_json_get(info->root, "dimensions");
    rm_embeddings read = {.hidden = hidden, .dimensions = hidden};
    if (rm_provider__given(format)) {
        read.base64 = rm_provider__is(rm_json_string(format), "base64");
        if (!read.base64 && !rm_provider__is(rm_json_string(format), "float"))
            return refuse("`encoding_format` must be \"float\" or \"base64\".", ret_why);
    }
    if (rm_provider__given(dimensions)) {
        int64_t wanted = rm_json_i64(dimensions, -1);
        if (wanted < 1 || wanted > (int64_t)hidden) {
            rm_slice why = rm_arena_printf(arena, "`dimensions` must be a whole number from 1 to %u.", hidden);
            return why.ptr ? refuse(why.ptr, ret_why) : RM_ENOMEM;
        }
        read.dimensions = (uint32_t)wanted;
    }
    rm_status status = read_texts(rm_json_get(info->root, "input"), arena, &read, ret_why);
    if (status == RM_OK)
        *ret_embeddings = read;
    return status;
}

/* ---- answer ------------------------------------------------------------------------------------------------------ */

static void shorten(float *vector, uint32_t dimensions)
{
    double sum = 0;
    for (uint32_t i = 0; i < dimensions; i++)
        sum += (double)vector[i] * (double)vector[i];
    if (sum <= 0)
        return;
    float factor = (float)(1 / sqrt(sum));
    for (uint32_t i = 0; i < dimensions; i++)
        vector[i] *= factor;
}

static void put_base64(const float *vector, uint32_t count, rm_buf *out)
{
    rm_buf_append_char(out, '"');
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    rm_buf_append_base64(out, vector, count * sizeof(*vector));
#else
#error "base64 of floats is little-endian: swap their bytes here"
#endif
    rm_buf_append_char(out, '"');
}

rm_status rm_provider_write_embeddings(const rm_embeddings *embeddings, rm_slice model, float *vectors, uint64_t tokens,
                                       rm_buf *out)
{
    rm_buf_append_cstr(out, "{\"object\":\"list\",\"data\":[");
    for (uint32_t i = 0; i < embeddings->count && out->status == RM_OK; i++) {
        float *vector = vectors + (size_t)i * embeddings->hidden;
        if (embeddings->dimensions < embeddings->hidden)
            shorten(vector, embeddings->dimensions);
        rm_buf_append_cstr(out, i ? ",{\"object\":\"embedding\",\"index\":" : "{\"object\":\"embedding\",\"index\":");
        rm_buf_append_u64(out, i);
        rm_buf_append_cstr(out, ",\"embedding\":");
        if (embeddings->base64)
            put_base64(vector, embeddings->dimensions, out);
        else
            rm_json_append_floats(vector, embeddings->dimensions, out);
        rm_buf_append_char(out, '}');
    }
    rm_buf_append_cstr(out, "],\"model\":");
    rm_provider__put_string(model, out);
    rm_buf_append_cstr(out, ",\"usage\":{\"prompt_tokens\":");
    rm_buf_append_u64(out, tokens);
    rm_buf_append_cstr(out, ",\"total_tokens\":");
    rm_buf_append_u64(out, tokens);
    return rm_buf_append_cstr(out, "}}");
}
