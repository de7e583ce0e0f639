/* Products in a smaller number format than fp32, over fp32.inc.h, which is included first. Two or four inputs are a group
 * of 32 bits, so that one entry of x meets LANES outputs at once:
 *
 *   FORM_BF16   both sides bf16, sums fp32                        groups of 2, an instruction of AVX-512
 *   FORM_INT8   weights int8, x in 8 bits with a zero, sums int32  groups of 4, an instruction of AVX-512 VNNI
 *   FORM_INT16  weights int8, x in up to 15 bits, sums int32       groups of 2, for AVX2, which has no exact product of bytes
 *
 *   packed: [column scales][column sums][out/COLUMNS][in/GROUP][COLUMNS] cells
 *
 * Weights have one scale for each output, x one for each row: x = scale (q - zero), as Jacob et al. 2018 have it. Before
 * use define one FORM_… and DOT(sum, weights, entry): sum + the products of the group. Without DOT plain C does it, for
 * tests where the instruction is missing. */

#if defined(FORM_BF16)
#define GROUP 2
#define SUM   vec
typedef int32_t cell;
#elif defined(FORM_INT8)
#define GROUP 4
#define SUM   ints
typedef int32_t cell;
#else
#define GROUP 2
#define SUM   ints
typedef int16_t cell;
#endif

#define BYTE_MOST 127.0F

typedef int16_t shorts __attribute__((vector_size(LANES * sizeof(int16_t))));
typedef int8_t bytes __attribute__((vector_size(LANES)));

INLINE ints load_cells(const cell *from)
{
#if defined(FORM_INT16)
    ints v;
#ifdef EXPAND
    v = EXPAND(from);
#else
    for (unsigned i = 0; i < LANES; i++)
        v[i] = (int32_t)(((uint32_t)(from[i] >> 8) << 16) | ((uint32_t)(int8_t)from[i] & 0xffff));
#endif
    return v;
#else
    ints v;
    memcpy(&v, from, sizeof(v));
    return v;
#endif
}

#ifndef DOT
#if defined(FORM_BF16)
INLINE vec plain_dot(vec sum, ints w, int32_t x)
{
    ints group = (ints){0} + x, high = (ints){0} + (int32_t)0xffff0000;
    return sum + (vec)(w << 16) * (vec)(group << 16) + (vec)(w & high) * (vec)(group & high);
}
#elif defined(FORM_INT8)
INLINE ints plain_dot(ints sum, ints w, int32_t x)
{
    for (int shift = 0; shift < 32; shift += 8)
        sum += (w << (24 - shift) >> 24) * (x >> shift & 0xff);
    return sum;
}
#else
INLINE ints plain_dot(ints sum, ints w, int32_t x)
{
    return sum + (w << 16 >> 16) * (int32_t)(int16_t)x + (w >> 16) * (x >> 16);
}
#endif
#define DOT(sum, w, x) plain_dot(sum, w, x)
#endif

INLINE vec as_floats(SUM sum, const target *to, size_t row, size_t column)
{
#if defined(FORM_BF16)
    (void)to;
    (void)row;
    (void)column;
    return sum;
#else
    vec value = __builtin_convertvector(sum, vec);
#if defined(FORM_INT8)
    value -= load(to->column_sums + column) * to->row_zeros[row];
#endif
    return value * (load(to->column_scales + column) * to->row_scales[row]);
#endif
}

#define NAME(x)                      packed_##x
#define CELL                         cell
#define ENTRY                        int32_t
#define WEIGHTS                      ints
#define SUMS                         SUM
#define LOAD(from)                   load_cells(from)
#define ADD(sum, w, entry)           DOT(sum, w, entry)
#define RESULT(sum, to, row, column) as_floats(sum, to, row, column)
#include "tile.inc.h"

/* ---- weights ----------------------------------------------------------------------------------------------------- */

static size_t entries_of(uint32_t in)
{
    return ((size_t)in + GROUP - 1) / GROUP;
}

static size_t packed_bytes(uint32_t in, uint32_t out)
{
    size_t columns = padded(out);
    return columns * (2 * sizeof(float) + entries_of(in) * GROUP * (sizeof(cell) / GROUP));
}

/* Round to nearest, ties to even; NaN stays one. */
INLINE uint16_t bf16_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof(bits));
    if ((bits & 0x7fffffff) > 0x7f800000)
        return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static float scale_of(const float *row, uint32_t in, float most)
{
    float high = 0;
    for (uint32_t i = 0; i < in; i++)
        high = fmaxf(high, fabsf(row[i]));
    return high > 0 ? high / most : 1;
}

static void pack_column(const float *row, uint32_t in, float scale, char *first, size_t step, float *ret_sum)
{
    int32_t sum = 0;
    for (uint32_t i = 0; i < entries_of(in) * GROUP; i++) {
        float value = i < in ? row[i] : 0;
        char *to = first + i / GROUP * step + i % GROUP * (sizeof(cell) / GROUP);
#if defined(FORM_BF16)
        uint16_t half = bf16_of(value);
        memcpy(to, &half, sizeof(half));
#else
        int8_t q = (int8_t)lrintf(value / scale);
        memcpy(to, &q, sizeof(q));
        sum += q;
#endif
    }
    (void)scale;
    *ret_sum = (float)sum;
}

static void packed_pack(const float *weights, uint32_t in, uint32_t out, void *packed)
{
    size_t columns = padded(out);
    float *scales = packed, *sums = scales + columns;
    char *cells = (char *)(sums + columns);
    static const float nothing[1];
    for (size_t c = 0; c < columns; c++) {
        const float *row = c < out ? weights + c * in : nothing;
        uint32_t count = c < out ? in : 0;
        char *first = cells + (c / COLUMNS * COLUMNS * entries_of(in) + c % COLUMNS) * sizeof(cell);
        scales[c] = scale_of(row, count, BYTE_MOST);
        pack_column(row, count, scales[c], first, COLUMNS * sizeof(cell), &sums[c]);
        if (c >= out)
            for (size_t i = 0; i < entries_of(in); i++)
                memset(first + i * COLUMNS * sizeof(cell), 0, sizeof(cell));
    }
}

/* ---- rows of x --------------------------------------------------------------------------------------------------- */

static size_t packed_dense_scratch_bytes(uint32_t in)
{
    return RM_EMBED__ROWS * (entries_of(in) * sizeof(int32_t) + 2 * sizeof(float));
}

#if defined(FORM_INT16)
/* So many that the sum over `in` products stays within 31 bits. */
INLINE float x_most(uint32_t in)
{
    float most = 2147483000.0F / BYTE_MOST / (float)in;
    return most < 16383 ? floorf(most) : 16383;
}
#endif

/* The whole numbers nearest to v, |v| < 2^22. */
INLINE ints whole(vec v)
{
    return (ints)(v + 12582912.0F) - 0x4b400000;
}

typedef struct extent {
    float low, high;
} extent;

INLINE extent extent_of(const float *x, uint32_t in)
{
    vec lows = {0}, highs = {0}; /* zero must be exact: padding is zero */
    uint32_t i = 0;
    for (; i + LANES <= in; i += LANES) {
        vec v = load(x + i);
        highs = greater(highs, v);
        lows = -greater(-lows, -v);
    }
    extent e = {0, 0};
    for (unsigned l = 0; l < LANES; l++) {
        e.low = fminf(e.low, lows[l]);
        e.high = fmaxf(e.high, highs[l]);
    }
    for (; i < in; i++) {
        e.low = fminf(e.low, x[i]);
        e.high = fmaxf(e.high, x[i]);
    }
    return e;
}

/* LANES inputs from x on to `to`; in `to` they take GROUPth parts of 32 bits each. */
INLINE void quantise(const float *x, float factor, float zero, char *to)
{
#if defined(FORM_BF16)
    ints bits = (ints)load(x);
    ints rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
    shorts halves = __builtin_convertvector(rounded, shorts);
    memcpy(to, &halves, sizeof(halves));
    (void)factor;
    (void)zero;
#elif defined(FORM_INT8)
    /* Zero is rounded too, so that the highest may come out as 256. */
    vec v = load(x) * factor + zero;
    bytes q = __builtin_convertvector(whole(-greater(-v, (vec){0} - 255.0F)), bytes);
    memcpy(to, &q, sizeof(q));
#else
    shorts q = __builtin_convertvector(whole(load(x) * factor), shorts);
    memcpy(to, &q, sizeof(q));
    (void)zero;
#endif
}

/* One row; its scale and zero. */
INLINE void quantise_row(const float *x, uint32_t in, int32_t *entries, float *ret_scale, float *ret_zero)
{
    char *to = (char *)entries;
    float scale = 1, zero = 0;
#if !defined(FORM_BF16)
    extent e = extent_of(x, in);
#if defined(FORM_INT8)
    scale = e.high > e.low ? (e.high - e.low) / 255 : 1;
    zero = rintf(-e.low / scale);
#else
    float most = fmaxf(e.high, -e.low);
    scale = most > 0 ? most / x_most(in) : 1;
#endif
#endif
    const size_t part = sizeof(int32_t) / GROUP;
    uint32_t i = 0;
    for (; i + LANES <= in; i += LANES)
        quantise(x + i, 1 / scale, zero, to + i * part);
    if (i < in || in % GROUP) {
        float rest[LANES] = {0};
        char last[LANES * sizeof(int32_t) / GROUP];
        memcpy(rest, x + i, (in - i) * sizeof(float));
        quantise(rest, 1 / scale, zero, last);
        memcpy(to + i * part, last, (entries_of(in) * GROUP - i) * part);
    }
    *ret_scale = scale;
    *ret_zero = zero;
}

static void packed_dense(const rm_embed__dense *layer, const float *x, size_t rows, rm_embed__finish finish, float *y,
                         void *scratch)
{
    size_t columns = padded(layer->out), entries = entries_of(layer->in);
    const float *scales = layer->packed;
    int32_t *quantised = scratch;
    float *row_scales = (float *)(quantised + RM_EMBED__ROWS * entries), *row_zeros = row_scales + RM_EMBED__ROWS;
    for (size_t r = 0; r < rows; r++)
        quantise_row(x + r * layer->in, layer->in, quantised + r * entries, &row_scales[r], &row_zeros[r]);
    target to = {.stride = layer->out,
                 .bias = layer->bias,
                 .finish = finish,
                 .row_scales = row_scales,
                 .row_zeros = row_zeros,
                 .column_scales = scales,
                 .column_sums = scales + columns};
    to.y = y; /* so, since clang-tidy 14 sees no writing through an initialiser */
    packed_product(quantised, entries, rows, (const cell *)(scales + 2 * columns), (uint32_t)entries, layer->out, &to);
}

#define PACKED_FUNCTIONS                                                       \
    .runs_here = runs_here, .packed_bytes = packed_bytes, .pack = packed_pack, \
    .dense_scratch_bytes = packed_dense_scratch_bytes, .dense = packed_dense,  \
    .attention_scratch_bytes = fp32_attention_scratch_bytes, .attention = fp32_attention, .norm = fp32_norm
