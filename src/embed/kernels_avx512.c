/* fp32 for AVX-512: 24 sums, 2 weights and a factor of the 32 registers. */
#include <immintrin.h>

#define LANES         16
#define VECTORS       2
#define TILE          12
#define GREATER(a, b) ((vec)_mm512_max_ps((__m512)(a), (__m512)(b)))
#include "fp32.inc.h"

static bool runs_here(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
}

const rm_embed__kernels rm_embed__avx512 = {
    .name = "avx512",
    FP32_FUNCTIONS,
};
