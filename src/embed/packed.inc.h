/* Products in a smaller number format than fp32, over fp32.inc.h, which is included first. Two or four inputs are a group,
 * whose weights lie side by side, so that one entry of x meets LANES outputs at once:
 *
 *   FORM_BF16   both sides bf16, sums fp32                         groups of 2, an instruction of AVX-512
 *   FORM_HALF   weights bf16, x and sums fp32                      groups of 2, for CPUs without that instruction
 *   FORM_INT8   weights int8, x in 8 bits with a zero, sums int32  groups of 4, an instruction of AVX-512 VNNI
 *   FORM_CHAIN  the same for AVX2, whose product of bytes has 16 bits: groups of 4, CHAIN of them added in 16 bits
 *   FORM_INT16  weights int8, x in up to 15 bits, sums int32       groups of 2, for AVX2; slower and more exact
 *
 *   packed: [column scales][column sums][out/COLUMNS][in/GROUP][COLUMNS] groups
 *
 * Weights have one scale for each output, x one for each row: x = scale (q - zero), as Jacob et al. 2018 have it. With
 * FORM_CHAIN an output's scale also sees to it that no sum of 16 bits can overflow, whatever x is.
 *
 * Before use define one FORM_… and its instructions: DOT(sum, weights, entry), sum + the products of the group; for
 * FORM_CHAIN PAIRS(entry, weights), sums of two products in 16 bits, ADD16(a, b) of such, WIDEN(pairs), sums of two of
 * them in 32 bits, and KEPT(v), which is v, but keeps the compiler from taking it apart. Where they are not defined plain
 * C does it, for tests on a CPU that has not got them. */

#if defined(FORM_CHAIN)
#define CHAIN 2
#else
#define CHAIN 1
#endif
#if defined(FORM_INT8) || defined(FORM_CHAIN)
#define GROUP       4
#define GROUP_BYTES 4
#elif defined(FORM_INT16)
#define GROUP       2
#define GROUP_BYTES 2
#else
#define GROUP       2
#define GROUP_BYTES 4
#endif
#define BYTE_MOST 127.0F

#if defined(FORM_BF16) || defined(FORM_HALF)
#define SUM vec
#else
#define SUM ints
#endif
#if defined(FORM_HALF)
typedef float entry_type;
typedef int16_t cell;
#elif defined(FORM_INT16)
typedef int32_t entry_type;
typedef int16_t cell;
#else
typedef int32_t entry_type;
typedef int32_t cell;
#endif

typedef int16_t shorts __attribute__((vector_size(LANES * sizeof(int16_t))));
typedef int16_t pairs __attribute__((vector_size(LANES * sizeof(int32_t))));
typedef int8_t bytes __attribute__((vector_size(LANES)));

INLINE ints load_group(const cell *from)
{
    ints v;
#if !defined(FORM_INT16)
    memcpy(&v, from, sizeof(v));
#elif defined(EXPAND)
    v = EXPAND(from);
#else
    for (unsigned i = 0; i < LANES; i++)
        v[i] = (int32_t)(((uint32_t)(from[i] >> 8) << 16) | ((uint32_t)(int8_t)from[i] & 0xffff));
#endif
    return v;
}

/* ---- the instructions in plain C --------------------------------------------------------------------------------- */

#if defined(FORM_BF16) && !defined(DOT)
INLINE vec plain_dot(vec sum, ints w, int32_t x)
{
    ints group = (ints){0} + x, high = (ints){0} + (int32_t)0xffff0000;
    return sum + (vec)(w << 16) * (vec)(group << 16) + (vec)(w & high) * (vec)(group & high);
}
#elif defined(FORM_INT8) && !defined(DOT)
INLINE ints plain_dot(ints sum, ints w, int32_t x)
{
    for (int shift = 0; shift < 32; shift += 8)
        sum += (w << (24 - shift) >> 24) * (x >> shift & 0xff);
    return sum;
}
#elif defined(FORM_INT16) && !defined(DOT)
INLINE ints plain_dot(ints sum, ints w, int32_t x)
{
    return sum + (w << 16 >> 16) * (int32_t)(int16_t)x + (w >> 16) * (x >> 16);
}
#elif defined(FORM_CHAIN) && !defined(PAIRS)
INLINE ints plain_pairs(ints x, ints w)
{
    ints low = (w << 24 >> 24) * (x & 0xff) + (w << 16 >> 24) * (x >> 8 & 0xff);
    ints high = (w << 8 >> 24) * (x >> 16 & 0xff) + (w >> 24) * (x >> 24 & 0xff);
    return high << 16 | (low & 0xffff);
}
#define PAIRS(x, w) plain_pairs(x, w)
#define ADD16(a, b) ((ints)((pairs)(a) + (pairs)(b)))
#define WIDEN(a)    (((a) << 16 >> 16) + ((a) >> 16))
#define KEPT(v)     (v)
#endif
#ifndef DOT
#define DOT(sum, w, x) plain_dot(sum, w, x)
#endif

/* ---- products ---------------------------------------------------------------------------------------------------- */

#if defined(FORM_CHAIN)
INLINE void packed_step(const int32_t *x, size_t stride, unsigned rows, const cell *panel, ints sums[][VECTORS])
{
    ints weights[CHAIN][VECTORS];
    for (unsigned c = 0; c < CHAIN; c++) {
        for (unsigned v = 0; v < VECTORS; v++)
            weights[c][v] = KEPT(load_group(panel + (size_t)c * COLUMNS + (size_t)v * LANES));
    }
    for (unsigned r = 0; r < rows; r++) {
        ints chains[VECTORS];
        for (unsigned c = 0; c < CHAIN; c++) {
            ints group = KEPT((ints){0} + x[r * stride + c]);
            for (unsigned v = 0; v < VECTORS; v++) {
                ints two = PAIRS(group, weights[c][v]);
                chains[v] = KEPT(c == 0 ? two : ADD16(chains[v], two));
            }
        }
        for (unsigned v = 0; v < VECTORS; v++)
            sums[r][v] += WIDEN(chains[v]);
    }
}
#elif defined(FORM_HALF)
INLINE void packed_step(const float *x, size_t stride, unsigned rows, const cell *panel, vec sums[][VECTORS])
{
    ints groups[VECTORS];
    for (unsigned v = 0; v < VECTORS; v++)
        memcpy(&groups[v], panel + (size_t)v * LANES * GROUP, sizeof(ints));
    for (unsigned i = 0; i < GROUP; i++) {
        vec weights[VECTORS];
        for (unsigned v = 0; v < VECTORS; v++)
            weights[v] = (vec)(i == 0 ? groups[v] << 16 : groups[v] & (int32_t)0xffff0000);
        for (unsigned r = 0; r < rows; r++) {
            for (unsigned v = 0; v < VECTORS; v++)
                sums[r][v] += weights[v] * x[r * stride + i];
        }
    }
}
#else
INLINE void packed_step(const int32_t *x, size_t stride, unsigned rows, const cell *panel, SUM sums[][VECTORS])
{
    ints weights[VECTORS];
    for (unsigned v = 0; v < VECTORS; v++)
        weights[v] = load_group(panel + (size_t)v * LANES);
    for (unsigned r = 0; r < rows; r++) {
        for (unsigned v = 0; v < VECTORS; v++)
            sums[r][v] = DOT(sums[r][v], weights[v], x[r * stride]);
    }
}
#endif

INLINE vec packed_result(SUM sum, const target *to, size_t row, size_t column)
{
#if defined(FORM_BF16) || defined(FORM_HALF)
    (void)to;
    (void)row;
    (void)column;
    return sum;
#else
    vec value = __builtin_convertvector(sum, vec);
#if GROUP == 4
    value -= load(to->column_sums + column) * to->row_zeros[row];
#endif
    return value * (load(to->column_scales + column) * to->row_scales[row]);
#endif
}

#define NAME(x) packed_##x
#define ENTRY   entry_type
#define CELL    cell
#define SUMS    SUM
#if defined(FORM_CHAIN)
#define ROWS (TILE * 2 / 3) /* beside the sums stand CHAIN weights and the sums in 16 bits */
#define STEP CHAIN
#elif defined(FORM_HALF)
#define ROWS TILE
#define STEP GROUP
#else
#define ROWS TILE
#define STEP 1
#endif
#include "tile.inc.h"

/* ---- weights ----------------------------------------------------------------------------------------------------- */

static size_t groups_of(uint32_t in)
{
    return ((size_t)in + GROUP * CHAIN - 1) / (GROUP * CHAIN) * CHAIN;
}

static size_t packed_bytes(uint32_t in, uint32_t out)
{
    return padded(out) * (2 * sizeof(float) + groups_of(in) * GROUP_BYTES);
}

#if defined(FORM_CHAIN)
/* So much of a scale's 128 is in use by the weights that meet in a sum of 16 bits: the positive or the negative ones, as x
 * has no sign. 255 times 128 is the most that fits, and rounding adds up to a half for each. */
static float most_of(const float *row, uint32_t in)
{
    const float room = (128.0F - CHAIN) / BYTE_MOST;
    float most = 0;
    for (uint32_t first = 0; first < in; first += GROUP * CHAIN) {
        float up[2] = {0}, down[2] = {0};
        for (uint32_t i = 0; i < GROUP * CHAIN && first + i < in; i++) {
            float w = row[first + i], plus = w > 0 ? w : 0, minus = plus - w;
            up[i / 2 % 2] += plus;
            down[i / 2 % 2] += minus;
            most = plus > most ? plus : most;
            most = minus > most ? minus : most;
        }
        for (unsigned i = 0; i < 2; i++) {
            most = up[i] > most * room ? up[i] / room : most;
            most = down[i] > most * room ? down[i] / room : most;
        }
    }
    return most;
}
#elif !defined(FORM_BF16) && !defined(FORM_HALF)
static float most_of(const float *row, uint32_t in)
{
    float most = 0;
    for (uint32_t i = 0; i < in; i++) {
        float size = row[i] < 0 ? -row[i] : row[i];
        most = size > most ? size : most;
    }
    return most;
}
#endif

/* One output's weights, `step` bytes from group to group; its scale, and the sum of what was stored. */
static void pack_column(const float *row, uint32_t in, char *first, size_t step, float *ret_scale, float *ret_sum)
{
    int32_t sum = 0;
    float scale = 1;
#if !defined(FORM_BF16) && !defined(FORM_HALF)
    float most = most_of(row, in);
    scale = most > 0 ? most / BYTE_MOST : 1;
    const float factor = 1 / scale;
#endif
    for (uint32_t i = 0; i < groups_of(in) * GROUP; i++) {
        float value = i < in ? row[i] : 0;
        char *to = first + i / GROUP * step + (size_t)(i % GROUP) * (GROUP_BYTES / GROUP);
#if defined(FORM_BF16) || defined(FORM_HALF)
        uint16_t half = rm_embed__bf16_of(value);
        memcpy(to, &half, sizeof(half));
#else
        int8_t q = (int8_t)lrintf(value * factor);
        memcpy(to, &q, sizeof(q));
        sum += q;
#endif
    }
    *ret_scale = scale;
    *ret_sum = (float)sum;
}

static void packed_pack(const float *weights, uint32_t in, uint32_t out, void *packed)
{
    size_t columns = padded(out), step = COLUMNS * GROUP_BYTES, panel = groups_of(in) * step;
    float *scales = packed, *sums = scales + columns;
    char *groups = (char *)(sums + columns);
    if (columns > out) { /* the last panel's missing outputs */
        memset(scales + out, 0, (columns - out) * sizeof(float));
        memset(sums + out, 0, (columns - out) * sizeof(float));
        memset(groups + (columns / COLUMNS - 1) * panel, 0, panel);
    }
    for (size_t c = 0; c < out; c++)
        pack_column(weights + c * in, in, groups + c / COLUMNS * panel + c % COLUMNS * GROUP_BYTES, step, &scales[c],
                    &sums[c]);
}

/* ---- rows of x --------------------------------------------------------------------------------------------------- */

/* A row has so many entries, padded to whole groups. */
static size_t entries_of(uint32_t in)
{
#if defined(FORM_HALF)
    return groups_of(in) * GROUP;
#else
    return groups_of(in);
#endif
}

static size_t packed_dense_scratch_bytes(uint32_t in)
{
    return RM_EMBED__ROWS * (entries_of(in) * sizeof(entry_type) + 2 * sizeof(float));
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
SPARE INLINE ints whole(vec v)
{
    return (ints)(v + 12582912.0F) - 0x4b400000;
}

typedef struct extent {
    float low, high;
} extent;

/* Of zero and the row: zero must be exact, as padding is zero. */
SPARE INLINE extent extent_of(const float *x, uint32_t in)
{
    vec lows = {0}, highs = {0};
    uint32_t i = 0;
    for (; i + LANES <= in; i += LANES) {
        vec v = load(x + i);
        highs = greater(highs, v);
        lows = lesser(lows, v);
    }
    extent e = {0, 0};
    for (unsigned l = 0; l < LANES; l++) {
        e.low = lows[l] < e.low ? lows[l] : e.low;
        e.high = highs[l] > e.high ? highs[l] : e.high;
    }
    for (; i < in; i++) {
        e.low = x[i] < e.low ? x[i] : e.low;
        e.high = x[i] > e.high ? x[i] : e.high;
    }
    return e;
}

/* LANES inputs from x on to `to`; in `to` they take GROUPth parts of an entry each. */
INLINE void quantise(const float *x, float factor, float zero, char *to)
{
#if defined(FORM_HALF)
    memcpy(to, x, sizeof(vec));
#elif defined(FORM_BF16)
    ints bits = (ints)load(x);
    ints rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
    shorts halves = __builtin_convertvector(rounded, shorts);
    memcpy(to, &halves, sizeof(halves));
#elif defined(FORM_INT16)
    shorts q = __builtin_convertvector(whole(load(x) * factor), shorts);
    memcpy(to, &q, sizeof(q));
#else
    /* Zero is rounded too, so that the highest may come out as 256. */
    ints q = whole(lesser(load(x) * factor + zero, (vec){0} + 255.0F));
#if defined(TO_BYTES)
    TO_BYTES(q, to);
#else
    bytes narrow = __builtin_convertvector(q, bytes);
    memcpy(to, &narrow, sizeof(narrow));
#endif
#endif
    (void)factor;
    (void)zero;
}

/* One row; its scale and zero. */
INLINE void quantise_row(const float *x, uint32_t in, entry_type *entries, float *ret_scale, float *ret_zero)
{
    char *to = (char *)entries;
    float scale = 1, zero = 0;
#if defined(FORM_INT16)
    extent e = extent_of(x, in);
    float most = e.high > -e.low ? e.high : -e.low;
    scale = most > 0 ? most / x_most(in) : 1;
#elif GROUP == 4
    extent e = extent_of(x, in);
    scale = e.high > e.low ? (e.high - e.low) / 255 : 1;
    zero = rintf(-e.low / scale);
#endif
    const size_t room = entries_of(in) * sizeof(entry_type), part = room / (groups_of(in) * GROUP);
    uint32_t i = 0;
    for (; i + LANES <= in; i += LANES)
        quantise(x + i, 1 / scale, zero, to + i * part);
    memset(to + i * part, 0, room - i * part);
    if (i < in) {
        float rest[LANES] = {0};
        char last[LANES * sizeof(float)];
        memcpy(rest, x + i, (in - i) * sizeof(float));
        quantise(rest, 1 / scale, zero, last);
        memcpy(to + i * part, last, (in - i) * part);
    }
    *ret_scale = scale;
    *ret_zero = zero;
}

static void packed_dense(const rm_embed__dense *layer, const float *x, size_t rows, rm_embed__finish finish, float *y,
                         void *scratch)
{
    size_t columns = padded(layer->out), entries = entries_of(layer->in);
    const float *scales = layer->packed;
    entry_type *quantised = scratch;
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
