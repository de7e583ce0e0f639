/* Embeddings: a unit vector drawn from each text's hash, so equal texts get equal vectors and no model is needed. */
#include <math.h>

#include "mock_internal.h"

#define DIMENSIONS_MAX 8192
#define INPUTS_MAX     2048 /* OpenAI's limit of one request */

static void make_vector(rm_slice text, size_t dimensions, float *vector)
{
    rm_rng rng;
    rm_rng_seed(&rng, rm_hash64(text));
    double sum = 0;
    for (size_t i = 0; i < dimensions; i++) {
        /* Four uniforms come near enough to a normal: directions without a favoured axis. */
        double x = rm_rng_uniform(&rng) + rm_rng_uniform(&rng) + rm_rng_uniform(&rng) + rm_rng_uniform(&rng) - 2;
        vector[i] = (float)x;
        sum += x * x;
    }
    float scale = (float)(1 / sqrt(sum));
    for (size_t i = 0; i < dimensions; i++)
        vector[i] *= scale;
}

static void append_embedding(rm_slice text, size_t index, size_t dimensions, bool base64, float *vector, rm_buf *out)
{
    make_vector(text, dimensions, vector);
    rm_buf_appendf(out, "%s{\"object\":\"embedding\",\"index\":%zu,\"embedding\":%s", index ? "," : "", index,
                   base64 ? "\"" : "");
    if (base64)
        rm_buf_append_base64(out, vector, dimensions * sizeof(*vector)); /* little-endian, as OpenAI's */
    else
        rm_json_append_floats(vector, dimensions, out);
    rm_buf_append_cstr(out, base64 ? "\"}" : "}");
}

/* Strings stand for themselves, token arrays for their canonical text. */
static void append_input(const rm_json *input, size_t index, size_t dimensions, bool base64, float *vector, rm_buf *out)
{
    rm_slice text = rm_json_string(input);
    rm_buf canonical;
    rm_buf_init(&canonical, RM_MOCK_BODY_BYTES_MAX);
    if (!text.ptr && rm_json_canonical(input, NULL, NULL, &canonical) == RM_OK)
        text = rm_buf_slice(&canonical);
    append_embedding(text, index, dimensions, base64, vector, out);
    rm_buf_deinit(&canonical);
}

rm_status rm_mock__render_embeddings(const rm_mock_question *question, rm_arena *arena, rm_mock_script *script)
{
    const rm_json *input = rm_json_get(question->root, "input");
    int64_t wanted = rm_json_i64(rm_json_get(question->root, "dimensions"), RM_MOCK_DIMENSIONS);
    if (!input || wanted < 1 || wanted > DIMENSIONS_MAX || rm_json_count(input) > INPUTS_MAX)
        return RM_EINVAL;
    size_t dimensions = (size_t)wanted;
    float *vector = rm_arena_alloc(arena, dimensions * sizeof(*vector));
    if (!vector)
        return RM_ENOMEM;
    bool base64 = rm_slice_eq(rm_json_string(rm_json_get(question->root, "encoding_format")), RM_SLICE("base64"));
    rm_json_type first = rm_json_typeof(rm_json_at(input, 0));
    bool many = rm_json_typeof(input) == RM_JSON_ARRAY && first != RM_JSON_NUMBER;
    rm_buf *out = &script->bytes;
    rm_buf_append_cstr(out, "{\"object\":\"list\",\"data\":[");
    size_t index = 0;
    if (!many)
        append_input(input, 0, dimensions, base64, vector, out);
    for (rm_json_iter it = rm_json_iterate(input); many && rm_json_iter_next(&it);)
        append_input(it.value, index++, dimensions, base64, vector, out);
    rm_buf_append_cstr(out, "],\"model\":");
    rm_mock__script_append_string(out, question->model);
    rm_buf_appendf(out, ",\"usage\":{\"prompt_tokens\":%llu,\"total_tokens\":%llu}}",
                   (unsigned long long)question->prompt_tokens, (unsigned long long)question->prompt_tokens);
    rm_mock__script_cut(script);
    return out->status;
}
