/* bf16 for AVX2: half the memory of fp32, and its two halves as two products. */
#define LANES   8
#define VECTORS 2
#define TILE    6
#include "fp32.inc.h"

#define FORM_BF16
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
