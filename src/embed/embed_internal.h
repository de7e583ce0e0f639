/* What the files of embed share. */
#ifndef REMORA_EMBED_INTERNAL_H
#define REMORA_EMBED_INTERNAL_H

#include "kernels.h"

/* ---- weights file (safetensors.c) -------------------------------------------------------------------------------- */

typedef enum rm_embed__dtype { RM_EMBED__F32, RM_EMBED__F16, RM_EMBED__BF16 } rm_embed__dtype;

#define RM_EMBED__DIMENSIONS_MAX 4

/* One array of the file, row by row; `data` lies in the mapping, at no particular alignment. */
typedef struct rm_embed__tensor {
    rm_slice name;
    rm_embed__dtype dtype;
    uint32_t dimensions;
    uint64_t shape[RM_EMBED__DIMENSIONS_MAX];
    const unsigned char *data;
} rm_embed__tensor;

typedef struct rm_embed__tensors rm_embed__tensors; /* the mapped file */

/* Every offset, shape and size is checked; arrays of other types than the three are known by nobody afterwards. Errors and
 * `why` as rm_model_open. */
rm_status rm_embed__tensors_open(const char *path, rm_embed__tensors **ret_tensors, rm_buf *why) RM_WARN_UNUSED;
void rm_embed__tensors_close(rm_embed__tensors *tensors);
/* NULL: there is none of that name. */
const rm_embed__tensor *rm_embed__tensors_find(const rm_embed__tensors *tensors, rm_slice name);
/* `count` elements from element `begin` on, as floats; both within the array. */
void rm_embed__tensor_floats(const rm_embed__tensor *tensor, size_t begin, size_t count, float *out);

/* ---- config.json and its neighbours (shape.c) -------------------------------------------------------------------- */

/* Errors and `why` as rm_model_open. */
rm_status rm_embed__shape_read(const char *folder, rm_model_shape *ret_shape, rm_buf *why) RM_WARN_UNUSED;

/* ---- model (model.c), used by encoder.c -------------------------------------------------------------------------- */

typedef struct rm_embed__norm {
    const float *gain, *shift;
} rm_embed__norm;

typedef struct rm_embed__layer {
    rm_embed__dense qkv, mix, up, down; /* queries, keys and values; attention's output; the two of the feed-forward */
    rm_embed__norm after_attention, after_feed;
} rm_embed__layer;

struct rm_model {
    rm_model_shape shape;
    const rm_embed__kernels *kernels;
    rm_tokenizer *tokenizer;
    rm_embed__tensors *tensors;
    const rm_embed__tensor *words; /* [vocabulary][hidden]: the mapped file's, read as they are needed, or own_words */
    rm_embed__tensor own_words;
    const float *places; /* [positions][hidden]: position, and the type of a first text */
    rm_embed__norm first;
    rm_embed__layer *layers;
    void *memory; /* all of the floats and packed weights */
};

#endif
