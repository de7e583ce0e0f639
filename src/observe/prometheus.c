/* The Prometheus text, version 0.0.4: a family at a time, all threads summed, names and help from tables. */
#include <stdlib.h>

#include "observe_internal.h"

/* ---- spelling ---------------------------------------------------------------------------------------------------- */

static void put_family(rm_buf *out, const char *name, const char *type, const char *help)
{
    rm_buf_append_slice(out, RM_SLICE("# HELP "));
    rm_buf_append_cstr(out, name);
    rm_buf_append_char(out, ' ');
    rm_buf_append_cstr(out, help);
    rm_buf_append_slice(out, RM_SLICE("\n# TYPE "));
    rm_buf_append_cstr(out, name);
    rm_buf_append_char(out, ' ');
    rm_buf_append_cstr(out, type);
    rm_buf_append_char(out, '\n');
}

/* Names and values in turn, up to a NULL name. */
typedef struct label {
    const char *name, *value;
} label;

#define LABELS_MAX 4
typedef struct labels {
    label at[LABELS_MAX];
} labels;

/* JSON's escapes of quotes and backslashes are Prometheus's too, and names hold no controls (copy_name). */
static void put_labels(rm_buf *out, const labels *set, const char *le)
{
    char sep = '{';
    for (size_t i = 0; set && i < LABELS_MAX && set->at[i].name; i++, sep = ',') {
        rm_buf_append_char(out, sep);
        rm_buf_append_cstr(out, set->at[i].name);
        rm_buf_append_slice(out, RM_SLICE("=\""));
        rm_buf_append_json_escaped(out, rm_slice_cstr(set->at[i].value));
        rm_buf_append_char(out, '"');
    }
    if (le) {
        rm_buf_append_char(out, sep);
        rm_buf_append_slice(out, RM_SLICE("le=\""));
        rm_buf_append_cstr(out, le);
        rm_buf_append_char(out, '"');
        sep = ',';
    }
    if (sep == ',')
        rm_buf_append_char(out, '}');
    rm_buf_append_char(out, ' ');
}

static void put_u64(rm_buf *out, const char *name, const labels *set, uint64_t value)
{
    rm_buf_append_cstr(out, name);
    put_labels(out, set, NULL);
    rm_buf_append_u64(out, value);
    rm_buf_append_char(out, '\n');
}

static void put_usd(rm_buf *out, const char *name, const labels *set, double value)
{
    rm_buf_append_cstr(out, name);
    put_labels(out, set, NULL);
    rm_buf_append_usd(out, value);
    rm_buf_append_char(out, '\n');
}

/* A whole number over 10^places, without trailing zeros. */
static void format_scaled(uint64_t value, unsigned places, char text[32])
{
    char digits[32], *end = digits + sizeof(digits) - 1, *at = end;
    bool seen = false;
    *end = '\0';
    for (unsigned i = 0; i < places; i++, value /= 10) {
        seen = seen || value % 10;
        if (seen)
            *--at = (char)('0' + value % 10);
    }
    if (seen)
        *--at = '.';
    do {
        *--at = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    memcpy(text, at, (size_t)(end - at) + 1);
}

/* ---- histograms -------------------------------------------------------------------------------------------------- */

/* Sums of one histogram over the threads. */
typedef struct merged {
    uint64_t buckets[RM_OBSERVE__BUCKETS_MAX], sum;
} merged;

static void merge(merged *into, const rm_observe__histogram *histogram)
{
    for (unsigned i = 0; i < RM_OBSERVE__BUCKETS_MAX; i++)
        into->buckets[i] += rm_observe__get(&histogram->buckets[i]);
    into->sum += rm_observe__get(&histogram->sum);
}

static void put_sample_name(rm_buf *out, const char *name, const char *suffix)
{
    rm_buf_append_cstr(out, name);
    rm_buf_append_cstr(out, suffix);
}

/* Values are whole numbers of 10^-places. */
static void put_histogram(rm_buf *out, const char *name, const labels *set, rm_observe__bounds bounds, unsigned places,
                          const merged *m)
{
    char text[32];
    uint64_t below = 0;
    for (unsigned i = 0; i <= bounds.count; i++) {
        below += m->buckets[i];
        put_sample_name(out, name, "_bucket");
        if (i < bounds.count)
            format_scaled(bounds.at[i], places, text);
        put_labels(out, set, i < bounds.count ? text : "+Inf");
        rm_buf_append_u64(out, below);
        rm_buf_append_char(out, '\n');
    }
    put_sample_name(out, name, "_sum");
    put_labels(out, set, NULL);
    format_scaled(m->sum, places, text);
    rm_buf_append_cstr(out, text);
    rm_buf_append_char(out, '\n');
    put_sample_name(out, name, "_count");
    put_labels(out, set, NULL);
    rm_buf_append_u64(out, below);
    rm_buf_append_char(out, '\n');
}

#define SECONDS_PLACES 9

static void put_by_outcome(const rm_observe *observe, const char *name, const char *help, size_t offset,
                           rm_observe__bounds bounds, rm_buf *out)
{
    put_family(out, name, "histogram", help);
    for (int outcome = 0; outcome < RM_OUTCOME_COUNT; outcome++) {
        merged m = {0};
        for (unsigned i = 0; i < observe->threads; i++) {
            const char *counts = (const char *)&observe->observers[i]->counts;
            const rm_observe__histogram *all = (const void *)(counts + offset);
            merge(&m, &all[outcome]);
        }
        labels set = {{{"outcome", rm_observe__outcome_label((rm_outcome)outcome)}}};
        put_histogram(out, name, &set, bounds, SECONDS_PLACES, &m);
    }
}

static void put_plain(const rm_observe *observe, const char *name, const char *help, size_t offset, rm_buf *out)
{
    merged m = {0};
    for (unsigned i = 0; i < observe->threads; i++) {
        const char *counts = (const char *)&observe->observers[i]->counts;
        merge(&m, (const void *)(counts + offset));
    }
    put_family(out, name, "histogram", help);
    put_histogram(out, name, NULL, rm_observe__request_bounds, SECONDS_PLACES, &m);
}

static void put_histograms(const rm_observe *observe, rm_buf *out)
{
    put_by_outcome(observe, "remora_request_seconds", "From a request's first byte in to its answer's last byte out",
                   offsetof(rm_observe__counts, request), rm_observe__request_bounds, out);
    put_by_outcome(observe, "remora_added_seconds", "The same less the time spent waiting for the upstream",
                   offsetof(rm_observe__counts, added), rm_observe__added_bounds, out);
    put_plain(observe, "remora_first_byte_seconds", "From a request's first byte in to its answer's first byte out",
              offsetof(rm_observe__counts, first_byte), out);
    put_plain(observe, "remora_upstream_seconds", "Time spent waiting for the upstream",
              offsetof(rm_observe__counts, upstream), out);
    put_plain(observe, "remora_embed_seconds", "From a text's submission to the workers to its vector",
              offsetof(rm_observe__counts, embed), out);
}

/* ---- counters ---------------------------------------------------------------------------------------------------- */

/* Sums over the threads of the count at an offset into rm_observe__counts. */
static uint64_t total(const rm_observe *observe, size_t offset)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < observe->threads; i++) {
        const char *counts = (const char *)&observe->observers[i]->counts;
        sum += rm_observe__get((const void *)(counts + offset));
    }
    return sum;
}

static double total_usd(const rm_observe *observe, size_t offset)
{
    double sum = 0;
    for (unsigned i = 0; i < observe->threads; i++) {
        const char *counts = (const char *)&observe->observers[i]->counts;
        sum += rm_observe__get_sum((const void *)(counts + offset));
    }
    return sum;
}

static size_t request_offset(unsigned op, unsigned outcome, unsigned class)
{
    size_t index = (op * RM_OUTCOME_COUNT + outcome) * RM_OBSERVE__CLASSES + class;
    return offsetof(rm_observe__counts, requests) + index * sizeof(rm_observe__count);
}

static const char *const classes[RM_OBSERVE__CLASSES] = {"1xx", "2xx", "3xx", "4xx", "5xx", "other"};

static void put_requests(const rm_observe *observe, rm_buf *out)
{
    static const char name[] = "remora_requests_total";
    put_family(out, name, "counter", "Requests answered, by operation, outcome and class of status");
    for (unsigned op = 0; op < RM_OP_COUNT; op++) {
        for (unsigned outcome = 0; outcome < RM_OUTCOME_COUNT; outcome++) {
            for (unsigned class = 0; class < RM_OBSERVE__CLASSES; class ++) {
                uint64_t value = total(observe, request_offset(op, outcome, class));
                labels set = {{{"op", rm_observe__op_name((rm_op)op)},
                               {"outcome", rm_observe__outcome_label((rm_outcome)outcome)},
                               {"status", classes[class]}}};
                if (value)
                    put_u64(out, name, &set, value);
            }
        }
    }
}

static uint64_t total_outcome(const rm_observe *observe, rm_outcome outcome)
{
    uint64_t sum = 0;
    for (unsigned op = 0; op < RM_OP_COUNT; op++) {
        for (unsigned class = 0; class < RM_OBSERVE__CLASSES; class ++)
            sum += total(observe, request_offset(op, outcome, class));
    }
    return sum;
}

static void put_cache(const rm_observe *observe, rm_buf *out)
{
    static const labels exact = {{{"kind", "exact"}}};
    put_family(out, "remora_cache_hits_total", "counter", "Answers that came from the cache, stale ones too");
    put_u64(out, "remora_cache_hits_total", &exact,
            total_outcome(observe, RM_OUTCOME_HIT) + total_outcome(observe, RM_OUTCOME_STALE));
    put_family(out, "remora_cache_misses_total", "counter", "Requests that the cache was asked for and did not have");
    put_u64(out, "remora_cache_misses_total", &exact, total_outcome(observe, RM_OUTCOME_MISS));
    put_family(out, "remora_cache_bypasses_total", "counter", "Requests that the cache was not asked for, and why");
    for (unsigned reason = 0; reason < RM_REASON_COUNT; reason++) {
        labels set = {{{"kind", "exact"}, {"reason", rm_reason_name((rm_reason)reason)}}};
        uint64_t value = total(observe, offsetof(rm_observe__counts, bypasses) + reason * sizeof(rm_observe__count));
        if (value || reason == RM_REASON_NONE)
            put_u64(out, "remora_cache_bypasses_total", &set, value);
    }
    put_family(out, "remora_merged_total", "counter", "Requests that joined an identical one in flight");
    put_u64(out, "remora_merged_total", NULL, total_outcome(observe, RM_OUTCOME_MERGED));
}

static void put_money(const rm_observe *observe, rm_buf *out)
{
    put_family(out, "remora_saved_usd_total", "counter", "US dollars not spent thanks to Remora, by what saved them");
    for (unsigned outcome = 0; outcome < RM_OUTCOME_COUNT; outcome++) {
        labels set = {{{"reason", rm_observe__outcome_label((rm_outcome)outcome)}}};
        put_usd(out, "remora_saved_usd_total", &set,
                total_usd(observe, offsetof(rm_observe__counts, saved_usd) + outcome * sizeof(rm_observe__sum)));
    }
    put_family(out, "remora_cost_usd_total", "counter", "US dollars paid to upstreams");
    put_usd(out, "remora_cost_usd_total", NULL, total_usd(observe, offsetof(rm_observe__counts, cost_usd)));
}

static void put_counters(const rm_observe *observe, rm_buf *out)
{
    static const struct {
        const char *name, *help;
    } counters[] = {
#define X(id, name, help) {name, help},
        RM_COUNTER_MAP(X)
#undef X
    };
    static const char *const stages[] = {
#define X(id, name) name,
        RM_STAGE_MAP(X)
#undef X
    };
    /* What other threads than the observers' lost: a line whose writing failed, rows that were taken. */
    uint64_t lines = rm_observe__log_dropped(observe->log);
    uint64_t elsewhere[RM_COUNTER_COUNT] = {
        [RM_COUNTER_LOG_DROPPED] = lines, [RM_COUNTER_LEDGER_DROPPED] = rm_observe__get(&observe->ledger_lost)};
    uint64_t faults[RM_STAGE_COUNT] = {
        [RM_STAGE_LOG] = lines, [RM_STAGE_LEDGER] = rm_observe__get(&observe->ledger_losses)};
    for (unsigned i = 0; i < RM_COUNTER_COUNT; i++) {
        uint64_t value = total(observe, offsetof(rm_observe__counts, counters) + i * sizeof(rm_observe__count));
        put_family(out, counters[i].name, "counter", counters[i].help);
        put_u64(out, counters[i].name, NULL, value + elsewhere[i]);
    }
    put_family(out, "remora_faults_total", "counter", "Failures inside that were survived, by stage");
    for (unsigned i = 0; i < RM_STAGE_COUNT; i++) {
        labels set = {{{"stage", stages[i]}}};
        put_u64(out, "remora_faults_total", &set,
                faults[i] + total(observe, offsetof(rm_observe__counts, faults) + i * sizeof(rm_observe__count)));
    }
}

/* ---- series ------------------------------------------------------------------------------------------------------ */

typedef struct model_sums {
    const rm_observe__model_series *names; /* a thread's own, which lives as long as all */
    merged input_tokens, output_tokens, duration;
} model_sums;

typedef struct upstream_sums {
    const char *name;
    uint64_t answers[RM_OBSERVE__CLASSES], tries;
} upstream_sums;

typedef struct all_sums {
    model_sums *models;
    size_t model_count;
    upstream_sums *upstreams;
    size_t upstream_count;
} all_sums;

static rm_key128 key_of(const rm_observe__model_series *series)
{
    rm_key128 key = rm_hash128(rm_slice_cstr(series->model));
    key.hi += rm_hash64(rm_slice_cstr(series->upstream)) + (uint64_t)series->op;
    return key;
}

static rm_status sum_models(const rm_observe__series *series, rm_map *found, all_sums *sums)
{
    unsigned count = atomic_load_explicit(&series->model_count, memory_order_acquire);
    for (unsigned i = 0; i < count; i++) {
        const rm_observe__model_series *at = atomic_load_explicit(&series->models[i], memory_order_relaxed);
        model_sums *into = rm_map_get(found, key_of(at));
        if (!into) {
            into = &sums->models[sums->model_count];
            rm_status status = rm_map_put(found, key_of(at), into);
            if (status != RM_OK)
                return status;
            into->names = at;
            sums->model_count++;
        }
        merge(&into->input_tokens, &at->input_tokens);
        merge(&into->output_tokens, &at->output_tokens);
        merge(&into->duration, &at->duration);
    }
    return RM_OK;
}

static void sum_upstreams(const rm_observe__series *series, all_sums *sums)
{
    unsigned count = atomic_load_explicit(&series->upstream_count, memory_order_acquire);
    for (unsigned i = 0; i < count; i++) {
        const rm_observe__upstream_series *at = atomic_load_explicit(&series->upstreams[i], memory_order_relaxed);
        size_t j = 0;
        while (j < sums->upstream_count && strcmp(sums->upstreams[j].name, at->upstream) != 0)
            j++;
        upstream_sums *into = &sums->upstreams[j];
        if (j == sums->upstream_count)
            sums->upstream_count++;
        into->name = at->upstream;
        for (unsigned class = 0; class < RM_OBSERVE__CLASSES; class ++)
            into->answers[class] += rm_observe__get(&at->answers[class]);
        into->tries += rm_observe__get(&at->tries);
    }
}

static void free_sums(all_sums *sums)
{
    rm_free(sums->models);
    rm_free(sums->upstreams);
}

/* Room for all that all threads may ever have, so that what appears meanwhile fits too. */
static rm_status sum_series(const rm_observe *observe, all_sums *ret_sums)
{
    size_t models = (size_t)observe->threads * RM_METRIC_SERIES_MAX;
    size_t upstreams = (size_t)observe->threads * (RM_UPSTREAMS_MAX + 1);
    all_sums sums = {.models = rm_calloc(models, sizeof(model_sums)),
                     .upstreams = rm_calloc(upstreams, sizeof(upstream_sums))};
    rm_status status = sums.models && sums.upstreams ? RM_OK : RM_ENOMEM;
    rm_map found;
    rm_map_init(&found);
    for (unsigned i = 0; i < observe->threads && status == RM_OK; i++) {
        status = sum_models(&observe->observers[i]->series, &found, &sums);
        sum_upstreams(&observe->observers[i]->series, &sums);
    }
    rm_map_deinit(&found);
    if (status == RM_OK)
        *ret_sums = sums;
    else
        free_sums(&sums);
    return status;
}

/* OTel's word where it has one that ours does not say already. */
static const char *gen_ai_operation(rm_op op)
{
    return op == RM_OP_COMPLETIONS ? "text_completion" : rm_observe__op_name(op);
}

static void put_models(const all_sums *sums, rm_buf *out)
{
    static const char tokens[] = "gen_ai_client_token_usage", duration[] = "gen_ai_client_operation_duration_seconds";
    put_family(out, tokens, "histogram", "Tokens of one call that an upstream answered");
    for (size_t i = 0; i < sums->model_count; i++) {
        const model_sums *m = &sums->models[i];
        labels set = {{{"gen_ai_operation_name", gen_ai_operation(m->names->op)},
                       {"gen_ai_provider_name", m->names->upstream},
                       {"gen_ai_request_model", m->names->model},
                       {"gen_ai_token_type", "input"}}};
        put_histogram(out, tokens, &set, rm_observe__token_bounds, 0, &m->input_tokens);
        set.at[3].value = "output";
        put_histogram(out, tokens, &set, rm_observe__token_bounds, 0, &m->output_tokens);
    }
    put_family(out, duration, "histogram", "Time of one call that an upstream answered");
    for (size_t i = 0; i < sums->model_count; i++) {
        const model_sums *m = &sums->models[i];
        labels set = {{{"gen_ai_operation_name", gen_ai_operation(m->names->op)},
                       {"gen_ai_provider_name", m->names->upstream},
                       {"gen_ai_request_model", m->names->model}}};
        put_histogram(out, duration, &set, rm_observe__duration_bounds, SECONDS_PLACES, &m->duration);
    }
}

static void put_upstreams(const all_sums *sums, rm_buf *out)
{
    static const char answers[] = "remora_upstream_answers_total", tries[] = "remora_upstream_tries_total";
    put_family(out, answers, "counter", "Requests that an upstream was asked for, by the class of status sent on");
    for (size_t i = 0; i < sums->upstream_count; i++) {
        for (unsigned class = 0; class < RM_OBSERVE__CLASSES; class ++) {
            labels set = {{{"upstream", sums->upstreams[i].name}, {"status", classes[class]}}};
            if (sums->upstreams[i].answers[class])
                put_u64(out, answers, &set, sums->upstreams[i].answers[class]);
        }
    }
    put_family(out, tries, "counter", "Tries that those requests took, retries included");
    for (size_t i = 0; i < sums->upstream_count; i++) {
        labels set = {{{"upstream", sums->upstreams[i].name}}};
        put_u64(out, tries, &set, sums->upstreams[i].tries);
    }
}

/* ---- gauges ------------------------------------------------------------------------------------------------------ */

#define GAUGE(field)   offsetof(rm_gauges, field), "gauge"
#define COUNTER(field) offsetof(rm_gauges, field), "counter"
static const struct {
    size_t offset;
    const char *type, *name, *help;
} gauges_map[] = {
    {GAUGE(connections), "remora_connections", "Connections open"},
    {GAUGE(requests_in_flight), "remora_requests_in_flight", "Requests under way"},
    {GAUGE(upstream_calls), "remora_upstream_calls_in_flight", "Upstream calls under way"},
    {GAUGE(resident_bytes), "process_resident_memory_bytes", "Resident memory size in bytes"},
    {GAUGE(flights), "remora_flights", "Requests under way that others may join"},
    {GAUGE(flight_followers), "remora_flight_followers", "Callers that joined one under way"},
    {GAUGE(uptime_s), "remora_uptime_seconds", "Time since the start"},
    {GAUGE(store.entries), "remora_store_entries", "Answers in the cache"},
    {GAUGE(store.bytes), "remora_store_bytes", "Bytes that they take"},
    {GAUGE(store.bytes_max), "remora_store_bytes_max", "Bytes that they may take"},
    {GAUGE(store.file_bytes), "remora_store_file_bytes", "Size of the cache's file"},
    {COUNTER(store.puts), "remora_store_puts_total", "Answers written"},
    {COUNTER(store.evicted), "remora_store_evicted_total", "Answers evicted to make room"},
    {COUNTER(store.expired), "remora_store_expired_total", "Answers removed because their time was over"},
    {COUNTER(store.dropped_queue_full), "remora_store_dropped_queue_full_total", "Answers not written: queue full"},
    {COUNTER(store.dropped_map_full), "remora_store_dropped_map_full_total", "Answers not written: no space"},
    {COUNTER(store.commit_errors), "remora_store_commit_errors_total", "Commits that failed"},
    {COUNTER(store.read_errors), "remora_store_read_errors_total", "Reads that failed"},
    {COUNTER(store.corrupt), "remora_store_corrupt_total", "Records that were damaged and were not used"},
    {COUNTER(store.compressed_in_bytes), "remora_store_compressed_in_bytes_total", "Bytes before compression"},
    {COUNTER(store.compressed_out_bytes), "remora_store_compressed_out_bytes_total", "The same after it"},
    {COUNTER(store.commits), "remora_store_commits_total", "Commits"},
    {COUNTER(embed.texts), "remora_embed_texts_total", "Texts embedded here"},
    {COUNTER(embed.tokens), "remora_embed_tokens_total", "Their tokens"},
    {COUNTER(embed.refused), "remora_embed_refused_total", "Requests to embed that found no room or no time"},
    {COUNTER(embed.late), "remora_embed_late_total", "Requests to embed given up because their time was over"},
    {GAUGE(embed.waiting), "remora_embed_waiting", "Texts that wait to be embedded"},
};

static void put_gauges(const rm_gauges *gauges, rm_buf *out)
{
    for (size_t i = 0; i < RM_COUNT(gauges_map); i++) {
        uint64_t value;
        memcpy(&value, (const char *)gauges + gauges_map[i].offset, sizeof(value));
        put_family(out, gauges_map[i].name, gauges_map[i].type, gauges_map[i].help);
        put_u64(out, gauges_map[i].name, NULL, value);
    }
    put_family(out, "remora_store_failed", "gauge", "1 where the cache broke at run time and is passed by");
    put_u64(out, "remora_store_failed", NULL, gauges->store.failed);
    put_family(out, "remora_build_info", "gauge", "1; the labels say what runs");
    labels set = {{{"version", gauges->version ? gauges->version : ""}}};
    put_u64(out, "remora_build_info", &set, 1);
}

rm_status rm_observe_prometheus(rm_observe *observe, const rm_gauges *gauges, rm_buf *out)
{
    all_sums sums;
    rm_status status = sum_series(observe, &sums);
    if (status != RM_OK)
        return status;
    put_requests(observe, out);
    put_cache(observe, out);
    put_money(observe, out);
    put_histograms(observe, out);
    put_counters(observe, out);
    put_models(&sums, out);
    put_upstreams(&sums, out);
    if (gauges)
        put_gauges(gauges, out);
    free_sums(&sums);
    return out->status;
}
