/* Any table of kernels against the reference, on shapes that fit its vectors and on shapes that do not. Included after
 * kernels.h by one test for each number format. */
#ifndef REMORA_KERNEL_CHECKS_H
#define REMORA_KERNEL_CHECKS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static bool runs_here(void)
{
    return true;
}

static uint64_t seed = 1;

static float *random_floats(size_t count, float scale)
{
    float *floats = malloc((count + 1) * sizeof(float));
    for (size_t i = 0; i < count; i++) {
        seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
        floats[i] = ((float)(seed >> 40) / (float)(1 << 23) - 1) * scale;
    }
    return floats;
}

/* Exactly as many bytes as asked for, at the alignment that is promised, so that the sanitizer sees any beyond. */
static void *aligned(size_t size)
{
    void *at = NULL;
    assert_int_equal(posix_memalign(&at, RM_EMBED__ALIGN, size ? size : 1), 0);
    return at;
}

static void expect_near(const char *what, const float *a, const float *b, size_t count, double bound)
{
    for (size_t i = 0; i < count; i++) {
        if (fabs((double)a[i] - (double)b[i]) > bound || isnan(a[i]))
            fail_msg("%s: element %zu is %.9g, not %.9g", what, i, (double)a[i], (double)b[i]);
    }
}

/* How far a sum of `in` products may be off: fp32's rounding alone, or a format's own on top. */
static double bound_of(const rm_embed__kernels *kernels, uint32_t in)
{
    double per_sum = kernels->precision == RM_PRECISION_FP32   ? 4e-6
                     : kernels->precision == RM_PRECISION_BF16 ? 8e-3
                                                               : 2e-2;
    return per_sum * (1 + sqrt(in));
}

static void check_dense(const rm_embed__kernels *kernels, uint32_t in, uint32_t out, size_t rows,
                        rm_embed__finish finish)
{
    char what[96];
    float *weights = random_floats((size_t)in * out, 1), *bias = random_floats(out, 1),
          *x = random_floats(rows * in, 1);
    float *before = random_floats(rows * out, 1), *expected = malloc(rows * out * sizeof(float)),
          *y = malloc(rows * out * sizeof(float));
    void *packed = aligned(kernels->packed_bytes(in, out)), *scratch = aligned(kernels->dense_scratch_bytes(in));

    memcpy(expected, before, rows * out * sizeof(float));
    memcpy(y, before, rows * out * sizeof(float));
    kernels->pack(weights, in, out, packed);
    rm_embed__dense layer = {in, out, bias, packed}, plain = {in, out, bias, weights};
    kernels->dense(&layer, x, rows, finish, y, scratch);
    rm_embed__reference.dense(&plain, x, rows, finish, expected, NULL);
    (void)snprintf(what, sizeof(what), "%s: %u to %u, %zu rows, finish %d", kernels->name, in, out, rows, finish);
    expect_near(what, y, expected, rows * out, bound_of(kernels, in));
    free(weights);
    free(bias);
    free(x);
    free(before);
    free(expected);
    free(y);
    free(packed);
    free(scratch);
}

static void check_attention(const rm_embed__kernels *kernels, uint32_t tokens, uint32_t heads, uint32_t head)
{
    char what[96];
    size_t hidden = (size_t)heads * head;
    float *qkv = random_floats(tokens * 3 * hidden, 2), *expected = malloc(tokens * hidden * sizeof(float)),
          *out = malloc(tokens * hidden * sizeof(float));
    void *scratch = aligned(kernels->attention_scratch_bytes(tokens, head)),
         *plain = aligned(rm_embed__reference.attention_scratch_bytes(tokens, head));

    kernels->attention(qkv, tokens, heads, head, out, scratch);
    rm_embed__reference.attention(qkv, tokens, heads, head, expected, plain);
    (void)snprintf(what, sizeof(what), "%s: attention, %u tokens, %u heads of %u", kernels->name, tokens, heads, head);
    expect_near(what, out, expected, tokens * hidden, 1e-5);
    free(qkv);
    free(expected);
    free(out);
    free(scratch);
    free(plain);
}

static void check_norm(const rm_embed__kernels *kernels, size_t rows, uint32_t columns, float scale)
{
    float *x = random_floats(rows * columns, scale), *gain = random_floats(columns, 1),
          *shift = random_floats(columns, 1), *expected = malloc(rows * columns * sizeof(float));

    memcpy(expected, x, rows * columns * sizeof(float));
    kernels->norm(x, rows, columns, gain, shift, 1e-12F);
    rm_embed__reference.norm(expected, rows, columns, gain, shift, 1e-12F);
    expect_near(kernels->name, x, expected, rows * columns, 1e-5);
    free(x);
    free(gain);
    free(shift);
    free(expected);
}

/* Where sums are largest for what goes into them: all weights of one sign or of none but a few, all of x alike. */
static void check_extremes(const rm_embed__kernels *kernels)
{
    enum { IN = 96, OUT = 4 };
    static const float sides[] = {1, -1, 1e-3F, 1000};
    float weights[OUT * IN], bias[OUT] = {0}, x[IN], y[OUT], expected[OUT];
    void *packed = aligned(kernels->packed_bytes(IN, OUT)), *scratch = aligned(kernels->dense_scratch_bytes(IN));

    for (size_t i = 0; i < IN; i++) {
        weights[i] = 1;
        weights[IN + i] = -1;
        weights[2 * IN + i] = i % 2 ? 1 : -1;
        weights[3 * IN + i] = i < 8 ? 5 : 0.01F;
    }
    kernels->pack(weights, IN, OUT, packed);
    rm_embed__dense layer = {IN, OUT, bias, packed}, plain = {IN, OUT, bias, weights};
    for (size_t s = 0; s < RM_COUNT(sides); s++) {
        for (size_t i = 0; i < IN; i++)
            x[i] = sides[s];
        kernels->dense(&layer, x, 1, RM_EMBED__PLAIN, y, scratch);
        rm_embed__reference.dense(&plain, x, 1, RM_EMBED__PLAIN, expected, NULL);
        expect_near(kernels->name, y, expected, OUT, fabs((double)sides[s]) * IN * 2e-2);
    }
    free(packed);
    free(scratch);
}

static void check_kernels(const rm_embed__kernels *kernels)
{
    static const uint32_t shapes[][2] = {{384, 384}, {64, 96},  {1, 1},   {7, 5},
                                         {33, 31},   {100, 17}, {32, 33}, {129, 64}};

    for (size_t s = 0; s < RM_COUNT(shapes); s++) {
        for (size_t rows = 1; rows <= RM_EMBED__ROWS; rows += rows < 14 ? 1 : 25) {
            rm_embed__finish finish = (rm_embed__finish)((rows + s) % 3);
            check_dense(kernels, shapes[s][0], shapes[s][1], rows, finish);
        }
    }
    for (rm_embed__finish finish = RM_EMBED__PLAIN; finish <= RM_EMBED__ADD; finish++)
        check_dense(kernels, 96, 100, RM_EMBED__ROWS, finish);
    check_extremes(kernels);
    for (uint32_t tokens = 1; tokens <= 512; tokens += tokens < 10 ? 1 : tokens / 2)
        check_attention(kernels, tokens, 2, tokens % 2 ? 32 : 20);
    check_attention(kernels, 512, 1, 64);
    check_norm(kernels, 3, 384, 1);
    check_norm(kernels, 1, 1, 1);
    check_norm(kernels, 2, 37, 1000);
}

#endif
