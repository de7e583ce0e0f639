/* The encoder's arithmetic in fp32, written once for vectors of LANES floats
 * and included by one file for each instruction set; the compiler's vector
 * extensions make the instructions.
 *
 *   LANES    floats in a vector
 *   VECTORS  vectors in a panel's row
 *   TILE     rows of x that meet a panel at once: TILE * VECTORS sums stay in
 * registers, and room for VECTORS weights
 *
 * Weights are packed in panels of COLUMNS outputs, so that the innermost loop
 * reads them one behind the other:
 *
 *   packed: [out/COLUMNS][in][COLUMNS]     the last panel's missing outputs are
 * zero
 *
 * Attention brings keys and values into the same form and uses the same
 * product. */
#include <math.h>
#include <string.h>

#include "kernels.h"

#define COLUMNS (LANES * VECTORS)

/* Weights come from memory, or the last cache at best, and the CPU's own guess
 * of what is next is too short. */
#define AHEAD_BYTES 32768
#define LINE_BYTES  64
#define PACK_BLOCK  64

typedef float vec __attribute__((vector_size(LANES * sizeof(float))));
typedef int32_t ints __attribute__((vector_size(LANES * sizeof(int32_t))));

#define INLINE static inline __attribute__((always_inline))
#define SPARE  __attribute__((unused)) /* where packed.inc.h has its own */

INLINE vec load(const float *from)
{
    vec v;
    memcpy(&v, from, sizeof(v));
    return v;
}

INLINE void store(float *to, vec v)
{
    memcpy(to, &v, sizeof(v));
}

INLINE vec choose(ints mask, vec yes, vec no)
{
    return (vec)(((ints)yes & mask) | ((ints)no & ~mask));
}

INLINE vec greater(vec a, vec b)
{
#ifdef GREATER
    return GREATER(a, b);
#else
    return choose(a > b, a, b);
#endif
}

INLINE vec lesser(vec a, vec b)
{
    return -greater(-a, -b);
}

INLINE vec size_of(vec v)
{
    return (vec)((ints)v & 0x7fffffff);
}

/* e^x for x <= 88; below -87 it is e^-87, about 1e-38. Relative error under
 * 2e-7 (Cody and Waite's reduction, then the Taylor series to the sixth power
 * within half a ln 2). */
INLINE vec exponential(vec x)
{
    const float round = 12582912.0F; /* 1.5 * 2^23: adding it leaves an integer in the low bits */
    x = greater(x, (vec){0} - 87.0F);
    vec shifted = x * 1.44269504F + round;
    vec n = shifted - round;
    vec r = x - n * 0.693145752F - n * 1.42860677e-6F;
    vec p = r * 1.38888889e-3F + 8.33333333e-3F;
    p = p * r + 4.16666667e-2F;
    p = p * r + 1.66666667e-1F;
    p = p * r + 0.5F;
    p = p * r + 1.0F;
    p = p * r + 1.0F;
    return (vec)((ints)p + ((ints)shifted << 23));
}

/* x/2 (1 + erf(x/sqrt 2)) = max(x, 0) - b(|x|), where the bump b(a) = a/2
 * erfc(a/sqrt 2) is below 1e-7 from 5.5 on; up to there it is the polynomial of
 * degree 14 with the least greatest error (Lawson's iteration), 5.6e-7, in u =
 * a/2.75 - 1. Even and odd powers apart, which halves the chain of instructions
 * that wait for each other. */
INLINE vec gelu(vec x)
{
    vec u = lesser(size_of(x), (vec){0} + 5.5F) * (1 / 2.75F) - 1.0F, squared = u * u;
    vec even = squared * 3.58627364e-2F - 1.54078096e-1F;
    vec odd = squared * -3.97612788e-2F + 2.36379445e-1F;
    even = even * squared + 1.85008585e-1F;
    odd = odd * squared - 5.48725009e-1F;
    even = even * squared + 1.92287877e-1F;
    odd = odd * squared + 4.61279392e-1F;
    even = even * squared - 6.38719559e-1F;
    odd = odd * squared + 2.60049433e-1F;
    even = even * squared + 1.80241421e-1F;
    odd = odd * squared - 3.08643311e-1F;
    even = even * squared + 1.91202283e-1F;
    odd = odd * squared - 6.05790801e-2F;
    even = even * squared + 8.19484051e-3F;
    return greater(x, (vec){0}) - (odd * u + even);
}

INLINE float sum_of(vec v)
{
    float sum = 0;
    for (unsigned i = 0; i < LANES; i++)
        sum += v[i];
    return sum;
}

/* ---- products
 * ----------------------------------------------------------------------------------------------------
 */

static size_t panels_of(uint32_t out)
{
    return ((size_t)out + COLUMNS - 1) / COLUMNS;
}

SPARE static size_t fp32_packed_bytes(uint32_t in, uint32_t out)
{
    return panels_of(out) * COLUMNS * in * sizeof(float);
}

/* In blocks of inputs, so that what is read and what is written stay in the first-level cache. */
SPARE static void fp32_pack(const float *weights, uint32_t in, uint32_t out, void *packed)
{
    float *panel = packed;
    for (size_t first = 0; first < out; first += COLUMNS, panel += (size_t)COLUMNS * in) {
        size_t columns = out - first < COLUMNS ? out - first : COLUMNS;
        if (columns < COLUMNS)
            memset(panel, 0, (size_t)COLUMNS * in * sizeof(float));
        for (uint32_t block = 0; block < in; block += PACK_BLOCK) {
            uint32_t end = in - block < PACK_BLOCK ? in : block + PACK_BLOCK;
            for (size_t c = 0; c < columns; c++) {
                const float *from = weights + (first + c) * in;
                for (uint32_t i = block; i < end; i++)
                    panel[(size_t)i * COLUMNS + c] = from[i];
            }
        }
    }
}

/* Where a product goes. The scales are for the formats of packed.inc.h: of a
 * row of x, of an output. */
typedef struct target {
    float *y;
    size_t stride;
    const float *bias; /* NULL: none, and nothing else is done either */
    rm_embed__finish finish;
    const float *row_scales, *row_zeros, *column_scales, *column_sums;
} target;

INLINE vec finished(vec sum, const target *to, size_t column, const float *y)
{
    if (!to->bias)
        return sum;
    sum += load(to->bias + column);
    if (to->finish == RM_EMBED__GELU)
        return gelu(sum);
    return to->finish == RM_EMBED__ADD ? sum + load(y) : sum;
}

INLINE void fp32_step(const float *x, size_t stride, unsigned rows, const float *panel, vec sums[][VECTORS])
{
    vec weights[VECTORS];
    for (size_t v = 0; v < VECTORS; v++)
        weights[v] = load(panel + v * LANES);
    for (unsigned r = 0; r < rows; r++) {
        for (unsigned v = 0; v < VECTORS; v++)
            sums[r][v] += weights[v] * x[r * stride];
    }
}

INLINE vec fp32_result(vec sum, const target *to, size_t row, size_t column)
{
    (void)to;
    (void)row;
    (void)column;
    return sum;
}

#define NAME(x) fp32_##x
#define ENTRY   float
#define CELL    float
#define SUMS    vec
#define ROWS    TILE
#define STEP    1
#include "tile.inc.h"

SPARE static size_t fp32_dense_scratch_bytes(uint32_t in)
{
    (void)in;
    return 0;
}

SPARE static void fp32_dense(const rm_embed__dense *layer, const float *x, size_t rows, rm_embed__finish finish,
                             float *y, void *scratch)
{
    target to = {.stride = layer->out, .bias = layer->bias, .finish = finish};
    to.y = y; /* so, since clang-tidy 14 sees no writing through an initialiser */
    (void)scratch;
    fp32_product(x, layer->in, rows, layer->packed, layer->in, layer->out, &to);
}

/* ---- attention
 * ---------------------------------------------------------------------------------------------------
 */

#define QUERIES (4 * TILE) /* whose scores are in the cache at once */

static size_t padded(uint32_t count)
{
    return panels_of(count) * COLUMNS;
}

/* Keys and values of one head in panels, and the scores of QUERIES queries. */
static size_t fp32_attention_scratch_bytes(uint32_t tokens, uint32_t head)
{
    return (padded(tokens) * head + (size_t)tokens * padded(head) + QUERIES * padded(tokens)) * sizeof(float);
}

static void pack_head(const float *k, const float *v, size_t stride, uint32_t tokens, uint32_t head, float *keys,
                      float *values)
{
    size_t room = padded(tokens);
    for (size_t t = 0; t < room; t++) {
        float *to = keys + t / COLUMNS * COLUMNS * head + t % COLUMNS;
        for (uint32_t i = 0; i < head; i++)
            to[(size_t)i * COLUMNS] = t < tokens ? k[t * stride + i] : 0;
    }
    for (size_t first = 0; first < head; first += COLUMNS) {
        for (uint32_t t = 0; t < tokens; t++) {
            for (size_t i = first; i < first + COLUMNS; i++)
                *values++ = i < head ? v[t * stride + i] : 0;
        }
    }
}

/* One row: e^(scale (score - most)) over its sum; `room` is `tokens` up to the
 * next panel. */
INLINE void softmax(float *scores, uint32_t tokens, size_t room, float scale)
{
    vec high = (vec){0} - INFINITY, sums = {0};
    for (size_t t = tokens; t < room; t++)
        scores[t] = -INFINITY;
    for (size_t t = 0; t < room; t += LANES)
        high = greater(high, load(scores + t));
    float most = high[0];
    for (unsigned i = 1; i < LANES; i++)
        most = fmaxf(most, high[i]);
    for (size_t t = 0; t < room; t += LANES) {
        vec e = exponential((load(scores + t) - most) * scale);
        store(scores + t, e);
        sums += e;
    }
    float factor = 1 / sum_of(sums);
    for (size_t t = 0; t < room; t += LANES)
        store(scores + t, load(scores + t) * factor);
}

static void fp32_attention(const float *qkv, uint32_t tokens, uint32_t heads, uint32_t head, float *out, void *scratch)
{
    size_t hidden = (size_t)heads * head, stride = 3 * hidden, room = padded(tokens);
    float *keys = scratch, *values = keys + room * head, *scores = values + tokens * padded(head);
    float scale = 1 / sqrtf((float)head);
    for (uint32_t h = 0; h < heads; h++) {
        const float *q = qkv + (size_t)h * head;
        pack_head(q + hidden, q + 2 * hidden, stride, tokens, head, keys, values);
        for (uint32_t t = 0; t < tokens; t += QUERIES) {
            uint32_t rows = tokens - t < QUERIES ? tokens - t : QUERIES;
            target to_scores = {.y = scores, .stride = room};
            fp32_product(q + t * stride, stride, rows, keys, head, (uint32_t)room, &to_scores);
            for (uint32_t r = 0; r < rows; r++)
                softmax(scores + r * room, tokens, room, scale);
            target to_out = {.stride = hidden};
            to_out.y = out + t * hidden + (size_t)h * head;
            fp32_product(scores, room, rows, values, tokens, head, &to_out);
        }
    }
}

/* ---- norm
 * --------------------------------------------------------------------------------------------------------
 */

INLINE float row_sum(const float *x, uint32_t columns, float less, bool squared)
{
    vec sums = {0};
    uint32_t c = 0;
    for (; c + LANES <= columns; c += LANES) {
        vec d = load(x + c) - less;
        sums += squared ? d * d : d;
    }
    float sum = sum_of(sums);
    for (; c < columns; c++)
        sum += squared ? (x[c] - less) * (x[c] - less) : x[c] - less;
    return sum;
}

static void fp32_norm(float *x, size_t rows, uint32_t columns, const float *gain, const float *shift, float epsilon)
{
    for (size_t r = 0; r < rows; r++, x += columns) {
        float mean = row_sum(x, columns, 0, false) / (float)columns;
        float factor = 1 / sqrtf(row_sum(x, columns, mean, true) / (float)columns + epsilon);
        uint32_t c = 0;
        for (; c + LANES <= columns; c += LANES)
            store(x + c, (load(x + c) - mean) * factor * load(gain + c) + load(shift + c));
        for (; c < columns; c++)
            x[c] = (x[c] - mean) * factor * gain[c] + shift[c];
    }
}

#define FP32_FUNCTIONS                                                                                            \
    .precision = RM_PRECISION_FP32, .runs_here = runs_here, .packed_bytes = fp32_packed_bytes, .pack = fp32_pack, \
    .dense_scratch_bytes = fp32_dense_scratch_bytes, .dense = fp32_dense,                                         \
    .attention_scratch_bytes = fp32_attention_scratch_bytes, .attention = fp32_attention, .norm = fp32_norm
