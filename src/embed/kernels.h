/* What the encoder computes with: one table of functions for each instruction set and number format. All take rows of
 * floats and give rows of floats; between them only the packed weights differ. No function allocates or fails.
 *
 * A matrix is row by row; weights are [out][in] as in the model's file. `in`, `out` and the size of a head may be any
 * number; they are fastest as multiples of 32. */
#ifndef REMORA_EMBED_KERNELS_H
#define REMORA_EMBED_KERNELS_H

#include <string.h>

#include "remora/embed.h"

#define RM_EMBED__ALIGN 64 /* of packed weights and of scratch memory, in bytes */

/* What is done to x W^T + bias before it is stored. */
typedef enum rm_embed__finish {
    RM_EMBED__PLAIN,
    RM_EMBED__GELU, /* x/2 (1 + erf(x/sqrt 2)) */
    RM_EMBED__ADD   /* to what stands in y: the residual */
} rm_embed__finish;

/* One fully connected layer; `packed` is what its kernels' `pack` wrote. */
typedef struct rm_embed__dense {
    uint32_t in, out;
    const float *bias; /* out */
    const void *packed;
} rm_embed__dense;

typedef struct rm_embed__kernels {
    const char *name;
    rm_precision precision;
    /* Whose packed_bytes, pack, dense_scratch_bytes and dense are for all products but the second of the feed-forward:
     * what comes from a norm or attention has outliers, and fewer bits lose more there. NULL: these. */
    const struct rm_embed__kernels *fine;
    bool (*runs_here)(void);
    size_t (*packed_bytes)(uint32_t in, uint32_t out);
    void (*pack)(const float *weights, uint32_t in, uint32_t out, void *packed);
    /* For up to RM_EMBED__ROWS rows: what `dense` needs beside its arguments. 0 is fine. */
    size_t (*dense_scratch_bytes)(uint32_t in);
    /* y[rows][out] = finish(x[rows][in] W^T + bias); x and y do not overlap; rows at most RM_EMBED__ROWS. */
    void (*dense)(const rm_embed__dense *layer, const float *x, size_t rows, rm_embed__finish finish, float *y,
                  void *scratch);
    size_t (*attention_scratch_bytes)(uint32_t tokens, uint32_t head);
    /* out[tokens][heads*head] from qkv[tokens][3*heads*head] (queries, keys, values side by side), one text. */
    void (*attention)(const float *qkv, uint32_t tokens, uint32_t heads, uint32_t head, float *out, void *scratch);
    /* Each row to mean 0 and variance 1, then times gain plus shift, in place. */
    void (*norm)(float *x, size_t rows, uint32_t columns, const float *gain, const float *shift, float epsilon);
} rm_embed__kernels;

/* Rows that a product takes at once: such a block and its results stay in the second-level cache. */
#define RM_EMBED__ROWS 64

extern const rm_embed__kernels rm_embed__reference, rm_embed__generic, rm_embed__openblas;
#ifdef __x86_64__
extern const rm_embed__kernels rm_embed__avx2, rm_embed__avx2_bf16, rm_embed__avx2_int8, rm_embed__avx2_int16,
    rm_embed__avx512, rm_embed__bf16, rm_embed__vnni;
#endif

/* To bf16: round to nearest, ties to even; NaN stays one. */
static inline uint16_t rm_embed__bf16_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof(bits));
    if ((bits & 0x7fffffff) > 0x7f800000)
        return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static inline const rm_embed__kernels *rm_embed__fine(const rm_embed__kernels *kernels)
{
    return kernels->fine ? kernels->fine : kernels;
}

/* The `index`th of those that this CPU runs, best first, all formats; NULL past the last. */
const rm_embed__kernels *rm_embed__kernels_here(unsigned index);

#endif
