/* What the readers of a model's files share, and their ways in for bytes that are in memory already (tests, fuzzing). */
#ifndef REMORA_EMBED_FILES_H
#define REMORA_EMBED_FILES_H

#include "embed_internal.h"

/* Appends "PATH: text" to `why` (NULL is fine) and returns `status`. A `why` without room keeps what it has. */
rm_status rm_embed__refuse(rm_buf *why, rm_status status, const char *path, const char *format, ...) RM_PRINTF(4, 5);
/* The same for a file that could not be opened or read, by errno: RM_ENOTFOUND, RM_ENOMEM, RM_EIO. `mend` says what to
 * do about a missing one. */
rm_status rm_embed__refuse_errno(rm_buf *why, int code, const char *path, const char *mend);

/* What to do about a missing one. */
#define RM_EMBED__MEND_MISSING \
    "a model's folder holds config.json, model.safetensors, and vocab.txt or tokenizer.json (models/fetch gets one)"

#define RM_EMBED__PATH_BYTES 4096

/* FOLDER/NAME into `path`. RM_ETOOBIG: it has no room, and `why` says so. */
rm_status rm_embed__path(const char *folder, const char *name, char path[RM_EMBED__PATH_BYTES],
                         rm_buf *why) RM_WARN_UNUSED;
#define RM_EMBED__READ_SPARE 4096

/* The whole of a small file into `out`, which must be let grow to bytes_max + RM_EMBED__READ_SPARE. RM_ENOTFOUND: `why`
 * gets a line of it only where `mend` is not NULL. RM_ETOOBIG, RM_EIO, RM_ENOMEM. */
rm_status rm_embed__read_file(const char *path, size_t bytes_max, const char *mend, rm_buf *out,
                              rm_buf *why) RM_WARN_UNUSED;

/* rm_embed__tensors_open of bytes that the caller keeps until the close; `path` names them in `why`. */
rm_status rm_embed__tensors_parse(const char *path, rm_slice bytes, rm_embed__tensors **ret_tensors,
                                  rm_buf *why) RM_WARN_UNUSED;

/* The texts of a folder's files; RM_SLICE_NONE where there is no such file. */
typedef enum rm_embed__shape_file {
    RM_EMBED__CONFIG = 0,
    RM_EMBED__SENTENCE,
    RM_EMBED__POOLING,
    RM_EMBED__MODULES,
    RM_EMBED__SHAPE_FILES
} rm_embed__shape_file;
rm_status rm_embed__shape_parse(const char *folder, const rm_slice texts[RM_EMBED__SHAPE_FILES],
                                rm_model_shape *ret_shape, rm_buf *why) RM_WARN_UNUSED;

#endif
