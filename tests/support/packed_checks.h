/* The tests of one number format of packed.inc.h, which the including test instantiates as `wide` before. */
#ifndef REMORA_PACKED_CHECKS_H
#define REMORA_PACKED_CHECKS_H

static void test_wide(void **state)
{
    (void)state;
    check_kernels(&wide);
}

/* Rows of one sign, of one value, of zeros, and with one entry far from the others: the scale follows. */
static void test_rows(void **state)
{
    enum { IN = 70, OUT = 3 };
    static const float rows[][2] = {{0, 0},    {5, 5},     {-3, -3}, {1e-20F, 1e-20F},
                                    {1, 1000}, {-1000, 1}, {0, 255}, {-127.5F, 127.5F}};
    float weights[OUT * IN], bias[OUT] = {0}, x[IN], y[OUT], expected[OUT];
    void *packed = aligned(packed_bytes(IN, OUT)), *scratch = aligned(packed_dense_scratch_bytes(IN));

    (void)state;
    for (size_t i = 0; i < RM_COUNT(weights); i++)
        weights[i] = (float)(i % 7) - 3;
    packed_pack(weights, IN, OUT, packed);
    rm_embed__dense layer = {IN, OUT, bias, packed}, plain = {IN, OUT, bias, weights};
    for (size_t r = 0; r < RM_COUNT(rows); r++) {
        for (size_t i = 0; i < IN; i++)
            x[i] = rows[r][i == 9];
        packed_dense(&layer, x, 1, RM_EMBED__PLAIN, y, scratch);
        rm_embed__reference.dense(&plain, x, 1, RM_EMBED__PLAIN, expected, NULL);
        double size = fmax(fabs((double)rows[r][0]), fabs((double)rows[r][1]));
        expect_near("row", y, expected, OUT, size * bound_of(&wide, IN) * 3);
    }
    free(packed);
    free(scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wide),
        cmocka_unit_test(test_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#endif
