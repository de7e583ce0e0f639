/* Every table of kernels against the reference, on shapes that fit its vectors and on shapes that do not. The template is
 * included here once more with the widest vectors, which the compiler takes apart where the CPU has none: so the code for
 * AVX-512 is tested on every machine. */
#define LANES   16
#define VECTORS 2
#define TILE    12
#include "fp32.inc.h"

#include "kernel_checks.h"

static const rm_embed__kernels wide = {.name = "wide", FP32_FUNCTIONS};

static void test_all_kernels(void **state)
{
    const rm_embed__kernels *kernels;

    (void)state;
    for (unsigned i = 0; (kernels = rm_embed__kernels_here(i)); i++) {
        assert_string_equal(rm_kernels_name(i), kernels->name);
        check_kernels(kernels);
    }
}

static void test_wide(void **state)
{
    (void)state;
    check_kernels(&wide);
}

/* Scores far apart, equal, and huge: weights still sum to one and no row is lost. */
static void test_softmax_edges(void **state)
{
    static const float scores[][4] = {
        {0, 0, 0, 0}, {1e4F, -1e4F, 0, 1e4F}, {-1e30F, -1e30F, -1e30F, -1e30F}, {88, 0, -88, 3}};

    (void)state;
    for (size_t i = 0; i < RM_COUNT(scores); i++) {
        float row[COLUMNS];
        double sum = 0;
        memcpy(row, scores[i], sizeof(scores[i]));
        softmax(row, 4, COLUMNS, 1);
        for (size_t t = 0; t < COLUMNS; t++)
            sum += (double)row[t];
        assert_true(fabs(sum - 1) < 1e-6);
        for (size_t t = 4; t < COLUMNS; t++)
            assert_true(row[t] < 1e-30F);
    }
}

static void test_functions(void **state)
{
    (void)state;
    for (int i = -4000; i <= 4000; i++) {
        float x = (float)i / 200, real = 0.5F * x * (1 + erff(x * (float)M_SQRT1_2));
        assert_true(fabsf(gelu((vec){0} + x)[0] - real) < 2e-6F);
        double e = exp((double)x * 4);
        assert_true(fabs((double)exponential((vec){0} + x * 4)[0] - e) < 4e-7 * e);
    }
    assert_true(exponential((vec){0} - 1e30F)[0] < 2e-38F);
}

static void test_names(void **state)
{
    (void)state;
    assert_string_equal(rm_precision_name(RM_PRECISION_INT8), "int8");
    assert_string_equal(rm_precision_name((rm_precision)99), "unknown");
    assert_null(rm_kernels_name(1000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_kernels), cmocka_unit_test(test_wide),  cmocka_unit_test(test_softmax_edges),
        cmocka_unit_test(test_functions),   cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
