/* L2: texts to unit vectors on this machine's CPU: tokenizer, model files, encoder. Nothing here touches the network.
 *
 * A model is a folder in Hugging Face layout: config.json, model.safetensors, and vocab.txt or tokenizer.json. BERT-class
 * encoders only (WordPiece, learned positions, post-norm layers, GELU); mean or CLS pooling; the vector has length 1. */
#ifndef REMORA_EMBED_H
#define REMORA_EMBED_H

#include "remora/base.h"

/* ---- tokenizer --------------------------------------------------------------------------------------------------- */

/* Immutable once open; any number of threads may use one. */
typedef struct rm_tokenizer rm_tokenizer;

/* What is kept of a text with more tokens than there is room for. */
typedef enum rm_overflow {
    RM_OVERFLOW_HEAD = 0,
    RM_OVERFLOW_HEAD_TAIL /* the first and the last half; an odd one goes to the head */
} rm_overflow;

/* From `folder`: tokenizer.json where there is one, else vocab.txt (then lower-casing as tokenizer_config.json's
 * do_lower_case says, true if it is missing). Any thread; blocks on files. RM_ENOTFOUND: neither is there. RM_ECORRUPT: damaged.
 * RM_EUNSUPPORTED: not a BERT WordPiece tokenizer. RM_ETOOBIG: over RM_EMBED_VOCAB_BYTES_MAX or RM_EMBED_VOCAB_TOKENS_MAX. RM_EIO,
 * RM_ENOMEM. On failure `why` gets one line: file, what is wrong with it. */
rm_status rm_tokenizer_open(const char *folder, rm_tokenizer **ret_tokenizer, rm_buf *why) RM_WARN_UNUSED;
void rm_tokenizer_close(rm_tokenizer *tokenizer);           /* NULL is fine */
uint32_t rm_tokenizer_count(const rm_tokenizer *tokenizer); /* tokens in the vocabulary */

/* Ids of [CLS] text [SEP] as the Hugging Face `tokenizers` library gives them for BertNormalizer, BertPreTokenizer and
 * WordPiece, special tokens within the text included ("[MASK]"); bytes that are not UTF-8 count as U+FFFD each maximal
 * part (as Rust's from_utf8_lossy). Writes at most `ids_max` (at least 2) and returns how many. Any thread, no allocation;
 * of a text over RM_EMBED_TEXT_BYTES_MAX only the ends that can matter are read. */
size_t rm_tokenize(const rm_tokenizer *tokenizer, rm_slice text, rm_overflow overflow, uint32_t *ids, size_t ids_max);

/* ---- model files ------------------------------------------------------------------------------------------------- */

typedef enum rm_pooling { RM_POOLING_MEAN = 0, RM_POOLING_CLS } rm_pooling;

/* What config.json and its neighbours say: sentence_bert_config.json (max_seq_length), 1_Pooling/config.json. */
typedef struct rm_model_shape {
    uint32_t layers, heads, hidden, intermediate, vocabulary, positions;
    uint32_t tokens_max; /* of one text, with [CLS] and [SEP]; at most `positions` */
    float norm_epsilon;
    rm_pooling pooling;
} rm_model_shape;

/* The folder of a model: of a name with a slash itself; else in the folder $REMORA_MODELS, then in `models` beside the folder
 * that this program is in, where models/fetch puts it. False: nowhere. Any thread. */
bool rm_model_find(const char *name, char *ret_folder, size_t folder_bytes) RM_WARN_UNUSED;

/* ---- encoder ----------------------------------------------------------------------------------------------------- */

/* Weights in the form that the kernels want. Immutable once open; shared by the encoders of all workers. */
typedef struct rm_model rm_model;
/* One thread's scratch memory over a model. */
typedef struct rm_encoder rm_encoder;

typedef enum rm_precision {
    RM_PRECISION_AUTO = 0,
    RM_PRECISION_FP32,
    RM_PRECISION_BF16,
    RM_PRECISION_INT8
} rm_precision;

typedef struct rm_model_options {
    const char *folder;
    rm_precision precision;
    const char *kernels; /* NULL: the best that this CPU runs; else by name (rm_kernels_name), for tests and benches */
} rm_model_options;

/* Any thread; blocks on files. RM_ENOTFOUND, RM_ECORRUPT (damaged or truncated), RM_EUNSUPPORTED (another kind of model),
 * RM_ETOOBIG, RM_EINVAL (no such kernels here, or not in that precision), RM_EIO, RM_ENOMEM. On failure `why` gets one line: file, what is wrong. */
rm_status rm_model_open(const rm_model_options *options, rm_model **ret_model, rm_buf *why) RM_WARN_UNUSED;
/* Every encoder must be gone. NULL is fine. */
void rm_model_close(rm_model *model);
const rm_model_shape *rm_model_shape_of(const rm_model *model);
const rm_tokenizer *rm_model_tokenizer(const rm_model *model);
rm_precision rm_model_precision(const rm_model *model); /* never auto */
const char *rm_model_kernels(const rm_model *model);    /* "avx2", "openblas", "reference" … */
const char *rm_precision_name(rm_precision precision);
const char *rm_kernels_name(unsigned index); /* those that this CPU runs, best first; NULL past the last */

rm_status rm_encoder_create(const rm_model *model, rm_encoder **ret_encoder) RM_WARN_UNUSED; /* RM_ENOMEM */
void rm_encoder_destroy(rm_encoder *encoder);                                                /* NULL is fine */
/* Vectors of `texts` texts: text i has lengths[i] ids (1 to positions), one behind the other in `ids`; `vectors` gets
 * texts x hidden floats, each row of length 1. One thread at a time for one encoder; no allocation, no I/O. More tokens
 * than fit the scratch memory at once (RM_EMBED_BATCH_TOKENS_MAX) are taken in turns. RM_EINVAL: a length or an id out of
 * range, then nothing was written. Source: Devlin et al. 2018, Vaswani et al. 2017. */
rm_status rm_encoder_run(rm_encoder *encoder, const uint32_t *ids, const uint32_t *lengths, size_t texts,
                         float *vectors) RM_WARN_UNUSED;

#endif
