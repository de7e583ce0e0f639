/* Types that several modules name; no functions. */
#ifndef REMORA_TYPES_H
#define REMORA_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A run of bytes owned by somebody else; never NUL-terminated by contract. {NULL, 0} is "absent". */
typedef struct rm_slice {
    const char *ptr;
    size_t len;
} rm_slice;

#define RM_SLICE(literal) ((rm_slice){(literal), sizeof(literal) - 1})
#define RM_SLICE_NONE     ((rm_slice){NULL, 0})
#define RM_COUNT(array)   (sizeof(array) / sizeof((array)[0]))

/* A 128-bit name: exact-cache keys, tenants. Compared as a whole, never interpreted. */
typedef struct rm_key128 {
    uint64_t hi;
    uint64_t lo;
} rm_key128;

/* One HTTP header line; both slices live as long as the message that holds them. */
typedef struct rm_header {
    rm_slice name;
    rm_slice value;
} rm_header;

/* The wire languages that Remora reads; RM_OP_OTHER goes through untouched. */
typedef enum rm_op {
    RM_OP_OTHER = 0,
    RM_OP_CHAT,        /* POST /v1/chat/completions */
    RM_OP_COMPLETIONS, /* POST /v1/completions */
    RM_OP_EMBEDDINGS,  /* POST /v1/embeddings */
    RM_OP_RESPONSES,   /* POST /v1/responses */
    RM_OP_MESSAGES,    /* POST /v1/messages (Anthropic) */
    RM_OP_MODELS,      /* GET /v1/models */
    RM_OP_COUNT
} rm_op;

typedef enum rm_dialect { RM_DIALECT_OPENAI = 0, RM_DIALECT_ANTHROPIC } rm_dialect;

/* What the cache did for an answer; the text of x-remora-cache. */
typedef enum rm_outcome {
    RM_OUTCOME_BYPASS = 0,
    RM_OUTCOME_MISS,
    RM_OUTCOME_HIT,
    RM_OUTCOME_STALE,
    RM_OUTCOME_MERGED,
    RM_OUTCOME_COUNT
} rm_outcome;

/* Token counts of one answer, normalised: input includes cached input in every dialect. -1: unknown. */
typedef struct rm_usage {
    int64_t input_tokens;
    int64_t cached_input_tokens;
    int64_t cache_write_tokens;
    int64_t output_tokens;
    int64_t reasoning_tokens;
} rm_usage;

#define RM_USAGE_UNKNOWN ((rm_usage){-1, 0, 0, -1, 0})

typedef struct rm_arena rm_arena;
typedef struct rm_blob rm_blob;
typedef struct rm_buf rm_buf;
typedef struct rm_exec rm_exec;

#endif
