/* One thread's block of numbers and what surrounds it.
 *
 *     loop thread --- only writer ---> rm_observer.counts, series       <--- relaxed reads --- a scrape
 *     loop thread --- short lock ----> rm_observer.log, ledger          <--- taken whole ----- log thread, flusher
 *
 * Counts are atomics with one writer, so adding is a load and a store and needs no locked instruction. */
#ifndef REMORA_OBSERVE_INTERNAL_H
#define REMORA_OBSERVE_INTERNAL_H

#include <pthread.h>

#include "remora/observe.h"

#define RM_OBSERVE__LINE_BYTES   64 /* of the processor's cache: neighbours in the heap must not share one */
#define RM_OBSERVE__BUCKETS_MAX  24
#define RM_OBSERVE__CLASSES      6    /* of HTTP status: 1xx to 5xx, and anything else */
#define RM_OBSERVE__SERIES_SLOTS 1024 /* a power of two over RM_METRIC_SERIES_MAX, so that probes stay short */
#define RM_OBSERVE__LABEL_BYTES  (RM_MODEL_NAME_BYTES_MAX + 1)

typedef _Atomic uint64_t rm_observe__count;
typedef _Atomic double rm_observe__sum;

static inline void rm_observe__add(rm_observe__count *count, uint64_t by)
{
    atomic_store_explicit(count, atomic_load_explicit(count, memory_order_relaxed) + by, memory_order_relaxed);
}
static inline uint64_t rm_observe__get(const rm_observe__count *count)
{
    return atomic_load_explicit(count, memory_order_relaxed);
}
static inline void rm_observe__add_sum(rm_observe__sum *sum, double by)
{
    atomic_store_explicit(sum, atomic_load_explicit(sum, memory_order_relaxed) + by, memory_order_relaxed);
}
static inline double rm_observe__get_sum(const rm_observe__sum *sum)
{
    return atomic_load_explicit(sum, memory_order_relaxed);
}

/* ---- histograms -------------------------------------------------------------------------------------------------- */

/* Upper bounds, inclusive, ascending; +Inf follows them. Nanoseconds or tokens. */
typedef struct rm_observe__bounds {
    const uint64_t *at;
    unsigned count;
} rm_observe__bounds;

extern const rm_observe__bounds rm_observe__added_bounds;    /* 5 us to 1 s: what Remora itself takes */
extern const rm_observe__bounds rm_observe__request_bounds;  /* 50 us to 300 s */
extern const rm_observe__bounds rm_observe__duration_bounds; /* as OTel advises for gen_ai.client.operation.duration */
extern const rm_observe__bounds rm_observe__token_bounds;    /* as OTel advises for gen_ai.client.token.usage */

typedef struct rm_observe__histogram {
    rm_observe__count buckets[RM_OBSERVE__BUCKETS_MAX]; /* each its own, not those below too */
    rm_observe__count sum;
} rm_observe__histogram;

static inline void rm_observe__record(rm_observe__histogram *histogram, rm_observe__bounds bounds, uint64_t value)
{
    unsigned i = 0;
    while (i < bounds.count && value > bounds.at[i])
        i++;
    rm_observe__add(&histogram->buckets[i], 1);
    rm_observe__add(&histogram->sum, value);
}

/* ---- labelled series --------------------------------------------------------------------------------------------- */

/* Numbers of one operation, upstream and requested model. What comes after the first RM_METRIC_SERIES_MAX of a thread
 * goes to one whose names are "other". Labels are fixed before the series is published. */
typedef struct rm_observe__model_series {
    uint64_t hash;
    rm_op op;
    char upstream[RM_OBSERVE__LABEL_BYTES], model[RM_OBSERVE__LABEL_BYTES];
    rm_observe__histogram input_tokens, output_tokens, duration;
} rm_observe__model_series;

typedef struct rm_observe__upstream_series {
    char upstream[RM_OBSERVE__LABEL_BYTES];
    rm_observe__count answers[RM_OBSERVE__CLASSES], tries;
} rm_observe__upstream_series;

typedef struct rm_observe__series {
    _Atomic(rm_observe__model_series *) models[RM_METRIC_SERIES_MAX];
    _Atomic unsigned model_count;
    _Atomic(rm_observe__upstream_series *) upstreams[RM_UPSTREAMS_MAX + 1];
    _Atomic unsigned upstream_count;
    uint16_t slots[RM_OBSERVE__SERIES_SLOTS]; /* index + 1 by hash; its thread's alone */
} rm_observe__series;

/* False: some of the numbers found no place. */
bool rm_observe__series_settle(rm_observe__series *series, const rm_receipt *receipt);
void rm_observe__series_deinit(rm_observe__series *series);

/* ---- ledger ------------------------------------------------------------------------------------------------------ */

typedef struct rm_observe__ledger {
    pthread_mutex_t lock;
    rm_ledger_row *rows;
    uint16_t *slots; /* index + 1 by hash, twice as many as rows fit */
    size_t count, cap;
} rm_observe__ledger;

/* False: no row could be had, the sums are lost. */
bool rm_observe__ledger_settle(rm_observe__ledger *ledger, const rm_receipt *receipt, uint64_t wall_ms);
/* Moves all rows to `rows` if they fit. */
size_t rm_observe__ledger_take(rm_observe__ledger *ledger, rm_ledger_row *rows, size_t room);
size_t rm_observe__ledger_count(rm_observe__ledger *ledger);
/* Whether a receipt is about a model's answer at all, so that money and tokens mean something. */
bool rm_observe__is_model_call(const rm_receipt *receipt);
bool rm_observe__is_unpriced(const rm_receipt *receipt);

/* ---- access log -------------------------------------------------------------------------------------------------- */

/* A thread's lines until the log thread takes them. */
typedef struct rm_observe__lines {
    pthread_mutex_t lock;
    rm_buf text;
    uint64_t second; /* that `stamp` says */
    char stamp[20];  /* "2026-11-23T03:06:19" */
} rm_observe__lines;

/* False: the buffer is full, the line is lost. *ret_urgent: so much waits that the log thread should be woken. */
bool rm_observe__log_line(rm_observe__lines *lines, const rm_receipt *receipt, uint64_t wall_ms, bool *ret_urgent);
/* "2026-11-23T03:06:19", 20 bytes with its NUL, in UTC. */
void rm_observe__format_second(uint64_t unix_seconds, char text[20]);

/* The log thread; its state is in log_thread.c. */
typedef struct rm_observe__log rm_observe__log;
rm_status rm_observe__log_create(const char *access, rm_observe *observe, rm_observe__log **ret_log) RM_WARN_UNUSED;
/* NULL is fine. False: the thread is stuck in the kernel; it still holds the log and the observers, which are left. */
bool rm_observe__log_destroy(rm_observe__log *log);
void rm_observe__log_wake(rm_observe__log *log);
void rm_observe__log_reopen(rm_observe__log *log);
uint64_t rm_observe__log_dropped(const rm_observe__log *log);

/* ---- the whole --------------------------------------------------------------------------------------------------- */

typedef struct rm_observe__counts {
    rm_observe__count counters[RM_COUNTER_COUNT];
    rm_observe__count faults[RM_STAGE_COUNT];
    rm_observe__count requests[RM_OP_COUNT][RM_OUTCOME_COUNT][RM_OBSERVE__CLASSES];
    rm_observe__count bypasses[RM_REASON_COUNT];
    rm_observe__sum saved_usd[RM_OUTCOME_COUNT], cost_usd;
    rm_observe__histogram request[RM_OUTCOME_COUNT], added[RM_OUTCOME_COUNT], first_byte, upstream, embed;
} rm_observe__counts;

struct rm_observer {
    rm_observe *observe; /* fixed */
    char pad_counts[RM_OBSERVE__LINE_BYTES];
    rm_observe__counts counts; /* its thread writes, all read */
    rm_observe__series series;
    char pad_locks[RM_OBSERVE__LINE_BYTES];
    rm_observe__lines lines;
    rm_observe__ledger ledger;
    char pad_end[RM_OBSERVE__LINE_BYTES];
};

struct rm_observe {
    rm_observe__log *log;                        /* NULL: off */
    _Atomic uint64_t ledger_lost, ledger_losses; /* rows, and how often, after they were taken */
    unsigned threads;
    rm_observer *observers[RM_LOOPS_MAX];
};

static inline unsigned rm_observe__class_of(int status)
{
    return status >= 100 && status < 600 ? (unsigned)status / 100 - 1 : RM_OBSERVE__CLASSES - 1;
}
/* "chat", "completions", … and "hit", "miss", … as labels and the ledger's reason. */
const char *rm_observe__op_name(rm_op op);
const char *rm_observe__outcome_label(rm_outcome outcome);
/* Copies a name that others chose: cut between characters to fit, controls replaced, NUL-terminated. */
void rm_observe__copy_name(char *to, size_t room, rm_slice name, const char *otherwise);

#endif
