/* The rows of x times packed weights, for one number format; included by fp32.inc.h and packed.inc.h.
 *
 *   NAME(x)             the functions' names
 *   ENTRY               one entry of a row of x: one input, or a group of them in 32 bits
 *   CELL                what the packed weights are made of; LANES cells are a vector of weights
 *   WEIGHTS, SUMS       vectors: of weights, and of sums
 *   LOAD(from)          weights from cells
 *   ADD(sum, w, entry)  sum + w * entry
 *   RESULT(sum, to, row, column)  the sum as floats
 *
 * All are taken back at the end. */

/* `rows` rows of x, `stride` apart, times one panel. `rows` is a constant where this is called. */
INLINE void NAME(multiply)(const ENTRY *x, size_t stride, unsigned rows, uint32_t entries, const CELL *panel,
                           SUMS sums[TILE][VECTORS])
{
    for (unsigned r = 0; r < rows; r++) {
        for (unsigned v = 0; v < VECTORS; v++)
            sums[r][v] = (SUMS){0};
    }
    for (uint32_t i = 0; i < entries; i++, panel += COLUMNS) {
        WEIGHTS weights[VECTORS];
        for (unsigned v = 0; v < VECTORS; v++)
            weights[v] = LOAD(panel + (size_t)v * LANES);
        for (size_t c = 0; c < COLUMNS * sizeof(CELL); c += LINE_BYTES)
            __builtin_prefetch((const char *)panel + AHEAD_BYTES + c);
        for (unsigned r = 0; r < rows; r++) {
            for (unsigned v = 0; v < VECTORS; v++)
                sums[r][v] = ADD(sums[r][v], weights[v], x[r * stride + i]);
        }
    }
}

/* The last panel of an `out` that is no multiple of COLUMNS: through copies, so that nothing behind the row is touched. */
static void NAME(store_part)(SUMS sums[VECTORS], const target *to, size_t row, size_t column, size_t count)
{
    float bias[COLUMNS] = {0}, y[COLUMNS] = {0}, *at = to->y + row * to->stride + column;
    target copy = *to;
    copy.bias = to->bias ? bias : NULL;
    if (to->bias)
        memcpy(bias, to->bias + column, count * sizeof(float));
    if (to->bias && to->finish == RM_EMBED__ADD)
        memcpy(y, at, count * sizeof(float));
    for (size_t v = 0; v < VECTORS; v++)
        store(y + v * LANES, finished(RESULT(sums[v], to, row, column + v * LANES), &copy, v * LANES, y + v * LANES));
    memcpy(at, y, count * sizeof(float));
}

INLINE void NAME(multiply_store)(const ENTRY *x, size_t stride, size_t row, unsigned rows, uint32_t entries,
                                 const CELL *panel, size_t column, uint32_t out, const target *to)
{
    SUMS sums[TILE][VECTORS];
    NAME(multiply)(x + row * stride, stride, rows, entries, panel, sums);
    for (unsigned r = 0; r < rows; r++) {
        float *y = to->y + (row + r) * to->stride + column;
        if (column + COLUMNS > out) {
            NAME(store_part)(sums[r], to, row + r, column, out - column);
            continue;
        }
        for (size_t v = 0; v < VECTORS; v++)
            store(y + v * LANES,
                  finished(RESULT(sums[r][v], to, row + r, column + v * LANES), to, column + v * LANES, y + v * LANES));
    }
}

#define ROWS_CASE(n)                                                                                     \
    case n:                                                                                              \
        NAME(multiply_store)(x, stride, row, (n) <= TILE ? (n) : TILE, entries, panel, column, out, to); \
        break

/* `entries` of each row of x, which are `stride` apart. */
static void NAME(product)(const ENTRY *x, size_t stride, size_t rows, const CELL *packed, uint32_t entries,
                          uint32_t out, const target *to)
{
    size_t tiles = (rows + TILE - 1) / TILE;
    for (size_t column = 0; column < out; column += COLUMNS) {
        const CELL *panel = packed + column * entries;
        for (size_t t = 0, row = 0, next; t < tiles; t++, row = next) {
            next = rows * (t + 1) / tiles;
            switch (next - row) {
                ROWS_CASE(1);
                ROWS_CASE(2);
                ROWS_CASE(3);
                ROWS_CASE(4);
                ROWS_CASE(5);
                ROWS_CASE(6);
                ROWS_CASE(7);
                ROWS_CASE(8);
                ROWS_CASE(9);
                ROWS_CASE(10);
                ROWS_CASE(11);
                ROWS_CASE(12);
            }
        }
    }
}

#undef ROWS_CASE
#undef NAME
#undef ENTRY
#undef CELL
#undef WEIGHTS
#undef SUMS
#undef LOAD
#undef ADD
#undef RESULT
