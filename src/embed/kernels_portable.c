/* fp32 for whatever the compiler was told to build for (SSE2 on x86-64, NEON on ARM), and the same with the matrix products
 * by OpenBLAS, which has kernels for many CPUs and keeps to the thread that calls it: workers are the parallelism.
 *
 * Debian's OpenBLAS 0.3.21 does not know Zen 4 and 5 and takes them for Haswell. On CPUs with AVX2 or AVX-512 our own
 * kernels come first anyway, so its choice is left alone; OPENBLAS_CORETYPE in the environment changes it. */
#include <cblas.h>

#define LANES   4
#define VECTORS 2
#define TILE    4
#include "fp32.inc.h"

static bool runs_here(void)
{
    return true;
}

const rm_embed__kernels rm_embed__generic = {
    .name = "generic",
    FP32_FUNCTIONS,
};

/* ---- OpenBLAS ---------------------------------------------------------------------------------------------------- */

static size_t packed_bytes(uint32_t in, uint32_t out)
{
    return (size_t)in * out * sizeof(float);
}

static void pack(const float *weights, uint32_t in, uint32_t out, void *packed)
{
    openblas_set_num_threads(1);
    memcpy(packed, weights, packed_bytes(in, out));
}

static void finish_row(float *y, const float *bias, uint32_t out, rm_embed__finish finish)
{
    target to = {.y = y, .bias = bias, .finish = finish};
    uint32_t c = 0;
    for (; c + LANES <= out; c += LANES)
        store(y + c, finished(load(y + c), &to, c, y + c));
    for (; c < out; c++) {
        float one[LANES] = {y[c]}, own[LANES] = {bias[c]};
        target part = {.y = one, .bias = own, .finish = finish};
        store(one, finished(load(one), &part, 0, one));
        y[c] = one[0];
    }
}

/* beta 1 keeps the residual in the sum, so only bias and GELU are left to add. */
static void dense(const rm_embed__dense *layer, const float *x, size_t rows, rm_embed__finish finish, float *y,
                  void *scratch)
{
    bool adds = finish == RM_EMBED__ADD;
    (void)scratch;
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (blasint)rows, (blasint)layer->out, (blasint)layer->in, 1, x,
                (blasint)layer->in, layer->packed, (blasint)layer->in, adds ? 1 : 0, y, (blasint)layer->out);
    for (size_t r = 0; r < rows; r++)
        finish_row(y + r * layer->out, layer->bias, layer->out, adds ? RM_EMBED__PLAIN : finish);
}

const rm_embed__kernels rm_embed__openblas = {
    .name = "openblas",
    .precision = RM_PRECISION_FP32,
    .runs_here = runs_here,
    .packed_bytes = packed_bytes,
    .pack = pack,
    .dense_scratch_bytes = fp32_dense_scratch_bytes,
    .dense = dense,
    .attention_scratch_bytes = fp32_attention_scratch_bytes,
    .attention = fp32_attention,
    .norm = fp32_norm,
};
