/* fp32 for AVX2 with FMA: 12 sums, 2 weights and a factor fill the 16 registers. */
#include <immintrin.h>

#define LANES         8
#define VECTORS       2
#define TILE          6
#define GREATER(a, b) ((vec)_mm256_max_ps((__m256)(a), (__m256)(b)))
#include "fp32.inc.h"

static bool runs_here(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

const rm_embed__kernels rm_embed__avx2 = {
    .name = "avx2",
    FP32_FUNCTIONS,
};
