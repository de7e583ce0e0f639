/* bf16 for AVX2, which has no product of it: half the memory of fp32, for texts so short that weights are most of the work. */
#include <immintrin.h>

#define LANES         8
#define VECTORS       2
#define TILE          6
#define GREATER(a, b) ((vec)_mm256_max_ps((__m256)(a), (__m256)(b)))
#include "fp32.inc.h"

#define FORM_HALF
#include "packed.inc.h"

static bool runs_here(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

const rm_embed__kernels rm_embed__avx2_bf16 = {
    .name = "avx2",
    .precision = RM_PRECISION_BF16,
    PACKED_FUNCTIONS,
};
