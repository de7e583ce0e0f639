/* The rows of x times packed weights, for one number format; included by fp32.inc.h and packed.inc.h, which define:
 *
 *   NAME(x)  the functions' names
 *   ENTRY    one entry of a row of x: one input, or a group of them in 32 bits
 *   CELL     what the packed weights are made of
 *   SUMS     a vector of sums
 *   ROWS     rows that meet a panel at once, at most 12
 *   STEP     entries that NAME(step) takes
 *
 * NAME(step)(x, stride, rows, panel, sums) adds the products of the next entries of each row, NAME(result)(sum, to, row,
 * column) is a sum as floats. The macros are taken back at the end. */

_Static_assert(ROWS <= 12, "there is a case for each number of rows");

typedef SUMS NAME(sums)[ROWS][VECTORS];

/* `rows` rows of x, `stride` apart, times one panel. `rows` is a constant where
 * this is called, so that the sums stay in registers. */
INLINE void NAME(multiply)(const ENTRY *x, size_t stride, unsigned rows, uint32_t entries, const CELL *panel,
                           NAME(sums) ret_sums)
{
    NAME(sums) sums;
    for (unsigned r = 0; r < rows; r++) {
        for (unsigned v = 0; v < VECTORS; v++)
            sums[r][v] = (SUMS){0};
    }
    for (uint32_t i = 0; i < entries; i += STEP, panel += STEP * COLUMNS) {
        for (size_t c = 0; c < STEP * COLUMNS * sizeof(CELL); c += LINE_BYTES)
            __builtin_prefetch((const char *)panel + AHEAD_BYTES + c);
        NAME(step)(x + i, stride, rows, panel, sums);
    }
    for (unsigned r = 0; r < rows; r++) {
        for (unsigned v = 0; v < VECTORS; v++)
            ret_sums[r][v] = sums[r][v];
    }
}

#ifdef REMORA_ROWS_AT_RUN_TIME /* where how fast it compiles is more than how fast it runs */
static void NAME(multiply_any)(const ENTRY *x, size_t stride, size_t rows, uint32_t entries, const CELL *panel,
                               NAME(sums) ret_sums)
{
    NAME(multiply)(x, stride, (unsigned)rows, entries, panel, ret_sums);
}
#else
#define ROWS_CASE(n)                                                                   \
    case n:                                                                            \
        NAME(multiply)(x, stride, (n) <= ROWS ? (n) : ROWS, entries, panel, ret_sums); \
        break

/* Not inlined: what lives around it would take registers from the sums. */
static __attribute__((noinline)) void NAME(multiply_any)(const ENTRY *x, size_t stride, size_t rows, uint32_t entries,
                                                         const CELL *panel, NAME(sums) ret_sums)
{
    switch (rows) {
        ROWS_CASE(1);
        ROWS_CASE(2);
        ROWS_CASE(3);
        ROWS_CASE(4);
#if ROWS > 4
        ROWS_CASE(5);
        ROWS_CASE(6);
#endif
#if ROWS > 6
        ROWS_CASE(7);
        ROWS_CASE(8);
        ROWS_CASE(9);
        ROWS_CASE(10);
        ROWS_CASE(11);
        ROWS_CASE(12);
#endif
    }
}
#undef ROWS_CASE
#endif

INLINE void NAME(store_row)(const SUMS sums[VECTORS], const target *to, size_t row, size_t column, size_t from,
                            float *y)
{
    for (size_t v = 0; v < VECTORS; v++) {
        vec value = NAME(result)(sums[v], to, row, column + v * LANES);
        store(y + v * LANES, finished(value, to, from + v * LANES, y + v * LANES));
    }
}

/* The last panel of an `out` that is no multiple of COLUMNS: through copies, so
 * that nothing behind the row is touched. */
static void NAME(store_part)(const SUMS sums[VECTORS], const target *to, size_t row, size_t column, size_t count)
{
    float bias[COLUMNS] = {0}, y[COLUMNS] = {0}, *at = to->y + row * to->stride + column;
    target copy = *to;
    copy.bias = to->bias ? bias : NULL;
    if (to->bias)
        memcpy(bias, to->bias + column, count * sizeof(float));
    if (to->bias && to->finish == RM_EMBED__ADD)
        memcpy(y, at, count * sizeof(float));
    NAME(store_row)(sums, &copy, row, column, 0, y);
    memcpy(at, y, count * sizeof(float));
}

/* `entries` of each row of x, which are `stride` apart. */
static void NAME(product)(const ENTRY *x, size_t stride, size_t rows, const CELL *packed, uint32_t entries,
                          uint32_t out, const target *to)
{
    const target here = *to; /* whose address nobody has, so that storing y does
                              not make it be read again */
    size_t tiles = (rows + ROWS - 1) / ROWS;
    for (size_t column = 0; column < out; column += COLUMNS) {
        for (size_t t = 0, row = 0, next; t < tiles; t++, row = next) {
            NAME(sums) sums;
            next = rows * (t + 1) / tiles;
            NAME(multiply_any)
            (x + row * stride, stride, next - row, entries, packed + column * entries, sums);
            for (size_t r = row; r < next; r++) {
                if (column + COLUMNS > out)
                    NAME(store_part)(sums[r - row], to, r, column, out - column);
                else
                    NAME(store_row)
                (sums[r - row], &here, r, column, column, here.y + r * here.stride + column);
            }
        }
    }
}

#undef NAME
#undef ENTRY
#undef CELL
#undef SUMS
#undef ROWS
#undef STEP
