/* bf16 for AVX-512 BF16. */
#include <immintrin.h>

#define LANES         16
#define VECTORS       2
#define TILE          12
#define GREATER(a, b) ((vec)_mm512_max_ps((__m512)(a), (__m512)(b)))
#include "fp32.inc.h"

#define FORM_BF16
#define DOT(sum, w, x) ((vec)_mm512_dpbf16_ps((__m512)(sum), (__m512bh)_mm512_set1_epi32(x), (__m512bh)(w)))
#include "packed.inc.h"

static bool runs_here(void)
{
    return __builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}

const rm_embed__kernels rm_embed__bf16 = {
    .name = "avx512",
    .precision = RM_PRECISION_BF16,
    PACKED_FUNCTIONS,
};
