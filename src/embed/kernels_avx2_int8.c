/* int8 for AVX2 by the product of bytes, which adds two in 16 bits: packed so that it never saturates. */
#include <immintrin.h>

#define LANES         8
#define VECTORS       2
#define TILE          6
#define GREATER(a, b) ((vec)_mm256_max_ps((__m256)(a), (__m256)(b)))
#include "fp32.inc.h"

#define FORM_CHAIN
#define PAIRS(x, w)     ((ints)_mm256_maddubs_epi16((__m256i)(x), (__m256i)(w)))
#define ADD16(a, b)     ((ints)_mm256_add_epi16((__m256i)(a), (__m256i)(b)))
#define WIDEN(a)        ((ints)_mm256_madd_epi16((__m256i)(a), _mm256_set1_epi16(1)))
#define KEPT(v)         kept(v)
#define TO_BYTES(q, to) _mm_storel_epi64((__m128i *)(void *)(to), to_bytes((__m256i)(q)))

/* The compiler would take sums in another order, for which there are not registers enough. */
static inline __attribute__((always_inline)) ints kept(ints v)
{
    __asm__("" : "+x"(v));
    return v;
}

static inline __m128i to_bytes(__m256i q)
{
    __m128i shorts_of = _mm_packus_epi32(_mm256_castsi256_si128(q), _mm256_extracti128_si256(q, 1));
    return _mm_packus_epi16(shorts_of, shorts_of);
}

#include "packed.inc.h"

static bool runs_here(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

const rm_embed__kernels rm_embed__avx2_int8 = {
    .name = "avx2",
    .fine = &rm_embed__avx2_int16,
    .precision = RM_PRECISION_INT8,
    PACKED_FUNCTIONS,
};
