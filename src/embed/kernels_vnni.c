/* int8 for AVX-512 VNNI. */
#include <immintrin.h>

#define LANES         16
#define VECTORS       2
#define TILE          12
#define GREATER(a, b) ((vec)_mm512_max_ps((__m512)(a), (__m512)(b)))
#include "fp32.inc.h"

#define FORM_INT8
#define DOT(sum, w, x) ((ints)_mm512_dpbusd_epi32((__m512i)(sum), _mm512_set1_epi32(x), (__m512i)(w)))
#include "packed.inc.h"

static bool runs_here(void)
{
    return __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}

const rm_embed__kernels rm_embed__vnni = {
    .name = "vnni",
    .precision = RM_PRECISION_INT8,
    PACKED_FUNCTIONS,
};
