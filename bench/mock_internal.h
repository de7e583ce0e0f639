/* The mock provider.
 *
 *   mock.c            options, server, a request's life
 *   mock_plan.c       how an answer shall behave: defaults, x-mock-* headers, body metadata, model suffix
 *   mock_question.c   what was asked, from any dialect's body
 *   mock_answer.c     what is answered: words, tool calls, values that satisfy a schema
 *   mock_chat.c mock_responses.c mock_messages.c mock_embeddings.c   the answer in each dialect
 *   mock_send.c       the answer on its way: pace, pieces, faults
 *   mock_stats.c      what was asked so far
 *   mock_other.c      models, errors, uploads and downloads of unknown paths, the echo
 *   mock_raw.c        answers that no HTTP library would send
 *
 * request -> plan + question -> answer -> script (bytes and where each event ends) -> send
 *
 * One thread, one loop. A call lives in its request's arena; what it holds beyond is released in on_close. */
#ifndef REMORA_BENCH_MOCK_INTERNAL_H
#define REMORA_BENCH_MOCK_INTERNAL_H

#include <uv.h>

#include "bench_internal.h"
#include "remora/json.h"
#include "remora/net.h"

#define RM_MOCK_BODY_BYTES_MAX   (64 * RM_MIB)
#define RM_MOCK_SCRIPT_BYTES_MAX (256 * RM_MIB)
#define RM_MOCK_LAST_BYTES_MAX   (1 * RM_MIB) /* of the last request's body kept for /stats/last */
#define RM_MOCK_PROMPTS_MAX      65536        /* questions counted one by one */
#define RM_MOCK_MODELS_MAX       256
#define RM_MOCK_TOKENS_MAX       1000000
#define RM_MOCK_CHOICES_MAX      128
#define RM_MOCK_DIMENSIONS       1536
#define RM_MOCK_ID_BYTES         17 /* 16 digits and NUL */

/* ---- plan -------------------------------------------------------------------------------------------------------- */

typedef enum rm_mock_fault {
    RM_MOCK_FAULT_NONE = 0,
    RM_MOCK_FAULT_RESET_HEAD, /* connection cut before the answer */
    RM_MOCK_FAULT_RESET,      /* ... in its midst */
    RM_MOCK_FAULT_STALL,      /* nothing more comes, the connection stays */
    RM_MOCK_FAULT_MALFORMED,  /* an event that is not JSON, then on */
    RM_MOCK_FAULT_ERROR,      /* an error event in the 2xx stream, then the end */
    RM_MOCK_FAULT_TRUNCATE    /* a clean end of the body without the last events */
} rm_mock_fault;

/* One number or flag a setting; the table in mock_plan.c gives each its name. */
typedef struct rm_mock_plan {
    double ttft_ms, tps, jitter, split_gap_ms;
    uint64_t tokens, reasoning, cached, tool_calls;
    uint64_t status, times, retry_after, retry_after_ms, should_retry;
    uint64_t fault, fault_at;
    uint64_t burst, split, body_bytes;
    uint64_t echo, gzip, obfuscation, refusal, unicode, chunked, headers;
    rm_slice key; /* names the counter behind `times` */
} rm_mock_plan;

#define RM_MOCK_UNSET UINT64_MAX

/* RM_ENOTFOUND: no such setting; RM_EPARSE: its value. `key` keeps a reference to the value. */
rm_status rm_mock__plan_set(rm_mock_plan *plan, rm_slice name, rm_slice value);
/* "name=value,name=value"; what cannot be read is skipped. */
void rm_mock__plan_set_list(rm_mock_plan *plan, rm_slice list);
void rm_mock__plan_set_headers(rm_mock_plan *plan, const rm_http_head *head);
/* From metadata.mock (a list as text, or an object) and from what follows '@' in the model's name. */
void rm_mock__plan_set_body(rm_mock_plan *plan, const rm_json *root);
void rm_mock__plan_print(FILE *out);

/* ---- question and answer ----------------------------------------------------------------------------------------- */

typedef struct rm_mock_question {
    rm_op op;
    const rm_json *root;
    rm_slice model;     /* without a plan behind '@' */
    rm_slice last_user; /* the last thing that a user said */
    rm_slice service_tier;
    uint64_t seed; /* of the words: the canonical request */
    uint64_t ref;  /* of last_user */
    bool stream, include_usage, obfuscate, logprobs, json_object;
    uint64_t choices, top_logprobs;
    int64_t max_tokens; /* -1: not given */
    uint64_t prompt_tokens;
    const rm_json *schema;      /* of the answer's text; NULL: prose */
    const rm_json *tool_schema; /* the called tool's parameters */
    rm_slice tool;              /* {NULL,0}: no call */
} rm_mock_question;

/* RM_EPARSE: not a JSON object. RM_ENOMEM. */
rm_status rm_mock__question_read(rm_op op, rm_slice body, rm_arena *arena,
                                 rm_mock_question *ret_question) RM_WARN_UNUSED;

/* A text and where each of its tokens ends. */
typedef struct rm_mock_text {
    rm_slice text;
    const uint32_t *ends;
    size_t count;
} rm_mock_text;

static inline rm_slice rm_mock__token(const rm_mock_text *text, size_t index)
{
    size_t begin = index ? text->ends[index - 1] : 0;
    return rm_slice_make(text->text.ptr + begin, text->ends[index] - begin);
}

typedef struct rm_mock_choice {
    rm_mock_text content, reasoning, arguments;
    bool cut; /* ended by max_tokens */
} rm_mock_choice;

typedef struct rm_mock_answer {
    const rm_mock_question *question;
    const rm_mock_plan *plan;
    char id[RM_MOCK_ID_BYTES]; /* fresh for each answer, as `created` */
    uint64_t created_s;
    rm_mock_choice *choices;
    size_t choice_count, tool_calls;
    bool refusal;
    uint64_t output_tokens, reasoning_tokens;
    rm_rng rng; /* for padding that means nothing */
} rm_mock_answer;

rm_status rm_mock__answer_make(const rm_mock_question *question, const rm_mock_plan *plan, rm_rng *rng, rm_arena *arena,
                               rm_mock_answer *ret_answer) RM_WARN_UNUSED;

/* ---- script ------------------------------------------------------------------------------------------------------ */

/* The answer's body and where its pieces end; a body that is no stream has one piece. */
typedef struct rm_mock_script {
    rm_buf bytes;
    rm_buf ends; /* size_t each */
    int status;
    const char *type;
    bool stream;
} rm_mock_script;

void rm_mock__script_init(rm_mock_script *script);
void rm_mock__script_deinit(rm_mock_script *script);
void rm_mock__script_cut(rm_mock_script *script); /* a piece ends here */
size_t rm_mock__script_count(const rm_mock_script *script);
size_t rm_mock__script_end(const rm_mock_script *script, size_t index);
void rm_mock__script_append_string(rm_buf *out, rm_slice text); /* quoted JSON */

/* Each fills an initialised script. */
rm_status rm_mock__render_chat(rm_mock_answer *answer, rm_mock_script *script);
rm_status rm_mock__render_completions(rm_mock_answer *answer, rm_mock_script *script);
rm_status rm_mock__render_responses(rm_mock_answer *answer, rm_mock_script *script);
rm_status rm_mock__render_messages(rm_mock_answer *answer, rm_mock_script *script);
rm_status rm_mock__render_embeddings(const rm_mock_question *question, rm_arena *arena, rm_mock_script *script);
rm_status rm_mock__render_count_tokens(const rm_mock_question *question, rm_mock_script *script);
rm_status rm_mock__render_models(rm_slice one, rm_mock_script *script);
/* In the shape of the path's dialect. */
rm_status rm_mock__render_error(bool anthropic, int status, const char *message, rm_mock_script *script);
rm_status rm_mock__render_echo(const rm_http_head *head, rm_slice body, rm_mock_script *script);

/* ---- server ------------------------------------------------------------------------------------------------------ */

typedef struct rm_mock_stats {
    uint64_t requests, answered, cancelled, faults, bytes_in, bytes_out, connections, events;
    uint64_t ops[RM_OP_COUNT], statuses[600], streams;
    uint64_t active, active_max;
    uint64_t prompts_uncounted, prompt_max;
    rm_map prompts; /* ref -> count */
    rm_map models;  /* hash of the name -> mock_model */
    rm_buf last_body, last_head;
} rm_mock_stats;

void rm_mock__stats_init(rm_mock_stats *stats);
void rm_mock__stats_reset(rm_mock_stats *stats); /* all but what is under way */
void rm_mock__stats_deinit(rm_mock_stats *stats);
void rm_mock__stats_question(rm_mock_stats *stats, const rm_mock_question *question);
void rm_mock__stats_keep(rm_mock_stats *stats, const rm_http_head *head, rm_slice body);
rm_status rm_mock__stats_render(const rm_mock_stats *stats, bool all_prompts, rm_mock_script *script);

typedef struct rm_mock_error_rate {
    double share;
    uint64_t status;
    rm_mock_fault fault;
} rm_mock_error_rate;

#define RM_MOCK_ERROR_RATES_MAX 16

typedef struct rm_mock rm_mock;
typedef struct rm_mock_call rm_mock_call;

/* A timer that outlives calls: kept for the next one, since closing a handle takes a loop turn. */
typedef struct rm_mock_timer {
    uv_timer_t timer;
    rm_mock_call *call;
    struct rm_mock_timer *next_spare, *next_all;
} rm_mock_timer;

struct rm_mock {
    rm_loop *loop;
    rm_listener *listener;
    struct rm_mock_raw *raw;
    rm_mock_plan plan;
    rm_mock_stats stats;
    rm_rng rng;
    rm_mock_timer *spare_timers, *all_timers;
    rm_map failed; /* hash of a plan's key -> how often it has failed */
    rm_mock_error_rate error_rates[RM_MOCK_ERROR_RATES_MAX];
    size_t error_rate_count;
    uint64_t rate_limit, window_begin_ms, window_requests;
    const char *require_key;
    bool canned, quiet;
    rm_mock_script canned_body, canned_stream;
};

struct rm_mock_call {
    rm_mock *mock;
    rm_req *req;
    rm_op op;
    bool known, count_tokens, anthropic;
    bool ended, aborted, blocked, counted, canned_stream;
    rm_buf body;
    rm_mock_plan plan;
    rm_mock_script script;
    rm_mock_timer *timer;
    size_t next; /* piece */
    double due_ms;
    rm_bench_sha256 digest; /* of an upload */
    uint64_t body_length;   /* of an upload */
    uint64_t download_left;
};

rm_mock_timer *rm_mock__timer_take(rm_mock *mock, rm_mock_call *call);
void rm_mock__timer_give(rm_mock *mock, rm_mock_timer *timer);

/* Sends the call's script as its plan says. */
void rm_mock__send_begin(rm_mock_call *call);
void rm_mock__send_drained(rm_mock_call *call);

/* Unknown paths. */
void rm_mock__other_begin(rm_mock_call *call);
void rm_mock__other_body(rm_mock_call *call, rm_slice bytes);
void rm_mock__other_end(rm_mock_call *call);
void rm_mock__other_drained(rm_mock_call *call);

/* The second listener; NULL is fine for close. */
rm_status rm_mock__raw_open(rm_mock *mock, const char *address, struct rm_mock_raw **ret_raw) RM_WARN_UNUSED;
void rm_mock__raw_close(struct rm_mock_raw *raw);

#endif
