/* The forward pass: words and places, then for each layer attention and feed-forward, each added to what came in and
 * normalised; at last the mean of the tokens (or the first one), at length 1.
 *
 *   ids -> x[tokens][hidden] -> qkv[tokens][3 hidden] -> mixed[tokens][hidden] -+-> x
 *                               one block of rows: up[rows][intermediate] ------'
 *
 * Texts stand one behind the other without padding; only attention and the mean know where one ends. Products take
 * RM_EMBED__ROWS rows at once, so that their input and output stay in the second-level cache while the weights pass. */
#include <math.h>

#include "embed_internal.h"

/* Tokens of several texts that go through together: more would not save more. */
#define TOGETHER (4 * RM_EMBED__ROWS)

struct rm_encoder {
    const rm_model *model;
    uint32_t tokens_max; /* of one text */
    float *x, *qkv, *mixed, *up;
    void *dense_scratch, *attention_scratch;
    void *memory;
};

static uint32_t text_max(const rm_model_shape *shape)
{
    return shape->positions < RM_EMBED_BATCH_TOKENS_MAX ? shape->positions : RM_EMBED_BATCH_TOKENS_MAX;
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

rm_status rm_encoder_create(const rm_model *model, rm_encoder **ret_encoder)
{
    const rm_model_shape *shape = &model->shape;
    const rm_embed__kernels *kernels = model->kernels;
    size_t hidden = shape->hidden, tokens = larger(text_max(shape), TOGETHER);
    uint32_t widest = (uint32_t)larger(hidden, shape->intermediate);
    const size_t sizes[] = {
        tokens * hidden * sizeof(float),
        tokens * 3 * hidden * sizeof(float),
        tokens * hidden * sizeof(float),
        (size_t)RM_EMBED__ROWS * shape->intermediate * sizeof(float),
        larger(kernels->dense_scratch_bytes(widest), rm_embed__fine(kernels)->dense_scratch_bytes(shape->hidden)),
        kernels->attention_scratch_bytes(text_max(shape), shape->hidden / shape->heads)};
    size_t bytes = RM_EMBED__ALIGN;
    for (size_t i = 0; i < RM_COUNT(sizes); i++)
        bytes += sizes[i] + RM_EMBED__ALIGN;
    rm_encoder *encoder = rm_calloc(1, sizeof(*encoder));
    if (!encoder || !(encoder->memory = rm_alloc(bytes))) {
        rm_free(encoder);
        return RM_ENOMEM;
    }
    encoder->model = model;
    encoder->tokens_max = text_max(shape);
    void **const parts[] = {(void **)&encoder->x,  (void **)&encoder->qkv,  (void **)&encoder->mixed,
                            (void **)&encoder->up, &encoder->dense_scratch, &encoder->attention_scratch};
    uintptr_t at = (uintptr_t)encoder->memory;
    for (size_t i = 0; i < RM_COUNT(parts); i++) {
        at = (at + RM_EMBED__ALIGN - 1) & ~(uintptr_t)(RM_EMBED__ALIGN - 1);
        *parts[i] = (void *)at;
        at += sizes[i];
    }
    *ret_encoder = encoder;
    return RM_OK;
}

void rm_encoder_destroy(rm_encoder *encoder)
{
    if (!encoder)
        return;
    rm_free(encoder->memory);
    rm_free(encoder);
}

/* ---- one layer --------------------------------------------------------------------------------------------------- */

static void norm(const rm_encoder *e, const rm_embed__norm *with, float *x, size_t rows)
{
    const rm_model *model = e->model;
    model->kernels->norm(x, rows, model->shape.hidden, with->gain, with->shift, model->shape.norm_epsilon);
}

static void attend(rm_encoder *e, const rm_embed__layer *layer, const uint32_t *lengths, size_t texts, size_t tokens)
{
    const rm_model_shape *shape = &e->model->shape;
    const rm_embed__kernels *kernels = e->model->kernels;
    size_t hidden = shape->hidden;
    for (size_t row = 0; row < tokens; row += RM_EMBED__ROWS) {
        size_t rows = tokens - row < RM_EMBED__ROWS ? tokens - row : RM_EMBED__ROWS;
        rm_embed__fine(kernels)->dense(&layer->qkv, e->x + row * hidden, rows, RM_EMBED__PLAIN,
                                       e->qkv + row * 3 * hidden, e->dense_scratch);
    }
    for (size_t i = 0, row = 0; i < texts; row += lengths[i++])
        kernels->attention(e->qkv + row * 3 * hidden, lengths[i], shape->heads, shape->hidden / shape->heads,
                           e->mixed + row * hidden, e->attention_scratch);
}

static void run_layer(rm_encoder *e, const rm_embed__layer *layer, const uint32_t *lengths, size_t texts, size_t tokens)
{
    const rm_embed__kernels *kernels = e->model->kernels, *fine = rm_embed__fine(kernels);
    size_t hidden = e->model->shape.hidden;
    attend(e, layer, lengths, texts, tokens);
    for (size_t row = 0; row < tokens; row += RM_EMBED__ROWS) {
        size_t rows = tokens - row < RM_EMBED__ROWS ? tokens - row : RM_EMBED__ROWS;
        float *x = e->x + row * hidden;
        fine->dense(&layer->mix, e->mixed + row * hidden, rows, RM_EMBED__ADD, x, e->dense_scratch);
        norm(e, &layer->after_attention, x, rows);
        fine->dense(&layer->up, x, rows, RM_EMBED__GELU, e->up, e->dense_scratch);
        kernels->dense(&layer->down, e->up, rows, RM_EMBED__ADD, x, e->dense_scratch);
        norm(e, &layer->after_feed, x, rows);
    }
}

/* ---- ids to x, x to vectors -------------------------------------------------------------------------------------- */

static void look_up(rm_encoder *e, const uint32_t *ids, const uint32_t *lengths, size_t texts, size_t tokens)
{
    const rm_model *model = e->model;
    size_t hidden = model->shape.hidden;
    float *x = e->x;
    for (size_t i = 0; i < texts; i++) {
        const float *place = model->places;
        for (uint32_t t = 0; t < lengths[i]; t++, x += hidden, place += hidden) {
            rm_embed__tensor_floats(model->words, *ids++ * hidden, hidden, x);
            for (size_t c = 0; c < hidden; c++)
                x[c] += place[c];
        }
    }
    norm(e, &model->first, e->x, tokens);
}

static void to_length_one(float *vector, size_t hidden)
{
    double squares = 0;
    for (size_t c = 0; c < hidden; c++)
        squares += (double)vector[c] * vector[c];
    float factor = squares > 0 ? (float)(1 / sqrt(squares)) : 0;
    for (size_t c = 0; c < hidden; c++)
        vector[c] *= factor;
}

static void pool(const rm_encoder *e, const uint32_t *lengths, size_t texts, float *vectors)
{
    size_t hidden = e->model->shape.hidden;
    const float *x = e->x;
    for (size_t i = 0; i < texts; i++, vectors += hidden) {
        memcpy(vectors, x, hidden * sizeof(float));
        for (uint32_t t = 1; t < lengths[i] && e->model->shape.pooling == RM_POOLING_MEAN; t++) {
            for (size_t c = 0; c < hidden; c++)
                vectors[c] += x[t * hidden + c];
        }
        to_length_one(vectors, hidden); /* so the mean's division would change nothing */
        x += lengths[i] * hidden;
    }
}

static void run_together(rm_encoder *e, const uint32_t *ids, const uint32_t *lengths, size_t texts, size_t tokens,
                         float *vectors)
{
    look_up(e, ids, lengths, texts, tokens);
    for (uint32_t i = 0; i < e->model->shape.layers; i++)
        run_layer(e, &e->model->layers[i], lengths, texts, tokens);
    pool(e, lengths, texts, vectors);
}

static bool all_in_range(const rm_encoder *e, const uint32_t *ids, const uint32_t *lengths, size_t texts)
{
    size_t tokens = 0;
    for (size_t i = 0; i < texts; i++) {
        if (lengths[i] == 0 || lengths[i] > e->tokens_max)
            return false;
        tokens += lengths[i];
    }
    for (size_t i = 0; i < tokens; i++) {
        if (ids[i] >= e->model->shape.vocabulary)
            return false;
    }
    return true;
}

rm_status rm_encoder_run(rm_encoder *encoder, const uint32_t *ids, const uint32_t *lengths, size_t texts,
                         float *vectors)
{
    if (!all_in_range(encoder, ids, lengths, texts))
        return RM_EINVAL;
    for (size_t i = 0; i < texts;) {
        size_t count = 0, tokens = 0;
        while (i + count < texts && (count == 0 || tokens + lengths[i + count] <= TOGETHER))
            tokens += lengths[i + count++];
        run_together(encoder, ids, lengths + i, count, tokens, vectors + i * encoder->model->shape.hidden);
        ids += tokens;
        i += count;
    }
    return RM_OK;
}
