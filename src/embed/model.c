/* A model's weights, from its folder into the form that the kernels want.
 *
 * One block of memory holds all but the words' vectors, which are most of a small model's file and of which a text needs
 * few: they stay in the mapping. The block is laid out twice by the same code, first to count its bytes. */
#include <limits.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "files.h"

#define BLOCK_ALIGN ((size_t)2 * RM_MIB) /* a huge page: weights are read from end to end for every text */
#define NAME_BYTES  128

typedef struct builder {
    rm_model *model;
    char *block; /* NULL: only counting */
    size_t bytes;
    float *rows; /* room for the largest matrix as floats; NULL while counting */
    rm_buf *why;
    rm_status status;
} builder;

static void *take(builder *b, size_t bytes)
{
    void *at = b->block ? b->block + b->bytes : NULL;
    b->bytes += (bytes + RM_EMBED__ALIGN - 1) & ~(size_t)(RM_EMBED__ALIGN - 1);
    return at;
}

/* ---- arrays of the file ------------------------------------------------------------------------------------------ */

static rm_slice in_layer(char text[NAME_BYTES], unsigned layer, const char *name, const char *kind)
{
    int len = snprintf(text, NAME_BYTES, "encoder.layer.%u.%s.%s", layer, name, kind);
    return rm_slice_make(text, (size_t)len);
}

/* Some files put the encoder's arrays under "bert.". */
static const rm_embed__tensor *find(builder *b, rm_slice name)
{
    char text[NAME_BYTES + sizeof("bert.")];
    const rm_embed__tensor *tensor = rm_embed__tensors_find(b->model->tensors, name);
    if (tensor)
        return tensor;
    int len = snprintf(text, sizeof(text), "bert.%.*s", (int)name.len, name.ptr);
    return rm_embed__tensors_find(b->model->tensors, rm_slice_make(text, (size_t)len));
}

static const rm_embed__tensor *want(builder *b, rm_slice name, uint64_t rows, uint64_t columns)
{
    const rm_embed__tensor *tensor = b->status == RM_OK ? find(b, name) : NULL;
    if (b->status != RM_OK)
        return NULL;
    uint32_t dimensions = columns ? 2 : 1;
    if (tensor && tensor->dimensions == dimensions && tensor->shape[0] == rows &&
        (!columns || tensor->shape[1] == columns))
        return tensor;
    b->status = tensor ? RM_ECORRUPT : RM_EUNSUPPORTED;
    rm_buf_appendf(b->why, "model.safetensors: array %.*s %s; config.json wants %llu", (int)name.len, name.ptr,
                   tensor ? "has another shape" : "is missing", (unsigned long long)rows);
    if (columns)
        rm_buf_appendf(b->why, " x %llu", (unsigned long long)columns);
    return NULL;
}

/* `count` elements from element `begin` on were taken over and need not stay in memory: the pages of the file that hold
 * nothing else. They come back if they are read. */
static void let_go(const rm_embed__tensor *tensor, size_t begin, size_t count)
{
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    size_t bytes = tensor->dtype == RM_EMBED__F32 ? sizeof(float) : sizeof(uint16_t);
    uintptr_t first = ((uintptr_t)tensor->data + begin * bytes + page - 1) & ~(page - 1);
    uintptr_t end = ((uintptr_t)tensor->data + (begin + count) * bytes) & ~(page - 1);
    if (first < end)
        (void)madvise((void *)first, end - first, MADV_DONTNEED);
}

static const float *floats(builder *b, rm_slice name, uint64_t count)
{
    const rm_embed__tensor *tensor = want(b, name, count, 0);
    float *at = take(b, count * sizeof(float));
    if (tensor && at)
        rm_embed__tensor_floats(tensor, 0, count, at);
    return at;
}

static rm_embed__norm read_norm(builder *b, rm_slice gain, rm_slice shift)
{
    uint32_t hidden = b->model->shape.hidden;
    rm_embed__norm norm = {.gain = floats(b, gain, hidden)};
    norm.shift = floats(b, shift, hidden);
    return norm;
}

static rm_embed__norm layer_norm(builder *b, unsigned layer, const char *name)
{
    char gain[NAME_BYTES], shift[NAME_BYTES];
    return read_norm(b, in_layer(gain, layer, name, "weight"), in_layer(shift, layer, name, "bias"));
}

/* Several layers of the same input side by side as one. */
static rm_embed__dense read_dense(builder *b, const rm_embed__kernels *kernels, unsigned layer,
                                  const char *const *names, size_t count, uint32_t in, uint32_t out)
{
    char text[NAME_BYTES];
    rm_embed__dense dense = {.in = in, .out = (uint32_t)count * out};
    float *bias = take(b, (size_t)dense.out * sizeof(float));
    void *packed = take(b, kernels->packed_bytes(in, dense.out));
    for (size_t i = 0; i < count; i++) {
        const rm_embed__tensor *weights = want(b, in_layer(text, layer, names[i], "weight"), out, in);
        if (weights && b->block) {
            rm_embed__tensor_floats(weights, 0, (size_t)out * in, b->rows + i * out * in);
            let_go(weights, 0, (size_t)out * in);
        }
        const rm_embed__tensor *own = want(b, in_layer(text, layer, names[i], "bias"), out, 0);
        if (own && b->block)
            rm_embed__tensor_floats(own, 0, out, bias + i * out);
    }
    if (b->block && b->status == RM_OK)
        kernels->pack(b->rows, in, dense.out, packed);
    dense.bias = bias;
    dense.packed = packed;
    return dense;
}

/* ---- the whole --------------------------------------------------------------------------------------------------- */

static rm_embed__layer read_layer(builder *b, unsigned layer)
{
    static const char *const attention[] = {"attention.self.query", "attention.self.key", "attention.self.value"};
    static const char *const mix[] = {"attention.output.dense"}, *const up[] = {"intermediate.dense"},
                             *const down[] = {"output.dense"};
    uint32_t hidden = b->model->shape.hidden, intermediate = b->model->shape.intermediate;
    const rm_embed__kernels *kernels = b->model->kernels, *fine = rm_embed__fine(kernels);
    rm_embed__layer read;
    read.qkv = read_dense(b, fine, layer, attention, RM_COUNT(attention), hidden, hidden);
    read.mix = read_dense(b, fine, layer, mix, 1, hidden, hidden);
    read.after_attention = layer_norm(b, layer, "attention.output.LayerNorm");
    read.up = read_dense(b, fine, layer, up, 1, hidden, intermediate);
    read.down = read_dense(b, kernels, layer, down, 1, intermediate, hidden);
    read.after_feed = layer_norm(b, layer, "output.LayerNorm");
    return read;
}

/* Every first text has the type 0. */
static const float *read_places(builder *b)
{
    uint32_t hidden = b->model->shape.hidden, positions = b->model->shape.positions;
    const rm_embed__tensor *places = want(b, RM_SLICE("embeddings.position_embeddings.weight"), positions, hidden);
    const rm_embed__tensor *types = want(b, RM_SLICE("embeddings.token_type_embeddings.weight"), 2, hidden);
    float *at = take(b, (size_t)positions * hidden * sizeof(float));
    if (!places || !types || !at)
        return at;
    rm_embed__tensor_floats(places, 0, (size_t)positions * hidden, at);
    rm_embed__tensor_floats(types, 0, hidden, b->rows);
    for (uint32_t p = 0; p < positions; p++) {
        for (uint32_t i = 0; i < hidden; i++)
            at[(size_t)p * hidden + i] += b->rows[i];
    }
    return at;
}

static size_t largest_matrix(const rm_model_shape *shape)
{
    uint32_t wide = shape->intermediate > 3 * shape->hidden ? shape->intermediate : 3 * shape->hidden;
    return (size_t)shape->hidden * wide;
}

/* Where weights have fewer bits than fp32, words have bf16: half the memory, and none of it the mapped file's, of which in
 * time all would be resident. */
static const rm_embed__tensor *read_words(builder *b)
{
    rm_model *model = b->model;
    uint32_t words = model->shape.vocabulary, hidden = model->shape.hidden;
    const rm_embed__tensor *tensor = want(b, RM_SLICE("embeddings.word_embeddings.weight"), words, hidden);
    if (!tensor || tensor->dtype != RM_EMBED__F32 || model->kernels->precision == RM_PRECISION_FP32)
        return tensor;
    size_t all = (size_t)words * hidden, part = largest_matrix(&model->shape);
    uint16_t *at = take(b, all * sizeof(*at));
    if (!b->block)
        return tensor;
    for (size_t begin = 0; begin < all; begin += part) {
        part = part < all - begin ? part : all - begin;
        rm_embed__tensor_floats(tensor, begin, part, b->rows);
        for (size_t i = 0; i < part; i++)
            *at++ = rm_embed__bf16_of(b->rows[i]);
        let_go(tensor, begin, part);
    }
    model->own_words = *tensor;
    model->own_words.dtype = RM_EMBED__BF16;
    model->own_words.data = (const unsigned char *)(at - all);
    return &model->own_words;
}

static void lay_out(builder *b)
{
    rm_model *model = b->model;
    model->words = read_words(b);
    model->places = read_places(b);
    model->first = read_norm(b, RM_SLICE("embeddings.LayerNorm.weight"), RM_SLICE("embeddings.LayerNorm.bias"));
    for (unsigned i = 0; i < model->shape.layers; i++)
        model->layers[i] = read_layer(b, i);
}

static rm_status build(rm_model *model, rm_buf *why)
{
    builder count = {.model = model, .why = why}, fill = {.model = model, .why = why};
    lay_out(&count);
    if (count.status != RM_OK)
        return count.status;
    model->memory = rm_alloc(count.bytes + BLOCK_ALIGN);
    fill.rows = rm_alloc(largest_matrix(&model->shape) * sizeof(float));
    if (model->memory && fill.rows) {
        fill.block = (char *)(((uintptr_t)model->memory + BLOCK_ALIGN - 1) & ~(uintptr_t)(BLOCK_ALIGN - 1));
        (void)madvise(fill.block, count.bytes, MADV_HUGEPAGE); /* fewer misses where the kernel can */
        lay_out(&fill);
    } else {
        fill.status = RM_ENOMEM;
    }
    rm_free(fill.rows);
    return fill.status;
}

static const rm_embed__kernels *choose_kernels(const rm_model_options *options)
{
    const rm_embed__kernels *kernels;
    for (unsigned i = 0; (kernels = rm_embed__kernels_here(i)); i++) {
        if ((!options->kernels || strcmp(options->kernels, kernels->name) == 0) &&
            (options->precision == RM_PRECISION_AUTO || options->precision == kernels->precision))
            return kernels;
    }
    return NULL;
}

static rm_status open_files(rm_model *model, const char *folder, rm_buf *why)
{
    char path[PATH_MAX];
    int len = snprintf(path, sizeof(path), "%s/model.safetensors", folder);
    rm_status status = len > 0 && (size_t)len < sizeof(path) ? RM_OK : RM_ETOOBIG;
    if (status != RM_OK)
        rm_buf_appendf(why, "the folder's name is too long");
    if (status == RM_OK)
        status = rm_embed__shape_read(folder, &model->shape, why);
    if (status == RM_OK)
        status = rm_tokenizer_open(folder, &model->tokenizer, why);
    if (status == RM_OK && rm_tokenizer_count(model->tokenizer) > model->shape.vocabulary) {
        rm_buf_appendf(why, "%s: %u tokens, but config.json has a vocab_size of %u", folder,
                       rm_tokenizer_count(model->tokenizer), model->shape.vocabulary);
        status = RM_ECORRUPT;
    }
    return status == RM_OK ? rm_embed__tensors_open(path, &model->tensors, why) : status;
}

rm_status rm_model_open(const rm_model_options *options, rm_model **ret_model, rm_buf *why)
{
    const rm_embed__kernels *kernels = choose_kernels(options);
    if (!kernels) {
        rm_buf_appendf(why, "no kernels for precision %s%s%s on this CPU", rm_precision_name(options->precision),
                       options->kernels ? " called " : "", options->kernels ? options->kernels : "");
        return RM_EINVAL;
    }
    rm_model *model = rm_calloc(1, sizeof(*model));
    if (!model)
        return rm_embed__refuse(why, RM_ENOMEM, options->folder, "out of memory");
    model->kernels = kernels;
    rm_status status = open_files(model, options->folder, why);
    if (status == RM_OK) {
        model->layers = rm_calloc(model->shape.layers, sizeof(*model->layers));
        status = model->layers ? build(model, why) : RM_ENOMEM;
        if (status == RM_ENOMEM)
            (void)rm_embed__refuse(why, status, options->folder, "out of memory");
    }
    if (status != RM_OK) {
        rm_model_close(model);
        return status;
    }
    *ret_model = model;
    return RM_OK;
}

void rm_model_close(rm_model *model)
{
    if (!model)
        return;
    rm_tokenizer_close(model->tokenizer);
    rm_embed__tensors_close(model->tensors);
    rm_free(model->layers);
    rm_free(model->memory);
    rm_free(model);
}

const rm_model_shape *rm_model_shape_of(const rm_model *model)
{
    return &model->shape;
}

const rm_tokenizer *rm_model_tokenizer(const rm_model *model)
{
    return model->tokenizer;
}

rm_precision rm_model_precision(const rm_model *model)
{
    return model->kernels->precision;
}

const char *rm_model_kernels(const rm_model *model)
{
    return model->kernels->name;
}
