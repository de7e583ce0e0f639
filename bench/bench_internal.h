/* What the parts of remora-bench share: options, prompts, arrival and request mixes, small encoders. */
#ifndef REMORA_BENCH_INTERNAL_H
#define REMORA_BENCH_INTERNAL_H

#include <stdio.h>

#include "remora/base.h"

/* ---- subcommands: exit status 0 done, 1 the thing measured is bad, 2 usage --------------------------------------- */

int rm_bench_load(int argc, char **argv);
int rm_bench_mock(int argc, char **argv);
int rm_bench_embed(int argc, char **argv);
int rm_bench_index(int argc, char **argv);
int rm_bench_lane(int argc, char **argv);
int rm_bench_selftest(int argc, char **argv);

/* ---- options ----------------------------------------------------------------------------------------------------- */

#define RM_BENCH_LIST_MAX 32

typedef struct rm_bench_list {
    const char *items[RM_BENCH_LIST_MAX];
    size_t count;
} rm_bench_list;

typedef enum rm_bench_option_kind {
    RM_OPTION_FLAG,        /* bool, takes no argument */
    RM_OPTION_U64,         /* uint64_t */
    RM_OPTION_DOUBLE,      /* double */
    RM_OPTION_SHARE,       /* double in 0..1 */
    RM_OPTION_DURATION_US, /* uint64_t; bare numbers are seconds */
    RM_OPTION_BYTES,       /* uint64_t */
    RM_OPTION_TEXT,        /* const char * */
    RM_OPTION_LIST         /* rm_bench_list, may be given again */
} rm_bench_option_kind;

typedef struct rm_bench_option {
    const char *name; /* without the dashes */
    const char *argument;
    const char *help;
    rm_bench_option_kind kind;
    void *target;
} rm_bench_option;

/* Reads "--name value" and "--name=value" of argv[1..]. Returns -1 to go on, else the exit status (0 after --help,
 * 2 after a mistake, both already printed). */
int rm_bench__options_parse(const char *usage, const rm_bench_option *options, size_t count, int argc, char **argv);

/* ---- prompts ------------------------------------------------------------------------------------------------------
 */

#define RM_BENCH_PROMPTS_MAX     1000000
#define RM_BENCH_PROMPT_FILE_MAX (256 * RM_MIB)
#define RM_BENCH_GROUP_PHRASINGS 5
#define RM_BENCH_BUILT_IN_GROUPS 60

/* Sixty questions, each in three or four wordings (NULL ends a row); the first is the canonical one. */
extern const char *const rm_bench__built_in[RM_BENCH_BUILT_IN_GROUPS][RM_BENCH_GROUP_PHRASINGS];

typedef struct rm_bench_group {
    uint32_t first, count; /* in rm_bench_prompts.texts */
} rm_bench_group;

/* Prompts in groups of equal meaning. */
typedef struct rm_bench_prompts {
    rm_slice *texts;
    rm_bench_group *groups;
    size_t text_count, group_count;
    char *file_bytes; /* what texts of a file point into */
} rm_bench_prompts;

/* `path` NULL: the built-in set. A file has one prompt a line; a tab separates wordings of one meaning.
 * RM_EIO, RM_ETOOBIG, RM_EINVAL (no prompt in it), RM_ENOMEM. */
rm_status rm_bench__prompts_load(const char *path, rm_bench_prompts *ret_prompts) RM_WARN_UNUSED;
void rm_bench__prompts_deinit(rm_bench_prompts *prompts);

/* ---- chance --------------------------------------------------------------------------------------------------------
 */

/* Zipf over ranks 0..count-1: P(rank) ~ 1 / (rank + 1)^exponent; by its cumulative table, so exact for any exponent. */
typedef struct rm_bench_zipf {
    double *cumulative;
    size_t count;
} rm_bench_zipf;
rm_status rm_bench__zipf_init(rm_bench_zipf *zipf, size_t count, double exponent) RM_WARN_UNUSED;
void rm_bench__zipf_deinit(rm_bench_zipf *zipf);
size_t rm_bench__zipf_next(const rm_bench_zipf *zipf, rm_rng *rng);

typedef enum rm_bench_arrival { RM_ARRIVAL_CLOSED = 0, RM_ARRIVAL_CONSTANT, RM_ARRIVAL_POISSON } rm_bench_arrival;

/* When requests are meant to leave, whatever the target does: never waits for an answer. */
typedef struct rm_bench_schedule {
    rm_bench_arrival arrival;
    double interval_ns;
    double next_ns; /* kept as a fraction so that a rate is met exactly over a long run */
} rm_bench_schedule;
void rm_bench__schedule_init(rm_bench_schedule *schedule, rm_bench_arrival arrival, double rate, uint64_t begin_ns);
/* The intended time of the next request; advance moves to the one after it. */
uint64_t rm_bench__schedule_due(const rm_bench_schedule *schedule);
void rm_bench__schedule_advance(rm_bench_schedule *schedule, rm_rng *rng);

/* What kind of request comes next. */
typedef struct rm_bench_mix {
    const rm_bench_prompts *prompts;
    rm_bench_zipf zipf;
    rm_rng rng;
    double repeat_share, paraphrase_share, stream_share, cancel_share;
    uint64_t keys; /* > 0: numbered prompts 0..keys-1 instead of the set */
    bool same, sequential;
    uint64_t serial, salt;
} rm_bench_mix;

typedef struct rm_bench_choice {
    size_t text;   /* index into prompts */
    bool numbered; /* `number` is put behind the text, so that it is another question */
    uint64_t number;
    bool stream, cancel;
} rm_bench_choice;

rm_status rm_bench__mix_init(rm_bench_mix *mix, const rm_bench_prompts *prompts, double exponent,
                             uint64_t seed) RM_WARN_UNUSED;
void rm_bench__mix_deinit(rm_bench_mix *mix);
rm_bench_choice rm_bench__mix_next(rm_bench_mix *mix);

/* ---- encoders ------------------------------------------------------------------------------------------------------
 */

#define RM_BENCH_NUMBER_BYTES 16
void rm_bench__hex16(uint64_t value, char text[RM_BENCH_NUMBER_BYTES]); /* 16 lower-case digits, no NUL */
/* A gzip member (RFC 1952) of stored blocks, which is what a test needs of gzip without a compressor: begin, blocks,
 * end with all the bytes that the blocks held. */
void rm_bench__gzip_begin(rm_buf *out);
void rm_bench__gzip_block(rm_buf *out, rm_slice bytes);
void rm_bench__gzip_end(rm_buf *out, rm_slice all);

typedef struct rm_bench_sha256 {
    uint32_t state[8];
    uint64_t length;
    uint8_t held[64];
} rm_bench_sha256;
#define RM_BENCH_SHA256_TEXT 65
void rm_bench__sha256_init(rm_bench_sha256 *hash);
void rm_bench__sha256_update(rm_bench_sha256 *hash, rm_slice bytes);
void rm_bench__sha256_final(rm_bench_sha256 *hash, char text[RM_BENCH_SHA256_TEXT]); /* lower-case digits and NUL */

/* The mark in every answer of the mock by which an answer is known to belong to its question. */
#define RM_BENCH_REF_PREFIX "ref:"
uint64_t rm_bench__ref(rm_slice last_user_text);

#endif
