/* AVX2 with FMA: 12 sums, 2 weights and a factor fill the 16 registers. int8 by the product of 16-bit pairs, which is exact
 * where that of bytes would saturate; x then keeps up to 15 bits. */
#include <immintrin.h>

#define LANES   8
#define VECTORS 2
#define TILE    6
#include "fp32.inc.h"

#define FORM_INT16
#define EXPAND(from)   ((ints)_mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(const void *)(from))))
#define DOT(sum, w, x) ((sum) + (ints)_mm256_madd_epi16((__m256i)(w), _mm256_set1_epi32(x)))
#include "packed.inc.h"

static bool runs_here(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

const rm_embed__kernels rm_embed__avx2 = {
    .name = "avx2",
    FP32_FUNCTIONS,
};

const rm_embed__kernels rm_embed__avx2_int8 = {
    .name = "avx2",
    .precision = RM_PRECISION_INT8,
    PACKED_FUNCTIONS,
};
