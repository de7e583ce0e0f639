/* int8 weights for AVX2 by the product of pairs of 16 bits: x keeps up to 15. For the products where 8 are too few. */
#include <immintrin.h>

#define LANES         8
#define VECTORS       2
#define TILE          6
#define GREATER(a, b) ((vec)_mm256_max_ps((__m256)(a), (__m256)(b)))
#include "fp32.inc.h"

#define FORM_INT16
#define EXPAND(from)   ((ints)_mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(const void *)(from))))
#define DOT(sum, w, x) ((sum) + (ints)_mm256_madd_epi16((__m256i)(w), _mm256_set1_epi32(x)))
#include "packed.inc.h"

static bool runs_here(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

const rm_embed__kernels rm_embed__avx2_int16 = {
    .name = "avx2",
    .precision = RM_PRECISION_INT8,
    PACKED_FUNCTIONS,
};
