/* L1: counters and histograms by thread, their Prometheus text, the access log, and the ledger of money.
 *
 * Each loop thread has one rm_observer and is the only writer of it; a scrape reads all of them with relaxed atomic
 * loads. Nothing here blocks a loop: log lines go to a bounded buffer that the log thread writes out. */
#ifndef REMORA_OBSERVE_H
#define REMORA_OBSERVE_H

#include "remora/base.h"

/* clang-format off */
/* X(id, name, help) */
#define RM_COUNTER_MAP(X)                                                                                           \
    X(CONNECTIONS, "remora_connections_total", "Connections accepted")                                              \
    X(CONNECTIONS_REFUSED, "remora_connections_refused_total", "Connections over a limit")                          \
    X(BAD_REQUESTS, "remora_bad_requests_total", "Requests refused before they were understood")                    \
    X(CALLER_LEFT, "remora_caller_left_total", "Callers that left before their answer was complete")                \
    X(STREAM_ERRORS, "remora_stream_errors_total", "Errors inside a 2xx stream")                                    \
    X(STREAM_CUT, "remora_stream_cut_total", "Streams that the upstream ended early")                               \
    X(SLOW_FOLLOWERS, "remora_slow_followers_total", "Merged callers cut off because they read too slowly")         \
    X(UPSTREAM_REQUESTS, "remora_upstream_requests_total", "Requests sent to upstreams, retries included")          \
    X(UPSTREAM_RETRIES, "remora_upstream_retries_total", "Tries after the first")                                   \
    X(UPSTREAM_RETRY_BUDGET, "remora_upstream_retry_budget_exhausted_total", "Retries not made for lack of budget") \
    X(UPSTREAM_FAILURES, "remora_upstream_failures_total", "Upstream calls that ended without an answer")           \
    X(UPSTREAM_CANCELLED, "remora_upstream_cancelled_total", "Upstream calls ended because nobody waited any more") \
    X(LOG_DROPPED, "remora_log_lines_dropped_total", "Access log lines dropped because the log was too slow")       \
    X(LEDGER_DROPPED, "remora_ledger_rows_dropped_total", "Ledger rows that could not be kept")                     \
    X(UNPRICED, "remora_unpriced_total", "Answers of a model whose price is unknown")

typedef enum rm_counter {
#define X(id, name, help) RM_COUNTER_##id,
    RM_COUNTER_MAP(X)
#undef X
    RM_COUNTER_COUNT
} rm_counter;

/* Stages whose failure was survived: remora_faults_total{stage}. Settling fails where a finished request's numbers find no
 * place; a lost line or ledger row has a stage of its own. */
#define RM_STAGE_MAP(X)                                                                               \
    X(DECODE, "decode") X(KEY, "key") X(LOOKUP, "lookup") X(MERGE, "merge") X(REPLAY, "replay")       \
    X(RECORD, "record") X(STORE, "store") X(SETTLE, "settle") X(LEDGER, "ledger") X(LOG, "log")       \
    X(SEMANTIC, "semantic")
typedef enum rm_stage {
#define X(id, name) RM_STAGE_##id,
    RM_STAGE_MAP(X)
#undef X
    RM_STAGE_COUNT
} rm_stage;

/* Why a request was not looked up, and other words of the receipt; x-remora-… and the log use the names. */
#define RM_REASON_MAP(X)                                                                              \
    X(NONE, "none") X(HIT, "hit") X(MISS, "miss") X(MERGED, "merged") X(STALE, "stale")               \
    X(REQUESTED, "requested") X(PATH, "path") X(METHOD, "method") X(NOT_JSON, "not_json")             \
    X(DUPLICATE_KEY, "duplicate_key") X(TOO_DEEP, "too_deep") X(STATEFUL, "stateful")                 \
    X(MEDIA, "media") X(SAMPLED, "sampled") X(PROBE, "probe") X(ANONYMOUS, "anonymous")               \
    X(OFF, "off") X(FAULT, "fault") X(LOCAL, "local") X(SEMANTIC, "semantic")
typedef enum rm_reason {
#define X(id, name) RM_REASON_##id,
    RM_REASON_MAP(X)
#undef X
    RM_REASON_COUNT
} rm_reason;
/* clang-format on */
const char *rm_reason_name(rm_reason reason);
const char *rm_outcome_name(rm_outcome outcome); /* "HIT", "MISS", … */

typedef struct rm_observe rm_observe;   /* the whole */
typedef struct rm_observer rm_observer; /* one thread's part */

/* access: "stdout", "off" or a file's path. Starts the log thread. RM_EIO (logged): the file cannot be opened. */
rm_status rm_observe_create(const char *access, unsigned threads, rm_observe **ret_observe) RM_WARN_UNUSED;
void rm_observe_destroy(rm_observe *observe); /* writes what is left for at most 2 s; NULL is fine */
rm_observer *rm_observe_thread(rm_observe *observe, unsigned index);
void rm_observe_reopen(rm_observe *observe); /* any thread; on SIGHUP, after logrotate moved the file */

void rm_observer_count(rm_observer *observer, rm_counter counter, uint64_t by);
void rm_observer_fault(rm_observer *observer, rm_stage stage);

/* A text was embedded (or a request's texts), from its submission to its vector. Observer's thread. */
void rm_observer_embedded(rm_observer *observer, uint64_t took_ns);

/* Everything that is said of one finished request, once: counters, histograms, access log line, ledger row. */
typedef struct rm_receipt {
    rm_slice id;           /* x-remora-id */
    rm_slice method, path; /* path without its query */
    rm_op op;
    rm_outcome outcome;
    rm_reason reason;
    int status;          /* sent; 499: the caller left before one was */
    bool stream, failed; /* failed: the answer did not get to its end */
    rm_slice tenant;     /* hexadecimal id or "anonymous" */
    rm_slice model, requested_model, upstream, name_space, service_tier;
    rm_usage usage;
    double cost_usd;  /* paid for this answer; negative: unknown */
    double saved_usd; /* what it would have cost without Remora, less cost_usd; negative: unknown */
    uint64_t request_bytes, response_bytes;
    uint64_t total_ns;      /* first byte in to last byte out */
    uint64_t first_byte_ns; /* to the first byte of the answer's body */
    uint64_t upstream_ns;   /* spent waiting for the upstream; 0: not asked */
    unsigned tries;
    rm_slice peer;
    rm_slice prompt, answer; /* only with log.bodies */
    /* Of the semantic cache's decision, if there was one. */
    rm_slice semantic; /* its verdict; empty: none */
    bool semantic_shadow;
    double similarity, risk, risk_limit;
} rm_receipt;
/* Observer's thread. Never fails: what cannot be kept is counted. */
void rm_observer_settle(rm_observer *observer, const rm_receipt *receipt, uint64_t wall_ms);

/* The store's state; filled by rm_store_get_stats. */
typedef struct rm_store_stats {
    uint64_t entries, bytes, bytes_max, file_bytes;
    uint64_t puts, evicted, expired, dropped_queue_full, dropped_map_full, commit_errors, read_errors, corrupt;
    uint64_t compressed_in_bytes, compressed_out_bytes, commits;
    bool failed; /* the cache environment broke at run time: every get misses, every put is dropped */
} rm_store_stats;

/* Sums of one hour, tenant, model and reason. cost_usd: paid; saved_usd: not paid thanks to Remora;
 * unpriced: requests whose price is unknown, which neither sum holds. */
typedef struct rm_ledger_row {
    uint64_t hour;   /* Unix time / 3600 */
    char tenant[36]; /* hexadecimal id, or "anonymous" */
    char model[RM_MODEL_NAME_BYTES_MAX];
    char reason[16]; /* miss, hit, merged, stale, bypass, … */
    uint64_t requests, errors, input_tokens, cached_input_tokens, output_tokens, unpriced;
    double cost_usd, saved_usd;
} rm_ledger_row;

/* The workers that embed texts, all together. */
typedef struct rm_embed_stats {
    uint64_t texts, tokens, refused, late, waiting;
} rm_embed_stats;

/* Gauges that others own, sampled at each scrape. */
typedef struct rm_gauges {
    uint64_t connections, requests_in_flight, upstream_calls, resident_bytes, flights, flight_followers;
    rm_store_stats store;
    rm_embed_stats embed;
    uint64_t uptime_s;
    const char *version;
} rm_gauges;

/* The Prometheus text (version 0.0.4): any thread. Appends. */
rm_status rm_observe_prometheus(rm_observe *observe, const rm_gauges *gauges, rm_buf *out);

/* Takes the ledger rows gathered since the last time: any thread; the caller frees with rm_free. */
rm_status rm_observe_take_ledger(rm_observe *observe, rm_ledger_row **ret_rows, size_t *ret_count);
/* Rows that were taken and could not be stored, together: any thread. */
void rm_observe_lose_ledger(rm_observe *observe, uint64_t rows);

/* `remora report` and /api/report. */
typedef struct rm_report rm_report;
rm_report *rm_report_create(void);
void rm_report_add(rm_report *report, const rm_ledger_row *row); /* a row of rm_store_ledger_scan */
/* {"since","until","requests","cost_usd","saved_usd","by_reason":[…],"by_model":[…],"by_tenant":[…]} */
rm_status rm_report_json(const rm_report *report, rm_buf *out);
rm_status rm_report_table(const rm_report *report, rm_buf *out);
void rm_report_destroy(rm_report *report);

#endif
