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

/* From `folder`: tokenizer.json where there is one, which says everything; else vocab.txt and, where there is one,
 * tokenizer_config.json (do_lower_case, strip_accents, tokenize_chinese_chars; what is missing is as BERT's uncased models
 * have it). Any thread; blocks on files. RM_ENOTFOUND: neither is there. RM_ECORRUPT: damaged. RM_EUNSUPPORTED: it asks for
 * what is not done here: another normaliser, pre-tokenizer or model than BERT's, another frame than [CLS] text [SEP], added
 * tokens that are single words or normalised, words over 100 characters, a prefix over 16 bytes; or a vocab.txt without
 * [UNK], [CLS] or [SEP]. RM_ETOOBIG: over RM_EMBED_VOCAB_BYTES_MAX, RM_EMBED_CONFIG_BYTES_MAX or RM_EMBED_VOCAB_TOKENS_MAX, or
 * a folder's name over 4096 bytes. RM_EIO, RM_ENOMEM. On failure `why` (NULL is fine) gets one line: file, what is wrong with
 * it, what to do. */
rm_status rm_tokenizer_open(const char *folder, rm_tokenizer **ret_tokenizer, rm_buf *why) RM_WARN_UNUSED;
void rm_tokenizer_close(rm_tokenizer *tokenizer); /* NULL is fine */
uint32_t
rm_tokenizer_count(const rm_tokenizer *tokenizer); /* the highest id + 1; not every id below it need be a token */

/* Ids of [CLS] text [SEP] as the Hugging Face `tokenizers` library gives them for BertNormalizer, BertPreTokenizer and
 * WordPiece, special tokens within the text included ("[MASK]"); bytes that are not UTF-8 count as U+FFFD each maximal
 * part (as Rust's from_utf8_lossy). Writes at most `ids_max` (at least 2) and returns how many. Any thread, no allocation;
 * of a text over RM_EMBED_TEXT_BYTES_MAX only the ends that can matter are read. */
size_t rm_tokenize(const rm_tokenizer *tokenizer, rm_slice text, rm_overflow overflow, uint32_t *ids, size_t ids_max);

/* ---- model files ------------------------------------------------------------------------------------------------- */

typedef enum rm_pooling { RM_POOLING_MEAN = 0, RM_POOLING_CLS } rm_pooling;

/* What config.json says and, where they are there, its neighbours: sentence_bert_config.json (max_seq_length) and
 * 1_Pooling/config.json (else mean). modules.json gives nothing of this: a model with a step in it other than Transformer,
 * Pooling and Normalize is refused. Vectors are scaled to length 1 whether or not it has a Normalize. */
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

/* Any thread; blocks on files. RM_ENOTFOUND. RM_ECORRUPT: damaged, truncated, or files of two models. RM_EUNSUPPORTED: whole,
 * but it would give other vectors than its own, or none: a model_type other than bert, an activation other than gelu, relative
 * positions, a decoder, a pooling other than mean or CLS, a further step in modules.json, an array that the encoder needs and the weights
 * lack (of another type than F32, F16 or BF16 counts as lacking) or of over four dimensions, or as rm_tokenizer_open.
 * RM_ETOOBIG: over a bound of limits.h. RM_EINVAL: no such kernels here, or not in that precision. RM_EIO, RM_ENOMEM. On
 * failure `why` gets one line: file, what is wrong, what to do. */
rm_status rm_model_open(const rm_model_options *options, rm_model **ret_model, rm_buf *why) RM_WARN_UNUSED;
/* Every encoder must be gone. NULL is fine. */
void rm_model_close(rm_model *model);
const rm_model_shape *rm_model_shape_of(const rm_model *model);
const rm_tokenizer *rm_model_tokenizer(const rm_model *model);
rm_precision rm_model_precision(const rm_model *model); /* never auto */
const char *rm_model_kernels(const rm_model *model);    /* "avx2", "openblas", "reference" … */
const char *rm_precision_name(rm_precision precision);
bool rm_precision_parse(const char *text, rm_precision *ret_precision) RM_WARN_UNUSED; /* false: none of that name */
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
